"""A set of strings that are put together of several parts, as the combinations of sets that the parts have to be of.

A text such as `"$host$uri"` is in a set where its parts are: after the first part an automaton is in one of finitely many
states, and what may follow depends on that state alone. So the set is a union of products, one for each way through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from auditor.dataclass import dataclass
from auditor.language.alphabet import BIT, FULL
from auditor.language.automaton import ALL, DEAD, Machine, Row, TooLarge, complete
from auditor.language.search import OutOfBudget
from auditor.language.sets import Language, Leaf

Part: TypeAlias = "bytes | tuple[str, ...] | Language"
"""A literal text; one of some texts; any string of a set (one matcher, not a combination)."""

Choice: TypeAlias = "str | Language | None"
"""What one part that is no literal has to be: this text, of this set, or anything (None)."""

_MOST_STEPS = 20_000
_MOST_ROWS = 400


@dataclass(frozen=True, slots=True)
class _Rest:
    """What remains to be read from a state on: a string is in it where it, and a text after it, lead to an accepting state.

    With `ends` it has to lead to one of these states instead.
    """

    base: Machine
    start: int
    tail: bytes = b""
    ends: frozenset[int] = frozenset()

    def row(self, state: int) -> Row:
        """Return where the bytes lead from a state; what accepts whatever follows is none of `ends` unless it is named."""
        row = self.base.row(state)
        if self.ends and ALL not in self.ends:
            return tuple((mask, target) for mask, target in row if target != ALL)
        return row

    def final(self, state: int) -> bool:
        """Whether the string read so far is in it."""
        reached = walk(self.base, state, self.tail)
        return reached in self.ends if self.ends else self.base.final(reached)


def walk(machine: Machine, state: int, text: bytes) -> int:
    """Return the state that a text leads to."""
    for byte in text:
        if state in (DEAD, ALL):
            return state
        state = next((target for mask, target in machine.row(state) if mask & BIT[byte]), DEAD)
    return state


def products(language: Language, parts: Sequence[Part]) -> list[tuple[Choice, ...]] | None:
    """Return combinations of what the parts have to be so that all of them in a row are in a set of one matcher.

    The union of the combinations is exactly that. None where it cannot be said, or in too many combinations.
    """
    leaf = language.leaf
    if leaf is None or leaf.lower is not leaf.upper:
        return None
    try:
        reading = _Reading(leaf, [part for part in parts if part != b""])
        return list(dict.fromkeys(reading.rows(0, leaf.upper.start)))
    except (TooLarge, OutOfBudget):
        return None


class _Reading:
    """Follows the parts through one automaton."""

    def __init__(self, leaf: Leaf, parts: Sequence[Part]) -> None:
        self.leaf, self.machine = leaf, leaf.upper
        self.parts = parts
        self.known: dict[tuple[int, int], list[tuple[Choice, ...]]] = {}
        self.steps = self.made = 0

    def rows(self, index: int, state: int) -> list[tuple[Choice, ...]]:
        """Return the combinations of the parts from one on, from a state on."""
        key = (index, state)
        if key not in self.known:
            self.known[key] = list(self._rows(index, state))
            self.made += len(self.known[key])
            if self.made > _MOST_ROWS:
                raise OutOfBudget("more combinations than can be looked at")
        return self.known[key]

    def _rows(self, index: int, state: int) -> Iterator[tuple[Choice, ...]]:
        if state == DEAD:
            return
        if state == ALL:
            yield tuple(None for part in self.parts[index:] if not isinstance(part, bytes))
        elif index == len(self.parts):
            yield from [()] if self.machine.final(state) else []
        elif isinstance(part := self.parts[index], bytes):
            yield from self.rows(index + 1, walk(self.machine, state, part))
        elif isinstance(part, tuple):
            for text in part:
                for rest in self.rows(index + 1, walk(self.machine, state, text.encode("latin-1"))):
                    yield (text, *rest)
        else:
            yield from self._ways(part, index + 1, state)

    def _ways(self, part: Language, following: int, state: int) -> Iterator[tuple[Choice, ...]]:
        """Yield the combinations where a part may be any string of a set: by the state that it leads to."""
        tail = b""
        while following < len(self.parts) and isinstance(literal := self.parts[following], bytes):
            tail, following = tail + literal, following + 1
        ends = {walk(self.machine, end, tail) for end in self._ends(part, state)}
        if following == len(self.parts):
            if any(self.machine.final(end) for end in ends):
                yield (self._language(state, tail, frozenset()),)
            return
        groups: dict[tuple[tuple[Choice, ...], ...], set[int]] = {}
        for end in sorted(ends):
            if rest_rows := tuple(self.rows(following, end)):
                groups.setdefault(rest_rows, set()).add(end)
        for rest_rows, alike in groups.items():
            choice = self._language(state, tail, frozenset(alike))
            for rest in rest_rows:
                yield (choice, *rest)

    def _ends(self, domain: Language, state: int) -> set[int]:
        """Return the states that the strings of a set lead to."""
        other = domain.leaf.upper if domain.leaf is not None else None
        if other is None:
            raise OutOfBudget("a combination of matchers")
        found: set[int] = set()
        queue = [(other.start, state)]
        seen = set(queue)
        for at, here in queue:
            if other.final(at):
                found.add(here)
            for mask, target in other.row(at):
                for step, reached in complete(self.machine.row(here)) if here != ALL else ((FULL, ALL),):
                    key = (target, reached)
                    if mask & step and DEAD not in key and key not in seen:
                        self.steps += 1
                        if self.steps > _MOST_STEPS:
                            raise OutOfBudget("more steps than can be taken")
                        seen.add(key)
                        queue.append(key)
        return found

    def _language(self, state: int, tail: bytes, ends: frozenset[int]) -> Language:
        """Return the strings that lead on from a state as wanted."""
        kind, text, caseless = self.leaf.key
        name = f"{kind} of {id(self.machine)} from {state} then {tail!r} to {sorted(ends)}"
        machine = _Rest(self.machine, state, tail, ends)
        return Language("leaf", (), Leaf((name, text, caseless), machine, machine))


@dataclass(frozen=True, slots=True)
class _Behind:
    """A text, then a string of another automaton; the states of that come after one for each byte of the text."""

    text: bytes
    base: Machine
    start: int

    def row(self, state: int) -> Row:
        """Return where the bytes lead from a state."""
        size = len(self.text)
        if state in (DEAD, ALL):
            return self.base.row(state)
        if state < 2 + size:
            after = state + 1 if state + 1 < 2 + size else self._moved(self.base.start)
            return ((BIT[self.text[state - 2]], after),)
        return tuple((mask, self._moved(target)) for mask, target in self.base.row(state - size))

    def final(self, state: int) -> bool:
        """Whether the string read so far is in it."""
        size = len(self.text)
        if state in (DEAD, ALL):
            return state == ALL
        return state >= 2 + size and self.base.final(state - size)

    def _moved(self, state: int) -> int:
        return state if state in (DEAD, ALL) else state + len(self.text)


def behind(text: bytes, language: Language) -> Language | None:
    """Return the strings that are a text and then a member of a set of one matcher; None of another set."""
    leaf = language.leaf
    if leaf is None or leaf.lower is not leaf.upper or not text:
        return None if text else language
    kind, written, caseless = leaf.key
    machine = _Behind(text, leaf.upper, 2)
    return Language("leaf", (), Leaf((f"{text!r} and {kind} of {id(leaf.upper)}", written, caseless), machine, machine))
