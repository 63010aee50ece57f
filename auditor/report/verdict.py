"""The verdict in words: what it is, and what would change it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from auditor.finding import Severity, Verdict
from auditor.report.model import Report, Result, SeverityWord, WaiverInfo
from auditor.report.view import counts, is_open, place_text, severity_of

PLACES = 3
"""How many places are named that most of the findings come from."""

SOON = 30
"""Days before a waiver's end at which it is mentioned."""


def verdict(
    violations: Iterable[Severity], fail_on: Severity, *, undecided: bool, interrupted: bool
) -> Literal["pass", "fail", "incomplete"]:
    """Return the verdict on open violations, whether anything that counts is undecided, and whether all was done."""
    if any(severity >= fail_on for severity in violations):
        return "fail"
    return "incomplete" if undecided or interrupted else "pass"


def held_to(report: Report, fail_on: SeverityWord) -> Report:
    """Return the report of the same run held to another severity."""
    info = report.run.model_copy(update={"fail_on": fail_on})
    said = verdict(
        (severity_of(r) for r in _violations(report)),
        Severity[fail_on.upper()],
        undecided=info.unknown_fails and bool(_undecided(report)),
        interrupted=info.interrupted,
    )
    return report.model_copy(update={"run": info, "verdict": said})


def headline(report: Report) -> str:
    """Return one sentence: the verdict, and the numbers that it rests on."""
    numbers = counts(report)
    violations = ", ".join(f"{number} {name}" for name, number in numbers.items() if number) or "none"
    undecided = len(_undecided(report))
    accepted = report.summary.waived + report.summary.baselined
    parts = [f"open violations: {violations}", f"accepted: {accepted}", f"undecided: {undecided}"]
    parts.append(f"checks passed: {report.summary.by_verdict['pass']}")
    return f"{report.verdict.upper()} ({'; '.join(parts)})"


def what_would_change(report: Report) -> list[str]:
    """Return what has to happen for the verdict to become another one, a sentence each."""
    sentences = []
    blocking = [r for r in _violations(report) if severity_of(r) >= Severity[report.run.fail_on.upper()]]
    below = len(_violations(report)) - len(blocking)
    undecided = _undecided(report)
    if report.run.interrupted:
        sentences.append("The run was interrupted: only a whole one can pass.")
    if blocking:
        sentences.append(
            f"It passes when {_number(len(blocking), 'open violation')} of severity {report.run.fail_on} or above "
            f"{'is' if len(blocking) == 1 else 'are'} repaired, or accepted by a waiver."
        )
        sentences += _where_to_start(blocking)
    if undecided:
        how = "and fails the gate" if report.run.unknown_fails else "which this policy only warns of"
        sentences.append(
            f"{_number(len(undecided), 'question')} could not be decided, {how}: see what was not evaluated."
        )
    if report.verdict == "pass":
        if below:
            sentences.append(
                f"{_number(below, 'open violation')} below {report.run.fail_on} would fail it with a lower threshold."
            )
        for waiver in report.waivers:
            if waiver.findings and 0 <= waiver.days_left <= SOON:
                sentences.append(
                    f"The waiver {waiver.id} ends in {_number(waiver.days_left, 'day')}; "
                    f"then {_number(waiver.findings, 'finding')} of it count again."
                )
        if not sentences:
            sentences.append("It fails as soon as one request breaks a rule, or can no longer be decided.")
    return sentences


def days_left(waiver: WaiverInfo) -> str:
    """Say how long a waiver still holds."""
    if waiver.days_left < 0:
        return f"expired {_number(-waiver.days_left, 'day')} ago"
    return "its last day" if waiver.days_left == 0 else f"{_number(waiver.days_left, 'day')} left"


def _violations(report: Report) -> list[Result]:
    return [r for r in report.results if r.verdict is Verdict.FAIL and is_open(r)]


def _undecided(report: Report) -> list[Result]:
    return [r for r in report.results if r.verdict in {Verdict.UNKNOWN, Verdict.ERROR} and is_open(r)]


def _where_to_start(blocking: list[Result]) -> list[str]:
    """Name the lines that most of the findings point at."""
    lines = Counter((r.locations[0].file, r.locations[0].line) for r in blocking if r.locations)
    named = [f"{place_text(file, line, 0)} ({number})" for (file, line), number in lines.most_common(PLACES)]
    if len(blocking) <= 1 or not named:
        return []
    return [f"Most of them come from {', '.join(named)}."]


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
