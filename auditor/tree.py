"""Settings files as values that know their place: YAML, TOML and dotted labels become one kind of tree."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

import yaml

from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location, Problem

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a settings file: a scalar, a sequence or a mapping, with the place of the value and of its key.

    `text` is a scalar as written, without quotes; `quoted` tells "80" from 80.
    """

    location: Location
    scalar: Scalar = None
    text: str = ""
    quoted: bool = False
    items: tuple[Node, ...] | None = None
    entries: Mapping[str, Node] | None = None
    key: Location | None = None
    tag: str = ""

    @property
    def is_scalar(self) -> bool:
        """Whether this is neither a sequence nor a mapping."""
        return self.items is None and self.entries is None

    @property
    def place(self) -> Location:
        """The place to point at: the key where there is one, else the value."""
        return self.key or self.location

    def get(self, *path: str) -> Node | None:
        """Return the node below these keys, compared without case, or None."""
        node: Node | None = self
        for name in path:
            if node is None or node.entries is None:
                return None
            exact = node.entries.get(name)
            lower = name.lower()
            node = exact or next((value for key, value in node.entries.items() if key.lower() == lower), None)
        return node

    def children(self) -> Iterator[tuple[str, Node]]:
        """Yield the (key, node) pairs of a mapping in order; nothing for anything else."""
        yield from (self.entries or {}).items()

    def sequence(self) -> tuple[Node, ...]:
        """Return the items of a sequence; nothing for anything else."""
        return self.items or ()


EMPTY = Node(Location(""))


@dataclass(frozen=True, slots=True)
class Document:
    """One file read: its tree, its text's hash (SHA-256, hexadecimal)."""

    path: str
    root: Node
    sha256: str = ""


