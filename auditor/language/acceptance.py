"""Which origins a configuration accepts outside a policy, and which of the policy's it refuses, each with a witness.

The configuration's side is a set, or the lines of a `map` or a chain of `if`s in the order in which they decide:
the first line that matches says whether the origin is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.dataclass import dataclass
from auditor.language.automaton import TooLarge
from auditor.language.origins import OriginItem, OriginPolicy, registrable, split_origin
from auditor.language.partition import Cell, Partition, partition
from auditor.language.search import Budget, Clock, OutOfBudget
from auditor.language.sets import Language
from auditor.language.shapes import OriginClass, Shape, any_header, shapes
from auditor.language.words import Words

_LONGEST_HOST = 253
"""No DNS name is longer (RFC 1035 §2.3.4); where the shortest refused host is, none that exists is refused."""
_NOT_KNOWN = "what this line leads to is not known"


@dataclass(frozen=True, slots=True)
class Line:
    """One line that decides about an origin: `accepted` None where what it leads to is not known."""

    matcher: Language
    accepted: bool | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Escape:
    """An origin on the wrong side: which line is guilty, and who sends such an origin."""

    line: int
    witness: str
    origin_class: OriginClass
    said: str
    item: OriginItem | None = None

    @property
    def browser(self) -> bool:
        """Whether a browser can send the witness."""
        return self.origin_class != "not-a-browser"


@dataclass(frozen=True, slots=True)
class Open:
    """A line about which nothing was decided, and why; `item`: the policy's entry it was about."""

    line: int
    reason: str
    item: OriginItem | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The answer for all lines: proven where there is neither an escape nor anything open."""

    escapes: tuple[Escape, ...]
    open: tuple[Open, ...]

    @property
    def proven(self) -> bool:
        """Whether no origin at all is on the wrong side."""
        return not self.escapes and not self.open

    @property
    def proven_for_browsers(self) -> bool:
        """Whether no origin that a browser can send is on the wrong side."""
        return not self.open and not any(escape.browser for escape in self.escapes)


def map_lines(entries: Iterable[tuple[str, bool | None]], default: bool | None = False) -> tuple[Line, ...]:
    """Return the lines of an nginx `map` (keys as written, and what each leads to) in the order nginx decides.

    Exact keys come first and compare without case; `~` and `~*` follow in file order and never see an empty value;
    `default` is last (src/http/modules/ngx_http_map_module.c).
    """
    exact: list[Line] = []
    expressions: list[Line] = []
    for key, accepted in entries:
        if key == "default":
            default = accepted
        elif key.startswith("~"):
            caseless = key.startswith("~*")
            language = Language.regex(key[2 if caseless else 1 :], caseless=caseless, nonempty=True)
            expressions.append(Line(language, accepted, key))
        else:
            exact.append(Line(Language.exact(key.removeprefix("\\"), caseless=True), accepted, key))
    return (*exact, *expressions, Line(Language.everything(), default, "default"))


def _as_lines(accepting: Language | Sequence[Line]) -> tuple[Line, ...]:
    if isinstance(accepting, Language):
        return (Line(accepting, accepted=True), Line(Language.everything(), accepted=False))
    return tuple(accepting)


def _word(language: Language) -> Words | None:
    machine = language.leaf.upper if language.leaf else None
    return machine if isinstance(machine, Words) else None


class _Decided:
    """All lines, those with exact strings by string."""

    __slots__ = ("other", "words")

    def __init__(self) -> None:
        self.words: dict[tuple[bool, bytes], int] = {}
        self.other: list[tuple[int, Line]] = []

    def add(self, index: int, line: Line) -> None:
        words = _word(line.matcher)
        if words is None:
            self.other.append((index, line))
            return
        for word in words.words:
            self.words.setdefault((words.caseless, word), index)


def accepted_outside(
    accepting: Language | Sequence[Line],
    policy: OriginPolicy,
    *,
    within: Language | None = None,
    budget: Budget | None = None,
) -> Acceptance:
    """Decide whether any origin that the policy does not have is accepted; one escape for each guilty line."""
    lines, budget = _as_lines(accepting), budget or Budget()
    universe = within or any_header()
    escapes: list[Escape] = []
    undecided: list[Open] = []
    outside = ~policy.most
    denied: list[Language] = []
    for index, line in enumerate(lines):
        if line.accepted is False:
            denied.append(line.matcher)
            continue
        words = _word(line.matcher)
        if words is not None and all(policy.most.contains(word) for word in words.words):
            continue
        escaping = Language.intersection((line.matcher, universe, outside, *(~d for d in denied)))
        clock = budget.clock()
        try:
            found = escaping.shortest_within(clock, upper=True)
            if found is None:
                continue
            if line.accepted is None:
                undecided.append(Open(index, _NOT_KNOWN))
                continue
            escape = _escape(index, escaping, found, policy, clock)
        except (OutOfBudget, TooLarge) as e:
            undecided.append(Open(index, str(e) or "an automaton too large"))
            continue
        if escape is None:
            undecided.append(Open(index, "; ".join(escaping.reasons)))
        else:
            escapes.append(escape)
    return Acceptance(tuple(escapes), tuple(undecided))


def refused_inside(
    accepting: Language | Sequence[Line],
    policy: OriginPolicy,
    *,
    within: Language | None = None,
    budget: Budget | None = None,
) -> Acceptance:
    """Decide whether each origin that the policy has is accepted; one escape for each entry and guilty line."""
    lines, budget = _as_lines(accepting), budget or Budget()
    index_of = _Decided()
    for index, line in enumerate(lines):
        index_of.add(index, line)
    found: list[Escape | Open] = []
    for item in policy.items:
        words = _word(item.least)
        if words is not None and not words.caseless and within is None:
            found += [answer for word in words.words if (answer := _refused_word(word, lines, index_of, item))]
        else:
            found += _refused_item(item, lines, within, budget)
    return Acceptance(
        tuple(answer for answer in found if isinstance(answer, Escape)),
        tuple(answer for answer in found if isinstance(answer, Open)),
    )


def _refused_word(word: bytes, lines: tuple[Line, ...], decided: _Decided, item: OriginItem) -> Escape | Open | None:
    """Run the lines on one exact origin; None where they accept it."""
    known = [at for at in (decided.words.get((False, word)), decided.words.get((True, word.lower()))) if at is not None]
    first, unsure = min(known, default=len(lines)), ""
    for index, line in decided.other:
        if index > first:
            break
        said = line.matcher.contains(word)
        if said:
            first = index
            break
        if said is None:
            unsure = unsure or "; ".join(line.matcher.reasons) or "an automaton too large"
    accepted = lines[first].accepted if first < len(lines) else False
    if unsure or accepted is None:
        return Open(min(first, len(lines) - 1), unsure or _NOT_KNOWN, item)
    return None if accepted else _refused(min(first, len(lines) - 1), word, item)


def _refused_item(
    item: OriginItem, lines: tuple[Line, ...], within: Language | None, budget: Budget
) -> Iterator[Escape | Open]:
    """Ask each refusing line for a member of the entry that no earlier line accepts."""
    earlier: list[Language] = []
    for index, line in enumerate(lines):
        if line.accepted is not False:
            earlier.append(line.matcher)
        if line.accepted is True:
            continue
        clock = budget.clock()
        wanted = (item.least, *(() if within is None else (within,)))
        refused = Language.intersection((*wanted, line.matcher, *(~e for e in earlier if e is not line.matcher)))
        try:
            witness = refused.shortest_within(clock, upper=True)
            if witness is None or len(split_origin(witness.decode("latin-1"))[1]) > _LONGEST_HOST:
                continue
            if refused.contains(witness) is not True:
                witness = refused.shortest_within(clock)
        except (OutOfBudget, TooLarge) as e:
            yield Open(index, str(e) or "an automaton too large", item)
            continue
        if witness is None or line.accepted is None:
            yield Open(index, "; ".join(refused.reasons) or _NOT_KNOWN, item)
        else:
            yield _refused(index, witness, item)


def _refused(index: int, witness: bytes, item: OriginItem) -> Escape:
    return Escape(index, witness.decode("latin-1"), "own-site", "an origin of the policy", item)


def _escape(index: int, escaping: Language, found: bytes, policy: OriginPolicy, clock: Clock) -> Escape | None:
    """Return the most convincing member of a set, None where only its upper bound (which has `found`) has any."""
    certain = escaping.contains(found) is True
    sites = tuple(dict.fromkeys(registrable(host) for host in policy.hosts))
    candidates = templates(policy.hosts)
    for shape in shapes(sites):
        for candidate in candidates.get(shape.name, ()):
            if shape.language.contains(candidate) and escaping.contains(candidate):
                return _made(index, candidate, shape)
        if certain and shape.language.contains(found):
            return _made(index, found.decode("latin-1"), shape)
        try:
            better = (shape.language & escaping).shortest_within(clock)
        except OutOfBudget:
            if not certain and not shape.browser:
                raise
            continue
        if better is not None:
            return _made(index, better.decode("latin-1"), shape)
    return None


def _made(index: int, witness: str, shape: Shape) -> Escape:
    return Escape(index, witness, shape.name, shape.said)


def templates(hosts: Sequence[str]) -> dict[OriginClass, list[str]]:
    """Return origins an attacker would try against these hosts, by class; candidates for witnesses, nothing more."""
    names = ["evil.example"]
    for host in hosts[:8]:
        site = registrable(host)
        names += [f"{host}.evil.example", f"evil{site}", f"evil-{site}", f"evil{host}", f"{host}evil.example"]
        names += [host[:i] + "x" + host[i + 1 :] for i, c in enumerate(host) if c == "."]
        names += [f"evil.{host}", f"evil.{site}"]
    names = list(dict.fromkeys(names))
    own = [h for host in hosts[:8] for h in (host, registrable(host), f"evil.{registrable(host)}", f"evil.{host}")]
    return {
        "foreign-https": [f"https://{name}" for name in names],
        "foreign-http": [f"http://{name}" for name in names],
        "foreign-port": [f"https://{name}:8443" for name in names] + [f"http://{name}:8080" for name in names],
        "null": ["null"],
        "own-site": [f"https://{h}" for h in own] + [f"http://{h}" for h in own] + [f"https://{h}:8443" for h in own],
        "odd-host": [f"https://evil.example_.{host}" for host in hosts[:8]]
        + [f"https://{host}_.evil.example" for host in hosts[:8]],
        "other-scheme": ["chrome-extension://" + "abcdefghijklmnop" * 2, "capacitor://localhost"],
        "not-a-browser": [f"https://{host}/" for host in hosts[:8]] + [f"x{host}" for host in hosts[:8]],
    }


@dataclass(frozen=True, slots=True)
class OriginCells:
    """The cells of all Origin values, and for each the class of its representative."""

    partition: Partition
    shapes: tuple[Shape, ...]

    def pairs(self) -> tuple[tuple[Cell, Shape], ...]:
        """Return each cell with the most convincing class of sender that it has a member of."""
        return tuple(zip(self.partition.cells, self.shapes, strict=True))


def origin_cells(
    matchers: Sequence[Language], hosts: Sequence[str] = (), *, budget: Budget | None = None
) -> OriginCells:
    """Return the cells of a family of matchers over all Origin values, with representatives that a browser sends.

    Where a cell has no such member, the representative is one that any client can send. `hosts` are the policy's
    (`OriginPolicy.hosts`). The absent header is not a value: ask for it separately.
    """
    sites = tuple(dict.fromkeys(registrable(host) for host in hosts))
    classes = shapes(sites)
    by_class = templates(hosts)
    exact = [
        word for m in matchers for leaf in m.leaves() if isinstance(leaf.upper, Words) for word in leaf.upper.words
    ]
    candidates = [c for shape in classes for c in by_class.get(shape.name, ())]
    found = partition(
        matchers, any_header(), budget=budget, candidates=[*exact, *candidates], prefer=[s.language for s in classes]
    )
    said = tuple(
        next((s for s in classes if s.language.contains(cell.representative)), classes[-1]) for cell in found.cells
    )
    return OriginCells(found, said)
