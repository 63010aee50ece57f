"""Addresses that must not answer, and TLS versions that must not be accepted, tried from where the audit runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import ssl
import warnings
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import httpcore

from auditor.live.client import Client
from auditor.live.dial import Dialler
from auditor.live.proxies import Place
from auditor.live.scope import Scope, port_of
from auditor.live.wire import NO_CONNECTION, REFUSED, USER_AGENT, Wire, words
from auditor.plan.facts import Reach, TlsEntry

VERSIONS = (
    ("1.0", ssl.TLSVersion.TLSv1),
    ("1.1", ssl.TLSVersion.TLSv1_1),
    ("1.2", ssl.TLSVersion.TLSv1_2),
    ("1.3", ssl.TLSVersion.TLSv1_3),
)

BANNER_SECONDS = 1.0
"""Seconds that an address which must not answer has to say what it is, once it has accepted a connection."""

CLOSED = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ECONNRESET, errno.ETIMEDOUT, errno.EACCES})
"""What an address that is closed, filtered or not there makes of a connection attempt."""


def knock(client: Client, doors: Sequence[str]) -> tuple[Reach, ...]:
    """Try every declared door at once, each within the target's time limit; nothing where Ctrl-C came first."""
    found: list[Reach] = []

    async def job(wire: Wire) -> None:
        limit = client.target.limits.timeout
        found.extend(await asyncio.gather(*[_reach(wire.dialler, client.scope, door, limit) for door in doors]))

    if doors:
        client.run(job)
    return tuple(found)


async def _reach(dialler: Dialler, scope: Scope, address: str, limit: float) -> Reach:
    """Open a TCP connection within `limit` seconds, and ask what is there if one is accepted."""
    host, port = scope.dial(address)
    try:
        async with asyncio.timeout(limit):
            stream = await dialler.connect_tcp(host, port, limit)
    except (OSError, TimeoutError, httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        text = words(error, limit)
        return Reach(address, False if _closed(error) else None, text)
    try:
        said = await _banner(stream, address)
    finally:
        with contextlib.suppress(Exception):
            await stream.aclose()
    return Reach(address, reachable=True, detail=f"a TCP connection to {host}:{port} was accepted{said}")


def _closed(error: BaseException) -> bool:
    """Whether an attempt failed because of the address, rather than because of where the audit runs."""
    if isinstance(error, TimeoutError | httpcore.ConnectTimeout) or words(error) in {REFUSED, NO_CONNECTION}:
        return True
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, socket.gaierror) or "cannot be resolved" in str(seen):
            return True
        if isinstance(seen, OSError) and seen.errno in CLOSED:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


async def _banner(stream: httpcore.AsyncNetworkStream, address: str) -> str:
    """Ask over HTTP what answers; "" where it does not speak HTTP, or is too slow."""
    request = f"GET / HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(BANNER_SECONDS):
            await stream.write(request.encode("latin-1", "replace"), BANNER_SECONDS)
            head = (await stream.read(4096, BANNER_SECONDS)).decode("latin-1")
    except Exception:  # noqa: BLE001 - it accepts connections: that is the finding, whatever it says
        return ""
    status = re.match(r"HTTP/1\.[01] (\d{3})", head)
    server = re.search(r"(?im)^server:[ \t]*([!-~ ]{1,60})", head)
    if status is None:
        return ""
    return f"; GET / is answered {status[1]}" + (f" by {server[1].strip()}" if server else "")


def planned(scope: Scope, doors: Sequence[str]) -> Iterator[str]:
    """Say, for --dry-run, which connections would be opened besides those of the probes."""
    for door in doors:
        host, port = scope.dial(door)
        yield f"connect {door} -> {host}:{port}  (must not answer)"
    for name, _, (host, port) in tls_entries(scope):
        for text, _ in VERSIONS:
            yield f"TLS {text} handshake with {name} -> {host}:{port}"


def tls_entries(scope: Scope) -> Iterator[tuple[str, str, Place]]:
    """Yield name, host and place to dial of each https entrypoint."""
    for name, url in scope.target.entrypoints.items():
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname is not None:
            yield f"{name} ({url})", parts.hostname, scope.dial(f"{parts.hostname}:{port_of(url)}")


def tls_versions(client: Client) -> tuple[TlsEntry, ...]:
    """Return, for each https entrypoint, the lowest TLS version that its handshake accepts."""
    found: list[TlsEntry] = []

    async def job(wire: Wire) -> None:
        limit = client.target.limits.timeout
        for name, host, place in tls_entries(client.scope):
            accepted, open_ = [], []
            for text, version in VERSIONS:
                outcome = await _handshake(wire.dialler, place, host, version, limit)
                accepted += [text] if outcome else []
                open_ += [text] if outcome is None and not accepted else []
            found.append(_entry(name, accepted, open_))

    if next(tls_entries(client.scope), None) is not None:
        client.run(job)
    return tuple(found)


def _entry(name: str, accepted: Sequence[str], undecided: Sequence[str]) -> TlsEntry:
    """Conclude from the versions that were accepted, and those before them that got no answer."""
    said = f"accepted: {', '.join(accepted)}" if accepted else "no handshake succeeded"
    if undecided:
        return TlsEntry(name, None, f"{said}; no answer to TLS {', '.join(undecided)}")
    return TlsEntry(name, accepted[0] if accepted else None, said)


async def _handshake(dialler: Dialler, place: Place, host: str, version: ssl.TLSVersion, limit: float) -> bool | None:
    """Try one version of TLS; None where the attempt does not tell (no connection, no answer, no support here)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with contextlib.suppress(ssl.SSLError):
            context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what is looked for
            context.minimum_version = version
            context.maximum_version = version
        async with asyncio.timeout(limit):
            stream = await dialler.connect_tcp(*place, limit)
    except (OSError, ValueError, TimeoutError, httpcore.NetworkError, httpcore.TimeoutException):
        return None
    try:
        async with asyncio.timeout(limit):
            stream = await stream.start_tls(context, host, limit)
    except (TimeoutError, httpcore.TimeoutException):
        return None
    except Exception as error:  # noqa: BLE001 - an alert, a reset, nonsense: no session of this version came of it
        return None if "no protocols available" in words(error) else False
    finally:
        with contextlib.suppress(Exception):
            await stream.aclose()
    return True
