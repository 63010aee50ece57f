"""A field of small servers: comparisons as applications write them, WebSocket handshakes, paths that must be denied."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from auditor.live.websocket import GUID
from tests.live_field.flaws import READS, TRUSTED
from tests.live_field.serving import head

Compare = Callable[[str], bool]
HOST = "app.partner.net"
OPENS = frozenset({"websocket-origin-not-allowed"})


@dataclass(frozen=True)
class Small:
    """One flaw of a small server: its name, what finds it, what it lets in, and what its twin lets in."""

    name: str
    checks: frozenset[str]
    bad: Compare
    good: Compare = lambda origin: origin == TRUSTED
    websocket: bool = False


def _domain(origin: str) -> str:
    """Return the last two labels of an origin's host, as careless code does."""
    return ".".join((urlsplit(origin).hostname or "").split(".")[-2:])


SMALL = (
    Small("startswith", READS, lambda o: o.startswith(TRUSTED)),
    Small("endswith", READS, lambda o: o.endswith(HOST)),
    Small("endswith the domain", READS, lambda o: o.endswith("partner.net")),
    Small("in", READS, lambda o: HOST in o),
    Small("the other way round", READS, lambda o: (urlsplit(o).hostname or "-") in HOST, lambda o: o == TRUSTED),
    Small("the host without the scheme", READS, lambda o: urlsplit(o).hostname == HOST),
    Small("the host and port without the scheme", READS, lambda o: urlsplit(o).netloc == HOST),
    Small("the domain of the host", READS, lambda o: _domain(o) == "partner.net"),
    Small("without the port", READS, lambda o: o.rsplit(":", 1)[0] in {TRUSTED, "https"} and HOST in o),
    Small("re.match without an end", READS, lambda o: re.match(re.escape(TRUSTED), o) is not None),
    Small("re.search", READS, lambda o: re.search(re.escape(HOST), o) is not None),
    Small("dots of an expression", READS, lambda o: re.fullmatch(TRUSTED, o) is not None),
    Small("null for local files", READS, lambda o: o in {TRUSTED, "null"}),
    Small("a list with the development server", READS, lambda o: o in {TRUSTED, DEVELOPMENT}),
    Small("split at the wrong dot", READS, lambda o: o.split(".")[1:2] == ["partner"]),
    Small("a socket for everybody", OPENS, lambda _: True, websocket=True),
    Small("a socket by prefix", OPENS, lambda o: o.startswith(TRUSTED), websocket=True),
    Small("a socket by suffix", OPENS, lambda o: o.endswith(HOST), websocket=True),
    Small("a socket for null", OPENS, lambda o: o in {TRUSTED, "null"}, websocket=True),
    Small("a socket without an origin", OPENS, lambda o: o in {TRUSTED, ""}, websocket=True),
    Small("a socket over http", OPENS, lambda o: o.partition("//")[2] == HOST, websocket=True),
    Small(
        "a socket that refuses the allowed origin",
        frozenset({"websocket-origin-refused"}),
        lambda _: False,
        websocket=True,
    ),
)
DEVELOPMENT = "http://localhost:3000"

SPELLINGS = {
    "/private-slash": "//private-slash",
    "/private-dot": "/./private-dot",
    "/private-escaped": "/x/%2e%2e/private-escaped",
    "/private-parameter": "/x/..;/private-parameter",
    "/private-after": "/private-after/",
}
"""Paths that one server denies, each with the spelling under which it serves it all the same."""


def sides() -> list[tuple[str, Small, Compare, bool]]:
    """Return every URL's name, its flaw, what it lets in, and whether it is the flawed side."""
    found: list[tuple[str, Small, Compare, bool]] = []
    for number, small in enumerate(SMALL, 1):
        found += [(f"f{number:02d}", small, small.bad, True), (f"s{number:02d}", small, small.good, False)]
    return found


BY_NAME = {name: (small, compare) for name, small, compare, _ in sides()}


async def small(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection."""
    while True:
        method, target, lines = await head(reader)
        found = {name.lower(): value for name, value in lines}
        writer.write(_answer(method, target, found).encode("latin-1"))
        await writer.drain()
        if found.get("upgrade") and BY_NAME.get(target[1:4]):
            await asyncio.sleep(0.05)
            return


def _answer(method: str, target: str, headers: dict[str, str]) -> str:
    name, origin = target[1:4], headers.get("origin", "")
    if name not in BY_NAME:
        served = target in SPELLINGS.values()
        return f"HTTP/1.1 {'200 OK' if served else '404 Not Found'}\r\nContent-Length: 0\r\n\r\n"
    flaw, compare = BY_NAME[name]
    if flaw.websocket:
        if not compare(origin):
            return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        digest = hashlib.sha1((headers.get("sec-websocket-key", "") + GUID).encode(), usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        return f"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    cors = f"Access-Control-Allow-Origin: {origin}\r\n" if origin and compare(origin) else ""
    if cors and "access-control-request-method" in headers:
        cors += "Access-Control-Allow-Methods: GET, PUT\r\nAccess-Control-Allow-Headers: X-Token\r\n"
    missing = target not in {f"/{name}", f"/{name}.json"}
    body = "" if method == "HEAD" else "ok"
    return (
        f"HTTP/1.1 {'404 Not Found' if missing else '200 OK'}\r\nVary: Origin\r\n{cors}Content-Length: 2\r\n\r\n{body}"
    )


def policy(port: int) -> dict[str, Any]:
    """Return the policy of the small servers: one route a URL, and the paths that must be denied."""
    cors = {
        "allow_origins": [TRUSTED],
        "allow_methods": ["GET", "PUT"],
        "allow_headers": ["X-Token"],
        "on_error": "keep",
    }
    routes: list[dict[str, Any]] = []
    for name, flaw, _, _ in sides():
        route: dict[str, Any] = {"id": name, "match": [{"paths": [f"/{name}", f"/{name}.json", f"/{name}/**"]}]}
        route |= {"websocket": {"allow_origins": [TRUSTED]}} if flaw.websocket else {"cors": cors}
        routes.append({**route, "probes": [{"path": f"/{name}"}]})
    target = {
        "id": "live",
        "type": "http",
        "entrypoints": {"web": "http://shop.example"},
        "resolve": {"shop.example:80": f"127.0.0.1:{port}"},
        "limits": {"requests_per_second": 5000, "timeout": "5s", "max_requests": 5000},
    }
    denied = [*SPELLINGS, "/private-really"]
    return {"version": 1, "name": "small", "targets": [target], "routes": routes, "exposure": {"denied_paths": denied}}
