"""Classes that say with their annotations what may stand in a file, and a tree of nodes that is read by them.

A library that does this for JSON knows neither the places of a file nor `${name}`, and would be two fifths of what a
check loads. Nothing is converted and no key is ignored; every mistake is found in one go, each at its node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from auditor.dataclass import dataclass
from auditor.errors import Problem
from auditor.policy.document import Node, join
from auditor.policy.problems import (
    Mistake,
    brief,
    not_a_list,
    not_one_of,
    not_plain,
    not_text,
    said,
    unknown_key,
)


class Model:
    """A mapping of known keys; its classes are frozen dataclasses whose fields are the keys."""

    __slots__ = ()

    @classmethod
    def spelt_out(cls, node: Node) -> Node:
        """Return the long form of what stands for the mapping; raises Mistake where nothing of that kind may."""
        return node

    def verify(self) -> None:
        """Raise Mistake where the keys, each right by itself, make no sense together."""


@dataclass(frozen=True, slots=True)
class Form:
    """Text that meets a regular expression as a whole; of other text the sentence says `what`, then `hint`."""

    pattern: str
    what: str
    hint: str

    def of(self, value: Any, node: Node) -> Any:
        """Return the text."""
        if not re.fullmatch(self.pattern, value):
            raise Mistake(f"{brief(node)} {self.what}", self.hint)
        return value


@dataclass(frozen=True, slots=True)
class Length:
    """How many characters or items there are, both bounds inclusive."""

    least: int = 0
    most: int | None = None

    def of(self, value: Any, node: Node) -> Any:
        """Return the text, the list or the mapping."""
        if len(value) < self.least:
            is_text = isinstance(value, str)
            raise Mistake("empty", "write some text, or delete the key" if is_text else "give at least one item")
        if self.most is not None and len(value) > self.most:
            raise Mistake(f"{brief(node)} is longer than {self.most} characters")
        return value


@dataclass(frozen=True, slots=True)
class Range:
    """How large a number is, both bounds inclusive; `positive`: greater than 0 too."""

    most: int
    least: int | None = None
    positive: bool = False

    def of(self, value: Any, node: Node) -> Any:
        """Return the number."""
        if self.positive and not value > 0:
            raise Mistake(f"{brief(node)} is not greater than 0")
        if (self.least is not None and value < self.least) or not value <= self.most:
            low = "" if self.least is None else f"from {self.least} "
            raise Mistake(f"{brief(node)} is not a number {low}to {self.most}")
        return value


@dataclass(frozen=True, slots=True)
class Judged:
    """A value that a function returns, or refuses with a ValueError: its text is the sentence, a colon, the hint."""

    function: Callable[[Any], object]

    def of(self, value: Any, node: Node) -> Any:
        """Return what the function does."""
        del node
        return self.function(value)


@dataclass(frozen=True, slots=True)
class Written:
    """Text that stands for something else: what it means, an example of it, and the JSON Schema of the text."""

    meaning: Callable[[str], object]
    example: str
    schema: Mapping[str, object] = field(hash=False, compare=False)

    def of(self, value: Any, node: Node) -> Any:
        """Return what the text means."""
        del value
        if not isinstance(node.value, str):
            raise Mistake(f"{brief(node)} is not text", f"such as {self.example}")
        return self.meaning(node.value)


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words that stand for something else."""

    words: tuple[str, ...]
    meaning: Callable[[str], object]

    @property
    def schema(self) -> Mapping[str, object]:
        """The JSON Schema of the words."""
        return {"type": "string", "enum": list(self.words)}

    def of(self, value: Any, node: Node) -> Any:
        """Return what the word means."""
        del value
        if node.word not in self.words:
            raise not_one_of(node, self.words)
        return self.meaning(node.word)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Models that a key of theirs tells apart: the value of the key, and the model."""

    key: str
    what: str

    def chosen(self, node: Node, options: tuple[Any, ...]) -> Any:
        """Return the model that a mapping says it is."""
        known = {get_args(_field(option, self.key).type)[0]: option for option in options}
        tag = node.get(self.key)
        if not isinstance(node.value, dict):
            raise Mistake(f"{brief(node)} is not a mapping")
        if tag is None:
            raise Mistake(f"{self.what} without {self.key}", f"add {self.key}: one of {', '.join(sorted(known))}")
        if tag.word not in known:
            raise not_one_of(tag, sorted(known))
        return known[tag.word]


M = TypeVar("M", bound=Model)
Reading = Callable[[Node, str, list[Problem]], Any]
"""Returns what a node at a path means, or _WRONG once the problems say why."""
_WRONG = object()


def read(kind: type[M], node: Node) -> tuple[M | None, tuple[Problem, ...]]:
    """Return what a tree means by a model, None where there are problems, and one problem per mistake."""
    problems: list[Problem] = []
    made = _mapping(kind, node, "", problems)
    return (None if made is _WRONG else cast("M", made)), tuple(problems)


def _wrong(error: ValueError, node: Node, path: str, problems: list[Problem]) -> object:
    message, hint = said(error)
    problems.append(Problem(message, node.place, hint, path))
    return _WRONG


@cache
def _field(kind: Any, name: str) -> Any:
    return next(item for item in fields(kind) if item.name == name)


@cache
def _readings(kind: Any) -> tuple[dict[str, Reading], tuple[str, ...]]:
    """Return how each key of a model is read, and which have to be there."""
    known = {item.name: _reading(item.type) for item in fields(kind)}
    needed = (i.name for i in fields(kind) if i.default is MISSING and i.default_factory is MISSING)
    return known, tuple(needed)


def _mapping(kind: Any, node: Node, path: str, problems: list[Problem]) -> Any:
    try:
        spelt = kind.spelt_out(node)
    except ValueError as error:
        return _wrong(error, node, path, problems)
    if not isinstance(spelt.value, dict):
        return _wrong(Mistake(f"{brief(spelt)} is not a mapping"), node, path, problems)
    known, needed = _readings(kind)
    given, before = {}, len(problems)
    for name, child in spelt.value.items():
        here, reading = join(path, name), known.get(name)
        if reading is None:
            message, hint = said(unknown_key(name, known))
            problems.append(Problem(message, child.key or child.place, hint, here))
        else:
            given[name] = reading(child, here, problems)
    for name in needed:
        if name not in spelt.value:
            message = f"{path or 'the policy'} has no {name!r}"
            problems.append(Problem(message, node.key or node.place, f"add {name}: …", path))
    if len(problems) > before or any(value is _WRONG for value in given.values()):
        return _WRONG
    made = kind(**given)
    try:
        made.verify()
    except ValueError as error:
        return _wrong(error, node, path, problems)
    return made


def _reading(kind: Any) -> Reading:
    """Return how a value of a type is read."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _list(_reading(arguments[0]))
    if origin is dict:
        return _names(_reading(arguments[0]), _reading(arguments[1]))
    if origin in {Union, UnionType}:
        return _either([part for part in arguments if part is not type(None)], optional=type(None) in arguments)
    if kind in _SCALARS:
        return _scalar(_SCALARS[kind])
    return lambda node, path, problems: _mapping(kind, node, path, problems)


