"""GitHub Actions: annotations as workflow commands, and the job's summary as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auditor.finding import Verdict
from auditor.report.markdown import parts
from auditor.report.model import Report, Result
from auditor.report.verdict import headline
from auditor.report.view import View, findings, grouped, is_open, others, places, repository_paths, severity_of

COMMAND = {"critical": "error", "high": "error", "medium": "warning", "low": "notice", "info": "notice"}
PER_STEP = 10
"""Annotations of each kind that GitHub keeps of one step."""

SUMMARY_LIMIT = 1024 * 1024
"""Bytes of a step's summary; the upload of a longer one is aborted."""

_MARGIN = 256


def render(report: Report, view: View) -> str:
    """Return the open findings as annotations, the worst first, as many as GitHub shows; the rest are counted."""
    del view
    groups = [group for group in grouped(findings(report)) if is_open(group[0])]
    groups.sort(key=lambda group: (group[0].verdict is not Verdict.FAIL, -severity_of(group[0])))
    by_command: dict[str, list[list[Result]]] = {"error": [], "warning": [], "notice": []}
    for group in groups:
        first = group[0]
        by_command[COMMAND[first.severity] if first.verdict is Verdict.FAIL else "warning"].append(group)
    kept = {name: of[: PER_STEP - (name == "notice")] for name, of in by_command.items()}
    left = sum(len(of) for of in by_command.values()) - sum(len(of) for of in kept.values())
    path_of = repository_paths()
    lines = [_annotation(report, name, group, path_of) for name, of in kept.items() for group in of]
    closing = headline(report) + (f"; {left} more places are in the job summary and the other reports" if left else "")
    lines.append(f"::notice title=auditor::{_data(closing)}")
    return "\n".join(lines) + "\n"


def summary(report: Report, view: View, room: int = SUMMARY_LIMIT) -> str:
    """Return the job's summary within a number of bytes: where it is too long, the last findings are left out."""
    head, details, tail = parts(report, view)
    budget = room - _MARGIN - sum(_size(part) for part in tail)
    kept: list[str] = []
    for number, part in enumerate((*head, *details)):
        budget -= _size(part)
        if budget < 0:
            left = len(head) + len(details) - number
            kept.append(f"*{left} parts of this report are left out here: it would be longer than GitHub shows.*")
            break
        kept.append(part)
    whole = "\n\n".join((*kept, *tail)) + "\n"
    return whole if len(whole.encode()) <= room else f"**{headline(report)}**\n"


def _size(part: str) -> int:
    return len(part.encode()) + 2


def _annotation(report: Report, command: str, group: Sequence[Result], path_of: Callable[[str], str]) -> str:
    first = group[0]
    span = places(report, first)[0]
    properties = {"file": path_of(span.file)}
    if span.line:
        properties |= {"line": str(span.line), "endLine": str(span.line)}
    if span.line and span.column:
        properties["col"] = str(span.column)
        if span.end_column > span.column:
            properties["endColumn"] = str(span.end_column)
    properties["title"] = f"{first.severity if first.verdict is Verdict.FAIL else first.verdict.value}: {first.check}"
    text = [first.message]
    text += [f"expected: {first.expected}"] if first.expected else []
    text += [f"found: {first.observed}"] if first.observed else []
    text += [first.witness.curl] if first.witness else []
    more = others(group)
    text += [f"and {len(more)} more like this at this line"] if more else []
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {told}::{_data(chr(10).join(text))}"


def _data(text: str) -> str:
    """Escape what follows the second `::` (actions/toolkit, core/src/command.ts, escapeData)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property's value (actions/toolkit, core/src/command.ts, escapeProperty)."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
