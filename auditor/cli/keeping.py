"""`auditor history`: runs that were kept are listed, shown and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import report_options
from auditor.cli.recorded import name_of, open_history, where

if TYPE_CHECKING:
    from auditor.history.drift import Change
    from auditor.history.queries import Difference


@click.group()
def history() -> None:
    """List, show and compare recorded runs; prune, check and export them."""


@history.command("list")
@click.argument("target", required=False)
@click.option("--targets", "by_target", is_flag=True, help="Each target and its last run, the worst first.")
@click.option("-n", "--number", default=30, show_default=True, help="How many, at most.")
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@where
def list_runs(target: str | None, *, by_target: bool, number: int, form: str, history_url: str | None) -> int:
    """List runs, the latest first (of one target)."""
    kept = open_history(history_url)
    from auditor.history import queries
    from auditor.report.listing import render

    asked = queries.Asked(size=max(number, 1), search=(target or "") if by_target else "")
    page = queries.targets(kept.database, asked) if by_target else queries.runs(kept.database, asked, target=target)
    kept.close()
    if form == "json":
        click.echo(json.dumps([shown(row) for row in page.rows], indent=2))
        return 0
    if not page.rows:
        click.echo("no runs recorded; auditor audit --record keeps one", err=True)
        return 0
    headers = ("run", "finished", "target", "command", "verdict", "open", "undecided", "passed", "changes")
    click.echo(render(headers, [_line(row) for row in page.rows]), nl=False)
    if page.total > len(page.rows):
        click.echo(f"{len(page.rows)} of {page.total}; --number shows more", err=True)
    return 0


def _line(row: Mapping[str, Any]) -> tuple[object, ...]:
    from auditor.history.queries import OPEN

    still = ", ".join(f"{row[name]} {name.removeprefix('open_')}" for name in OPEN if row[name])
    why = [word for word in ("policy", "configuration", "auditor") if row[f"{word}_changed"]]
    changes = " ".join(filter(None, (str(row["changes"] or ""), f"({', '.join(why)} changed)" if why else "")))
    return (
        *(row["id"], moment(row["finished"]), row["name"], row["command"], row["verdict"], still or "-"),
        *(row["undecided"] or "-", row["passed"], changes or "-"),
    )


def moment(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_SHOWN = (
    *("name", "command", "verdict", "reached", "reason", "tool_version", "policy_name", "policy_sha256", "environment"),
    *("requests_sent", "open_critical", "open_high", "open_medium", "open_low", "open_info", "waived", "baselined"),
    *("undecided", "passed", "changes", "policy_changed", "configuration_changed", "auditor_changed", "fleet"),
)


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of a run, as JSON values."""
    times = {name: moment(row[name]) for name in ("started", "finished")}
    return {"run": row["id"], **times, **{name: row[name] for name in _SHOWN}}


@history.command("show")
@click.argument("run", type=int, required=False)
@click.option("--target", help="The last run of this target (default: of all).")
@where
@report_options
def show(run: int | None, target: str | None, history_url: str | None, **values: Any) -> int:
    """Show the report of a run as it was (default: the last), in any format."""
    kept = open_history(history_url)
    from auditor.cli.stored import rendered
    from auditor.history import queries
    from auditor.report.model import Report

    number = queries.latest(kept.database, target) if run is None else run
    report = queries.report(kept.database, number)
    kept.close()
    return rendered(Report.model_validate(report), values)


@history.command("diff")
@click.argument("runs", type=int, nargs=-1)
@click.option("--target", help="The last run of this target (default: of all).")
@click.option("-f", "--format", "form", type=click.Choice(("table", "json")), default="table")
@where
def diff(runs: tuple[int, ...], target: str | None, form: str, history_url: str | None) -> int:
    """Show what changed: RUN since the one before it, or between OLD and NEW; exit 1 where something is new."""
    if len(runs) > 2:
        raise click.UsageError("name one run, or an old and a new one")
    kept = open_history(history_url)
    from auditor.history import queries

    new = runs[-1] if runs else queries.latest(kept.database, target)
    found = queries.difference(kept.database, runs[0] if len(runs) == 2 else None, new)
    kept.close()
    click.echo(json.dumps(as_json(found), indent=2) if form == "json" else "\n".join(_story(found)))
    drift = found.drift
    reason = f"{len(drift.of('new'))} new, {len(drift.of('fixed'))} fixed, {len(drift.of('undecided'))} undecided"
    if drift.of("new"):
        return closing(1, reason)
    return closing(0 if drift.reached and not drift.of("undecided") else 3, reason)


