"""Messages that wait until their receiver has taken them, and the state that schedules are resumed from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from auditor.dataclass import dataclass
from auditor.history import schema
from auditor.history.database import Database

FIRST_WAIT = 15.0
LONGEST_WAIT = 3600.0
"""Seconds between tries: doubled from the first to the longest."""

PATIENCE = 7 * 86_400.0
"""Seconds after which a message that nobody takes is given up; it stays in the outbox as such."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its number, which is the same however often it is tried, and what it says."""

    id: int
    run: int
    created: float
    attempts: int
    event: dict[str, Any]


def waiting(database: Database, channel: str, now: float, most: int = 50) -> list[Message]:
    """Return the oldest messages of a channel, as long as the first of them may be tried now."""
    table = schema.message
    query = (
        sa.select(table)
        .where(table.c.channel == channel, table.c.state == "waiting", table.c.next_at <= now)
        .order_by(table.c.id)
        .limit(most)
    )
    with database.begin() as connection:
        return [
            Message(row.id, row.run_id, row.created, row.attempts, json.loads(row.body))
            for row in connection.execute(query)
        ]


def taken(database: Database, messages: Sequence[Message]) -> None:
    """Note that the receiver has these messages."""
    table = schema.message
    with database.write() as connection:
        connection.execute(
            sa.update(table).where(table.c.id.in_([m.id for m in messages])).values(state="sent", error="")
        )


def refused(database: Database, messages: Sequence[Message], error: str, now: float) -> None:
    """Note that the receiver did not take these messages, and when they are tried again, if they are."""
    table = schema.message
    with database.write() as connection:
        for message in messages:
            given_up = now - message.created > PATIENCE
            connection.execute(
                sa.update(table)
                .where(table.c.id == message.id)
                .values(
                    attempts=message.attempts + 1,
                    error=error[:1000],
                    state="given-up" if given_up else "waiting",
                    next_at=now + min(FIRST_WAIT * 2.0**message.attempts, LONGEST_WAIT),
                )
            )


def counts(database: Database) -> dict[tuple[str, str], int]:
    """Return how many messages each channel has in each state."""
    table = schema.message
    query = sa.select(table.c.channel, table.c.state, sa.func.count()).group_by(table.c.channel, table.c.state)
    with database.begin() as connection:
        return {(channel, state): number for channel, state, number in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a target stands: runs in a row without an answer, and when its last run ended (None: it never ran)."""

    failures: int = 0
    finished: float | None = None


def standing(database: Database, target: str) -> Standing:
    """Return where a target stands."""
    table = schema.target
    query = (
        sa.select(table.c.failures, schema.run.c.finished)
        .join(schema.run, schema.run.c.id == table.c.latest)
        .where(table.c.name == target)
    )
    with database.begin() as connection:
        found = connection.execute(query).one_or_none()
    return Standing() if found is None else Standing(found.failures, found.finished)


def recorded(database: Database, slot: str) -> bool:
    """Whether a scheduled moment has its run."""
    with database.begin() as connection:
        return connection.execute(sa.select(schema.run.c.id).where(schema.run.c.slot == slot)).scalar() is not None


def done(database: Database, fleet: str) -> frozenset[str]:
    """Return the names of the targets that a fleet run has."""
    query = sa.select(schema.target.c.name).join(schema.run, schema.run.c.target_id == schema.target.c.id)
    with database.begin() as connection:
        return frozenset(connection.execute(query.where(schema.run.c.fleet == fleet)).scalars())
