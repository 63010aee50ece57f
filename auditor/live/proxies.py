"""Proxies that the environment names, for a machine that has no other way out: used only where the user asks for it."""

from __future__ import annotations

import base64
import urllib.request
from urllib.parse import unquote, urlsplit

import httpcore
from httpcore import AsyncHTTP11Connection, AsyncNetworkBackend, AsyncNetworkStream

from auditor.dataclass import dataclass
from auditor.errors import TargetError
from auditor.live.scope import Scope, port_of
from auditor.policy.model import HttpTarget

Place = tuple[str, int]
"""A host (a name or an IP address) and a port."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that opens tunnels (RFC 9110 §9.3.6): host, port, and the value of Proxy-Authorization ("": none)."""

    host: str
    port: int
    authorization: str = ""

    async def tunnel(self, below: AsyncNetworkBackend, place: Place, seconds: float | None) -> AsyncNetworkStream:
        """Return a stream to a place through the proxy, within `seconds` (OSError where it refuses, httpcore's errors)."""
        stream = await below.connect_tcp(self.host, self.port, seconds)
        host, port = place
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [(b"Host", authority.encode()), (b"Accept", b"*/*")]
        if self.authorization:
            headers.append((b"Proxy-Authorization", self.authorization.encode()))
        url = httpcore.URL(scheme=b"http", host=self.host.encode(), port=self.port, target=authority.encode())
        timeouts = {"timeout": {"read": seconds, "write": seconds}}
        connection = AsyncHTTP11Connection(url.origin, stream)
        try:
            answer = await connection.handle_async_request(
                httpcore.Request(b"CONNECT", url, headers=headers, extensions=timeouts)
            )
        except BaseException:
            await stream.aclose()
            raise
        if not 200 <= answer.status < 300:
            await connection.aclose()
            raise OSError(f"the proxy {self.host}:{self.port} answers {answer.status} to CONNECT {authority}")
        tunnelled: AsyncNetworkStream = answer.extensions["network_stream"]
        return tunnelled


def of_environment(target: HttpTarget) -> dict[Place, Proxy]:
    """Return the proxy of each entrypoint as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY (also lower case) say.

    Raises TargetError where one is named that is no HTTP proxy.
    """
    named = urllib.request.getproxies_environment()
    scope = Scope(target)
    found: dict[Place, Proxy] = {}
    for url in target.entrypoints.values():
        parts = urlsplit(url)
        proxy = named.get(parts.scheme) or named.get("all")
        if proxy and parts.hostname and not _bypassed(f"{parts.hostname}:{port_of(url)}"):
            found[scope.dial(f"{parts.hostname}:{port_of(url)}")] = _read(proxy, parts.scheme)
    return found


def _bypassed(address: str) -> bool:
    found: int = urllib.request.proxy_bypass_environment(address)  # type: ignore[attr-defined] # not in typeshed
    return bool(found)


def _read(text: str, scheme: str) -> Proxy:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        shown = f"{parts.scheme}://{parts.hostname or ''}"
        raise TargetError(
            f"the environment's proxy for {scheme} is {shown}, and only http://host:port is spoken",
            hint=f"set {scheme.upper()}_PROXY to an HTTP proxy, or leave --env-proxies out to go there directly",
        )
    if parts.username is None:
        return Proxy(parts.hostname, port)
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(parts.hostname, port, f"Basic {base64.b64encode(secret).decode()}")
