"""What the interpreter of application source works with: known values, and unknown ones that say why."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeGuard

from auditor.dataclass import dataclass
from auditor.errors import Location


@dataclass(frozen=True, slots=True)
class Undecided:
    """A value that the files do not decide, and the place that made it so."""

    reason: str
    location: Location


@dataclass(slots=True)
class Function:
    """A function of the application, with the scope it was defined in."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    module: Module
    scope: dict[str, Any]
    bound: object = None


@dataclass(slots=True)
class Class:
    """A class of the application: its defaults, its methods, whether it reads the environment (pydantic-settings)."""

    name: str
    module: Module
    attributes: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, tuple[Any, str, Location]] = field(default_factory=dict)
    bases: tuple[Any, ...] = ()
    settings: bool = False
    prefix: str = ""
    node: ast.ClassDef | None = None


@dataclass(slots=True)
class Instance:
    """An object of a class of the application."""

    of: Class
    attributes: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Location] = field(default_factory=dict)


@dataclass(slots=True)
class Imported:
    """A name that comes from outside the files: "fastapi.FastAPI", "os.environ"."""

    path: str
    location: Location


@dataclass(slots=True)
class Made:
    """An object of a framework class: what made it, its arguments, and what was done to it."""

    kind: str
    location: Location
    arguments: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Location] = field(default_factory=dict)
    positional: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class Call:
    """One method call on a framework object, in the order of execution; `uncertain` says why it may not happen."""

    method: str
    positional: list[Any]
    arguments: dict[str, Any]
    places: dict[str, Location]
    location: Location
    decorates: Function | Undecided | None = None
    uncertain: str = ""


@dataclass(slots=True)
class Module:
    """One file of the application while it is interpreted."""

    name: str
    path: str
    tree: ast.Module
    scope: dict[str, Any] = field(default_factory=dict)
    done: bool = False

    def place(self, node: ast.AST) -> Location:
        """Return the place of a syntax node."""
        line = getattr(node, "lineno", 0)
        column = getattr(node, "col_offset", -1) + 1
        end = getattr(node, "end_col_offset", 0) + 1 if getattr(node, "end_lineno", 0) == line else 0
        return Location(self.path, line, column, end)


Builtin = Callable[..., Any]
PLAIN = (str, int, float, bool, bytes, type(None))


def known(value: object) -> bool:
    """Whether a value and everything in it is decided."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(known, value))
    if isinstance(value, dict):
        return all(known(key) and known(item) for key, item in value.items())
    return isinstance(value, PLAIN)


def is_undecided(value: object) -> TypeGuard[Undecided]:
    """Whether a value is not decided."""
    return isinstance(value, Undecided)


def doubt_in(value: object) -> Undecided | None:
    """Return the first undecided part of a value."""
    if isinstance(value, Undecided):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return next((found for found in map(doubt_in, value) if found), None)
    if isinstance(value, dict):
        return next((found for item in value.values() if (found := doubt_in(item))), None)
    return None
