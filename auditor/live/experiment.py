"""One measurement of a rate limit under way: what was sent, what came back, and how much to believe its timing."""

from __future__ import annotations

import asyncio
import math

from auditor.dataclass import dataclass
from auditor.live.enclosure import Enclosure, Seen, enclose
from auditor.live.lateness import SMALL, Lateness, lateness
from auditor.live.likelihood import Likely, likely
from auditor.live.volley import Gun, Shot

FASTEST_RAMP = 600.0
"""Requests per second at which a bucket is filled at most: what one event loop sends without falling behind."""

NEAR = 0.02
"""Seconds of a round trip up to which answers come before the next volley is ready."""

FEW = 3
"""Refusals that tell how long an answer takes at most which nobody holds back, and nobody has to make."""

NOISE = 0.002
"""Seconds by which answers may be later for no reason."""

MANY = 20
"""Round trips of which the shortest is nearly as short as any."""

SLACKS = (0.005, 0.02, 0.1, float("inf"))
"""Seconds that a request may be later than any known one was, the fewest that leave a limit possible."""

SPARE = 25
"""Requests that a measurement may cost besides twice the burst."""


def now() -> float:
    """Return the moment (seconds, on the clock of the running event loop)."""
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class Experiment:
    """The shots of one measurement; times in seconds, on the monotonic clock.

    `cap`: requests after which there is no limit. `until`: when to stop. `rtt`: the first answer's round trip.
    `lag`: how late this process was at most. `ramped`: requests that passed until the bucket was full. `latest`: seconds
    within which a request was handled after it was sent, where its answer may have been held back.
    """

    gun: Gun
    cap: int
    until: float
    refusals: frozenset[int]
    rtt: float = 0.0
    lag: float = 0.0
    ramped: int = 0
    latest: float = float("inf")

    @property
    def shots(self) -> list[Shot]:
        """Every request so far, in the order they were fired."""
        return self.gun.shots

    def passed(self) -> list[Shot]:
        """Return the shots that were let through."""
        return [shot for shot in self.gun.shots if shot.passed(self.refusals)]

    def refused(self) -> list[Shot]:
        """Return the shots that a limiter refused."""
        return [shot for shot in self.gun.shots if shot.refused(self.refusals)]

    def left(self, burst: int) -> int:
        """Return the requests that a measurement of a burst like this one, or a little less, may still cost."""
        return min(2 * max(burst - 1 - burst // 12, 0) + SPARE - len(self.gun.shots), self.gun.left)

    def full(self) -> float:
        """Return when the bucket was full for the last time that is known: when the last refused request was sent."""
        return max(shot.sent for shot in self.refused())

    def passed_since(self, moment: float) -> int:
        """Return how many of the requests sent after a moment passed."""
        return sum(1 for shot in self.passed() if shot.sent > moment)

    async def watch(self) -> None:
        """Keep note of how late this process is."""
        while True:
            due = now() + 0.005
            await asyncio.sleep(0.005)
            self.lag = max(self.lag, now() - due)

    async def ramp(self, expected: int = 0) -> None:
        """Send volleys until one is refused, without waiting longer than a round trip for answers that may be held.

        A volley is half of what passed, so that little is wasted when it is refused; near by it is four requests. The
        first one may be as many as are `expected` to pass: from far away they drain while one waits for answers.
        """
        if expected and not self.refused():
            await self.gun.load(min(expected + 3, self.cap - len(self.shots)), max(8 * self.rtt, 0.2))
        while len(self.shots) < self.cap and not self.refused() and now() < self.until:
            begun = now()
            size = 4 if self.rtt < NEAR else max(4, len(self.shots) // 2, expected + 3 if len(self.shots) <= 1 else 0)
            volley = self.gun.fire(min(size, self.cap - len(self.shots)))
            if not volley:
                break
            await self.gun.settle(volley, max(1.4 * self.rtt, size / FASTEST_RAMP))
            await asyncio.sleep(max(begun + size / FASTEST_RAMP - now(), 0.0))
        patience = max(2.5 * self.rtt, 0.015)
        while not self.refused() and self.gun.waiting() and now() < self.until:
            await self.gun.settle(self.shots, patience)
        self.gun.take_back()
        await self.gun.settle(self.shots, 2 * patience)
        self.ramped = self.ramped or len(self.shots) - len(self.refused())

    async def fill(self, size: int, most: int) -> float:
        """Send volleys of growing size until one is refused, at most `most` requests; return when the last one left."""
        while now() < self.until and min(self.gun.left, most) > 0:
            shots = self.gun.fire(min(size, most))
            most -= len(shots)
            await self.gun.settle(shots, 2.0)
            if any(s.refused(self.refusals) for s in shots):
                return max(s.sent for s in shots)
            size = min(2 * size, 32)
        return now()

    def floor(self) -> float:
        """Return the seconds that every round trip takes at least, of which only the rest is uncertainty.

        The shortest of a few round trips may be longer than that, by about as much as they differ.
        """
        trips = sorted(s.done - s.sent for s in self.shots if s.done is not None)
        if not trips or trips[0] < 0.005:
            return 0.0
        spread = trips[len(trips) // 2] - trips[0]
        return max(0.0, trips[0] - 0.001 - max(0.1 * trips[0], spread if len(trips) < MANY else 0.5 * spread))

    def suspect(self) -> Lateness | None:
        """Find out whether answers are held back: then they say nothing about when their requests were handled.

        NOTE: none took longer to arrive than the slowest refusal both ways, and what else makes this process late.
        """
        most = self.prompt()[-1] - self.floor() + self.lag
        for slack in SLACKS:
            self.latest = most + slack
            seen = self.seen()
            if enclosure := enclose(seen):
                known = likely(seen, enclosure)
                further = 1 if known.burst >= SMALL else 4
                if found := self.held(known.rate, known.burst, min(known.burst + further, enclosure.burst[1])):
                    return found
                if self._served():
                    return None
                break
        self.latest = float("inf")
        return None

    def held(self, rate: float, least: int, most: int) -> Lateness | None:
        """Return the limit of about this rate, of these bursts, that explains best how late answers were."""
        passed, quickest = self.passed(), self.prompt()[0]
        noise = self.serving() / 2
        found = [lateness(passed, rate, burst, quickest, noise) for burst in range(least, most + 1)]
        return max((item for item in found if item), key=lambda item: item.gain, default=None)

    def serving(self) -> float:
        """Return the seconds that what is behind the limiter took for the first request, which nobody holds back."""
        first = self.shots[0]
        trips = [s.done - s.sent for s in self.refused() if s.done is not None]
        return max((first.done or first.sent) - first.sent - max(trips, default=math.inf) - NOISE, 0.0)

    def _served(self) -> bool:
        """Whether what is behind the limiter takes its time, so that answers say little about when requests arrived."""
        prompt = self.prompt()
        trips = sorted(s.done - s.sent for s in self.passed() if s.done is not None)
        return len(prompt) >= FEW and trips[len(trips) // 2] > 2 * prompt[-1] - prompt[0] + NOISE

    def seen(self) -> list[Seen]:
        """Return what was seen of the bucket; where answers are held back, what is not answered yet was let in."""
        floor, late = self.floor(), now() - 2 * self.latest
        return [
            Seen(shot.sent, min((shot.done or shot.sent) - floor, shot.sent + self.latest), shot.passed(self.refusals))
            if shot.done is not None
            else Seen(shot.sent, shot.sent + self.latest, passed=True)
            for shot in self.shots
            if shot.done is not None or (shot.sent < late - self.prompt()[-1] and not shot.error)
        ]

    def enclosure(self) -> Enclosure:
        """Return the limits that explain everything so far."""
        return enclose(self.seen())

    def likely(self) -> Likely | None:
        """Return what the limit is likely to be; None where nothing of the kind explains what was seen."""
        seen = self.seen()
        enclosure = enclose(seen)
        return likely(seen, enclosure) if enclosure else None

    def prompt(self) -> list[float]:
        """Return the round trips, sorted, of answers that nobody held back: refusals, of a few the first answer too."""
        first = self.shots[0]
        trips = [s.done - s.sent for s in self.refused() if s.done is not None]
        return sorted([*trips, (first.done or first.sent) - first.sent] if len(trips) < FEW else trips)

    def jitter(self) -> float:
        """Return how uncertain the moment is at which a single request was handled: most round trips vary less."""
        prompt = self.prompt()
        return max(0.002, prompt[(3 * len(prompt)) // 4] - self.floor())
