"""Requests to the running stack: bounded in rate, number, size and time, and never to an address off the target."""

from __future__ import annotations

import asyncio
import email.utils
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path

import httpcore

from auditor.dataclass import dataclass
from auditor.errors import TargetError
from auditor.exchange import Exchange, Request, Response
from auditor.live.credentials import Credentials
from auditor.live.dial import Dialler, Resolver
from auditor.live.pace import Pace
from auditor.live.proxies import of_environment
from auditor.live.scope import SAFE_METHODS, Address, Scope, bare_host
from auditor.live.wire import NO_CONNECTION, REFUSED, Marks, Wire, closed, failed
from auditor.policy.model import HttpTarget

__all__ = ["SAFE_METHODS", "Address", "Client", "Progress", "Scope", "silent"]

RETRIES = 3
"""How often a request that the target's own limits refused is asked, all in all."""

PATIENCE = 60.0
"""Seconds that one client waits for a target that says 429 or 503, all in all."""

DEAD = 4
"""Connections in a row that an address may not accept before it is asked no more."""

THROTTLED = frozenset({429, 503})

Progress = Callable[[int, int], None]


def silent(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Client:
    """Sends requests to one target and returns exchanges; a request that fails is an exchange with an error.

    `sent` counts requests on the wire, `throttled` the answers 429 and 503 that made it wait; `interrupted` is set
    where Ctrl-C ended a `send`. `credentials` default to those of the environment. `doors` are addresses that may be
    dialled besides the target's own. `env_proxies`: go through the proxies of the environment (TargetError where one of
    them is of another kind than HTTP); doors are tried directly even so.
    """

    target: HttpTarget
    ca_file: Path | None = None
    insecure: bool = False
    credentials: Credentials = field(default_factory=lambda: Credentials.of(os.environ))
    doors: Sequence[str] = ()
    env_proxies: bool = False
    sent: int = 0
    throttled: int = 0
    interrupted: bool = False
    scope: Scope = field(init=False)
    _pace: Pace = field(init=False)
    _resolver: Resolver = field(default_factory=Resolver)
    _contexts: dict[tuple[bool, bool], ssl.SSLContext] = field(default_factory=dict)
    _refused: dict[tuple[str, int], int] = field(default_factory=dict)
    _kept: int = 0

    def __post_init__(self) -> None:
        """Bind the scope and the pace of the target."""
        self.scope = Scope(self.target)
        self._pace = Pace(self.target.limits.requests_per_second)

    def context(self, own: bool = True, http2: bool = False) -> ssl.SSLContext:
        """Return the TLS settings of a connection; `own`: the certificate has to name the host.

        Raises TargetError where the certificate authorities or the client certificate cannot be read.
        """
        key = (own, http2)
        if key in self._contexts:
            return self._contexts[key]
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise TargetError(f"cannot read the certificates in {self.ca_file}: {error}") from None
        certificate = self.credentials.certificate
        if certificate is not None and own:
            try:
                context.load_cert_chain(certificate, self.credentials.key)
            except (OSError, ssl.SSLError) as error:
                raise TargetError(f"cannot read the client certificate {certificate}: {error}") from None
        if self.insecure or not own:
            context.check_hostname = False
        if self.insecure or not own:  # a server has no certificate for a name that is not its own, and gets no secrets
            context.verify_mode = ssl.CERT_NONE
        self._contexts[key] = context
        return context

    def send(self, requests: Sequence[tuple[str, Request]], *, progress: Progress = silent) -> list[Exchange | None]:
        """Send (entrypoint, request) pairs; None for those that were not sent (off target, over the budget, interrupted).

        Raises TargetError where the TLS settings cannot be made; nothing else.
        """
        results: list[Exchange | None] = [None] * len(requests)
        self.run(lambda wire: self._all(wire, requests, results, progress))
        return results

    def run(self, job: Callable[[Wire], Awaitable[None]]) -> None:
        """Run a job on the connections of this client; Ctrl-C ends it, and `interrupted` says so."""
        if any(url.startswith("https:") for url in self.target.entrypoints.values()):
            self.context()

        proxies = of_environment(self.target) if self.env_proxies else {}

        async def work() -> None:
            dialler = Dialler(self._resolver, self.scope.places(self.doors), proxies)
            async with Wire(self.context, dialler, self.target.limits.concurrency, self._kept) as wire:
                try:
                    await job(wire)
                finally:
                    self._kept = wire.kept

        try:
            asyncio.run(work())
        except KeyboardInterrupt:
            self.interrupted = True

    def dry_run(self, requests: Sequence[tuple[str, Request]]) -> Iterator[str]:
        """Yield one line per request: where it would go and what it would say, or why it is not sent."""
        budget = self.target.limits.max_requests - self.sent
        for entrypoint, request in requests:
            host = bare_host(request.host)
            refusal = self.scope.refusal(entrypoint, request.scheme, host, request.method)
            address = self.scope.address(entrypoint, request.scheme, host)
            if not refusal and budget <= 0:
                refusal = "the budget of limits.max_requests is used up"
            said = " ".join(f"{f.name}={_short(f.value)}" for f in request.headers if f.name.lower() != "host")
            version = " over HTTP/2" if request.version.startswith("2") else ""
            line = f"{request.method} {_short(request.url)}{version}" + (f" {said}" if said else "")
            if refusal or address is None:
                yield f"not sent: {line}: {refusal}"
            else:
                budget -= 1
                yield f"{line} -> {address.dial_host}:{address.dial_port}"

    async def _all(
        self, wire: Wire, requests: Sequence[tuple[str, Request]], results: list[Exchange | None], progress: Progress
    ) -> None:
        order = iter(range(len(requests)))
        done = 0

        async def worker() -> None:
            nonlocal done
            for index in order:
                results[index] = await self.ask(wire, *requests[index])
                done += 1
                progress(done, len(requests))

        workers = min(self.target.limits.concurrency, len(requests))
        tasks = [asyncio.create_task(worker()) for _ in range(workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def ask(self, wire: Wire, entrypoint: str, request: Request) -> Exchange | None:
        """Send one request, again where the target's limits refused it; None where it may not be sent."""
        exchange: Exchange | None = None
        for attempt in range(RETRIES):
            if self.sent >= self.target.limits.max_requests:
                return exchange
            exchange = await self.once(wire, entrypoint, request)
            response = exchange.response if exchange else None
            if response is None or response.status not in THROTTLED:
                if attempt and response is not None:
                    self._pace.helped()
                return exchange
            self.throttled += 1
            wait = _retry_after(response, attempt)
            if self._pace.hopeless or self._pace.waited + wait > PATIENCE:
                break
            self._pace.back_off(wait)
        self._pace.in_vain()
        if exchange is not None and exchange.response is not None and exchange.response.status == 429:
            return replace(exchange, outcome=replace(exchange.outcome, when="limited"))
        return exchange

    async def once(
        self,
        wire: Wire,
        entrypoint: str,
        request: Request,
        *,
        paced: bool = True,
        marks: Marks | None = None,
        via: httpcore.AsyncHTTPConnection | None = None,
    ) -> Exchange | None:
        """Send one request once (again on a fresh connection where a reused one broke); None where it may not be sent."""
        host = bare_host(request.host)
        address = self.scope.address(entrypoint, request.scheme, host)
        if address is None or self.scope.refusal(entrypoint, request.scheme, host, request.method):
            return None
        if self.sent >= self.target.limits.max_requests:
            return None
        place = (address.dial_host, address.dial_port)
        marks = marks or Marks()
        self.sent += 1
        try:
            if paced:
                await self._pace.wait()
            if self._refused.get(place, 0) >= DEAD:
                self.sent -= 1
                return failed(request, OSError(f"not asked: {place[0]}:{place[1]} accepts no connections"))
            lines = self.credentials.apply(request) if address.own else None
            seconds = self.target.limits.timeout
            exchange = await wire.ask(address, request, seconds, lines, marks, via=via)
        except asyncio.CancelledError:
            self.sent -= not marks.sent
            raise
        if _dropped(exchange) and request.method in SAFE_METHODS and self.sent < self.target.limits.max_requests:
            self.sent += 1
            fresh = wire.connection(address, request)
            try:
                exchange = await wire.ask(address, request, seconds, lines, marks, via=fresh)
            finally:
                await closed(fresh)
        connected = exchange.error not in {REFUSED, NO_CONNECTION}
        self._refused[place] = 0 if connected else self._refused.get(place, 0) + 1
        if exchange.response is None:
            return replace(exchange, error=self.credentials.redacted(exchange.error))
        response = self.credentials.redact(exchange.response)
        return replace(exchange, outcome=replace(exchange.outcome, response=response))


def _short(text: str) -> str:
    """Return a text of at most 500 characters: what fills a target or a header on purpose is only counted."""
    return text if len(text) <= 500 else f"{text[:100]}...({len(text)} characters)"


def _dropped(exchange: Exchange) -> bool:
    """Whether the connection ended before there was an answer: a reused one may have been closed meanwhile."""
    return any(
        sign in exchange.error for sign in ("disconnected without", "connection failed", "was reset", "Terminated")
    )


def _retry_after(response: Response, attempt: int) -> float:
    """Return the seconds to wait: what Retry-After says (RFC 9110 §10.2.3), at most 5, or twice as long each time."""
    text = (response.headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), 5.0)
    try:
        date = email.utils.parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, IndexError, OverflowError):
        date = None
    if date is not None:
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return min(max((date - datetime.now(UTC)).total_seconds(), 0.0), 5.0)
    return 0.5 * 2.0**attempt
