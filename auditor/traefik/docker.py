"""Docker labels as Traefik's Docker provider reads them: routers and services of containers, with defaults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from auditor.errors import Location, Problem
from auditor.exchange import Unknown
from auditor.traefik.dynamic import Reader
from auditor.traefik.model import Container, Router, Server, Service, flag_of, number_of, option, text_of
from auditor.tree import Node, from_labels

PROVIDER = "docker"
_VARIABLE = re.compile(r"\{\{\s*(?:normalize\s+)?\.Name\s*\}\}")


def read(reader: Reader, containers: Iterable[Container], provider: Node | None) -> None:
    """Read every container that the provider would take; several containers of one service share its servers."""
    by_default = flag_of(provider.get("exposedByDefault") if provider else None, default=True)
    default_rule = text_of(provider.get("defaultRule") if provider else None, "Host(`{{ normalize .Name }}`)")
    for container in containers:
        enabled = container.labels.get("traefik.enable")
        if not (enabled[0].strip().lower() == "true" if enabled else by_default):
            continue
        if provider is not None and provider.get("constraints") is not None:
            place = option(provider, "constraints").place
            reader.unknown.append(Unknown("the Docker provider's constraints may leave containers out", place))
        _container(reader, container, default_rule)


def _container(reader: Reader, container: Container, default_rule: str) -> None:
    before = set(reader.parts.routers)
    tree, problems = from_labels(container.labels, "traefik")
    reader.problems.extend(problems)
    http = option(tree, "http")
    declared = http.get("services")
    services = [name for name, _ in declared.children()] if declared else []
    place = next((where for _, where in container.labels.values()), container.location)
    if not services:
        services = [container.name]
    for name in services:
        node = option(http, "services", name, "loadBalancer")
        made = _service(reader, container, f"{name}@{PROVIDER}", node, place)
        known = reader.parts.services.get(made.name)
        merged = replace(known, servers=known.servers + made.servers) if known else made
        reader.parts.services[made.name] = merged
    without_services = {key: value for key, value in (tree.entries or {}).items() if key.lower() != "enable"}
    reader.container = container.address or container.name
    reader.read(_routers_only(tree, without_services), PROVIDER)
    reader.container = ""
    routers = http.get("routers")
    if (routers is None and http.get("middlewares") is None) or (routers is None and declared is not None):
        _default_router(reader, container, default_rule, place, services)
        return
    for name in set(reader.parts.routers) - before:
        router = reader.parts.routers[name]
        if not router.service:
            reader.parts.routers[name] = _with_service(router.name, reader, services, router.location)


def _with_service(name: str, reader: Reader, services: list[str], place: Location) -> Router:
    router = reader.parts.routers[name]
    if len(services) == 1:
        return replace(router, service=f"{services[0]}@{PROVIDER}")
    message = f"the router {name} names no service, and its container has {len(services)}"
    reader.problems.append(Problem(message, place, "add a .service label to the router"))
    return replace(router, refused="it names no service, and there are several")


def _routers_only(tree: Node, entries: Mapping[str, Node]) -> Node:
    kept: dict[str, Node] = {}
    for key, node in entries.items():
        if key.lower() == "http":
            inner = {name: child for name, child in node.children() if name.lower() != "services"}
            kept[key] = replace(node, entries=inner)
        elif key.lower() in ("tcp", "udp", "tls"):
            kept[key] = node
    return replace(tree, entries=kept)


def _default_router(
    reader: Reader, container: Container, default_rule: str, place: Location, services: list[str]
) -> None:
    text = _VARIABLE.sub(container.name, default_rule)
    entries = {"rule": Node(place, text, text, quoted=True, key=place)}
    router = Node(place, entries=entries, key=place)
    routers = Node(place, entries={container.name: router}, key=place)
    http = Node(place, entries={"routers": routers}, key=place)
    reader.read(Node(place, entries={"http": http}), PROVIDER)
    name = f"{container.name}@{PROVIDER}"
    if name in reader.parts.routers:
        reader.parts.routers[name] = _with_service(name, reader, services, place)


def _service(reader: Reader, container: Container, name: str, node: Node, place: Location) -> Service:
    server = option(node, "server")
    port = number_of(server.get("port")) or (min(container.ports) if container.ports else 0)
    scheme = text_of(server.get("scheme"), "http")
    url = text_of(server.get("url"))
    where = (server.get("port") or server.get("url") or node).location
    where = where if where.file else place
    servers: tuple[Server, ...] = ()
    if url:
        servers = (Server(url, where),)
    elif port:
        servers = (Server(f"{scheme}://{container.address or container.name}:{port}", where),)
    else:
        if container.labels:
            reason = f"the port of the container {container.name} is in its image, not in these files"
            reader.unknown.append(Unknown(reason, place, "answer"))
        servers = (Server(f"{scheme}://{container.address or container.name}:{{{{port}}}}", where),)
    return Service(
        name,
        "loadBalancer",
        node.place if node.place.file else place,
        servers=servers,
        pass_host=flag_of(node.get("passHostHeader"), default=True),
        sticky="_" if node.get("sticky") is not None else "",
        health_check=node.get("healthCheck") is not None,
    )
