"""The cells of a family of sets: every combination of matchers that some string has, with a representative each.

Exact strings and prefixes form a trie that is walked once; regular expressions run beside it as one joint automaton,
whose reachable combinations are computed once and shared by every place where a string can leave the trie.
Past the budget the family is refined matcher by matcher instead, and what is not decided is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from auditor.dataclass import dataclass
from auditor.language.alphabet import BIT, FULL, RANKED, fold, lowest_byte
from auditor.language.automaton import ALL, DEAD, Machine, Row, TooLarge, complete
from auditor.language.search import Budget, Clock, OutOfBudget
from auditor.language.sets import Language, Leaf, leaf_contains, solve
from auditor.language.words import Prefix, Words


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


class _Trie:
    """Exact strings and prefixes of one kind of case, as nodes; a string that leaves it keeps the prefixes passed."""

    __slots__ = ("children", "ends", "passed")

    def __init__(self) -> None:
        self.children: list[dict[int, int]] = [{}]
        self.ends: list[int] = [0]  # bits of the exact matchers that are this string
        self.passed: list[int] = [0]  # bits of the prefixes this string begins with

    def node(self, text: bytes) -> int:
        at = 0
        for byte in text:
            after = self.children[at].get(byte)
            if after is None:
                after = self.children[at][byte] = len(self.ends)
                self.children.append({})
                self.ends.append(0)
                self.passed.append(0)
            at = after
        return at

    def pass_down(self) -> None:
        """Give each node the prefixes of its ancestors (children come after their parents)."""
        for at, children in enumerate(self.children):
            for child in children.values():
                self.passed[child] |= self.passed[at]


_OUT = -1
_Place = tuple[int, int, int]  # node of the case-sensitive trie, of the caseless one (or _OUT), joint state


class _Joint:
    """Several machines in step; a state is the tuple of theirs, numbered."""

    def __init__(self, machines: tuple[Machine, ...], clock: Clock) -> None:
        self.machines = machines
        self.clock = clock
        self.keys: list[tuple[int, ...]] = []
        self.ids: dict[tuple[int, ...], int] = {}
        self.rows: list[Row | None] = []
        self.accepting: list[int | None] = []
        self.steps: list[dict[int, tuple[tuple[int, ...], tuple[int, ...]]]] = [{} for _ in machines]
        self.start = self.number(tuple(m.start for m in machines))

    def number(self, key: tuple[int, ...]) -> int:
        found = self.ids.get(key)
        if found is None:
            self.clock.use()
            found = self.ids[key] = len(self.keys)
            self.keys.append(key)
            self.rows.append(None)
            self.accepting.append(None)
        return found

    def step(self, index: int, state: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the sets of bytes that one machine tells apart in a state, and where each leads."""
        found = self.steps[index].get(state)
        if found is None:
            row = sorted(complete(self.machines[index].row(state)))
            found = self.steps[index][state] = tuple(m for m, _ in row), tuple(t for _, t in row)
        return found

    def row(self, state: int) -> Row:
        """Return (set of bytes, state) pairs that cover the alphabet, most readable bytes first.

        Machines that tell the same sets apart here are split over once, not one by one.
        """
        found = self.rows[state]
        if found is None:
            key = self.keys[state]
            alike: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
            for index, at in enumerate(key):
                if at not in (DEAD, ALL):
                    masks, targets = self.step(index, at)
                    alike.setdefault(masks, []).append((index, targets))
            parts: list[tuple[int, tuple[int, ...]]] = [(FULL, ())]
            for masks in alike:
                parts = [(m & step, (*done, k)) for m, done in parts for k, step in enumerate(masks) if m & step]
            self.clock.use(len(parts))
            merged: dict[tuple[int, ...], int] = {}
            for mask, choice in parts:
                target = list(key)
                for k, group in zip(choice, alike.values(), strict=True):
                    for index, targets in group:
                        target[index] = targets[k]
                after = tuple(target)
                merged[after] = merged.get(after, 0) | mask
            pairs = [(mask, self.number(after)) for after, mask in merged.items()]
            found = self.rows[state] = tuple(sorted(pairs, key=lambda part: part[0] & -part[0]))
        return found

    def finals(self, state: int) -> int:
        """Return a bit for each machine that accepts here."""
        found = self.accepting[state]
        if found is None:
            found = 0
            for i, (machine, at) in enumerate(zip(self.machines, self.keys[state], strict=True)):
                if at and machine.final(at):
                    found |= 1 << i
            self.accepting[state] = found
        return found


