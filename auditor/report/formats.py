"""Which formats there are, and how a report is rendered in one of them; each is loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.report.model import Report
    from auditor.report.view import View

FORMATS = ("table", "json", "sarif", "junit", "github", "gitlab", "markdown", "html", "pdf")
"""What `-f` and `-o` take, each the name of a module of this package with a `render(report, view)`."""


def render(name: str, report: Report, view: View) -> str | bytes:
    """Return a report in one format: text, or bytes where the format is not text."""
    result: str | bytes = import_module(f"auditor.report.{name}").render(report, view)
    return result
