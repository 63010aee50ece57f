"""The parts of a request that a stack looks at, each cut into cells: values that satisfy the same matchers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.language import (
    Cell,
    Language,
    OriginPolicy,
    OutOfBudget,
    Partition,
    browser_sendable,
    partition,
    policy_origin,
    policy_origins,
)
from auditor.language.acceptance import templates
from auditor.plan.facts import NO_ORIGIN, OriginCell, Pattern
from auditor.policy.model import Match, Origin

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW")
"""Every method that configurations name in practice, and one that nobody names; not TRACE and CONNECT, which are
refused whatever is configured."""

HOSTNAME = Language.regex(r"[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62})){0,8}", whole=True)
Test = tuple[str, str, bool, Language | None]
"""What is tested: kind, pattern, whether case does not matter, the set where it is given."""
PATH = Language.regex(r"/[!-~]*", whole=True) - Language.regex(r"[?#%\\]|//|/\.\.?(?:/|$)")


@dataclass(frozen=True, slots=True)
class Matcher:
    """Something in a configuration that can see one part of a request.

    `subject` is "origin", "path", "host", "method", "header:<name>", "cookie:<name>", "arg:<name>" or another part;
    `kind` is "exact", "prefix", "suffix", "regex", "wildcard-host", "nonempty", "given" (the set `given`) or "other"
    (not regular: `reason` says why that leaves something open, "" where it does not).
    `scope` names the server that the matcher belongs to, `table` the map that it is a key of; "" where all see it.
    `selects`: all that it does is to choose a block (a location, a router) by the path and the host alone.
    `parts` are those of the text that is tested where it has several (see `auditor.plan.joint`); `at` are the paths at which
    the matcher makes a difference, None where all are.
    """

    subject: str
    kind: str
    pattern: str
    caseless: bool = False
    location: Location | None = None
    scope: str = ""
    selects: bool = False
    table: str = ""
    reason: str = ""
    parts: tuple[str, ...] = ()
    given: Language | None = None
    at: Language | None = None

    @property
    def test(self) -> Test:
        """What is tested, wherever it stands."""
        return (self.kind, self.pattern, self.caseless, self.given)

    def language(self) -> Language | None:
        """Return the values that satisfy the matcher; None where that is no regular set."""
        match self.kind:
            case "given":
                return self.given
            case "exact":
                return Language.exact(self.pattern, caseless=self.caseless)
            case "prefix":
                return Language.prefix(self.pattern)
            case "suffix":
                return Language.suffix(self.pattern)
            case "regex":
                return Language.regex(self.pattern, caseless=self.caseless)
            case "wildcard-host":
                return _wildcard(self.pattern)
            case "nonempty":
                return ~Language.exact("")
            case _:
                return None


def _wildcard(name: str) -> Language:
    if name.startswith("*."):
        return Language.suffix(name[1:])
    if name.startswith("."):
        return Language.exact(name[1:]) | Language.suffix(name)
    if name.endswith(".*"):
        return Language.prefix(name[:-1])
    return Language.exact(name)


def regular(matchers: Iterable[Matcher], subject: str) -> list[tuple[Matcher, Language]]:
    """Return the distinct matchers of one subject that are regular sets, with their sets."""
    unique: dict[Test, Matcher] = {}
    for m in matchers:
        if m.subject == subject:
            unique.setdefault(m.test, m)
    return [(m, found) for m in unique.values() if (found := m.language()) is not None]


def languages(matchers: Iterable[Matcher], subject: str) -> list[Language]:
    """Return the distinct regular sets of the matchers of one subject."""
    return [found for _, found in regular(matchers, subject)]


@dataclass(frozen=True, slots=True)
class PathCells:
    """The cells of all paths, cut by the stack's matchers, the globs of the policy's routes, and further globs.

    `sets` are those, in this order; a question that only the first `n` of them matter to sees fewer, larger cells.
    `undecided` are the matchers of which it is not decided for every path whether they match.
    """

    cells: tuple[Cell, ...]
    sets: tuple[Language, ...]
    matchers: int
    globs: int
    undecided: tuple[Matcher, ...] = ()

    @classmethod
    def of(
        cls,
        matchers: Sequence[Matcher],
        routes: Sequence[Language],
        more: Sequence[Language],
        named: Sequence[str] = (),
    ) -> PathCells:
        """Cut the set of all paths; a path that the policy names stands for its cell."""
        seen = regular(matchers, "path")
        sets = (*(found for _, found in seen), *routes, *more)
        cut = _cut_paths(sets, tuple(named))
        undecided = tuple(_undecided(cut, [m for m, _ in seen], "path"))
        return cls(cut.cells, sets, len(seen), len(seen) + len(routes), undecided)

    def inside(self, within: Sequence[Language] | None, concrete: Sequence[str], first: int) -> list[str]:
        """Return a path of each cell in one of some sets that have cut the cells, of all cells for None.

        A concrete path stands for its cell where it lies in it.
        """
        wanted = None if within is None else {self.sets.index(item) for item in within}
        result = list(dict.fromkeys(concrete))
        taken = {frozenset(i for i in range(first) if self.sets[i].contains(path)) for path in concrete}
        for cell in self.cells:
            key = frozenset(i for i in cell.holding if i < first)
            if key not in taken and (wanted is None or not wanted.isdisjoint(cell.holding)):
                taken.add(key)
                result.append(cell.text)
        return result


def _signature(text: str, sets: Sequence[Language]) -> tuple[bool | None, ...]:
    return tuple(item.contains(text) for item in sets)


@lru_cache(maxsize=64)
def _cut_paths(sets: tuple[Language, ...], named: tuple[str, ...]) -> Partition:
    return partition(sets, PATH, candidates=named)


def _undecided(cut: Partition, seen: Sequence[Matcher], subject: str, first: int = 0) -> list[Matcher]:
    """Return those of the matchers, numbered from `first`, of which it is not decided for every value if they match.

    Where cells may be missing because of what else they were cut by, that is what is returned.
    """
    found = [seen[i - first] for i in cut.undecided if first <= i < first + len(seen)]
    if found or cut.complete:
        return found
    reason = f"the {subject}s that the policy and the configuration tell apart are too many: not every one was tried"
    return [Matcher(subject, "other", "", reason=reason)]


def host_cells(matchers: Sequence[Matcher]) -> tuple[list[str], list[Matcher]]:
    """Return a representative host name of each cell, and the matchers that are not decided for every name."""
    exact = [m.pattern for m in matchers if m.subject == "host" and m.kind == "exact" and m.pattern not in {"", "_"}]
    others = [m for m in matchers if m.subject == "host" and m.kind != "exact"]
    named = dict.fromkeys(exact)
    if all(m.kind == "wildcard-host" and m.pattern.startswith(("*.", ".")) for m in others):
        return [*named, *_below(dict.fromkeys(m.pattern for m in others), named)], []
    seen = regular(others, "host")
    within = HOSTNAME - Language.words(exact) if exact else HOSTNAME
    cut = partition([found for _, found in seen], within, candidates=("localhost", "www.localhost"))
    return [*named, *(cell.text for cell in cut.cells)], _undecided(cut, [m for m, _ in seen], "host")


def _below(wildcards: Iterable[str], named: Iterable[str]) -> list[str]:
    """Return a name that only each wildcard on the first labels and those around it match, and one that none does.

    The names below one wildcard are those below another or of it, or have none in common with them: no other cells.
    """
    taken = {*named, *(name.lstrip("*.") for name in wildcards)}
    result = []
    for wildcard in wildcards:
        domain = wildcard.lstrip("*.")
        names = [domain] if wildcard.startswith(".") and domain not in named else []
        result += [*names, _fresh(domain, taken)]
    ends = tuple("." + wildcard.lstrip("*.") for wildcard in wildcards)
    spare = ("localhost", "www.localhost", *(f"unnamed{number}" for number in range(len(taken) + 1)))
    outside = next(name for name in spare if name not in taken and not name.endswith(ends))
    return [*dict.fromkeys(result), outside]


def _fresh(domain: str, taken: Collection[str]) -> str:
    """Return a name one label below a domain that is not among those taken."""
    labels = ("www", "a", *(f"a{number}" for number in range(len(taken) + 1)))
    return next(name for name in (f"{label}.{domain}" for label in labels) if name not in taken)


def method_cells(matchers: Sequence[Matcher], wanted: Sequence[str]) -> list[str]:
    """Return one method of each cell, the first of those wanted."""
    sets = languages(matchers, "method")
    seen: dict[tuple[bool | None, ...], str] = {}
    for method in wanted:
        seen.setdefault(_signature(method, sets), method)
    return list(seen.values())


def route_language(match: Sequence[Match]) -> Language:
    """Return the set of paths that a route's globs match."""
    return Language.union([glob_set(item.paths) for item in match]) & PATH


