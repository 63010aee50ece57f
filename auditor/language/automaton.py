"""Regular expressions as automata that are built as far as they are asked, and no further.

A syntax tree becomes a graph of nodes; a *item* is a node reached with the conditions still open on the way
(lookaheads that are running beside it); a state is the set of items a prefix leads to. A state's row says which
bytes lead where, as (set of bytes, next state) pairs, so that products walk rows and not 256 bytes.

Anchors, word boundaries and lookbehinds depend on what came before: the *context* carries that (the kind of the
previous byte, and for each lookbehind the state of an automaton that has read everything so far). What depends on
the next byte waits as an item until that byte is there.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from auditor.language.alphabet import BIT, FULL, NEWLINE, WORD
from auditor.language.syntax import Alt, Chars, Concat, Guard, GuardKind, Look, Node, Repeat

DEAD, ALL = 0, 1
"""The states from which nothing, and everything, is accepted; the same numbers in every machine."""

Row: TypeAlias = "tuple[tuple[int, int], ...]"
"""Disjoint non-empty sets of bytes and the state each leads to; bytes in none of them lead to DEAD."""

NODE_LIMIT = 60_000
STATE_LIMIT = 20_000
ITEM_LIMIT = 200_000
CLOSURE_LIMIT = 700_000
ROW_LIMIT = 1_500_000


class TooLarge(Exception):  # noqa: N818 - an answer (not decided), not a fault
    """An automaton grew beyond its bound."""


class Machine(Protocol):
    """A deterministic automaton over bytes, built lazily."""

    @property
    def start(self) -> int:
        """The state before the first byte."""
        ...

    def row(self, state: int) -> Row:
        """Return where the bytes lead from a state; TooLarge past the bound."""
        ...

    def final(self, state: int) -> bool:
        """Whether the string read so far is in the language."""
        ...


_Obligations: TypeAlias = "frozenset[tuple[int, bool, int]]"  # (lookahead, negative, state of its automaton)
_Edge: TypeAlias = "tuple[int, int]"  # (set of bytes, set of items as bits)
_NONE: _Obligations = frozenset()
_CHARS, _SPLIT, _GUARD, _AHEAD, _BEHIND, _ACCEPT, _HERE, _LOOP = range(8)
_BEFORE_START, _BEFORE_NEWLINE, _BEFORE_WORD, _BEFORE_OTHER = range(4)
_NEWLINE_THEN_END = Concat((Chars(NEWLINE), Guard("end")))


class _Context:
    """What the bytes so far mean to guards and lookbehinds, as numbered contexts; context 0 is the start."""

    __slots__ = ("_ids", "_kinds", "_rows", "_table", "trackers")

    def __init__(self) -> None:
        self.trackers: list[Automaton] = []
        self._kinds: tuple[tuple[int, int], ...] = ((FULL, _BEFORE_OTHER),)
        self._table: list[tuple[int, tuple[int, ...]]] = []
        self._ids: dict[tuple[int, tuple[int, ...]], int] = {}
        self._rows: dict[int, Row] = {}

    def distinguish(self, *, newline: bool, word: bool) -> None:
        """Say which kinds of previous byte matter."""
        rest, kinds = FULL, []
        if newline:
            kinds.append((NEWLINE, _BEFORE_NEWLINE))
            rest &= ~NEWLINE
        if word:
            kinds.append((WORD, _BEFORE_WORD))
            rest &= ~WORD
        self._kinds = (*kinds, (rest, _BEFORE_OTHER))

    def begin(self) -> None:
        """Number the context of the start of the subject."""
        self.number(_BEFORE_START, tuple(t.start for t in self.trackers))

    def number(self, kind: int, states: tuple[int, ...]) -> int:
        key = (kind, states)
        found = self._ids.get(key)
        if found is None:
            if len(self._table) >= STATE_LIMIT:
                raise TooLarge
            found = self._ids[key] = len(self._table)
            self._table.append(key)
        return found

    def kind(self, context: int) -> int:
        return self._table[context][0]

    def tracked(self, context: int, slot: int) -> int:
        return self._table[context][1][slot]

    def row(self, context: int) -> Row:
        """Return the context after each set of bytes; the sets cover the alphabet."""
        found = self._rows.get(context)
        if found is None:
            states = self._table[context][1]
            parts: list[tuple[int, int, tuple[int, ...]]] = [(mask, kind, ()) for mask, kind in self._kinds]
            for tracker, state in zip(self.trackers, states, strict=True):
                row = complete(tracker.row(state))
                parts = [(m & r, k, (*t, n)) for m, k, t in parts for r, n in row if m & r]
            found = self._rows[context] = tuple((m, self.number(k, t)) for m, k, t in parts)
        return found


def complete(row: Row) -> Row:
    """Return a row whose sets cover the alphabet, DEAD included."""
    rest = FULL
    for mask, _ in row:
        rest &= ~mask
    return (*row, (rest, DEAD)) if rest else row


class _Program:
    """The graph of one regular expression: parallel arrays of what each node is and where it leads."""

    __slots__ = ("arguments", "context", "kinds", "looks", "targets", "work")

    def __init__(self, context: _Context) -> None:
        self.context = context
        self.kinds: list[int] = [_ACCEPT]
        self.arguments: list[int | str] = [0]
        self.targets: list[tuple[int, ...]] = [()]
        self.looks: list[Automaton] = []
        self.work = 0

    def spend(self, steps: int) -> None:
        """Count steps of construction; TooLarge where one expression takes too many."""
        self.work += steps
        if self.work > CLOSURE_LIMIT:
            raise TooLarge

    def add(self, kind: int, argument: int | str, targets: tuple[int, ...]) -> int:
        if len(self.kinds) >= NODE_LIMIT:
            raise TooLarge
        self.kinds.append(kind)
        self.arguments.append(argument)
        self.targets.append(targets)
        return len(self.kinds) - 1

    def build(self, node: Node, then: int) -> int:
        """Add a node of the tree in front of `then` and return where it begins."""
        if isinstance(node, Chars):
            return self.add(_CHARS, node.mask, (then,))
        if isinstance(node, Concat):
            for item in reversed(node.items):
                then = self.build(item, then)
            return then
        if isinstance(node, Alt):
            return self.add(_SPLIT, 0, tuple(self.build(item, then) for item in node.items))
        if isinstance(node, Repeat):
            return self.repeat(node, then)
        if isinstance(node, Guard):
            return self.guard(node.kind, then)
        if isinstance(node, Look):
            return self.look(node, then)
        raise TypeError(f"{type(node).__name__} must be resolved before an automaton is built")

    def repeat(self, node: Repeat, then: int) -> int:
        if node.high is None:
            loop = self.add(_SPLIT, 0, ())
            body = self.build(node.item, loop)
            self.targets[loop] = (body, then)
            then = loop
        else:
            end = then
            for _ in range(node.high - node.low):
                then = self.add(_SPLIT, 0, (self.build(node.item, then), end))
        for _ in range(node.low):
            then = self.build(node.item, then)
        return then

    def guard(self, kind: GuardKind, then: int) -> int:
        if kind == "end-or-newline":
            newline = self.look(Look(_NEWLINE_THEN_END, ahead=True, negative=False), then)
            return self.add(_SPLIT, 0, (self.add(_GUARD, "end", (then,)), newline))
        return self.add(_GUARD, kind, (then,))

    def look(self, node: Look, then: int) -> int:
        if node.ahead:
            entry = self.build(node.item, 0)
            self.looks.append(Automaton(self, entry, search=False))
            return self.add(_AHEAD, 2 * (len(self.looks) - 1) + node.negative, (then,))
        self.context.trackers.append(compile_tree(node.item, ends_here=True))
        return self.add(_BEHIND, 2 * (len(self.context.trackers) - 1) + node.negative, (then,))


def _mentions(node: Node) -> set[str]:
    """Return the kinds of guard in a tree, lookbehind bodies left out (they have contexts of their own)."""
    found: set[str] = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Guard):
            found.add(node.kind)
        elif isinstance(node, Concat | Alt):
            stack.extend(node.items)
        elif isinstance(node, Repeat) or (isinstance(node, Look) and node.ahead):
            stack.append(node.item)
    return found


def compile_tree(tree: Node, *, ends_here: bool = False) -> Automaton:
    """Build the automaton that searches for a tree (of Chars, Concat, Alt, Repeat, Guard, Look) in a subject.

    With `ends_here` (for lookbehinds) nothing may follow a match: ask `ends` at each position.
    """
    context = _Context()
    program = _Program(context)
    entry = program.build(tree, program.add(_HERE, 0, ()) if ends_here else 0)
    mentioned = _mentions(tree)
    context.distinguish(newline="line-start" in mentioned, word=bool(mentioned & {"word", "not-word"}))
    context.begin()
    return Automaton(program, entry, search=True)


class Automaton:
    """A lazily determinised automaton; `search`: the match may begin anywhere. Anything may follow a match."""

    __slots__ = (
        "_accepts", "_closures", "_edges", "_entry", "_finals", "_item_ids", "_items", "_program", "_row_work", "_rows",
        "_search", "_starts", "_state_ids", "_states",
    )  # fmt: skip

    def __init__(self, program: _Program, entry: int, *, search: bool) -> None:
        """Prepare; nothing is built before it is asked for."""
        self._program = program
        self._entry = entry
        self._search = search
        self._items: list[tuple[int, int, _Obligations]] = [(0, 0, _NONE)]  # item 0: accepted, whatever follows
        self._item_ids: dict[tuple[int, int, _Obligations], int] = {self._items[0]: 0}
        self._edges: list[tuple[_Edge, ...] | None] = [((FULL, 1),)]
        self._accepts: list[bool | None] = [True]
        self._closures: dict[tuple[int, int, _Obligations], int] = {}
        self._states: list[int] = [0, 1]
        self._state_ids: dict[int, int] = {0: DEAD, 1: ALL}
        self._rows: list[Row | None] = [(), ((FULL, ALL),)]
        self._finals: list[bool | None] = [False, True]
        self._starts: dict[int, int] = {}
        self._row_work = 0

    @property
    def start(self) -> int:
        """The state before the first byte of the subject."""
        return self.start_in(0)

    @property
    def size(self) -> int:
        """How many states are known so far."""
        return len(self._states)

    def start_in(self, context: int) -> int:
        """Return the state that begins in a context."""
        found = self._starts.get(context)
        if found is None:
            bits = self._closure(self._entry, context, _NONE)
            if self._search:
                bits |= self._loop(context)
            found = self._starts[context] = self._state(bits)
        return found

    def final(self, state: int) -> bool:
        """Whether the string read so far is accepted if it ends here."""
        found = self._finals[state]
        if found is None:
            found = self._finals[state] = any(self._accepting(i) for i in bits_of(self._states[state]))
        return found

    def row(self, state: int) -> Row:
        """Return where the bytes lead; TooLarge past the bound."""
        found = self._rows[state]
        if found is None:
            parts = [(FULL, 0)]
            for item in bits_of(self._states[state]):
                for mask, bits in self._item_edges(item):
                    parts = _split(parts, mask, bits)
                self._row_work += len(parts)
                if self._row_work > ROW_LIMIT:
                    raise TooLarge
            merged: dict[int, int] = {}
            for mask, bits in parts:
                if bits:
                    target = self._state(bits)
                    merged[target] = merged.get(target, 0) | mask
            found = self._rows[state] = tuple((mask, target) for target, mask in merged.items())
        return found

    # -- item by item, for automata whose subsets explode ------------------------------------------------------

    def item_start(self) -> tuple[int, ...]:
        """Return the items of the start state."""
        return tuple(bits_of(self._states[self.start]))

    def item_row(self, item: int) -> tuple[_Edge, ...]:
        """Return where the bytes lead from one item, as sets of items; item 0 accepts everything."""
        return self._item_edges(item)

    def item_final(self, item: int) -> bool:
        """Whether one item accepts at the end of the subject."""
        return self._accepting(item)

    # -- construction ------------------------------------------------------------------------------------------

    def _state(self, bits: int) -> int:
        if bits & 1:
            return ALL
        found = self._state_ids.get(bits)
        if found is None:
            if len(self._states) >= STATE_LIMIT:
                raise TooLarge
            found = self._state_ids[bits] = len(self._states)
            self._states.append(bits)
            self._rows.append(None)
            self._finals.append(None)
        return found

    def _item(self, node: int, context: int, obligations: _Obligations) -> int:
        kind = self._program.kinds[node] if node >= 0 else _LOOP
        if kind == _ACCEPT and not obligations:
            return 0
        if kind not in (_GUARD, _BEHIND) and not self._program.context.trackers:
            context = 0
        key = (node, context, obligations)
        found = self._item_ids.get(key)
        if found is None:
            if len(self._items) >= ITEM_LIMIT:
                raise TooLarge
            found = self._item_ids[key] = len(self._items)
            self._items.append(key)
            self._edges.append(None)
            self._accepts.append(None)
        return found

    def _loop(self, context: int) -> int:
        """Return the item that begins a match later, or nothing where none can begin (a pattern with `^`)."""
        ctx = self._program.context
        if not ctx.trackers and not any(self._closure(self._entry, after, _NONE) for _, after in ctx.row(context)):
            return 0
        return 1 << self._item(-1, context, _NONE)

    def _closure(self, node: int, context: int, obligations: _Obligations) -> int:  # noqa: C901 - one branch a kind
        """Return the items that a node leads to without a byte taken."""
        key = (node, context, obligations)
        found = self._closures.get(key)
        if found is not None:
            return found
        program, bits, seen = self._program, 0, {(node, obligations)}
        stack = [(node, obligations)]
        while stack:
            at, open_ = stack.pop()
            kind = program.kinds[at]
            if kind in (_CHARS, _ACCEPT, _HERE):
                bits |= 1 << self._item(at, context, open_)
                continue
            successors: list[tuple[int, _Obligations]] = []
            if kind == _SPLIT:
                successors = [(target, open_) for target in program.targets[at]]
            elif kind == _AHEAD:
                more = self._oblige(at, context, open_)
                if more is not None:
                    successors = [(program.targets[at][0], more)]
            else:
                mask, at_end = self._condition(at, context)
                if mask == FULL and at_end:
                    successors = [(program.targets[at][0], open_)]
                elif mask or at_end:
                    bits |= 1 << self._item(at, context, open_)
            for successor in successors:
                if successor not in seen:
                    seen.add(successor)
                    stack.append(successor)
        program.spend(len(seen))
        self._closures[key] = bits
        return bits

    def _oblige(self, node: int, context: int, obligations: _Obligations) -> _Obligations | None:
        """Return the obligations after a lookahead has begun, or None where it has failed already."""
        number, negative = divmod(int(self._program.arguments[node]), 2)
        state = self._program.looks[number].start_in(context)
        if state in (DEAD, ALL):
            return obligations if (state == ALL) != bool(negative) else None
        return obligations | {(number, bool(negative), state)}

    def _condition(self, node: int, context: int) -> tuple[int, bool]:
        """Return the next bytes, and whether the end, that a guard or lookbehind allows in a context."""
        program = self._program
        argument = program.arguments[node]
        if program.kinds[node] == _BEHIND:
            slot, negative = divmod(int(argument), 2)
            mask, at_end = program.context.trackers[slot].ends(program.context.tracked(context, slot))
            return (FULL & ~mask, not at_end) if negative else (mask, at_end)
        before = program.context.kind(context)
        if argument == "start":
            return (FULL, True) if before == _BEFORE_START else (0, False)
        if argument == "line-start":
            if before == _BEFORE_START:
                return FULL, True
            return (FULL, False) if before == _BEFORE_NEWLINE else (0, False)
        if argument == "end":
            return 0, True
        if argument == "line-end":
            return NEWLINE, True
        inside = before == _BEFORE_WORD
        boundary = (FULL & ~WORD, True) if inside else (WORD, False)
        return boundary if argument == "word" else (FULL & ~boundary[0], not boundary[1])

    def ends(self, state: int) -> tuple[int, bool]:
        """Return with which next bytes, and whether at the end, a match ends exactly here (for lookbehinds)."""
        mask, at_end = 0, False
        stack = [(item, FULL, True) for item in bits_of(self._states[state])]
        seen = set(stack)
        while stack:
            item, allowed, end_allowed = stack.pop()
            node, context, obligations = self._items[item]
            kind = self._program.kinds[node] if node >= 0 else _LOOP
            if kind == _HERE:
                mask, at_end = mask | allowed, at_end or end_allowed
            if kind not in (_GUARD, _BEHIND):
                continue
            if obligations:
                raise TooLarge  # a lookahead inside a lookbehind is bounded before it comes here
            condition, end_condition = self._condition(node, context)
            self._program.spend(1)
            for inner in bits_of(self._closure(self._program.targets[node][0], context, obligations)):
                step = (inner, allowed & condition, end_allowed and end_condition)
                if (step[1] or step[2]) and step not in seen:
                    seen.add(step)
                    stack.append(step)
        return mask, at_end

    def _item_edges(self, item: int) -> tuple[_Edge, ...]:
        found = self._edges[item]
        if found is None:
            found = self._edges[item] = tuple(self._make_edges(item))
        return found

    def _make_edges(self, item: int) -> list[_Edge]:
        node, context, obligations = self._items[item]
        ctx = self._program.context
        if node == -1:
            return [
                (mask, self._closure(self._entry, after, _NONE) | 1 << self._item(-1, after, _NONE))
                for mask, after in ctx.row(context)
            ]
        kind = self._program.kinds[node]
        if kind in (_GUARD, _BEHIND):
            return self._guard_edges(item)
        if kind == _HERE:
            return []
        mask = FULL if kind == _ACCEPT else int(self._program.arguments[node])
        target = 0 if kind == _ACCEPT else self._program.targets[node][0]
        edges: list[_Edge] = []
        parts: list[tuple[int, _Obligations]] = [(mask, _NONE)]
        for obligation in obligations:
            parts = self._advance(parts, obligation)
        for part, after in ctx.row(context):
            for allowed, rest in parts:
                if part & allowed:
                    edges.append((part & allowed, self._closure(target, after, rest)))
        return edges

    def _advance(
        self, parts: list[tuple[int, _Obligations]], obligation: tuple[int, bool, int]
    ) -> list[tuple[int, _Obligations]]:
        """Move one obligation over each set of bytes; a failed one takes its part away, a kept one is dropped."""
        number, negative, state = obligation
        result: list[tuple[int, _Obligations]] = []
        for step, next_state in complete(self._program.looks[number].row(state)):
            if next_state in (DEAD, ALL) and (next_state == ALL) == negative:
                continue
            more = _NONE if next_state in (DEAD, ALL) else frozenset(((number, negative, next_state),))
            result.extend((mask & step, rest | more) for mask, rest in parts if mask & step)
        return result

    def _guard_edges(self, item: int) -> list[_Edge]:
        """Resolve a waiting guard now that the next byte is there, and move over that byte."""
        edges: list[_Edge] = []
        stack = [(item, FULL)]
        seen = {(item, FULL)}
        while stack:
            at, mask = stack.pop()
            node, context, obligations = self._items[at]
            mask &= self._condition(node, context)[0]
            self._program.spend(1)
            if not mask:
                continue
            for inner in bits_of(self._closure(self._program.targets[node][0], context, obligations)):
                if inner and self._program.kinds[self._items[inner][0]] in (_GUARD, _BEHIND):
                    if (inner, mask) not in seen:
                        seen.add((inner, mask))
                        stack.append((inner, mask))
                    continue
                edges.extend((m & mask, bits) for m, bits in self._item_edges(inner) if m & mask)
        return edges

    def _accepting(self, item: int) -> bool:
        found = self._accepts[item]
        if found is None:
            found = self._accepts[item] = self._make_accepting(item)
        return found

    def _make_accepting(self, item: int) -> bool:
        """Whether some way over guards that hold at the end leads from an item to a match."""
        program, stack, seen = self._program, [item], {item}
        while stack:
            at = stack.pop()
            node, context, obligations = self._items[at]
            kind = program.kinds[node] if node >= 0 else _LOOP
            if kind == _ACCEPT and all(
                program.looks[number].final(state) != negative for number, negative, state in obligations
            ):
                return True
            if kind in (_GUARD, _BEHIND) and self._condition(node, context)[1]:
                program.spend(1)
                inner = [
                    i for i in bits_of(self._closure(program.targets[node][0], context, obligations)) if i not in seen
                ]
                seen.update(inner)
                stack.extend(inner)
        return False

    def simulate(self, text: bytes) -> bool:
        """Decide one string without keeping states, for automata that have grown too large for more of them."""
        now = self._states[self.start]
        for byte in text:
            bit, after = BIT[byte], 0
            for item in bits_of(now):
                for mask, bits in self._item_edges(item):
                    if mask & bit:
                        after |= bits
            if after & 1:
                return True
            now = after
        return any(self._accepting(item) for item in bits_of(now))


def bits_of(value: int) -> list[int]:
    """Return the positions of the set bits, lowest first."""
    result = []
    while value:
        low = value & -value
        result.append(low.bit_length() - 1)
        value ^= low
    return result


def _split(parts: list[tuple[int, int]], mask: int, bits: int) -> list[tuple[int, int]]:
    """Add bits to the parts of the alphabet that lie in a set of bytes, splitting where they do not lie wholly."""
    result = []
    for part, have in parts:
        inside = part & mask
        if not inside or have | bits == have:
            result.append((part, have))
        elif inside == part:
            result.append((part, have | bits))
        else:
            result.append((inside, have | bits))
            result.append((part ^ inside, have))
    return result


def accepts(machine: Machine, text: bytes) -> bool:
    """Whether a string is in the language; TooLarge where not even that can be decided."""
    try:
        return _run(machine, text)
    except TooLarge:
        if isinstance(machine, Automaton):
            return machine.simulate(text)
        raise


def _run(machine: Machine, text: bytes) -> bool:
    state = machine.start
    for byte in text:
        bit = BIT[byte]
        for mask, target in machine.row(state):
            if mask & bit:
                state = target
                break
        else:
            return False
        if state == ALL:
            return True
    return machine.final(state)
