"""Starlette's CORSMiddleware as a pure function: the preflights it answers and the headers it adds to the rest."""

from __future__ import annotations

import re
from dataclasses import field, replace

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field, Headers, Request, Response, Unknown
from auditor.sealed import result_of

LAYER = "backend"
_ALL_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_SAFELISTED = frozenset(("Accept", "Accept-Language", "Content-Language", "Content-Type"))


@dataclass(frozen=True, slots=True)
class Generation:
    """What changed between Starlette's releases, as the installed one or a pinned one does it."""

    vary_always: bool = True
    query_method: bool = True
    private_network: bool = True
    wide_preflight_vary: bool = True
    vary_joined: bool = True
    strips_origin_header: bool = False


NEWEST = Generation()
CLASSIC = Generation(
    vary_always=False, query_method=False, private_network=False, wide_preflight_vary=False, vary_joined=False
)


@dataclass(frozen=True, slots=True)
class Cors:
    """One CORSMiddleware with its arguments; a name in `unknown` is an argument that was not decided.

    `places` maps an argument to the place that gives it.
    """

    location: Location
    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ("GET",)
    allow_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_origin_regex: str | None = None
    allow_private_network: bool = False
    expose_headers: tuple[str, ...] = ()
    max_age: int = 600
    places: dict[str, Location] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    generation: Generation = NEWEST

    def place(self, argument: str) -> Location:
        """Return the place that gives an argument, the middleware's own where it is a default."""
        return self.places.get(argument, self.location)

    @property
    def all_origins(self) -> bool:
        """Whether any origin is allowed."""
        return "*" in self.allow_origins

    def methods(self) -> tuple[str, ...]:
        """The methods as they are written into a preflight's answer."""
        if "*" not in self.allow_methods:
            return self.allow_methods
        return (*_ALL_METHODS, "QUERY") if self.generation.query_method else _ALL_METHODS

    def headers(self) -> tuple[str, ...]:
        """The request headers allowed, the safelisted ones among them."""
        return tuple(sorted(_SAFELISTED | set(self.allow_headers)))

    def allows(self, origin: str) -> bool | None:
        """Whether an origin is allowed (starlette.middleware.cors); None where an argument decides that is unknown."""
        if self.all_origins:
            return True
        if "allow_origin_regex" not in self.unknown and self.allow_origin_regex is not None:
            try:
                if re.compile(self.allow_origin_regex).fullmatch(origin):
                    return True
            except re.error:
                return None
        if origin in self.allow_origins:
            return True
        return None if {"allow_origins", "allow_origin_regex"} & set(self.unknown) else False

    def allowing(self, origin: str) -> str:
        """Return the argument that allows an origin."""
        return "allow_origins" if self.all_origins or origin in self.allow_origins else "allow_origin_regex"

    def allows_method(self, method: str) -> bool:
        """Whether a preflight may ask for a method."""
        return method in self.methods()

    def allows_headers(self, names: str) -> bool:
        """Whether a preflight may ask for these names, in the words of Access-Control-Request-Headers."""
        if "*" in self.allow_headers:
            return True
        known = {header.lower() for header in self.headers()}
        return all(name.lower().strip() in known for name in names.split(","))

    def doubts(self) -> tuple[Unknown, ...]:
        """Say what the undecided arguments leave open."""
        made = []
        for argument, reason in self.unknown.items():
            concerns = _CONCERNS.get(argument, "headers")
            made.append(
                Unknown(f"{argument} of CORSMiddleware is not decided: {reason}", self.place(argument), concerns)
            )
        return tuple(made)


_CONCERNS = {
    "allow_origins": "header:access-control-allow-origin",
    "allow_origin_regex": "header:access-control-allow-origin",
    "allow_methods": "header:access-control-allow-methods",
    "allow_headers": "header:access-control-allow-headers",
    "allow_credentials": "header:access-control-allow-credentials",
    "expose_headers": "header:access-control-expose-headers",
    "max_age": "header:access-control-max-age",
}


def is_preflight(request: Request) -> bool:
    """Whether CORSMiddleware answers the request by itself."""
    return (
        request.method == "OPTIONS"
        and "Origin" in request.headers
        and "Access-Control-Request-Method" in request.headers
    )


def _line(cors: Cors, name: str, value: str, argument: str) -> Field:
    shown = UNKNOWN_VALUE if argument in cors.unknown else value
    return Field(name.lower(), shown, cors.place(argument), LAYER)


