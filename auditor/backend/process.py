"""An importable ASGI application, asked in process: `module:app`, no server and no socket."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import MutableMapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location
from auditor.exchange import Action, Ask, Field, Headers, Outcome, Request, Response, Unknown

LAYER = "backend"
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class InProcess:
    """An application that is imported when it is first asked: `target` is "module:object", `folder` is put on the path.

    NOTE: importing runs the application's own code, which is why a policy has to ask for it by name.
    """

    target: str
    folder: Path | None = None
    name: str = LAYER
    files: tuple[tuple[str, str], ...] = ()
    _loaded: list[Any] = field(default_factory=list, repr=False, compare=False)

    def load(self) -> Any:
        """Import the application; raise ConfigurationError where that fails."""
        if not self._loaded:
            self._loaded.append(_import(self.target, self.folder))
        return self._loaded[0]

    def origins(self) -> tuple[tuple[str, str], ...]:
        """Return what its CORS middlewares compare origins with: ("exact" or "regex", text)."""
        found: list[tuple[str, str]] = []
        for middleware in getattr(self.load(), "user_middleware", ()):
            options = getattr(middleware, "kwargs", {})
            found += [("exact", text) for text in options.get("allow_origins", ()) if text != "*"]
            if options.get("allow_origin_regex"):
                found.append(("regex", f"^(?:{options['allow_origin_regex']})\\z"))
        return tuple(found)

    def methods(self) -> tuple[str, ...]:
        """Return the methods that its routes name."""
        named = (getattr(route, "methods", None) or () for route in getattr(self.load(), "routes", ()))
        return tuple(sorted({method for methods in named for method in methods}))

    def paths(self) -> tuple[str, ...]:
        """Return an expression for the path of each of its routes (Starlette, compile_path; other convertors as words)."""
        paths = [getattr(route, "path", "") for route in getattr(self.load(), "routes", ())]
        pieces = [re.split(r"(\{[^}]*\})", path) for path in dict.fromkeys(paths) if path]
        return tuple("^" + "".join(_piece(part) for part in parts) + "\\z" for parts in pieces)

    def unread(self) -> tuple[str, ...]:
        """Return the middlewares that are no part of Starlette: what they tell apart is not known."""
        classes = [getattr(item, "cls", None) for item in getattr(self.load(), "user_middleware", ())]
        return tuple(
            f"{found.__module__}.{found.__qualname__}"
            for found in classes
            if isinstance(found, type)
            and not found.__module__.startswith(("starlette.middleware.cors", "starlette.middleware.gzip"))
            and not found.__module__.startswith(("starlette.middleware.trustedhost", "starlette.middleware.https"))
        )

    def answer(self, request: Request, ask: Ask | None = None) -> tuple[Outcome, ...]:  # noqa: ARG002
        """Ask the application; a crash or a silence is an answer too."""
        application = self.load()
        try:
            response = asyncio.run(asyncio.wait_for(_ask(application, request), SECONDS))
        except TimeoutError:
            doubt = Unknown(f"{self.target} did not answer within {SECONDS:.0f} s", None)
            return (
                Outcome(
                    "always", Response(None, further_headers=True), Action("unknown"), layer=LAYER, unknown=(doubt,)
                ),
            )
        except Exception as error:  # noqa: BLE001 - whatever the application raises is its answer
            if not isinstance(error, _Crashed):
                doubt = Unknown(f"{self.target} raised {type(error).__name__}: {error}", None)
                return (Outcome("upstream-error", Response(500), Action("error"), layer=LAYER, unknown=(doubt,)),)
            response = error.response
        when = "upstream-error" if response.status is not None and response.status >= 500 else "upstream-success"
        return (
            Outcome(when, response, Action("application"), layer=LAYER),
            Outcome("upstream-down", None, Action("close"), layer=LAYER),
        )


def _piece(text: str) -> str:
    """Return the expression of one piece of a route's path: literal text, or what a parameter takes."""
    if not text.startswith("{"):
        return re.escape(text)
    return ".*" if text.endswith(":path}") else "[^/]+"


class _Crashed(Exception):  # noqa: N818 - carries the answer that was sent before the application raised
    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _import(target: str, folder: Path | None) -> Any:
    module, _, name = target.partition(":")
    place = Location(target)
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found: Any = importlib.import_module(module)
        for part in (name or "app").split("."):
            found = getattr(found, part)
    except AttributeError:
        raise ConfigurationError(f"{module} has no {name or 'app'}", place, "write module:object") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs code of others
        reason = f"{target} cannot be imported: {type(error).__name__}: {error}"
        raise ConfigurationError(reason, place, "install what it needs, or give its source under files") from None
    if not callable(found):
        raise ConfigurationError(f"{target} is not an ASGI application", place, "name the FastAPI object")
    return found


def scope_of(request: Request) -> dict[str, Any]:
    """Return the ASGI scope of a request (ASGI specification, HTTP connection scope)."""
    path, _, query = request.target.partition("?")
    host, _, port = (request.listen or "127.0.0.1:80").rpartition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.version,
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "replace"),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(line.name.lower().encode("latin-1"), line.value.encode("latin-1")) for line in request.headers],
        "client": (request.client, 0),
        "server": (host or "127.0.0.1", int(port) if port.isdigit() else 80),
        "state": {},
    }


async def _ask(application: Any, request: Request) -> Response:
    started: MutableMapping[str, Any] = {}
    body = bytearray()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        await asyncio.sleep(0)
        if message["type"] == "http.response.start":
            started.update(message)
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    try:
        await application(scope_of(request), receive, send)
    except Exception:
        if started:
            raise _Crashed(_response(started, bytes(body))) from None
        raise
    return _response(started, bytes(body))


def _response(started: MutableMapping[str, Any], body: bytes) -> Response:
    lines = tuple(
        Field(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"), None, LAYER)
        for name, value in started.get("headers", ())
    )
    return Response(started.get("status"), Headers(lines), body.decode("latin-1"))
