"""`auditor trace`, `diff` and `explain`: questions about a configuration or a check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import pairs
from auditor.errors import UsageError


@click.command()
@click.argument("url", metavar="REQUEST", required=False)
@click.option(
    "-c", "--config", "configs", multiple=True, type=click.Path(path_type=Path), required=True, help="The nginx file."
)
@click.option("-X", "--request", "method", metavar="METHOD", default="GET", help="The method.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME: VALUE", help="A request header.")
@click.option(
    "--prefix", type=click.Path(path_type=Path), help="Where relative paths start (default: the file's folder)."
)
@click.option(
    "--mount", "mounts", multiple=True, callback=pairs, metavar="INSIDE=HERE", help="Where a container path is."
)
@click.option("--var", "variables", multiple=True, callback=pairs, metavar="K=V", help="A template variable.")
@click.option("--nginx-version", metavar="X.Y.Z", help="The nginx version to model (default: latest).")
@click.option(
    "--requests", "requests_file", type=click.Path(path_type=Path), help="A file of requests, a JSON object a line."
)
@click.option("-f", "--format", "form", type=click.Choice(("text", "json")), default="text")
def trace(url: str | None, **values: Any) -> int:
    """Show what this configuration would answer, and which line made each header."""
    from auditor.tracing import trace_file, trace_one

    if values["requests_file"] is not None:
        for line in trace_file(values["requests_file"], values):
            click.echo(line)
        return 0
    if url is None:
        raise UsageError("name a request, such as http://shop.example/api/x, or a file of them with --requests")
    click.echo(trace_one(url, values))
    return 0


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--mount", "mounts", multiple=True, callback=pairs, metavar="INSIDE=HERE", help="Where a container path is."
)
@click.option("--var", "variables", multiple=True, callback=pairs, metavar="K=V", help="A template variable.")
@click.option("--nginx-version", metavar="X.Y.Z", default="1.31.3", help="The nginx version to model.")
def diff(old: Path, new: Path, mounts: dict[str, str], variables: dict[str, str], nginx_version: str) -> int:
    """Show which requests get another answer from a new nginx configuration: exit 1 if any does, 3 if it is not decided."""
    from auditor.difference import compare
    from auditor.report.difference import render

    comparison = compare(old, new, mounts=mounts, variables=variables, version=nginx_version)
    click.echo(render(comparison), nl=False)
    changes, open_ = len(comparison.changes), len(comparison.undecided)
    status = 1 if changes else 3 if open_ else 0
    return closing(status, f"{changes} changes of answers; {open_} undecided")


def _check_ids(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    """Return the checks whose id begins as typed, for the shell's completion."""
    from auditor.audit import catalogue

    return sorted(info.id for info in catalogue() if info.id.startswith(typed))


@click.command()
@click.argument("check_id", metavar="CHECK", required=False, shell_complete=_check_ids)
def explain(check_id: str | None) -> int:
    """Show the page of one check; without one, list them all."""
    from auditor.checks import CHECKS, page
    from auditor.checks.of_the_audit import OF_THE_AUDIT

    if check_id is None:
        for check in CHECKS:
            click.echo(f"{check.CHECK.id:<36} {check.CHECK.severity.word:<9} {check.CHECK.title}")
        for info in OF_THE_AUDIT:
            click.echo(f"{info.id:<36} {info.severity.word:<9} {info.title}")
        return 0
    click.echo(page(check_id))
    return 0
