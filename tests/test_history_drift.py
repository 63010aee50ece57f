"""What changed between two runs, and why: each difference has one name and one cause, and the policy's are never the target's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import fail, made, passed, unreachable

from auditor.finding import Severity, Verdict
from auditor.history.drift import Drift, Kept, compare, first
from auditor.history.records import record_of


def kept(report: dict[str, Any]) -> Kept:
    """Return a report as it is compared."""
    record = record_of(report)
    return Kept(record.header, record.rows)


def drift(before: dict[str, Any], after: dict[str, Any]) -> Drift:
    """Compare two reports."""
    return compare(kept(before), kept(after))


def told(found: Drift) -> list[tuple[str, str]]:
    """Return kind and cause of each change."""
    return [(change.kind, change.cause) for change in found.changes]


def test_a_violation_that_was_not_there_is_new() -> None:
    """A pass that became a violation, with nothing else changed, is a drift of the target."""
    assert told(drift(made(passed()), made(fail()))) == [("new", "target")]


def test_a_violation_whose_rule_passes_is_fixed() -> None:
    """The rule was evaluated and holds."""
    assert told(drift(made(fail()), made(passed()))) == [("fixed", "target")]


def test_a_violation_beside_another_of_its_rule_is_fixed() -> None:
    """The rule was evaluated and names other violations only."""
    found = drift(made(fail("a"), fail("b")), made(fail("b")))
    assert told(found) == [("open", "target"), ("fixed", "target")]


def test_a_violation_that_nobody_looked_at_is_undecided() -> None:
    """No verdict on the rule is no pass."""
    assert told(drift(made(fail()), made())) == [("undecided", "target")]


def test_a_violation_whose_rule_is_unknown_now_is_undecided() -> None:
    """An unknown or an error is no pass, not even beside one."""
    doubt = fail(verdict=Verdict.UNKNOWN)
    assert told(drift(made(fail()), made(doubt))) == [("undecided", "target")]
    assert told(drift(made(fail()), made(passed(), fail("other", verdict=Verdict.ERROR)))) == [
        ("undecided", "target"),
        ("undecided", "target"),
    ]


def test_what_only_the_stack_showed_is_not_fixed_by_a_prediction() -> None:
    """An observed violation needs an observed pass."""
    assert told(drift(made(fail()), made(passed(evidence="predicted")))) == [("undecided", "target")]
    assert told(drift(made(fail()), made(passed(evidence="observed")))) == [("fixed", "target")]
    assert told(drift(made(fail(evidence="predicted")), made(passed(evidence="predicted")))) == [("fixed", "target")]


def test_a_stack_that_does_not_answer_fixes_nothing() -> None:
    """Where the target was not reached the run says so, and what was confirmed on it stays undecided."""
    found = drift(made(fail(evidence="both")), made(passed(evidence="predicted"), unreachable()))
    assert not found.reached
    assert found.of("fixed") == ()
    assert {change.row.check for change in found.of("undecided")} == {"cors-origin-not-allowed", "target-unreachable"}


def test_other_evidence_of_the_same_violation_is_told_apart() -> None:
    """Still open, and seen with another origin: evidence changed. Another Date header is no other evidence."""
    assert told(drift(made(fail("s", origin="https://a.example")), made(fail("s", origin="https://b.example")))) == [
        ("evidence", "target")
    ]
    assert told(drift(made(fail(date="yesterday")), made(fail(date="today")))) == [("open", "target")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (made(passed()), made(fail(), policy="b"), ("new", "policy")),
        (made(fail()), made(passed(), policy="b"), ("fixed", "policy")),
        (made(fail()), made(policy="b"), ("fixed", "policy")),
        (made(passed()), made(fail(), environment="prod"), ("new", "policy")),
        (made(fail()), made(fail(disposition="waived"), policy="b"), ("accepted", "policy")),
        (made(fail()), made(fail(severity=Severity.LOW), policy="b"), ("evidence", "policy")),
        (made(passed()), made(fail(), policy="b", nginx="2"), ("new", "policy")),
        (made(fail(disposition="waived")), made(fail()), ("new", "waiver")),
        (made(fail()), made(fail(disposition="waived")), ("accepted", "waiver")),
        (made(passed()), made(fail(evidence="both"), nginx="2"), ("new", "configuration")),
        (made(passed()), made(fail(evidence="predicted"), nginx="2"), ("new", "configuration")),
        (made(passed()), made(fail(), nginx="2"), ("new", "target")),
        (made(passed()), made(fail(), command="live"), ("new", "auditor")),
    ],
)
def test_each_change_has_its_cause(before: dict[str, Any], after: dict[str, Any], expected: tuple[str, str]) -> None:
    """A changed policy, a waiver, a changed configuration and a new auditor are not a drift of the target."""
    assert told(drift(before, after)) == [expected]


def test_a_rule_that_the_policy_still_has_is_not_fixed_by_silence() -> None:
    """With the same policy and auditor, a rule without a verdict is undecided even if the configuration changed."""
    assert told(drift(made(fail()), made(nginx="2"))) == [("undecided", "target")]


def test_checks_that_speak_only_of_what_is_wrong_are_fixed_by_silence() -> None:
    """`live-differs-from-configuration` has no passes: a whole run without it is one, an interrupted run is not."""
    differs = fail(check="live-differs-from-configuration")
    assert told(drift(made(differs), made(passed()))) == [("fixed", "target")]
    assert told(drift(made(differs), made(passed(), interrupted=True))) == [("undecided", "target")]


def test_a_first_run_is_no_drift() -> None:
    """What is open in the first run is open, and nothing is new."""
    found = first(kept(made(fail(), passed("header-missing"))))
    assert found.first
    assert told(found) == [("open", "target")]
    assert found.notable == ()


FINDINGS = st.lists(
    st.builds(
        lambda subject, verdict, disposition, evidence: fail(
            subject,
            check=f"check-{subject[0]}",
            verdict=verdict,
            disposition=disposition if verdict is Verdict.FAIL else None,
            evidence=evidence,
        ),
        st.sampled_from(["aa", "ab", "ba", "bb"]),
        st.sampled_from(list(Verdict)),
        st.sampled_from(["open", "waived", "baselined"]),
        st.sampled_from(["predicted", "observed", "both", "contradicted"]),
    ),
    max_size=5,
)


@given(FINDINGS, FINDINGS, st.sampled_from("ab"), st.sampled_from("12"))
def test_nothing_is_lost_between_two_runs(before: list[Any], after: list[Any], policy: str, nginx: str) -> None:
    """Every violation open before or now has exactly one change, no pass of the target is invented, policies are named."""
    old, new = kept(made(*before)), kept(made(*after, policy=policy, nginx=nginx))
    found = compare(old, new)
    was = {row.fingerprint for row in old.rows if row.open}
    now = {row.fingerprint for row in new.rows if row.open}
    kinds: dict[str, list[str]] = {}
    for change in found.changes:
        kinds.setdefault(change.row.fingerprint, []).append(change.kind)
    assert all(len(names) == 1 for names in kinds.values())
    assert was | now <= set(kinds)
    assert now - was == {key for key, names in kinds.items() if names == ["new"]}
    for change in found.of("fixed"):
        assert change.row.fingerprint not in now
        pair = (change.row.check, change.row.rule)
        judged = [row for row in new.rows if (row.check, row.rule) == pair]
        assert judged or policy == "b"
        assert all(row.verdict in {Verdict.PASS, Verdict.FAIL} for row in judged)
    if policy == "b":
        assert {change.cause for change in found.changes if change.kind != "open"} <= {"policy"}


@given(FINDINGS)
def test_a_run_compared_with_itself_is_still_open(findings: list[Any]) -> None:
    """Nothing is new, fixed or changed between a run and itself."""
    same = kept(made(*findings))
    assert {change.kind for change in compare(same, same).changes} <= {"open"}
