"""Whether a declared rate limit is in force: the fewest requests that decide it, sent at once.

A limit of `rate` requests a second with a burst of `burst` lets burst + 1 requests through at once and `rate` more each
second (ngx_http_limit_req_module.c). If N > burst + 1 + rate * T requests sent within T seconds all pass, no limit at
least that strict is in force: a deterministic conclusion, not a statistical one.
"""

from __future__ import annotations

import asyncio
import math
import time

from auditor.exchange import Request
from auditor.live.client import Client
from auditor.live.volley import REFUSALS, Gun, Shot
from auditor.live.wire import Wire
from auditor.plan.facts import Measured

BATCH = 16
"""Requests fired together."""

MOST = 400
"""Requests that one question may cost; a limit that needs more is not tried."""

CONNECTIONS = 128
"""Connections open at once: a limiter that delays holds every request that it lets through."""


def measure(
    client: Client,
    entrypoint: str,
    request: Request,
    *,
    route: str,
    rate: float,
    burst: int,
    refusals: frozenset[int] = REFUSALS,
) -> Measured | None:
    """Send requests until one is refused, or until so many passed that no such limit is in force.

    Costs at most burst + 2 + ceil(rate * duration) requests, the duration being that of the answers; a batch may
    overshoot. Returns None where the question would cost more than `MOST` requests or what is left of the budget,
    and where the target's answers do not decide it.
    """
    left = client.target.limits.max_requests - client.sent
    if burst + 2 + math.ceil(rate) > min(MOST, left):
        return None
    found: list[Measured | None] = [None]
    fresh = client.sent == 0

    async def job(wire: Wire) -> None:
        wire.concurrency = CONNECTIONS
        gun = Gun(client, wire, entrypoint, request)
        try:
            found[0] = await _measure(gun, route=route, rate=rate, burst=burst, refusals=refusals)
            early = found[0] is not None and found[0].rejected_at is not None and found[0].rejected_at <= burst
            if early and not fresh:  # requests of our own may have filled the bucket: let it run empty, and ask again
                gun.shots.clear()
                await asyncio.sleep(min((burst + 1) / rate, 10.0))
                found[0] = await _measure(gun, route=route, rate=rate, burst=burst, refusals=refusals) or found[0]
        finally:
            await gun.rest()

    client.run(job)
    return found[0]


async def _measure(gun: Gun, *, route: str, rate: float, burst: int, refusals: frozenset[int]) -> Measured | None:
    timeout = gun.client.target.limits.timeout
    first = await first_shot(gun, refusals, pause=min((burst + 1) / rate, 10.0))
    if first is None:
        return None
    started = first.sent
    patience = max(0.02, 3 * ((first.done or started) - first.sent))
    while not any(shot.refused(refusals) for shot in gun.shots):
        needed = burst + 2 + math.ceil(rate * (time.monotonic() - started)) - len(gun.shots)
        if needed <= 0:
            await gun.settle(gun.shots, timeout)
            if any(shot.refused(refusals) for shot in gun.shots):
                break
            return _unlimited(gun, route=route, rate=rate, burst=burst, started=started)
        if len(gun.shots) + needed > MOST or gun.left <= 0:
            return None
        await gun.settle(gun.fire(min(BATCH, needed)), patience)
        if any(shot.error for shot in gun.shots):
            return None
    refused = [shot for shot in gun.shots if shot.refused(refusals)]
    passed = sum(1 for shot in gun.shots if not shot.refused(refusals))
    status = refused[0].status
    sent = len(gun.shots)
    return Measured(route, sent, passed + 1, status, f"{passed} of {sent} requests at once passed, then {status}")


def _unlimited(gun: Gun, *, route: str, rate: float, burst: int, started: float) -> Measured | None:
    """Conclude that no limit is in force, where every request was answered fast enough to exclude it."""
    sent = len(gun.shots)
    if any(not shot.passed() for shot in gun.shots):
        return None
    elapsed = max(shot.done or started for shot in gun.shots) - started
    if sent < burst + 2 + math.floor(rate * elapsed):
        return None
    return Measured(route, sent, None, None, f"{sent} requests in {elapsed:.2f} s, none refused")


async def first_shot(gun: Gun, refusals: frozenset[int], *, pause: float) -> Shot | None:
    """Send the first request; where our own earlier ones filled the bucket, wait (seconds) and ask once more."""
    for attempt in range(2):
        fired = gun.fire(1)
        await gun.settle(fired, gun.client.target.limits.timeout)
        if fired and fired[0].passed(refusals):
            return fired[0]
        if attempt or not fired or not fired[0].refused(refusals):
            return None
        gun.shots.clear()
        await asyncio.sleep(pause)
    return None
