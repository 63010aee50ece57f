"""What a layer passes on, read from its configuration: from a port, by which router or location, to which address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from auditor.dataclass import dataclass
from auditor.errors import Location


@dataclass(frozen=True, slots=True)
class Hop:
    """One way on: `by` names the block that decides it, `address` is "host:port".

    `by_request`: an HTTP request is what decides; every connection passes where it is False.
    """

    by: str
    address: str
    location: Location | None = None
    by_request: bool = False


def through(kind: str, layer: Any, port: int) -> Iterator[Hop]:
    """Yield every way on that HTTP takes from a port of a layer."""
    if kind == "traefik":
        yield from _traefik(layer, port)
    elif kind == "nginx":
        yield from _nginx(layer, port)


def _traefik(layer: Any, port: int) -> Iterator[Hop]:
    for point in layer.entrypoints:
        if point.port != port:
            continue
        for router in layer.at(point):
            if not router.refused:
                yield from _routed(layer, router)
        for stream in layer.streams:
            if point.name in stream.entrypoints or (not stream.entrypoints and point.default):
                by = f"{stream.protocol} router {short(stream.name)}"
                yield from (Hop(by, address, stream.location) for address in stream.addresses)


def _routed(layer: Any, router: Any) -> Iterator[Hop]:
    """Yield where a router sends requests, and whom its middlewares ask about them."""
    by = f"router {short(router.name)}"
    for server in layer.upstreams(router.service):
        yield Hop(by, server.address, router.location, by_request=True)
    for middleware in layer.chain(router.middlewares):
        if not isinstance(middleware, tuple):
            for address in _asked_by(layer, middleware):
                yield Hop(f"{by}, middleware {short(middleware.name)}", address, middleware.location, by_request=True)


def _asked_by(layer: Any, middleware: Any) -> Iterator[str]:
    """Yield the addresses that a middleware asks by itself."""
    if middleware.kind == "errors":
        service = middleware.options.get("service")
        if service is not None:
            name = service.text if "@" in service.text else f"{service.text}@{middleware.name.rpartition('@')[2]}"
            yield from (server.address for server in layer.upstreams(name))
    elif middleware.kind == "forwardAuth":
        address = middleware.options.get("address")
        found = re.match(r"(https?)://([^/?#]+)", address.text) if address is not None else None
        if found:
            yield with_port(found[2], found[1])


def short(name: str) -> str:
    """Return a name as the file has it, without the provider that Traefik puts behind it."""
    return name.removesuffix("@file").removesuffix("@docker")


def with_port(address: str, scheme: str) -> str:
    """Return an address with its port, the scheme's where none is written."""
    return address if re.search(r":\d+$", address) else f"{address}:{443 if scheme in ('https', 'grpcs') else 80}"


def _nginx(layer: Any, port: int) -> Iterator[Hop]:
    from auditor.nginx.model import PASSES  # noqa: PLC0415 - only where a policy has an nginx target

    for listen in layer.listens:
        if listen.port != port:
            continue
        for server in listen.servers:
            for node in server.below():
                for directive in (line for name in PASSES for line in node.own.get(name, ())):
                    for address in _addresses(layer, directive):
                        yield Hop(node.enclosing().label, address, directive.location, by_request=True)


def _addresses(layer: Any, directive: Any) -> Iterator[str]:
    text = directive.args[0] if directive.args else ""
    scheme, separator, rest = text.partition("://")
    authority = re.split(r"[/?]", rest)[0] if separator else text
    if "$" in authority or not authority or authority.startswith("unix:"):
        return
    servers, backups = layer.engine.peers(authority)
    for address in (*servers, *backups) or (authority,):
        yield with_port(address, scheme.lower() if separator else "http")


def streams(layer: Any) -> Iterator[tuple[int, Hop]]:
    """Yield each port of nginx's stream servers with where its connections go."""
    for block in layer.tree.directives:
        if block.name != "stream":
            continue
        inner = block.block or ()
        for server in inner:
            if server.name == "server":
                passes = [line for line in server.block or () if line.name in ("proxy_pass", "pass") and line.args]
                for line in server.block or ():
                    if line.name == "listen" and line.args:
                        for target in passes:
                            for address in _stream_addresses(inner, target.args[0]):
                                for port in _ports(line.args[0]):
                                    yield port, Hop("stream proxy_pass", address, target.location)


def _ports(text: str) -> Iterator[int]:
    found = re.search(r"(?:^|:)(\d+)(?:-(\d+))?$", text)
    if found:
        yield from range(int(found[1]), min(int(found[2] or found[1]), int(found[1]) + 100) + 1)


def _stream_addresses(block: Sequence[Any], target: str, depth: int = 0) -> Iterator[str]:
    """Yield what a stream target stands for: itself, the servers of an upstream, or all that a map may say."""
    tables = [line for line in block if line.name == "map" and line.args[1:] == (target,)]
    upstream = next((line for line in block if line.name == "upstream" and line.args == (target,)), None)
    if tables and depth < 3:
        for table in tables:
            for entry in table.block or ():
                if entry.args and entry.name not in ("hostnames", "volatile"):
                    yield from _stream_addresses(block, entry.args[0], depth + 1)
    elif upstream is not None:
        yield from (line.args[0] for line in upstream.block or () if line.name == "server" and line.args)
    elif "$" not in target and not target.startswith("unix:"):
        yield target
