"""A limiter that refuses at once: from "there is a limit" to its rate, by the moments at which tokens are back."""

from __future__ import annotations

import asyncio
import math

from auditor.live.enclosure import free_at
from auditor.live.experiment import Experiment, now
from auditor.live.holding import ENOUGH
from auditor.live.volley import Shot

GROWTH = 1.5
"""How much longer each wait for the first token is than the one before."""

ROUGH = 2.2
"""How far apart the ends of the rate's interval may be (a quotient) for the moment of a token to be predicted."""

BLURRED = 0.2
"""Where a moment is less certain than this part of the time between two tokens, tokens are counted, not timed."""

ROOMY = 6
"""A burst from which on counting tokens after a wait takes no more requests than counting them as they come."""

TRAIN = 30
"""Requests of one train."""

FASTER = 1.33
"""How much more often than tokens come the requests of a train go."""


async def narrow(experiment: Experiment) -> None:
    """Find the rate roughly, then later and later tokens' moments, each asked for a few times about when it is due."""
    experiment.guess = await _first_token(experiment)
    while now() < experiment.until:
        enclosure = experiment.enclosure()
        left = experiment.left()
        if not enclosure or enclosure.width <= ENOUGH or left <= 0:
            return
        low, high = enclosure.rate
        if low > 0 and high <= ROUGH * low:
            if not await _round(experiment, low, high, enclosure.best[1], left):
                return
            continue
        guess = min(max(experiment.guess, low), high)
        blurred = experiment.jitter() * guess
        if blurred > BLURRED and experiment.burst() < ROOMY:
            experiment.guess = await _train(experiment, guess, left)
        else:
            tokens = max(3.0, min(0.6 * experiment.burst(), left / 2.2))
            experiment.guess = await _count(experiment, guess, tokens)


async def _first_token(experiment: Experiment) -> float:
    """Ask after growing waits until a request passes again; return about how many may pass in a second (0: unknown)."""
    gun = experiment.gun
    begun = await experiment.fill(3 if experiment.rtt > 0.005 else 2, experiment.left())
    wait = max(0.003, now() - begun)
    found = False
    while not found and now() < experiment.until and experiment.left() > 0:
        await _sleep_until(begun + wait)
        shots = gun.fire(1)
        await gun.settle(shots, 1.0 if wait > experiment.rtt else wait * (GROWTH - 1))
        found = any(s.passed(experiment.refusals) for s in experiment.shots if s.sent > begun)
        wait *= 1 if found else GROWTH
    await gun.settle(experiment.shots, 1.0)
    return 1 / wait if found else 0.0


async def _count(experiment: Experiment, guess: float, tokens: float) -> float:
    """Wait for some tokens since the last refusal, and count them; return about how many come in a second.

    The volley is larger than the guess, because one that passes as a whole says nothing about how fast is too fast.
    """
    begun = max(s.sent for s in experiment.refused())
    await _sleep_until(min(begun + tokens / guess, experiment.until))
    taken = sum(1 for s in experiment.passed() if s.sent > begun)
    size = max(2, math.ceil(1.3 * guess * (now() - begun)) + 2 - taken)
    end = await experiment.fill(size, experiment.left())
    passed = sum(1 for s in experiment.passed() if s.sent > begun)
    guess = max(passed, 0.5) / max(end - begun, 0.001)
    if experiment.enclosure() and experiment.enclosure().rate[1] > ROUGH * guess:
        await _slower_than(experiment, guess, end)
    return guess


async def _slower_than(experiment: Experiment, guess: float, full: float) -> None:
    """Be refused a little after the bucket was full: only that tells a small burst and fast tokens from the opposite."""
    if experiment.left() <= 0:
        return
    if experiment.jitter() * guess < 0.25:
        await _sleep_until(full + 0.5 / guess)
        await experiment.gun.settle(experiment.gun.fire(1), 2.0)
    else:
        await _train(experiment, guess, min(experiment.left(), 10))


async def _round(experiment: Experiment, low: float, high: float, burst: int, left: int) -> bool:
    """Take the tokens that are there for every possible rate, then ask for the next one about when it is due.

    Ends with a refusal, so that the next round starts from a full bucket. Where answers are too uncertain to tell one
    token from the next, a train of requests keeps the bucket full, and the tokens are counted.
    """
    gun = experiment.gun
    passed = sorted(s.sent for s in experiment.passed())
    moment = now()

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
        await _train(experiment, (low * high) ** 0.5, left)
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
        await experiment.fill(2, min(experiment.left(), 8))
    return True


async def _train(experiment: Experiment, guess: float, left: int) -> float:
    """Ask a little more often than tokens come, so that the bucket stays full; return how many passed in a second.

    The pace follows the answers: faster while all pass, at about four requests for three tokens otherwise.
    """
    gun = experiment.gun
    begun, due = max(s.sent for s in experiment.refused()), now()
    fired: list[Shot] = []
    for _ in range(min(left, TRAIN)):
        await _sleep_until(due)
        fired += gun.fire(1)
        known = [shot for shot in fired if shot.done is not None]
        passed = sum(1 for shot in known if shot.passed(experiment.refusals))
        if passed < len(known):
            guess = (passed + 0.5) / max(known[-1].sent - begun, 0.001)
        elif known and len(known) % 4 == 0:
            guess *= 1.5
        due = max(due + 1 / (FASTER * guess), now())
    await gun.settle(experiment.shots, 2.0)
    return max(sum(1 for s in experiment.passed() if s.sent > begun), 0.5) / max(fired[-1].sent - begun, 0.001)


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - now()))
