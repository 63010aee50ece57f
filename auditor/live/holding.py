"""A limiter that holds requests back: which answers were held, how far apart they were released, from when on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from auditor.live.enclosure import ENOUGH_RELEASES, Enclosure, ticks
from auditor.live.experiment import SLACKS, Experiment, now
from auditor.live.lateness import Lateness
from auditor.live.volley import Shot

ENOUGH = 0.04
"""The rate's interval is narrow enough at this half-width."""


async def released(experiment: Experiment) -> list[Shot] | None:
    """Return the shots that the limiter held back, where it did: overtaken by refusals, late, and evenly spaced.

    Fewer than say themselves how late they were seen are none: what else is known of the bucket says more then.
    """
    await experiment.gun.settle(experiment.shots, max(experiment.until - now(), 0))
    if not _overtaken(experiment):
        return None
    bound = _bound(experiment)
    held = [s for s in experiment.passed() if s.done is not None and s.done - s.sent > bound]
    held.sort(key=lambda s: (s.done or 0.0) - s.sent)
    for rest in (held, held[1:], held[2:]):  # those held for the shortest time may only have been slow
        if len(rest) >= ENOUGH_RELEASES and _ticks(experiment, rest) is not None:
            return sorted(rest, key=lambda s: s.done or 0.0)
    return None


def _overtaken(experiment: Experiment) -> bool:
    """Whether a request was answered long after a refusal of one that left later: no slow network does that."""
    first = min(experiment.refused(), key=lambda s: s.sent)
    before = [s.done for s in experiment.passed() if s.done is not None and s.sent <= first.sent]
    return max(before, default=0.0) - (first.done or 0.0) > max(0.010, _bound(experiment) - experiment.prompt()[0])


async def delayed(experiment: Experiment, held: list[Shot]) -> tuple[Enclosure, Lateness | None]:
    """Narrow the rate by releases: held answers come 1/rate apart, whenever they were sent.

    Beside the enclosure, the limit that explains best how long they were held; None where they were late for another
    reason.
    """
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
    most = experiment.prompt()[-1] - experiment.floor() + experiment.lag
    for slack in SLACKS:
        experiment.latest = most + slack
        if enclosure := experiment.enclosure().within(*interval):
            return enclosure, experiment.held(enclosure.best[0], *enclosure.burst)
    return Enclosure(()), None


def _bound(experiment: Experiment) -> float:
    """Return the seconds after which an answer was held back rather than slow: nobody held the first one.

    What is behind the limiter may take twice as long for another one.
    """
    prompt, first = experiment.prompt(), experiment.shots[0]
    least, most = prompt[0], max(prompt[-1], (first.done or first.sent) - first.sent)
    return max(most + 0.25 * least, least + 0.010, 1.35 * least) + experiment.serving()


def _lateness(experiment: Experiment, held: Sequence[Shot]) -> float:
    """Return how late a release may have been seen: by the network, by the server's clock, by this process."""
    prompt = experiment.prompt()
    least, spread = prompt[0], (prompt[-1] - prompt[0]) * (1 + 2 / max(len(prompt) - 1, 1))  # of few, most are within
    times = sorted(s.done for s in held if s.done is not None)
    apart = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return max(0.004, spread + 0.002, 0.1 * least, 0.1 * apart) + min(experiment.lag, 0.25 * apart)


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


def _half(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / (interval[1] + interval[0])
