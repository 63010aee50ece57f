"""The routes an application declares, and which of them takes a request."""

from __future__ import annotations

import re
from functools import lru_cache

from auditor.dataclass import dataclass
from auditor.errors import Location

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:[A-Za-z_][A-Za-z0-9_]*)?\}")
# Source: starlette/convertors.py.
_CONVERTORS = {
    "str": "[^/]+",
    "path": ".*",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One declared route: methods ("*" for any), path as written with its prefixes, place of the declaration.

    `kind` is "http", "websocket", "mount" (everything below the path) or "documentation" (/docs, /openapi.json, …).
    """

    path: str
    methods: tuple[str, ...]
    location: Location
    kind: str = "http"
    name: str = ""
    uncertain: str = ""

    def expression(self) -> str | None:
        """Return the regular expression of the paths that the route takes; None where a convertor is not known."""
        mount = self.kind == "mount"
        compiled = pattern(self.path.rstrip("/") if mount else self.path, mount=mount)
        return None if compiled is None else compiled.pattern


@lru_cache(maxsize=4096)
def pattern(path: str, *, mount: bool) -> re.Pattern[str] | None:
    """Compile a route's path as Starlette does; None where a convertor is not one of its own."""
    parts: list[str] = []
    position = 0
    for found in _PARAMETER.finditer(path):
        parts.append(re.escape(path[position : found.start()]))
        convertor = _CONVERTORS.get((found[2] or ":str")[1:])
        if convertor is None:
            return None
        parts.append(f"(?:{convertor})")
        position = found.end()
    parts.append(re.escape(path[position:]))
    return re.compile("".join(parts) + ("(?:/.*)?" if mount else ""), re.DOTALL)


def matches(route: Route, path: str) -> bool | None:
    """Whether a route's path takes a decoded request path; None where its convertor is not known."""
    written = route.path.rstrip("/") if route.kind == "mount" else route.path
    compiled = pattern(written, mount=route.kind == "mount")
    return None if compiled is None else compiled.fullmatch(path) is not None


def allows(route: Route, method: str) -> bool:
    """Whether a route's methods include this one."""
    return "*" in route.methods or method in route.methods
