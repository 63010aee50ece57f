"""The report for a terminal: findings shaped like a compiler's, then one table of them all."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from auditor.finding import Finding, Note, Run, Severity, Verdict
from auditor.report.text import curl_line, source_line, visible, where

MORE = 3
"""How many further findings at one line are spelled out."""

EVIDENCE = {
    "predicted": "predicted",
    "observed": "observed",
    "both": "predicted and observed",
    "contradicted": "predicted, contradicted live",
}


def render(run: Run, *, minimum: Severity = Severity.INFO, verbose: bool = False) -> str:
    """Return the whole report; findings below `minimum` are counted but not shown."""
    shown = [f for f in run.findings if f.verdict is not Verdict.PASS and f.severity >= minimum]
    parts = [group_text(group) for group in grouped(shown)]
    if shown:
        parts.append(_table(shown))
    if verbose:
        parts.append(_passes(run))
    parts.append(summary(run))
    return "\n\n".join(part for part in parts if part) + "\n"


def grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Put findings of one check that point at one line together, in the order of the first of each."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        place = str(finding.notes[0].location) if finding.notes else finding.fingerprint
        groups.setdefault((finding.verdict.value, finding.check, place), []).append(finding)
    return list(groups.values())


def group_text(group: Sequence[Finding]) -> str:
    """Return the first finding of a group in full, and the others as a line each (a few of them)."""
    text = finding_text(group[0])
    others = list(dict.fromkeys(visible(f.message) for f in group[1:] if f.message != group[0].message))
    if not others:
        return text
    body, _, closing = text.rpartition("\n")
    listed = [f"   = also: {message}" for message in others[:MORE]]
    if len(others) > MORE:
        listed.append(f"   = also: {len(others) - MORE} more like these at this line")
    return "\n".join((body, *listed, closing))


def finding_text(finding: Finding) -> str:
    """Return one finding as a compiler would print it."""
    word = finding.severity.word if finding.verdict is Verdict.FAIL else finding.verdict.value
    lines = [f"{word}[{finding.check}]: {visible(finding.message)}"]
    for index, note in enumerate(finding.notes):
        lines += _excerpt(note, primary=index == 0)
    if finding.expected:
        lines.append(f"   = expected: {visible(finding.expected)}")
    if finding.observed:
        lines.append(f"   = found: {visible(finding.observed)}")
    if finding.rule_location is not None:
        lines.append(f"   = rule: {visible(finding.rule)} ({where(finding.rule_location)})")
    if finding.witness is not None:
        lines.append(f"   = witness ({EVIDENCE[finding.evidence]}): {curl_line(finding.witness.request)}")
    if finding.in_browser:
        lines.append(f"   = browser: {visible(finding.in_browser)}")
    if finding.remediation:
        lines.append(f"   = why: {visible(finding.remediation)}")
    if finding.waiver:
        lines.append(f"   = {finding.disposition}: {visible(finding.waiver)}")
    lines.append(f"   = help: auditor explain {finding.check}")
    return "\n".join(lines)


def _excerpt(note: Note, *, primary: bool) -> list[str]:
    location = note.location
    lines = [f"  {'-->' if primary else ':::'} {where(location)}"]
    source = source_line(location)
    if not source:
        return [*lines, f"   = note: {visible(note.text)}"] if note.text else lines
    gutter = str(location.line)
    column = max(location.column, 1)
    width = max(location.end_column - column, 1) if location.end_column else max(len(source.split("#")[0].strip()), 1)
    caret = "^" if primary else "-"
    indent = " " * (column - 1 if location.column else len(source) - len(source.lstrip()))
    lines.append(f"{gutter:>4} | {source}")
    lines.append(f"     | {indent}{caret * min(width, 60)} {visible(note.text)}".rstrip())
    return lines


def _table(findings: Sequence[Finding]) -> str:
    rows = []
    for group in grouped(findings):
        first = group[0]
        evidence = sorted({f.evidence for f in group})
        rows.append(
            (
                first.severity.word if first.verdict is Verdict.FAIL else first.verdict.value,
                first.check,
                ", ".join(dict.fromkeys(f.route or f.rule for f in group)),
                where(first.notes[0].location) if first.notes else where(first.rule_location),
                first.disposition if first.disposition in {"waived", "baselined"} else " ".join(evidence),
                len(group),
            )
        )
    headers = ("severity", "check", "route", "where", "evidence", "findings")
    return tabulate(rows, headers=headers, tablefmt="simple")


def _passes(run: Run) -> str:
    rows = [(f.check, f.rule, f.message) for f in run.findings if f.verdict is Verdict.PASS]
    return tabulate(rows, headers=("passed check", "rule", "evaluated"), tablefmt="simple") if rows else ""


def summary(run: Run) -> str:
    """Return the line that says how much was evaluated."""
    counts = {verdict: sum(1 for f in run.findings if f.verdict is verdict) for verdict in Verdict}
    sent = f", {run.requests_sent} requests sent" if run.requests_sent else ""
    return (
        f"{counts[Verdict.FAIL]} violations, {counts[Verdict.UNKNOWN]} unknown, {counts[Verdict.ERROR]} errors, "
        f"{counts[Verdict.PASS]} checks passed; {run.requests_evaluated} requests evaluated in {run.cells} cells{sent}"
    )
