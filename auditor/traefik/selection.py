"""Which routers can take the requests to a host at an entrypoint, and what is behind each of them.

A request to a host that no rule names sees none of the paths that rules of other hosts look at, nor those of the
layers behind them: what tells its paths apart is what its own routers, and the layers they lead to, look at.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.exchange import Headers, Request
from auditor.traefik import rules
from auditor.traefik.forward import routing_host
from auditor.traefik.layer import Traefik
from auditor.traefik.matching import View, matches
from auditor.traefik.model import Matcher, Middleware, Router, list_of, option

_HOSTS = frozenset({"Host", "HostHeader", "HostRegexp"})
_BY_PATH = _HOSTS | {"Path", "PathPrefix", "PathRegexp"}
_MATCHER_KINDS = {
    "Host": "host", "HostHeader": "host", "HostRegexp": "host-regex", "Path": "path", "PathPrefix": "path-prefix",
    "PathRegexp": "path-regex", "Method": "method", "Header": "header", "Headers": "header",
    "HeaderRegexp": "header-regex", "HeadersRegexp": "header-regex", "ClientIP": "client", "Query": "query",
    "QueryRegexp": "query-regex",
}  # fmt: skip
_LISTS = (
    ("headers", "accessControlAllowOriginList", "origin"),
    ("headers", "accessControlAllowOriginListRegex", "origin-regex"),
    ("stripPrefix", "prefixes", "path-prefix"),
    ("stripPrefixRegex", "regex", "path-regex"),
    ("replacePathRegex", "regex", "path-regex"),
)
"""Options of middlewares that tell requests apart: the middleware, the option, what it looks at."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Answers about one configuration; `ways` names what is behind each router, by the router's name.

    A router has more than one where entrypoints add middlewares that replace prefixes.
    """

    traefik: Traefik
    ways: Mapping[str, AbstractSet[str]]
    by_path: bool
    """Whether no rule looks at more than hosts and paths."""
    _known: dict[tuple[str, str, str], tuple[str, ...] | None] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, traefik: Traefik, ways: Mapping[str, AbstractSet[str]]) -> Selection:
        """Look at every rule once."""
        leaves = (leaf for router in served(traefik) if router.rule for leaf in rules.leaves(router.rule))
        return cls(traefik, ways, by_path=all(leaf.matcher in _BY_PATH for leaf in leaves))

    def scope(self, listen: str, scheme: str, host: str) -> str | None:
        """Name the routers that can take requests to a host; None where no entrypoint is known to listen."""
        names = self._taking(listen, scheme, host)
        return None if names is None else f"routers {', '.join(names)}"

    def tables(self, listen: str, scheme: str, host: str, path: str | None = None) -> frozenset[str]:  # noqa: ARG002 - a protocol
        """Return the names of those routers and of what is behind them."""
        names = self._taking(listen, scheme, host) or ()
        return frozenset(names).union(*(self.ways.get(name, ()) for name in names))

    def alike(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:  # noqa: ARG002 - a protocol
        """Return None: what is behind the routers decides which places answer alike."""
        return None

    def through(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:
        """Return what a request passes here, equal for two ways in that differ in nothing else; None where more counts.

        More counts where a rule looks at anything but hosts and paths: another method may take another router then.
        """
        point = self.traefik.entrypoint(Request(scheme=scheme, listen=listen))
        if point is None or not self.by_path:
            return None
        view = View("GET", routing_host(host), path, "", Headers(), "", path)
        for router in self.traefik.at(point):
            if router.tls is not (scheme == "https") or router.refused or self.traefik.broken(router):
                continue
            taken = None if router.uncertain or router.rule is None else matches(router.rule, view, router.syntax)
            if taken is None:
                return None
            if taken:
                return (router.service, tuple(name for name, _ in router.middlewares))
        return "none takes it"

    def _taking(self, listen: str, scheme: str, host: str) -> tuple[str, ...] | None:
        key = (listen, scheme, host)
        if key not in self._known:
            point = self.traefik.entrypoint(Request(scheme=scheme, listen=listen))
            secure = scheme == "https"
            usable = (
                [r for r in self.traefik.at(point) if r.tls is secure and not self.traefik.broken(r)] if point else []
            )
            self._known[key] = None if point is None else tuple(router.name for router in taking(usable, host))
        return self._known[key]


def taking(routers: Iterable[Router], host: str) -> Iterator[Router]:
    """Yield those of the routers, first match first, that can take a request to a host, whatever else it says."""
    lowest: int | None = None
    for router in routers:
        if router.refused:
            continue
        if lowest is not None and router.priority < lowest:
            return
        taken = None if router.rule is None or router.uncertain else _takes(router, router.rule, host)
        if taken is not False:
            yield router
        if taken or router.rule is None or router.uncertain:
            lowest = router.priority  # one of the same priority may still be its rival


def _takes(router: Router, rule: rules.Rule, host: str) -> bool | None:
    """Whether a rule takes every request to a host; None where that depends on more than the host."""
    if isinstance(rule, rules.Both):
        decisive = rule.operator == "or"
        sides = [_takes(router, side, host) for side in (rule.left, rule.right)]
        return decisive if decisive in sides else None if None in sides else not decisive
    if rule.matcher not in _HOSTS:
        return None
    return matches(rule, View("GET", routing_host(host), "/", "", Headers(), ""), router.syntax)


def served(traefik: Traefik) -> Iterator[Router]:
    """Yield every router with the middlewares of its entrypoint, once for each way in that adds others."""
    yield from dict.fromkeys(router for point in traefik.entrypoints for router in traefik.at(point))


def matchers(traefik: Traefik, router: Router) -> Iterator[Matcher]:
    """Yield everything of one router that tells requests apart: its rule, and what its middlewares look at."""
    for leaf in rules.leaves(router.rule) if router.rule is not None else ():
        kind = _MATCHER_KINDS.get(leaf.matcher, leaf.matcher.lower())
        if kind.startswith("header"):
            yield Matcher(f"{kind}:{leaf.values[0].lower()}", leaf.values[-1], router.location)
        else:
            yield from (Matcher(kind, value, router.location) for value in leaf.values)
    for middleware in traefik.chain(router.middlewares):
        for of, name, kind in _LISTS:
            if isinstance(middleware, Middleware) and middleware.kind == of:
                yield from (Matcher(kind, text, place) for text, place in list_of(middleware.options.get(name)))


@dataclass(frozen=True, slots=True)
class Behind:
    """What is behind a router: the layers that its services ask, and the prefixes of paths that it replaces."""

    layers: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...]


def behind(traefik: Traefik, router: Router, layer_at: Callable[[str], str | None]) -> Behind:
    """Say what is behind a router; `layer_at` names the layer at an address."""
    chain = [item for item in traefik.chain(router.middlewares) if isinstance(item, Middleware)]
    services = [router.service, *(option(m.options, "service").text for m in chain if m.kind == "errors")]
    provider = router.name.rpartition("@")[2]
    named = [name if "@" in name else f"{name}@{provider}" for name in services if name]
    found = [layer_at(server.address) for name in (*services, *named) for server in traefik.upstreams(name)]
    return Behind(tuple(sorted({name for name in found if name is not None})), replaced(chain))


def replaced(middlewares: Iterable[Middleware]) -> tuple[tuple[str, str], ...]:
    """Return the prefixes of paths that middlewares replace for what is further in: (from, to)."""
    found: list[tuple[str, str]] = []
    for middleware in middlewares:
        if middleware.kind == "stripPrefix":
            found += [(text.rstrip("/"), "") for text, _ in list_of(middleware.options.get("prefixes"))]
        if middleware.kind == "addPrefix" and (added := option(middleware.options, "prefix").text):
            found.append(("", added))
    return tuple(dict.fromkeys(found))
