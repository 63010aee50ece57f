"""`auditor report`: a stored run in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import report_options
from auditor.cli.output import finish, write_reports


@click.command()
@click.argument("file", metavar="RUN.json", type=click.Path(path_type=Path))
@report_options
def report(file: Path, **values: Any) -> int:
    """Render a stored run (a JSON report) in another format.

    The exit status is 0 once it is rendered; with --fail-on it is that of the run held to this severity.
    """
    from dataclasses import replace

    from auditor.audit import exit_status
    from auditor.finding import Severity
    from auditor.report.stored import read

    run = read(file)
    if values["fail_on"]:
        return finish(replace(run, fail_on=Severity[values["fail_on"].upper()]), values)
    write_reports(run, values)
    status, reason = exit_status(run)
    return closing(0, f"rendered a run that ended with {status}: {reason}")
