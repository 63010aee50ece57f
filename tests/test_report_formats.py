"""The formats: each against somebody else's idea of it, the fixed run as each renderer prints it, and their limits."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from report_oracles import SCHEMA, multitool
from report_runs import SITE, full_run

from auditor import __version__
from auditor.finding import Finding, Run, Severity
from auditor.report.build import report
from auditor.report.formats import FORMATS, render
from auditor.report.github import SUMMARY_LIMIT, summary
from auditor.report.model import Report
from auditor.report.view import View, narrowed

GOLDEN = SITE.parent
TEXTS = tuple(name for name in FORMATS if name != "pdf")


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the files that the fixed run points at, as the current folder."""
    folder = tmp_path / "repository" / "edge"
    shutil.copytree(SITE, folder)
    (tmp_path / "repository" / ".git").mkdir()
    monkeypatch.chdir(folder)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def rendered(name: str, run: Run | None = None, **settings: Any) -> str:
    """Return a run (the fixed one) in a text format."""
    text = render(name, report(run or full_run()), View(**settings))
    assert isinstance(text, str)
    return text


def sarif(run: Run | None = None) -> dict[str, Any]:
    """Return the only run of the SARIF log."""
    log = json.loads(rendered("sarif", run))
    assert log["version"] == "2.1.0"
    result: dict[str, Any] = log["runs"][0]
    return result


