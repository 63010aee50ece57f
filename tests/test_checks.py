"""Every check: six headings, an example that fails and one that passes, an id that is its file's name."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from examples import HEADINGS, example, sections

from auditor.audit import check
from auditor.checks import CHECKS, Check
from auditor.finding import Verdict
from auditor.options import Options

IDS = [item.CHECK.id for item in CHECKS]


def page(item: Check) -> str:
    """Return a check's documentation."""
    return item.__doc__ or ""


@pytest.mark.parametrize("item", CHECKS, ids=IDS)
def test_page_is_complete(item: Check) -> None:
    """A check is named after its file and has the six headings in their order, with well-formed references."""
    assert Path(str(item.__file__)).stem.replace("_", "-") == item.CHECK.id  # type: ignore[attr-defined]
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", item.CHECK.id)
    assert tuple(sections(page(item))) == HEADINGS
    assert re.search(r"^- \[.+\]\(https://[^\s)]+\)", sections(page(item))["References"], re.MULTILINE)


def verdicts(item: Check, heading: str, folder: Path) -> dict[str, set[Verdict]]:
    """Run `auditor check` on an example and return the verdicts of every check."""
    policy = example(page(item), heading).write(folder)
    run = check(Options("check", policy, now=date(2026, 1, 1).isoformat()))
    found: dict[str, set[Verdict]] = {}
    for finding in run.findings:
        found.setdefault(finding.check, set()).add(finding.verdict)
    return found


@pytest.mark.parametrize("item", CHECKS, ids=IDS)
def test_failing_example_fails(item: Check, tmp_path: Path) -> None:
    """The example under *Fails* yields this check's finding."""
    wanted = Verdict.UNKNOWN if item.CHECK.id in {"configuration-incomplete", "pattern-undecided"} else Verdict.FAIL
    assert wanted in verdicts(item, "Fails", tmp_path).get(item.CHECK.id, set())


@pytest.mark.parametrize("item", CHECKS, ids=IDS)
def test_passing_example_passes(item: Check, tmp_path: Path) -> None:
    """The example under *Passes* was evaluated by this check and passes it."""
    assert verdicts(item, "Passes", tmp_path).get(item.CHECK.id) == {Verdict.PASS}


def test_every_rule_has_a_check() -> None:
    """No kind of clause that a policy can state is without a check."""
    kinds = {kind for item in CHECKS for kind in item.KINDS}
    stated = {"cors", "headers", "cookies", "rate_limit", "timeouts", "keepalive", "caching", "websocket", "served_by"}
    stated |= {f"exposure.{key}" for key in ("backends", "unreachable", "published_ports", "networks", "direct_routes")}
    stated |= {"exposure.denied_paths", "tls.redirect", "tls.min_version", "error_pages", "probes", "targets"}
    assert stated <= kinds
