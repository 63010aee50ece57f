"""When each target is due, and that each due moment gets one run: across restarts, kills and silent targets."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from auditor.dataclass import dataclass
from auditor.errors import AuditorError, UsageError
from auditor.fleet.entries import Entry, grouped
from auditor.history import outbox
from auditor.history.store import History, Recorded

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""Where intervals are counted from: the due moments are the same after a restart."""

_TICK = timedelta(microseconds=1)
_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=1500))
"""How far back a cron expression is searched for its last moment."""

LONGEST = timedelta(days=1)
"""The longest that a target which does not answer is left alone."""

Audit = Callable[[Entry], Mapping[str, Any]]
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """When audits are due: each `every` seconds, or at the times of a cron expression, spread over `spread` seconds.

    `grace`: seconds after its due moment that a run which was missed (the machine was off) is still made.
    """

    every: float | None = None
    cron: str = ""
    spread: float = 0.0
    grace: float = 3600.0
    zone: tzinfo = UTC

    def trigger(self, name: str) -> Later:
        """Return the due moments of a target; UsageError where the cron expression is wrong."""
        if self.cron:
            inner: BaseTrigger = _crontab(self.cron, self.zone)
        else:
            inner = IntervalTrigger(seconds=self.every or 900.0, start_date=_EPOCH, timezone=UTC)
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
        return Later(inner, timedelta(seconds=int(self.spread * share)))


_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _crontab(text: str, zone: tzinfo) -> CronTrigger:
    """Return the trigger of a crontab line's five fields; UsageError where it is none, or means another thing there.

    NOTE: APScheduler counts weekdays from Monday and cron from Sunday, so that they are handed over by name; and it
    takes a day that fits both the day of the month and the weekday, where cron takes one that fits either.
    """
    fields = text.split()
    problem = "" if len(fields) == 5 else f"it has {len(fields)} fields"
    if not problem and fields[2] != "*" and fields[4] != "*":
        problem = "day-of-month and day-of-week cannot both be given"
    try:
        if not problem:
            minute, hour, day, month, weekday = fields
            return CronTrigger(
                minute=minute, hour=hour, day=day, month=month, day_of_week=_weekdays(weekday), timezone=zone
            )
    except (ValueError, IndexError) as error:
        problem = str(error)
    hint = "five fields: minute hour day-of-month month day-of-week, such as '*/15 * * * *'"
    raise UsageError(f"{text!r} is no cron expression: {problem}", hint=hint)


def _weekdays(text: str) -> str:
    """Return cron's day-of-week field (0 and 7 are Sunday) as names; ValueError where it is none."""
    if text == "*":
        return text
    names: dict[str, None] = {}
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0", "-", "6") if span == "*" else span.partition("-")
        start = _DAYS.index(first) if first in _DAYS else int(first)
        end = start if not last and not step else _DAYS.index(last) if last in _DAYS else int(last or 6)
        chosen = range(start, (7 if end == 0 and start else end) + 1, int(step or 1))
        if not chosen:
            raise ValueError(f"{part!r} is no range of weekdays")
        names |= dict.fromkeys(_DAYS[number] for number in chosen)
    return ",".join(names)


