"""A Starlette or FastAPI application as a layer: middlewares around declared routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import field, replace

from auditor.backend import cors, routes, urls
from auditor.backend.cors import LAYER, Cors
from auditor.backend.routes import Route
from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import (
    UNKNOWN_VALUE,
    Action,
    Ask,
    Field,
    Headers,
    Outcome,
    Request,
    Response,
    Step,
    Unknown,
    amended,
)

WELL_KNOWN = frozenset(
    {"cache-control", "content-encoding", "content-security-policy", "content-security-policy-report-only", "expires"}
    | {"cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "expect-ct"}
    | {"feature-policy", "permissions-policy", "pragma", "public-key-pins", "referrer-policy", "set-cookie", "vary"}
    | {"strict-transport-security", "x-content-type-options", "x-frame-options", "x-powered-by", "x-robots-tag"}
    | {"x-permitted-cross-domain-policies", "x-xss-protection", "x-dns-prefetch-control", "clear-site-data"}
)
"""Names that policies speak of (lower case): a handler makes one only where some file spells it."""

CORS_HEADERS = frozenset(
    ("access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods",
     "access-control-allow-headers", "access-control-expose-headers", "access-control-max-age",
     "access-control-allow-private-network")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrustedHost:
    """TrustedHostMiddleware: which Host values pass; `unknown` says why the list is not decided."""

    location: Location
    allowed_hosts: tuple[str, ...] = ("*",)
    www_redirect: bool = True
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class HttpsRedirect:
    """HTTPSRedirectMiddleware: plain HTTP is sent to HTTPS."""

    location: Location


@dataclass(frozen=True, slots=True)
class Gzip:
    """GZipMiddleware: long answers may be compressed."""

    location: Location


@dataclass(frozen=True, slots=True)
class SetHeaders:
    """A middleware of the application that sets headers: (name, value, place); value None where not decided."""

    location: Location
    headers: tuple[tuple[str, str | None, Location], ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class OtherMiddleware:
    """A middleware whose code is not followed."""

    location: Location
    name: str


Middleware = Cors | TrustedHost | HttpsRedirect | Gzip | SetHeaders | OtherMiddleware
Next = Callable[[Request], tuple[Outcome, ...]]


@dataclass(frozen=True, slots=True)
class Application:
    """One application: its middlewares (outermost first) and its routes in order.

    `complete`: every router it includes was found in the files, so that an undeclared path is a 404.
    `silent`: well-known header names (lower case) that no file mentions, so that no handler makes them.
    `reads_headers`: some code looks at a request's headers, so that a WebSocket handler may refuse an Origin.
    `perhaps` pairs a middleware's index with why it may not be there.
    """

    middlewares: tuple[Middleware, ...] = ()
    routes: tuple[Route, ...] = ()
    location: Location | None = None
    fastapi: bool = True
    complete: bool = True
    silent: frozenset[str] = WELL_KNOWN | CORS_HEADERS
    reads_headers: bool = False
    root_path: str = ""
    redirect_slashes: bool = True
    perhaps: dict[int, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    name: str = LAYER

    def answer(self, request: Request, ask: Ask | None = None) -> tuple[Outcome, ...]:  # noqa: ARG002
        """Return what the application may answer: `ask` is not used, nothing lies behind it.

        Handlers are not run: a declared route succeeds, fails with an error of its own, or crashes; `when` tells
        them apart ("upstream-success", "upstream-error"), as for any backend.
        """
        if _is_handshake(request):
            return (*self._handshake(urls.path_of(request)), _down())
        outcomes = (*self.through(request, self._endpoint), *self._crash(request))
        if self.unknown:
            outcomes = tuple(amended(outcome, unknown=(*outcome.unknown, *self.unknown)) for outcome in outcomes)
        return (*outcomes, _down())

    def through(self, request: Request, endpoint: Next) -> tuple[Outcome, ...]:
        """Pass a request through the middlewares to an endpoint, and its answers back out."""
        following = endpoint
        for index in range(len(self.middlewares) - 1, -1, -1):
            following = self._wrap(index, following)
        return following(request)

    def route(self, request: Request) -> Route | None:
        """Return the declared route that takes a request, None where none does."""
        path = urls.path_of(request)
        return next((r for r in self.routes if routes.matches(r, path) and routes.allows(r, request.method)), None)

    @property
    def cors(self) -> tuple[Cors, ...]:
        """The CORSMiddleware instances, outermost first."""
        return tuple(item for item in self.middlewares if isinstance(item, Cors))

    def _wrap(self, index: int, following: Next) -> Next:
        middleware = self.middlewares[index]
        doubt = self.perhaps.get(index)

        def through(request: Request) -> tuple[Outcome, ...]:
            outcomes = _apply(middleware, request, following)
            if doubt is None:
                return outcomes
            maybe = Unknown(f"whether this middleware is there is not decided: {doubt}", middleware.location, "headers")
            both = (*outcomes, *following(request))
            return tuple(amended(outcome, unknown=(*outcome.unknown, maybe)) for outcome in both)

        return through

    def _endpoint(self, request: Request) -> tuple[Outcome, ...]:
        path = urls.path_of(request)
        taking = [(route, routes.matches(route, path)) for route in self.routes if route.kind != "websocket"]
        full = next((route for route, taken in taking if taken and routes.allows(route, request.method)), None)
        if full is not None:
            return self._handled(request, full)
        if not self.complete or any(taken is None for _, taken in taking):
            reason = "routers that are not in the files may take this path"
            doubt = Unknown(reason, self.location, "status")
            handled = self._handled(request, None)
            return tuple(amended(outcome, unknown=(*outcome.unknown, doubt)) for outcome in handled)
        partial = next((route for route, taken in taking if taken), None)
        if partial is not None:
            allow = Field("allow", ", ".join(sorted(partial.methods)), partial.location, LAYER)
            return (self._error(405, "Method Not Allowed", (allow,)),)
        return self._missing(request, path)

    def _handshake(self, path: str) -> tuple[Outcome, ...]:
        """A WebSocket route accepts (101); a path without one is refused with 403 (uvicorn, before `accept`).

        CORSMiddleware and its like see HTTP requests only (Starlette: `scope["type"] != "http"`).
        """
        route = next((r for r in self.routes if r.kind == "websocket" and routes.matches(r, path)), None)
        if route is None and not self.complete:
            missing = Unknown("routers that are not in the files may take this path", self.location, "status")
            response = Response(None, further_headers=True)
            return (Outcome("always", response, Action("application"), layer=LAYER, unknown=(missing,)),)
        if route is None:
            return (Outcome("always", Response(403), Action("application"), layer=LAYER),)
        step = Step("websocket", route.location, route.path, LAYER)
        doubt = Unknown("the handler may look at the Origin itself", route.location, "status")
        unknown = (doubt,) if self.reads_headers else ()
        accepted = Response(101, Headers((Field("upgrade", "websocket", None, LAYER),)))
        return (
            Outcome("upstream-success", accepted, Action("application"), layer=LAYER, why=(step,), unknown=unknown),
        )

    def _missing(self, request: Request, path: str) -> tuple[Outcome, ...]:
        if self.redirect_slashes and path != "/":
            other = path.rstrip("/") if path.endswith("/") else path + "/"
            if any(routes.matches(route, other) for route in self.routes if route.kind in ("http", "documentation")):
                target = urls.location(request, path=other)
                line = Field("location", target, self.location, LAYER)
                length = Field("content-length", "0", self.location, LAYER)
                response = Response(307, Headers((length, line)), "")
                return (Outcome("always", response, Action("redirect"), layer=LAYER),)
        return (self._error(404, "Not Found"),)

    def _error(self, status: int, detail: str, headers: tuple[Field, ...] = ()) -> Outcome:
        """Answer as the exception handlers of FastAPI (JSON) or Starlette (plain text) do."""
        body = json.dumps({"detail": detail}, separators=(",", ":")) if self.fastapi else detail
        kind = "application/json" if self.fastapi else "text/plain; charset=utf-8"
        lines = (
            *headers,
            Field("content-length", str(len(body)), self.location, LAYER),
            Field("content-type", kind, self.location, LAYER),
        )
        return Outcome("always", Response(status, Headers(lines), body), Action("application"), layer=LAYER)

    def _handled(self, request: Request, route: Route | None) -> tuple[Outcome, ...]:
        absent = self.silent
        place = route.location if route is not None else self.location
        shown = f"{request.method} {route.path}" if route is not None else "a route that is not in the files"
        step = Step("route", place, shown, LAYER)
        action = Action("application")
        success = Response(200, further_headers=True, absent=absent)
        failure = Response(500, further_headers=True, absent=absent)
        return (
            Outcome(
                "upstream-success", success, action, layer=LAYER, location=route.path if route else None, why=(step,)
            ),
            Outcome(
                "upstream-error", failure, action, layer=LAYER, location=route.path if route else None, why=(step,)
            ),
        )

    def _crash(self, request: Request) -> tuple[Outcome, ...]:
        """A handler that raises is answered outside of every middleware (starlette.middleware.errors)."""
        path = urls.path_of(request)
        if self.cors and cors.is_preflight(request):
            return ()
        if self.complete and not any(routes.matches(route, path) is not False for route in self.routes):
            return ()
        body = "Internal Server Error"
        lines = (
            Field("content-length", str(len(body)), self.location, LAYER),
            Field("content-type", "text/plain; charset=utf-8", self.location, LAYER),
        )
        step = Step(
            "ServerErrorMiddleware", self.location, "a handler raises, and no middleware sees the answer", LAYER
        )
        response = Response(500, Headers(lines), body)
        return (Outcome("upstream-error", response, Action("application"), layer=LAYER, why=(step,)),)


def _down() -> Outcome:
    return Outcome("upstream-down", None, Action("close"), layer=LAYER)


def _is_handshake(request: Request) -> bool:
    """Whether this is a WebSocket handshake (RFC 6455 §4.1)."""
    upgrade = (request.headers.get("Upgrade") or "").lower()
    return upgrade == "websocket" and "upgrade" in (request.headers.get("Connection") or "").lower()


def _edited(outcomes: tuple[Outcome, ...], edit: Callable[[Response], Response], step: Step) -> tuple[Outcome, ...]:
    return tuple(
        amended(outcome, response=edit(outcome.response), why=(step, *outcome.why)) if outcome.response else outcome
        for outcome in outcomes
    )


def _apply(middleware: Middleware, request: Request, following: Next) -> tuple[Outcome, ...]:
    match middleware:
        case Cors():
            return _cors(middleware, request, following)
        case TrustedHost():
            return _trusted_host(middleware, request, following)
        case HttpsRedirect():
            return _https(middleware, request, following)
        case Gzip():
            return _gzip(middleware, request, following)
        case SetHeaders():
            return _set_headers(middleware, request, following)
        case OtherMiddleware():
            reason = f"the middleware {middleware.name} is not in the files"
            doubt = Unknown(reason, middleware.location, "headers")
            return tuple(amended(found, unknown=(*found.unknown, doubt)) for found in following(request))


def _cors(middleware: Cors, request: Request, following: Next) -> tuple[Outcome, ...]:
    step = Step("CORSMiddleware", middleware.location, "", LAYER)
    if cors.is_preflight(request):
        response = cors.preflight(middleware, request)
        note = replace(step, note="answers the preflight by itself")
        outcomes: tuple[Outcome, ...] = (Outcome("always", response, Action("application"), layer=LAYER, why=(note,)),)
    else:
        outcomes = _edited(following(request), lambda response: cors.decorate(middleware, request, response), step)
    doubts = middleware.doubts()
    return tuple(amended(found, unknown=(*found.unknown, *doubts)) for found in outcomes) if doubts else outcomes


def _plain(status: int, text: str, place: Location) -> Response:
    lines = (
        Field("content-length", str(len(text)), place, LAYER),
        Field("content-type", "text/plain; charset=utf-8", place, LAYER),
    )
    return Response(status, Headers(lines), text)


def _trusted_host(middleware: TrustedHost, request: Request, following: Next) -> tuple[Outcome, ...]:
    step = Step("TrustedHostMiddleware", middleware.location, "", LAYER)
    if middleware.unknown:
        doubt = Unknown(f"the allowed hosts are not decided: {middleware.unknown}", middleware.location, "status")
        return tuple(amended(found, unknown=(*found.unknown, doubt)) for found in following(request))
    if "*" in middleware.allowed_hosts:
        return following(request)
    refused = Outcome(
        "always", _plain(400, "Invalid host header", middleware.location), Action("deny"), layer=LAYER, why=(step,)
    )
    named = urls.authority(request.headers.get("Host"))
    if named is None:
        return (refused,)
    host = named.host.lower()
    redirected = False
    for allowed in (item.lower() for item in middleware.allowed_hosts):
        if host == allowed or (allowed.startswith("*") and host.endswith(allowed[1:])):
            return following(request)
        redirected = redirected or "www." + host == allowed
    if redirected and middleware.www_redirect:
        target = urls.location(request, host=f"www.{urls.netloc(request)}")
        line = Field("location", target, middleware.location, LAYER)
        length = Field("content-length", "0", middleware.location, LAYER)
        response = Response(307, Headers((length, line)), "")
        return (Outcome("always", response, Action("redirect"), layer=LAYER, why=(step,)),)
    return (refused,)


def _https(middleware: HttpsRedirect, request: Request, following: Next) -> tuple[Outcome, ...]:
    if request.scheme == "https":
        return following(request)
    step = Step("HTTPSRedirectMiddleware", middleware.location, "", LAYER)
    target = urls.location(request, scheme="https", host=urls.secure_netloc(request))
    line = Field("location", target, middleware.location, LAYER)
    length = Field("content-length", "0", middleware.location, LAYER)
    doubt = Unknown(
        "a server that trusts X-Forwarded-Proto may see https here", middleware.location, "status"
    ) if "X-Forwarded-Proto" in request.headers else None  # fmt: skip
    redirect = Outcome(
        "always", Response(307, Headers((length, line)), ""), Action("redirect"), layer=LAYER, why=(step,),
        unknown=(doubt,) if doubt else (),
    )  # fmt: skip
    if doubt is None:
        return (redirect,)
    return (redirect, *(amended(found, unknown=(*found.unknown, doubt)) for found in following(request)))


def _gzip(middleware: Gzip, request: Request, following: Next) -> tuple[Outcome, ...]:
    doubts = (
        Unknown("a long answer gains Vary: Accept-Encoding", middleware.location, "header:vary"),
        Unknown("a long answer may be compressed", middleware.location, "header:content-encoding"),
        Unknown("a long answer may be compressed", middleware.location, "header:content-length"),
    )
    return tuple(
        amended(found, unknown=(*found.unknown, *doubts))
        if found.response is not None and (found.response.body is None or len(found.response.body) >= 500)
        else found
        for found in following(request)
    )


def _set_headers(middleware: SetHeaders, request: Request, following: Next) -> tuple[Outcome, ...]:
    step = Step("middleware", middleware.location, "sets headers", LAYER)

    def edit(response: Response) -> Response:
        for name, value, place in middleware.headers:
            line = Field(name.lower(), UNKNOWN_VALUE if value is None else value, place, LAYER)
            kept = response.headers.without(name).plus(line)
            response = amended(response, headers=kept, absent=response.absent | {name.lower()})
        return response

    outcomes = _edited(following(request), edit, step)
    if middleware.unknown:
        doubt = Unknown(
            f"this middleware is not followed in full: {middleware.unknown}", middleware.location, "headers"
        )
        outcomes = tuple(amended(found, unknown=(*found.unknown, doubt)) for found in outcomes)
    return outcomes
