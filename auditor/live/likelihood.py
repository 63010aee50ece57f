"""How likely each rate limit is after what was seen: where an enclosure is wide, the number that fits best.

A request that passed although the bucket would have been full, or the other way round, was handled at another moment than
it seems: the more tokens it is off, the less likely is that limit. How much that may be, the answers say themselves, by
how long they took; nginx's clock of whole milliseconds adds its own. Of limits that explain it equally well, a round
number is the likelier one. That is no proof, and no conclusion rests on it; it says what to ask next, and which number of
an enclosure is the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from auditor.dataclass import dataclass
from auditor.live.enclosure import FASTEST, Enclosure, Seen

SLOWEST = 0.02
"""Requests per second below which no rate is tried."""

POINTS = 40
"""Rates tried at each step of a search."""

FINE = 1.002
"""Quotient of neighbouring rates at which a search ends."""

LEAST = 1 + 1e-9
"""The same where an enclosure is a single rate."""

CLOCK = 2e-7
"""Square seconds: what the server's clock of milliseconds adds to the uncertainty (variance) of a difference of times."""

QUIET = 0.0002
"""Seconds by which the moment of a request is uncertain on the quietest way."""

CERTAIN = 4.0
"""Standard deviations within the limit from which on an answer says nothing more."""

CHANCE = 0.003
"""Probability of an answer that is late, or early, by more than the others tell."""

LATER = 0.5
"""How much later than in the middle of its time a refusal is looked at (a part of half of it): after what caused it."""

USUAL = 50.0
"""Requests per second above which limits are the less usual the higher they are."""

PRIOR = 1.5
"""How much less usual: the exponent of a quotient of rates. Below, a rate is the less likely the lower it is, because a
token that comes soon after a refusal is a coincidence then."""

ROUND = ((1, 0.1), (2, 0.02))
"""Limits are round numbers: significant digits, and how wide a range of other rates (natural logarithm) is as likely."""

CLOSE = 1.05
"""Quotient of neighbouring rates below which round numbers stand for what is near them."""

UNLIKELY = 12.0
"""Limits that are less likely than the best by this (natural logarithm) are left out."""

TAIL = 0.1
"""Likelihood on each side of what is called likely."""


_Moment = tuple[bool, float, float]
"""Whether a request passed; the middle of the time in which it was handled, and its standard deviation (seconds)."""


@dataclass(frozen=True, slots=True)
class Likely:
    """A limit's most likely rate (requests per second) and burst, and how much lower or higher they may well be."""

    rate: float
    burst: int
    slow: float
    fast: float
    least: int


@dataclass(frozen=True, slots=True)
class _Fit:
    rate: float
    burst: int
    off: float


def likely(seen: Sequence[Seen], enclosure: Enclosure) -> Likely:
    """Return the limits of an enclosure (not an empty one) that explain best what was seen."""
    low, high = enclosure.rate
    low, high = max(low, SLOWEST), max(min(high, FASTEST), SLOWEST)
    order = _moments(seen)
    possible = {burst: (slow, fast) for burst, slow, fast in enclosure.rates}
    fits: list[_Fit] = []
    while True:
        step = max((high / low) ** (1 / (POINTS - 1)), LEAST)
        rates = [_round(low * step**index, step) for index in range(POINTS)]
        fits = [fit for rate, usual in rates for fit in _fits(order, rate, step, usual, possible)]
        if not fits:
            rate, burst = enclosure.best
            return Likely(rate, burst, *enclosure.rate, enclosure.burst[0])
        least = min(fit.off for fit in fits)
        fits = [fit for fit in fits if fit.off <= least + UNLIKELY]
        begin, end = min(f.rate for f in fits) / step, max(f.rate for f in fits) * step
        if step <= FINE or (begin <= low * FINE and end >= high / FINE):
            return _summary(fits, least)
        low, high = max(low, begin), min(high, end)


