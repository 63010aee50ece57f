"""The syntax tree of a regular expression: what a PCRE pattern says, before anything is decided about it.

Nodes are named tuples, not dataclasses: a tree has thousands, and this module is imported by every run.
Compare them by type first: a named tuple equals any tuple of the same values.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

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


class Chars(NamedTuple):
    """One byte out of a set."""

    mask: int


class Concat(NamedTuple):
    """One after the other; empty: the empty string."""

    items: tuple[Node, ...]


class Alt(NamedTuple):
    """One of several, the first that lets the rest match; none: nothing matches."""

    items: tuple[Node, ...]


class Repeat(NamedTuple):
    """A node between `low` and `high` times (None: no end)."""

    item: Node
    low: int
    high: int | None
    mode: RepeatMode = "greedy"


class Guard(NamedTuple):
    """A place in the subject, no byte taken."""

    kind: GuardKind


class Look(NamedTuple):
    """What follows (`ahead`) or precedes matches, or does not (`negative`); no byte taken."""

    item: Node
    ahead: bool
    negative: bool


class Atomic(NamedTuple):
    """The first way the item matches here, and no other."""

    item: Node


class BackReference(NamedTuple):
    """The text that a group took; not regular. `caseless`: either case of each letter."""

    group: int
    caseless: bool


class Call(NamedTuple):
    """The pattern of a group again (a subroutine); group 0 is the whole pattern."""

    group: int


class Opaque(NamedTuple):
    """A construct whose language is not known: between nothing and `most`."""

    most: Node
    reason: str


Node: TypeAlias = "Chars | Concat | Alt | Repeat | Guard | Look | Atomic | BackReference | Call | Opaque"

EMPTY = Concat(())
NOTHING = Alt(())


class Pattern(NamedTuple):
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