class _Family:
    """The matchers of one partition, numbered: literal ones in the tries, the others as machines."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.exact_case, self.any_case = _Trie(), _Trie()
        self.machines: tuple[Machine, ...] = ()
        self.later: tuple[Leaf, ...] = ()
        self.bits: dict[Leaf, tuple[int, int]] = {}  # bit of the upper and of the lower bound
        self.width = 0
        later: list[Leaf] = []
        for leaf in leaves:
            machine = leaf.upper
            if isinstance(machine, Words | Prefix) and leaf.lower is machine:
                bit = self.bit()
                self.bits[leaf] = (bit, bit)
                trie = self.any_case if machine.caseless else self.exact_case
                if isinstance(machine, Prefix):
                    trie.passed[trie.node(machine.text)] |= 1 << bit
                else:
                    for word in machine.words:
                        trie.ends[trie.node(word)] |= 1 << bit
            else:
                later.append(leaf)
        self.literal_width = self.width
        self.later = tuple(later)
        self.machines = _machines(self.later)
        for leaf in later:
            upper = self.bit()
            self.bits[leaf] = (upper, upper if leaf.lower is leaf.upper else self.bit())
        self.exact_case.pass_down()
        self.any_case.pass_down()

    def bit(self) -> int:
        self.width += 1
        return self.width - 1


def _machines(leaves: tuple[Leaf, ...]) -> tuple[Machine, ...]:
    """Return the upper and, where it is another one, the lower bound of each leaf."""
    return tuple(
        m for leaf in leaves for m in ((leaf.upper,) if leaf.lower is leaf.upper else (leaf.upper, leaf.lower))
    )


@lru_cache(maxsize=32)
def _joint(leaves: tuple[Leaf, ...]) -> _Joint:
    """Return the joint automaton of a family; servers with the same expressions share what was built of it."""
    return _Joint(_machines(leaves), Budget().clock())


def _explore(family: _Family, clock: Clock) -> dict[int, bytes]:
    """Return each combination of matchers that occurs, as bits, with a short string that has it."""
    joint = _joint(family.later)
    joint.clock = clock
    shift = family.literal_width
    tries = (family.exact_case, family.any_case)
    found: dict[int, bytes] = {}
    leaving: dict[tuple[int, int], bytes] = {}
    queue: list[tuple[_Place, int, bytes]] = [((0, 0, joint.start), 0, b"")]
    seen: set[tuple[_Place, int]] = {((0, 0, joint.start), 0)}
    for (exact, any_, state), passed, text in queue:
        ends = passed
        if exact != _OUT:
            ends |= tries[0].ends[exact] | tries[0].passed[exact]
        if any_ != _OUT:
            ends |= tries[1].ends[any_] | tries[1].passed[any_]
        found.setdefault(ends | joint.finals(state) << shift, text)
        for mask, target in joint.row(state):
            for step, place, keeps in _trie_steps(tries, exact, any_, passed, mask):
                where: _Place = (*place, target)
                if place == (_OUT, _OUT):
                    leaving.setdefault((keeps, target), text + bytes((lowest_byte(step),)))
                elif (where, keeps) not in seen:
                    clock.use()
                    seen.add((where, keeps))
                    queue.append((where, keeps, text + bytes((lowest_byte(step),))))
    for passed, text, finals, way, state in _beyond(joint, leaving):
        signature = passed | finals << shift
        if signature not in found or len(found[signature]) > len(text) + way[state][0]:
            found[signature] = text + _follow(way, state)
    return found


def _trie_steps(
    tries: tuple[_Trie, _Trie], exact: int, any_: int, passed: int, mask: int
) -> list[tuple[int, tuple[int, int], int]]:
    """Return (bytes, places in the tries, prefixes kept of tries that were left) for the bytes of a set."""
    parts: list[tuple[int, tuple[int, int], int]] = [(mask, (_OUT, _OUT), passed)]
    for which, node in ((0, exact), (1, any_)):
        if node == _OUT:
            continue
        trie, result = tries[which], []
        left = trie.passed[node]
        for part, place, keeps in parts:
            rest = part
            for byte, child in trie.children[node].items():
                bits = fold(BIT[byte]) if which else BIT[byte]
                if rest & bits:
                    places = (child, place[1]) if which == 0 else (place[0], child)
                    result.append((rest & bits, places, keeps))
                    rest &= ~bits
            if rest:
                result.append((rest, place, keeps | left))
        parts = result
    return parts


_Ways = dict[int, tuple[int, int, int]]
"""From a state to those with some finals: how many bytes are left, the set of the next one, and where that leads."""


def _beyond(joint: _Joint, leaving: dict[tuple[int, int], bytes]) -> Iterator[tuple[int, bytes, int, _Ways, int]]:
    """Yield, for each place where strings leave the tries, every combination of finals ahead.

    As (prefixes passed, string so far, finals, the ways there, the state to go from).
    """
    order, into = _reachable(joint, (state for _, state in leaving))
    by_finals: dict[int, list[int]] = {}
    for state in order:
        by_finals.setdefault(joint.finals(state), []).append(state)
    for finals, states in by_finals.items():
        way: _Ways = dict.fromkeys(states, (0, 0, 0))
        queue = list(states)
        for state in queue:
            after = way[state][0] + 1
            for before, mask in into.get(state, ()):
                if before not in way:
                    way[before] = (after, mask, state)
                    queue.append(before)
        for (passed, state), text in leaving.items():
            if state in way:
                yield passed, text, finals, way, state


def _reachable(joint: _Joint, starts: Iterable[int]) -> tuple[list[int], dict[int, list[tuple[int, int]]]]:
    """Return the states that can be reached, and for each those that lead into it with the bytes that do."""
    order = list(dict.fromkeys(starts))
    reached = set(order)
    into: dict[int, list[tuple[int, int]]] = {}
    for state in order:
        for mask, target in joint.row(state):
            into.setdefault(target, []).append((state, mask))
            if target not in reached:
                reached.add(target)
                order.append(target)
    return order, into


def _follow(way: _Ways, state: int) -> bytes:
    suffix = bytearray()
    left, mask, state = way[state]
    while left:
        suffix.append(lowest_byte(mask))
        left, mask, state = way[state]
    return bytes(suffix)


_LARGE = Budget(steps=600_000, seconds=30)
"""A partition answers many questions at once, so it may take longer than one decision."""


def _refine(family: _Family, leaves: Sequence[Leaf], budget: Budget) -> tuple[dict[int, bytes], set[Leaf]]:
    """Split the set of all strings leaf by leaf; return the combinations found and the leaves left undecided."""
    clock = Budget(budget.steps * 4, budget.seconds).clock()
    each = Budget(max(budget.steps // 8, 1000), budget.seconds / 4)
    bounds = [
        (bit, (leaf, machine))
        for leaf in leaves
        for bit, machine in {family.bits[leaf][0]: leaf.upper, family.bits[leaf][1]: leaf.lower}.items()
    ]
    cells: list[tuple[int, bytes, tuple[tuple[Leaf, Machine], ...], tuple[tuple[Leaf, Machine], ...]]] = [
        (0, b"", (), ())
    ]
    undecided: set[Leaf] = set()
    for bit, bound in bounds:
        after = []
        for bits, text, wanted, refused in cells:
            inside = _bound_contains(bound, text)
            other: bytes | None = None
            try:
                clock.use()
                sides = ((*wanted, bound), refused), (wanted, (*refused, bound))
                other = solve(*sides[1 if inside else 0], each.clock())
            except (OutOfBudget, TooLarge):
                undecided.add(bound[0])
            halves = [(inside, text)] + ([(not inside, other)] if other is not None else [])
            for side, sample in halves:
                if side:
                    after.append((bits | 1 << bit, sample, (*wanted, bound), refused))
                else:
                    after.append((bits, sample, wanted, (*refused, bound)))
        cells = after
    return {bits: text for bits, text, _, _ in cells}, undecided


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
    Cells come shortest representative first. Never raises and never runs longer than a few budgets: what is not decided is named in `undecided`, and
    `complete` is false where a cell may be missing.
    """
    budget = budget or _LARGE
    family, leaves = _family(matchers, within)
    undecided: set[Leaf] = set()
    try:
        found = _explore(family, budget.clock())
    except (OutOfBudget, TooLarge):
        _joint.cache_clear()  # too large to keep
        found, undecided = _refine(family, leaves, budget)
    reading = _Reading(matchers, within, family)
    cells = reading.cells(found, candidates)
    if prefer:
        _improve(cells, matchers, within, prefer, budget)
    return _made(cells, matchers, undecided)


