"""`auditor fleet`: many targets in one go."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import SEVERITIES
from auditor.cli.recorded import open_history, where
from auditor.errors import UsageError

if TYPE_CHECKING:
    from auditor.fleet.engines import Done, Groups
    from auditor.history.database import Database


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--engine", default="threads", metavar="threads|dask[:ADDRESS]", help="Where the audits run.")
@click.option("--workers", default=16, show_default=True, type=click.IntRange(1, 512), help="Audits at the same time.")
@click.option("--shard", metavar="I/N", help="Only part I of N, for job arrays; each part names the same --run.")
@click.option("--run", "fleet_run", metavar="ID", help="The id of the fleet run; one that was cut short goes on.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), default="medium", help="Exit 1 at this severity and above.")
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@click.option("-q", "--quiet", is_flag=True, help="Only the report.")
@where
def fleet(file: Path, engine: str, fleet_run: str | None, form: str, **values: Any) -> int:
    """Audit the targets of a fleet file; each result is kept in the history as it arrives.

    A target that cannot be audited is a row with its reason. Targets that share a host are audited one after the other.
    Cut short, the same command with --run ID does what is left.
    """
    from auditor.fleet.entries import grouped, read, sharded
    from auditor.history import outbox
    from auditor.recording import unpacked

    entries = read(file)
    groups = grouped(entries)
    if values["shard"]:
        groups = sharded(groups, *_part(values["shard"]))
    kept = open_history(values["history_url"])
    name = fleet_run or datetime.now(UTC).strftime("fleet-%Y%m%dT%H%M%S")
    try:
        there = outbox.done(kept.database, name)
        left = [group for whole in groups if (group := tuple(e for e in whole if e.name not in there))]
        number = sum(map(len, left))
        if not values["quiet"]:
            done = f", {sum(map(len, groups)) - number} are there already" if there else ""
            click.echo(f"fleet run {name}: {number} targets{done}", err=True)
        for entry, said in _shown(_engine(engine, left, values), number, values):
            kept.record(unpacked(entry, said), target=entry.name, fleet=name)
        return _report(kept.database, name, form, values["fail_on"])
    except KeyboardInterrupt:
        click.echo(f"what was done is kept; auditor fleet {file} --run {name} does the rest", err=True)
        raise
    finally:
        kept.close()


def _part(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not slash or not index.isdigit() or not count.isdigit() or not 1 <= int(index) <= int(count):
        raise UsageError(f"--shard {text} is no part", hint="such as 1/8 for the first of eight")
    return int(index), int(count)


def _engine(engine: str, groups: Groups, values: dict[str, Any]) -> Iterator[Done]:
    from auditor.fleet.engines import on_dask, on_threads
    from auditor.recording import packed

    kind, _, address = engine.partition(":")
    if kind == "threads" and not address:
        return on_threads(groups, packed, values["workers"])
    if kind == "dask":
        say = (lambda _text: None) if values["quiet"] else lambda text: click.echo(text, err=True)
        return on_dask(groups, packed, values["workers"], address, say)
    raise UsageError(f"there is no engine {engine!r}", hint="threads, dask, or dask:tcp://scheduler:8786")


def _shown(done: Iterator[Done], number: int, values: dict[str, Any]) -> Iterator[Done]:
    """Draw how far the fleet is, on stderr where a person watches."""
    if values["quiet"] or not sys.stderr.isatty():
        yield from done
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("targets", total=number)
        for item in done:
            yield item
            bar.advance(task)


def _report(database: Database, name: str, form: str, fail_on: str) -> int:
    """Print the fleet report, and return the exit status."""
    from auditor.finding import Severity
    from auditor.history import queries

    rows = queries.runs(database, queries.Asked(size=10_000_000), fleet=name).rows
    common = queries.commonest(database, name)
    grave = [f"open_{severity.word}" for severity in Severity if severity >= Severity[fail_on.upper()]]
    failing = sum(1 for row in rows if any(row[column] for column in grave))
    silent = sum(1 for row in rows if not row["reached"])
    undecided = sum(1 for row in rows if row["reached"] and row["undecided"])
    verdicts: dict[str, int] = {}
    for row in rows:
        verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + 1
    worst = sorted(rows, key=lambda row: (*(-row[column] for column in queries.OPEN), row["reached"], row["name"]))
    if form == "json":
        click.echo(json.dumps(_as_json(name, verdicts, worst, common), indent=2))
    else:
        click.echo(_as_table(verdicts, worst, common), nl=False)
    reason = (
        f"{len(rows)} targets: {failing} with open findings at or above {fail_on}, "
        f"{silent} could not be audited, {undecided} with something undecided"
    )
    return closing(1 if failing else 3 if silent or undecided else 0, reason)


def _as_json(name: str, verdicts: dict[str, int], rows: list[Any], common: list[Any]) -> dict[str, Any]:
    from auditor.cli.keeping import shown
    from auditor.finding import Severity

    commonest = [{**row, "severity": Severity(row["severity"]).word} for row in common]
    runs = [shown(row) for row in rows]
    return {"version": 1, "fleet": name, "by_verdict": verdicts, "commonest": commonest, "targets": runs}


def _as_table(verdicts: dict[str, int], rows: list[Any], common: list[Any]) -> str:
    from auditor.finding import Severity
    from auditor.history.queries import OPEN
    from auditor.report.listing import render

    worst = [
        (
            *(row["name"], row["verdict"], ", ".join(f"{row[c]} {c[5:]}" for c in OPEN if row[c]) or "-"),
            *(row["reason"][:60] or "-", f"auditor history show {row['id']}"),
        )
        for row in rows[:20]
        if row["verdict"] != "pass"
    ]
    parts = [render(("verdict", "targets"), sorted(verdicts.items()))]
    if common:
        lines = [(row["check"], Severity(row["severity"]).word, row["targets"], row["results"]) for row in common]
        parts.append(render(("commonest violation", "severity", "targets", "findings"), lines))
    if worst:
        parts.append(render(("worst targets", "verdict", "open", "why", "more"), worst))
    return "\n".join(parts)