def _moments(seen: Sequence[Seen]) -> list[_Moment]:
    """Return when each request was handled, in order; a refusal comes after what caused it.

    What an answer took longer than the quickest one is its delay both ways: where that is nothing, or as much as that of
    the slowest refusal, it was as long each way. What took longer still was held back after it had arrived.
    """
    quick = min(s.late - s.early for s in seen) / 2
    refused = sorted((s.late - s.early) / 2 for s in seen if not s.passed) or [quick]
    usual, slow = refused[len(refused) // 2], refused[-1]
    moments = []
    for item in seen:
        half = (item.late - item.early) / 2
        middle, unknown = item.early + half, min(half - quick, slow - half)
        if half > slow:
            middle, unknown = item.early + usual, slow - quick
        moment = item.passed, middle, unknown / math.sqrt(3) + QUIET
        moments.append((middle if item.passed else middle + LATER * half, moment))
    return [moment for _, moment in sorted(moments)]


def _summary(fits: Sequence[_Fit], least: float) -> Likely:
    weighed = [(fit, math.exp(least - fit.off)) for fit in fits]
    by_burst: dict[int, float] = {}
    for fit, weight in weighed:
        by_burst[fit.burst] = by_burst.get(fit.burst, 0.0) + weight
    burst = max(by_burst, key=lambda number: by_burst[number])
    middle = _quantile([(fit.rate, weight) for fit, weight in weighed if fit.burst == burst], 0.5)
    slow, fast = (_quantile([(fit.rate, weight) for fit, weight in weighed], share) for share in (TAIL, 1 - TAIL))
    fewest = int(_quantile(list(by_burst.items()), TAIL))
    return Likely(middle, burst, min(slow, middle), max(fast, middle), fewest)


def _quantile(weighed: Sequence[tuple[float, float]], share: float) -> float:
    ordered = sorted(weighed)
    whole = sum(weight for _, weight in ordered)
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= share * whole:
            return value
    return ordered[-1][0]


def _round(rate: float, step: float) -> tuple[float, float]:
    """Return the round number next to a rate, if any is within half a step, and how much likelier that makes it."""
    for digits, share in ROUND if step < CLOSE else ():
        number = float(f"{rate:.{digits}g}")
        if abs(math.log(number / rate)) <= math.log(step) / 2:
            return number, share
    return rate, 0.0


def _fits(
    order: Sequence[_Moment], rate: float, step: float, usual: float, possible: dict[int, tuple[float, float]]
) -> Iterator[_Fit]:
    """Yield how well this rate and those half a `step` (a quotient) around it explain what was seen, with each burst near."""
    prior = -math.log(rate * (math.log(step) + usual)) + (1 + PRIOR) * math.log1p(rate / USUAL)
    top, bottom = _extremes(order, rate)
    begin, end = sorted((math.floor(bottom) - 1, math.ceil(top) + 1))
    middle = (begin + end) // 2
    for burst in range(max(begin, middle - 4, 0), min(end, middle + 5) + 1):
        low, high = possible.get(burst, (1.0, 0.0))
        if low <= rate <= high:
            yield _Fit(rate, burst, prior + _off(order, rate, burst, (step - 1) / 2))


def _off(order: Sequence[_Moment], rate: float, burst: int, beside: float) -> float:
    """Return how unlikely what was seen is under a limit (negative natural logarithm).

    A bucket that holds requests drains steadily since it was empty, so that only two moments are uncertain: that one
    and now. It holds `burst` at most, whatever the moments seem to say, and its clock counts whole milliseconds.
    `beside`: how far the rate itself may be off (a part of it).
    """
    off = excess = since = begun = 0.0
    last, count = -math.inf, 0
    for through, moment, blur in order:
        value = max(excess - rate * (moment - last) + 1, -1.0)
        sigma = rate * math.sqrt(CLOCK + blur * blur + since * since + (beside * (moment - begun)) ** 2)
        wait = (count + 1 - burst) * 1000 / rate
        margin = burst - value + (wait - math.ceil(wait - 1e-9) + 0.5) * rate / 1000
        off -= _log(margin if through else -margin, sigma)
        if through:
            excess, last, count = min(max(0.0, value), burst), moment, count + 1
            if not burst > value > 0:
                count, since, begun = (0 if value <= 0 else burst), blur, moment
    return off


def _extremes(order: Sequence[_Moment], rate: float) -> tuple[float, float]:
    """Return the most that a request was let into, and the least that one was refused for, in a bucket of any size."""
    excess, last = 0.0, -math.inf
    top, bottom = 0.0, math.inf
    for through, moment, _ in order:
        value = excess - rate * (moment - last) + 1
        if through:
            top, excess, last = max(top, value), max(0.0, value), moment
        else:
            bottom = min(bottom, value)
    return top, top if bottom == math.inf else bottom


def _log(margin: float, blur: float) -> float:
    """Return the logarithm of the probability that an answer is as it was, so many requests within the limit."""
    sigmas = margin / blur
    if sigmas > CERTAIN:
        return 0.0
    return math.log(max(0.5 * math.erfc(-sigmas / math.sqrt(2)), CHANCE))
