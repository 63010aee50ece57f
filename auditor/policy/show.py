"""The effective policy as YAML, each line with the file and line that said it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from auditor.errors import Location
from auditor.policy.document import Node, core_scalar
from auditor.policy.loaded import LoadedPolicy

WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*", re.ASCII)
_FIRST = ("id", "type", "version", "name", "variables", "settings", "targets", "layers", "match", "probes", "served_by")
_APPLIED = frozenset({"extends", "environments"})


def show(loaded: LoadedPolicy) -> str:
    """Return the policy after extends, environment and variables as a policy file, with where each value came from.

    Clauses stated for every route stand in every route. Loading the text again gives the same rules.
    """
    chosen = f", environment {loaded.environment}" if loaded.environment else ""
    lines = [f"# {_printable(loaded.policy.name)}{chosen}", f"# {_printable(loaded.file)} sha256:{loaded.sha256}"]
    lines += [f"# extends {_printable(name)} sha256:{digest}" for name, digest in loaded.extends]
    entries = {key: node for key, node in loaded.tree.entries.items() if key not in _APPLIED}
    lines += _mapping(Node(entries, loaded.tree.place), 0)
    return "\n".join(lines) + "\n"


def _mapping(node: Node, depth: int) -> Iterator[str]:
    for key, child in sorted(node.entries.items(), key=_rank):
        yield from _entry(f"{'  ' * depth}{_scalar(key)}:", child, depth)


def _rank(entry: tuple[str, Node]) -> int:
    """Put what names a thing before what is said about it; everything else stays in order."""
    return _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST)


def _entry(head: str, node: Node, depth: int) -> Iterator[str]:
    flow = _flow(node)
    if flow is not None and (len(head) + len(flow) < WIDTH or not isinstance(node.value, dict | tuple)):
        yield f"{head} {flow}{_origin(node.key or node.place)}"
    elif isinstance(node.value, dict):
        yield head
        yield from _mapping(node, depth + 1)
    else:
        yield head
        for item in node.items:
            yield from _item(item, depth + 1)


def _item(node: Node, depth: int) -> Iterator[str]:
    indent = "  " * depth
    flow = _flow(node)
    if flow is not None and (len(flow) + len(indent) < WIDTH or not isinstance(node.value, dict)):
        yield f"{indent}- {flow}{_origin(node.place)}"
        return
    lines = list(_mapping(node, depth + 1))
    yield f"{indent}- {lines[0].lstrip()}"
    yield from lines[1:]


def _flow(node: Node, depth: int = 0) -> str | None:
    """Return a value on one line; None for a mapping that holds more than scalars and lists of them."""
    if isinstance(node.value, dict):
        parts = [(key, _flow(child, depth + 1)) for key, child in node.entries.items()]
        if depth > 1 or any(text is None for _, text in parts):
            return None
        return "{" + ", ".join(f"{_scalar(key)}: {text}" for key, text in parts) + "}"
    if isinstance(node.value, tuple):
        items = [_flow(child, depth + 1) for child in node.items]
        return None if any(item is None for item in items) else "[" + ", ".join(str(item) for item in items) + "]"
    if isinstance(node.value, str):
        return _scalar(node.value)
    if isinstance(node.value, bool):
        return str(node.value).lower()
    return "null" if node.value is None else node.text or repr(node.value)


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and isinstance(core_scalar(text), str):
        return text
    return _printable(json.dumps(text.replace("${", "$${"), ensure_ascii=False))


def _printable(text: str) -> str:
    """Return text whose every other character is escaped as YAML's double-quoted style does."""
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _origin(place: Location) -> str:
    return f"  # {_printable(str(Location(place.file, place.line)))}"
