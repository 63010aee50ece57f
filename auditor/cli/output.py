"""A run becomes reports and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing
from auditor.cli.terminal import coloured, wants_colour
from auditor.errors import UsageError
from auditor.report.formats import render

if TYPE_CHECKING:
    from auditor.finding import Run
    from auditor.report.model import Report
    from auditor.report.view import View


def finish(result: Run, values: dict[str, Any], keep: Callable[[Report], None] | None = None) -> int:
    """Report a run as asked, keep it where it is to be kept, and return its exit status, said on stderr."""
    from auditor.audit import exit_status
    from auditor.report.build import report

    made = report(result)
    write_reports(made, values)
    if keep is not None:
        keep(made)
    status, reason = exit_status(result)
    if values["exit_zero"] and status == 1:
        status = 0
    return closing(status, reason)


def write_reports(report: Report, values: dict[str, Any]) -> None:
    """Write a report in every format asked for, on stdout (the table where none is) and to files."""
    from auditor.finding import Severity
    from auditor.report.view import View, narrowed

    minimum = Severity[values["min_severity"].upper()]
    view = View(minimum, verbose=values["verbose"], earlier=_earlier(values["compare"]))
    shown = narrowed(report, minimum)
    for name in values["formats"] or (() if values["outputs"] else ("table",)):
        content = render(name, shown, view)
        if isinstance(content, bytes) and sys.stdout.isatty():
            raise UsageError(f"a {name} report is not for a terminal", hint=f"write it to a file: -o {name}=FILE")
        if name == "table" and isinstance(content, str) and wants_colour():
            content = coloured(content)
        click.echo(content, nl=False, color=True)
    for name, file in values["outputs"].items():
        content = render(name, shown, view)
        try:
            Path(file).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        except OSError as error:
            raise UsageError(f"cannot write the {name} report to {file}: {error.strerror}") from error
    if "github" in {*values["formats"], *values["outputs"]}:
        _job_summary(shown, view)


def _earlier(file: Path | None) -> Report | None:
    """Read the stored run that this one is compared with."""
    if file is None:
        return None
    from auditor.report.stored import read_report

    return read_report(file)


def _job_summary(report: Report, view: View) -> None:
    """Append the report to the step's summary where the GitHub runner names a file for it."""
    from auditor.report.github import SUMMARY_LIMIT, summary

    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        with Path(name).open("ab") as file:
            file.write(summary(report, view, SUMMARY_LIMIT - file.tell()).encode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot write the job summary to {name}: {error.strerror}") from error
