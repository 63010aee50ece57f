"""Many machines read in step, built as far as they are asked: a tree of products of two, each with rows of its own.

A machine from which nothing or everything is accepted has *settled*: it drops out of the state, and the step that
settled it says once, as a bit *gained*, that it accepts whatever follows. So two states differ only in what can still
come, and what the two halves of a product have worked out is shared by every pair of their states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from auditor.language.alphabet import FULL
from auditor.language.automaton import ALL, DEAD, Machine, complete
from auditor.language.search import Clock

Step: TypeAlias = "tuple[int, int, int]"
"""A set of bytes, the state it leads to, and the bits gained by that."""
Steps: TypeAlias = "tuple[Step, ...]"
"""Disjoint sets of bytes; those in none of them lead nowhere that is of interest."""


class Part(Protocol):
    """One machine, or several in step."""

    @property
    def start(self) -> int:
        """The state before the first byte."""
        ...

    @property
    def gained(self) -> int:
        """The bits of the machines that accept everything from the start."""
        ...

    def row(self, state: int) -> Steps:
        """Return where the bytes lead from a state."""
        ...

    def finals(self, state: int) -> int:
        """Return the bits of the machines that accept here, but for those that have settled."""
        ...


class _Single:
    """One machine, as far as it matters to strings of some bytes."""

    __slots__ = ("_alphabet", "_bit", "_machine", "_rows", "_settled", "gained", "start")

    def __init__(self, machine: Machine, bit: int, alphabet: int) -> None:
        self._machine, self._bit, self._alphabet = machine, bit, alphabet
        self._settled = {DEAD: DEAD, ALL: ALL}
        self._rows: dict[int, Steps] = {DEAD: ((alphabet, DEAD, 0),)}
        self.start, self.gained = self._after(machine.start)

    def row(self, state: int) -> Steps:
        found = self._rows.get(state)
        if found is None:
            merged: dict[tuple[int, int], int] = {}
            for mask, target in complete(self._machine.row(state)):
                if mask & self._alphabet:
                    after = self._after(target)
                    merged[after] = merged.get(after, 0) | mask & self._alphabet
            found = self._rows[state] = tuple((mask, *after) for after, mask in merged.items())
        return found

    def finals(self, state: int) -> int:
        return self._bit if state != DEAD and self._machine.final(state) else 0

    def _after(self, state: int) -> tuple[int, int]:
        """Return the state once those that have settled are told, and what is gained by that."""
        found = self._settled.get(state)
        if found is None:
            found = self._settled[state] = self._settle(state)
        return (DEAD, self._bit) if found == ALL else (found, 0)

    def _settle(self, state: int) -> int:
        """Return DEAD or ALL where no string, or each, leads from a state to acceptance; looks a few states ahead."""
        ahead = [state]
        accepting = self._machine.final(state)
        for at in ahead:
            left = self._alphabet
            for mask, target in self._machine.row(at):
                if not mask & left:
                    continue
                left &= ~mask
                if target in ahead:
                    continue
                if self._machine.final(target) != accepting or len(ahead) == _AHEAD:
                    return state
                ahead.append(target)
            if left and accepting:
                return state
        return ALL if accepting else DEAD


_AHEAD = 16
"""How many states are looked at to tell that a machine has settled; most that have are told from one or two."""


class _Bounding:
    """The machines that say what is of interest: a step after which no string is leads nowhere.

    None of them drops out, so that it can be told what all of them mean together.
    """

    __slots__ = ("_bits", "_finals", "_hopeless", "_ids", "_keys", "_known", "_machines", "_rows", "gained", "start")

    def __init__(
        self, machines: Sequence[Machine], bits: Sequence[int], hopeless: Callable[[tuple[int, ...]], bool]
    ) -> None:
        self._machines, self._bits, self._hopeless = machines, bits, hopeless
        self._keys: list[tuple[int, ...]] = []
        self._ids: dict[tuple[int, ...], int] = {}
        self._rows: list[Steps | None] = []
        self._finals: list[int] = []
        self._known: dict[tuple[int, ...], bool] = {}
        self.start, self.gained = self._number(tuple(m.start for m in machines)), 0

    def _number(self, key: tuple[int, ...]) -> int:
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._keys)
            self._keys.append(key)
            self._rows.append(None)
            self._finals.append(
                sum(bit for m, bit, at in zip(self._machines, self._bits, key, strict=True) if at and m.final(at))
            )
        return found

    def row(self, state: int) -> Steps:
        found = self._rows[state]
        if found is None:
            parts: list[tuple[int, tuple[int, ...]]] = [(FULL, ())]
            for machine, at in zip(self._machines, self._keys[state], strict=True):
                if at in _SETTLED:
                    parts = [(m, (*done, at)) for m, done in parts]
                    continue
                steps = complete(machine.row(at))
                parts = [(m & step, (*done, target)) for m, done in parts for step, target in steps if m & step]
            found = self._rows[state] = tuple((m, self._number(key), 0) for m, key in parts if not self._is_over(key))
        return found

    def alphabet(self) -> int:
        """Return the bytes that strings of interest are made of, or all where that takes more than a few states."""
        found = 0
        for state, _ in enumerate(self._keys):
            if state == _AHEAD:
                return FULL
            for mask, _, _ in self.row(state):
                found |= mask
        return found

    def _is_over(self, key: tuple[int, ...]) -> bool:
        """Whether no string that leads here is of interest; that depends on the machines that have settled."""
        if _SETTLED.isdisjoint(key):
            return False
        settled = tuple(at if at in _SETTLED else _OPEN for at in key)
        found = self._known.get(settled)
        if found is None:
            found = self._known[settled] = self._hopeless(settled)
        return found

    def finals(self, state: int) -> int:
        return self._finals[state]


_SETTLED = frozenset((DEAD, ALL))
_OPEN = max(DEAD, ALL) + 1
"""What stands for every state of a machine that has not settled."""


class _Pair:
    """Two parts in step; a state is a pair of theirs, numbered."""

    __slots__ = ("_finals", "_ids", "_keys", "_left", "_right", "_rows", "gained", "start")

    def __init__(self, left: Part, right: Part) -> None:
        self._left, self._right = left, right
        self._keys: list[tuple[int, int]] = []
        self._ids: dict[tuple[int, int], int] = {}
        self._rows: list[Steps | None] = []
        self._finals: list[int] = []
        self.start, self.gained = self._number((left.start, right.start)), left.gained | right.gained

    def _number(self, key: tuple[int, int]) -> int:
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._keys)
            self._keys.append(key)
            self._rows.append(None)
            self._finals.append(self._left.finals(key[0]) | self._right.finals(key[1]))
        return found

    def row(self, state: int) -> Steps:
        found = self._rows[state]
        if found is None:
            left, right = self._keys[state]
            ours, others = self._left.row(left), self._right.row(right)
            if len(ours) == 1:  # all of it has settled: the other's steps are the steps
                bytes_, a, gained = ours[0]
                found = self._rows[state] = tuple(
                    (both, self._number((a, b)), gained | more) for mask, b, more in others if (both := bytes_ & mask)
                )
                return found
            merged: dict[tuple[int, int, int], int] = {}
            for rest, a, gained in ours:
                for mask, b, more in others:
                    both = rest & mask
                    if both:
                        key = (a, b, gained | more)
                        merged[key] = merged.get(key, 0) | both
                        rest ^= both  # noqa: PLW2901 - what is left of it
                        if not rest:
                            break
            found = self._rows[state] = tuple((mask, self._number((a, b)), g) for (a, b, g), mask in merged.items())
        return found

    def finals(self, state: int) -> int:
        return self._finals[state]


class Product:
    """Several machines in step, a bit each in their order, and the clock on which the ways out of each state count, once."""

    def __init__(
        self,
        machines: Sequence[Machine],
        clock: Clock,
        bounding: Sequence[int] = (),
        hopeless: Callable[[tuple[int, ...]], bool] = lambda _: False,
    ) -> None:
        """Read `machines`; where those numbered `bounding` are in states of which `hopeless` is true, nothing follows.

        `hopeless` is told their states in that order, with some number other than DEAD and ALL for one that has not
        settled.
        """
        limits = _Bounding([machines[i] for i in bounding], [1 << i for i in bounding], hopeless)
        alphabet = limits.alphabet()
        parts = [_Single(m, 1 << i, alphabet) for i, m in enumerate(machines) if i not in bounding]
        # the bounding ones have the most states: beside them, and not among them, the product of the others stays small
        self._root = limits if not parts else _Pair(_halved(parts), limits) if bounding else _halved(parts)
        self._rows: dict[int, Steps] = {}
        self.clock = clock
        self.start, self.gained = self._root.start, self._root.gained
        self.finals = self._root.finals

    def row(self, state: int) -> Steps:
        """Return where the bytes lead from a state, most readable bytes first."""
        found = self._rows.get(state)
        if found is None:
            found = self._rows[state] = tuple(sorted(self._root.row(state), key=_rank))
            self.clock.use(len(found))
        return found


def _rank(step: Step) -> int:
    return step[0] & -step[0]


def _halved(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return _Pair(_halved(parts[:middle]), _halved(parts[middle:]))
