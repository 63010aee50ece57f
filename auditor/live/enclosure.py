"""Which rate limits can explain what was seen: the set of (rate, burst) that no observation contradicts.

The model is nginx's (ngx_http_limit_req_module.c, ngx_http_limit_req_lookup): a bucket drains at `rate`; a request is
refused, and the bucket left as it is, where it holds more than `burst`; else one is added. Each request was handled at
an unknown moment between its sending and its answer, so every conclusion holds for all of them: the true pair is always
inside, and a wide set means too little evidence, never a wrong number.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from auditor.dataclass import dataclass

FASTEST = 5000.0
"""Requests per second above which rates are not told apart: nginx's clock counts milliseconds."""

GRAIN = 0.002
"""Seconds that the server's own clock may be off between two requests: its grain, and one turn of its event loop."""

ENOUGH_RELEASES = 4
"""Releases that tell by themselves how late they were seen."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request of an experiment: handled between `early` and `late` (seconds), and let through or not."""

    early: float
    late: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Enclosure:
    """For each burst that is possible, the rates (requests per second, from, to) that are possible with it."""

    rates: tuple[tuple[int, float, float], ...]

    def __bool__(self) -> bool:
        """Whether any limit of this kind explains what was seen."""
        return bool(self.rates)

    @property
    def rate(self) -> tuple[float, float]:
        """The smallest interval that holds every possible rate."""
        return min(low for _, low, _ in self.rates), max(high for _, _, high in self.rates)

    @property
    def burst(self) -> tuple[int, int]:
        """The smallest and the largest possible burst."""
        return self.rates[0][0], self.rates[-1][0]

    @property
    def best(self) -> tuple[float, int]:
        """A rate and a burst from the middle."""
        low, high = self.rate
        off = [(abs(item[1] + item[2] - low - high), item[0]) for item in self.rates]
        near = sorted(burst for distance, burst in off if distance <= min(off)[0] + 0.02 * (low + high))
        return (low + high) / 2 if low > high / 4 else math.sqrt(max(low, 1e-4) * high), near[len(near) // 2]

    @property
    def width(self) -> float:
        """Half the rate's interval over its middle: 0.05 is 5 % either way."""
        low, high = self.rate
        return (high - low) / (high + low) if high > 0 else 1.0

    def within(self, low: float, high: float) -> Enclosure:
        """Return the part with rates in an interval."""
        cut = ((burst, max(a, low), min(b, high)) for burst, a, b in self.rates)
        return Enclosure(tuple(item for item in cut if item[1] <= item[2]))


def enclose(seen: Sequence[Seen]) -> Enclosure:
    """Return every (rate, burst) that explains what was seen of a bucket that was empty before."""
    passed = [item for item in seen if item.passed]
    lower = _passes(passed)
    early, late = sorted(item.early for item in passed), sorted(item.late for item in passed)
    upper = [_refusal(item, passed, early, late) for item in seen if not item.passed]
    found = []
    for burst in range(len(passed) + 1):
        low = max((max(0.0, (count - burst - 1) / window) for count, window in lower), default=0.0)
        high = FASTEST
        for windows in upper:
            best = -1.0
            for count, window in windows:
                if count > burst:
                    best = max(best, FASTEST if window <= 0 else (count - burst) / window)
            high = min(high, best)
        if low <= high and high > 0:
            found.append((burst, low, min(high, FASTEST)))
    return Enclosure(tuple(found))


def _passes(passed: Sequence[Seen]) -> list[tuple[int, float]]:
    """For each number of requests that passed, the shortest time that they took at most: burst + 1 + rate * it is as many."""
    shortest: dict[int, float] = {}
    ends = sorted({item.late for item in passed})
    for first in passed:
        inside = sorted(item.late for item in passed if item.early >= first.early)
        count = 0
        for end in ends:
            while count < len(inside) and inside[count] <= end:
                count += 1
            if count:
                window = max(end - first.early, 0.0) + GRAIN
                shortest[count] = min(shortest.get(count, window), window)
    return list(shortest.items())


def _refusal(
    refused: Seen, passed: Sequence[Seen], early: Sequence[float], late: Sequence[float]
) -> list[tuple[int, float]]:
    """For each start that may have filled the bucket: how many passed from it on, and the time they drained at least.

    `early` and `late` are the bounds of those that passed, sorted.
    """
    result: dict[int, float] = {}
    begun = bisect_right(early, refused.late)
    for first in passed:
        if first.early > refused.late:
            continue
        count = begun - bisect_left(late, first.early)
        window = max(0.0, refused.early - first.late - GRAIN)
        result[count] = min(result.get(count, window), window)
    return list(result.items())


def ticks(releases: Sequence[float], jitter: float) -> tuple[float, float] | None:
    """Return the rates (from, to) of answers that a limiter released one by one; None where they were not.

    Answers held back are released exactly 1/rate apart; each was seen up to `jitter` seconds late. Four releases and
    more say themselves whether they were later: the least lateness with which one rate explains them all, three times.
    """
    times = sorted(releases)
    pairs = [(j - i, times[j] - times[i]) for i in range(len(times)) for j in range(i + 1, len(times))]
    if not pairs:
        return None
    typical = (times[-1] - times[0]) / (len(times) - 1)
    if len(times) >= ENOUGH_RELEASES:
        least = GRAIN
        while (found := _rates(pairs, least)) is None:
            least *= 1.25
            if least > max(typical / 4, (times[-1] - times[0]) / 16):
                return None
        return _rates(pairs, max(3 * least, min(jitter, typical / 2), 0.03 * typical)) or found
    while jitter < typical / 2:
        if (found := _rates(pairs, jitter)) is not None:
            return found
        jitter *= 2
    return None


def _rates(pairs: Sequence[tuple[int, float]], jitter: float) -> tuple[float, float] | None:
    """Return the rates that explain releases so many ticks and so many seconds apart."""
    low = max(count / (apart + jitter) for count, apart in pairs)
    high = min(count / (apart - jitter) if apart > jitter else math.inf for count, apart in pairs)
    return (low, min(high, FASTEST)) if low <= high else None


def level(passed: Sequence[float], rate: float, now: float) -> float:
    """Return how much a bucket holds now that these requests (times in order) were let into."""
    held, last = 0.0, now
    for moment in passed:
        held = max(0.0, held - rate * max(0.0, moment - last)) + 1 if held else 1.0
        last = moment
    return max(0.0, held - rate * max(0.0, now - last))


def free_at(passed: Sequence[float], rate: float, burst: int, count: int, now: float) -> float:
    """Return the moment at which the bucket takes `count` more requests at once."""
    excess = level(passed, rate, now) - (burst + 1 - count)
    return now + max(0.0, excess) / rate