def preflight(cors: Cors, request: Request) -> Response:
    """Answer a preflight: 200 "OK", or 400 with the reasons in words.

    Source: starlette/middleware/cors.py, preflight_response; held against the installed Starlette by
    tests/oracle/test_starlette_agreement.py.
    """
    origin = request.headers.get("Origin") or ""
    requested = request.headers.get("Access-Control-Request-Headers")
    lines = _preflight_lines(cors, requested)
    failures: list[str] = []
    allowed = result_of(cors.allows, origin)
    explicit = not cors.all_origins or cors.allow_credentials
    if allowed and explicit:
        lines.append(_line(cors, "Access-Control-Allow-Origin", origin, result_of(cors.allowing, origin)))
    elif allowed is None:
        lines.append(Field("access-control-allow-origin", UNKNOWN_VALUE, cors.place("allow_origins"), LAYER))
    elif not allowed:
        failures.append("origin")
    if not result_of(cors.allows_method, request.headers.get("Access-Control-Request-Method") or ""):
        failures.append("method")
    if requested is not None and not result_of(cors.allows_headers, requested):
        failures.append("headers")
    if cors.generation.private_network and "Access-Control-Request-Private-Network" in request.headers:
        if cors.allow_private_network:
            lines.append(_line(cors, "Access-Control-Allow-Private-Network", "true", "allow_private_network"))
        else:
            failures.append("private-network")
    decided = not (set(cors.unknown) & {"allow_origins", "allow_origin_regex", "allow_methods", "allow_headers"})
    body = "Disallowed CORS " + ", ".join(failures) if failures else "OK"
    sure = decided or (allowed is not None and bool(failures))
    status = (400 if failures else 200) if sure else None
    content = Field("content-type", "text/plain; charset=utf-8", cors.location, LAYER)
    length = Field("content-length", str(len(body)) if decided else UNKNOWN_VALUE, cors.location, LAYER)
    return Response(status, Headers((*lines, length, content)), body if decided else None)


_WIDE_VARY = (
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"
)


def _preflight_lines(cors: Cors, requested: str | None) -> list[Field]:
    lines: list[Field] = []
    explicit = not cors.all_origins or cors.allow_credentials
    if cors.generation.wide_preflight_vary:
        lines.append(Field("vary", _WIDE_VARY, cors.location, LAYER))
    elif explicit:
        lines.append(Field("vary", "Origin", cors.location, LAYER))
    if not explicit:
        lines.append(_line(cors, "Access-Control-Allow-Origin", "*", "allow_origins"))
    lines.append(_line(cors, "Access-Control-Allow-Methods", ", ".join(cors.methods()), "allow_methods"))
    lines.append(_line(cors, "Access-Control-Max-Age", str(cors.max_age), "max_age"))
    if "*" in cors.allow_headers:
        if requested is not None:
            lines.append(_line(cors, "Access-Control-Allow-Headers", requested, "allow_headers"))
    else:
        lines.append(_line(cors, "Access-Control-Allow-Headers", ", ".join(cors.headers()), "allow_headers"))
    if "allow_credentials" in cors.unknown or cors.allow_credentials:
        lines.append(_line(cors, "Access-Control-Allow-Credentials", "true", "allow_credentials"))
    return lines


def decorate(cors: Cors, request: Request, response: Response) -> Response:
    """Add to a response that came from further in what CORSMiddleware adds to it."""
    origin = request.headers.get("Origin")
    if origin is not None:
        response = _simple(cors, response)
    elif not cors.generation.vary_always:
        return response
    allowed = result_of(cors.allows, origin) if origin is not None else False
    explicit = origin is not None and (
        (cors.all_origins and cors.allow_credentials) or (not cors.all_origins and allowed)
    )
    if origin is not None and not cors.all_origins and allowed is None:
        place = cors.place("allow_origins")
        response = _set(response, Field("access-control-allow-origin", UNKNOWN_VALUE, place, LAYER))
        return _vary(response, cors)
    if explicit and origin is not None:
        if not cors.generation.vary_always and cors.all_origins and "Cookie" not in request.headers:
            return response
        response = _set(response, _line(cors, "Access-Control-Allow-Origin", origin, result_of(cors.allowing, origin)))
        return _vary(response, cors)
    return _vary(response, cors) if cors.generation.vary_always else response


def _simple(cors: Cors, response: Response) -> Response:
    if cors.all_origins:
        response = _set(response, _line(cors, "Access-Control-Allow-Origin", "*", "allow_origins"))
    if cors.allow_credentials or "allow_credentials" in cors.unknown:
        response = _set(response, _line(cors, "Access-Control-Allow-Credentials", "true", "allow_credentials"))
    if cors.expose_headers or "expose_headers" in cors.unknown:
        value = ", ".join(cors.expose_headers)
        response = _set(response, _line(cors, "Access-Control-Expose-Headers", value, "expose_headers"))
    return response


def _set(response: Response, line: Field) -> Response:
    """Replace every line of the name, as MutableHeaders does: the first in place, the others gone."""
    name = line.name.lower()
    fields = list(response.headers.fields)
    indexes = [index for index, known in enumerate(fields) if known.name.lower() == name]
    if indexes:
        fields[indexes[0]] = line
        kept = tuple(known for index, known in enumerate(fields) if index not in indexes[1:])
    else:
        kept = (*fields, line)
    return replace(response, headers=Headers(kept), absent=response.absent | {name})


def _vary(response: Response, cors: Cors) -> Response:
    known = list(response.headers.all("Vary"))
    if response.may_have_more("Vary") and not known:
        known = [UNKNOWN_VALUE]
    return _set(response, Field("vary", ", ".join((*known, "Origin")), cors.location, LAYER))
