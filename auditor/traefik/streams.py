"""Traefik's TCP and UDP routers: connections that it passes on without looking at the requests in them."""

from __future__ import annotations

from auditor.traefik.model import StreamRouter, list_of, text_of
from auditor.tree import Node

MAX_DEPTH = 20


def read(root: Node, provider: str, container: str = "") -> list[StreamRouter]:
    """Read the TCP and UDP routers of one provider; `container` is who a label's server port belongs to."""
    found: list[StreamRouter] = []
    for protocol in ("tcp", "udp"):
        routers, services = root.get(protocol, "routers"), root.get(protocol, "services")
        declared = dict(services.children()) if services else {}
        for name, node in routers.children() if routers else ():
            wanted = text_of(node.get("service")).partition("@")[0] or next(iter(declared), "")
            found.append(
                StreamRouter(
                    name=f"{name}@{provider}",
                    protocol=protocol,
                    location=(node.get("rule") or node.get("service") or node).place,
                    rule_text=text_of(node.get("rule")),
                    entrypoints=tuple(point for point, _ in list_of(node.get("entryPoints"))),
                    addresses=_addresses(declared, wanted, container),
                )
            )
    return found


def _addresses(services: dict[str, Node], name: str, container: str, depth: int = 0) -> tuple[str, ...]:
    node = services.get(name)
    if node is None or depth > MAX_DEPTH:
        return ()
    servers = node.get("loadBalancer", "servers")
    found = [text_of(server.get("address")) for server in (servers.sequence() if servers else ())]
    port = text_of(node.get("loadBalancer", "server", "port"))
    if container and port:
        found.append(f"{container}:{port}")
    parts = node.get("weighted", "services")
    for part in parts.sequence() if parts else ():
        found.extend(_addresses(services, text_of(part.get("name")).partition("@")[0], container, depth + 1))
    return tuple(address for address in found if address)
