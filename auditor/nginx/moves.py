"""Paths that take the place of others: for the upstream, or inside nginx, where another location is chosen by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from auditor.errors import Location
from auditor.nginx.model import Node
from auditor.nginx.proxy import split_address
from auditor.nginx.subjects import Matcher, Subjects, lines_of, subject_of
from auditor.nginx.template import split
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.evaluate import Configuration

Ways = list[tuple[str, ...]] | None
"""What a text may be put together of (see `Subjects.parts`); None where that cannot be said."""

_MOVES = r"\^(/[\w\-./~]*)\(\.[*+]\)\$?"
_CAPTURED = re.compile(r"\^?((?:[\w/~-]|\\[^\w])*)\(((?:[^()\\]|\\.)+)\)(\$?)\Z")
"""An expression of a beginning and one group that goes on to the end."""


def replacements(configuration: Configuration) -> tuple[tuple[str, str], ...]:
    """Return the prefixes of paths that `proxy_pass` and plain `rewrite … break` replace for the upstream: (from, to)."""
    found: dict[tuple[str, str], None] = {}
    for server in configuration.engine.http.servers:
        for node in server.below():
            for line in lines_of(node.script):
                if line.name == "rewrite" and line.args[2:] == ("break",) and line.args[1].endswith("$1"):
                    moved = re.fullmatch(_MOVES, line.args[0])
                    if moved is not None and "$" not in line.args[1][:-2]:
                        found[moved[1], line.args[1][:-2]] = None
            owner = node.enclosing()
            if node.handler is None or node.handler.name != "proxy_pass" or not node.handler.args:
                continue
            if "$" in node.handler.args[0] or owner.kind != "location" or owner.regex is not None:
                continue
            _, uri = split_address(node.handler.args[0].partition("://")[2])
            if uri and owner.modifier != "@":
                found[owner.name, uri] = None
    return tuple(found)


def moves(server: Node, known: Subjects) -> Iterator[tuple[str, Location, Ways]]:
    """Yield the texts by which a server goes on to choose a location, where each stands, and what it is put together of."""
    for node in server.below():
        for line in lines_of(node.script) if node.kind != "if" else ():
            if line.name == "rewrite" and len(line.args) > 1 and _chooses(line, node):
                yield line.args[0], line.location, _rewritten(line, known)
        for line in (*node.own.get("try_files", ()), *node.own.get("error_page", ())):
            target = line.args[-1].partition("?")[0] if line.args else ""
            if target.startswith(("/", "$")) and "$" in target and target not in {"$uri", "$request_uri"}:
                yield target, line.location, known.parts(target)


def _chooses(line: Directive, node: Node) -> bool:
    """Whether a location is chosen by what a rewrite makes of paths, and not by a constant."""
    replacement, flag = line.args[1], line.args[2] if len(line.args) > 2 else ""
    leaves = flag in {"redirect", "permanent"} or replacement.startswith(("http://", "https://", "$scheme"))
    stays = flag == "break" and node.kind != "server"
    return not leaves and not stays and "$" in replacement.partition("?")[0]


def _rewritten(line: Directive, known: Subjects) -> Ways:
    pattern, target = line.args[0], line.args[1].partition("?")[0]
    found = _CAPTURED.match(pattern)
    if found is not None and pattern.startswith("^") and (found[3] or found[2] in {".*", ".+"}):
        before = re.sub(r"\\(.)", r"\1", found[1])
        return known.parts(target, {"1": f"$path>{before}" if before else "$path"})
    return known.parts(target)


def before(matchers: Iterable[Matcher], scope: str, text: str, place: Location, ways: Ways) -> Iterator[Matcher]:
    """Yield what tests of a path mean for the requests whose path one of these texts takes the place of."""
    if ways is None:
        reason = f"which location {text} leads to is not decided for every request"
        yield Matcher("path", "other", text, caseless=False, location=place, reason=reason, scope=scope)
        return
    seen = [m for m in matchers if (m.subject == "path" and m.kind != "other") or "$path" in m.parts]
    for way in ways:
        for m in seen if way != ("$path",) else ():
            parts = tuple(piece for part in m.parts or ("$path",) for piece in (way if part == "$path" else (part,)))
            if any(part[0] == "$" for part in parts):
                yield replace(m, subject="text", parts=parts, scope=scope, selects=False)


def names_of_captures(server: Node) -> Iterator[tuple[str, str, str, bool]]:
    """Yield the named groups of a server's expressions: name, what they are found in ("" for another text), pattern, caseless."""
    for line in server.own.get("server_name", ()):
        for name in line.args:
            if name.startswith("~"):
                yield from ((group, "host", name[1:], True) for group in _groups(name[1:]))
    for node in server.below():
        if node.regex is not None:
            pattern, caseless = node.regex.pattern, node.regex.caseless
            yield from ((group, "path", pattern, caseless) for group in _groups(pattern))
        for line in lines_of(node.script) if node.kind != "if" else ():
            words = line.args[:1] if line.name == "rewrite" else line.args if line.name == "if" else ()
            yield from ((group, "", word, False) for word in words for group in _groups(word))


def names_in_map(table: Directive) -> Iterator[tuple[str, str, str, bool]]:
    """Yield the same of a map's expressions, which are found in its source."""
    source = split(table.args[0]) if table.name == "map" and table.args else ()
    subject = subject_of(source[0][1]) if len(source) == 1 and source[0][0] == "variable" else None
    for line in table.block or () if source else ():
        if line.name.startswith("~"):
            caseless = line.name.startswith("~*")
            pattern = line.name[2 if caseless else 1 :]
            yield from ((group, subject or "", pattern, caseless) for group in _groups(pattern))


def _groups(pattern: str) -> list[str]:
    return [name.lower() for name in re.findall(r"\(\?P?[<'](\w+)[>']", pattern)]


def with_group(pattern: str, name: str, text: str) -> str | None:
    """Return an expression with a text, itself an expression, in the place of a named group; None where it is not found."""
    start = re.search(rf"\(\?P?[<']{name}[>']", pattern, re.IGNORECASE)
    if start is None:
        return None
    depth, position, in_class = 1, start.end(), False
    while position < len(pattern) and depth:
        char = pattern[position]
        if char == "\\":
            position += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
        position += 1
    after = pattern[position:]
    return None if depth or after[:1] in {"*", "+", "?", "{"} else f"{pattern[: start.start()]}(?:{text}){after}"
