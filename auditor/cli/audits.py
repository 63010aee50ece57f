"""`auditor live` and `audit`: decide a policy by asking the running stack."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import asked, audit_options, live_options, selection
from auditor.cli.output import finish
from auditor.cli.recorded import keeper, record_options

if TYPE_CHECKING:
    from auditor.finding import Run
    from auditor.options import LiveOptions, Options


@click.command()
@selection
@audit_options
@live_options
@record_options
def live(**values: Any) -> int:
    """Ask the running stack alone: bounded, polite, never off target."""
    from auditor.audit import live as audit_live

    options = asked("live", values)
    return _live(audit_live, options, values)


@click.command()
@selection
@audit_options
@live_options
@record_options
def audit(**values: Any) -> int:
    """Decide the policy from the configuration, then show the same on the running stack, and where the two disagree."""
    from auditor.audit import audit as audit_both

    options = asked("audit", values)
    return _live(audit_both, options, values)


def _live(command: Callable[[Options, LiveOptions], Run], options: Options, values: dict[str, Any]) -> int:
    from auditor.options import LiveOptions
    from auditor.report.text import visible

    keep = keeper(values)
    with _progress(shown=not values["quiet"] and sys.stderr.isatty()) as progress:
        result = command(
            options,
            LiveOptions(
                dry_run=values["dry_run"],
                ca_file=values["ca_file"],
                insecure=values["insecure"],
                env_proxies=values["env_proxies"],
                progress=progress,
                say=lambda line: click.echo(visible(line)),
                note=lambda text: None if values["quiet"] else click.echo(f"note: {visible(text)}", err=True),
                measure_limits=values["measure_limits"],
                browser=values["browser"],
                fuzz=values["fuzz"],
                seed=values["seed"],
                replay=values["replay"],
            ),
        )
    if values["dry_run"]:
        return closing(0, "a dry run: nothing was sent")
    return finish(result, values, keep)


@contextlib.contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Draw how far the requests are, and how long they still take, on stderr where a person watches."""
    if not shown:
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("requests", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