# -- goldens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_the_fixed_run_is_printed_as_ever(name: str) -> None:
    """A change of what users and scripts read is seen in review: AUDITOR_WRITE_GOLDEN=1 writes it anew."""
    file = GOLDEN / f"report.{name}"
    text = rendered(name, verbose=True).replace(f'"{__version__}"', '"VERSION"').replace(f" {__version__}", " VERSION")
    if os.environ.get("AUDITOR_WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_a_stored_report_renders_as_the_run_did() -> None:
    """What JSON keeps is enough for every other format, byte for byte."""
    stored = Report.model_validate_json(rendered("json"))
    assert stored == report(full_run())


# -- SARIF -------------------------------------------------------------------------------------------------------------


def test_sarif_meets_the_official_schema() -> None:
    """The log of the fixed run is valid under the schema that OASIS publishes, and a broken one is not."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    log = json.loads(rendered("sarif"))
    assert [error.message for error in validator.iter_errors(log)] == []
    log["runs"][0]["results"][0]["level"] = "critical"
    assert list(validator.iter_errors(log))


def test_sarif_satisfies_microsofts_validator(tmp_path: Path) -> None:
    """sarif-multitool finds no error under the rules of SARIF and of GitHub; it exits 0 whatever it finds."""
    assert [r for r in multitool(rendered("sarif"), tmp_path) if r.get("level") == "error"] == []
    broken = json.loads(rendered("sarif"))
    broken["runs"][0]["results"][0]["locations"] = []
    assert [r for r in multitool(json.dumps(broken), tmp_path) if r.get("level") == "error"]


def test_sarif_says_what_no_validator_asks_for() -> None:
    """Five things that validators let pass: rule ids, severities as text, fingerprints, paths, unique rules."""
    run = sarif()
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [f"auditor/{check.id}" for check in full_run().checks]
    for rule in rules:
        assert isinstance(rule["properties"]["security-severity"], str)
        assert 0 < float(rule["properties"]["security-severity"]) <= 10
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints) == 7
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri in {"edge/nginx.conf", "edge/auditor.yaml"}


def test_a_live_finding_has_the_place_of_its_rule() -> None:
    """What only the running stack showed points at the clause of the policy, its URL and its exchange."""
    result = next(r for r in sarif()["results"] if r["ruleId"] == "auditor/rate-limit-too-loose")
    location = result["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "edge/auditor.yaml"
    assert location["physicalLocation"]["region"]["startLine"] == 11
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "http://shop.example/api/"
    assert result["webRequest"]["headers"]["Origin"] == "https://appxshop.example"


def test_sarif_shows_the_observed_answer_where_there_is_one() -> None:
    """`webResponse` is the running stack's answer before the predicted one, and never tells a cookie's value."""
    response = sarif()["results"][0]["webResponse"]
    assert response["properties"]["kind"] == "observed"
    assert response["statusCode"] == 200
    assert response["headers"]["Set-Cookie"] == "session=(redacted); Path=/"


def test_accepted_findings_are_suppressed_and_left_out_for_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """SARIF has suppressions; GitHub would open an alert for each, so that there they are left out."""
    suppressed = [r["ruleId"] for r in sarif()["results"] if "suppressions" in r]
    assert suppressed == ["auditor/header-missing", "auditor/server-version-disclosed"]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert [r["ruleId"] for r in sarif()["results"] if "suppressions" in r] == []
    assert len(sarif()["results"]) == 5


def test_undecided_is_no_failure_in_sarif() -> None:
    """`unknown` and `error` are of kind "open", level "none" (SARIF §3.27.9), and notifications of the run."""
    run = sarif()
    kinds = {(r["properties"]["verdict"], r["kind"], r["level"]) for r in run["results"]}
    assert ("unknown", "open", "none") in kinds
    assert ("error", "open", "none") in kinds
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 2
    assert run["invocations"][0]["executionSuccessful"] is False


# -- JUnit, GitLab, GitHub ---------------------------------------------------------------------------------------------


def test_junitparser_reads_every_state() -> None:
    """Failed, undecided, waived and passed come out of an independent reader as what they are."""
    document = JUnitXml.fromstring(rendered("junit").encode())
    cases = {case.name: case for suite in document for case in suite}
    kinds = {name: [type(item) for item in case.result] for name, case in cases.items()}
    assert sorted(kinds.values(), key=str) == sorted([[Failure]] * 3 + [[Skipped]] * 2 + [[Error]] * 2 + [[]], key=str)
    assert len(cases) == 8
    assert (document.tests, document.failures, document.errors, document.skipped) == (8, 3, 2, 2)
    waived = next(case for name, case in cases.items() if name.startswith("header-missing"))
    assert waived.result[0].message.startswith("waived: W-14")


def test_gitlab_has_one_entry_per_open_finding() -> None:
    """Every entry has what GitLab wants of it, and no two fingerprints are alike."""
    run = full_run()
    doubled = replace(run, findings=(*run.findings, run.findings[0]))
    entries = json.loads(rendered("gitlab", doubled))
    assert len(entries) == 6
    assert len({entry["fingerprint"] for entry in entries}) == 6
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert not Path(entry["location"]["path"]).is_absolute()
        assert entry["location"]["lines"]["begin"] >= 1


def many(number: int) -> Run:
    """Return the fixed run with so many findings of three severities, each at a line of its own."""
    first = full_run().findings[0]
    places = [replace(first.notes[0], location=replace(first.notes[0].location, line=n + 1)) for n in range(number)]
    severities = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)
    findings: tuple[Finding, ...] = tuple(
        replace(first, notes=(place,), subject=str(n), severity=severities[n % 3]) for n, place in enumerate(places)
    )
    return replace(full_run(), findings=findings)


def test_github_annotations_stay_within_what_github_shows() -> None:
    """Ten of each kind at most, the worst first, and the last one tells how many more there are."""
    lines = rendered("github", many(90)).splitlines()
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == ["::error"] * 10 + ["::warning"] * 10 + ["::notice"] * 10
    assert "61 more places" in lines[-1]
    assert all(f"line={n}," in "".join(lines) for n in (1, 2, 3))


def test_job_summary_stays_within_its_limit() -> None:
    """A summary that GitHub would refuse is cut between findings, says so, and keeps its end."""
    whole = report(many(6000))
    text = summary(whole, View())
    assert 900_000 < len(text.encode()) <= SUMMARY_LIMIT
    assert re.search(r"\*\d+ parts of this report are left out here", text)
    assert "## Scope and provenance" in text
    assert len(summary(whole, View(), room=300).encode()) <= 300
    assert "left out" not in summary(report(full_run()), View())


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_nothing_undecided_is_hidden_by_a_severity() -> None:
    """--min-severity hides violations only, counts what it hides, and leaves the verdict alone."""
    whole = report(full_run())
    shown = narrowed(whole, Severity.CRITICAL)
    assert {r.verdict.value for r in shown.results} == {"error", "unknown", "pass"}
    assert shown.summary.hidden == 5
    assert shown.verdict == whole.verdict == "fail"
    assert "5 violations (5 not shown)" in str(render("table", shown, View()))


def test_secrets_are_in_no_format() -> None:
    """A cookie's value appears nowhere."""
    for name in TEXTS:
        assert "0123456789; " not in rendered(name, verbose=True)
        assert "session=0123" not in rendered(name, verbose=True)
