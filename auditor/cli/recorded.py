"""`--record`: a run is kept in the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.options import Command

if TYPE_CHECKING:
    from concurrent.futures import Future

    from auditor.history.store import History
    from auditor.report.model import Report

Keep = Callable[["Report"], None]

where = click.option(
    "--history", "history_url", metavar="URL", help="A SQLite file or postgresql:// URL (default: $AUDITOR_HISTORY)."
)


def record_options(function: Command) -> Command:
    """Add the options that say whether and where a run is kept."""
    function = click.option(
        "--as", "record_as", metavar="NAME", help="Its target in the history (default: the policy)."
    )(function)
    return click.option("--record", is_flag=True, help="Keep the run in the history.")(where(function))


def keeper(values: dict[str, Any]) -> Keep | None:
    """Return what keeps a run, None where nothing is to be kept; the history opens while the audit runs."""
    if not values["record"] or values.get("dry_run"):
        return None
    from concurrent.futures import ThreadPoolExecutor

    executor = ThreadPoolExecutor(1)
    opening: Future[History] = executor.submit(open_history, values["history_url"])

    def keep(report: Report) -> None:
        history = opening.result()
        executor.shutdown()
        recorded = history.record(
            report.model_dump(mode="json"), target=values["record_as"] or name_of(report, values["targets"])
        )
        history.close()
        if not values["quiet"]:
            new, fixed = len(recorded.drift.of("new")), len(recorded.drift.of("fixed"))
            since = "the first of its target" if recorded.drift.first else f"{new} new, {fixed} fixed since the last"
            click.echo(f"recorded: run {recorded.run} of {recorded.target} ({since})", err=True)

    return keep


def name_of(report: Report, targets: tuple[str, ...] = ()) -> str:
    """Return the name that a run's target has in the history unless another is given."""
    policy = report.run.policy
    environment = f"@{policy.environment}" if policy.environment else ""
    return f"{policy.name}{environment}" + (f" ({', '.join(sorted(targets))})" if targets else "")


def open_history(url: str | None) -> History:
    """Open the history; UsageError where its libraries are not installed."""
    from auditor.errors import UsageError

    try:
        from auditor.history.store import History
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'edge-auditor[history]'") from None
    return History.open(url)
