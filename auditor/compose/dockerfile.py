"""Dockerfiles, as far as the audit needs them: what is copied where, which ports and variables they declare."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

from auditor.compose.interpolate import Variable
from auditor.compose.model import Mount
from auditor.dataclass import dataclass
from auditor.errors import Location

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The lines of the last stage that matter, and of the stages it copies from none."""

    copies: tuple[Mount, ...] = ()
    exposes: tuple[int, ...] = ()
    environment: tuple[Variable, ...] = ()
    arguments: tuple[Variable, ...] = ()


def read(path: Path, context: Path) -> Dockerfile | None:
    """Read a Dockerfile; None where it is not there or is not text."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        text = path.read_text("utf-8", "replace")
    except OSError:
        return None
    return parse(text, str(path), context)


def _instructions(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        start = start or number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        found.append((start, (pending + line).strip()))
        pending, start = "", 0
    if pending:
        found.append((start, pending.strip()))
    return found


def parse(text: str, name: str, context: Path) -> Dockerfile:
    """Parse a Dockerfile's last stage; COPY sources become paths below the context."""
    copies: list[Mount] = []
    exposes: list[int] = []
    environment: list[Variable] = []
    arguments: list[Variable] = []
    directory = "/"
    for number, line in _instructions(text):
        word, _, rest = line.partition(" ")
        place = Location(name, number, 1)
        match word.upper():
            case "FROM":
                copies, exposes, environment, directory = [], [], [], "/"
            case "WORKDIR":
                directory = posixpath.normpath(posixpath.join(directory, rest.strip().strip('"')))
            case "COPY" | "ADD":
                copies.extend(_copy(rest.strip(), directory, context, place))
            case "EXPOSE":
                exposes.extend(int(port) for port in re.findall(r"(?<!\S)(\d+)(?:/tcp)?(?!\S)", rest))
            case "ENV":
                environment.extend(_pairs(rest.strip(), place))
            case "ARG":
                arguments.extend(_pairs(rest.strip(), place))
    return Dockerfile(tuple(copies), tuple(exposes), tuple(environment), tuple(arguments))


def _copy(rest: str, directory: str, context: Path, place: Location) -> list[Mount]:
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        rest = rest.strip()
        if option.startswith("--from"):
            return []
    try:
        words = json.loads(rest) if rest.startswith("[") else rest.split()
    except ValueError:
        return []
    if len(words) < 2 or not all(isinstance(word, str) for word in words):
        return []
    *sources, target = words
    into = target.endswith("/") or len(sources) > 1 or target in (".", "..")
    base = posixpath.normpath(posixpath.join(directory, target))
    made = []
    for source in sources:
        path = context / source.lstrip("/")
        folder = path.is_dir()
        inside = posixpath.join(base, posixpath.basename(source.rstrip("/"))) if into and not folder else base
        made.append(Mount(inside, str(path), place, "copy", read_only=True))
    return made


def _pairs(rest: str, place: Location) -> list[Variable]:
    found = re.findall(r"""([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)""", rest)
    if found:
        return [Variable(name, value.strip("\"'"), place) for name, value in found]
    name, _, value = rest.partition(" ")
    return [Variable(name, value.strip() or None, place)] if name else []
