"""Shortest strings in intersections of machines: a breadth-first walk over rows, within a budget.

The walk stops at the first accepting state, so a string found is a shortest one, and among those of the most
readable bytes. Past the budget it raises `OutOfBudget`; it never returns a wrong "nothing".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from auditor.dataclass import dataclass
from auditor.language.alphabet import FULL, lowest_byte
from auditor.language.automaton import ALL, DEAD, Automaton, Machine, TooLarge, complete

_WANTED_STATES = 3_000
"""An automaton that is only wanted is walked item by item beyond this many states."""


class OutOfBudget(Exception):  # noqa: N818 - an answer (not decided), not a fault
    """A decision took more states or time than it was given."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one decision may use: steps (the bound that counts, the same on every machine) and processor seconds.

    The seconds are a backstop that no decision of so many steps reaches: on a busy machine the answers are the same.

    A step is one state or one way out of it in a product of automata; about 200,000 take a second.
    """

    steps: int = 120_000
    seconds: float = 8.0

    def clock(self) -> Clock:
        """Start counting."""
        return Clock(self)


_WATCH = 8
"""How many times steps are counted before the time is looked at again: looking costs as much as a step."""


class Clock:
    """A budget being used up; one for each decision."""

    __slots__ = ("_deadline", "_left", "_seconds", "_unwatched")

    def __init__(self, budget: Budget) -> None:
        """Start now."""
        self._left = budget.steps
        self._seconds = budget.seconds
        self._unwatched = 0
        self._deadline = time.process_time() + budget.seconds

    def part(self, steps: int | None = None) -> Clock:
        """Set so many steps, or a third of those left, aside for an attempt, and return them as a clock of its own.

        An attempt may take a third of the time that is left.
        """
        aside = max(0, self._left // 3 if steps is None else min(steps, self._left))
        self._left -= aside
        return Clock(Budget(aside, max(0.0, (self._deadline - time.process_time()) / 3)))

    def give_back(self, other: Clock) -> None:
        """Take back what an attempt did not use."""
        self._left += max(0, other._left)

    def use(self, steps: int = 1) -> None:
        """Count steps; OutOfBudget when there are none left or the time is over."""
        self._left -= steps
        if self._left < 0:
            raise OutOfBudget("more steps than the decision was given")
        self._unwatched += 1
        if self._unwatched % _WATCH == 1 and time.process_time() > self._deadline:
            self._left = -1  # over is over, for what is asked before the next look, too
            raise OutOfBudget(f"more than {self._seconds:g} s")


class _ItemView:
    """An automaton whose state is one item: not deterministic, never more states than items. Only for what is wanted."""

    __slots__ = ("_machine",)

    def __init__(self, machine: Automaton) -> None:
        self._machine = machine

    def starts(self) -> list[int]:
        return [item + 1 for item in self._machine.item_start()]

    def row(self, state: int) -> list[tuple[int, int]]:
        result = []
        for mask, items in self._machine.item_row(state - 1):
            bits = items
            if bits & 1:
                result.append((mask, ALL))
                continue
            while bits:
                low = bits & -bits
                result.append((mask, low.bit_length()))
                bits ^= low
        return result

    def final(self, state: int) -> bool:
        return self._machine.item_final(state - 1)


_Key = tuple[int, ...]


def shortest(wanted: Sequence[Machine], refused: Sequence[Machine], clock: Clock) -> bytes | None:
    """Return a shortest string in all of `wanted` and in none of `refused`, None where there is none.

    OutOfBudget where that is not decided. `wanted` automata whose subsets explode are walked item by item.
    """
    try:
        return _walk(list(wanted), [], list(refused), clock)
    except TooLarge:
        pass
    automata = [m for m in wanted if isinstance(m, Automaton)]
    try:
        return _walk(
            [m for m in wanted if not isinstance(m, Automaton)], [_ItemView(m) for m in automata], list(refused), clock
        )
    except TooLarge as e:
        raise OutOfBudget("more states than an automaton may have") from e


def _walk(  # noqa: C901 - the inner loop, kept in one piece for speed
    wanted: list[Machine], views: list[_ItemView], refused: list[Machine], clock: Clock
) -> bytes | None:
    starts: list[_Key] = [tuple(m.start for m in wanted)]
    for view in views:
        starts = [(*key, state) for key in starts for state in view.starts()]
    starts = [(*key, *(m.start for m in refused)) for key in starts]
    positive: list[tuple[Callable[[int], Sequence[tuple[int, int]]], Callable[[int], bool]]]
    positive = [(m.row, m.final) for m in wanted] + [(v.row, v.final) for v in views]
    count = len(positive)

    def accepted(key: _Key) -> bool:
        return all(final(s) for (_, final), s in zip(positive, key, strict=False)) and not any(
            m.final(s) for m, s in zip(refused, key[count:], strict=True)
        )

    origin: dict[_Key, tuple[_Key, int] | None] = {}
    queue: list[_Key] = []
    for key in starts:
        if DEAD in key[:count] or ALL in key[count:] or key in origin:
            continue
        origin[key] = None
        queue.append(key)
        if accepted(key):
            return b""
    growing = [m for m in wanted if isinstance(m, Automaton)]
    for key in queue:
        if any(m.size > _WANTED_STATES for m in growing):
            raise TooLarge
        parts: list[tuple[int, _Key]] = [(FULL, ())]
        for (row, _), state in zip(positive, key, strict=False):
            steps = row(state)
            parts = [(m & step, (*done, target)) for m, done in parts for step, target in steps if m & step]
        for machine, state in zip(refused, key[count:], strict=True):
            if state == DEAD:
                parts = [(m, (*done, DEAD)) for m, done in parts]
                continue
            steps = complete(machine.row(state))
            parts = [
                (m & step, (*done, target)) for m, done in parts for step, target in steps if target != ALL and m & step
            ]
        clock.use(len(parts) + 1)
        if len(parts) > 1:
            parts.sort(key=_rank)
        for mask, target_key in parts:
            if target_key not in origin:
                origin[target_key] = (key, mask)
                if accepted(target_key):
                    return _spell(origin, target_key)
                queue.append(target_key)
    return None


def _rank(part: tuple[int, _Key]) -> int:
    return part[0] & -part[0]


def _spell(origin: dict[_Key, tuple[_Key, int] | None], key: _Key) -> bytes:
    """Read back the bytes that lead to a state."""
    result = bytearray()
    step = origin[key]
    while step is not None:
        key, mask = step
        result.append(lowest_byte(mask))
        step = origin[key]
    result.reverse()
    return bytes(result)
