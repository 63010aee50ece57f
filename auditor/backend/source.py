"""From Python source to an application: modules interpreted, middlewares and routes collected."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from auditor.backend.application import (
    CORS_HEADERS,
    WELL_KNOWN,
    Application,
    Gzip,
    HttpsRedirect,
    Middleware,
    OtherMiddleware,
    TrustedHost,
)
from auditor.backend.cors import NEWEST, Cors, Generation
from auditor.backend.interpret import Interpreter
from auditor.backend.modules import Source, roots
from auditor.backend.routes import Route
from auditor.backend.setters import header_setter
from auditor.backend.values import Call, Class, Function, Imported, Made, Module, Undecided, doubt_in, known
from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location, Problem
from auditor.exchange import Unknown

_METHODS = ("get", "post", "put", "delete", "patch", "options", "head", "trace")


_TEXTS = ("allow_origins", "allow_methods", "allow_headers", "expose_headers")


def load(
    files: Sequence[Path],
    environment: Mapping[str, str] | None = None,
    application: str = "",
    generation: Generation = NEWEST,
) -> Application:
    """Read an application from its source without running it.

    `files[0]` is where the application is made; imports are followed through the folders around it and the other
    files. `environment` holds what the process will see, so that nothing is taken from the process that audits.
    `application` names the object ("app") where there are several. Raises ConfigurationError where the first file
    cannot be read.
    """
    if not files:
        raise ConfigurationError("no application file is named", None, "list files in the target")
    for path in files:
        if not path.is_file():
            raise ConfigurationError(f"cannot read {path}: no such file", Location(str(path)), "check the path")
    source = Source(roots(files))
    opened = [source.open(path, path.stem) for path in files]
    main = opened[0]
    if main is None:
        raise ConfigurationError.of(tuple(source.problems) or (Problem("not Python", Location(str(files[0]))),))
    interpreter = Interpreter(dict(environment or {}), source.find)
    for module in opened:
        if module is not None:
            interpreter.run(module)
    _run_factories(interpreter, main)
    chosen = _chosen(interpreter, main, application)
    if chosen is None:
        return _nothing(main, source, application)
    built = _Builder(interpreter, source, chosen, generation).build()
    return replace(built, files=tuple(source.hashes.items()))


def _run_factories(interpreter: Interpreter, main: Module) -> None:
    """Call the functions of the main file that take nothing and make an application, where nothing else did."""
    if any(made.kind in ("FastAPI", "Starlette") for made in interpreter.objects):
        return
    for name, value in list(main.scope.items()):
        if isinstance(value, Function) and not isinstance(value.node, ast.Lambda) and _makes(value.node):
            value_made = interpreter.apply(value, Call(name, [], {}, {}, main.place(value.node)))
            if isinstance(value_made, Made):
                main.scope.setdefault("\0application", value_made)
                return


def _makes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    calls = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return any(ast.unparse(function).split(".")[-1] in ("FastAPI", "Starlette") for function in calls)


def _chosen(interpreter: Interpreter, main: Module, name: str) -> Made | None:
    if name:
        value = main.scope.get(name)
        return value if isinstance(value, Made) and value.kind in ("FastAPI", "Starlette") else None
    applications = [made for made in interpreter.objects if made.kind in ("FastAPI", "Starlette")]
    named = [
        value
        for key in ("app", "application", "\0application", "api")
        if isinstance(value := main.scope.get(key), Made)
    ]
    outermost = [made for made in applications if not _mounted(made, interpreter.objects)]
    return next(iter([*(made for made in named if made in applications), *outermost, *applications]), None)


def _mounted(made: Made, objects: Iterable[Made]) -> bool:
    return any(call.method == "mount" and made in call.positional for other in objects for call in other.calls)


def _nothing(main: Module, source: Source, name: str) -> Application:
    place = Location(main.path, 1, 1)
    what = f"no FastAPI or Starlette object {name or ''} was found".replace("  ", " ")
    problem = Problem(what, place, "name the file that makes the application")
    return Application(
        location=place, complete=False, silent=frozenset(), problems=(*source.problems, problem),
        unknown=(Unknown(what, place),), files=tuple(source.hashes.items()),
    )  # fmt: skip


@dataclass(slots=True)
class _Builder:
    """Builds an Application from what was done to its object."""

    interpreter: Interpreter
    source: Source
    app: Made
    generation: Generation
    unknown: list[Unknown] = field(default_factory=list)
    perhaps: dict[int, str] = field(default_factory=dict)
    complete: bool = True

    def build(self) -> Application:
        added = self._added()
        declared = [(self._from_object(item), "") for item in self._declared()]
        ordered = [*reversed(added), *declared]
        fastapi = self.app.kind == "FastAPI"
        routes = tuple(self._routes(self.app, "", 0))
        if fastapi:
            routes = (*self._documentation(), *routes)
        slashes = self.app.arguments.get("redirect_slashes", True)
        return Application(
            middlewares=tuple(middleware for middleware, _ in ordered),
            routes=routes,
            location=self.app.location,
            fastapi=fastapi,
            complete=self.complete,
            silent=(WELL_KNOWN | CORS_HEADERS) - self.source.mentioned,
            reads_headers=self.source.reads_headers,
            redirect_slashes=slashes if isinstance(slashes, bool) else True,
            perhaps={index: doubt for index, (_, doubt) in enumerate(ordered) if doubt},
            problems=tuple(self.source.problems),
            unknown=tuple(self.unknown),
        )

    def _added(self) -> list[tuple[Middleware, str]]:
        found: list[tuple[Middleware, str]] = []
        for call in self.app.calls:
            if call.method == "add_middleware" and (call.positional or "middleware_class" in call.arguments):
                kind = call.positional[0] if call.positional else call.arguments["middleware_class"]
                options = {key: value for key, value in call.arguments.items() if key != "middleware_class"}
                found.append((self._middleware(kind, options, call), call.uncertain))
            elif call.method == "middleware" and isinstance(call.decorates, Function):
                found.append((self._function(call.decorates, call), call.uncertain))
        return found

    def _declared(self) -> list[Any]:
        listed = self.app.arguments.get("middleware")
        if isinstance(listed, (list, tuple)):
            return list(listed)
        doubt = doubt_in(listed)
        if doubt is not None:
            self.unknown.append(Unknown(f"the middlewares are not decided: {doubt.reason}", doubt.location, "headers"))
        return []

    def _from_object(self, item: Any) -> Middleware:
        if isinstance(item, Made) and item.kind == "Middleware" and item.positional:
            call = Call("Middleware", item.positional, item.arguments, item.places, item.location)
            return self._middleware(item.positional[0], item.arguments, call)
        doubt = doubt_in(item)
        place = doubt.location if doubt else self.app.location
        return OtherMiddleware(place, "one whose class is not decided")

    def _middleware(self, kind: Any, options: dict[str, Any], call: Call) -> Middleware:
        name = kind.path.rpartition(".")[2] if isinstance(kind, Imported) else ""
        if name == "CORSMiddleware":
            return _cors(options, call, self.generation)
        if name == "TrustedHostMiddleware":
            return _trusted(options, call)
        if name == "HTTPSRedirectMiddleware":
            return HttpsRedirect(call.location)
        if name == "GZipMiddleware":
            return Gzip(call.location)
        if isinstance(kind, Class):
            return self._class(kind, call)
        if isinstance(kind, Imported):
            return OtherMiddleware(call.location, kind.path)
        return OtherMiddleware(call.location, "one whose class is not decided")

    def _class(self, kind: Class, call: Call) -> Middleware:
        bases = {base.path.rpartition(".")[2] for base in kind.bases if isinstance(base, Imported)}
        dispatch = kind.attributes.get("dispatch")
        if "BaseHTTPMiddleware" in bases and isinstance(dispatch, Function):
            return self._function(dispatch, call)
        return OtherMiddleware(call.location, kind.name)

    def _function(self, function: Function, call: Call) -> Middleware:
        return header_setter(self.interpreter, function, call.location)

    # Routes ---------------------------------------------------------------------------------------------------

    def _documentation(self) -> Iterator[Route]:
        defaults = (("openapi_url", "/openapi.json"), ("docs_url", "/docs"), ("redoc_url", "/redoc"))
        schema = self.app.arguments.get("openapi_url", "/openapi.json")
        for argument, default in defaults:
            value = self.app.arguments.get(argument, default)
            place = self.app.places.get(argument, self.app.location)
            if isinstance(value, Undecided):
                yield Route(default, ("GET", "HEAD"), value.location, "documentation", argument, value.reason)
            elif isinstance(value, str) and value and schema:
                yield Route(value, ("GET", "HEAD"), place, "documentation", argument)
                if argument == "docs_url":
                    redirect = self.app.arguments.get("swagger_ui_oauth2_redirect_url", "/docs/oauth2-redirect")
                    if isinstance(redirect, str):
                        yield Route(redirect, ("GET", "HEAD"), place, "documentation", "oauth2_redirect")

    def _routes(self, made: Made, prefix: str, depth: int) -> Iterator[Route]:
        if depth > 20:
            return
        own = made.arguments.get("prefix", "") if made.kind == "APIRouter" else ""
        if not isinstance(own, str):
            self.complete = False
            own = ""
        base = prefix + own
        for item in _listed(made.arguments.get("routes")):
            yield from self._route_object(item, base, depth)
        for call in made.calls:
            yield from self._called(call, base, depth)

    def _called(self, call: Call, base: str, depth: int) -> Iterator[Route]:
        method = call.method
        path = call.positional[0] if call.positional else call.arguments.get("path")
        if method in (*_METHODS, "api_route", "route", "add_api_route", "add_route"):
            yield from self._plain(call, path, base)
        elif method in ("websocket", "websocket_route", "add_websocket_route", "add_api_websocket_route"):
            if isinstance(path, str):
                yield Route(base + path, ("GET",), call.location, "websocket", uncertain=call.uncertain)
        elif method == "mount":
            yield from self._mount(call, path, base, depth)
        elif method == "include_router":
            router = call.positional[0] if call.positional else call.arguments.get("router")
            inner = call.arguments.get("prefix", "")
            if isinstance(router, Made) and isinstance(inner, str):
                yield from self._routes(router, base + inner, depth + 1)
            else:
                self.complete = False
        elif method.startswith("=") or method in _HARMLESS:
            return
        else:
            self.complete = False

    def _plain(self, call: Call, path: Any, base: str) -> Iterator[Route]:
        if not isinstance(path, str):
            self.complete = False
            return
        methods: tuple[str, ...] = (call.method.upper(),)
        if call.method not in _METHODS:
            given = call.arguments.get("methods")
            if given is not None and not known(given):
                self.complete = False
            methods = tuple(str(name).upper() for name in given) if isinstance(given, (list, tuple)) else ("GET",)
        if self.app.kind == "Starlette" and "GET" in methods and "HEAD" not in methods:
            methods = (*methods, "HEAD")
        yield Route(base + path, methods, call.location, uncertain=call.uncertain)

    def _mount(self, call: Call, path: Any, base: str, depth: int) -> Iterator[Route]:
        target = call.positional[1] if len(call.positional) > 1 else call.arguments.get("app")
        if not isinstance(path, str):
            self.complete = False
            return
        if isinstance(target, Made) and target.kind in ("Starlette", "FastAPI", "APIRouter", "Router"):
            yield from self._routes(target, base + path.rstrip("/"), depth + 1)
        yield Route(base + path, ("*",), call.location, "mount", uncertain=call.uncertain)

    def _route_object(self, item: Any, base: str, depth: int) -> Iterator[Route]:
        if not isinstance(item, Made) or not item.positional or not isinstance(item.positional[0], str):
            self.complete = False
            return
        path = base + item.positional[0]
        if item.kind == "WebSocketRoute":
            yield Route(path, ("GET",), item.location, "websocket")
        elif item.kind == "Mount":
            for inner in _listed(item.arguments.get("routes")):
                yield from self._route_object(inner, path.rstrip("/"), depth + 1)
            yield Route(path, ("*",), item.location, "mount")
        else:
            given = item.arguments.get("methods")
            methods = tuple(str(name).upper() for name in given) if isinstance(given, (list, tuple)) else ("GET",)
            yield Route(path, (*methods, "HEAD") if "GET" in methods else methods, item.location)


_HARMLESS = frozenset(
    ("add_middleware", "middleware", "exception_handler", "add_exception_handler", "on_event", "add_event_handler",
     "openapi", "router", "state", "dependency_overrides", "build_middleware_stack", "user_middleware")
)  # fmt: skip


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _cors(options: dict[str, Any], call: Call, generation: Generation) -> Cors:
    values: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for name, value in options.items():
        if name == "**":
            reason = "arguments are unpacked from something not decided"
            unknown |= dict.fromkeys((*_TEXTS, "allow_credentials", "allow_origin_regex", "max_age"), reason)
            continue
        doubt = doubt_in(value)
        texts = name in _TEXTS
        if texts and isinstance(value, str):
            # NOTE: a string is a collection of its characters; "in" then looks for a substring (allow_origins="…").
            values[name] = tuple(value)
            unknown[name] = "a text is given where a list belongs"
        elif texts and isinstance(value, (list, tuple, set, frozenset)):
            values[name] = tuple(str(item) for item in value if isinstance(item, str))
        elif not texts and isinstance(value, (bool, int, str, type(None))):
            values[name] = value
        elif doubt is None:
            unknown[name] = "its value is not followed"
        if doubt is not None:
            unknown[name] = f"{doubt.reason} ({doubt.location})"
    fields = ("allow_origins", "allow_methods", "allow_headers", "allow_credentials", "allow_origin_regex",
              "allow_private_network", "expose_headers", "max_age")  # fmt: skip
    known_values = {name: value for name, value in values.items() if name in fields}
    return Cors(call.location, places=dict(call.places), unknown=unknown, generation=generation, **known_values)


def _trusted(options: dict[str, Any], call: Call) -> TrustedHost:
    hosts = options.get("allowed_hosts", ["*"])
    hosts = ["*"] if hosts is None else hosts
    doubt = doubt_in(hosts)
    redirect = options.get("www_redirect", True)
    if doubt is not None or not isinstance(hosts, (list, tuple, set)):
        return TrustedHost(call.location, unknown=doubt.reason if doubt else "its value is not followed")
    return TrustedHost(call.location, tuple(map(str, hosts)), redirect if isinstance(redirect, bool) else True)
