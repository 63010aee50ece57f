"""Recording runs: one transaction that keeps a run whole, says what changed, and leaves word for whoever has to be told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from auditor.dataclass import dataclass
from auditor.finding import Severity, Verdict
from auditor.history import schema
from auditor.history.database import Database
from auditor.history.drift import Change, Drift, Kept, compare, first
from auditor.history.records import DISPOSITIONS, EVIDENCE, VERDICTS, Document, Header, Record, Row, opened, record_of

_CHUNK = 500
"""Values in one statement: far below what any database takes."""

Tell = Callable[["Recorded"], Mapping[str, Any] | None]
"""What a channel is told of a recorded run: a JSON object, or None where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that is kept: its number, its target, what it says, and how it differs from the one before.

    `messages` says each of its changes in words, by the hash of the evidence.
    `reach_changed`: it is the first without answers, or with answers again. `again`: its slot had been recorded
    already; nothing was added.
    """

    run: int
    target: str
    header: Header
    drift: Drift
    messages: Mapping[str, str]
    compared_with: int | None = None
    reach_changed: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """Runs kept in one database; `channels` are told of changes through the outbox."""

    database: Database
    channels: Mapping[str, Tell] | None = None

    @classmethod
    def open(cls, url: str | None = None, channels: Mapping[str, Tell] | None = None) -> History:
        """Open the history at a URL or file (default: see `database.default_url`); HistoryError where that fails."""
        return cls(Database(url), channels)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def record(
        self, report: Mapping[str, Any], *, target: str, slot: str | None = None, fleet: str | None = None
    ) -> Recorded:
        """Keep a report (JSON, version 1) as a run of a target, all of it or nothing.

        `slot` names the scheduled moment it answers for, which is recorded once however often it is tried; `fleet` the
        fleet run, in which each target counts once. HistoryError where the database refuses.
        """
        record = record_of(report)
        bodies = {d.sha256: d for d in (*record.documents.values(), record.head, record.checks)}
        with self.database.write() as connection:
            held = _target(connection, target)
            existing = _existing(connection, held.id, slot, fleet)
            if existing is not None:
                return Recorded(existing, target, record.header, Drift(()), {}, again=True)
            documents = _keep_documents(connection, bodies)
            fingerprints = _keep_fingerprints(connection, record.rows)
            before = _kept(connection, held.latest_reached)
            after = Kept(record.header, record.rows)
            drift = compare(before, after) if before is not None else first(after)
            number = _insert_run(connection, held, record, drift, documents, slot=slot, fleet=fleet)
            _insert_results(connection, number, record.rows, documents, fingerprints)
            _insert_changes(connection, number, drift.notable, documents, fingerprints, target=held.id)
            reach_changed = (held.failures == 0) is not record.header.reached
            messages = messages_of(connection, {change.row.document for change in drift.notable})
            recorded = Recorded(number, target, record.header, drift, messages, held.latest_reached, reach_changed)
            self._leave_word(connection, recorded)
            reached, interrupted = record.header.reached, record.header.interrupted
            connection.execute(
                sa.update(schema.target)
                .where(schema.target.c.id == held.id)
                .values(
                    latest=number,
                    latest_reached=number if reached and not interrupted else held.latest_reached,
                    failures=0 if reached else held.failures + 1,
                )
            )
        return recorded

    def _leave_word(self, connection: Connection, recorded: Recorded) -> None:
        now = time.time()
        for channel, tell in (self.channels or {}).items():
            said = tell(recorded)
            if said is not None:
                body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
                connection.execute(
                    schema.message.insert().values(
                        channel=channel,
                        run_id=recorded.run,
                        created=now,
                        body=body,
                        next_at=now,
                        state="waiting",
                        attempts=0,
                        error="",
                    )
                )


def _target(connection: Connection, name: str) -> Any:
    """Return the row of a target, made if it is not there."""
    table = schema.target
    query = sa.select(table).where(table.c.name == name)
    found = connection.execute(query).one_or_none()
    if found is None:
        connection.execute(table.insert().values(name=name, failures=0))
        found = connection.execute(query).one()
    return found


def _existing(connection: Connection, target: int, slot: str | None, fleet: str | None) -> int | None:
    table = schema.run
    found = None
    if slot is not None:
        found = connection.execute(sa.select(table.c.id).where(table.c.slot == slot)).scalar()
    if found is None and fleet is not None:
        found = connection.execute(
            sa.select(table.c.id).where(table.c.fleet == fleet, table.c.target_id == target)
        ).scalar()
    return None if found is None else int(found)


def _keep_documents(connection: Connection, documents: Mapping[str, Document]) -> dict[str, int]:
    """Return the number of each document; those that are not there yet are added."""
    table = schema.document
    known = _numbers(connection, table, table.c.sha256, documents)
    missing = [d for sha256, d in documents.items() if sha256 not in known]
    if missing:
        connection.execute(table.insert(), [{"sha256": d.sha256, "body": d.body} for d in missing])
        known |= _numbers(connection, table, table.c.sha256, [d.sha256 for d in missing])
    return known


def _keep_fingerprints(connection: Connection, rows: Sequence[Row]) -> dict[str, int]:
    """Return the number of each fingerprint; those that are not there yet are added."""
    table = schema.fingerprint
    by_value = {row.fingerprint: row for row in rows}
    known = _numbers(connection, table, table.c.value, by_value)
    missing = [row for value, row in by_value.items() if value not in known]
    if missing:
        values = [{"value": r.fingerprint, "check": r.check, "rule": r.rule, "route": r.route} for r in missing]
        connection.execute(table.insert(), values)
        known |= _numbers(connection, table, table.c.value, [r.fingerprint for r in missing])
    return known


def _numbers(connection: Connection, table: sa.Table, key: Any, values: Iterable[str]) -> dict[str, int]:
    return {
        name: number
        for part in chunks(list(values))
        for name, number in connection.execute(sa.select(key, table.c.id).where(key.in_(part)))
    }


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the values in parts that one statement takes."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _insert_run(
    connection: Connection,
    held: Any,
    record: Record,
    drift: Drift,
    documents: Mapping[str, int],
    *,
    slot: str | None,
    fleet: str | None,
) -> int:
    header, rows = record.header, record.rows
    still = [row for row in rows if row.open]
    values: dict[str, Any] = {
        f"open_{severity.word}": sum(1 for row in still if row.severity is severity) for severity in Severity
    }
    values |= {
        name: getattr(header, name)
        for name in (
            *(
                "command",
                "started",
                "finished",
                "verdict",
                "reached",
                "interrupted",
                "reason",
                "tool_version",
                "policy_name",
            ),
            *("policy_sha256", "environment", "configuration_sha256", "requests_sent"),
        )
    }
    values |= {
        "target_id": held.id,
        "slot": slot,
        "fleet": fleet,
        "waived": sum(1 for row in rows if row.disposition == "waived"),
        "baselined": sum(1 for row in rows if row.disposition == "baselined"),
        "accepted": json.dumps(_accepted(rows)),
        "waivers": json.dumps([list(waiver) for waiver in record.waivers]),
        "undecided": sum(1 for row in rows if row.verdict in {Verdict.UNKNOWN, Verdict.ERROR}),
        "passed": sum(1 for row in rows if row.verdict is Verdict.PASS),
        "results": len(rows),
        "results_sha256": record.results_sha256,
        "head_id": documents[record.head.sha256],
        "checks_id": documents[record.checks.sha256],
        "compared_with": held.latest_reached,
        "policy_changed": drift.policy_changed,
        "configuration_changed": drift.configuration_changed,
        "auditor_changed": drift.auditor_changed,
        "reach_changed": (held.failures == 0) is not header.reached,
        "changes": len(drift.notable),
    }
    inserted = connection.execute(schema.run.insert().values(values)).inserted_primary_key
    return int(inserted[0]) if inserted is not None else 0


def _accepted(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Count the accepted violations by disposition and severity."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.verdict is Verdict.FAIL and row.disposition in {"waived", "baselined"}:
            of_kind = found.setdefault(row.disposition, {})
            of_kind[row.severity.word] = of_kind.get(row.severity.word, 0) + 1
    return found


def _insert_results(
    connection: Connection,
    number: int,
    rows: Sequence[Row],
    documents: Mapping[str, int],
    fingerprints: Mapping[str, int],
) -> None:
    if rows:
        values = [
            {
                "run_id": number,
                "ordinal": ordinal,
                "fingerprint_id": fingerprints[row.fingerprint],
                "verdict": VERDICTS.index(row.verdict),
                "severity": int(row.severity),
                "disposition": DISPOSITIONS.index(row.disposition),
                "evidence": EVIDENCE.index(row.evidence),
                "document_id": documents[row.document],
            }
            for ordinal, row in enumerate(rows)
        ]
        connection.execute(schema.result.insert(), values)


def _insert_changes(
    connection: Connection,
    number: int,
    changes: Sequence[Change],
    documents: Mapping[str, int],
    fingerprints: Mapping[str, int],
    *,
    target: int,
) -> None:
    if not changes:
        return
    fingerprints = {
        **fingerprints,
        **_numbers(
            connection,
            schema.fingerprint,
            schema.fingerprint.c.value,
            {c.row.fingerprint for c in changes} - set(fingerprints),
        ),
    }
    documents = {
        **documents,
        **_numbers(
            connection, schema.document, schema.document.c.sha256, {c.row.document for c in changes} - set(documents)
        ),
    }
    values = [
        {
            "run_id": number,
            "ordinal": ordinal,
            "target_id": target,
            "kind": change.kind,
            "cause": change.cause,
            "severity": int(change.severity),
            "fingerprint_id": fingerprints[change.row.fingerprint],
            "document_id": documents[change.row.document],
        }
        for ordinal, change in enumerate(changes)
    ]
    connection.execute(schema.change.insert(), values)


def _kept(connection: Connection, number: int | None) -> Kept | None:
    """Return a run as it is compared, None where there is none."""
    if number is None:
        return None
    found = connection.execute(sa.select(schema.run).where(schema.run.c.id == number)).mappings().one_or_none()
    if found is None:
        return None
    return Kept(header_of(dict(found)), rows_of(connection, number))


def messages_of(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """Return what the documents with these hashes say in one sentence."""
    table = schema.document
    return {
        sha256: str(opened(body)["message"])
        for part in chunks(sorted(hashes))
        for sha256, body in connection.execute(sa.select(table.c.sha256, table.c.body).where(table.c.sha256.in_(part)))
    }


def header_of(found: Mapping[str, Any]) -> Header:
    """Return what a run's row says of it."""
    return Header(
        **{
            name: found[name]
            for name in (
                *("command", "started", "finished", "verdict", "reached", "interrupted", "tool_version", "policy_name"),
                *("policy_sha256", "environment", "configuration_sha256", "requests_sent", "reason"),
            )
        },
    )


def rows_of(connection: Connection, number: int) -> tuple[Row, ...]:
    """Return the results of a run in order, as they are compared."""
    result, mark, document = schema.result, schema.fingerprint, schema.document
    query = (
        sa.select(
            *(mark.c.value, mark.c.check, mark.c.rule, mark.c.route),
            *(result.c.verdict, result.c.severity, result.c.disposition, result.c.evidence, document.c.sha256),
        )
        .join(mark, mark.c.id == result.c.fingerprint_id)
        .join(document, document.c.id == result.c.document_id)
        .where(result.c.run_id == number)
        .order_by(result.c.ordinal)
    )
    return tuple(
        Row(
            value,
            check,
            rule,
            route,
            VERDICTS[verdict],
            Severity(severity),
            DISPOSITIONS[disposition],
            EVIDENCE[evidence],
            sha256,
        )
        for value, check, rule, route, verdict, severity, disposition, evidence, sha256 in connection.execute(query)
    )
