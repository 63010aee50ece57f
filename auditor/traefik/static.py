"""Traefik's static configuration: entrypoints, redirections, API and providers, from a file or from flags."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from auditor.errors import Location, Problem
from auditor.traefik.model import Entrypoint, Redirection, flag_of, list_of, number_of, option, text_of
from auditor.tree import Node, from_labels

MAX_INT = 2**63 - 1
_PORT_ONLY = re.compile(r"^:(\d+)$")


def from_flags(flags: Iterable[tuple[str, Location]]) -> tuple[Node, tuple[Problem, ...]]:
    """Turn `--entrypoints.web.address=:80` arguments into the tree that a static file would be."""
    labels: dict[str, tuple[str, Location]] = {}
    for flag, location in flags:
        if not flag.startswith("-"):
            continue
        name, equals, value = flag.lstrip("-").partition("=")
        labels[f"traefik.{name}"] = (value.strip("\"'") if equals else "true", location)
    return from_labels(labels, "traefik")


def entrypoints(static: Node) -> tuple[tuple[Entrypoint, ...], tuple[Problem, ...]]:
    """Read the entrypoints; without any, Traefik listens on ":80" under the name "http"."""
    found: list[Entrypoint] = []
    problems: list[Problem] = []
    section = static.get("entryPoints")
    for name, node in section.children() if section else ():
        made = _entrypoint(name, node)
        if made.port == 0 and made.protocol == "tcp":
            problems.append(
                Problem(f"the entrypoint {name} has no readable address", made.location, "write address: ':80'")
            )
        found.append(made)
    if not found:
        found.append(Entrypoint("http", ":80", 80, static.location, default=True))
    if flag_of(static.get("api", "insecure")) and all(point.name != "traefik" for point in found):
        place = option(static, "api", "insecure").place
        found.append(Entrypoint("traefik", ":8080", 8080, place, internal=True))
    resolved = [_resolve(point, found, problems) for point in found]
    if not any(point.default for point in resolved):
        return tuple(point if point.name == "traefik" else _as_default(point) for point in resolved), tuple(problems)
    return tuple(resolved), tuple(problems)


def _as_default(point: Entrypoint) -> Entrypoint:
    return replace(point, default=True)


def _entrypoint(name: str, node: Node) -> Entrypoint:
    address, _, protocol = text_of(node.get("address")).partition("/")
    host, _, port = address.rpartition(":")
    http = option(node, "http")
    trusted = list_of(node.get("forwardedHeaders", "trustedIPs"))
    return Entrypoint(
        name=name,
        address=address,
        port=int(port) if port.isdigit() else 0,
        location=(node.get("address") or node).place,
        protocol=protocol.lower() or "tcp",
        host=host.strip("[]"),
        redirection=_redirection(http.get("redirections", "entryPoint")),
        middlewares=list_of(http.get("middlewares")),
        tls=http.get("tls") is not None and not _is_false(http.get("tls")),
        default=flag_of(node.get("asDefault")),
        sanitize_path=flag_of(http.get("sanitizePath"), default=True),
        encode_semicolons=flag_of(http.get("encodeQuerySemicolons")),
        trust_all=flag_of(node.get("forwardedHeaders", "insecure")),
        trusted=tuple(address for address, _ in trusted),
        internal=name == "traefik",
        proxy_protocol=node.get("proxyProtocol") is not None,
    )


def _is_false(node: Node | None) -> bool:
    return node is not None and node.is_scalar and node.text.lower() == "false"


def _redirection(node: Node | None) -> Redirection | None:
    if node is None or not text_of(node.get("to")):
        return None
    return Redirection(
        to=text_of(node.get("to")),
        scheme=text_of(node.get("scheme"), "https"),
        port="",
        permanent=flag_of(node.get("permanent"), default=True),
        priority=number_of(node.get("priority"), MAX_INT - 1),
        location=(node.get("to") or node).place,
    )


def _resolve(point: Entrypoint, found: list[Entrypoint], problems: list[Problem]) -> Entrypoint:
    redirection = point.redirection
    if redirection is None:
        return point
    direct = _PORT_ONLY.match(redirection.to)
    target = next((other for other in found if other.name == redirection.to), None)
    if direct:
        return replace(point, redirection=replace(redirection, port=direct[1]))
    if target is None:
        message = f"the redirection of {point.name} goes to the entrypoint {redirection.to}, which does not exist"
        problems.append(Problem(message, redirection.location, "name an entrypoint or a port like ':443'"))
        return replace(point, redirection=None)
    return replace(point, redirection=replace(redirection, port=str(target.port)))