def refined(matchers: Sequence[Language], within: Language | None = None, *, budget: Budget | None = None) -> Partition:
    """Return what `partition` does where a family is too large to walk: split matcher by matcher."""
    budget = budget or _LARGE
    family, leaves = _family(matchers, within)
    found, undecided = _refine(family, leaves, budget)
    return _made(_Reading(matchers, within, family).cells(found), matchers, undecided)


def _family(matchers: Sequence[Language], within: Language | None) -> tuple[_Family, tuple[Leaf, ...]]:
    families = [*matchers, within] if within is not None else list(matchers)
    leaves = tuple(dict.fromkeys(leaf for language in families for leaf in language.leaves()))
    return _Family(leaves), leaves


_Cells: TypeAlias = "dict[tuple[frozenset[int], frozenset[int]], bytes]"
"""The matchers that hold in a cell, those not decided, and its representative."""


def _made(cells: _Cells, matchers: Sequence[Language], undecided: set[Leaf]) -> Partition:
    open_ = {i for key in cells for i in key[1]}
    open_ |= {i for i, matcher in enumerate(matchers) if undecided & set(matcher.leaves())}
    result = [Cell(text, holding, unsure, len(matchers)) for (holding, unsure), text in cells.items()]
    result.sort(key=lambda cell: (_plainness(cell.representative), sorted(cell.holding)))
    return Partition(tuple(result), not undecided, tuple(sorted(open_)))


_RANK = bytes(RANKED.index(b) for b in range(256))


def _plainness(text: bytes) -> tuple[int, bytes]:
    """Order strings: shorter first, then the more readable."""
    return len(text), text.translate(_RANK)


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

    def __init__(self, matchers: Sequence[Language], within: Language | None, family: _Family) -> None:
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
            if key is not None and (key not in cells or _plainness(text) < _plainness(cells[key])):
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

    def read(self, bits: int) -> tuple[frozenset[int], frozenset[int]] | None:
        """Return the matchers that hold and those not decided; None for strings outside `within`."""
        if self.within is not None and self.holds(self.within, bits) is False:
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
