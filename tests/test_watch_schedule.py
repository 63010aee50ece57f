"""Each due moment gets one run: across restarts, misfires, silent targets and two processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import fail, made, passed, unreachable

from auditor.errors import UsageError
from auditor.fleet.entries import Entry
from auditor.history import queries
from auditor.history.queries import Asked
from auditor.history.store import History
from auditor.watch.schedule import Plan, Watch, last_due, slot

NOON = datetime(2026, 11, 28, 12, 0, 30, tzinfo=UTC)
ENTRY = Entry("shop", "nowhere.yaml")


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """Give an empty history."""
    opened = History.open(str(tmp_path / "history.sqlite"))
    yield opened
    opened.close()


def watch(history: History, report: Mapping[str, Any], plan: Plan, at: datetime = NOON, **settings: Any) -> Watch:
    """Return a watch of one target whose audits all give this report, at this time."""
    return Watch((ENTRY,), plan, history, lambda _entry: report, clock=lambda: at, **settings)


def number_of_runs(history: History) -> int:
    """Return how many runs the history has."""
    return queries.runs(history.database, Asked()).total


@given(
    st.sampled_from([2.0, 60.0, 90.0, 900.0, 86_400.0, 100_000.0]),
    st.datetimes(NOON.replace(tzinfo=None), timezones=st.just(UTC), max_value=NOON.replace(year=2030, tzinfo=None)),
    st.floats(0, 4000),
)
def test_moments_of_an_interval_are_the_same_after_a_restart(every: float, now: datetime, spread: float) -> None:
    """They are one interval apart, whenever the process began."""
    trigger = Plan(every=every, spread=spread).trigger("shop")
    due = last_due(trigger, now)
    assert due is not None
    assert now - timedelta(seconds=every) < due <= now
    again = Plan(every=every, spread=spread).trigger("shop")
    assert again.get_next_fire_time(None, now + timedelta(microseconds=1)) == due + timedelta(seconds=every)
    assert again.get_next_fire_time(due, now) == due + timedelta(seconds=every)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/15 * * * *", "2026-11-28T12:00:00+00:00"),
        ("30 3 * * *", "2026-11-28T03:30:00+00:00"),
        ("0 12 * * 6", "2026-11-28T12:00:00+00:00"),  # a Saturday: 6 in cron
        ("0 0 * * 0", "2026-11-22T00:00:00+00:00"),  # Sunday is 0
        ("0 0 * * 7", "2026-11-22T00:00:00+00:00"),  # and 7
        ("0 9 * * 1-5", "2026-11-27T09:00:00+00:00"),  # Monday to Friday
        ("0 9 * * mon,wed", "2026-11-25T09:00:00+00:00"),
        ("0 9 * * 5-7", "2026-11-28T09:00:00+00:00"),
        ("0 9 * * */2", "2026-11-28T09:00:00+00:00"),  # Sunday, Tuesday, Thursday, Saturday
        ("0 0 1 1 *", "2026-01-01T00:00:00+00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00:00+00:00"),
    ],
)
def test_cron_expressions_mean_what_cron_says(expression: str, expected: str) -> None:
    """The last moment before a Saturday noon, weekdays counted from Sunday as crontab(5) does."""
    due = last_due(Plan(cron=expression).trigger("shop"), NOON)
    assert due is not None
    assert due.isoformat() == expected


def test_cron_expressions_have_a_zone() -> None:
    """Three in the morning is that of the zone."""
    due = last_due(Plan(cron="0 3 * * *", zone=ZoneInfo("America/New_York")).trigger("shop"), NOON)
    assert due is not None
    assert due.astimezone(UTC).isoformat() == "2026-11-28T08:00:00+00:00"


@pytest.mark.parametrize("wrong", ["", "* * * *", "61 * * * *", "x * * * *", "0 0 * * 9", "0 0 13 * 5", "0 0 * * 5-1"])
def test_expressions_that_cron_would_not_take_are_refused(wrong: str) -> None:
    """With the five fields named; day of month and weekday together mean something else here than in cron."""
    with pytest.raises(UsageError, match="no cron expression"):
        Plan(cron=wrong or " ").trigger("shop")


def test_targets_are_spread() -> None:
    """Two hundred targets that are due each quarter of an hour do not start together."""
    plan = Plan(every=900, spread=900)
    moments = [last_due(plan.trigger(f"t{i}"), NOON) for i in range(200)]
    starts = sorted((moment.timestamp() % 900) // 90 for moment in moments if moment is not None)
    assert [starts.count(tenth) for tenth in range(10)] == pytest.approx([20] * 10, abs=14)


def test_a_moment_is_audited_once(history: History) -> None:
    """A job that is called twice for one moment makes one run; for the next moment it makes another."""
    plan = Plan(every=900)
    trigger = plan.trigger("shop")
    for at in (NOON, NOON + timedelta(seconds=60), NOON + timedelta(seconds=900)):
        one = watch(history, made(passed()), plan, at)
        one._locks["shop"] = threading.Lock()
        one.run(ENTRY, trigger)
    slots = [row["slot"] for row in queries.runs(history.database, Asked()).rows]
    assert slots == ["shop@2026-11-28T12:15:00+00:00", "shop@2026-11-28T12:00:00+00:00"]


@pytest.mark.parametrize(
    ("last", "now", "missed"),
    [
        (None, NOON, True),  # it never ran
        (NOON, NOON, False),  # this moment has its run
        (NOON - timedelta(hours=1), NOON, True),  # down since the last one
        (NOON - timedelta(hours=1), NOON + timedelta(minutes=14), False),  # due 14 min ago, later than its grace
    ],
)
def test_what_was_missed_is_made_up_for_within_its_grace(
    history: History, last: datetime | None, now: datetime, *, missed: bool
) -> None:
    """After a restart a due moment without a run is audited at once, unless it is too long ago."""
    plan = Plan(every=900, grace=600)
    trigger = plan.trigger("shop")
    if last is not None:
        due = last_due(trigger, last)
        assert due is not None
        history.record(made(passed(), at=last.timestamp()), target="shop", slot=slot("shop", due))
    assert watch(history, made(passed()), plan, now)._missed(ENTRY, trigger) is missed


def test_a_silent_target_is_left_alone_for_longer_each_time(history: History) -> None:
    """Backoff: of a hundred due moments of a target that never answers, few are used, and none once it answers again."""
    plan = Plan(every=900)
    trigger = plan.trigger("shop")
    used = []
    for turn in range(100):
        at = NOON + timedelta(seconds=900 * turn)
        one = watch(history, made(unreachable(), at=at.timestamp()), plan, at)
        one._locks["shop"] = threading.Lock()
        before = number_of_runs(history)
        one.run(ENTRY, trigger)
        used += [turn] if number_of_runs(history) > before else []
    assert used == [0, 1, 3, 7, 15, 31, 63]
    history.record(made(passed(), at=(NOON + timedelta(days=2)).timestamp()), target="shop")
    for turn in range(3):
        at = NOON + timedelta(days=3, seconds=900 * turn)
        one = watch(history, made(passed(), at=at.timestamp()), plan, at)
        one._locks["shop"] = threading.Lock()
        one.run(ENTRY, trigger)
    assert number_of_runs(history) == 7 + 1 + 3


def test_targets_of_one_host_are_audited_one_after_the_other(history: History, tmp_path: Path) -> None:
    """Two targets behind one address never run at the same time; one elsewhere does."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nname: p\nvariables: {host: x}\ntargets:\n"
        "  - {id: live, type: http, entrypoints: {web: 'http://${host}'}}\n"
        "routes: [{id: all, match: [{paths: ['/**']}], headers: {X-A: b}}]\n",
        encoding="utf-8",
    )
    entries = tuple(Entry(n, str(policy), variables={"host": h}) for n, h in (("a", "one"), ("b", "one"), ("c", "two")))
    running: set[str] = set()
    together: list[set[str]] = []

    def audit(entry: Entry) -> Mapping[str, Any]:
        running.add(entry.name)
        together.append(set(running))
        time.sleep(0.3)
        running.discard(entry.name)
        return made(passed())

    done = threading.Semaphore(0)
    one = Watch(entries, Plan(every=3600), history, audit, told=lambda _recorded: done.release())
    one.start()
    for _ in entries:
        assert done.acquire(timeout=20)
    assert one.stop(5)
    assert all(not {"a", "b"} <= names for names in together)
    assert any("c" in names and len(names) == 2 for names in together)


