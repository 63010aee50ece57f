"""A drafted policy as YAML with comments, one clause a line where it fits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.policy.document import core_scalar

WIDTH = 110

_FILE = re.compile("\0([^\0]*)\0")
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with what there is to say of it: at the end of its line, and on lines above it."""

    value: Any
    note: str = ""
    above: tuple[str, ...] = ()


def write(head: Sequence[str], document: Mapping[str, Any], folder: Path = Path()) -> str:
    """Return a document as YAML text under some lines of comment; places are named relative to a folder."""
    lines = [f"# {line}".rstrip() for line in head]
    for key, value in _resolved(document, folder).items():
        entry = list(_entry(key, value, 0))
        lines += ["", *entry] if len(entry) > 1 and lines[-1] else entry
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, depth: int) -> Iterator[str]:
    noted = value if isinstance(value, Noted) else Noted(value)
    indent = "  " * depth
    yield from (f"{indent}# {printable(line)}" for line in noted.above)
    note = f"  # {printable(noted.note)}" if noted.note else ""
    head = f"{indent}{scalar(key)}:"
    flow = _flow(noted.value)
    if flow is not None and (len(head) + len(flow) < WIDTH or not isinstance(noted.value, dict | list)):
        yield f"{head} {flow}{note}"
    elif isinstance(noted.value, dict):
        yield f"{head}{note}"
        for name, child in noted.value.items():
            yield from _entry(name, child, depth + 1)
    else:
        yield f"{head}{note}"
        for item in noted.value:
            yield from _item(item, depth + 1)


def _item(value: Any, depth: int) -> Iterator[str]:
    noted = value if isinstance(value, Noted) else Noted(value)
    indent = "  " * depth
    yield from (f"{indent}# {printable(line)}" for line in noted.above)
    note = f"  # {printable(noted.note)}" if noted.note else ""
    flow = _flow(noted.value)
    if flow is not None and (len(indent) + len(flow) < WIDTH or not isinstance(noted.value, dict)):
        yield f"{indent}- {flow}{note}"
        return
    first, *rest = [line for name, child in noted.value.items() for line in _entry(name, child, depth + 1)]
    yield f"{indent}- {first.lstrip()}{note}"
    yield from rest


def _flow(value: Any) -> str | None:
    """Return a value on one line; None where something in it has a comment."""
    if isinstance(value, Noted):
        return None if value.note or value.above else _flow(value.value)
    if isinstance(value, dict):
        parts = [(scalar(key), _flow(child)) for key, child in value.items()]
        return None if any(text is None for _, text in parts) else "{" + ", ".join(f"{k}: {t}" for k, t in parts) + "}"
    if isinstance(value, list):
        items = [_flow(item) for item in value]
        return None if any(item is None for item in items) else "[" + ", ".join(str(item) for item in items) + "]"
    if isinstance(value, str):
        return scalar(value)
    return "null" if value is None else json.dumps(value)


def _resolved(value: Any, folder: Path) -> Any:
    """Return a value whose comments name files relative to a folder."""

    def said(text: str) -> str:
        return _FILE.sub(lambda match: os.path.relpath(match[1], folder), text)

    if isinstance(value, Noted):
        return Noted(_resolved(value.value, folder), said(value.note), tuple(said(line) for line in value.above))
    if isinstance(value, dict):
        return {key: _resolved(child, folder) for key, child in value.items()}
    return [_resolved(item, folder) for item in value] if isinstance(value, list) else value


def seen_at(location: Location | None) -> str:
    """Name a line in a comment: `file:line`, its file in marks until `write` knows whence; "" where there is none."""
    return str(Location(f"\0{location.file}\0", location.line)) if location is not None else ""


def scalar(text: str) -> str:
    """Return text as YAML reads it back: plain where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(text) and isinstance(core_scalar(text), str):
        return text
    return printable(json.dumps(text.replace("${", "$${"), ensure_ascii=False))


def printable(text: str) -> str:
    """Return text with every other character escaped, so that it stays on its line."""
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in text)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