@lru_cache(maxsize=1024)
def glob_set(globs: tuple[str, ...] | None) -> Language:
    """Return the set of paths that some globs match, all paths for None."""
    return Language.union([Language.glob_path(glob) for glob in globs or ("/**",)])


def origin_kind(value: str, allowed: Sequence[str]) -> str:
    """Say what sort of origin this is, in a word that stays the same when its letters change."""
    if value == "null":
        return "null"
    scheme, _, rest = value.partition("://")
    host = re.sub(r":\d+$", "", rest)
    if host in {"localhost", "127.0.0.1", "[::1]"}:
        return f"{scheme} localhost"
    if host.endswith(".localhost"):
        return f"{scheme} localhost subdomain"
    hosts = [re.sub(r":\d+$", "", item.partition("://")[2]) for item in allowed]
    if host in hosts:
        return f"{scheme} same host"
    if any(host.endswith(f".{item}") for item in hosts):
        return f"{scheme} subdomain"
    if any(label in host for item in hosts for label in item.split(".")[:-1] if len(label) > 3):
        return f"{scheme} lookalike"
    return f"{scheme} foreign"


def origin_cells(
    matchers: Sequence[Matcher], allowed: Sequence[Origin], null_origin: str, known: Sequence[Origin] = ()
) -> list[OriginCell]:
    """Return every cell of the origins that a browser can send, and the request without an Origin.

    Origins that the policy lets the stack accept or refuse as it likes (odd host names under a wildcard) have none.
    `known` are all origins that the whole policy names: representatives are sought near them first.
    """
    exact = [item.exact for item in allowed if item.exact and item.exact != "*"]
    tests = _tests(matchers)
    places = list(tests.values())
    result = [NO_ORIGIN]
    cells, spares, _ = _cut(tuple(tests), tuple(allowed), tuple(known))
    for cell in cells:
        inside = 1 in cell.holding
        if not inside and 0 in cell.holding:
            continue
        kind = "allowed" if inside else origin_kind(cell.text, exact)
        met = [m for i, m in enumerate(places, 2) if i in cell.holding and m.kind != "nonempty"]
        matched = tuple(Pattern(m.pattern, m.location, m.kind == "regex", m.caseless) for m in met)
        residual = not inside and not met and not cell.unsure
        result.append(OriginCell(cell.text, inside, kind, residual, matched, spares.get(cell.signature)))
    for value in exact:
        if all(cell.value != value for cell in result):
            result.append(OriginCell(value, allowed=True, kind="allowed"))
    return [*result, OriginCell("null", allowed=null_origin == "allow", kind="null")]


