"""Whether a declared rate limit is in force: the fewest requests that decide it, sent at chosen moments.

A limit of `rate` requests a second with a burst of `burst` lets burst + 1 requests through at once and `rate` more each
second (ngx_http_limit_req_module.c). If more than burst + 1 + rate * T requests sent within T seconds pass, no limit
that strict is in force: a deterministic conclusion, not a statistical one. So burst + 1 requests go first, then a train
half as fast again as the declared rate: a looser limit lets it through until that sum is exceeded, one as strict
refuses twice before. Costs burst + 2 + ceil(rate * T) requests, and those of the burst's last few that were refused.
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

BATCH = 4
"""Requests fired together, so that few are wasted where the real burst is smaller than the declared one."""

FASTER = 1.5
"""How much faster than the declared rate the train is."""

SHORTER = 2.0
"""The same where the real burst is smaller than the declared one: the train has to make up for the rest of it."""

SECONDS = 30.0
"""Longest time that one question may take, apart from the answers' own."""

UNBOUNDED = 64
"""Requests sent at once where the policy names no burst."""


def cost(burst: int | None) -> int:
    """Return the most requests that one question takes: the burst, and the train until it is decided."""
    return 8 + math.ceil(1.5 * (UNBOUNDED if burst is None else burst + 1))


def measure(
    client: Client,
    entrypoint: str,
    request: Request,
    *,
    route: str,
    rate: float,
    burst: int | None,
    refusals: frozenset[int] = REFUSALS,
) -> Measured:
    """Ask whether more requests pass than `rate` (per second) and `burst` let through.

    Where the answers do not decide it (no answer, refused from the first one on, too slow) `held` is None, and the
    detail says why.
    """
    found = [Measured(route, 0, None, None, "interrupted", request)]
    before = client.sent

    async def job(wire: Wire) -> None:
        gun = Gun(client, wire, entrypoint, request)
        question = _Question(gun, route, rate, burst, refusals)
        try:
            found[0] = await question.decide()
        finally:
            await gun.rest()

    client.run(job)
    return found[0].after(client.sent - before)


class _Question:
    """One question under way."""

    def __init__(self, gun: Gun, route: str, rate: float, burst: int | None, refusals: frozenset[int]) -> None:
        self.gun, self.route, self.rate, self.burst, self.refusals = gun, route, rate, burst, refusals
        self.started = time.monotonic()

    async def decide(self) -> Measured:
        """Fill the bucket, then ask faster than it may drain."""
        if 3 / (FASTER * self.rate) > SECONDS:
            return self._open(f"at {self.rate:.3g} requests a second it takes longer than {SECONDS:g} s to tell")
        first = await first_shot(self.gun, self.refusals, pause=min(((self.burst or 0) + 1) / self.rate, 10.0))
        if first is None:
            return self._open("the first request was refused or not answered")
        self.started = first.sent
        patience = max(0.02, 3 * ((first.done or first.sent) - first.sent))
        if problem := await self._fill(patience):
            return self._open(problem)
        full = len(self.gun.shots)
        step = 1 / ((SHORTER if self._refused(0) and self.burst is not None else FASTER) * self.rate)
        until = time.monotonic() + SECONDS
        due = time.monotonic()
        while self._refused(full) < 2:
            if self.burst is not None and self._exceeded():
                await self.gun.settle(self.gun.shots, self.gun.client.target.limits.timeout)
                if proof := self._proof():
                    return proof
            if time.monotonic() > until or self.gun.left <= 0 or len(self.gun.shots) >= cost(self.burst):
                return self._open(f"{len(self.gun.shots)} requests do not decide it; --measure-limits estimates it")
            fired = self.gun.fire(1)
            due = max(due, time.monotonic() - step) + step
            await self.gun.settle(fired, max(due - time.monotonic(), 0.0))
            if fired[0].error:
                return self._open(fired[0].error)
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
        return self._held()

    async def _fill(self, patience: float) -> str:
        """Send what the declared burst lets through at once; stop where one is refused, return what went wrong."""
        most = UNBOUNDED if self.burst is None else self.burst + 1
        while len(self.gun.shots) < most and not self._refused(0):
            if self.gun.left <= 0:
                return "the budget of limits.max_requests is used up"
            fired = self.gun.fire(min(BATCH, most - len(self.gun.shots)))
            await self.gun.settle(fired, patience)
            if wrong := next((shot.error for shot in self.gun.shots if shot.error), ""):
                return wrong
        if self.burst is None and not self._refused(0):
            return f"{most} requests at once passed, and the policy names no burst"
        return ""

    def _refused(self, since: int) -> int:
        return sum(1 for shot in self.gun.shots[since:] if shot.refused(self.refusals))

    def _exceeded(self) -> bool:
        elapsed = time.monotonic() - self.started
        return len(self.gun.shots) - self._refused(0) > (self.burst or 0) + 1 + self.rate * elapsed

    def _proof(self) -> Measured | None:
        """Conclude that no such limit is in force, where more requests passed than it lets through in their time."""
        passed = [shot for shot in self.gun.shots if shot.passed(self.refusals) and shot.done is not None]
        elapsed = max((shot.done or 0.0) for shot in passed) - self.started
        if len(passed) <= (self.burst or 0) + 1 + self.rate * elapsed:
            return None
        refused = self._refused(0)
        detail = f"{len(passed)} requests passed in {elapsed:.2f} s, {refused or 'none'} refused"
        return self._measured(held=False, detail=detail)

    def _held(self) -> Measured:
        shots = self.gun.shots
        passed = sum(1 for shot in shots if not shot.refused(self.refusals))
        seconds = shots[-1].sent - self.started
        return self._measured(held=True, detail=f"{passed} of {len(shots)} requests in {seconds:.2f} s passed")

    def _measured(self, *, held: bool, detail: str) -> Measured:
        status = next((shot.status for shot in self.gun.shots if shot.refused(self.refusals)), None)
        suffix = f", then {status}" if status is not None else ""
        return Measured(self.route, 0, held, status, detail + suffix, self.gun.request)

    def _open(self, why: str) -> Measured:
        return Measured(self.route, 0, None, None, why, self.gun.request)


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
