"""The files of an application, found by import as Python would find them."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from auditor.backend.application import (
    CORS_HEADERS,
    WELL_KNOWN,
)
from auditor.backend.values import Module
from auditor.dataclass import dataclass
from auditor.errors import Location, Problem

MAX_FILES = 400


MAX_BYTES = 2 * 1024 * 1024


@dataclass(slots=True)
class Source:
    """The files of one application, found by import as Python would from the first file's folders."""

    roots: tuple[Path, ...]
    modules: dict[str, Module] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    mentioned: set[str] = field(default_factory=set)
    reads_headers: bool = False

    def find(self, name: str, importer: Module | None, level: int) -> Module | None:
        """Return the module of these files that a name means, None where it is not one of them."""
        parts = [part for part in name.split(".") if part]
        if level and importer is not None:
            base = Path(importer.path).parent
            for _ in range(level - 1):
                base = base.parent
            bases: Sequence[Path] = (base,)
        else:
            bases = self.roots
        for base in bases:
            path = base.joinpath(*parts) if parts else base
            for candidate in (path.with_suffix(".py") if parts else None, path / "__init__.py"):
                if candidate is not None and candidate.is_file():
                    return self.open(candidate, name)
        return None

    def open(self, path: Path, name: str) -> Module | None:
        """Parse a file once; None where it is not Python or there are too many."""
        key = str(path)
        if key in self.modules:
            return self.modules[key]
        if len(self.modules) >= MAX_FILES:
            return None
        try:
            raw = path.read_bytes()
            if len(raw) > MAX_BYTES:
                raise ValueError(f"larger than {MAX_BYTES} bytes")  # noqa: TRY301
            tree = ast.parse(raw)
        except SyntaxError as error:
            place = Location(key, error.lineno or 0, error.offset or 0)
            self.problems.append(Problem(f"{key} is not Python: {error.msg}", place, "correct the file"))
            return None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            self.problems.append(Problem(f"{key} cannot be read: {error}", Location(key), "check the file"))
            return None
        self.hashes[key] = hashlib.sha256(raw).hexdigest()
        lower = raw.lower()
        self.mentioned |= {name for name in WELL_KNOWN if name.encode() in lower}
        self.mentioned |= {"set-cookie"} if b"set_cookie" in lower else set()
        self.mentioned |= CORS_HEADERS if b"access-control-" in lower else set()
        self.reads_headers = self.reads_headers or b".headers" in lower or b"scope[" in lower
        self.modules[key] = Module(name, key, tree)
        return self.modules[key]


def roots(files: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders that imports may start from: those of the files, and those above them."""
    found: dict[Path, None] = {}
    for path in files:
        folder = path.parent
        found[folder] = None
        for _ in range(4):
            if not (folder / "__init__.py").is_file() and folder != path.parent:
                break
            folder = folder.parent
            found[folder] = None
    return tuple(found)
