"""Which addresses belong to a target: its entrypoints, as `resolve` redirects them, and nothing else."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from auditor.policy.model import HttpTarget

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 §9.2.1, without TRACE: sent always; others only where the policy allows it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a connection goes: scheme, the host named in the request, and the address dialled.

    `own`: the host is one that the target names, so that its certificate has to be for it.
    """

    scheme: str
    host: str
    dial_host: str
    dial_port: int
    own: bool = True


def bare_host(authority: str) -> str:
    """Return the host of "host", "host:port", "[v6]" or "[v6]:port", brackets removed."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    host, colon, port = authority.rpartition(":")
    return host if colon and (port.isdigit() or not port) else authority


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
        own = host in self.hosts()
        for key in (f"{host}:{port}", f"{parts.hostname}:{port}"):
            if key in self.target.resolve:
                dial, _, dial_port = self.target.resolve[key].rpartition(":")
                return Address(scheme, host, dial.strip("[]"), int(dial_port), own)
        return Address(scheme, host, parts.hostname or "", port, own)

    def hosts(self) -> frozenset[str]:
        """Return the host names that the target itself names."""
        named = {urlsplit(url).hostname or "" for url in self.target.entrypoints.values()}
        return frozenset(named | {bare_host(address) for address in self.target.resolve})

    def dial(self, address: str) -> tuple[str, int]:
        """Return the host and port that `resolve` gives for an address such as "shop.example:8000"."""
        host, _, port = self.target.resolve.get(address, address).rpartition(":")
        return host.strip("[]"), int(port)

    def refusal(self, name: str, scheme: str, host: str, method: str) -> str:
        """Say why a request is not sent, or "" where it may be."""
        if self.address(name, scheme, host) is None:
            return f"the target has no entrypoint {name!r} for {scheme}"
        if method not in SAFE_METHODS and not self.target.allow_unsafe_methods:
            return f"{method} may change something, and the policy does not set allow_unsafe_methods"
        return ""


@dataclass(slots=True)
class Resolver:
    """Addresses of host names, asked once: a name that changes its address midway is not followed."""

    pinned: dict[str, str] = field(default_factory=dict)

    async def address(self, host: str, port: int) -> str:
        """Return the IP address of a host (OSError where it has none); the first answer stands."""
        if host not in self.pinned:
            found = await _lookup(host, port)
            self.pinned.setdefault(host, found)
        return self.pinned[host]


async def _lookup(host: str, port: int) -> str:
    """Resolve in a thread of its own: one that hangs must not keep the process from ending."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(result: str | OSError) -> None:
        if answer.done():
            return
        if isinstance(result, str):
            answer.set_result(result)
        else:
            answer.set_exception(result)

    def work() -> None:
        result: str | OSError
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            result = str(found[0][4][0])
        except (OSError, UnicodeError) as error:
            result = OSError(f"the name {host} cannot be resolved: {getattr(error, 'strerror', None) or error}")
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # the loop has ended: nobody waits for the answer

    threading.Thread(target=work, daemon=True).start()
    return await answer
