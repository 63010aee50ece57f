"""YAML 1.2 documents as trees whose every key and value knows its place.

PyYAML reads the events; scalars follow the core schema (YAML 1.2.2 §10.3.2): dates, `yes` and `on` stay strings.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator
from dataclasses import field

import yaml

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 48
MAX_NODES = 200_000

Scalar = str | int | float | bool | None

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]{1,18}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    written: value
    for word, value in (("null", None), ("true", True), ("false", False), ("", None), ("~", None))
    for written in (word, word.capitalize(), word.upper())
}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a policy file: a scalar, a sequence (tuple) or a mapping (dict), and where it and its key stand."""

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    place: Location
    key: Location | None = None
    text: str = ""

    @property
    def entries(self) -> dict[str, Node]:
        """The entries of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The items of a sequence; none of anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def word(self) -> str:
        """The text of a string; "" of anything else."""
        return self.value if isinstance(self.value, str) else ""

    def get(self, name: str) -> Node | None:
        """Return the entry of a mapping, or None."""
        return self.entries.get(name)

    def holding(self, value: tuple[Node, ...] | dict[str, Node]) -> Node:
        """Return the node with these items or entries; the node itself where they are its own."""
        if isinstance(value, dict):
            mine = self.entries
            same = len(value) == len(mine) and all(mine.get(key) is child for key, child in value.items())
        else:
            same = len(value) == len(self.items) and all(map(operator.is_, value, self.items))
        return self if same else Node(value, self.place, self.key, self.text)

    def plain(self) -> object:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.plain() for node in self.value)
        return self.value


def core_scalar(text: str) -> Scalar:
    """Return what a plain scalar stands for in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 0)
    if _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and len(text) <= 64:
        return float(text)
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


@dataclass(slots=True)
class _Frame:
    """A collection that is being read."""

    place: Location
    mapping: bool
    anchor: str | None
    entries: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    pending: tuple[str, Location] | None = None
    size: int = 1
    height: int = 1

    def node(self) -> Node:
        """Return what was read."""
        return Node(self.entries if self.mapping else tuple(self.items), self.place)


