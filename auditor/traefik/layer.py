"""The Traefik layer: one request in, every outcome out, through entrypoint, router, middlewares and service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Action, Ask, Field, Headers, Outcome, Request, Response, Step, Unknown, amended
from auditor.traefik import forward, matching, middlewares, rewriting, rules
from auditor.traefik.flow import (
    LAYER,
    STATUS_TEXT,
    Flow,
    Next,
    answer,
    canonical,
    doubted,
    noted,
    text_error,
    undecided,
)
from auditor.traefik.model import (
    Entrypoint,
    Exposure,
    Middleware,
    Router,
    Server,
    Service,
    StreamRouter,
    flag_of,
    list_of,
    option,
)
from auditor.traefik.stage import Context

MAX_CHAIN = 100


@dataclass(frozen=True, slots=True)
class Traefik:
    """A whole Traefik configuration, ready to answer; see `auditor.traefik.load`.

    `files` are (path, SHA-256) pairs. `unknown` holds what no request can get around (a refused file, a plugin).
    """

    entrypoints: tuple[Entrypoint, ...] = ()
    routers: Mapping[str, Router] = field(default_factory=dict)
    middlewares: Mapping[str, Middleware] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    exposures: tuple[Exposure, ...] = ()
    streams: tuple[StreamRouter, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    version: int = 3
    strict_sni: tuple[str, ...] = ()
    name: str = LAYER
    _served: dict[str, tuple[Router, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _unusable: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def answer(self, request: Request, ask: Ask | None = None) -> tuple[Outcome, ...]:
        """Return every outcome that the configuration allows for a request.

        `request.listen` chooses the entrypoint by its port; "" takes the first whose routers fit the scheme.
        Upstreams are asked with `listen` = "host:port" of the server; without `ask` they are any backend.
        """
        point = self.entrypoint(request)
        if point is None:
            return undecided(f"no entrypoint listens on {request.listen or 'any address'}", None)
        entered = forward.enter(request, point)
        if isinstance(entered, tuple):
            return self._signed(entered, point, None)
        if point.proxy_protocol:
            reason = "the client's address comes from the PROXY protocol"
            return self._signed(undecided(reason, point.location), point, None)
        return self._routed(entered, point, _Run(self, ask))

    def entrypoint(self, request: Request) -> Entrypoint | None:
        """Return the entrypoint that a request arrives at, None where none listens there."""
        points = [point for point in self.entrypoints if point.protocol == "tcp"]
        if request.listen:
            port = request.listen.rpartition(":")[2]
            return next((point for point in points if str(point.port) == port), None)
        visible = [point for point in points if not point.internal] or points
        wanted = 443 if request.scheme == "https" else 80
        exact = next((point for point in visible if point.port == wanted), None)
        secure = request.scheme == "https"
        fitting = (point for point in visible if any(router.tls is secure for router in self.at(point)))
        return exact or next(fitting, None) or next(iter(visible), None)

    def at(self, point: Entrypoint) -> tuple[Router, ...]:
        """Return the routers of an entrypoint as it serves them, first match first."""
        if point.name not in self._served:
            self._served[point.name] = self._ordered(point)
        return self._served[point.name]

    def _ordered(self, point: Entrypoint) -> tuple[Router, ...]:
        found = []
        for router in self.routers.values():
            if point.name in router.entrypoints or (not router.entrypoints and point.default):
                added = tuple((_file(name), place) for name, place in point.middlewares)
                found.append(replace(router, middlewares=added + router.middlewares, tls=router.tls or point.tls))
        if point.redirection is not None:
            found.append(_redirection_router(point))
        return tuple(sorted(found, key=lambda router: -router.priority))

    def upstreams(self, service: str) -> tuple[Server, ...]:
        """Return every server that a service may send a request to, through weighted and other services."""
        seen: set[str] = set()
        todo = [service]
        servers: list[Server] = []
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            found = self.services.get(name)
            if found is not None:
                servers.extend(found.servers)
                todo.extend(found.parts)
        return tuple(servers)

    def chain(self, names: Sequence[tuple[str, Location]]) -> tuple[Middleware | tuple[str, Location], ...]:
        """Return the middlewares in order, chains unrolled; a (name, place) pair stands for one that is missing."""
        result: list[Middleware | tuple[str, Location]] = []
        todo = list(reversed(list(names)))
        steps = 0
        while todo and steps < MAX_CHAIN:
            steps += 1
            name, place = todo.pop()
            middleware = self.middlewares.get(name)
            if middleware is None:
                result.append((name, place))
            elif middleware.kind == "chain":
                provider = name.rpartition("@")[2]
                inner = [
                    (item if "@" in item else f"{item}@{provider}", where)
                    for item, where in list_of(middleware.options.get("middlewares"))
                ]
                todo.extend(reversed(inner))
            else:
                result.append(middleware)
        return tuple(result)

    def _signed(
        self, outcomes: tuple[Outcome, ...], point: Entrypoint, router: Router | None, steps: tuple[Step, ...] = ()
    ) -> tuple[Outcome, ...]:
        name = router.name if router is not None else None
        return tuple(
            amended(
                outcome,
                layer=outcome.layer or LAYER,
                server=outcome.server or point.name,
                location=outcome.location or (name if outcome.server is None else None),
                unknown=(*outcome.unknown, *self.unknown),
                why=(*steps, *outcome.why),
            )
            for outcome in outcomes
        )

    def _routed(self, flow: Flow, point: Entrypoint, run: _Run) -> tuple[Outcome, ...]:
        entry = Step("entryPoint", point.location, f"{point.name} listens on {point.address}", LAYER)
        view = forward.view(flow)
        candidates = [router for router in self.at(point) if router.tls is flow.tls]
        for router in candidates:
            if router.refused or self.broken(router):
                continue
            if router.uncertain or router.rule is None:
                reason = f"the router {router.name} may take the request: {router.uncertain or 'no rule'}"
                return self._signed(undecided(reason, router.location, (entry,)), point, router)
            taken = matching.matches(router.rule, view, router.syntax)
            if taken is None:
                reason = f"whether the rule of {router.name} takes the request is not decided"
                return self._signed(undecided(reason, router.location, (entry,)), point, router)
            if taken:
                rival = self._rival(candidates, router, view)
                if rival is not None:
                    reason = f"{router.name} and {rival.name} have the same priority and both take the request"
                    return self._signed(undecided(reason, router.location, (entry,)), point, router)
                step = Step("router", router.location, f"{router.name}: {router.rule_text}", LAYER)
                return self._signed(run.serve(router, flow, point), point, router, (entry, step))
        outcomes = text_error(404, "404 page not found", flow, (entry,))
        return self._signed(outcomes, point, None)

    def broken(self, router: Router) -> bool:
        """Whether Traefik leaves a router out because a middleware or the service it names cannot be built."""
        if router.name not in self._unusable:
            self._unusable[router.name] = self._lacks(router)
        return self._unusable[router.name]

    def _lacks(self, router: Router) -> bool:
        if not router.service or (router.service not in self.services and router.service.endswith(_OWN_PROVIDERS)):
            return True
        for item in self.chain(router.middlewares):
            if isinstance(item, tuple):
                if item[0].endswith(_OWN_PROVIDERS):
                    return True
            elif item.refused:
                return True
        return False

    def _rival(self, candidates: list[Router], chosen: Router, view: matching.View) -> Router | None:
        for other in candidates:
            if other.name == chosen.name or other.priority != chosen.priority or other.rule is None:
                continue
            if other.refused or self.broken(other):
                continue
            same = (other.service, other.middlewares) == (chosen.service, chosen.middlewares)
            if not same and matching.matches(other.rule, view, other.syntax) is not False:
                return other
        return None


_OWN_PROVIDERS = ("@file", "@docker")


def _file(name: str) -> str:
    return name if "@" in name else f"{name}@file"


def _redirection_router(point: Entrypoint) -> Router:
    redirection = point.redirection
    assert redirection is not None  # noqa: S101 - the caller has just looked
    rule = rules.Leaf("HostRegexp", ("^.+$",))
    name = f"{point.name}-to-{redirection.to.lstrip(':')}@internal"
    return Router(
        name, "HostRegexp(`^.+$`)", rule, redirection.location, "noop@internal", (point.name,),
        priority=redirection.priority, tls=point.tls,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Run:
    """One request's walk through a router: knows the configuration and how to ask upstream."""

    traefik: Traefik
    ask: Ask | None
    latest: list[Flow] = field(default_factory=list)

    def serve(self, router: Router, flow: Flow, point: Entrypoint) -> tuple[Outcome, ...]:
        if router.name.endswith("@internal") and point.redirection is not None:
            redirection = point.redirection
            step = Step("redirections", redirection.location, f"everything goes to {redirection.to}", LAYER)
            return rewriting.redirect_scheme(
                flow, self._nothing, redirection.scheme, redirection.port, step, permanent=redirection.permanent
            )
        chain = self.traefik.chain(router.middlewares)
        foreign = next((item for item in chain if isinstance(item, tuple)), None)
        if foreign is not None:
            return undecided(
                f"the middleware {foreign[0]} comes from a provider that is not among the files", foreign[1]
            )

        def following(inner: Flow) -> tuple[Outcome, ...]:
            self.latest.append(inner)
            return self.service(router.service, inner)

        composed: Next = following
        for item in reversed(chain):
            if isinstance(item, Middleware):
                composed = self._wrapped(item, composed)
        return composed(flow)

    def _wrapped(self, middleware: Middleware, following: Next) -> Next:
        context = Context(self.traefik.version, self.service, lambda: self.latest[-1], self.latest.append)

        def stage(flow: Flow) -> tuple[Outcome, ...]:
            self.latest.append(flow)
            return middlewares.apply(middleware, flow, following, context)

        return stage

    def _nothing(self, flow: Flow) -> tuple[Outcome, ...]:
        return answer(418, "", flow=flow)

    def service(self, name: str, flow: Flow, depth: int = 0) -> tuple[Outcome, ...]:
        service = self.traefik.services.get(name)
        if service is None or depth > 20:
            return self._internal(name, flow, None)
        step = Step("service", service.location, name, LAYER)
        if service.kind in ("unknown", "internal"):
            return self._internal(name, flow, service)
        if service.kind != "loadBalancer":
            parts = service.parts[:1] if service.kind == "mirroring" else service.parts
            outcomes = tuple(found for part in parts for found in self.service(part, flow, depth + 1))
            return noted(outcomes or self._empty(flow), step)
        if not service.servers:
            return noted(self._empty(flow), step)
        outcomes = tuple(found for server in service.servers for found in self._proxied(service, server, flow))
        if service.health_check:
            outcomes = (*outcomes, *(amended(found, when="upstream-down") for found in self._empty(flow)))
        if service.sticky:
            doubt = Unknown("the sticky cookie is added by Traefik", service.location, "header:set-cookie")
            outcomes = doubted(outcomes, doubt)
        return noted(outcomes, step)

    def _empty(self, flow: Flow) -> tuple[Outcome, ...]:
        return text_error(503, "no available server", flow)

    def _internal(self, name: str, flow: Flow, service: Service | None) -> tuple[Outcome, ...]:
        place = service.location if service else None
        if name == "noop@internal":
            return answer(418, "", kind="return", flow=flow)
        if name in ("api@internal", "dashboard@internal", "ping@internal", "prometheus@internal", "rest@internal"):
            response = Response(200, further_headers=True)
            return (
                Outcome("always", response, Action("application"), layer=LAYER, why=(Step("service", place, name),)),
            )
        return undecided(f"the service {name} is not in the files", place)

    def _proxied(self, service: Service, server: Server, flow: Flow) -> tuple[Outcome, ...]:
        if not server.authority or UNTRUSTED in server.url:
            return undecided(f"the server {server.url!r} is not decided", server.location)
        request = forward.upstream(flow, server, service)
        url = f"{server.scheme}://{server.address}{request.target}"
        step = Step("server", server.location, f"asks {server.scheme}://{server.address}", LAYER)
        asked = tuple(self.ask(request)) if self.ask is not None else any_backend(url)
        return tuple(self._received(found, request, url, flow, step) for found in asked)

    def _received(self, outcome: Outcome, request: Request, url: str, flow: Flow, step: Step) -> Outcome:
        why = (step, *outcome.why)
        sent = outcome.upstream_request or request
        response = outcome.response
        if response is None:
            status = 502
            made = answer(status, STATUS_TEXT[status], kind="error", flow=flow, when=outcome.when)[0]
            action = Action("error", url)
            return amended(outcome, response=made.response, action=action, layer=LAYER, upstream_request=sent, why=why)
        lines = [
            line if name == line.name else Field(name, line.value, line.made_by, line.layer)
            for line in response.headers.fields
            if (name := passed_on(line.name))
        ]
        headers = Headers((*flow.preset, *lines))
        passed = amended(response, headers=headers, absent=response.absent | _NOT_PASSED)
        action = outcome.action if outcome.action.upstream or self.ask is not None else Action("proxy", url)
        return amended(outcome, response=passed, action=action, upstream_request=sent, why=why)


