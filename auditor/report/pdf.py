"""The review report as PDF: the HTML page, laid out by WeasyPrint, which fetches nothing."""

from __future__ import annotations

from typing import Any

from auditor.errors import UsageError
from auditor.report.html import render as render_html
from auditor.report.model import Report
from auditor.report.view import View


def render(report: Report, view: View) -> bytes:
    """Return the PDF. Raises UsageError where WeasyPrint, or the libraries that it needs, are not installed."""
    try:
        from weasyprint import HTML  # noqa: PLC0415 - an extra, and slow to load
        from weasyprint.urls import URLFetcher  # noqa: PLC0415 - as above
    except (ImportError, OSError) as error:
        hint = "pip install 'edge-auditor[pdf]', and Pango (on Debian: libpangoft2-1.0-0)"
        raise UsageError(f"the format pdf needs WeasyPrint: {str(error).splitlines()[0]}", hint=hint) from None

    class Nothing(URLFetcher):  # type: ignore[misc]
        """Refuses every address: the page has all that it needs."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            """Refuse."""
            del headers
            raise ValueError(f"the report fetches nothing, and so not {url}")

    page: bytes = HTML(string=render_html(report, view), url_fetcher=Nothing()).write_pdf()
    return page
