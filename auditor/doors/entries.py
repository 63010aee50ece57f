"""The ways in from outside that requests are evaluated at, and where each layer's own connections come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.doors.places import Running
from auditor.stack import Entry, Stack

if TYPE_CHECKING:
    from auditor.compose import Compose


def entries(stack: Stack, running: Sequence[Running]) -> Iterator[Entry]:
    """Yield every way in: what is published of a layer, and all of the outermost one where nothing says what is."""
    by_id = {item.id: item for item in running}
    for index, (name, _) in enumerate(stack.layers):
        item = by_id[name]
        published = _published(item)
        if index == 0 and not published & item.ports:
            published = item.ports
        if item.kind != "asgi":
            yield from _of(item, published)
        elif index == 0:
            yield Entry("http", "http", name)


def _published(item: Running) -> frozenset[int]:
    """Return the ports of a layer's container that others than the host can dial."""
    compose = item.compose
    if compose is None:
        return frozenset()
    service = compose.services[item.service]
    mode = service.network_mode
    if mode == "host":
        return item.ports
    homes = {item.service, mode.removeprefix("service:") if mode.startswith("service:") else item.service}
    doors = (door for door in compose.doors() if door.service in homes)
    return frozenset(door.port for door in doors if not door.internal and not door.dormant)


def _of(item: Running, ports: frozenset[int]) -> Iterator[Entry]:
    if item.kind == "traefik":
        for point in item.layer.entrypoints:
            if point.protocol != "tcp" or point.internal or point.port not in ports:
                continue
            schemes = {"https" if point.tls or router.tls else "http" for router in item.layer.at(point)}
            for scheme in sorted(schemes):
                yield Entry(point.name, scheme, item.id, f":{point.port}")
        return
    for listen in item.layer.listens:
        if listen.port in ports:
            scheme = "https" if listen.ssl else "http"
            address = f"{listen.address}:{listen.port}"
            yield Entry(f"{item.id} {address}", scheme, item.id, address)


def peer(item: Running, others: Sequence[Running]) -> str | None:
    """Return the address that a layer's connections come from: its fixed one in Compose, or the one nginx trusts."""
    if item.compose is not None:
        fixed = item.compose.services[item.service].addresses
        if fixed:
            return fixed[-1]
    if item.kind == "traefik":
        trusted = (address for other in others if other.kind == "nginx" for address in _trusted(other.layer))
        return next(trusted, None)
    return None


def _trusted(configuration: Any) -> Iterator[str]:
    """Yield an address of each network whose X-Forwarded-For an nginx configuration believes (`set_real_ip_from`)."""
    todo = list(configuration.tree.directives)
    while todo:
        directive = todo.pop()
        todo += directive.block or ()
        if directive.name == "set_real_ip_from" and directive.args:
            try:
                network = ipaddress.ip_network(directive.args[0], strict=False)
            except ValueError:
                continue
            yield str(network.network_address if network.num_addresses == 1 else network[1])


def addresses(running: Sequence[Running], composes: Sequence[Compose], backends: Sequence[str]) -> Mapping[str, str]:
    """Map hosts and upstream addresses to the layer that answers there, "" where it is a container that is no layer.

    What a container is says only a Compose file in which every layer that passes requests on has been found.
    """
    found: dict[str, str] = {item.service: item.id for item in running if item.compose is not None}
    for compose in composes:
        if all(item.compose is not None for item in running if item.kind != "asgi"):
            for name in compose.services:
                found.setdefault(name, "")
    inner = [item.id for item in running if item.kind == "asgi"]
    for backend in backends:
        found[backend] = inner[-1] if inner else ""
    return found
