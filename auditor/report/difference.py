"""`auditor diff` for a terminal: a request, what it loses, what it gains."""

from __future__ import annotations

from auditor.difference import Comparison, Difference
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE
from auditor.report.text import curl_line, visible, where


def render(comparison: Comparison) -> str:
    """Return the changes like a diff, then what is not decided; nothing where there is neither."""
    open_ = "".join(f"not decided: {visible(item.reason)}\n{_at(item.location)}" for item in comparison.undecided)
    return "".join(_one(change) for change in comparison.changes) + open_


def _at(location: Location | None) -> str:
    return "" if location is None else f"  --> {where(location)}\n"


def _one(change: Difference) -> str:
    lines = [curl_line(change.request)]
    lines += [f"  old: {where(change.old)}"] if change.old else []
    lines += [f"  new: {where(change.new)}"] if change.new else []
    lines += [f"  - {_shown(line)}" for line in change.lost]
    lines += [f"  + {_shown(line)}" for line in change.gained]
    if change.alike:
        lines.append(f"  and {change.alike} more cells of requests alike")
    return "\n".join(lines) + "\n\n"


def _shown(line: str) -> str:
    return visible(line.replace(UNKNOWN_VALUE, "\N{HORIZONTAL ELLIPSIS}"))
