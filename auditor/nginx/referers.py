"""`valid_referers`: whether a request's Referer is one that the configuration accepts."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.nginx.model import Node, server_names
from auditor.nginx.regex import Regex
from auditor.nginx.state import Run

if TYPE_CHECKING:
    from auditor.nginx.variables import Variables


@dataclass(slots=True)
class Referers:
    """The Referers that one level accepts."""

    absent: bool = False
    blocked: bool = False
    names: list[tuple[str, str]] = field(default_factory=list)
    regexes: list[Regex] = field(default_factory=list)
    location: Location | None = None


def read_referers(node: Node, variables: Variables | None = None) -> Referers | None:
    """Return what `valid_referers` says for a level, None where nothing does."""
    del variables
    directives = node.find("valid_referers")
    if not directives:
        return None
    result = Referers(location=directives[0].location)
    for directive in directives:
        for arg in directive.args:
            if arg == "none":
                result.absent = True
            elif arg == "blocked":
                result.blocked = True
            elif arg == "server_names":
                names = server_names(node.server) if node.server is not None else ()
                for name in names:
                    if name.startswith("~"):
                        result.regexes.append(Regex(name[1:], caseless=True))
                    else:
                        result.names.append((name.lower(), ""))
            elif arg.startswith("~"):
                result.regexes.append(Regex(arg[1:], caseless=True))
            else:
                host, slash, path = arg.partition("/")
                result.names.append((host.lower(), slash + path))
    return result


def refused(run: Run) -> str:
    """Return `$invalid_referer`: "1" or "" (`ngx_http_referer_variable`)."""
    referers = read_referers(run.node)
    if referers is None or (not referers.names and not referers.regexes):
        return ""
    value = run.first("referer")
    if "referer" not in run.header:
        return "" if referers.absent else "1"
    lower = value.lower()
    scheme = next((size for prefix, size in (("http://", 7), ("https://", 8)) if lower.startswith(prefix)), 0)
    if not scheme or len(value) < 8:
        return "" if referers.blocked else "1"
    rest = value[scheme:]
    host = rest.split("/", 1)[0].split(":", 1)[0].lower()
    path = rest[len(rest.split("/", 1)[0]) :]
    best = _find(referers.names, host)
    if best is not None and (not best or path.startswith(best)):
        return ""
    for regex in referers.regexes:
        if run.matches(regex, rest, referers.location, "the Referer", captures=False):
            return ""
    return "1"


def _find(names: list[tuple[str, str]], host: str) -> str | None:
    """Return the path that goes with the best matching name: exact, then the longest wildcards."""
    for name, path in names:
        if name == host or (name.startswith(".") and name[1:] == host):
            return path
    best: tuple[int, str] | None = None
    for name, path in names:
        suffix = name[1:] if name.startswith("*.") else name if name.startswith(".") else ""
        if suffix and host.endswith(suffix) and len(host) > len(suffix) and (best is None or len(suffix) > best[0]):
            best = (len(suffix), path)
    if best is not None:
        return best[1]
    for name, path in names:
        if name.endswith(".*") and host.startswith(name[:-1]) and (best is None or len(name) > best[0]):
            best = (len(name), path)
    return best[1] if best is not None else None
