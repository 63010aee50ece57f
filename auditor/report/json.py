"""The JSON report, version 1."""

from __future__ import annotations

from auditor.report.model import Report
from auditor.report.view import View


def render(report: Report, view: View) -> str:
    """Return the report as JSON text: two spaces, a final newline."""
    del view
    return report.model_dump_json(indent=2) + "\n"