def test_an_audit_that_raises_does_not_end_the_schedule(history: History) -> None:
    """It is said, and the next moment is audited."""
    said: list[str] = []
    one = watch(history, {"version": 7}, Plan(every=900), say=said.append)
    one._locks["shop"] = threading.Lock()
    one.run(ENTRY, Plan(every=900).trigger("shop"))
    assert said == ["shop: a report of version 7 cannot be recorded"]
    assert number_of_runs(history) == 0


def test_killed_and_restarted_no_moment_is_lost_or_doubled(tmp_path: Path) -> None:
    """A watch that is killed a dozen times while it audits every second has, of every moment it lived through, one run."""
    url = str(tmp_path / "history.sqlite")
    began = time.time()
    for _ in range(6):
        child = os.fork()
        if child == 0:
            _watch_for_ever(url)
        time.sleep(2.2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    history = History.open(url)
    rows = queries.runs(history.database, Asked(size=1000)).rows
    slots = [row["slot"] for row in rows]
    history.close()
    assert len(slots) == len(set(slots))
    moments = sorted(int(datetime.fromisoformat(name.partition("@")[2]).timestamp()) for name in slots)
    assert moments[0] <= began + 1
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(moments) >= 5
    assert max(gaps) <= 4  # a moment that was cut off is made up for when the next process begins


def _watch_for_ever(url: str) -> None:
    try:
        history = History.open(url)

        def audit(_entry: Entry) -> Mapping[str, Any]:
            time.sleep(0.3)
            return made(passed(), fail())

        Watch((ENTRY,), Plan(every=1), history, audit).start()
        time.sleep(60)
    finally:
        os._exit(1)
