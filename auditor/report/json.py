"""The JSON report, version 1; see `stored` to read it."""

from __future__ import annotations

import re

from auditor.report.model import Report
from auditor.report.text import INVISIBLE, is_visible
from auditor.report.view import View

_TO_ESCAPE = re.compile(rf"{INVISIBLE.pattern}|#(?=#\[)")


def render(report: Report, view: View) -> str:
    """Return the report as JSON text: two spaces, a final newline, nothing invisible and no workflow command."""
    del view
    lines = report.model_dump_json(indent=2).split("\n")
    return "\n".join([line if is_visible(line) else _TO_ESCAPE.sub(_escaped, line) for line in lines]) + "\n"


def _escaped(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
