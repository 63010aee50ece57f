"""Whether a limiter holds requests back, and from how many on: what explains best how late each answer was.

A request that finds `excess` others in the bucket is held for (excess - delay) / rate where that is positive, and never
where the limit is `nodelay` (ngx_http_limit_req_account). What it finds follows from the moments at which the others were
sent; so each possible delay says how late every answer should be, and answers that are late for another reason (an
application that takes its time, a network that does) are late whatever was in the bucket.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from auditor.dataclass import dataclass
from auditor.live.volley import Shot

SURE = 4.0
"""How much more likely (natural logarithm) a delay must make what was seen than none does."""

CLEAR = 0.35
"""The same for each answer: a delay must make their differences a quarter smaller, or it is chance that explains them."""

NOISE = 0.0005
"""Seconds by which answers differ on the quietest way."""

SMALL = 10
"""Bursts below which not even the likely rate tells much: another one is looked for all around it."""

AROUND = tuple(1.12**step for step in (0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5, -6, 6))
"""How far around it (quotients)."""

BESIDE = tuple(1.015**step for step in range(-8, 9))
"""How far beside the likely rate (quotients) it is looked for: how long answers were held says more about it."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """The limit that explains best how late the answers were, and how much better than one that holds none.

    `rate` in requests per second; `gain` is a natural logarithm.
    """

    rate: float
    burst: int
    delay: int
    gain: float


def lateness(passed: Sequence[Shot], rate: float, burst: int, least: float, noise: float) -> Lateness | None:
    """Find the delay of a limit from the answers that it let through; None where it holds none back, or nobody can tell.

    Held answers leave in the order in which their requests came, so that the first to be sent goes with the first to be
    answered, whichever overtook which on the way. `least`: seconds that an answer takes which nobody holds back; `noise`:
    seconds by which answers may differ besides.
    """
    sent = sorted(shot.sent for shot in passed if shot.done is not None)
    done = sorted(shot.done for shot in passed if shot.done is not None)
    late = [end - begun for begun, end in zip(sent, done, strict=True)]
    if burst < 1 or len(sent) < 3:
        return None

    def fit(rate: float, delays: Sequence[int]) -> Sequence[tuple[float, float, int]]:
        found = _excess(sent, rate, burst)
        return [(_spread(late, [max(0.0, e - delay) / rate for e in found], least), rate, delay) for delay in delays]

    around = AROUND if burst < SMALL else (1.0,)
    _, rate, first = min(item for beside in around for item in fit(rate * beside, range(burst)))
    near = range(max(first - 1, 0), min(first + 2, burst))
    spread, best, delay = min(item for beside in BESIDE for item in fit(rate * beside, near))
    noise = max(noise, NOISE)
    gain = len(sent) * math.log((_spread(late, [0.0] * len(late), least) + noise) / (spread + noise))
    return Lateness(best, burst, delay, gain) if gain >= max(SURE, CLEAR * len(late)) else None


def _excess(sent: Sequence[float], rate: float, burst: int) -> list[float]:
    """Return how many others each request found in the bucket (ngx_http_limit_req_lookup)."""
    found = [0.0]
    for before, moment in pairwise(sent):
        found.append(min(max(0.0, found[-1] - rate * (moment - before) + 1), burst))
    return found


def _spread(late: Sequence[float], held: Sequence[float], least: float) -> float:
    """Return how far apart the answers are, on average, but for what held them: around the one in the middle."""
    rest = [seconds - hold for seconds, hold in zip(late, held, strict=True)]
    middle = max(sorted(rest)[len(rest) // 2], least)
    return sum(abs(item - middle) for item in rest) / len(rest)
