"""The report for a terminal: findings shaped like a compiler's, then one table of them all."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.finding import Verdict
from auditor.report.model import Report, Result, Span
from auditor.report.view import (
    EVIDENCE,
    View,
    findings,
    grouped,
    others,
    rule_text,
    span_text,
    summary_line,
    where,
    word,
)

MORE = 3
"""How many further findings at one line are spelled out."""

WIDEST = 60
"""How many carets mark a span at most."""


def render(report: Report, view: View) -> str:
    """Return the whole report."""
    groups = grouped(findings(report))
    parts = [group_text(group) for group in groups]
    if groups:
        parts.append(_table(groups))
    if view.verbose:
        parts.append(_passes(report))
    parts.append(summary_line(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def group_text(group: Sequence[Result]) -> str:
    """Return the first finding of a group in full, and the others as a line each (a few of them)."""
    text = finding_text(group[0])
    more = others(group)
    if not more:
        return text
    body, _, closing = text.rpartition("\n")
    listed = [f"   = also: {message}" for message in more[:MORE]]
    if len(more) > MORE:
        listed.append(f"   = also: {len(more) - MORE} more like these at this line")
    return "\n".join((body, *listed, closing))


def finding_text(result: Result) -> str:
    """Return one finding as a compiler would print it."""
    lines = [f"{word(result)}[{result.check}]: {result.message}"]
    for span in result.locations:
        lines += _excerpt(span)
    if result.expected:
        lines.append(f"   = expected: {result.expected}")
    if result.observed:
        lines.append(f"   = found: {result.observed}")
    if result.rule_location is not None:
        lines.append(f"   = rule: {result.rule} ({rule_text(result)})")
    if result.witness is not None:
        lines.append(f"   = witness ({EVIDENCE[result.evidence]}): {result.witness.curl}")
    if result.agreement and result.evidence != "both":
        lines.append(f"   = live: {result.agreement}")
    if result.in_browser:
        lines.append(f"   = browser: {result.in_browser}")
    if result.remediation:
        lines.append(f"   = why: {result.remediation}")
    if result.waiver:
        lines.append(f"   = {result.disposition}: {result.waiver}")
    lines.append(f"   = help: auditor explain {result.check}")
    return "\n".join(lines)


def _excerpt(span: Span) -> list[str]:
    lines = [f"  {'-->' if span.primary else ':::'} {span_text(span)}"]
    if not span.source:
        return [*lines, f"   = note: {span.note}"] if span.note else lines
    indent, carets = carets_of(span)
    lines.append(f"{span.line:>4} | {span.source}")
    lines.append(f"     | {' ' * indent}{carets} {span.note}".rstrip())
    return lines


def carets_of(span: Span) -> tuple[int, str]:
    """Return how far in the carets stand below the source line, and the carets."""
    column = max(span.column, 1)
    statement = len(span.source.split("#", maxsplit=1)[0].strip())
    width = max(span.end_column - column, 1) if span.end_column else max(statement, 1)
    indent = column - 1 if span.column else len(span.source) - len(span.source.lstrip())
    return indent, ("^" if span.primary else "-") * min(width, WIDEST)


def _table(groups: Sequence[Sequence[Result]]) -> str:
    rows = []
    for group in groups:
        first = group[0]
        evidence = sorted({r.evidence for r in group})
        rows.append(
            (
                word(first),
                first.check,
                ", ".join(dict.fromkeys(r.route or r.rule for r in group)),
                where(first),
                first.disposition if first.disposition in {"waived", "baselined"} else " ".join(evidence),
                len(group),
            )
        )
    return _aligned(rows, ("severity", "check", "route", "where", "evidence", "findings"))


def _passes(report: Report) -> str:
    rows = [(r.check, r.rule, r.message) for r in report.results if r.verdict is Verdict.PASS]
    return _aligned(rows, ("passed check", "rule", "evaluated")) if rows else ""


def _aligned(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    from tabulate import tabulate  # noqa: PLC0415 - a run that finds nothing prints no table

    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)
