"""A run becomes reports and an exit status."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import FORMATS
from auditor.errors import UsageError

if TYPE_CHECKING:
    from auditor.finding import Run


def finish(result: Run, values: dict[str, Any]) -> int:
    """Report a run as asked, and return its exit status, said on stderr."""
    from auditor.audit import exit_status

    write_reports(result, values)
    status, reason = exit_status(result)
    if values["exit_zero"] and status == 1:
        status = 0
    return closing(status, reason)


def write_reports(result: Run, values: dict[str, Any]) -> None:
    """Print the formats asked for on stdout, or the table, and write those that have a file."""
    from auditor.finding import Severity

    settings = {"minimum": Severity[values["min_severity"].upper()], "verbose": values["verbose"]}
    for name in values["formats"] or (() if values["outputs"] else ("table",)):
        click.echo(_render(name, result, settings), nl=False)
    for name, file in values["outputs"].items():
        if name not in FORMATS:
            raise UsageError(f"no format {name!r}", hint=f"one of {', '.join(FORMATS)}")
        try:
            Path(file).write_text(_render(name, result, settings), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write the {name} report to {file}: {error.strerror}") from error


def _render(name: str, result: Run, settings: dict[str, Any]) -> str:
    from importlib import import_module

    module = import_module(f"auditor.report.{name}")
    text: str = module.render(result, **settings)
    return text
