"""A limiter that holds requests back: which answers were held, how far apart they were released, from when on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from auditor.live.enclosure import Enclosure, enclose, level, ticks
from auditor.live.experiment import Experiment, now
from auditor.live.volley import Shot

VOLLEY = 0.015
"""Seconds within which requests belong to one volley."""

ENOUGH = 0.04
"""The rate's interval is narrow enough at this half-width."""


async def released(experiment: Experiment) -> list[Shot] | None:
    """Return the shots that the limiter held back, where it did: overtaken by refusals, late, and evenly spaced."""
    await experiment.gun.settle(experiment.shots, max(experiment.until - now(), 0))
    if not _overtaken(experiment):
        return None
    bound = _bound(experiment)
    held = [s for s in experiment.passed() if s.done is not None and s.done - s.sent > bound]
    held.sort(key=lambda s: (s.done or 0.0) - s.sent)
    for rest in (held, held[1:], held[2:]):  # those held for the shortest time may only have been slow
        if len(rest) >= 2 and _ticks(experiment, rest) is not None:
            return sorted(rest, key=lambda s: s.done or 0.0)
    return None


def _overtaken(experiment: Experiment) -> bool:
    """Whether a request was answered long after a refusal of one that left later: no slow network does that."""
    first = min(experiment.refused(), key=lambda s: s.sent)
    before = [s.done for s in experiment.passed() if s.done is not None and s.sent <= first.sent]
    return max(before, default=0.0) - (first.done or 0.0) > max(0.010, experiment.prompt()[-1])


async def delayed(experiment: Experiment, held: list[Shot]) -> tuple[Enclosure, int | None]:
    """Narrow the rate by releases: held answers come 1/rate apart, whenever they were sent."""
    interval = _ticks(experiment, held)
    for _ in range(2):
        if interval is None or _half(interval) <= ENOUGH or experiment.left(experiment.ramped // 2) < len(held):
            break
        second = await _queue(experiment, len(held) + 2, (interval[0] + interval[1]) / 2)
        again = _ticks(experiment, second)
        if again is not None and max(interval[0], again[0]) <= min(interval[1], again[1]):
            interval = max(interval[0], again[0]), min(interval[1], again[1])
    if interval is None:
        return Enclosure(()), None
    most = experiment.prompt()[-1]
    for slack in (0.005, 0.02, 0.1, float("inf")):
        latest = most - experiment.floor() + experiment.lag + slack
        enclosure = enclose(experiment.seen(latest)).within(*interval)
        if enclosure:
            return enclosure, _delay(experiment, held, enclosure.best[0])
    return Enclosure(()), None


def _bound(experiment: Experiment) -> float:
    """Return the seconds after which an answer was held back rather than slow."""
    prompt = experiment.prompt()
    least, most = prompt[0], prompt[-1]
    return max(most + 0.25 * least, least + 0.010, 1.35 * least)


def _lateness(experiment: Experiment, held: Sequence[Shot]) -> float:
    """Return how late a release may have been seen: by the network, by the server's clock, by this process."""
    prompt = experiment.prompt()
    least, most = prompt[0], prompt[-1]
    times = sorted(s.done for s in held if s.done is not None)
    apart = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return max(0.004, most - least + 0.002, 0.1 * least, 0.1 * apart) + min(experiment.lag, 0.25 * apart)


def _ticks(experiment: Experiment, held: Sequence[Shot]) -> tuple[float, float] | None:
    return ticks([s.done for s in held if s.done is not None], _lateness(experiment, held))


async def _queue(experiment: Experiment, size: int, rate: float) -> list[Shot]:
    """Fill the bucket again and keep it full for a while, so that a longer row of answers is released."""
    more = min(16, 2 + int(rate * _lateness(experiment, []) / ENOUGH))
    left = experiment.left(experiment.ramped // 2)
    shots = experiment.gun.fire(min(size, left))
    for _ in range(max(min(more, left - len(shots)), 0)):
        await asyncio.sleep(1 / rate)
        shots += experiment.gun.fire(1)
    await experiment.gun.settle(shots, max(experiment.until - now(), 0))
    bound = _bound(experiment)
    return [s for s in shots if s.passed(experiment.refusals) and s.done is not None and s.done - s.sent > bound]


def _delay(experiment: Experiment, held: Sequence[Shot], rate: float) -> int:
    """Return how many requests pass before any is held: what is in the bucket less what the hold accounts for."""
    least = experiment.prompt()[0]
    passed = experiment.passed()
    excess = []
    for shot in held:
        volley = [s for s in passed if abs(s.sent - shot.sent) < VOLLEY]
        begun = min(s.sent for s in volley)
        before = sorted(s.sent for s in passed if s.sent < begun)
        rank = sum(1 for s in volley if (s.done or 0.0) < (shot.done or 0.0))
        inside = level(before, rate, begun) + rank
        excess.append(inside - rate * ((shot.done or shot.sent) - shot.sent - least))
    excess.sort()
    return max(0, round(excess[len(excess) // 2]))


def _half(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / (interval[1] + interval[0])
