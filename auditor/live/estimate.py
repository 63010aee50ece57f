"""A rate limit measured from outside: rate, burst, delay, status and key, each with what the evidence allows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.live.client import Client
from auditor.live.enclosure import Enclosure
from auditor.live.experiment import Experiment, now
from auditor.live.holding import delayed, released
from auditor.live.narrowing import chain, narrow
from auditor.live.presence import first_shot
from auditor.live.volley import REFUSALS, Gun
from auditor.live.wire import Wire

FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP")
ADDRESSES = ("198.51.100.7", "198.51.100.8", "198.51.100.9")
"""Addresses that nobody has (TEST-NET-2, RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A limit as seen from outside.

    `rate` in requests per second and `burst` in requests are the likeliest of their intervals, which hold the truth
    whatever the timing was; None: no limit was met within the cap. `delay`: how many of the burst pass at once (None:
    nodelay, all of it). `escapes`: headers in which a client gets a bucket of its own (None: not decided). `sent` counts
    the requests of the estimate, `seconds` is the time it took. `blur`: seconds by which answers differ, where that is
    longer than a token takes, so that one which is held back so long looks like any other (0: it is shorter).
    """

    rate: float | None
    burst: int | None
    rate_interval: tuple[float, float]
    burst_interval: tuple[int, int]
    delay: int | None
    status: int | None
    escapes: tuple[str, ...] | None
    sent: int
    passed: int
    seconds: float
    detail: str
    blur: float = 0.0

    def __str__(self) -> str:
        """Say it in one line: each number with its interval, how excess is treated, what refusals look like."""
        if self.rate is None or self.burst is None:
            return self.detail
        low, high = self.rate_interval
        if high > 3 * low:
            likeliest = f"likeliest {self.rate:.3g}/s with a burst of {self.burst}"
            return f"{low:.3g} to {high:.3g}/s, {likeliest}: too little evidence for more; refused with {self.status}"
        first, last = self.burst_interval
        burst = f"{first}" if first == last else f"{self.burst} ({first} to {last})"
        hold = "all of it at once" if self.delay is None else f"{self.delay} of it at once, the rest held back"
        if self.blur and self.delay is None:
            hold += f" as far as can be told (answers differ by {self.blur * 1000:.0f} ms, a token takes {1000 / self.rate:.0f})"
        return f"about {self.rate:.3g}/s ({low:.3g} to {high:.3g}), burst {burst}, {hold}; refused with {self.status}"


def estimate(
    client: Client,
    entrypoint: str,
    request: Request,
    *,
    cap: int = 128,
    expected: int = 0,
    pace: float = 0.0,
    settle: float = 0.0,
    forged: Sequence[str] = (),
    seconds: float = 20.0,
    refusals: frozenset[int] = REFUSALS,
) -> Estimate | None:
    """Measure the limit that a request meets, in about 2 * burst + 25 requests.

    `settle`: seconds to wait first, so that the bucket is empty. `cap`: requests after which there is no limit.
    `expected` and `pace`: the burst and the rate (requests per second) that there should be, 0 where nothing is declared;
    they only decide what is asked first: where it is another limit, that costs a few requests more.
    None where the request gets no answer, or only refusals.
    """
    found: list[Estimate | None] = [None]

    async def job(wire: Wire) -> None:
        gun = Gun(client, wire, entrypoint, request)
        try:
            await asyncio.sleep(settle)
            experiment = Experiment(gun, cap, now() + seconds, refusals)
            watch = asyncio.create_task(experiment.watch())
            try:
                found[0] = await estimated(experiment, forged, expected, pace)
            finally:
                watch.cancel()
        finally:
            await gun.rest()

    client.run(job)
    return found[0]


async def estimated(
    experiment: Experiment, forged: Sequence[str], expected: int = 0, pace: float = 0.0
) -> Estimate | None:
    """Run an experiment, and then try which forged headers escape the limit."""
    started = now()
    first = await first_shot(experiment.gun, experiment.refusals, pause=1.0)
    if first is None:
        return None
    experiment.rtt = max((first.done or first.sent) - first.sent, 0.0005)
    await chain(experiment, expected, pace)
    await experiment.ramp(expected)
    if any(shot.error for shot in experiment.shots):
        return None
    status = next((shot.status for shot in experiment.refused()), None)
    if status is None:
        return _none(experiment, started)
    held = await released(experiment)
    enclosure, found = await delayed(experiment, held) if held else (Enclosure(()), None)
    if found is not None:
        rate, burst = enclosure.best[0], found.burst
    else:
        await narrow(experiment)
        found = experiment.suspect()
        enclosure, known = experiment.enclosure(), experiment.likely()
        if known is None:
            return None
        rate, burst = (found or known).rate, (found or known).burst
    delay = found.delay if found else None
    blur = max(experiment.prompt()[-1] - experiment.prompt()[0], experiment.serving())
    if delay is not None and burst - delay < blur * rate:
        delay = None
    sent = len(experiment.shots)
    seconds = now() - started
    tried = {name: await _escapes(experiment, name, rate, burst) for name in forged}
    escapes = tuple(name for name, escaped in tried.items() if escaped)
    doubt = "too little evidence for a number: " if enclosure.width > 0.5 else ""
    return Estimate(
        rate,
        burst,
        enclosure.rate,
        enclosure.burst,
        delay,
        status,
        escapes if escapes or None not in tried.values() else None,
        sent,
        len(experiment.passed()),
        seconds,
        f"{doubt}rate in {enclosure.rate[0]:.3g}..{enclosure.rate[1]:.3g}/s, burst in {enclosure.burst}",
        blur if blur * rate > 1 else 0.0,
    )


def _none(experiment: Experiment, started: float) -> Estimate:
    sent = len(experiment.shots)
    elapsed = now() - started
    detail = f"{sent} requests in {elapsed:.2f} s, none refused: burst + 1 + rate * {elapsed:.2f} is more"
    span = (0.0, float("inf"))
    return Estimate(None, None, span, (sent - 1, 1 << 30), None, None, None, sent, sent, elapsed, detail)


async def _escapes(experiment: Experiment, name: str, rate: float, burst: int) -> bool | None:
    """Whether requests with forged addresses all pass while others like them are refused; None: it cannot be told."""
    gun, refusals = experiment.gun, experiment.refusals
    for _ in range(4):
        if gun.left <= 8 or now() > experiment.until:
            return None
        known = len(experiment.refused())
        await experiment.fill(1 + int(rate * experiment.rtt), burst + 4)
        if len(experiment.refused()) == known:
            continue
        before = gun.fire(1)
        spoofed = [shot for address in ADDRESSES for shot in gun.fire(1, _forged(gun.request, name, address))]
        after = gun.fire(1)
        await gun.settle([*before, *spoofed, *after], 2.0)
        if not all(shot.passed(refusals) for shot in spoofed):
            return False
        if all(shot.refused(refusals) for shot in (*before, *after)):
            return True
    return None


def _forged(request: Request, name: str, address: str) -> Request:
    value = f"for={address}" if name == "Forwarded" else address
    return request.with_(**{name.replace("-", "_"): value})
