"""The places that a configuration serves, as routes of a policy: which paths, on which hosts, in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.nginx.syntax import Tree
from auditor.nginx.tokens import Directive

MOST = 60
"""So many routes are drafted; what is beyond them belongs to the route of all paths."""

MOST_GLOBS = 12
"""So many globs stand for a server's regular expressions; each cuts all paths once more, which costs time."""

_EXTENSIONS = re.compile(r"^(?:\^/?\.\*|\.\*)?\\\.\(?(?:\?:)?([A-Za-z0-9|?]+)\)?\$$")
_LITERAL = re.compile(r"^\^(/[A-Za-z0-9_./~-]*)$")
_DOTFILES = re.compile(r"^(?:/\\?\.|\^?/\\\.|\(\^\|/\)\\\.)")
_PATH = re.compile(r"/[A-Za-z0-9_./~+@:,;=!$&'()%-]*")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Place:
    """A route to draft: its id, what it matches, and where the configuration says so; `hosts` empty: any.

    `sends_on`: nginx itself redirects these paths to the same with a slash at the end; there is nothing to promise.
    """

    id: str
    paths: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    location: Location | None = None
    text: str = ""
    sends_on: bool = False


@dataclass(frozen=True, slots=True)
class _Server:
    hosts: tuple[str, ...]
    directive: Directive


ALL = ("/**",)


def places(trees: Sequence[Tree]) -> tuple[Place, ...]:
    """Return the routes of nginx configurations in the order in which a policy has to try them."""
    servers = [server for tree in trees for server in _servers(tree.directives)]
    serving = [server for server in servers if not _only_sends_on(server.directive)]
    named = {server.hosts for server in serving}
    several = len(named) > 1
    result: list[Place] = []
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    ids: set[str] = set()
    for server in sorted(serving, key=lambda s: not s.hosts):
        hosts = server.hosts
        for paths, where in (*_routes(server.directive), (ALL, server.directive)):
            if (hosts, paths) in seen:
                continue
            seen.add((hosts, paths))
            name = _unique(_name(paths, hosts if several else ()), ids)
            text = " ".join((where.name, *where.args))
            result.append(Place(name, paths, hosts, where.location, text))
    result = [*(_sent_on(server, ids, several=several) for server in serving), *result]
    result = [place for place in result if place.paths]
    result = [p for p in result if p.paths != ALL][: MOST - 1] + [p for p in result if p.paths == ALL][:MOST]
    ordered = sorted(result, key=lambda place: not place.hosts)
    if not any(place.paths == ALL for place in ordered):
        ordered.append(Place(_unique("site", ids), ALL))
    return _by_host(ordered)


def _sent_on(server: _Server, ids: set[str], *, several: bool) -> Place:
    """Return the paths that nginx sends on to the same with a slash: those of proxied prefixes that end with one."""
    locations = [d for d in _locations(server.directive.block or ()) if d.args]
    exact = {d.args[-1] for d in locations if d.args[0] == "="}
    bare = [
        d.args[-1].rstrip("/")
        for d in locations
        if d.args[0] not in {"=", "~", "~*"}
        and len(d.args[-1]) > 1
        and d.args[-1].endswith("/")
        and _PATH.fullmatch(d.args[-1])
        and any(child.name.endswith("_pass") for child in d.block or ())
    ]
    paths = tuple(dict.fromkeys(path for path in bare if path and path not in exact))
    name = _unique(f"{_label(server.hosts if several else ())}without-slash", ids) if paths else ""
    return Place(name, paths, server.hosts, text="a slash is added", sends_on=True)


def _label(hosts: tuple[str, ...]) -> str:
    return f"{hosts[0].removeprefix('*.').split('.')[0]}-" if hosts else ""


def _by_host(found: Sequence[Place]) -> tuple[Place, ...]:
    """Keep the routes of one set of hosts together, its catch-all last; those of any host come at the end."""
    hosts = list(dict.fromkeys(place.hosts for place in found))
    hosts.sort(key=lambda names: not names)
    return tuple(
        p for names in hosts for last in (False, True) for p in found if p.hosts == names and (p.paths == ALL) is last
    )


