"""Every combination of matchers that some string has, found in one walk over all strings.

Exact strings and prefixes form a trie that is walked once; regular expressions run beside it as one product,
whose states are shared by every place where a string can leave the trie.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from auditor.language.alphabet import BIT, fold, lowest_byte, plainness
from auditor.language.automaton import ALL, DEAD, Machine, bits_of
from auditor.language.product import Product
from auditor.language.search import Budget, Clock
from auditor.language.sets import Language, Leaf
from auditor.language.words import Prefix, Words


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


class Family:
    """The matchers of one partition, numbered: literal ones in the tries, the others as machines."""

    def __init__(self, leaves: Sequence[Leaf], within: Language | None = None) -> None:
        """Give each leaf a bit for its upper bound and, where that is another one, for its lower bound."""
        self.exact_case, self.any_case = _Trie(), _Trie()
        self.bits: dict[Leaf, tuple[int, int]] = {}  # bit of the upper and of the lower bound
        self.width = 0
        later: list[Leaf] = []
        for leaf in leaves:
            machine = leaf.upper
            if isinstance(machine, Words | Prefix) and leaf.lower is machine:
                bit = self._bit()
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
        for leaf in later:
            upper = self._bit()
            self.bits[leaf] = (upper, upper if leaf.lower is leaf.upper else self._bit())
        self.exact_case.pass_down()
        self.any_case.pass_down()
        # what machines say of `within`: literal sets alone never tell that no string ahead is inside
        parts = () if within is None else within.parts if within.op == "and" else (within,)
        self.limits = tuple(part for part in parts if not set(part.leaves()).isdisjoint(later))

    def _bit(self) -> int:
        self.width += 1
        return self.width - 1


@lru_cache(maxsize=32)
def _product(leaves: tuple[Leaf, ...], limits: tuple[Language, ...]) -> Product:
    """Return a family's machines in step; servers with the same expressions share what was built of it."""
    machines: list[Machine] = []
    places: dict[Leaf, tuple[int, int]] = {}
    for leaf in leaves:
        machines += (leaf.upper,) if leaf.lower is leaf.upper else (leaf.upper, leaf.lower)
        places[leaf] = (len(machines) - 1 if leaf.lower is leaf.upper else len(machines) - 2, len(machines) - 1)
    inside = tuple(dict.fromkeys(leaf for part in limits for leaf in part.leaves()))
    bounding = tuple(dict.fromkeys(place for leaf in inside if leaf in places for place in places[leaf]))

    def hopeless(states: tuple[int, ...]) -> bool:
        at = dict(zip(bounding, states, strict=True))
        known: dict[Leaf, bool | None] = dict.fromkeys(inside)
        for leaf in inside:
            if leaf in places:
                upper, lower = places[leaf]
                known[leaf] = False if at[upper] == DEAD else True if at[lower] == ALL else None
        return any(part.holds(known) is False for part in limits)

    return Product(machines, Budget().clock(), bounding, hopeless)


def forget() -> None:
    """Drop what was built of products: one of them has grown too large to keep."""
    _product.cache_clear()


_OUT = -1
_Place = tuple[int, int, int]  # node of the case-sensitive trie, of the caseless one (or _OUT), joint state


def explore(family: Family, clock: Clock) -> dict[int, bytes]:
    """Return each combination of matchers that occurs, as bits, with a shortest string that has it.

    Combinations of strings outside the family's `within` may be left out. OutOfBudget and TooLarge where the family
    is too large to walk.
    """
    product = _product(family.later, family.limits)
    product.clock = clock
    shift = family.literal_width
    tries = (family.exact_case, family.any_case)
    found: dict[int, bytes] = {}
    leaving: dict[tuple[int, int], bytes] = {}
    gained = product.gained << shift
    queue: list[tuple[_Place, int, bytes]] = [((0, 0, product.start), gained, b"")]
    seen: set[tuple[_Place, int]] = {((0, 0, product.start), gained)}
    for (exact, any_, state), passed, text in queue:
        ends = passed
        if exact != _OUT:
            ends |= tries[0].ends[exact] | tries[0].passed[exact]
        if any_ != _OUT:
            ends |= tries[1].ends[any_] | tries[1].passed[any_]
        found.setdefault(ends | product.finals(state) << shift, text)
        for mask, target, more in product.row(state):
            for step, place, keeps in _trie_steps(tries, exact, any_, passed | more << shift, mask):
                where: _Place = (*place, target)
                further = text + bytes((lowest_byte(step),))
                if place == (_OUT, _OUT):
                    known = leaving.get((keeps, target))
                    if known is None or plainness(further) < plainness(known):
                        leaving[keeps, target] = further
                elif (where, keeps) not in seen:
                    clock.use()
                    seen.add((where, keeps))
                    queue.append((where, keeps, further))
    _Beyond(product, shift).walk(leaving, found)
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


