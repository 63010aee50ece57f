"""What the history is asked: targets and their state, runs, results, changes, and reports as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from auditor.dataclass import dataclass
from auditor.errors import UsageError
from auditor.finding import Severity, Verdict
from auditor.history import schema
from auditor.history.database import Database
from auditor.history.drift import Drift, Kept, compare, first
from auditor.history.records import DISPOSITIONS, VERDICTS, opened, report_of
from auditor.history.store import chunks, header_of, messages_of, rows_of

OPEN = tuple(f"open_{severity.word}" for severity in sorted(Severity, reverse=True))


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its rows, and how many there are in all."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    number: int = 1
    size: int = 50

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.size))


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page of a list, and which of its rows. Empty fields filter nothing."""

    number: int = 1
    size: int = 50
    verdict: str = ""
    search: str = ""
    order: str = ""
    severity: str = ""
    kind: str = ""


def _page(connection: Connection, query: sa.Select[Any], asked: Asked) -> Page:
    counted = query.order_by(None).with_only_columns(sa.func.count(), maintain_column_froms=True)
    total = connection.execute(counted).scalar() or 0
    number = max(1, min(asked.number, -(-total // asked.size) or 1))
    found = connection.execute(query.limit(asked.size).offset((number - 1) * asked.size)).mappings().all()
    return Page([dict(row) for row in found], total, number, asked.size)


def _like(column: Any, search: str) -> Any:
    escaped = search.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return sa.func.lower(column).like(f"%{escaped}%", escape="\\")


_WORST = sa.case(*((schema.run.c[name] > 0, len(OPEN) - place) for place, name in enumerate(OPEN)), else_=0)


def targets(database: Database, asked: Asked) -> Page:
    """Return targets with their last run: the worst first, or by `order` (name, age)."""
    target, run = schema.target, schema.run
    query = sa.select(target.c.id).join(run, run.c.id == target.c.latest)
    if asked.search:
        query = query.where(_like(target.c.name, asked.search))
    if asked.verdict:
        query = query.where(run.c.verdict == asked.verdict)
    if asked.severity in {severity.word for severity in Severity}:
        query = query.where(run.c[f"open_{asked.severity}"] > 0)
    orders = {
        "name": (target.c.name,),
        "age": (run.c.finished, target.c.name),
        "": (run.c.reached, _WORST.desc(), *(run.c[name].desc() for name in OPEN), target.c.name),
    }
    with database.begin() as connection:  # the whole rows of one page only: sorting ten thousand of them is slow
        page = _page(connection, query.order_by(*orders.get(asked.order, orders[""])), asked)
        chosen = [row["id"] for row in page.rows]
        whole = sa.select(target.c.id.label("owner"), target.c.name, target.c.failures, *run.c).join(
            run, run.c.id == target.c.latest
        )
        found = {row["owner"]: dict(row) for row in connection.execute(whole.where(target.c.id.in_(chosen))).mappings()}
    return Page([found[number] for number in chosen], page.total, page.number, page.size)


def every_target(database: Database) -> list[dict[str, Any]]:
    """Return every target with its last run, by name."""
    target, run = schema.target, schema.run
    query = sa.select(target.c.name, target.c.failures, *run.c).join(run, run.c.id == target.c.latest)
    with database.begin() as connection:
        return [dict(row) for row in connection.execute(query.order_by(target.c.name)).mappings()]


def verdicts(database: Database) -> dict[str, int]:
    """Return how many targets have each verdict now."""
    target, run = schema.target, schema.run
    query = sa.select(run.c.verdict, sa.func.count()).join(target, run.c.id == target.c.latest).group_by(run.c.verdict)
    with database.begin() as connection:
        return {str(verdict): int(number) for verdict, number in connection.execute(query)}


def runs(database: Database, asked: Asked, *, target: str | None = None, fleet: str | None = None) -> Page:
    """Return runs, the latest first, of one target or of one fleet run where these are named."""
    query = sa.select(schema.target.c.name, *schema.run.c).join(
        schema.target, schema.target.c.id == schema.run.c.target_id
    )
    if target is not None:
        query = query.where(schema.target.c.name == target)
    if fleet is not None:
        query = query.where(schema.run.c.fleet == fleet)
    if asked.verdict:
        query = query.where(schema.run.c.verdict == asked.verdict)
    with database.begin() as connection:
        return _page(connection, query.order_by(schema.run.c.id.desc()), asked)


def trend(database: Database, target: str, most: int = 120) -> list[dict[str, Any]]:
    """Return the last runs of a target, oldest first, as their counts."""
    run = schema.run
    with database.begin() as connection:
        owner = sa.select(schema.target.c.id).where(schema.target.c.name == target).scalar_subquery()
        query = sa.select(run).where(run.c.target_id == owner).order_by(run.c.id.desc()).limit(most)
        return [dict(row) for row in reversed(connection.execute(query).mappings().all())]


def changes(database: Database, asked: Asked, target: str | None = None) -> Page:
    """Return the drift timeline: changes, the latest first, of one target where it is named."""
    change, run, mark = schema.change, schema.run, schema.fingerprint
    query = (
        sa.select(
            *(schema.target.c.name, run.c.finished, mark.c.check, mark.c.rule, mark.c.route, mark.c.value),
            *(change.c.run_id, change.c.ordinal, change.c.kind, change.c.cause, change.c.severity),
            *(change.c.document_id, run.c.compared_with),
        )
        .join(run, run.c.id == change.c.run_id)
        .join(schema.target, schema.target.c.id == change.c.target_id)
        .join(mark, mark.c.id == change.c.fingerprint_id)
        .order_by(change.c.run_id.desc(), change.c.ordinal)
    )
    if target is not None:
        query = query.where(schema.target.c.name == target)
    if asked.kind:
        query = query.where(change.c.kind == asked.kind)
    with database.begin() as connection:
        page = _page(connection, query, asked)
        said = _documents(connection, [row["document_id"] for row in page.rows])
    rows = [
        {**row, "message": said[row["document_id"]]["message"], "severity": Severity(row["severity"]).word}
        for row in page.rows
    ]
    return Page(rows, page.total, page.number, page.size)


def find_run(database: Database, number: int) -> dict[str, Any]:
    """Return one run; UsageError where there is none."""
    query = (
        sa.select(schema.target.c.name, *schema.run.c)
        .join(schema.target, schema.target.c.id == schema.run.c.target_id)
        .where(schema.run.c.id == number)
    )
    with database.begin() as connection:
        found = connection.execute(query).mappings().one_or_none()
    if found is None:
        raise UsageError(f"the history has no run {number}", hint="auditor history list shows which it has")
    return dict(found)


def latest(database: Database, target: str | None = None) -> int:
    """Return the number of the last run (of a target); UsageError where there is none."""
    page = runs(database, Asked(size=1), target=target)
    if not page.rows:
        raise UsageError(
            f"the history has no run of {target}" if target else "the history is empty",
            hint="auditor audit --record makes one",
        )
    return int(page.rows[0]["id"])


def results(database: Database, number: int, asked: Asked) -> Page:
    """Return a page of a run's results, each as in the report."""
    result, mark = schema.result, schema.fingerprint
    query = (
        sa.select(result.c.document_id, result.c.ordinal)
        .join(mark, mark.c.id == result.c.fingerprint_id)
        .where(result.c.run_id == number)
        .order_by(result.c.ordinal)
    )
    if asked.verdict in {verdict.value for verdict in VERDICTS}:
        query = query.where(result.c.verdict == VERDICTS.index(Verdict(asked.verdict)))
    elif asked.verdict in DISPOSITIONS:
        query = query.where(result.c.disposition == DISPOSITIONS.index(asked.verdict))
    if asked.severity:
        query = query.where(result.c.severity == int(Severity[asked.severity.upper()]))
    if asked.search:
        query = query.where(_like(mark.c.check, asked.search) | _like(mark.c.rule, asked.search))
    with database.begin() as connection:
        page = _page(connection, query, asked)
        said = _documents(connection, [row["document_id"] for row in page.rows])
    return Page([said[row["document_id"]] for row in page.rows], page.total, page.number, page.size)


def report(database: Database, number: int) -> dict[str, Any]:
    """Return a run's report (JSON, version 1) as it was recorded."""
    found = find_run(database, number)
    result = schema.result
    with database.begin() as connection:
        query = sa.select(result.c.document_id).where(result.c.run_id == number).order_by(result.c.ordinal)
        order = list(connection.execute(query).scalars())
        said = _documents(connection, {*order, found["head_id"], found["checks_id"]})
    return report_of(said[found["head_id"]], said[found["checks_id"]], [said[key] for key in order])


def _documents(connection: Connection, numbers: Any) -> dict[int, Any]:
    table = schema.document
    return {
        number: opened(body)
        for part in chunks(sorted(set(numbers)))
        for number, body in connection.execute(sa.select(table.c.id, table.c.body).where(table.c.id.in_(part)))
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs and what changed between them; `messages` says each verdict in words, by the hash of its evidence."""

    old: Mapping[str, Any] | None
    new: Mapping[str, Any]
    drift: Drift
    messages: Mapping[str, str]


def difference(database: Database, old: int | None, new: int) -> Difference:
    """Compare two runs of one target; without `old`, with the last one before `new` that got answers.

    UsageError where the runs are not there, or of two targets.
    """
    later = find_run(database, new)
    number = later["compared_with"] if old is None else old
    earlier = find_run(database, number) if number is not None else None
    if earlier is not None and earlier["target_id"] != later["target_id"]:
        raise UsageError(
            f"run {earlier['id']} is of {earlier['name']}, run {later['id']} of {later['name']}: they cannot be compared",
            hint=f"auditor history list {later['name']}",
        )
    with database.begin() as connection:
        after = Kept(header_of(later), rows_of(connection, later["id"]))
        if earlier is None:
            drift = first(after)
        else:
            drift = compare(Kept(header_of(earlier), rows_of(connection, earlier["id"])), after)
        needed = {change.row.document for change in drift.changes}
        messages = messages_of(connection, needed)
    return Difference(earlier, later, drift, messages)


def heads(database: Database, numbers: Sequence[int]) -> dict[int, Any]:
    """Return what each of these runs says of itself: the report without results and checks."""
    with database.begin() as connection:
        pairs = [
            tuple(pair)
            for part in chunks(list(numbers))
            for pair in connection.execute(
                sa.select(schema.run.c.id, schema.run.c.head_id).where(schema.run.c.id.in_(part))
            )
        ]
        said = _documents(connection, {head for _, head in pairs})
    return {number: said[head] for number, head in pairs}


def commonest(database: Database, fleet: str, most: int = 20) -> list[dict[str, Any]]:
    """Return the open violations that most targets of a fleet run have: check, worst severity, targets, results."""
    run, result, mark = schema.run, schema.result, schema.fingerprint
    query = (
        sa.select(
            mark.c.check,
            sa.func.max(result.c.severity).label("severity"),
            sa.func.count(sa.distinct(run.c.target_id)).label("targets"),
            sa.func.count().label("results"),
        )
        .join(run, run.c.id == result.c.run_id)
        .join(mark, mark.c.id == result.c.fingerprint_id)
        .where(run.c.fleet == fleet, result.c.verdict == VERDICTS.index(Verdict.FAIL))
        .where(result.c.disposition == DISPOSITIONS.index("open"))
        .group_by(mark.c.check)
        .order_by(sa.desc("targets"), sa.desc("severity"), mark.c.check)
        .limit(most)
    )
    with database.begin() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