def as_json(found: Difference) -> dict[str, Any]:
    """Return a difference as JSON values."""
    drift = found.drift
    return {
        "version": 1,
        "old": shown(found.old) if found.old is not None else None,
        "new": shown(found.new),
        "reached": drift.reached,
        "policy_changed": drift.policy_changed,
        "configuration_changed": drift.configuration_changed,
        "auditor_changed": drift.auditor_changed,
        "changes": [
            {
                "kind": change.kind,
                "cause": change.cause,
                "check": change.row.check,
                "rule": change.row.rule,
                "route": change.row.route,
                "severity": change.severity.word,
                "fingerprint": change.row.fingerprint,
                "message": found.messages[change.row.document],
            }
            for change in drift.changes
        ],
    }


_HEADLINES = {
    "new": "new",
    "undecided": "not decided this time",
    "evidence": "still open, with other evidence",
    "open": "still open",
    "accepted": "accepted",
    "fixed": "fixed",
}
_CAUSES = {
    "target": "",
    "configuration": " (the configuration changed)",
    "policy": " (the policy changed)",
    "auditor": " (the auditor or its command changed)",
    "waiver": " (a waiver)",
}


def _story(found: Difference) -> list[str]:
    from auditor.report.text import visible

    new, old, drift = found.new, found.old, found.drift
    lines = [f"{visible(new['name'])}: run {new['id']} of {moment(new['finished'])}"]
    if old is None:
        lines.append("the first run of its target: nothing to compare it with")
    else:
        lines[0] += f" compared with run {old['id']} of {moment(old['finished'])}"
    if not drift.reached:
        lines.append(f"target unreachable: {visible(new['reason'])}")
    elif not drift.was_reached:
        lines.append("the target answers again")
    for changed, sentence in (
        (drift.policy_changed, "policy changed: what it brought is not a drift of the target"),
        (drift.auditor_changed, "auditor changed: what it brought is not a drift of the target"),
        (drift.configuration_changed, "configuration changed"),
    ):
        if changed:
            lines.append(sentence)
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in drift.changes:
        groups.setdefault((change.kind, change.cause), []).append(change)
    for (kind, cause), changes in groups.items():
        lines += ["", f"{_HEADLINES[kind]}{_CAUSES[cause] if kind != 'open' else ''}: {len(changes)}"]
        for change in changes:
            what = visible(found.messages[change.row.document])
            lines.append(f"  {change.severity.word}[{change.row.check}] {what}")
    if not drift.changes:
        lines += ["", "no violations in either"]
    return lines


@history.command("prune")
@click.option("--every", default=14.0, show_default=True, metavar="DAYS", help="Keep every run so long.")
@click.option(
    "--telling",
    default=400.0,
    show_default=True,
    metavar="DAYS",
    help="Keep runs with changes, and one a day, so long.",
)
@where
def prune_runs(every: float, telling: float, history_url: str | None) -> int:
    """Remove runs that have outlived their use; a target's last run is always kept."""
    kept = open_history(history_url)
    from auditor.history.keeping import Retention, prune

    removed = prune(kept.database, Retention(every, max(telling, every)))
    kept.close()
    click.echo(f"removed: {removed.runs} runs, {removed.documents} documents", err=True)
    return 0


@history.command("check")
@where
def check_whole(history_url: str | None) -> int:
    """Check that every run is whole; exit 3 where one is not."""
    kept = open_history(history_url)
    from auditor.history.keeping import damaged

    problems = damaged(kept.database)
    kept.close()
    for problem in problems:
        click.echo(problem)
    return closing(3 if problems else 0, f"{len(problems)} problems")


@history.command("metrics")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A file for a textfile collector (default: stdout)."
)
@where
def metrics(output: Path | None, history_url: str | None) -> int:
    """Export the state of every target as Prometheus metrics."""
    kept = open_history(history_url)
    from auditor.errors import UsageError

    try:
        from auditor.watch.metrics import text, write
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'edge-auditor[watch]'") from None
    if output is None:
        click.echo(text(kept.database).decode(), nl=False)
    else:
        write(kept.database, output)
    kept.close()
    return 0


@history.command("import")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--as", "record_as", metavar="NAME", help="Their target in the history (default: the policy of each).")
@where
def import_reports(files: tuple[Path, ...], record_as: str | None, history_url: str | None) -> int:
    """Record JSON reports that were made elsewhere, in the order given."""
    from auditor.report.stored import read_report

    reports = [read_report(file) for file in files]
    kept = open_history(history_url)
    for report in reports:
        recorded = kept.record(report.model_dump(mode="json"), target=record_as or name_of(report))
        click.echo(f"recorded: run {recorded.run} of {recorded.target}", err=True)
    kept.close()
    return 0
