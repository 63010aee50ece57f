"""What a Traefik configuration says: entrypoints, routers, middlewares and services, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.traefik.rules import Rule, Syntax
from auditor.tree import EMPTY, Node


@dataclass(frozen=True, slots=True)
class Redirection:
    """An entrypoint's redirection of everything to another entrypoint or port."""

    to: str
    scheme: str
    port: str
    permanent: bool
    priority: int
    location: Location


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """One listening address: `address` as written (":80"), `port` 0 where it could not be read."""

    name: str
    address: str
    port: int
    location: Location
    protocol: str = "tcp"
    host: str = ""
    redirection: Redirection | None = None
    middlewares: tuple[tuple[str, Location], ...] = ()
    tls: bool = False
    default: bool = False
    sanitize_path: bool = True
    encode_semicolons: bool = False
    trust_all: bool = False
    trusted: tuple[str, ...] = ()
    internal: bool = False
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Router:
    """One router: which requests it takes, through which middlewares, to which service.

    `middlewares` are qualified names ("cors@file") with the place that names them.
    `refused` says why Traefik leaves the router out, "" where it does not.
    """

    name: str
    rule_text: str
    rule: Rule | None
    location: Location
    service: str
    entrypoints: tuple[str, ...] = ()
    middlewares: tuple[tuple[str, Location], ...] = ()
    priority: int = 0
    tls: bool = False
    tls_options: str = ""
    syntax: Syntax = "v3"
    refused: str = ""
    uncertain: str = ""


@dataclass(frozen=True, slots=True)
class Middleware:
    """One middleware: its kind ("headers") and its options as written."""

    name: str
    kind: str
    options: Node
    location: Location
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a load balancer: "http://qwen-api:8000"."""

    url: str
    location: Location
    preserve_path: bool = False
    scheme: str = field(init=False, compare=False, repr=False)
    """The URL's scheme in lower case."""
    authority: str = field(init=False, compare=False, repr=False)
    """The host and port as written, which is what Host says where the client's is not passed."""
    address: str = field(init=False, compare=False, repr=False)
    """host:port, the scheme's port where none is written."""

    def __post_init__(self) -> None:
        """Take the URL apart once."""
        scheme, _, rest = self.url.partition("://")
        authority = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
        port = "" if ":" in authority[authority.rfind("]") + 1 :] else ":443" if scheme.lower() == "https" else ":80"
        object.__setattr__(self, "scheme", scheme.lower())
        object.__setattr__(self, "authority", authority)
        object.__setattr__(self, "address", authority + port)


ServiceKind = Literal["loadBalancer", "weighted", "mirroring", "failover", "internal", "unknown"]


@dataclass(frozen=True, slots=True)
class Service:
    """One service: servers, or other services (`parts`) of which one or several answer."""

    name: str
    kind: ServiceKind
    location: Location
    servers: tuple[Server, ...] = ()
    parts: tuple[str, ...] = ()
    pass_host: bool = True
    sticky: str = ""
    health_check: bool = False


@dataclass(frozen=True, slots=True)
class StreamRouter:
    """One TCP or UDP router: connections of these entrypoints go to one of these addresses ("qwen-api:8000")."""

    name: str
    protocol: str
    location: Location
    rule_text: str = ""
    entrypoints: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """One Docker container as the Docker provider sees it; `labels` maps a label to its value and place.

    `address` is the name the container is reached by; `ports` are those it exposes, in order; `location` is where it is
    declared.
    """

    name: str
    labels: Mapping[str, tuple[str, Location]]
    ports: tuple[int, ...] = ()
    address: str = ""
    location: Location = field(default_factory=lambda: Location(""))


@dataclass(frozen=True, slots=True)
class Exposure:
    """One of Traefik's own pages that a router serves: "api", "dashboard", "ping", "metrics", "rest"."""

    kind: str
    entrypoint: str
    location: Location
    router: str = ""
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Matcher:
    """One thing in the configuration that tells requests apart.

    `kind` is "host", "host-regex", "path", "path-prefix", "path-regex", "method", "header:<name>",
    "header-regex:<name>", "client", "query", "query-regex", "origin" or "origin-regex".
    """

    kind: str
    text: str
    location: Location


@dataclass(slots=True)
class Parts:
    """Everything collected while files and labels are read; frozen into a `Traefik` at the end."""

    entrypoints: list[Entrypoint] = field(default_factory=list)
    routers: dict[str, Router] = field(default_factory=dict)
    middlewares: dict[str, Middleware] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    tls_options: dict[str, Node] = field(default_factory=dict)
    streams: list[StreamRouter] = field(default_factory=list)


def text_of(node: Node | None, default: str = "") -> str:
    """Return a scalar's text; the default where there is none."""
    return node.text if node is not None and node.is_scalar and (node.text or node.quoted) else default


def list_of(node: Node | None) -> tuple[tuple[str, Location], ...]:
    """Return a list option's items with their places; a single string is split at commas, as Traefik does."""
    if node is None:
        return ()
    if node.items is not None:
        return tuple((item.text, item.location) for item in node.items)
    if node.entries is not None or not node.text:
        return ()
    return tuple((part.strip(), node.location) for part in node.text.split(","))


_TRUE = frozenset(("1", "t", "true", "yes", "on"))
_FALSE = frozenset(("0", "f", "false", "no", "off", ""))


def flag_of(node: Node | None, *, default: bool = False) -> bool:
    """Return a boolean option's value; the default where there is none or it is not a boolean."""
    if node is None or not node.is_scalar:
        return default
    if isinstance(node.scalar, bool):
        return node.scalar
    lower = node.text.lower()
    return True if lower in _TRUE else False if lower in _FALSE and lower else default


def number_of(node: Node | None, default: int = 0) -> int:
    """Return an integer option's value; the default where there is none or it is not an integer."""
    if node is None or not node.is_scalar:
        return default
    try:
        return int(node.text)
    except ValueError:
        return default


def option(node: Node, *path: str) -> Node:
    """Return the option below, or an empty node."""
    return node.get(*path) or EMPTY