def _servers(directives: Sequence[Directive]) -> Iterator[_Server]:
    inside = [child for d in directives if d.name == "http" for child in d.block or ()]
    found = [d for d in (*directives, *inside) if d.name == "server" and d.block is not None]
    if not found and any(d.name == "location" for d in directives):
        found = [Directive("server", (), directives[0].location, tuple(directives))]
    for server in found:
        names = [name for d in server.block or () if d.name == "server_name" for name in d.args]
        hosts = [host for name in names for host in _host(name.lower())]
        yield _Server(tuple(dict.fromkeys(hosts)), server)


def _host(name: str) -> Iterator[str]:
    if name.startswith(".") and _HOST.fullmatch(name[1:]):
        yield from (name[1:], f"*{name}")
    elif _HOST.fullmatch(name) and "." in name and not name.endswith(".local"):
        yield name


def is_host(name: str) -> bool:
    """Whether a policy can name this host; what a template has left open it cannot."""
    return _HOST.fullmatch(name) is not None


def _only_sends_on(server: Directive) -> bool:
    """Whether a server only redirects to another scheme or host, or closes the connection."""
    block = server.block or ()
    if any(d.name == "return" for d in block):
        return True
    locations = [d for d in block if d.name == "location" and not (d.args and "acme-challenge" in d.args[-1])]
    return bool(locations) and all(
        any(c.name == "return" and c.args and c.args[0] in {"301", "302", "307", "308", "444"} for c in d.block or ())
        and d.args[-1:] == ("/",)
        for d in locations
    )


def _routes(server: Directive) -> Iterator[tuple[tuple[str, ...], Directive]]:
    """Yield the paths of each location in the order in which nginx decides: exact, `^~`, expressions, longest prefix."""
    exact: list[tuple[str, Directive]] = []
    first: list[tuple[str, Directive]] = []
    regular: list[tuple[tuple[str, ...], Directive]] = []
    prefixes: list[tuple[str, Directive]] = []
    for location in _locations(server.block or ()):
        modifier, pattern = (
            location.args if len(location.args) == 2 else ("", location.args[0] if location.args else "")
        )
        if modifier in {"~", "~*"}:
            globs = _globs(pattern)
            if 0 < len(globs) <= MOST_GLOBS - sum(len(paths) for paths, _ in regular):
                regular.append((globs, location))
        elif _PATH.fullmatch(pattern):
            {"=": exact, "^~": first}.get(modifier, prefixes).append((pattern, location))
    for path, location in exact:
        yield (path,), location
    for path, location in sorted(first, key=lambda item: -len(item[0])):
        yield _prefix(path), location
    yield from regular
    for path, location in sorted(prefixes, key=lambda item: -len(item[0])):
        if path != "/":
            yield _prefix(path), location


def _locations(block: Sequence[Directive]) -> Iterator[Directive]:
    for directive in block:
        if directive.name == "location":
            yield directive
            yield from _locations(directive.block or ())


def _prefix(path: str) -> tuple[str, ...]:
    return (f"{path}**",) if path.endswith("/") else (f"{path}*", f"{path}*/**")


def _globs(pattern: str) -> tuple[str, ...]:
    """Return a regular expression as globs where that is what it says, else nothing."""
    found = _EXTENSIONS.match(pattern)
    if found:
        words = [word for item in found[1].split("|") for word in _optional(item) if word]
        return tuple(f"/**/*.{word}" for word in dict.fromkeys(words))
    if _DOTFILES.match(pattern):
        return ("/**/.*", "/**/.*/**")
    found = _LITERAL.match(pattern)
    return _prefix(found[1]) if found else ()


def _optional(word: str) -> tuple[str, ...]:
    """Return `woff2?` as woff and woff2."""
    before, mark, after = word.partition("?")
    return (word,) if not mark else (before[:-1] + after, before + after)


def _name(paths: tuple[str, ...], hosts: tuple[str, ...]) -> str:
    if paths == ALL:
        name = "site"
    elif paths[0] == "/**/.*":
        name = "dotfiles"
    elif paths[0].startswith("/**/*."):
        name = paths[0].removeprefix("/**/*.") if len(paths) == 1 else "assets"
    else:
        name = re.sub(r"[^A-Za-z0-9]+", "-", paths[0]).strip("-").lower() or "root"
    return f"{_label(hosts)}{name}"


def _unique(name: str, taken: set[str]) -> str:
    number, result = 1, name[:80]
    while result in taken:
        number += 1
        result = f"{name[:80]}-{number}"
    taken.add(result)
    return result
