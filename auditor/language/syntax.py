"""The syntax tree of a regular expression: what a PCRE pattern says, before anything is decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

GuardKind = Literal[
    "start",  # ^ \\A \\G: no byte before
    "line-start",  # ^ under (?m): no byte before, or \n before and a byte after
    "end",  # \\z: no byte after
    "end-or-newline",  # $ \\Z: no byte after, or one final \n
    "line-end",  # $ under (?m): no byte after, or \n after
    "word",  # \\b
    "not-word",  # \\B
]
RepeatMode = Literal["greedy", "lazy", "possessive"]


@dataclass(frozen=True, slots=True)
class Chars:
    """One byte out of a set."""

    mask: int


@dataclass(frozen=True, slots=True)
class Concat:
    """One after the other; empty: the empty string."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several, the first that lets the rest match; none: nothing matches."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A node between `low` and `high` times (None: no end)."""

    item: Node
    low: int
    high: int | None
    mode: RepeatMode = "greedy"


@dataclass(frozen=True, slots=True)
class Guard:
    """A place in the subject, no byte taken."""

    kind: GuardKind


@dataclass(frozen=True, slots=True)
class Look:
    """What follows (`ahead`) or precedes matches, or does not (`negative`); no byte taken."""

    item: Node
    ahead: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Atomic:
    """The first way the item matches here, and no other."""

    item: Node


@dataclass(frozen=True, slots=True)
class BackReference:
    """The text that a group took; not regular. `caseless`: either case of each letter."""

    group: int
    caseless: bool


@dataclass(frozen=True, slots=True)
class Call:
    """The pattern of a group again (a subroutine); group 0 is the whole pattern."""

    group: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """A construct whose language is not known: between nothing and `most`."""

    most: Node
    reason: str


Node: TypeAlias = "Chars | Concat | Alt | Repeat | Guard | Look | Atomic | BackReference | Call | Opaque"

EMPTY = Concat(())
NOTHING = Alt(())


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: its tree and the bodies of its numbered groups (several with one number after `(?|`)."""

    tree: Node
    groups: dict[int, tuple[Node, ...]]


def concat(items: list[Node]) -> Node:
    """Join nodes, flattening and dropping empty ones."""
    flat: list[Node] = []
    for item in items:
        if isinstance(item, Concat):
            flat.extend(item.items)
        else:
            flat.append(item)
    return flat[0] if len(flat) == 1 else Concat(tuple(flat))


def alt(items: list[Node]) -> Node:
    """Choose between nodes, flattening; the order is kept."""
    flat: list[Node] = []
    for item in items:
        if isinstance(item, Alt):
            flat.extend(item.items)
        else:
            flat.append(item)
    return flat[0] if len(flat) == 1 else Alt(tuple(flat))
