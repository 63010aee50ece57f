"""One URL of a route at one entry, and the requests that are made of it."""

from __future__ import annotations

from dataclasses import replace

from auditor.dataclass import dataclass
from auditor.exchange import Headers, Request
from auditor.plan.facts import NO_ORIGIN, OriginCell, Probe, Purpose
from auditor.stack import Entry

HTTP2 = "2.0"
"""The version of a request that goes over HTTP/2 (as nginx's $server_protocol tells it)."""


def over_http2(probe: Probe) -> Probe:
    """Return the probe as it is sent over HTTP/2."""
    return replace(probe, request=replace(probe.request, version=HTTP2))


@dataclass(frozen=True, slots=True)
class Place:
    """One URL of a route at one entry; `authority` is the Host header where it is not the host alone."""

    route: str
    entry: Entry
    host: str
    path: str
    authority: str = ""

    @property
    def own(self) -> str:
        """The origin of this place, in the words of an Origin header."""
        return f"{'https' if self.entry.scheme == 'https' else 'http'}://{self.authority or self.host}"

    def request(self, method: str, *headers: tuple[str, str]) -> Request:
        """Build a request to this place."""
        pairs = [("Host", self.authority or self.host), *headers]
        scheme = "https" if self.entry.scheme == "https" else "http"
        sni = self.host if scheme == "https" else None
        return Request(method, self.path, Headers.of(pairs), scheme=scheme, sni=sni)

    def probe(self, purpose: Purpose, method: str, origin: OriginCell = NO_ORIGIN) -> Probe:
        """Build a request that an origin makes, or nobody in particular."""
        headers = [("Origin", origin.value)] if origin.value is not None else []
        request = self.request(method, *headers)
        return Probe(self.route, purpose, request, self.entry, method, self.path, self.host, origin)

    def preflight(self, method: str, names: tuple[str, ...], origin: OriginCell, *, granted: bool = True) -> Probe:
        """Build the preflight of a request with this method and these header names (lower case)."""
        asked = [("Access-Control-Request-Headers", ",".join(names))] if names else []
        headers = [("Origin", origin.value or ""), ("Access-Control-Request-Method", method), *asked]
        request = self.request("OPTIONS", *headers)
        return Probe(
            self.route,
            "preflight",
            request,
            self.entry,
            method,
            self.path,
            self.host,
            origin,
            asked_headers=names,
            granted=granted,
        )

    def upgrade(self, origin: OriginCell) -> Probe:
        """Build a WebSocket handshake."""
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            *([("Origin", origin.value)] if origin.value is not None else []),
        ]
        request = self.request("GET", *headers)
        return Probe(self.route, "websocket", request, self.entry, "GET", self.path, self.host, origin)
