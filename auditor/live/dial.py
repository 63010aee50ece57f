"""Opening connections: only to what belongs to the target, and to the addresses that its names had at first."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

import httpcore
from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from auditor.dataclass import dataclass
from auditor.live.proxies import Place, Proxy


@dataclass(slots=True)
class Resolver:
    """Addresses of host names, asked once each: a name that changes its address midway is not followed."""

    pinned: dict[str, asyncio.Future[list[str]] | list[str]] = field(default_factory=dict)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the IP addresses of a host, the best first (OSError where it has none); the first answer stands."""
        known = self.pinned.get(host)
        if isinstance(known, list):
            return known
        if known is None or known.get_loop() is not asyncio.get_running_loop():
            known = self.pinned[host] = _lookup(host, port)
        try:
            found = await asyncio.shield(known)
        except OSError:
            if self.pinned.get(host) is known:
                del self.pinned[host]
            raise
        if self.pinned.get(host) is known:
            self.pinned[host] = found
        return found

    def prefer(self, host: str, address: str) -> None:
        """Note that a host answers at this one of its addresses: the others are asked no more."""
        known = self.pinned.get(host)
        if isinstance(known, list) and address in known:
            self.pinned[host] = [address]


def _lookup(host: str, port: int) -> asyncio.Future[list[str]]:
    """Resolve in a thread of its own: one that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()
    try:
        answer.set_result([str(ipaddress.ip_address(host))])
    except ValueError:
        pass
    else:
        return answer

    def settle(result: list[str] | OSError) -> None:
        if answer.done():
            return
        if isinstance(result, list):
            answer.set_result(result)
        else:
            answer.set_exception(result)
            answer.exception()  # whoever waits gets it; nobody has to

    def work() -> None:
        result: list[str] | OSError
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            result = list(dict.fromkeys(str(item[4][0]) for item in found))
        except (OSError, UnicodeError) as error:
            result = OSError(f"the name {host} cannot be resolved: {getattr(error, 'strerror', None) or error}")
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # the loop has ended: nobody waits for the answer

    threading.Thread(target=work, daemon=True).start()
    return answer


class Dialler(AsyncNetworkBackend):
    """Opens every connection of a live audit, and refuses those to places that are not the target's.

    NOTE: whatever asks for a connection (a pool, a handshake, a door) comes through here; that nothing else is ever
    dialled does not depend on the care of the callers.
    """

    def __init__(
        self, resolver: Resolver, allowed: Iterable[Place], proxies: Mapping[Place, Proxy] | None = None
    ) -> None:
        """Bind the resolver, the places that may be dialled, and the proxies through which some of them are."""
        self.resolver = resolver
        self.allowed = frozenset(allowed)
        self.proxies = proxies or {}
        self._below = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to one of the addresses of an allowed place, within `timeout` seconds (httpcore's errors)."""
        if (host, port) not in self.allowed:
            raise OSError(f"not dialled: {host}:{port} is not part of the target")
        if (proxy := self.proxies.get((host, port))) is not None:
            return await proxy.tunnel(self._below, (host, port), timeout)
        addresses = await self.resolver.addresses(host, port)
        failure: Exception | None = None
        for index, address in enumerate(addresses):
            share = None if timeout is None else timeout / len(addresses)
            try:
                stream = await self._below.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = _worse(failure, error)
                continue
            if index:
                self.resolver.prefer(host, address)
            return stream
        raise failure or OSError(f"the name {host} has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """Refuse: no target is a socket file."""
        del timeout, socket_options
        raise OSError(f"not dialled: {path} is not part of the target")

    async def sleep(self, seconds: float) -> None:
        """Sleep, for httpcore."""
        await asyncio.sleep(seconds)


def _worse(first: Exception | None, second: Exception) -> Exception:
    """Return the error that says more: a refusal by the host rather than a family of addresses that is not there."""
    unreachable = ("[Errno 99]", "[Errno 101]", "Network is unreachable", "Cannot assign")
    if first is None or any(sign in str(first) for sign in unreachable):
        return second
    return first
