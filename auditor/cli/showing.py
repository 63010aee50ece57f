"""`auditor demo`: the reference stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from auditor.cli.options import report_options
from auditor.cli.output import finish

if TYPE_CHECKING:
    from auditor.demo import State


@click.command()
@click.option(
    "--state", type=click.Choice(("as-documented", "hardened")), default="as-documented", help="Which state to run."
)
@click.option("--keep", is_flag=True, help="Keep the stack running until Ctrl-C.")
@click.option(
    "--write", "write_to", type=click.Path(path_type=Path), help="Only write the stack and its policy into a folder."
)
@click.option("--path-binaries", is_flag=True, help="Prefer nginx and traefik found on PATH.")
@click.option("--browser", is_flag=True, help="Replay each CORS and WebSocket witness in Chromium.")
@report_options
def demo(state: str, write_to: Path | None, *, keep: bool, path_binaries: bool, browser: bool, **values: Any) -> int:
    """Run the reference stack on loopback and audit it both ways."""
    from auditor.showing import demo as show_demo

    if write_to is not None:
        from auditor.demo import write

        written = write(cast("State", state), write_to)
        click.echo(f"written: {written}\naudit it: auditor check {written}")
        return 0
    return show_demo(
        cast("State", state),
        keep=keep,
        path_binaries=path_binaries,
        browser=browser,
        fail_on=values["fail_on"],
        say=lambda text: click.echo(text, err=True),
        finish=lambda result: finish(result, values),
    )
