"""A stored JSON report reads back as the run it was made from, and a broken one is refused in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import example
from hypothesis import given
from hypothesis import strategies as st

from auditor import cli
from auditor.audit import check
from auditor.checks import CHECKS
from auditor.errors import UsageError
from auditor.exchange import Headers, Request
from auditor.finding import Finding, Run, Severity, Verdict, Witness
from auditor.options import Options
from auditor.report.build import report
from auditor.report.formats import render
from auditor.report.model import Report
from auditor.report.stored import read
from auditor.report.stored import run as stored_run
from auditor.report.view import View

SOME = CHECKS[::9]


def as_json(run: Run) -> str:
    """Return the JSON report of a run."""
    return str(render("json", report(run), View()))


@pytest.mark.parametrize("item", SOME, ids=[item.CHECK.id for item in SOME])
def test_a_run_survives_being_stored(item: Any, tmp_path: Path) -> None:
    """JSON read back gives the same JSON, the same table and the same fingerprints."""
    policy = example(item.__doc__ or "", "Fails").write(tmp_path)
    made = check(Options("check", policy, now="2026-01-01"))
    file = tmp_path / "run.json"
    file.write_text(as_json(made))
    again = read(file)
    assert as_json(again) == file.read_text()
    assert render("table", report(again), View(verbose=True)) == render("table", report(made), View(verbose=True))
    assert [f.fingerprint for f in again.findings] == [f.fingerprint for f in made.findings]


LATIN = st.text(st.characters(max_codepoint=255), max_size=12)


@given(LATIN, LATIN, st.sampled_from(Verdict), st.sampled_from(Severity))
def test_hostile_text_survives_being_stored(value: str, subject: str, verdict: Verdict, severity: Severity) -> None:
    """Control characters and shell syntax in a witness stay what they were, and the second report is the first."""
    request = Request("GET", "/x", Headers.of([("Host", "h.test"), ("Origin", value)]))
    finding = Finding("c", "r", verdict, severity, value, subject, witness=Witness(request), disposition="open")
    first = as_json(Run("check", (finding,), ()))
    again = stored_run(Report.model_validate_json(first))
    assert as_json(again) == first
    assert again.findings[0].fingerprint == finding.fingerprint


def test_what_is_no_report_is_refused_in_words(tmp_path: Path) -> None:
    """No JSON, other JSON, another version, a missing file: an error that names the file and the place."""
    file = tmp_path / "run.json"
    good = json.loads(as_json(Run("check", (), ())))
    for text, said in (
        ("", "Invalid JSON"),
        ("[]", "Input should be an object"),
        (json.dumps({**good, "version": 2}), "version: Input should be 1"),
        (json.dumps({**good, "extra": 1}), "extra"),
        (json.dumps({**good, "results": [{}]}), "results.0.check"),
        ("\xff", "cannot read"),
    ):
        file.write_bytes(text.encode("latin-1"))
        with pytest.raises(UsageError) as raised:
            read(file)
        assert said in raised.value.message
    with pytest.raises(UsageError, match="cannot read"):
        read(tmp_path / "nothing.json")


def test_report_renders_and_gates_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`auditor report` is 0 once it is rendered; with --fail-on it is the gate's status."""
    finding = Finding("header-missing", "r", Verdict.FAIL, Severity.MEDIUM, "gone", disposition="open")
    (tmp_path / "run.json").write_text(as_json(Run("check", (finding,), ())))
    monkeypatch.chdir(tmp_path)
    assert cli.run(["report", "run.json"]) == 0
    printed = capsys.readouterr()
    assert "medium[header-missing]: gone" in printed.out
    assert "ended with 1: 1 open finding" in printed.err
    assert cli.run(["report", "run.json", "--fail-on", "medium"]) == 1
    assert cli.run(["report", "run.json", "--fail-on", "high"]) == 0
    assert cli.run(["report", "run.json", "-o", "json=again.json"]) == 0
    assert (tmp_path / "again.json").read_text() == (tmp_path / "run.json").read_text()


def test_a_run_is_compared_with_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--compare tells in words which findings are new, gone, changed and the same."""
    kept = Finding("header-missing", "r", Verdict.FAIL, Severity.MEDIUM, "kept", "k", disposition="open")
    gone, new, moved = (replace(kept, message=name, subject=name) for name in ("gone", "new", "moved"))
    waived = replace(moved, disposition="waived", waiver="W")
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text(as_json(Run("check", (kept, gone, moved), ())))
    Path("new.json").write_text(as_json(Run("check", (kept, new, waived), ())))
    assert cli.run(["report", "new.json", "-f", "markdown", "--compare", "old.json"]) == 0
    printed = capsys.readouterr().out
    assert "1 new, 1 gone, 1 changed, 1 the same" in printed
    for line in ("- new: `header-missing` new", "- gone: `header-missing` gone", "- changed: `header-missing` moved"):
        assert line in printed
    Path("broken.json").write_text("{}")
    assert cli.run(["report", "new.json", "--compare", "broken.json"]) == 2
