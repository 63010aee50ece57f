"""A rate limit measured from outside: rate, burst, delay, status and key, each with what the evidence allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.exchange import Request
from auditor.live.client import Client
from auditor.live.enclosure import Enclosure, Seen, enclose, free_at, level, ticks
from auditor.live.presence import CONNECTIONS, first_shot
from auditor.live.volley import REFUSALS, Gun, Shot
from auditor.live.wire import Wire

RAMP = (4, 4, 8, 16, 16)
"""Sizes of the volleys that fill the bucket; the last one is repeated."""

GROWTH = 1.5
"""How much longer each wait for the first token is than the one before."""

VOLLEY = 0.015
"""Seconds within which requests belong to one volley."""

ENOUGH = 0.04
"""The rate's interval is narrow enough at this half-width."""

FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP")
ADDRESSES = ("198.51.100.7", "198.51.100.8", "198.51.100.9")
"""Addresses that nobody has (TEST-NET-2, RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A limit as seen from outside.

    `rate` in requests per second and `burst` in requests are from the middle of their intervals; None: no limit was
    met within the cap. `delay`: how many of the burst pass at once (None: nodelay, all of it). `escapes`: headers in
    which a client gets a bucket of its own. `sent` counts every request, `seconds` is the time it took.
    """

    rate: float | None
    burst: int | None
    rate_interval: tuple[float, float]
    burst_interval: tuple[int, int]
    delay: int | None
    status: int | None
    escapes: tuple[str, ...]
    sent: int
    passed: int
    seconds: float
    detail: str

    def __str__(self) -> str:
        """Say it in one line: each number with its interval, how excess is treated, what refusals look like."""
        if self.rate is None or self.burst is None:
            return self.detail
        low, high = self.rate_interval
        first, last = self.burst_interval
        burst = f"{first}" if first == last else f"{self.burst} ({first} to {last})"
        hold = "all of it at once" if self.delay is None else f"{self.delay} of it at once, the rest held back"
        return f"about {self.rate:.3g}/s ({low:.3g} to {high:.3g}), burst {burst}, {hold}; refused with {self.status}"


def estimate(
    client: Client,
    entrypoint: str,
    request: Request,
    *,
    cap: int = 128,
    settle: float = 0.0,
    forged: Sequence[str] = (),
    seconds: float = 20.0,
    refusals: frozenset[int] = REFUSALS,
) -> Estimate | None:
    """Measure the limit that a request meets, in about 2 * burst + 25 requests.

    `settle`: seconds to wait first, so that the bucket is empty. `cap`: requests after which there is no limit.
    None where the request gets no answer, or only refusals.
    """
    found: list[Estimate | None] = [None]

    async def job(wire: Wire) -> None:
        wire.concurrency = CONNECTIONS
        gun = Gun(client, wire, entrypoint, request)
        try:
            await asyncio.sleep(settle)
            found[0] = await _Experiment(gun, cap, time.monotonic() + seconds, refusals).run(forged)
        finally:
            await gun.rest()

    client.run(job)
    return found[0]


