"""Plain tables of what the history holds, for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from auditor.report.text import visible


def render(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; values from servers are shown with their control characters visible."""
    cells = [[visible(str(value)) for value in row] for row in rows]
    return tabulate(cells, headers=headers, tablefmt="simple", disable_numparse=True) + "\n"
