"""The cells of a family of sets: every combination of matchers that some string has, with a representative each.

All strings are walked at once (`walk`); past the budget the family is refined matcher by matcher instead, and what is
not decided is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from auditor.dataclass import dataclass
from auditor.language.alphabet import plainness
from auditor.language.automaton import Machine, TooLarge
from auditor.language.search import Budget, Clock, OutOfBudget
from auditor.language.sets import Language, Leaf, leaf_contains, solve
from auditor.language.walk import Family, explore, forget


@dataclass(frozen=True, slots=True)
class Cell:
    """A non-empty set of strings that no matcher tells apart.

    `holding`: the indices of the matchers that contain them; `unsure`: those for which that is not decided
    (for these alone the cell may have members on both sides). `matchers`: how many matchers there are.
    """

    representative: bytes
    holding: frozenset[int]
    unsure: frozenset[int]
    matchers: int

    @property
    def signature(self) -> tuple[bool | None, ...]:
        """For each matcher whether it contains the cell; None where not decided."""
        return tuple(None if i in self.unsure else i in self.holding for i in range(self.matchers))

    @property
    def text(self) -> str:
        """The representative as Latin-1 text."""
        return self.representative.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Partition:
    """The cells; `complete`: there are no others. `undecided`: indices of matchers for which something is open."""

    cells: tuple[Cell, ...]
    complete: bool
    undecided: tuple[int, ...]

    def cell_of(self, holding: Iterable[int]) -> Cell | None:
        """Return the cell of exactly these matchers, None where there is none."""
        wanted = frozenset(holding)
        return next((cell for cell in self.cells if cell.holding == wanted), None)


_LARGE = Budget(steps=600_000, seconds=30)
"""A partition answers many questions at once, so it may take longer than one decision."""


def _refine(reading: _Reading, leaves: Sequence[Leaf], budget: Budget) -> tuple[dict[int, bytes], set[Leaf]]:
    """Split the set of all strings leaf by leaf; return the combinations found and the leaves left undecided.

    What is outside is split off first and left at that.
    """
    bits_of = reading.family.bits
    clock = Budget(budget.steps * 8, budget.seconds).clock()
    inside = () if reading.within is None else reading.within.leaves()
    cells: list[_Split] = [(0, b"", (), ())]
    undecided: set[Leaf] = set()
    for leaf in dict.fromkeys((*inside, *leaves)):
        for bit, machine in {bits_of[leaf][0]: leaf.upper, bits_of[leaf][1]: leaf.lower}.items():
            cells, decided = _split(cells, 1 << bit, (leaf, machine), clock, max(budget.steps // 8, 1000))
            if not decided:
                undecided.add(leaf)
        if inside and leaf == inside[-1]:
            cells = [cell for cell in cells if reading.inside(cell[0])]
    return {bits: text for bits, text, _, _ in cells}, undecided


_Bounds: TypeAlias = "tuple[tuple[Leaf, Machine], ...]"
_Split: TypeAlias = "tuple[int, bytes, _Bounds, _Bounds]"
"""Bits of the bounds that hold, a shortest string, the bounds that it is in and those that it is not in."""


def _split(
    cells: list[_Split], bit: int, bound: tuple[Leaf, Machine], clock: Clock, steps: int
) -> tuple[list[_Split], bool]:
    """Split each cell in those inside and those outside one bound; False where some may be missing."""
    after: list[_Split] = []
    decided = True
    for bits, text, wanted, refused in cells:
        halves: tuple[_Split, _Split] = (
            (bits | bit, text, (*wanted, bound), refused),
            (bits, text, wanted, (*refused, bound)),
        )
        here, there = halves if _bound_contains(bound, text) else halves[::-1]
        after.append(here)
        attempt = clock.part(steps)
        try:
            attempt.use()
            other = solve(there[2], there[3], attempt)
        except (OutOfBudget, TooLarge):
            decided = False
        else:
            if other is not None:
                after.append((there[0], other, there[2], there[3]))
        clock.give_back(attempt)
    return after, decided


def _bound_contains(bound: tuple[Leaf, Machine], text: bytes) -> bool:
    leaf, machine = bound
    said = leaf_contains(leaf, text)
    return machine is leaf.upper if said is None else said


def partition(
    matchers: Sequence[Language],
    within: Language | None = None,
    *,
    budget: Budget | None = None,
    candidates: Iterable[str | bytes] = (),
    prefer: Sequence[Language] = (),
) -> Partition:
    """Return the non-empty cells of a family of sets, inside `within` where that is given.

    Each cell has a shortest representative, or the first of `candidates` (realistic strings) that lies in it; where
    that is in none or a later one of the sets `prefer`, a shortest member of the first of them the cell has one of.
    Cells come shortest representative first. Never raises and never runs longer than a few budgets: what is not
    decided is named in `undecided`, and `complete` is false where a cell may be missing.
    """
    budget = budget or _LARGE
    family, leaves = _family(matchers, within)
    reading = _Reading(matchers, within, family)
    undecided: set[Leaf] = set()
    try:
        found = explore(family, budget.clock())
    except (OutOfBudget, TooLarge):
        forget()
        found, undecided = _refine(reading, leaves, budget)
    cells = reading.cells(found, candidates)
    if prefer:
        _improve(cells, matchers, within, prefer, budget)
    return _made(cells, matchers, undecided)


def refined(matchers: Sequence[Language], within: Language | None = None, *, budget: Budget | None = None) -> Partition:
    """Return what `partition` does where a family is too large to walk: split matcher by matcher."""
    budget = budget or _LARGE
    family, leaves = _family(matchers, within)
    reading = _Reading(matchers, within, family)
    found, undecided = _refine(reading, leaves, budget)
    return _made(reading.cells(found), matchers, undecided)


def _family(matchers: Sequence[Language], within: Language | None) -> tuple[Family, tuple[Leaf, ...]]:
    families = [*matchers, within] if within is not None else list(matchers)
    leaves = tuple(dict.fromkeys(leaf for language in families for leaf in language.leaves()))
    return Family(leaves, within), leaves


_Cells: TypeAlias = "dict[tuple[frozenset[int], frozenset[int]], bytes]"
"""The matchers that hold in a cell, those not decided, and its representative."""


def _made(cells: _Cells, matchers: Sequence[Language], undecided: set[Leaf]) -> Partition:
    open_ = {i for key in cells for i in key[1]}
    open_ |= {i for i, matcher in enumerate(matchers) if undecided & set(matcher.leaves())}
    result = [Cell(text, holding, unsure, len(matchers)) for (holding, unsure), text in cells.items()]
    result.sort(key=lambda cell: (plainness(cell.representative), sorted(cell.holding)))
    return Partition(tuple(result), not undecided, tuple(sorted(open_)))


def _improve(
    cells: _Cells,
    matchers: Sequence[Language],
    within: Language | None,
    prefer: Sequence[Language],
    budget: Budget,
) -> None:
    """Replace representatives by members of the first preferred set that has any, as far as the budget goes."""
    clock = Budget(budget.steps, budget.seconds).clock()
    for (holding, unsure), text in cells.items():
        rank = next((i for i, p in enumerate(prefer) if p.contains(text)), len(prefer))
        sides = [m if i in holding else ~m for i, m in enumerate(matchers) if i not in unsure]
        for preferred in prefer[:rank]:
            wanted = Language.intersection([preferred, *sides, *(() if within is None else (within,))])
            try:
                found = wanted.shortest_within(clock)
            except OutOfBudget:
                return
            if found is not None:
                cells[holding, unsure] = found
                break


class _Reading:
    """Translates bits of matchers' bounds into the matchers that hold."""

    def __init__(self, matchers: Sequence[Language], within: Language | None, family: Family) -> None:
        self.family = family
        self.within = within
        self.simple: dict[int, list[int]] = {}
        self.compound: list[tuple[int, Language]] = []
        self.known: dict[Language, tuple[int, dict[int, bool | None]]] = {}
        for i, matcher in enumerate(matchers):
            if matcher.leaf and family.bits[matcher.leaf][0] == family.bits[matcher.leaf][1]:
                self.simple.setdefault(family.bits[matcher.leaf][0], []).append(i)
            else:
                self.compound.append((i, matcher))

    def cells(self, found: dict[int, bytes], candidates: Iterable[str | bytes] = ()) -> _Cells:
        """Turn combinations of bounds into cells, each with the first candidate in it or its plainest string."""
        cells: _Cells = {}
        for bits, text in found.items():
            key = self.read(bits)
            if key is not None and (key not in cells or plainness(text) < plainness(cells[key])):
                cells[key] = text
        for candidate in reversed([c if isinstance(c, bytes) else c.encode("latin-1", "replace") for c in candidates]):
            key = self.read_text(candidate)
            if key in cells:
                cells[key] = candidate
        return cells

    def membership(self, leaf: Leaf, bits: int) -> bool | None:
        upper, lower = self.family.bits[leaf]
        if bits >> lower & 1:
            return True
        return None if bits >> upper & 1 else False

    def holds(self, language: Language, bits: int) -> bool | None:
        """Whether a set holds, which depends on the bits of its own leaves alone."""
        if language not in self.known:
            mask = 0
            for leaf in language.leaves():
                upper, lower = self.family.bits[leaf]
                mask |= 1 << upper | 1 << lower
            self.known[language] = (mask, {})
        mask, known = self.known[language]
        own = bits & mask
        if own not in known:
            known[own] = language.holds({leaf: self.membership(leaf, own) for leaf in language.leaves()})
        return known[own]

    def inside(self, bits: int) -> bool:
        """Whether strings with these bits may lie in `within`, whose leaves' bits must be among them."""
        return self.within is None or self.holds(self.within, bits) is not False

    def read(self, bits: int) -> tuple[frozenset[int], frozenset[int]] | None:
        """Return the matchers that hold and those not decided; None for strings outside `within`."""
        if not self.inside(bits):
            return None
        holding: set[int] = set()
        unsure: set[int] = set()
        rest = bits
        while rest:
            low = rest & -rest
            holding.update(self.simple.get(low.bit_length() - 1, ()))
            rest ^= low
        for i, language in self.compound:
            value = self.holds(language, bits)
            if value is None:
                unsure.add(i)
            elif value:
                holding.add(i)
        return frozenset(holding), frozenset(unsure)

    def read_text(self, text: bytes) -> tuple[frozenset[int], frozenset[int]] | None:
        """Return what `read` would for a string."""
        bits = 0
        for leaf, (upper, lower) in self.family.bits.items():
            said = leaf_contains(leaf, text)
            if said is not False:
                bits |= 1 << upper
            if said:
                bits |= 1 << lower
        return self.read(bits)