@dataclass(slots=True)
class _Reader:
    """One document on its way from events to a tree."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int, int]] = field(default_factory=dict)
    stack: list[_Frame] = field(default_factory=list)
    root: Node | None = None
    size: int = 0
    documents: int = 0

    def place(self, event: yaml.Event) -> Location:
        start, end = event.start_mark, event.end_mark
        if start is None:
            return Location(self.name)
        column = end.column + 1 if end is not None and end.line == start.line else 0
        return Location(self.name, start.line + 1, start.column + 1, column)

    def stop(self, message: str, place: Location, hint: str) -> None:
        raise _StopError(Problem(message, place, hint))

    def read(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self.stack.pop()
            self.attach(frame.node(), (frame.size, frame.height), frame.anchor)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.stop(
                    "a second document starts here", self.place(event), "a policy is one document: remove the ---"
                )

    def open(self, event: yaml.CollectionStartEvent) -> None:
        place = self.place(event)
        if len(self.stack) >= MAX_DEPTH:
            self.stop(f"nested deeper than {MAX_DEPTH} levels", place, "no policy needs that")
        frame = self.stack[-1] if self.stack else None
        if frame and frame.mapping and frame.pending is None:
            self.stop("a key is a list or a mapping", place, "keys are words; quote text that starts with [ or {")
        if event.tag and not event.implicit:
            self.problems.append(Problem(f"the tag {event.tag} has no meaning here", place, "remove it"))
        self.stack.append(_Frame(place, isinstance(event, yaml.MappingStartEvent), event.anchor))

    def scalar(self, event: yaml.ScalarEvent) -> None:
        place, text = self.place(event), event.value
        if not text.isprintable() and (odd := re.search(_NO_TEXT, text)):
            self.problems.append(
                Problem(f"\\u{ord(odd[0]):04x} is in the text", place, "no path, URL or header holds it: leave it out")
            )
            text = re.sub(_NO_TEXT, "\ufffd", text)
        frame = self.stack[-1] if self.stack else None
        if frame and frame.mapping and frame.pending is None:
            frame.pending = (text, place)
            if event.anchor:
                self.anchors[event.anchor] = (Node(text, place, text=text), 1, 0)
            return
        plain = event.implicit[0] and event.tag in (None, "!")
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self.problems.append(Problem(f"the tag {event.tag} has no meaning here", place, "remove it"))
        self.attach(Node(core_scalar(text) if plain else text, place, text=text), (1, 0), event.anchor)

    def alias(self, event: yaml.AliasEvent) -> None:
        place = self.place(event)
        found = self.anchors.get(event.anchor or "")
        if found is None:
            self.stop(f"*{event.anchor} refers to nothing", place, f"no &{event.anchor} stands before it")
            return
        node, size, height = found
        frame = self.stack[-1] if self.stack else None
        if frame and frame.mapping and frame.pending is None:
            frame.pending = (node.text, place)
            return
        if len(self.stack) + height > MAX_DEPTH:
            self.stop(f"nested deeper than {MAX_DEPTH} levels", place, "no policy needs that")
        self.attach(node, (size, height), None, place)

    def attach(self, node: Node, extent: tuple[int, int], anchor: str | None, place: Location | None = None) -> None:
        self.size += 1
        if anchor:
            self.anchors[anchor] = (node, *extent)
        if not self.stack:
            self.root = node
            return
        frame = self.stack[-1]
        frame.size += extent[0]
        frame.height = max(frame.height, extent[1] + 1)
        if frame.size > MAX_NODES or self.size > MAX_NODES:
            self.stop(f"expands to more than {MAX_NODES} values", place or node.place, "use fewer aliases")
        if not frame.mapping:
            frame.items.append(node)
            return
        key, key_place = frame.pending or ("", node.place)
        frame.pending = None
        if key in frame.entries:
            first = frame.entries[key].key
            line = f" (first on line {first.line})" if first else ""
            self.problems.append(Problem(f"the key {key!r} is given twice{line}", key_place, "keep one of them"))
            return
        frame.entries[key] = Node(node.value, node.place, key_place, node.text)


_NO_TEXT = "[\0\ud800-\udfff]"  # what an escape can write although no file name or header can hold it


class _StopError(Exception):
    """Reading cannot go on; carries the problem."""


def parse(text: str, name: str) -> tuple[Node | None, tuple[Problem, ...]]:
    """Read one document; return its tree (None where there is none) and everything wrong with the YAML."""
    reader = _Reader(name)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.read(event)
    except _StopError as stop:
        return None, (*reader.problems, stop.args[0])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        problem = error.problem or error.context or ""
        deep = "nesting depth" in problem  # the parser's own limit, PyYAML 6.0.4
        message = "nested deeper than any policy needs" if deep else f"not valid YAML: {problem}"
        return None, (*reader.problems, Problem(message, place, _yaml_hint(text, place)))
    except yaml.YAMLError as error:
        where = text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
        reason = getattr(error, "reason", "") or str(error)
        return None, (*reader.problems, Problem(f"not valid YAML: {reason}", Location(name, where), "save it as UTF-8"))
    return reader.root, tuple(reader.problems)


def _yaml_hint(text: str, place: Location) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, never with tabs"
    if re.search(r":\s+[*&%@`{\[]", line) or re.search(r"-\s+[*&%@`]", line):
        return "quote text that starts with * & % @ { or ["
    return "check indentation, quotes and brackets, here and on the line before"


def join(path: str, step: str | int) -> str:
    """Return the path of an item (`routes[0]`) or of an entry (`cors.vary`, `resolve["a.example:443"]`) below a path."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not (step.isascii() and step.isidentifier()) and not re.fullmatch(r"[A-Za-z0-9_-]+", step):
        return f"{path}[{json.dumps(step, ensure_ascii=False)}]"
    return f"{path}.{step}" if path else step


_STEP = re.compile(r'\.?([A-Za-z0-9_-]+)|\[([0-9]+)\]|\[("(?:[^"\\]|\\.)*")\]')


def steps(path: str) -> Iterator[str | int]:
    """Yield the steps of a path; what is no path ends it."""
    position = 0
    while found := _STEP.match(path, position):
        yield found[1] if found[1] is not None else int(found[2]) if found[2] is not None else json.loads(found[3])
        position = found.end()


def find(root: Node, path: str) -> Node:
    """Return the node at a path, or the nearest one above it."""
    node = root
    for step in steps(path):
        if isinstance(step, int):
            below = node.items[step] if step < len(node.items) else None
        else:
            below = node.entries.get(step)
        if below is None:
            return node
        node = below
    return node
