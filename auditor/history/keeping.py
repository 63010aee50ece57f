"""How long runs are kept, and whether what is kept is whole."""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from auditor.dataclass import dataclass
from auditor.history import schema
from auditor.history.database import Database
from auditor.history.records import rows_sha256
from auditor.history.store import chunks, rows_of

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days every run is kept, and for how many those that matter.

    Between the two, each target keeps the runs with changes, and one run a day. The last run of a target that got
    answers, and its last run, are kept for good.
    """

    every: float = 14.0
    telling: float = 400.0


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs and documents were removed."""

    runs: int
    documents: int


def prune(database: Database, retention: Retention, now: float | None = None) -> Pruned:
    """Remove runs that have outlived their use, and documents that no run needs any more."""
    moment = time.time() if now is None else now
    with database.write() as connection:
        gone = list(_outlived(connection, retention, moment))
        for part in chunks(gone):
            for table, key in ((schema.result, "run_id"), (schema.change, "run_id"), (schema.run, "id")):
                connection.execute(sa.delete(table).where(table.c[key].in_(part)))
        connection.execute(
            sa.delete(schema.message).where(
                schema.message.c.state != "waiting", schema.message.c.created < moment - retention.every * DAY
            )
        )
        documents = connection.execute(_unneeded()).rowcount if gone else 0
    return Pruned(len(gone), documents)


def _outlived(connection: Connection, retention: Retention, now: float) -> Iterator[int]:
    run, target = schema.run, schema.target
    needed = set()
    for pair in connection.execute(sa.select(target.c.latest, target.c.latest_reached)):
        needed |= set(pair)
    days: set[tuple[int, int]] = set()
    query = (
        sa.select(run.c.id, run.c.target_id, run.c.finished, run.c.changes, run.c.reach_changed)
        .where(run.c.finished < now - retention.every * DAY)
        .order_by(run.c.id)
    )
    for number, owner, finished, changes, reach_changed in connection.execute(query):
        day = (owner, int(finished // DAY))
        telling = changes > 0 or reach_changed or day not in days
        days.add(day)
        if number not in needed and (not telling or finished < now - retention.telling * DAY):
            yield number


def _unneeded() -> sa.Delete:
    document, run, result, change = schema.document, schema.run, schema.result, schema.change
    used = (result.c.document_id, change.c.document_id, run.c.head_id, run.c.checks_id)
    return sa.delete(document).where(*(~sa.exists(sa.select(column).where(column == document.c.id)) for column in used))


def damaged(database: Database) -> list[str]:
    """Return one line for each thing that is not whole: a run that lacks results, a pointer that leads nowhere."""
    problems: list[str] = []
    run, target = schema.run, schema.target
    with database.begin() as connection:
        if database.sqlite:
            said = [str(line[0]) for line in connection.execute(sa.text("PRAGMA integrity_check"))]
            problems += [line for line in said if line != "ok"]
            broken = list(connection.execute(sa.text("PRAGMA foreign_key_check")))
            problems += [f"a row of {line[0]} refers to nothing" for line in broken]
        for number, results, sha256 in connection.execute(sa.select(run.c.id, run.c.results, run.c.results_sha256)):
            rows = rows_of(connection, number)
            if len(rows) != results or rows_sha256(rows) != sha256:
                problems.append(f"run {number} has {len(rows)} of {results} results, or other ones than were recorded")
        known = set(connection.execute(sa.select(run.c.id)).scalars())
        for name, latest, reached in connection.execute(
            sa.select(target.c.name, target.c.latest, target.c.latest_reached)
        ):
            if {latest, reached} - known - {None}:
                problems.append(f"the target {name} points at a run that is not there")
    return problems