class Later(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Another trigger's moments, each a fixed time later: how targets that are due together are spread."""

    def __init__(self, inner: BaseTrigger, offset: timedelta) -> None:
        """Take the trigger and by how much its moments are moved."""
        self.inner, self.offset = inner, offset

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the first moment after the previous one, and not before now."""
        # NOTE: asked with a previous moment, an IntervalTrigger counts from there and leaves its grid; so it never is.
        after = now if previous_fire_time is None else max(now, previous_fire_time + _TICK)
        found: datetime | None = self.inner.get_next_fire_time(None, after - self.offset)
        return found + self.offset if found is not None else None


def last_due(trigger: Later, now: datetime) -> datetime | None:
    """Return the latest due moment that is not after now; None where there was none in four years."""
    inner = trigger.inner
    backs = (inner.interval * 1.5,) if isinstance(inner, IntervalTrigger) else _BACK
    for back in backs:
        found = trigger.get_next_fire_time(None, now - back)
        last = None
        while found is not None and found <= now:
            last = found
            found = trigger.get_next_fire_time(found, found + _TICK)
        if last is not None:
            return last
    return None


def slot(name: str, due: datetime) -> str:
    """Return the name of a due moment of a target."""
    return f"{name}@{due.astimezone(UTC).isoformat(timespec='seconds')}"


@dataclass(slots=True)
class Watch:
    """Audits entries when they are due, and keeps each run in the history.

    `told` hears of each recorded run, `say` of what goes wrong. `workers`: audits at the same time; entries that share a
    host are audited one after the other.
    """

    entries: Sequence[Entry]
    plan: Plan
    history: History
    audit: Audit
    workers: int = 8
    told: Callable[[Recorded], object] = lambda _recorded: None
    say: Callable[[str], object] = lambda _text: None
    clock: Clock = _now
    _scheduler: Any = field(init=False)
    _busy: set[str] = field(default_factory=set)
    _idle: threading.Condition = field(default_factory=threading.Condition)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin: what was missed within its grace is made up for at once, once; the rest waits for its moment."""
        for group in grouped(self.entries):
            lock = threading.Lock()
            self._locks |= {entry.name: lock for entry in group}
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(self.workers)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": int(max(self.plan.grace, 1))},
            timezone=UTC,
        )
        for entry in self.entries:
            trigger = self.plan.trigger(entry.name)
            first = {"next_run_time": self.clock()} if self._missed(entry, trigger) else {}
            self._scheduler.add_job(self.run, trigger, (entry, trigger), id=entry.name, name=entry.name, **first)
        self._scheduler.start()

    def every_day(self, job: Callable[[], object]) -> None:
        """Do something once a day."""
        self._scheduler.add_job(job, IntervalTrigger(days=1, start_date=_EPOCH, timezone=UTC))

    def stop(self, patience: float) -> bool:
        """Start nothing more, wait for the audits that run, and return whether they ended within `patience` seconds."""
        self._stopping.set()
        self._scheduler.shutdown(wait=False)
        with self._idle:
            return bool(self._idle.wait_for(lambda: not self._busy, patience))

    def _missed(self, entry: Entry, trigger: Later) -> bool:
        """Whether the last due moment of an entry still waits for its run; a target that never ran is due at once."""
        stands = outbox.standing(self.history.database, entry.name)
        now = self.clock()
        due = last_due(trigger, now)
        if stands.finished is None:
            return True
        if due is None or outbox.recorded(self.history.database, slot(entry.name, due)):
            return False
        return now - due <= timedelta(seconds=self.plan.grace) and stands.finished < due.timestamp()

    def run(self, entry: Entry, trigger: Later) -> None:
        """Audit an entry for its last due moment, unless that has its run or the target is left alone for a while."""
        with self._idle:
            if self._stopping.is_set():
                return
            self._busy.add(entry.name)
        try:
            with self._locks[entry.name]:
                if not self._stopping.is_set():
                    self._run(entry, trigger)
        except AuditorError as error:
            self.say(f"{entry.name}: {error.message}")
        except Exception as error:  # noqa: BLE001 - one target must not end the schedule of the others
            self.say(f"{entry.name}: a bug in auditor: {type(error).__name__}: {error}")
        finally:
            with self._idle:
                self._busy.discard(entry.name)
                self._idle.notify_all()

    def _run(self, entry: Entry, trigger: Later) -> None:
        now = self.clock()
        due = last_due(trigger, now) or now
        name = slot(entry.name, due)
        if outbox.recorded(self.history.database, name) or self._left_alone(entry, trigger, due):
            return
        recorded = self.history.record(self.audit(entry), target=entry.name, slot=name)
        if not recorded.again:
            self.told(recorded)

    def _left_alone(self, entry: Entry, trigger: Later, due: datetime) -> bool:
        """Whether a target that did not answer is given time: twice as long each time, a day at most."""
        stands = outbox.standing(self.history.database, entry.name)
        following = trigger.get_next_fire_time(due, due + _TICK)
        if stands.failures < 2 or stands.finished is None or following is None:
            return False
        step = following - due
        gap = min(step * 2.0 ** min(stands.failures - 1, 20), max(LONGEST, step)) - step / 2
        return due.timestamp() < stands.finished + gap.total_seconds()
