"""Which addresses belong to a target: its entrypoints, as `resolve` redirects them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from auditor.dataclass import dataclass
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


def port_of(url: str) -> int:
    """Return the port of a URL, the scheme's own where it names none."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


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
        port = port_of(base)
        own = host in self.hosts()
        for known in (host, parts.hostname or ""):
            if f"{known}:{port}" in self.target.resolve or f"[{known}]:{port}" in self.target.resolve:
                return Address(scheme, host, *self.dial(f"{known}:{port}"), own)
        return Address(scheme, host, parts.hostname or "", port, own)

    def hosts(self) -> frozenset[str]:
        """Return the host names that the target itself names."""
        named = {urlsplit(url).hostname or "" for url in self.target.entrypoints.values()}
        return frozenset(named | {bare_host(address) for address in self.target.resolve})

    def dial(self, address: str) -> tuple[str, int]:
        """Return the host and port that `resolve` gives for an address such as "shop.example:8000"."""
        name, _, number = address.rpartition(":")
        bracketed = f"[{name.strip('[]')}]:{number}"
        found = self.target.resolve.get(address) or self.target.resolve.get(bracketed) or address
        host, _, port = found.rpartition(":")
        return host.strip("[]"), int(port)

    def places(self, doors: Iterable[str] = ()) -> frozenset[tuple[str, int]]:
        """Return every host and port that a connection may be opened to: of the target, and of declared doors."""
        named = [f"{urlsplit(url).hostname}:{port_of(url)}" for url in self.target.entrypoints.values()]
        return frozenset(self.dial(address) for address in (*named, *self.target.resolve, *doors))

    def refusal(self, name: str, scheme: str, host: str, method: str) -> str:
        """Say why a request is not sent, or "" where it may be."""
        if self.address(name, scheme, host) is None:
            return f"the target has no entrypoint {name!r} for {scheme}"
        if method not in SAFE_METHODS and not self.target.allow_unsafe_methods:
            return f"{method} may change something, and the policy does not set allow_unsafe_methods"
        return ""
