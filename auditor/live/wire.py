"""One request over the wire and what came of it: within its time, within its size, whatever the other side does."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import field
from types import TracebackType
from typing import Self, cast

import httpcore

from auditor import __version__
from auditor.dataclass import dataclass
from auditor.exchange import Action, Exchange, Field, Headers, Outcome, Request, Response, Unknown
from auditor.live.dial import Dialler
from auditor.live.scope import Address
from auditor.live.websocket import CLOSE, flaw, is_handshake

USER_AGENT = f"edge-auditor/{__version__}"

MAX_BODY = 65536
"""Bytes of a body that are read, as sent: nothing is decompressed. The rest is left unread and the connection closed."""

MAX_PIECES = 1024
"""Chunks of a body that are read: a million tiny ones would keep other answers waiting beyond their time."""

MAX_HEADERS = 200
"""Header lines of a response that are kept."""

NO_HTTP2 = "the target does not speak HTTP/2 here"

ASKING_SECONDS = 3.0
"""Seconds in which a server that goes by the announced length refuses a body; one that does not waits for it."""

BODY_SECONDS = 2.0
"""Seconds that a body may take after its headers: an event stream never ends, and its headers are what matters."""

KEPT = 48 * 1024 * 1024
"""Bytes of bodies and headers that one client keeps; once they are used up, bodies are read but not kept."""

REFUSED = "the connection was refused"
NO_CONNECTION = "no connection within the time limit"

PREFIXES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((httpcore.LocalProtocolError, UnicodeEncodeError), "the request cannot be sent: "),
    ((httpcore.RemoteProtocolError,), "the answer is not valid HTTP: "),
    ((httpcore.NetworkError,), "the connection failed: "),
    ((httpcore.UnsupportedProtocol, OSError), ""),
    ((Exception,), "the answer cannot be read: "),
)

MOST_POOLS = 16
"""Connection pools open at once; a pool is one address, server name and HTTP version."""


@dataclass(slots=True)
class Marks:
    """When one request left and its answer's headers arrived (monotonic seconds; 0: not yet).

    `gate`: the request waits for it once it is `connected`.
    """

    sent: float = 0.0
    answered: float = 0.0
    gate: asyncio.Event | None = None
    connected: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Let the request go."""
        if self.gate is not None:
            self.gate.set()

    async def note(self, event: str, _info: object) -> None:
        """Take what httpcore tells about the progress of a request."""
        if event.endswith("send_request_headers.started"):
            self.connected.set()
            if self.gate is not None:
                await self.gate.wait()
            self.sent = time.monotonic()
        elif event.endswith("receive_response_headers.complete"):
            self.answered = time.monotonic()


