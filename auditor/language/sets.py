"""Sets of byte strings: built from matchers, combined, asked for emptiness and for their shortest member."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import field
from functools import lru_cache
from typing import Literal, TypeAlias

from auditor.dataclass import dataclass
from auditor.language.alphabet import BIT, FULL, fold, to_bytes
from auditor.language.automaton import ALL, Machine, TooLarge, accepts, compile_tree
from auditor.language.bounds import resolved
from auditor.language.regex import ANYTHING, NotReadable, parse
from auditor.language.search import Budget, Clock, OutOfBudget, shortest
from auditor.language.syntax import Chars, Concat, Guard, Look, Node, Repeat
from auditor.language.words import Prefix, Words

_MAX_GOALS = 4096
_SINGLE_WORDS = 8


@dataclass(frozen=True, slots=True)
class Leaf:
    """One matcher: the machines of its upper and lower bound (one machine where exact); equal by what was written."""

    key: tuple[str, bytes | frozenset[bytes], bool]
    upper: Machine = field(compare=False)
    lower: Machine = field(compare=False)
    reasons: tuple[str, ...] = field(default=(), compare=False)
    needs: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class Language:
    """A set of byte strings, immutable; text is Latin-1 `str` or `bytes`.

    Where a construct is not regular the set lies between a lower and an upper bound, `is_exact` is false and
    `reasons` says why; questions that the bounds do not settle are answered None.
    """

    op: Literal["leaf", "and", "or", "not"]
    parts: tuple[Language, ...] = ()
    leaf: Leaf | None = None

    # -- what matchers mean ------------------------------------------------------------------------------------

    @staticmethod
    def exact(text: str | bytes, *, caseless: bool = False) -> Language:
        """Return the set of one string, or of its spellings in either case."""
        return Language.words((text,), caseless=caseless)

    @staticmethod
    def words(texts: Iterable[str | bytes], *, caseless: bool = False) -> Language:
        """Return a finite set of strings; a thousand cost no more than one to walk."""
        return _words(frozenset(to_bytes(t).lower() if caseless else to_bytes(t) for t in texts), caseless)

    @staticmethod
    def prefix(text: str | bytes, *, caseless: bool = False) -> Language:
        """Return all strings that begin with a text."""
        data = to_bytes(text).lower() if caseless else to_bytes(text)
        machine = Prefix(data, caseless=caseless)
        return Language("leaf", (), Leaf(("prefix", data, caseless), machine, machine, (), data.lower()))

    @staticmethod
    def suffix(text: str | bytes, *, caseless: bool = False) -> Language:
        """Return all strings that end with a text."""
        quoted = b"".join(b"\\x%02x" % b for b in to_bytes(text))
        return Language("leaf", (), _expression(quoted + b"\\z", caseless=caseless, whole=False, nonempty=False))

    @staticmethod
    def regex(pattern: str | bytes, *, caseless: bool = False, whole: bool = False, nonempty: bool = False) -> Language:
        """Return what a PCRE2 pattern finds as nginx runs it: anywhere in the string, or with `whole` all of it.

        With `nonempty` the empty string is left out (a `map` asks no expression about an empty value).
        Never raises: a pattern that is refused or not understood lies between nothing and everything.
        """
        return Language("leaf", (), _expression(to_bytes(pattern), caseless=caseless, whole=whole, nonempty=nonempty))

    @staticmethod
    def glob_path(pattern: str | bytes) -> Language:
        """Return the paths of a policy's glob: `*` is one segment or part of one, `**` any number of segments.

        `/api/**` is `/api/` and everything below it, not `/api`; `/**/*.js` has `/app.js` too.
        """
        return Language("leaf", (), _glob(to_bytes(pattern)))

    @staticmethod
    def everything() -> Language:
        """Return all strings."""
        return Language.prefix(b"")

    @staticmethod
    def nothing() -> Language:
        """Return the empty set."""
        return Language.words(())

    @staticmethod
    def of_tree(name: str, tree: Node) -> Language:
        """Return the strings that a syntax tree matches as a whole; the name stands for the tree in comparisons."""
        machine = compile_tree(Concat((Guard("start"), tree, Guard("end"))))
        return Language("leaf", (), Leaf(("tree " + name, b"", False), machine, machine, (), _needs(tree)))

    @staticmethod
    def union(languages: Iterable[Language]) -> Language:
        """Return the union of any number of sets; finite sets among them become one."""
        flat: list[Language] = []
        for language in languages:
            flat.extend(language.parts if language.op == "or" else (language,))
        finite: dict[bool, set[bytes]] = {}
        rest: list[Language] = []
        for language in dict.fromkeys(flat):
            machine = language.leaf.upper if language.leaf else None
            if isinstance(machine, Words):
                finite.setdefault(machine.caseless, set()).update(machine.words)
            else:
                rest.append(language)
        joined = [Language.words(words, caseless=caseless) for caseless, words in finite.items() if words]
        parts = tuple(joined + rest)
        if not parts:
            return Language.nothing()
        return parts[0] if len(parts) == 1 else Language("or", parts)

    @staticmethod
    def intersection(languages: Iterable[Language]) -> Language:
        """Return the intersection of any number of sets."""
        flat: list[Language] = []
        for language in languages:
            flat.extend(language.parts if language.op == "and" else (language,))
        parts = tuple(dict.fromkeys(flat))
        if not parts:
            return Language.everything()
        return parts[0] if len(parts) == 1 else Language("and", parts)

    # -- algebra -----------------------------------------------------------------------------------------------

    def __or__(self, other: Language) -> Language:
        """Union."""
        return Language.union((self, other))

    def __and__(self, other: Language) -> Language:
        """Intersection."""
        return Language.intersection((self, other))

    def __sub__(self, other: Language) -> Language:
        """Difference."""
        return self & ~other

    def __invert__(self) -> Language:
        """Complement."""
        return self.parts[0] if self.op == "not" else Language("not", (self,))

    # -- questions ---------------------------------------------------------------------------------------------

    @property
    def is_exact(self) -> bool:
        """Whether the upper and the lower bound are the same set."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """What made the set inexact, in words; empty where it is exact."""
        if self.leaf:
            return self.leaf.reasons
        return tuple(dict.fromkeys(reason for part in self.parts for reason in part.reasons))

    def leaves(self) -> tuple[Leaf, ...]:
        """Return the matchers this set is made of, each once."""
        if self.leaf:
            return (self.leaf,)
        return tuple(dict.fromkeys(leaf for part in self.parts for leaf in part.leaves()))

    def contains(self, text: str | bytes) -> bool | None:
        """Whether a string is in the set; None where the bounds do not settle it."""
        return self.has(to_bytes(text))

    def has(self, data: bytes) -> bool | None:
        """Do as `contains`, of bytes."""
        if self.leaf:
            return leaf_contains(self.leaf, data)
        if self.op == "not":
            inner = self.parts[0].has(data)
            return None if inner is None else not inner
        decisive = self.op == "or"
        undecided = False
        for part in self.parts:
            found = part.has(data)
            if found is decisive:
                return decisive
            undecided = undecided or found is None
        return None if undecided else not decisive

    def holds(self, memberships: dict[Leaf, bool | None]) -> bool | None:
        """Combine what is known of each matcher (Kleene's logic) into whether the string is in the set."""
        if self.leaf:
            return memberships[self.leaf]
        values = [part.holds(memberships) for part in self.parts]
        if self.op == "not":
            return None if values[0] is None else not values[0]
        decisive = self.op == "or"
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    def shortest(self, budget: Budget | None = None, *, upper: bool = False) -> bytes | None:
        """Return a shortest member, of the lower bound or with `upper` of the upper; None where there is none.

        Raises OutOfBudget where that is not decided.
        """
        return self.shortest_within((budget or Budget()).clock(), upper=upper)

    def is_empty(self, budget: Budget | None = None) -> bool | None:
        """Whether the set has no member; None where that is not decided."""
        clock = (budget or Budget()).clock()
        try:
            if self.shortest_within(clock, upper=True) is None:
                return True
            return None if not self.is_exact and self.shortest_within(clock, upper=False) is None else False
        except OutOfBudget:
            return None

    def witness(self, prefer: Sequence[Language] = (), budget: Budget | None = None) -> bytes | None:
        """Return a member (of the lower bound), a shortest one of the first preferred set that has any.

        None where there is none; OutOfBudget where that is not decided.
        """
        for preferred in prefer:
            try:
                found = (self & preferred).shortest(budget)
            except OutOfBudget:
                continue
            if found is not None:
                return found
        return self.shortest(budget)

    def shortest_within(self, clock: Clock, *, upper: bool = False) -> bytes | None:
        """Do what `shortest` does, within what is left of a budget that several questions share."""
        best: bytes | None = None
        undecided: OutOfBudget | None = None
        for wanted, refused in self.goals(positive=True, upper=upper):
            try:
                found = solve(wanted, refused, clock)
            except OutOfBudget as e:
                undecided = e
                continue
            if found is not None and (best is None or len(found) < len(best)):
                best = found
        if best is None and undecided is not None:
            raise undecided
        return best

    def goals(self, *, positive: bool, upper: bool) -> list[_Goal]:
        """Write a bound of the set (or of its complement) as a union of intersections of bounds of matchers."""
        if self.leaf:
            if positive:
                return [(((self.leaf, self.leaf.upper if upper else self.leaf.lower),), ())]
            return [((), ((self.leaf, self.leaf.lower if upper else self.leaf.upper),))]
        if self.op == "not":
            return self.parts[0].goals(positive=not positive, upper=upper)
        if (self.op == "or") == positive:
            return [goal for part in self.parts for goal in part.goals(positive=positive, upper=upper)]
        result: list[_Goal] = [((), ())]
        wanted: dict[int, _Bound] = {}
        refused: dict[int, _Bound] = {}
        for part in self.parts:
            more = part.goals(positive=positive, upper=upper)
            if len(more) == 1:
                wanted.update((id(bound[1]), bound) for bound in more[0][0])
                refused.update((id(bound[1]), bound) for bound in more[0][1])
                continue
            if len(result) * len(more) > _MAX_GOALS:
                raise OutOfBudget("more combinations of matchers than can be looked at")
            result = [(w + mw, r + mr) for w, r in result for mw, mr in more]
        if result == [((), ())]:
            return [(tuple(wanted.values()), tuple(refused.values()))]
        return [_joined(goal, wanted, refused) for goal in result]


_Bound: TypeAlias = "tuple[Leaf, Machine]"
_Goal: TypeAlias = "tuple[tuple[_Bound, ...], tuple[_Bound, ...]]"


def _joined(goal: _Goal, wanted: dict[int, _Bound], refused: dict[int, _Bound]) -> _Goal:
    """Return a goal with what all goals have in common, each machine once."""
    more_wanted = wanted | {id(bound[1]): bound for bound in goal[0]}
    more_refused = refused | {id(bound[1]): bound for bound in goal[1]}
    return tuple(more_wanted.values()), tuple(more_refused.values())


def leaf_contains(leaf: Leaf, text: bytes) -> bool | None:
    """Whether a string is matched; None where it lies between the bounds or an automaton grew too large."""
    try:
        if not _matches((leaf, leaf.upper), text):
            return False
        return True if leaf.lower is leaf.upper or _matches((leaf, leaf.lower), text) else None
    except TooLarge:
        return None


def _matches(bound: _Bound, text: bytes) -> bool:
    leaf, machine = bound
    if isinstance(machine, Words | Prefix):
        return machine.has(text)
    return leaf.needs in text.lower() and accepts(machine, text)


def solve(wanted: tuple[_Bound, ...], refused: tuple[_Bound, ...], clock: Clock) -> bytes | None:
    """Return a shortest string in all of `wanted` and none of `refused`.

    Only those refused sets enter the product that some candidate needed: a candidate that a further set contains
    brings that set in, and the walk starts again.
    """
    if {id(m) for _, m in wanted} & {id(m) for _, m in refused}:
        return None
    try:
        finite = [(b, b[1]) for b in wanted if isinstance(b[1], Words) and not b[1].caseless]
        if finite:
            _, smallest = min(finite, key=lambda pair: len(pair[1].words))
            return next((w for w in sorted(smallest.words, key=len) if _fits(w, wanted, refused)), None)
        limiting = [bound for bound in wanted if bound[1].start != ALL]
        ordered = sorted(limiting, key=lambda bound: -len(bound[0].needs))
        if len(ordered) > 1:
            attempt = clock.part()
            with suppress(OutOfBudget):
                found = _search(ordered[:1], ordered[1:], list(refused), attempt)
                clock.give_back(attempt)
                return found
        return _search(ordered, [], list(refused), clock)
    except TooLarge as e:
        raise OutOfBudget("more states than an automaton may have") from e


def _fits(word: bytes, wanted: Sequence[_Bound], refused: Sequence[_Bound]) -> bool:
    return all(_matches(b, word) for b in wanted) and not any(_matches(b, word) for b in refused)


def _search(wanted: list[_Bound], later: list[_Bound], refused: list[_Bound], clock: Clock) -> bytes | None:
    """Walk with `wanted`, then again with each of `later` and `refused` that a candidate shows to be needed."""
    machines: list[Machine] = [machine for _, machine in wanted] or [Prefix(b"")]
    active: list[Machine] = []
    single: set[bytes] = set()
    while True:
        found = shortest(machines, [*active, Words(single)] if single else active, clock)
        if found is None:
            return None
        missing = next((b for b in later if not _matches(b, found)), None)
        if missing is not None:
            later.remove(missing)
            machines.append(missing[1])
            continue
        culprit = next((b for b in refused if _matches(b, found)), None)
        if culprit is None:
            return found
        machine = culprit[1]
        many = isinstance(machine, Words) and not machine.caseless and len(machine.words) > _SINGLE_WORDS
        if many and len(single) < _SINGLE_WORDS:
            single.add(found)
        else:
            refused.remove(culprit)
            active.append(machine)


@lru_cache(maxsize=2048)
def _words(words: frozenset[bytes], caseless: bool) -> Language:
    machine = Words(words, caseless=caseless)
    return Language("leaf", (), Leaf(("words", words, caseless), machine, machine))


@lru_cache(maxsize=2048)
def _expression(pattern: bytes, *, caseless: bool, whole: bool, nonempty: bool) -> Leaf:
    """Compile a pattern once; the automaton keeps what was built of it."""
    key = ("whole " * whole + "nonempty " * nonempty + "regex", pattern, caseless)
    everything, nothing = Prefix(b""), Words(())
    try:
        upper, lower, reasons = resolved(parse(pattern, caseless=caseless))
        if whole:
            upper, lower = (Concat((Guard("start"), tree, Guard("end"))) for tree in (upper, lower))
        if not reasons and (literal := _literal(upper)) is not None:
            return literal
        if nonempty and accepts(compile_tree(upper), b""):
            upper, lower = (Concat((*_SOMETHING, tree)) for tree in (upper, lower))
        most = compile_tree(upper)
        least = compile_tree(lower) if reasons else most
    except NotReadable as e:
        return Leaf(key, everything, nothing, (str(e),))
    except (TooLarge, RecursionError):
        return Leaf(key, everything, nothing, ("an expression too large to decide",))
    return Leaf(key, most, least, reasons, _needs(upper))


def _literal(tree: Node) -> Leaf | None:
    """Return the one string, or the one prefix, that an anchored expression says letter by letter; these are cheap."""
    items = tree.items if isinstance(tree, Concat) else ()
    inner = [item for outer in items for item in (outer.items if isinstance(outer, Concat) else (outer,))]
    whole = inner[-1:] == [Guard("end")]
    letters = inner[1:-1] if whole else inner[1:]
    if len(letters) == 0 or inner[0] != Guard("start") or not all(type(item) is Chars for item in letters):
        return None
    masks = [item.mask for item in letters if isinstance(item, Chars)]
    text = b"".join(_LETTERS.get(mask, b"") for mask in masks)
    if len(text) != len(masks):
        return None
    exactly = b"".join(_EXACTLY.get(mask, b"") for mask in masks)
    caseless = len(exactly) != len(masks)
    if caseless and any(mask in _EXACTLY and fold(mask) != mask for mask in masks):
        return None  # some letters in either case, some not
    found = Language.exact(text, caseless=True) if caseless else Language.exact(exactly)
    return (found if whole else Language.prefix(text if caseless else exactly, caseless=caseless)).leaf


_SOMETHING = (Guard("start"), Look(Chars(FULL), ahead=True, negative=False), ANYTHING)


def _needs(tree: Node) -> bytes:
    """Return the longest text, in lower case, that every match contains letter for letter but for case."""
    best = run = b""
    for item in tree.items if isinstance(tree, Concat) else (tree,):
        if isinstance(item, Guard):
            continue
        letter = _LETTERS.get(item.mask) if isinstance(item, Chars) else None
        run = run + letter if letter else b""
        best = max(best, run, key=len)
    return best


_LETTERS = {BIT[b]: bytes((b,)).lower() for b in range(256)} | {
    BIT[b] | BIT[b ^ 0x20]: bytes((b,)) for b in b"abcdefghijklmnopqrstuvwxyz"
}
_EXACTLY = {BIT[b]: bytes((b,)) for b in range(256)}
_SEGMENT = Chars(FULL & ~BIT[0x2F])


@lru_cache(maxsize=2048)
def _glob(pattern: bytes) -> Leaf:
    plain = pattern.removesuffix(b"/**") + b"/" if pattern.endswith(b"/**") else pattern
    if b"*" not in plain and (found := Language.exact(plain) if plain is pattern else Language.prefix(plain)).leaf:
        return found.leaf
    items: list[Node] = []
    segments = pattern.split(b"/")
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == b"**":
            items.append(ANYTHING if last else Repeat(Concat((Repeat(_SEGMENT, 0, None), Chars(BIT[0x2F]))), 0, None))
            continue
        items.extend(_segment(segment))
        if not last:
            items.append(Chars(BIT[0x2F]))
    tree = Concat(tuple(items))
    machine = compile_tree(Concat((Guard("start"), tree, Guard("end"))))
    return Leaf(("glob", pattern, False), machine, machine, (), _needs(tree))


def _segment(segment: bytes) -> list[Node]:
    """Return the nodes of one path segment; a lone `*` has at least one byte, one among others may have none."""
    if segment == b"*":
        return [Repeat(_SEGMENT, 1, None)]
    return [Repeat(_SEGMENT, 0, None) if c == 0x2A else Chars(BIT[c]) for c in segment]
