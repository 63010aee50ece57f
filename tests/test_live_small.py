"""Small servers with the comparisons that applications make, asked from outside: each flaw found, each twin left alone."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from auditor.audit import live
from auditor.finding import Finding, Run, Verdict
from auditor.options import LiveOptions, Options
from tests.live_field.serving import serving
from tests.live_field.small import SPELLINGS, policy, sides, small


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One audit of all of them."""
    file = tmp_path_factory.mktemp("small") / "policy.yaml"
    with serving(small) as port:
        file.write_text(json.dumps(policy(port)))
        return live(Options("live", file), LiveOptions(measure_limits=False))


def failing(run: Run, route: str) -> list[Finding]:
    """Return what is not a pass about a route."""
    return [f for f in run.findings if f.route == route and f.verdict is not Verdict.PASS]


@pytest.mark.parametrize("side", sides(), ids=lambda side: f"{side[0]} {side[1].name}")
def test_the_flaw_is_found_and_the_twin_is_left_alone(run: Run, side: tuple[str, ...]) -> None:
    """What the flawed side lets in is a finding of the right check, and the safe side has none."""
    name, flaw, _, flawed = side
    found = failing(run, name)
    if flawed:
        assert {f.check for f in found} & flaw.checks, flaw.name
    else:
        assert [f.message for f in found] == []


def test_a_denied_path_is_found_under_another_spelling(run: Run) -> None:
    """Each path that is denied but for one spelling is reported with that spelling for a witness, and no other is."""
    found = [f for f in run.findings if f.check == "denied-path-served" and f.verdict is Verdict.FAIL]
    targets = Counter(f.witness.request.target for f in found if f.witness is not None)
    assert targets == dict.fromkeys(SPELLINGS.values(), 1)