@dataclass(slots=True)
class Wire:
    """The connections of one event loop to one target.

    `context` makes the TLS settings of a connection: whether its certificate has to name the host, whether HTTP/2.
    """

    context: Callable[[bool, bool], ssl.SSLContext]
    dialler: Dialler
    concurrency: int
    kept: int = 0
    _pools: dict[tuple[object, ...], httpcore.AsyncConnectionPool] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        """Return itself; nothing is opened yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, without waiting for the other side."""
        for pool in self._pools.values():
            await closed(pool)
        self._pools.clear()

    async def ask(
        self,
        address: Address,
        request: Request,
        seconds: float,
        lines: tuple[tuple[str, str], ...] | None = None,
        marks: Marks | None = None,
        *,
        via: httpcore.AsyncHTTPConnection | None = None,
    ) -> Exchange:
        """Send one request and return its exchange; `seconds` bound it as a whole, `lines` replace its header lines.

        It goes over `via`, or over a connection that the wire keeps.

        Whatever goes wrong becomes an exchange without a response (its `error` says why), or, once there are
        headers, a response whose body is not known.
        """
        loop = asyncio.get_running_loop()
        seconds = min(seconds, ASKING_SECONDS) if announces(request) else seconds
        deadline = loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                outgoing = _outgoing(address, request, lines)
                outgoing.extensions = _extensions(_server_name(address, request), seconds, marks)
                answer = await (via or await self._pool(address, request)).handle_async_request(outgoing)
        except Exception as error:  # noqa: BLE001 - whatever a broken target provokes in a protocol library is a row
            return failed(request, error, seconds)
        spoken = answer.extensions.get("http_version", b"HTTP/1.1")
        if request.version.startswith("2") and spoken != b"HTTP/2":
            await closed(answer)
            return failed(request, httpcore.UnsupportedProtocol(NO_HTTP2), seconds)
        try:
            return await self._finish(request, answer, min(deadline, loop.time() + BODY_SECONDS))
        finally:
            await closed(answer)

    def connection(self, address: Address, request: Request) -> httpcore.AsyncHTTPConnection:
        """Return a new connection to an address, opened by its first request; the caller closes it."""
        http2 = _over_http2(request)
        return httpcore.AsyncHTTPConnection(
            _outgoing(address, request, None).url.origin,
            ssl_context=self.context(address.own, http2) if address.scheme == "https" else None,
            http2=http2,
            network_backend=self.dialler,
        )

    async def _pool(self, address: Address, request: Request) -> httpcore.AsyncConnectionPool:
        """Return the pool of connections that may carry a request.

        NOTE: a connection is opened for one server name and never reused for another: Traefik and nginx choose a
        router, a certificate or a refusal (421) by that name.
        """
        http2 = _over_http2(request)
        name = _server_name(address, request)
        key = (address.scheme, address.dial_host, address.dial_port, name, http2, address.own)
        if key not in self._pools:
            while len(self._pools) >= MOST_POOLS:
                await self._drop_one()
            self._pools[key] = httpcore.AsyncConnectionPool(
                ssl_context=self.context(address.own, http2) if address.scheme == "https" else None,
                max_connections=self.concurrency,
                max_keepalive_connections=self.concurrency,
                keepalive_expiry=4.0,
                http1=True,
                http2=http2,
                network_backend=self.dialler,
            )
        return self._pools[key]

    async def _drop_one(self) -> None:
        """Close the oldest pool that nobody uses, or wait until there is one."""
        for key, pool in self._pools.items():
            if all(connection.is_idle() or connection.is_closed() for connection in pool.connections):
                del self._pools[key]
                await closed(pool)
                return
        await asyncio.sleep(0.01)

    async def _finish(self, request: Request, answer: httpcore.Response, until: float) -> Exchange:
        unknown: list[Unknown] = []
        body: bytes | None = b""
        if answer.status == 101:
            await _farewell(answer)
        else:
            body, why = await _body(answer, until)
            unknown += [Unknown(why, concerns="body")] if why else []
        raw = answer.headers
        if len(raw) > MAX_HEADERS:
            unknown.append(Unknown(f"the answer has {len(raw)} header lines; {MAX_HEADERS} were kept", None, "headers"))
        fields = tuple(Field(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw[:MAX_HEADERS])
        self.kept += len(body or b"") + sum(len(f.name) + len(f.value) for f in fields)
        text = None if body is None or self.kept > KEPT else body.decode("latin-1")
        response = Response(answer.status, Headers(fields), text)
        if response.status == 101 and is_handshake(request) and (wrong := flaw(request, response)):
            return failed(request, OSError(wrong))
        return Exchange("observed", request, Outcome("observed", response, Action("observed"), unknown=tuple(unknown)))


def failed(request: Request, error: BaseException, seconds: float = 0.0) -> Exchange:
    """Return the exchange of a request that got no response, with the reason in words."""
    text = words(error, seconds)
    unknown = (Unknown(text),)
    return Exchange("observed", request, Outcome("observed", None, Action("observed"), unknown=unknown), error=text)


def words(error: BaseException, seconds: float = 0.0) -> str:
    """Say what went wrong in words that name the cause rather than the library."""
    below = next((text for item in _chain(error) if (text := _system_words(item))), "")
    if below:
        return below
    if isinstance(error, httpcore.ConnectTimeout):
        return NO_CONNECTION
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return f"no answer within {seconds:g} s" if seconds else "timed out"
    text = re.sub(r"bytearray\(b(['\"].*?['\"])\)", r"\1", " ".join((str(error) or type(error).__name__).split()))[:200]
    return next((f"{prefix}{text}" for kinds, prefix in PREFIXES if isinstance(error, kinds)), text)


def _system_words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return "the connection was reset" if isinstance(error, ConnectionResetError | BrokenPipeError) else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, each once; groups are entered."""
    seen: set[int] = set()
    queue = [error]
    while queue and len(seen) < 50:
        item = queue.pop(0)
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, BaseExceptionGroup):
            queue += item.exceptions
        queue += [cause for cause in (item.__cause__, item.__context__) if cause is not None]


def announces(request: Request) -> bool:
    """Whether a request only announces its body: it is never sent, whatever the answer."""
    return (request.headers.get("Expect") or "").lower() == "100-continue"


async def _withheld() -> AsyncIterator[bytes]:
    """End a body before its first byte: httpcore reads the answer then, as where a server closes its side early.

    The connection is closed after the answer, since the request is not complete.
    """
    raise httpcore.WriteError("the body is not sent")
    yield b""


def _over_http2(request: Request) -> bool:
    return request.version.startswith("2") and "upgrade" not in {f.name.lower() for f in request.headers}


def _server_name(address: Address, request: Request) -> str:
    return (request.sni or address.host) if address.scheme == "https" else ""


def _extensions(name: str, seconds: float, marks: Marks | None) -> dict[str, object]:
    extensions: dict[str, object] = {
        "timeout": {"connect": seconds * 0.8, "read": seconds, "write": seconds, "pool": seconds}
    }
    if name:
        extensions["sni_hostname"] = name
    if marks is not None:
        extensions["trace"] = marks.note
    return extensions


def _outgoing(address: Address, request: Request, lines: tuple[tuple[str, str], ...] | None) -> httpcore.Request:
    pairs = request.headers.pairs() if lines is None else lines
    headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in pairs]
    names = {key.lower() for key, _ in headers}
    if b"user-agent" not in names:
        headers.append((b"User-Agent", USER_AGENT.encode()))
    if b"accept" not in names:
        headers.append((b"Accept", b"*/*"))
    url = httpcore.URL(
        scheme=address.scheme.encode(),
        host=address.dial_host.encode(),
        port=address.dial_port,
        target=request.target.encode("latin-1"),
    )
    return httpcore.Request(request.method, url, headers=headers, content=_withheld() if announces(request) else None)


async def _body(answer: httpcore.Response, until: float) -> tuple[bytes, str]:
    """Read a body up to its limits; return what came, and why it may be incomplete."""
    read = bytearray()
    pieces = 0
    try:
        async with asyncio.timeout_at(until):
            async for chunk in cast("AsyncIterable[bytes]", answer.stream):
                read += chunk[: MAX_BODY - len(read)]
                pieces += 1
                if pieces >= MAX_PIECES:
                    return bytes(read), f"the body comes in more than the {MAX_PIECES} pieces that were read"
                if len(read) >= MAX_BODY:
                    return bytes(read), f"the body is longer than the {MAX_BODY} bytes that were read"
    except TimeoutError:
        return bytes(read), f"the body had not ended when its time was up ({len(read)} bytes came)"
    except Exception as error:  # noqa: BLE001 - as above; the headers are there, and they are what matters
        return bytes(read), f"the body is broken: {words(error)}"
    return bytes(read), ""


async def _farewell(answer: httpcore.Response) -> None:
    """End an accepted WebSocket politely."""
    stream = answer.extensions.get("network_stream")
    if stream is not None:
        with contextlib.suppress(Exception):
            await stream.write(CLOSE, timeout=0.5)


async def closed(thing: httpcore.Response | httpcore.AsyncConnectionPool | httpcore.AsyncHTTPConnection) -> None:
    """Close something that a broken peer may not let close."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1.0):
            await thing.aclose()
