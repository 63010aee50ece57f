"""`auditor check`, `live` and `audit`: decide a policy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.options import asked, audit_options, live_options, selection
from auditor.cli.output import finish

if TYPE_CHECKING:
    from auditor.finding import Run
    from auditor.options import LiveOptions, Options


@click.command()
@selection
@audit_options
def check(**values: Any) -> int:
    """Decide the policy from the configuration alone: the gate for CI. No server, no nginx, no network."""
    from auditor.audit import check as audit_check

    options = asked("check", values)
    return finish(audit_check(options), values)


@click.command()
@selection
@audit_options
@live_options
def live(**values: Any) -> int:
    """Ask the running stack alone: bounded, polite, never off target."""
    from auditor.audit import live as audit_live

    options = asked("live", values)
    return _live(audit_live, options, values)


@click.command()
@selection
@audit_options
@live_options
def audit(**values: Any) -> int:
    """Decide the policy from the configuration, then show the same on the running stack, and where the two disagree."""
    from auditor.audit import audit as audit_both

    options = asked("audit", values)
    return _live(audit_both, options, values)


def _live(command: Callable[[Options, LiveOptions], Run], options: Options, values: dict[str, Any]) -> int:
    from auditor.options import LiveOptions

    def progress(done: int, total: int) -> None:
        if not values["quiet"] and sys.stderr.isatty():
            click.echo(f"\r{done}/{total} requests", nl=done == total, err=True)

    live_options = LiveOptions(
        dry_run=values["dry_run"],
        ca_file=values["ca_file"],
        insecure=values["insecure"],
        progress=progress,
        say=click.echo,
        measure_limits=values["measure_limits"],
        browser=values["browser"],
    )
    return finish(command(options, live_options), values)
