"""How likely each rate limit is after what was seen: where an enclosure is wide, the number that fits best.

A request that passed although the bucket would have been full, or the other way round, was handled at another moment than
in the middle between its sending and its answer: the more tokens it is off, the less likely is that limit. That is no
proof, and no conclusion rests on it; it says what to ask next, and which number of an enclosure is the estimate.
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

SHARP = 0.06
"""Tokens that an answer may be off for no reason of timing."""

BLUNT = 0.33
"""Tokens off, at most, that are nothing unusual."""

LATER = 0.5
"""How much later than in the middle of its time a refusal is looked at (a part of half of it): after what caused it."""

USUAL = 50.0
"""Requests per second above which limits are the less usual the higher they are."""

PRIOR = 1.5
"""How much less usual: the exponent of a quotient of rates. Below, a rate is the less likely the lower it is, because a
token that comes soon after a refusal is a coincidence then."""

UNLIKELY = 12.0
"""Limits that are less likely than the best by this (natural logarithm) are left out."""

TAIL = 0.1
"""Likelihood on each side of what is called likely."""


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
    order = [(s.passed, (s.early + s.late) / 2, (s.late - s.early) / 2) for s in seen]
    order.sort(key=lambda item: item[1] if item[0] else item[1] + LATER * item[2])
    possible = {burst: (slow, fast) for burst, slow, fast in enclosure.rates}
    fits: list[_Fit] = []
    while True:
        step = (high / low) ** (1 / (POINTS - 1))
        rates = [low * step**index for index in range(POINTS)]
        fits = [fit for rate in rates for fit in _fits(order, rate, possible)]
        if not fits:
            rate, burst = enclosure.best
            return Likely(rate, burst, *enclosure.rate, enclosure.burst[0])
        least = min(fit.off for fit in fits)
        fits = [fit for fit in fits if fit.off <= least + UNLIKELY]
        begin, end = min(f.rate for f in fits) / step, max(f.rate for f in fits) * step
        if step <= FINE or (begin <= low * FINE and end >= high / FINE):
            return _summary(fits, least)
        low, high = max(low, begin), min(high, end)


def _summary(fits: Sequence[_Fit], least: float) -> Likely:
    weighed = [(fit, math.exp(least - fit.off)) for fit in fits]
    by_burst: dict[int, float] = {}
    for fit, weight in weighed:
        by_burst[fit.burst] = by_burst.get(fit.burst, 0.0) + weight
    burst = max(by_burst, key=lambda number: by_burst[number])
    mean = sum(fit.rate * weight for fit, weight in weighed if fit.burst == burst) / by_burst[burst]
    slow, fast = (_quantile([(fit.rate, weight) for fit, weight in weighed], share) for share in (TAIL, 1 - TAIL))
    fewest = int(_quantile(list(by_burst.items()), TAIL))
    return Likely(mean, burst, min(slow, mean), max(fast, mean), fewest)


def _quantile(weighed: Sequence[tuple[float, float]], share: float) -> float:
    ordered = sorted(weighed)
    whole = sum(weight for _, weight in ordered)
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= share * whole:
            return value
    return ordered[-1][0]


def _fits(
    order: Sequence[tuple[bool, float, float]], rate: float, possible: dict[int, tuple[float, float]]
) -> Iterator[_Fit]:
    """Yield how well this rate explains what was seen, with each burst that is near."""
    passed: list[tuple[float, float]] = []
    refused: list[tuple[float, float]] = []
    excess, last, first = 0.0, 0.0, True
    for through, moment, half in order:
        value = 0.0 if first else excess - rate * (moment - last) + 1
        blur = min(SHARP + 0.6 * rate * half, BLUNT)
        if through:
            passed.append((value, blur))
            excess, last, first = max(0.0, value), moment, False
        else:
            refused.append((value, blur))
    top = max((value for value, _ in passed), default=0.0)
    bottom = min((value for value, _ in refused), default=top)
    begin, end = sorted((math.floor(bottom) - 1, math.ceil(top) + 1))
    middle = (begin + end) // 2
    for burst in range(max(begin, middle - 4, 0), min(end, middle + 5) + 1):
        low, high = possible.get(burst, (1.0, 0.0))
        if low <= rate <= high:
            off = sum(((value - burst) / blur) ** 2 for value, blur in passed if value > burst)
            off += sum(((burst - value) / blur) ** 2 for value, blur in refused if value < burst)
            yield _Fit(rate, burst, off / 2 - math.log(rate) + (1 + PRIOR) * math.log1p(rate / USUAL))
