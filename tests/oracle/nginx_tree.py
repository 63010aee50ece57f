"""A configuration as a tree that tests build, shrink and write out, with a marker of its own on each server and location."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

_PLAIN = re.compile(r"[^\s;{}\"'\\#]+\Z")
_VARIABLE = re.compile(r"\$\{\w+\}")
MARKED = frozenset({"server", "location"})


@dataclass(frozen=True, slots=True)
class Node:
    """One directive with its arguments as nginx sees them after unquoting; `block` None: a simple directive."""

    name: str
    args: tuple[str, ...] = ()
    block: tuple[Node, ...] | None = None

    def walk(self) -> Iterator[Node]:
        """Yield this node and all nodes inside it, in file order."""
        yield self
        for child in self.block or ():
            yield from child.walk()

    def inside(self, name: str) -> tuple[Node, ...]:
        """Return the direct children with this name."""
        return tuple(child for child in self.block or () if child.name == name)

    def to_json(self) -> list[Any]:
        """Return the node as nested JSON lists: [name, [args], null or [children]]."""
        return [self.name, list(self.args), None if self.block is None else [child.to_json() for child in self.block]]

    @classmethod
    def from_json(cls, data: list[Any]) -> Node:
        """Read what `to_json` made."""
        name, args, block = data
        return cls(name, tuple(args), None if block is None else tuple(cls.from_json(child) for child in block))


def directive(name: str, *args: str) -> Node:
    """Build a simple directive."""
    return Node(name, args)


def block(name: str, *args: str, of: tuple[Node, ...] | list[Node] = ()) -> Node:
    """Build a block directive."""
    return Node(name, args, tuple(of))


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration as text, and where each marked block begins: line and heading by marker."""

    text: str
    lines: dict[str, int] = field(default_factory=dict)
    headings: dict[str, str] = field(default_factory=dict)


def quote(argument: str) -> str:
    """Write an argument so that nginx reads it back (core/ngx_conf_file.c, ngx_conf_read_token)."""
    if _PLAIN.match(_VARIABLE.sub("v", argument)):
        return argument
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + escaped.replace("\t", "\\t") + '"'


def write(http: Node, preamble: str, log: str = "") -> Written:
    """Write the `http` block after a preamble.

    With `log` (an access_log destination) each server and location logs its own marker, which shows from
    outside whose configuration ended the request without touching the answer.
    """
    lines = preamble.split("\n")
    placed: dict[str, int] = {}
    headings: dict[str, str] = {}
    body: list[str] = []

    def emit(node: Node, depth: int, offset: int) -> None:
        pad = "    " * depth
        head = pad + " ".join(map(quote, (node.name, *node.args)))
        if node.block is None:
            body.append(head + ";")
            return
        body.append(head + " {")
        if log and node.name in MARKED and (node.name != "server" or depth == 1):
            marker = f"m{len(placed)}"
            placed[marker] = offset + len(body)
            headings[marker] = " ".join(node.args) if node.name == "location" else ""
            body[-1] += f" access_log {log} {marker};"
        for child in node.block:
            emit(child, depth + 1, offset)
        body.append(pad + "}")

    marked = sum(1 for node in http.walk() if node.name in MARKED) if log else 0
    lines.append("http {")
    lines.extend(f"    log_format m{index} 'm{index}';" for index in range(marked))
    for child in http.block or ():
        emit(child, 1, len(lines))
    text = "\n".join([*lines, *body, "}", ""])
    return Written(text, placed, headings)


def without(http: Node, path: tuple[int, ...]) -> Node:
    """Return the tree without the node at this path of child indexes."""
    children = list(http.block or ())
    if len(path) == 1:
        del children[path[0]]
    else:
        children[path[0]] = without(children[path[0]], path[1:])
    return replace(http, block=tuple(children))


def replaced(http: Node, path: tuple[int, ...], new: Node) -> Node:
    """Return the tree with the node at this path replaced."""
    if not path:
        return new
    children = list(http.block or ())
    children[path[0]] = replaced(children[path[0]], path[1:], new)
    return replace(http, block=tuple(children))


def paths(http: Node, at: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Yield (path, node) for every node below the root, outer before inner."""
    for index, child in enumerate(http.block or ()):
        yield (*at, index), child
        yield from paths(child, (*at, index))


def dumps(http: Node) -> str:
    """Return the tree as compact JSON."""
    return json.dumps(http.to_json())