@lru_cache(maxsize=4096)
def passed_on(name: str) -> str:
    """Return a response header's name as it goes on to the client; "" for those of the connection, which end here."""
    return "" if name.lower() in _NOT_PASSED else canonical(name)


UNTRUSTED = "{{"
_NOT_PASSED = frozenset(
    ("connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip


def any_backend(url: str) -> tuple[Outcome, ...]:
    """Return what an upstream that nobody modelled may answer: success, error, or nothing."""
    action = Action("proxy", url)
    return (
        Outcome("upstream-success", Response(200, further_headers=True), action),
        Outcome("upstream-error", Response(500, further_headers=True), action),
        Outcome("upstream-down", None, Action("close")),
    )


def exposures(traefik: Traefik, static_api: tuple[tuple[str, str, Location], ...]) -> tuple[Exposure, ...]:
    """Return Traefik's own pages: those that are always served (kind, entrypoint, place) and those that routers serve."""
    found = [Exposure(kind, point, place) for kind, point, place in static_api]
    for router in traefik.routers.values():
        kind, _, provider = router.service.partition("@")
        if provider != "internal" or kind == "noop":
            continue
        points = router.entrypoints or tuple(point.name for point in traefik.entrypoints if point.default)
        guards = (item for item in traefik.chain(router.middlewares) if isinstance(item, Middleware))
        protected = any(
            item.kind in ("basicAuth", "digestAuth", "forwardAuth", "ipAllowList", "ipWhiteList") for item in guards
        )
        name = {"prometheus": "metrics"}.get(kind, kind)
        found.extend(Exposure(name, point, router.location, router.name, protected) for point in points)
    return tuple(found)


__all__ = ["Traefik", "any_backend", "exposures", "flag_of", "option"]
