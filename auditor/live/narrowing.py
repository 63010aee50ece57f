"""A limiter that refuses at once: from "there is a limit" to its rate, by the tokens that come back to a full bucket.

Between two refusals a full bucket took as many requests as drained, give or take one: the longer that is, the less does
it matter when exactly each request arrived. So tokens are counted over a wait that nearly empties the bucket, or, where
it is small, over a train of requests that keeps it full. Where a request's arrival is known better than the time
between two tokens, the moment of a single token says the same in fewer requests.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.live.enclosure import free_at
from auditor.live.experiment import NEAR, Experiment, now
from auditor.live.holding import ENOUGH
from auditor.live.likelihood import Likely
from auditor.live.volley import Shot

GROWTH = 1.5
"""How much longer each wait for the first token is than the one before."""

ROUGH = 2.2
"""How far apart the likely rates may be (a quotient) for the moment of a token to be predicted."""

ASIDE = 1.02
"""How far beside the likely rates a token is still asked for (a quotient)."""

BLURRED = 0.2
"""Where a moment is less certain than this part of the time between two tokens, tokens are counted, not timed."""

ROOMY = 5
"""A burst from which on counting tokens after a wait takes no more requests than counting them as they come."""

SETTLED = 1.5
"""How far apart the likely rates may be for all that is left to be spent on counting once."""

FEW = 8
"""Requests that are not worth being halved."""

BRISK = 0.4
"""Tokens that come within a round trip, from which on a small bucket is kept full without waiting for answers."""

WAITS = 5.0
"""Round trips in which a larger bucket than this does not drain: it can be waited for."""

SOONER, LATER = 0.97, 1.06
"""Quotients of gaps after a request that passed and after one that was refused: two pass for each that is refused."""

SOME = 3
"""Requests that passed, from which on they say how often tokens come."""

VAIN = 6
"""Refusals in a row that no limit of the expected rate gives."""

OVER = 3
"""Requests more than a bucket holds that fill it for certain, though some tokens come meanwhile."""

TRAIN = 40
"""Requests of one train."""

FASTER = 1.33
"""How much more often than tokens come the requests of a train go."""


async def chain(experiment: Experiment, burst: int, rate: float) -> None:
    """Fill a bucket that drains within a few round trips, and keep it full without waiting for an answer.

    What it passes from the first to the last refusal is counted: one that is waited for is empty again, and says nothing.
    `burst` and `rate` (requests per second, 0: nothing is declared) are what the limit should be; answers correct the
    pace as they come. Ends where they show that the bucket is larger, or the limit another one altogether.
    """
    gun, trip = experiment.gun, rate * experiment.rtt
    if not rate or experiment.rtt < NEAR or (burst and (trip < BRISK or burst + 1 > WAITS * trip)):
        return
    # a bucket that holds nothing is full as soon as one passes, and each gap tells by itself
    first, last = (burst + OVER, OVER) if burst else (2, 0)
    await gun.load(first + math.ceil(FASTER * trip), 8 * experiment.rtt)
    volley = gun.fire(first)
    due = now()
    pace = _Pace(experiment.refusals, burst, 1 / (FASTER * rate) if burst else 1 / rate)
    while experiment.left(burst) > last and now() < experiment.until:
        due = max(due + pace.gap, now())
        await _sleep_until(due)
        if all(shot.passed(experiment.refusals) for shot in volley) or pace.astray:
            break
        gun.fire(1)
        pace.correct(experiment.shots, max(shot.sent for shot in volley))
    else:
        if 0 < burst < OVER:  # two at once do not pass a smaller bucket, which would look the same at a higher rate
            await _sleep_until(due + (burst + 1) / rate)
        gun.fire(last)
    experiment.ramped = 1 + sum(not shot.refused(experiment.refusals) for shot in volley)
    await gun.settle(experiment.shots, 2 * experiment.rtt)


@dataclass(slots=True)
class _Pace:
    """How often the requests of a chain go: `gap` seconds apart, corrected by the answers to them.

    A bucket is kept full by a third more requests than tokens. One that holds nothing tells the most by requests that
    come just when a token does: sooner after one that passed, later after one that was refused.
    """

    refusals: frozenset[int]
    burst: int
    gap: float
    in_vain: int = 0
    _told: set[int] = field(default_factory=set)

    @property
    def astray(self) -> bool:
        """Whether none of the last requests met a token, so that the limit is far stricter than was expected."""
        return self.in_vain >= VAIN

    def correct(self, shots: Sequence[Shot], full: float) -> None:
        """Take the answers that are new; the bucket was full at a moment, and what was sent before does not count."""
        after = [shot for shot in shots if shot.done is not None and shot.sent > full]
        for shot in after:
            if id(shot) not in self._told:
                self._told.add(id(shot))
                through = shot.passed(self.refusals)
                self.in_vain = 0 if through else self.in_vain + 1
                if not self.burst:
                    self.gap *= SOONER if through else LATER
        count = sum(shot.passed(self.refusals) for shot in after)
        if self.burst and count >= SOME:
            self.gap = (max(shot.sent for shot in after) - full) / (FASTER * (count + 0.5))


async def narrow(experiment: Experiment) -> None:
    """Find the rate roughly, then better and better, until it is known well enough or the requests are used up."""
    await _explore(experiment)
    while now() < experiment.until:
        experiment.suspect()
        enclosure, known = experiment.enclosure(), experiment.likely()
        if known is None or enclosure.width <= ENOUGH:
            return
        left = experiment.left(known.least)
        if left <= 1:
            return
        blurred = experiment.jitter() * known.rate > BLURRED
        if not blurred and known.fast <= ROUGH * known.slow:
            if not await _round(experiment, known, left):
                return
        elif known.least < ROOMY:
            await _train(experiment, known.rate if known.fast <= ROUGH**2 * known.slow else 0.0, left)
        else:
            await _count(experiment, known, left)


async def _explore(experiment: Experiment) -> None:
    """Learn about how many tokens come in a second: ask after growing waits until some are back."""
    begun = experiment.full()
    near = experiment.rtt < NEAR
    if experiment.ramped <= ROOMY and not near:
        return
    size = 1 if near else max(1, min(4, experiment.ramped // 8))
    wait = max(now() - begun, 0.003)
    while now() < experiment.until and (left := experiment.left(experiment.ramped // 2)) > 1:
        await _sleep_until(begun + wait)
        end = await experiment.fill(size, left)
        count = experiment.passed_since(begun)
        wait = (end - begun) * GROWTH
        if count >= 3 or (count and experiment.jitter() * count < BLURRED * (end - begun)):
            return


async def _count(experiment: Experiment, known: Likely, left: int) -> None:
    """Wait for some tokens since the bucket was full, and count them.

    The volley is larger than what is expected, because one that passes as a whole says nothing about how fast is too fast.
    """
    half = known.fast > SETTLED * known.slow and left >= 2 * FEW
    tokens = min(float(known.least), (left - 2) * (0.4 if half else 1.0))
    begun = experiment.full()
    await _sleep_until(min(begun + max(tokens, 1.0) / known.fast, experiment.until))
    size = max(2, math.ceil(known.fast * (now() - begun)) + 1 - experiment.passed_since(begun))
    await experiment.fill(size, left)


async def _round(experiment: Experiment, known: Likely, left: int) -> bool:
    """Take the tokens that are there for every possible rate, then ask for the next one about when it is due.

    Ends with a refusal, so that the next round starts from a full bucket. Where answers are too uncertain to tell one
    token from the next, a train of requests keeps the bucket full, and the tokens are counted.
    """
    gun, low, high, burst = experiment.gun, known.slow / ASIDE, known.fast * ASIDE, known.burst
    passed = sorted(s.sent for s in experiment.passed())
    moment, begun = now(), len(experiment.shots)

    def due(rate: float, count: int) -> float:
        return free_at(passed, rate, burst, count, moment)

    count = 1
    while count < min(burst, left - 3, 40) and due(high, count + 1) >= due(low, count):
        count += 1
    begin, end = due(high, count), due(low, count)
    if end > experiment.until:
        return False
    jitter = experiment.jitter()
    if count / high < 3 * jitter and (burst < 8 or count == 1):
        await _train(experiment, known.rate, left)
        return True
    if count > 1:
        await _sleep_until(max(due(low, count - 1), moment) + 0.001)
        gun.fire(count - 1)
    polls = max(1, min(4, left - count, int((end - begin) / (jitter / 2))))
    start, ratio = max(begin - moment, 0.001), max(end - moment, 0.002) / max(begin - moment, 0.001)
    fired: list[Shot] = []
    for index in range(polls):
        at = moment + start * ratio ** ((index + 1) / (polls + 1))
        await _sleep_until(at)
        if any(shot.passed(experiment.refusals) for shot in fired):
            break
        fired += gun.fire(1)
        following = moment + start * ratio ** ((index + 2) / (polls + 1))
        await gun.settle(fired[-1:], min((following - at) / 2, 1.0))
    await gun.settle(experiment.shots, 2.0)
    if fired and fired[0].passed(experiment.refusals):
        await experiment.fill(2, min(left + begun - len(experiment.shots), 8))
    return True


async def _train(experiment: Experiment, guess: float, left: int) -> None:
    """Ask a little more often than tokens come, so that the bucket stays full; `guess` 0: nobody knows how often.

    The pace follows the answers: slower until one passed, faster while all pass, at four requests for three tokens else.
    """
    gun, due = experiment.gun, now()
    gap = 1 / (FASTER * guess) if guess else max(experiment.jitter(), 0.003)
    fired: list[Shot] = []
    for _ in range(min(left, TRAIN)):
        await _sleep_until(due)
        fired += gun.fire(1)
        known = [shot for shot in fired if shot.done is not None]
        full = next((shot.sent for shot in known if shot.refused(experiment.refusals)), None)
        if full is None:
            gap *= 1 if guess else 1 / GROWTH if known else GROWTH
        elif count := sum(1 for shot in known if shot.sent > full and shot.passed(experiment.refusals)):
            rate = (count + 0.5) / max(known[-1].sent - full, 0.001)
            if not guess and experiment.jitter() * rate < BLURRED:
                break
            gap = 1 / (FASTER * rate)
        elif not guess:
            gap *= GROWTH
        due = max(due + gap, now())
    await gun.settle(experiment.shots, 2.0)


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - now()))