def undecided_origins(matchers: Sequence[Matcher], allowed: Sequence[Origin], known: Sequence[Origin]) -> list[Matcher]:
    """Return the matchers of which it is not decided for every origin whether they match."""
    tests = _tests(matchers)
    _, _, cut = _cut(tuple(tests), tuple(allowed), tuple(known))
    return _undecided(cut, list(tests.values()), "origin", 2)


def _tests(matchers: Sequence[Matcher]) -> dict[Test, Matcher]:
    """Return the first matcher of each test of the origin."""
    tests: dict[Test, Matcher] = {}
    for m in matchers:
        if m.subject == "origin" and m.kind != "other":
            tests.setdefault(m.test, m)
    return tests


@lru_cache(maxsize=1024)
def _cut(
    tests: tuple[Test, ...], allowed: tuple[Origin, ...], known: tuple[Origin, ...]
) -> tuple[tuple[Cell, ...], dict[tuple[bool | None, ...], str], Partition]:
    """Return the cells of what a policy lets in at most (0) and at least (1), and of the tests, in the order given.

    No cell has secure and insecure origins: browsers tell them apart whatever the stack does.
    With them, by signature, another member of each cell that an origin of the policy stands for, where it has one,
    and the partition, which says what is not decided for every origin.
    """
    policy = origin_policy(allowed)
    near = origin_policy(dict.fromkeys([*allowed, *known])).hosts
    named = [item.exact for item in (*allowed, *known) if item.exact and item.exact != "*"]
    candidates = [*named, *(text for texts in templates(near).values() for text in texts)]
    sets = [Matcher("origin", *test[:3], given=test[3]).language() or Language.nothing() for test in tests]
    within = browser_sendable() - Language.exact("null")
    family = [policy.most, policy.plain, *sets, Language.prefix("https://")]
    cut = partition(family, within, candidates=candidates)
    cells = _let_in(cut, family, policy.least, within)
    taken = [cell.text for cell in cells if cell.text in named]
    rest = within - Language.words(taken)
    others = _let_in(partition(family, rest), family, policy.least, rest) if taken else ()
    return cells, {cell.signature: cell.text for cell in others}, cut


def _let_in(cut: Partition, family: Sequence[Language], least: Language, within: Language) -> tuple[Cell, ...]:
    """Return the cells of a family; where its matcher 1 holds, with a representative that must really be let in.

    Matcher 1 is what must be let in but for the lengths of labels: those would make a hundred times as many states.
    A cell of which only labels longer than DNS allows are members is none of matcher 1.
    """
    result = []
    for cell in cut.cells:
        if 1 not in cell.holding or least.contains(cell.representative) is True:
            result.append(cell)
            continue
        sides = [s if i in cell.holding else ~s for i, s in enumerate(family) if i > 1 and i not in cell.unsure]
        try:
            found = Language.intersection([least, within, *sides]).shortest()
        except OutOfBudget:
            result.append(cell)
            continue
        kept = cell.holding if found is not None else cell.holding - {1}
        result.append(replace(cell, representative=found or cell.representative, holding=kept))
    return tuple(result)


def origin_policy(allowed: Iterable[Origin]) -> OriginPolicy:
    """Return a policy's list of origins as sets."""
    return policy_origins([policy_origin(_written(item)) for item in allowed])


def _written(item: Origin) -> str | dict[str, str]:
    if item.exact is not None:
        return item.exact
    return {"pattern": item.pattern} if item.pattern is not None else {"regex": item.regex or ""}