def _text(node: Node) -> str:
    if not isinstance(node.value, str):
        raise not_text(node)
    return node.value


def _whole(node: Node) -> int:
    if isinstance(node.value, bool) or not isinstance(node.value, int):
        raise not_plain(node, _WANTED[int])
    return node.value


def _number(node: Node) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise not_plain(node, _WANTED[float])
    return float(node.value)


def _truth(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise not_plain(node, _WANTED[bool])
    return node.value


_WANTED: dict[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_SCALARS: dict[Any, Callable[[Node], Any]] = {str: _text, int: _whole, float: _number, bool: _truth}


def _scalar(value: Callable[[Node], Any]) -> Reading:
    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        try:
            return value(node)
        except ValueError as error:
            return _wrong(error, node, path, problems)

    return reading


def _annotated(kind: Any, said_of_it: tuple[Any, ...]) -> Reading:
    first = said_of_it[0]
    if isinstance(first, Kinds):
        return _one_of_kinds(first, get_args(kind))
    base = None if isinstance(first, Written | Word) else _reading(kind)

    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        value = None if base is None else base(node, path, problems)
        if value is _WRONG:
            return value
        try:
            for condition in said_of_it:
                value = condition.of(value, node)
        except ValueError as error:
            return _wrong(error, node, path, problems)
        return value

    return reading


def _one_of_kinds(kinds: Kinds, options: tuple[Any, ...]) -> Reading:
    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        try:
            kind = kinds.chosen(node, options)
        except ValueError as error:
            return _wrong(error, node, path, problems)
        return _mapping(kind, node, path, problems)

    return reading


def _literal(choices: tuple[Any, ...]) -> Reading:
    words = tuple(str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices)

    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        for choice in choices:
            if type(node.value) is type(choice) and node.value == choice:
                return choice
        return _wrong(not_one_of(node, words), node, path, problems)

    return reading


def _list(item: Reading) -> Reading:
    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        if not isinstance(node.value, tuple):
            return _wrong(not_a_list(node), node, path, problems)
        made = tuple(item(child, join(path, index), problems) for index, child in enumerate(node.value))
        return _WRONG if any(value is _WRONG for value in made) else made

    return reading


def _names(name: Reading, entry: Reading) -> Reading:
    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        if not isinstance(node.value, dict):
            return _wrong(Mistake(f"{brief(node)} is not a mapping"), node, path, problems)
        made = {}
        for key, child in node.value.items():
            here = join(path, key)
            written = name(Node(key, child.key or child.place, text=key), here, problems)
            value = entry(child, here, problems)
            made[key] = _WRONG if written is _WRONG else value
        return _WRONG if any(value is _WRONG for value in made.values()) else made

    return reading


def _either(options: list[Any], *, optional: bool) -> Reading:
    readings = [_reading(option) for option in options]
    scalars = all(option in _SCALARS for option in options)
    *names, last = [_WANTED.get(option, "") for option in options if not (option is int and float in options)]
    wanted = f"{', '.join(names)}{',' if len(names) > 1 else ''} or {last}"

    def reading(node: Node, path: str, problems: list[Problem]) -> Any:
        if optional and node.value is None:
            return None
        if len(readings) == 1:
            return readings[0](node, path, problems)
        found: list[Problem] = []
        for attempt in readings:
            found = []
            value = attempt(node, path, found)
            if not found and value is not _WRONG:
                return value
        if scalars:
            return _wrong(Mistake(f"{brief(node)} is not {wanted}"), node, path, problems)
        problems += found
        return _WRONG

    return reading