class _Beyond:
    """The walk on from all places where strings leave the tries at once, byte by byte.

    What a string brings along (prefixes passed, machines settled) never changes which states it comes to: it is
    numbered and carried as a bit, and one step moves everything that has come to a state since the last one.
    """

    def __init__(self, product: Product, shift: int) -> None:
        self.product = product
        self.shift = shift
        self.brought: list[int] = []
        self.numbers: dict[int, int] = {}
        self.moves: dict[tuple[int, int], int] = {}
        self.texts: dict[tuple[int, int], bytes] = {}  # strings that have just left the tries
        self.ways: dict[int, list[_Way]] = {}

    def walk(self, leaving: dict[tuple[int, int], bytes], found: dict[int, bytes]) -> None:
        """Add each combination ahead of `leaving` (what is brought, state) with a shortest string that has it."""
        waiting: dict[int, list[tuple[int, int]]] = {}
        for (brought, state), text in sorted(leaving.items(), key=lambda item: plainness(item[1])):
            number = self._number(brought)
            self.texts[state, number] = text
            waiting.setdefault(len(text), []).append((state, number))
        arrived: dict[int, int] = {}
        told: dict[int, int] = {}
        here: dict[int, int] = {}
        length = 0
        while here or waiting:
            for state, number in waiting.pop(length, ()):
                self._leave(state, number, arrived, here)
            for state, bits in here.items():
                finals = self.product.finals(state) << self.shift
                for number in bits_of(bits & ~told.get(finals, 0)):
                    self._tell(self.brought[number] | finals, state, number, length, found)
            for state, bits in here.items():
                finals = self.product.finals(state) << self.shift
                told[finals] = told.get(finals, 0) | bits
            here = self._step(here, arrived)
            length += 1

    def _leave(self, state: int, number: int, arrived: dict[int, int], here: dict[int, int]) -> None:
        """Let a string that has left the tries come to a state, unless a shorter or a plainer one was there before."""
        bit = 1 << number
        first = not arrived.get(state, 0) & bit
        if first:
            arrived[state] = arrived.get(state, 0) | bit
            here[state] = here.get(state, 0) | bit
        if first or (
            here.get(state, 0) & bit and plainness(self.texts[state, number]) < plainness(self._spelled(state, number))
        ):
            self.ways.setdefault(state, []).insert(0, (bit, -1, 0, 0, 0))

    def _tell(self, signature: int, state: int, number: int, length: int, found: dict[int, bytes]) -> None:
        known = found.get(signature)
        if known is None or len(known) >= length:
            text = self._spelled(state, number)
            if known is None or plainness(text) < plainness(known):
                found[signature] = text

    def _step(self, here: dict[int, int], arrived: dict[int, int]) -> dict[int, int]:
        after: dict[int, int] = {}
        for state, bits in here.items():
            fresh = 0
            for mask, target, gained in self.product.row(state):
                moved = self._gaining(bits, gained) if gained else bits
                known = arrived.get(target, 0)
                new = moved & ~known
                if new:
                    fresh += not known
                    arrived[target] = known | new
                    after[target] = after.get(target, 0) | new
                    self.ways.setdefault(target, []).append((new, state, bits, mask, gained))
            if fresh:
                self.product.clock.use(fresh)
        return after

    def _number(self, brought: int) -> int:
        found = self.numbers.get(brought)
        if found is None:
            found = self.numbers[brought] = len(self.brought)
            self.brought.append(brought)
        return found

    def _gaining(self, bits: int, gained: int) -> int:
        """Return what some things brought are once bits are gained."""
        found = self.moves.get((bits, gained))
        if found is None:
            found = 0
            for number in bits_of(bits):
                found |= 1 << self._number(self.brought[number] | gained << self.shift)
            self.moves[bits, gained] = found
        return found

    def _spelled(self, state: int, number: int) -> bytes:
        """Read back the string with which something first came to a state."""
        suffix = bytearray()
        while True:
            _, before, bits, mask, gained = next(way for way in self.ways[state] if way[0] >> number & 1)
            if before < 0:
                return self.texts[state, number] + suffix[::-1]
            state = before
            suffix.append(lowest_byte(mask))
            if gained:
                wanted = self.brought[number]
                number = next(n for n in bits_of(bits) if self.brought[n] | gained << self.shift == wanted)


_Way = tuple[int, int, int, int, int]
"""How a state was come to: what arrived, from which state (-1: out of the tries), what had arrived there, by which
bytes, and gaining what."""