@dataclass(slots=True)
class _Experiment:
    """One measurement under way."""

    gun: Gun
    cap: int
    until: float
    refusals: frozenset[int]
    rtt: float = 0.0
    ramped: int = 0
    lag: float = 0.0

    async def run(self, forged: Sequence[str]) -> Estimate | None:
        """Measure, and watch meanwhile how late this process itself is."""
        watch = asyncio.create_task(self._watch())
        try:
            return await self._measure(forged)
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            self.lag = max(self.lag, time.monotonic() - due)

    async def _measure(self, forged: Sequence[str]) -> Estimate | None:
        started = time.monotonic()
        first = await first_shot(self.gun, self.refusals, pause=1.0)
        if first is None:
            return None
        self.rtt = max((first.done or first.sent) - first.sent, 0.0005)
        await self._ramp()
        if any(shot.error for shot in self.gun.shots):
            return None
        status = next((shot.status for shot in self.gun.shots if shot.refused(self.refusals)), None)
        if status is None:
            return self._none(started)
        released = await self._released()
        self.ramped = len(self._passed())
        if released is None:
            await self._first_token()
            await self._narrow()
            enclosure, delay = enclose(self._seen()), None
        else:
            enclosure, delay = await self._delayed(released)
        if not enclosure:
            return None
        escapes = tuple([name for name in forged if await self._escapes(name)])
        rate, burst = enclosure.best
        shots = self.gun.shots
        doubt = "too little evidence for a number: " if enclosure.width > 0.5 else ""
        detail = f"{doubt}rate in {enclosure.rate[0]:.3g}..{enclosure.rate[1]:.3g}/s, burst in {enclosure.burst}"
        return Estimate(
            rate,
            burst,
            enclosure.rate,
            enclosure.burst,
            delay,
            status,
            escapes,
            len(shots),
            len(self._passed()),
            time.monotonic() - started,
            detail,
        )

    def _none(self, started: float) -> Estimate:
        shots = self.gun.shots
        elapsed = time.monotonic() - started
        detail = f"{len(shots)} requests in {elapsed:.2f} s, none refused: burst + 1 + rate * {elapsed:.2f} is more"
        span = (0.0, float("inf"))
        return Estimate(
            None, None, span, (len(shots) - 1, 1 << 30), None, None, (), len(shots), len(shots), elapsed, detail
        )

    async def _ramp(self) -> None:
        """Fill the bucket: volleys without waiting for held answers, until one is refused."""
        patience = max(2.5 * self.rtt, 0.015)
        step = 0
        while len(self.gun.shots) < self.cap and not self._any_refused() and time.monotonic() < self.until:
            size = RAMP[min(step, len(RAMP) - 1)]
            volley = self.gun.fire(min(size, self.cap - len(self.gun.shots)))
            if not volley:
                return
            await self.gun.settle(volley, patience)
            step += 1
        await self.gun.settle(self.gun.shots, 2 * patience)
        if not self._any_refused():
            await self.gun.settle(self.gun.shots, max(self.until - time.monotonic(), 0))

    def _any_refused(self) -> bool:
        return any(shot.refused(self.refusals) for shot in self.gun.shots)

    def _passed(self) -> list[Shot]:
        return [shot for shot in self.gun.shots if shot.passed(self.refusals)]

    def _floor(self) -> float:
        """Return the seconds that every round trip takes at least, of which only the rest is uncertainty."""
        least = min((s.done - s.sent for s in self.gun.shots if s.done is not None), default=0.0)
        return 0.9 * least - 0.001 if least > 0.005 else 0.0

    def _seen(self, latest: float = float("inf")) -> list[Seen]:
        floor = self._floor()
        return [
            Seen(shot.sent, min(shot.done - floor, shot.sent + latest), shot.passed(self.refusals))
            for shot in self.gun.shots
            if shot.done is not None
        ]

    def _latency(self) -> tuple[float, float]:
        """Return the least and nearly the largest time of answers that nobody held back: refusals, and the first."""
        prompt = sorted(s.done - s.sent for s in self.gun.shots if s.done is not None and s.refused(self.refusals))
        first = self.gun.shots[0]
        both = sorted([*prompt, (first.done or first.sent) - first.sent])
        return both[0], both[-1]

    async def _released(self) -> list[Shot] | None:
        """Return the shots that the limiter held back, where it did: later than prompt answers, and evenly spaced."""
        await self.gun.settle(self.gun.shots, max(self.until - time.monotonic(), 0))
        bound = self._bound()
        held = [s for s in self._passed() if s.done is not None and s.done - s.sent > bound]
        held.sort(key=lambda s: (s.done or 0.0) - s.sent)
        while len(held) >= 2:
            if self._ticks(held) is not None:
                return sorted(held, key=lambda s: s.done or 0.0)
            held = held[1:]  # the one held for the shortest time may only have been slow
        return None

    def _bound(self) -> float:
        """Return the seconds after which an answer was held back rather than slow."""
        least, most = self._latency()
        return max(most + 0.25 * least, least + 0.010, 1.35 * least)

    def _jitter(self, held: Sequence[Shot]) -> float:
        """Return how late a release may have been seen: by the network, by the server's clock, by this process."""
        least, most = self._latency()
        times = sorted(s.done for s in held if s.done is not None)
        apart = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
        return max(0.004, 1.5 * (most - least) + 0.002, 0.1 * least, 0.1 * apart) + self.lag

    def _ticks(self, held: Sequence[Shot]) -> tuple[float, float] | None:
        return ticks([s.done for s in held if s.done is not None], self._jitter(held))

    async def _delayed(self, held: list[Shot]) -> tuple[Enclosure, int | None]:
        """Narrow the rate by releases: held answers come 1/rate apart, whenever they were sent."""
        interval = self._ticks(held)
        if interval is not None and _half(interval) > ENOUGH:
            second = await self._queue(len(held) + 2, (interval[0] + interval[1]) / 2)
            again = self._ticks(second)
            if again is not None and max(interval[0], again[0]) <= min(interval[1], again[1]):
                interval = max(interval[0], again[0]), min(interval[1], again[1])
        if interval is None:
            return Enclosure(()), None
        most = self._latency()[1]
        for slack in (0.005, 0.02, 0.1, float("inf")):
            enclosure = enclose(self._seen(latest=most - self._floor() + self.lag + slack)).within(*interval)
            if enclosure:
                return enclosure, self._delay(held, enclosure.best[0])
        return Enclosure(()), None

    async def _queue(self, size: int, rate: float) -> list[Shot]:
        """Fill the bucket again and keep it full for a while, so that a longer row of answers is released."""
        more = min(16, 1 + int(rate * self._jitter([]) / ENOUGH))
        shots = self.gun.fire(size)
        for _ in range(more):
            await asyncio.sleep(1 / rate)
            shots += self.gun.fire(1)
        await self.gun.settle(shots, max(self.until - time.monotonic(), 0))
        bound = self._bound()
        return [s for s in shots if s.passed(self.refusals) and s.done is not None and s.done - s.sent > bound]

    def _delay(self, held: Sequence[Shot], rate: float) -> int:
        """Return how many requests pass before any is held: what is in the bucket less what the hold accounts for."""
        least, _ = self._latency()
        passed = self._passed()
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

    async def _fill(self, most: int = 1 << 20) -> float:
        """Send until one is refused, at most `most` requests; return when the last one left."""
        size = 2 if self.rtt < 0.005 else 3
        while time.monotonic() < self.until and min(self.gun.left, most) > 0:
            shots = self.gun.fire(min(size, most))
            most -= len(shots)
            await self.gun.settle(shots, 2.0)
            if any(s.refused(self.refusals) for s in shots):
                return shots[-1].sent
            size = min(2 * size, 32)
        return time.monotonic()

    async def _first_token(self) -> None:
        """Ask after growing waits until a request passes again."""
        begun = await self._fill()
        wait = max(0.003, time.monotonic() - begun)
        while time.monotonic() < self.until and self.gun.left > 0:
            await _sleep_until(begun + wait)
            shots = self.gun.fire(1)
            await self.gun.settle(shots, 1.0 if wait > self.rtt else wait * (GROWTH - 1))
            if any(s.passed(self.refusals) for s in self.gun.shots if s.sent > begun):
                break
            wait *= GROWTH
        await self.gun.settle(self.gun.shots, 1.0)

    async def _narrow(self) -> None:
        """Find later and later tokens' moments, each asked for a few times about when it is due."""
        budget = max(24, int(1.8 * self.ramped) + 8)
        while len(self.gun.shots) < budget and self.gun.left > 0:
            enclosure = enclose(self._seen())
            if not enclosure or enclosure.width <= ENOUGH:
                return
            low, high = enclosure.rate
            burst = enclosure.best[1]
            if low <= 0 or not await self._round(low, high, burst, budget - len(self.gun.shots)):
                return

    async def _round(self, low: float, high: float, burst: int, left: int) -> bool:
        """Take the tokens that are there for every possible rate, then ask for the next one about when it is due.

        Ends with a refusal, so that the next round starts from a full bucket. Where answers are too uncertain to
        tell one token from the next, a train of requests keeps the bucket full, and the tokens are counted.
        """
        passed = sorted(s.sent for s in self._passed())
        now = time.monotonic()

        def due(rate: float, count: int) -> float:
            return free_at(passed, rate, burst, count, now)

        count = 1
        while count < min(burst, left - 3, 40) and due(high, count + 1) >= due(low, count):
            count += 1
        begin, end = due(high, count), due(low, count)
        if end > self.until:
            return False
        jitter = max(0.002, self._latency()[1] - self._floor())
        if count / high < 3 * jitter and (burst < 8 or count == 1):
            await self._train((low * high) ** 0.5, jitter, left)
            return True
        if count > 1:
            await _sleep_until(max(due(low, count - 1), now) + 0.001)
            self.gun.fire(count - 1)
        polls = max(1, min(4, left - count, int((end - begin) / (jitter / 2))))
        start, ratio = max(begin - now, 0.001), max(end - now, 0.002) / max(begin - now, 0.001)
        fired: list[Shot] = []
        for index in range(polls):
            at = now + start * ratio ** ((index + 1) / (polls + 1))
            await _sleep_until(at)
            if any(shot.passed(self.refusals) for shot in fired):
                break
            fired += self.gun.fire(1)
            following = now + start * ratio ** ((index + 2) / (polls + 1))
            await self.gun.settle(fired[-1:], min((following - at) / 2, 1.0))
        await self.gun.settle(self.gun.shots, 2.0)
        if fired and fired[0].passed(self.refusals):
            await self._fill(most=min(max(left - count - len(fired), 0), 8))
        return True

    async def _train(self, rate: float, jitter: float, left: int) -> None:
        """Ask twice per token for a while, whatever the answers."""
        begun = time.monotonic()
        number = min(left, 24)
        pause = max(0.5 / rate, 12 * jitter / max(number, 1))
        for index in range(number):
            await _sleep_until(begun + index * pause)
            self.gun.fire(1)
        await self.gun.settle(self.gun.shots, 2.0)

    async def _escapes(self, name: str) -> bool:
        """Whether requests with forged addresses all pass while others like them are refused."""
        for _ in range(4):
            if self.gun.left <= 8 or time.monotonic() > self.until:
                return False
            probe = self.gun.fire(1)
            await self.gun.settle(probe, max(4 * self.rtt, 0.05))
            if not probe[0].refused(self.refusals):
                continue
            before = self.gun.fire(1)
            spoofed = [shot for address in ADDRESSES for shot in self.gun.fire(1, self._forged(name, address))]
            after = self.gun.fire(1)
            await self.gun.settle([*before, *spoofed, *after], 2.0)
            if not all(shot.passed(self.refusals) for shot in spoofed):
                return False
            if all(shot.refused(self.refusals) for shot in (*before, *after)):
                return True
        return False

    def _forged(self, name: str, address: str) -> Request:
        value = f"for={address}" if name == "Forwarded" else address
        return self.gun.request.with_(**{name.replace("-", "_"): value})


def _half(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / (interval[1] + interval[0])


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
