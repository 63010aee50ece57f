"""Whether a declared rate limit is in force: the fewest requests that decide it, sent at once.

A limit of `rate` requests a second with a burst of `burst` lets burst + 1 requests through at once and `rate` more each
second (ngx_http_limit_req_module.c). If N > burst + 1 + rate * T requests sent within T seconds all pass, no limit at
least that strict is in force: a deterministic conclusion, not a statistical one.
"""

from __future__ import annotations

import asyncio
import math
import time

import httpx

from auditor.exchange import Exchange, Request
from auditor.live.client import Client, exchange_once
from auditor.plan.facts import Measured

BATCH = 8
"""Requests under way at once."""

MOST = 400
"""Requests that one question may cost; a limit that needs more is not tried."""

REFUSED = frozenset({429, 503})


def measure(
    client: Client, entrypoint: str, request: Request, *, route: str, rate: float, burst: int
) -> Measured | None:
    """Send requests until one is refused, or until so many passed that no such limit is in force.

    Returns None where the question would cost more than `MOST` requests or what is left of the budget.
    """
    left = client.target.limits.max_requests - client.sent
    if burst + 2 + math.ceil(rate) > min(MOST, left):
        return None
    return asyncio.run(_measure(client, entrypoint, request, route=route, rate=rate, burst=burst))


async def _measure(
    client: Client, entrypoint: str, request: Request, *, route: str, rate: float, burst: int
) -> Measured | None:
    address = client.scope.address(entrypoint, request.scheme, request.host.rsplit(":", 1)[0])
    if address is None:
        return None
    timeout = client.target.limits.timeout
    async with httpx.AsyncClient(verify=client.context(), trust_env=False) as connections:
        first: list[Exchange] = []
        sent = 0
        started = time.monotonic()
        while sent < min(MOST, burst + 2 + math.ceil(rate * (time.monotonic() - started))):
            wanted = min(BATCH, MOST - sent)
            jobs = (exchange_once(connections, address, request, timeout) for _ in range(wanted))
            answers = await asyncio.gather(*jobs)
            sent += wanted
            client.sent += wanted
            first = [e for e in answers if e.response is not None and e.response.status in REFUSED]
            if first or any(e.response is None for e in answers):
                break
        elapsed = time.monotonic() - started
    if first:
        status = first[0].response.status if first[0].response else None
        return Measured(route, sent, sent, status, f"a request among the first {sent} was answered {status}")
    if sent < burst + 2 + rate * elapsed:
        return None
    return Measured(route, sent, None, None, f"{sent} requests in {elapsed:.2f} s, none refused")