@dataclass(slots=True)
class _Budget:
    """What one document may still use, so that a hostile one cannot hang the audit."""

    nodes: int = MAX_NODES
    seen: dict[int, Node] = field(default_factory=dict)


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader, the one on libyaml where it was built with it; its composer and resolver are used."""


def read(path: Path, name: str | None = None) -> Document:
    """Read a `.yml`, `.yaml`, `.json` or `.toml` file.

    Raises ConfigurationError where the file is missing, too large, or not what its name says.
    """
    label = name or str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {label}: {error.strerror or error}", Location(label), "check the path in the policy's targets"
        ) from None
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(
            f"{label} is larger than {MAX_BYTES} bytes", Location(label), "is this the right file?"
        )
    text = raw.decode("utf-8", "replace")
    root = parse_toml(text, label) if path.suffix == ".toml" else parse_yaml(text, label)
    return Document(label, root, hashlib.sha256(raw).hexdigest())


def parse_yaml(text: str, name: str) -> Node:
    """Parse one YAML document into a tree; of several documents the first mapping wins, as Traefik and Compose do.

    Raises ConfigurationError with the place where the text is not YAML.
    """
    try:
        loader = _LOADER(text)
        try:
            top = loader.get_single_node() if "\n---" not in text else _first(loader)
            if top is None:
                return Node(Location(name, 1, 1))
            return _convert(top, loader, name, _Budget(), 0)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        raise ConfigurationError(
            f"{name} is not valid YAML: {error.problem or error.context}", place, "check indentation and quotes here"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not valid YAML: {error}", Location(name), "check the file") from None


def _first(loader: yaml.SafeLoader) -> yaml.Node | None:
    first: yaml.Node | None = None
    while loader.check_node():
        node = loader.get_node()
        if first is None or (isinstance(node, yaml.MappingNode) and not isinstance(first, yaml.MappingNode)):
            first = node
    return first


def _place(node: yaml.Node, name: str) -> Location:
    start, end = node.start_mark, node.end_mark
    column_end = end.column + 1 if end.line == start.line else 0
    return Location(name, start.line + 1, start.column + 1, column_end)


def _convert(node: yaml.Node, loader: yaml.SafeLoader, name: str, budget: _Budget, depth: int) -> Node:
    budget.nodes -= 1
    location = _place(node, name)
    if budget.nodes < 0 or depth > MAX_DEPTH:
        raise ConfigurationError(f"{name} is nested too deeply or expands too far", location, "simplify the anchors")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, loader, location)
    if isinstance(node, yaml.SequenceNode):
        items = tuple(_convert(item, loader, name, budget, depth + 1) for item in node.value)
        return Node(location, items=items, tag=_custom_tag(node))
    entries: dict[str, Node] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag == "tag:yaml.org,2002:merge":
            merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
            continue
        text = key.value if isinstance(key, yaml.ScalarNode) else str(key.value)
        child = _convert(value, loader, name, budget, depth + 1)
        entries[text] = _keyed(child, _place(key, name))
    for source in merged:
        inherited = _convert(source, loader, name, budget, depth + 1)
        for text, child in inherited.children():
            entries.setdefault(text, child)
    return Node(location, entries=entries, tag=_custom_tag(node))


def _keyed(node: Node, key: Location) -> Node:
    return Node(node.location, node.scalar, node.text, node.quoted, node.items, node.entries, key, node.tag)


def _custom_tag(node: yaml.Node) -> str:
    return node.tag if node.tag.startswith("!") else ""


def _scalar(node: yaml.ScalarNode, loader: yaml.SafeLoader, location: Location) -> Node:
    quoted = node.style is not None
    text = str(node.value)
    value: Scalar = text
    if not quoted:
        try:
            made = loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            made = text
        value = made if isinstance(made, (str, int, float, bool)) or made is None else text
    return Node(location, value, text, quoted, tag=_custom_tag(node))


def parse_toml(text: str, name: str) -> Node:
    """Parse a TOML document into a tree; places are found by the line that names the key.

    Raises ConfigurationError with the place where the text is not TOML.
    """
    import tomllib  # noqa: PLC0415 - few files are TOML

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        place = Location(name, int(found[1]), int(found[2])) if found else Location(name)
        raise ConfigurationError(f"{name} is not valid TOML: {error}", place, "correct the line") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not valid TOML: {error}", Location(name), "check the file") from None
    return _from_data(data, "", _toml_places(text, name), Location(name, 1, 1))


_TOML_TABLE = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_TOML_KEY = re.compile(
    r"""^(\s*)((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_TOML_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.\s"']+))\s*\.?""")


def _toml_path(text: str) -> str:
    return "\0".join(
        next(group for group in found.groups() if group is not None) for found in _TOML_PART.finditer(text)
    )


def _toml_places(text: str, name: str) -> dict[str, Location]:
    places: dict[str, Location] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _TOML_TABLE.match(line)
        if header:
            table = _toml_path(header[1])
            places.setdefault(table, Location(name, number, line.index("[") + 1))
            continue
        key = _TOML_KEY.match(line)
        if key:
            inner = _toml_path(key[2])
            start = len(key[1]) + 1
            path = f"{table}\0{inner}" if table else inner
            places.setdefault(path, Location(name, number, start, start + len(key[2])))
    return places


def _from_data(data: object, path: str, places: Mapping[str, Location], near: Location) -> Node:
    here = places.get(path)
    location = here or near
    if isinstance(data, dict):
        entries = {
            str(key): _from_data(value, f"{path}\0{key}" if path else str(key), places, location)
            for key, value in data.items()
        }
        return Node(location, entries=entries, key=here)
    if isinstance(data, list):
        return Node(location, items=tuple(_from_data(item, path, places, location) for item in data), key=here)
    text = {True: "true", False: "false"}.get(data, str(data)) if isinstance(data, bool) else str(data)
    scalar: Scalar = data if isinstance(data, (str, int, float, bool)) else text
    return Node(location, scalar, text, isinstance(data, str), key=here)


@dataclass(slots=True)
class _Branch:
    """A mapping under construction while labels are read."""

    location: Location
    children: dict[str, _Branch] = field(default_factory=dict)
    value: str | None = None
    key: str = ""


_INDEX = re.compile(r"^(.*?)\[(\d+)\]$")


def from_labels(labels: Mapping[str, tuple[str, Location]], root: str) -> tuple[Node, tuple[Problem, ...]]:
    """Turn `root.a.b[0].c=value` labels into a tree; keys compare without case, indexes make sequences.

    Labels that contradict each other are problems, the rest still loads.
    """
    top = _Branch(Location(""))
    problems: list[Problem] = []
    for label, (value, location) in labels.items():
        parts = label.split(".")
        if parts[0].lower() != root.lower():
            continue
        branch = top
        top.location = top.location if top.location.file else location
        for part in _expand(parts[1:]):
            branch = branch.children.setdefault(part.lower(), _Branch(location, key=part))
        if branch.value is not None and branch.value != value:
            problems.append(Problem(f"the label {label} is given twice with different values", location, "keep one"))
            continue
        branch.value, branch.location = value, location
    return _branch_node(top), tuple(problems)


def _expand(parts: list[str]) -> Iterator[str]:
    for part in parts:
        found = _INDEX.match(part)
        if found:
            if found[1]:
                yield found[1]
            yield f"[{int(found[2])}]"
        else:
            yield part


def _branch_node(branch: _Branch) -> Node:
    if not branch.children:
        text = branch.value or ""
        return Node(branch.location, text, text, quoted=True, key=branch.location)
    if all(name.startswith("[") for name in branch.children):
        ordered = sorted(branch.children.items(), key=lambda pair: int(pair[0][1:-1]))
        return Node(branch.location, items=tuple(_branch_node(child) for _, child in ordered), key=branch.location)
    entries = {child.key: _branch_node(child) for child in branch.children.values()}
    scalar = branch.value
    return Node(branch.location, scalar, scalar or "", quoted=True, entries=entries, key=branch.location)
