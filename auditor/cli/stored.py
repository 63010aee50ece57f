"""`auditor report`: a stored run in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import report_options
from auditor.cli.output import write_reports

if TYPE_CHECKING:
    from auditor.report.model import Report


@click.command()
@click.argument("file", metavar="RUN.json", type=click.Path(path_type=Path))
@report_options
def report(file: Path, **values: Any) -> int:
    """Render a stored run (a JSON report) in another format.

    The exit status is 0 once it is rendered; with --fail-on it is that of the run held to this severity.
    """
    from auditor.report.stored import read_report

    return rendered(read_report(file), values)


def rendered(stored: Report, values: dict[str, Any]) -> int:
    """Render a report that was made before, and return the exit status."""
    from auditor.audit import exit_status
    from auditor.report.stored import run
    from auditor.report.verdict import held_to

    if values["fail_on"]:
        stored = held_to(stored, values["fail_on"])
    write_reports(stored, values)
    status, reason = exit_status(run(stored))
    if not values["fail_on"]:
        return closing(0, f"rendered a run that ended with {status}: {reason}")
    return closing(0 if values["exit_zero"] and status == 1 else status, reason)
