"""Requests to the running stack: bounded in rate, number, size and time, and never to an address off the target."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from auditor import __version__
from auditor.errors import TargetError
from auditor.exchange import Action, Exchange, Field, Headers, Outcome, Request, Response
from auditor.policy.model import HttpTarget

USER_AGENT = f"edge-auditor/{__version__}"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 §9.2.1, without TRACE: sent always; others only where the policy allows it."""

MAX_BODY = 65536
"""Bytes of a body that are read; the rest is left unread and the connection closed."""

MAX_HEADERS = 200
"""Header lines of a response that are kept."""

RETRIES = 3
"""How often a request that the target's own limits refused is asked again."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a connection goes: scheme, the host named in the request, and the address dialled."""

    scheme: str
    host: str
    dial_host: str
    dial_port: int


@dataclass(frozen=True, slots=True)
class Scope:
    """The addresses of a target: its entrypoints, as `resolve` redirects them. Nothing else is ever dialled."""

    target: HttpTarget

    def entrypoint(self, name: str, scheme: str) -> str | None:
        """Return the URL of the entrypoint with this name, or the only one of this scheme."""
        if name in self.target.entrypoints and urlsplit(self.target.entrypoints[name]).scheme == scheme:
            return self.target.entrypoints[name]
        return next((url for url in self.target.entrypoints.values() if urlsplit(url).scheme == scheme), None)

    def address(self, name: str, scheme: str, host: str) -> Address | None:
        """Return where a request for a host at an entrypoint goes; None where no entrypoint of the target fits."""
        base = self.entrypoint(name, scheme)
        if base is None:
            return None
        parts = urlsplit(base)
        port = parts.port or (443 if scheme == "https" else 80)
        for key in (f"{host}:{port}", f"{parts.hostname}:{port}"):
            if key in self.target.resolve:
                dial, _, dial_port = self.target.resolve[key].rpartition(":")
                return Address(scheme, host, dial.strip("[]"), int(dial_port))
        return Address(scheme, host, parts.hostname or "", port)

    def dial(self, address: str) -> tuple[str, int]:
        """Return the host and port that `resolve` gives for an address such as "shop.example:8000"."""
        host, _, port = self.target.resolve.get(address, address).rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(slots=True)
class Pace:
    """Spaces requests out: at most `rate` a second, counted over all connections."""

    rate: float
    next_at: float = 0.0

    async def wait(self) -> None:
        """Sleep until the next request may go."""
        now = time.monotonic()
        at = max(now, self.next_at)
        self.next_at = at + 1 / self.rate
        if at > now:
            await asyncio.sleep(at - now)


@dataclass(slots=True)
class Client:
    """Sends requests to one target and returns exchanges; a request that fails is an exchange with an error."""

    target: HttpTarget
    ca_file: Path | None = None
    insecure: bool = False
    sent: int = 0
    scope: Scope = field(init=False)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        """Bind the scope and the pace of the target."""
        self.scope = Scope(self.target)
        self._pace = Pace(self.target.limits.requests_per_second)

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings of this client."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise TargetError(f"cannot read the certificates in {self.ca_file}: {error}") from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def send(
        self,
        requests: Sequence[tuple[str, Request]],
        *,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> list[Exchange | None]:
        """Send (entrypoint, request) pairs; None for those that were not sent (off target, over the budget, interrupted)."""
        results: list[Exchange | None] = [None] * len(requests)
        asyncio.run(self._send_all(requests, results, progress))
        return results

    async def _send_all(
        self,
        requests: Sequence[tuple[str, Request]],
        results: list[Exchange | None],
        progress: Callable[[int, int], None],
    ) -> None:
        limits = self.target.limits
        pool = httpx.Limits(max_connections=limits.concurrency, max_keepalive_connections=limits.concurrency)
        done = 0
        async with httpx.AsyncClient(verify=self.context(), limits=pool, trust_env=False) as client:
            gate = asyncio.Semaphore(limits.concurrency)

            async def one(index: int) -> None:
                nonlocal done
                async with gate:
                    results[index] = await self._patiently(client, *requests[index])
                    done += 1
                    progress(done, len(requests))

            tasks = [asyncio.create_task(one(index)) for index in range(len(requests))]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def _patiently(self, client: httpx.AsyncClient, entrypoint: str, request: Request) -> Exchange | None:
        exchange: Exchange | None = None
        for attempt in range(RETRIES):
            if self.sent >= self.target.limits.max_requests:
                return exchange
            exchange = await self._once(client, entrypoint, request)
            response = exchange.response if exchange else None
            if response is None or response.status not in {429, 503} or response.status is None:
                return exchange
            await asyncio.sleep(_retry_after(response, attempt))
        return exchange

    async def _once(self, client: httpx.AsyncClient, entrypoint: str, request: Request) -> Exchange | None:
        address = self.scope.address(entrypoint, request.scheme, request.host.rsplit(":", 1)[0])
        allowed = request.method in SAFE_METHODS or self.target.allow_unsafe_methods
        if address is None or not allowed:
            return None
        await self._pace.wait()
        self.sent += 1
        return await exchange_once(client, address, request, self.target.limits.timeout)


async def exchange_once(client: httpx.AsyncClient, address: Address, request: Request, seconds: float) -> Exchange:
    """Send one request to an address within a time limit (seconds, for the whole exchange)."""
    try:
        response = await asyncio.wait_for(_stream(client, address, request, seconds), seconds)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError, TimeoutError, ValueError) as error:
        return failed(request, error)
    return Exchange("observed", request, Outcome("observed", response, Action("observed")))


def failed(request: Request, error: BaseException) -> Exchange:
    """Return the exchange of a request that got no response, with the reason in words."""
    text = (
        "timed out" if isinstance(error, TimeoutError | httpx.TimeoutException) else str(error) or type(error).__name__
    )
    return Exchange("observed", request, Outcome("observed", None, Action("observed")), error=text)


async def _stream(client: httpx.AsyncClient, address: Address, request: Request, seconds: float) -> Response:
    host = f"[{address.dial_host}]" if ":" in address.dial_host else address.dial_host
    headers = [(f.name.encode("latin-1"), f.value.encode("latin-1")) for f in request.headers]
    names = {f.name.lower() for f in request.headers}
    if "user-agent" not in names:
        headers.append((b"User-Agent", USER_AGENT.encode()))
    if "accept" not in names:
        headers.append((b"Accept", b"*/*"))
    outgoing = httpx.Request(
        request.method,
        f"{address.scheme}://{host}:{address.dial_port}/",
        headers=headers,
        extensions={
            "target": request.target.encode("latin-1"),
            "sni_hostname": address.host,
            "timeout": httpx.Timeout(seconds).as_dict(),
        },
    )
    answer = await client.send(outgoing, stream=True)
    try:
        body = b"" if answer.status_code == 101 else await _body(answer)
    finally:
        await answer.aclose()
    fields = tuple(Field(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.headers.raw[:MAX_HEADERS])
    return Response(answer.status_code, Headers(fields), body.decode("latin-1"))


async def _body(answer: httpx.Response) -> bytes:
    body = b""
    async for chunk in answer.aiter_raw(8192):
        body += chunk
        if len(body) >= MAX_BODY:
            break
    return body[:MAX_BODY]


def _retry_after(response: Response, attempt: int) -> float:
    text = response.headers.get("Retry-After") or ""
    return min(float(text), 5.0) if text.isascii() and text.isdigit() else 0.5 * 2**attempt
