"""What one server can see of a request, and the cells that it cuts requests into."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import field, replace
from ipaddress import ip_network
from itertools import combinations, product
from math import prod
from typing import Protocol

from auditor.dataclass import dataclass
from auditor.exchange import INJECTED
from auditor.language import Language
from auditor.plan.alike import entries_differ, tests_of_paths
from auditor.plan.cells import (
    METHODS,
    Matcher,
    PathCells,
    languages,
    method_cells,
    origin_cells,
    undecided_origins,
)
from auditor.plan.changes import WORDS, Change, said
from auditor.plan.facts import OriginCell
from auditor.plan.joint import CROSSING, GATE, SHARE, VARIED
from auditor.policy.model import Origin

SPECIAL = frozenset(
    {"origin", "host", "upgrade", "connection", "access-control-request-method", "access-control-request-headers"}
)
"""Headers that probes set for reasons of their own."""

OF_PAGES = frozenset({"accept", "accept-language", "content-language", "cookie", "range", "user-agent"})
"""Headers that come with the requests of a page, whatever a preflight grants; a Referer names the page and what it likes."""

READS = r"^(?:GET|HEAD)\z"
"""How serving files looks at the method."""


OTHER = ("other", "zq7", "x0")
"""Values that nothing names."""

PORTS = ("8081", "9", "65001")
"""The same for the port that a Host header names."""

MOST = 128
"""Combinations of several parts of a request that one thing may depend on."""


class Selection(Protocol):
    """Says of one configuration which server answers, what it can see of a request, and which places answer alike."""

    def scope(self, listen: str, scheme: str, host: str) -> str | None:
        """Name the server that answers; None where none does."""
        ...

    def tables(self, listen: str, scheme: str, host: str, path: str | None = None) -> frozenset[str]:
        """Return the names of the tables that the server reads, or that what answers to a path of it may read."""
        ...

    def alike(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:
        """Return something equal for places that answer alike; None for a place like no other."""
        ...

    def through(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:
        """Return what a request passes at the outermost layer, equal where that does the same; None where unknown."""
        ...


@dataclass(slots=True)
class View:
    """The matchers that one server has, and what follows from them; each thing is found out once."""

    matchers: tuple[Matcher, ...]
    undecided: dict[Matcher, None] = field(default_factory=dict)
    """Matchers of which it is not decided for every value whether they match, of those that were asked about."""
    _origins: dict[object, list[OriginCell]] = field(default_factory=dict)
    _methods: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _variations: list[tuple[str, Change]] | None = None
    _referers: list[Language] | None = None
    _gates: list[Matcher] | None = None
    _named: tuple[str, ...] | None = None
    _pages: list[tuple[str, Change]] | None = None
    _written: list[Language] | None = None
    _decisive: tuple[str, ...] | None = None
    _paths: tuple[frozenset[object], list[Language] | None, bool] | None = None

    @property
    def paths(self) -> frozenset[object]:
        """What is tested of the path: servers that test the same cut paths into the same cells."""
        return self._of_paths()[0]

    @property
    def tests(self) -> list[Language] | None:
        """The sets of paths that more than the choice of a block depends on."""
        return self._of_paths()[1]

    @property
    def by_entry(self) -> bool:
        """Whether the server looks at the way by which a request came in."""
        return self._of_paths()[2]

    def _of_paths(self) -> tuple[frozenset[object], list[Language] | None, bool]:
        if self._paths is None:
            tested = frozenset(m.test for m in self.matchers if m.subject == "path")
            self._paths = (tested, tests_of_paths(self.matchers), entries_differ(self.matchers))
        return self._paths

    def cut(self, routes: Sequence[Language], more: Sequence[Language], named: Sequence[str] = ()) -> PathCells:
        """Cut the set of all paths, by globs too."""
        cells = PathCells.of(self.matchers, routes, more, named)
        self.undecided.update(dict.fromkeys(cells.undecided))
        return cells

    def methods(self, own: tuple[str, ...]) -> tuple[str, ...]:
        """Return one method of each cell."""
        if own not in self._methods:
            self._methods[own] = tuple(method_cells(self.matchers, own))
        return self._methods[own]

    def origins(self, allowed: tuple[Origin, ...], null_origin: str, known: tuple[Origin, ...]) -> list[OriginCell]:
        """Return one origin of each cell."""
        key = (allowed, null_origin)
        if key not in self._origins:
            self._origins[key] = origin_cells(self.matchers, allowed, null_origin, known)
            self.undecided.update(dict.fromkeys(undecided_origins(self.matchers, allowed, known)))
        return self._origins[key]

    def variations(self, path: str) -> list[tuple[str, Change]]:
        """Return a change of a request for every value of another part that some matcher can see, as far as it matters at a path."""
        return _at(path, self._varied())

    def _varied(self) -> list[tuple[str, Change]]:
        if self._variations is None:
            self._variations = list(self._changes())
        return self._variations

    def of_pages(self, path: str, origin: str | None = None) -> list[tuple[str, Change]]:
        """Return the changes that a page of any origin can make, or its browser makes; with one, what is its own too."""
        if self._pages is None:
            self._pages = [(why, c) for why, c in self._varied() if all(map(_of_page, c.all))]
        own = self.referers(origin) if origin is not None else []
        return [*_at(path, self._pages), *self.spellings(path), *own]

    @property
    def writes_paths(self) -> bool:
        """Whether a line break in a path may end up in a header."""
        return any(m.subject == "request_uri" and m.pattern == INJECTED for m in self.matchers)

    def spellings(self, path: str) -> list[tuple[str, Change]]:
        """Return other ways to write a path, as far as something that looks at the request line tells them apart."""
        if self._written is None:
            self._written = languages(self.matchers, "request_uri")
        if not self._written:
            return []
        seen = {tuple(item.contains(path) for item in self._written)}
        found = []
        for text in _spelled(path):
            if (tested := tuple(item.contains(text) for item in self._written)) not in seen:
                seen.add(tested)
                found.append((f"the way the path is written to {text}", Change("target", "", text)))
        return found

    def referers(self, origin: str) -> list[tuple[str, Change]]:
        """Return a Referer of a page at an origin for each test that some address there satisfies."""
        if self._referers is None:
            self._referers = languages(self.matchers, "header:referer")
        if not self._referers:
            return []
        here = Language.prefix(f"{origin}/") & Language.regex(r"[!-~]+", whole=True)
        found = dict.fromkeys((language & here).shortest() for language in self._referers)
        texts = [text.decode("latin-1") for text in found if text is not None]
        return [(f"the page at {text}", Change("header", "Referer", text)) for text in texts]

    def forged(self, path: str) -> Iterator[Change]:
        """Yield changes of what probes set for reasons of their own, where a condition at a path looks at it; with others, too."""
        if self._gates is None:
            self._gates = [m for m in self.matchers if m.subject.startswith(GATE)]
        met = [m for m in self._gates if (language := m.language()) is None or language.contains(path) is not False]
        if not met:
            return
        first = [
            change for subject in sorted({m.subject.removeprefix(GATE) for m in met}) for change in self._set(subject)
        ]
        second = [change for _, change in self.variations(path)]
        second += [Change("method", "", method) for method in self.decisive_methods()]
        yield from first
        if len(first) * len(second) > MOST:
            reason = "not every combination of what a condition looks at was tried: there are too many"
            self.undecided[replace(met[0], reason=reason)] = None
            return
        for change in first:
            yield from (replace(change, also=other.all) for other in second if other.name != change.name)

    def _set(self, subject: str) -> Iterator[Change]:
        """Yield changes of a part that probes set for reasons of their own."""
        if subject == "remote_addr":
            yield from (change for _, change in self.claims())
        elif subject == "version":
            yield Change("version", "", "1.0")
        else:
            sets = [found & _header() for found in languages(self.matchers, subject)]
            values = [text.decode("latin-1") for text in dict.fromkeys(s.shortest() for s in sets) if text]
            name = "Origin" if subject == "origin" else subject.removeprefix("header:")
            yield from (Change("header", name, value) for value in (*values, *OTHER[:1]))

    def methods_named(self) -> tuple[str, ...]:
        """Return a method for each test that none of the usual ones satisfies."""
        if self._named is None:
            others = [m for m in self.matchers if m.subject == "method" and m.pattern not in _USUAL]
            sets = languages(others, "method")
            unusual = [found for found in sets if not any(found.contains(method) for method in METHODS)]
            texts = [(found & Language.regex(r"[A-Z_-]+", whole=True)).shortest() for found in unusual]
            named = dict.fromkeys(text.decode("latin-1") for text in texts if text)
            self._named = tuple(named)
        return self._named

    def claims(self) -> list[tuple[str, Change]]:
        """Return a header for each network that is told apart, in which a client claims an address of it."""
        networks = dict.fromkeys(m.pattern for m in self.matchers if m.subject == "remote_addr" and m.kind == "network")
        names = dict.fromkeys(
            m.subject[7:] for m in self.matchers if m.subject.startswith("header:") and m.kind == "nonempty"
        )
        addresses = [address for network in networks if (address := _inside(network))]
        return [(f"{name}: {value}", Change("header", name, value)) for name in names for value in addresses]

    def decisive_methods(self) -> tuple[str, ...]:
        """Return a method of each cell, where more looks at it than what serves files; GET and OPTIONS serve nothing new."""
        if self._decisive is None:
            files = {m.location for m in self.matchers if m.subject == "method" and m.pattern == READS}
            decisive = [
                m
                for m in self.matchers
                if m.subject == "method"
                and m.pattern not in {READS, "TRACE", "CONNECT"}
                and not (m.pattern == "POST" and m.location in files)
            ]
            cells = method_cells(decisive, (*METHODS, *self.methods_named())) if decisive else []
            self._decisive = tuple(method for method in cells if method not in {"GET", "OPTIONS"})
        return self._decisive

    def _changes(self) -> Iterator[tuple[str, Change]]:
        subjects = sorted({m.subject for m in self.matchers if m.subject.startswith(VARIED)})
        alone: dict[str, list[Change]] = {}
        for subject in subjects:
            part, _, name = subject.partition(":")
            if part == "header" and name.lower() in SPECIAL:
                continue
            everywhere = [m for m in self.matchers if m.at is None]
            sets = languages(everywhere, subject)
            values = [_inside(m.pattern) for m in self.matchers if m.subject == subject and m.kind == "network"]
            values += [text for found in sets if (text := (found.shortest() or b"").decode("latin-1"))]
            unnamed = PORTS if part == "port" else OTHER
            values += [text for text in unnamed if not any(found.contains(text) for found in sets)][: 1 if sets else 0]
            alone[subject] = [Change(part, name, value) for value in dict.fromkeys(values) if value]
            alone[subject] += self._somewhere(subject)
            for change in alone[subject]:
                yield said(change), change
        for share in dict.fromkeys((m.pattern, m.parts) for m in self.matchers if m.subject == SHARE):
            from auditor.plan.shares import varied_part  # noqa: PLC0415 - only where clients are split

            low, high = map(int, share[0].split())
            part, _, name = share[1][varied_part(share[1])][1:].partition(":")
            change = Change(part, name, "", share=(low, high, share[1]))
            alone.setdefault(f"{part}:{name}", []).append(change)
            yield f"the {WORDS[part]} {name} to one of a share", change
        for matcher in {m.pattern: m for m in self.matchers if m.subject == CROSSING}.values():
            yield from self._combined(matcher, alone)

    def _somewhere(self, subject: str) -> list[Change]:
        """Return the changes of one part that make a difference at some paths only."""
        part, _, name = subject.partition(":")
        tested = [m for m in self.matchers if m.subject == subject and m.at is not None]
        found: dict[object, Change] = {}
        for m in tested:
            text = (language.shortest() or b"").decode("latin-1") if (language := m.language()) is not None else ""
            if text:
                found.setdefault((text, m.at), Change(part, name, text, at=m.at))
        unnamed = PORTS if part == "port" else OTHER
        return [*found.values(), *(Change(part, name, text) for text in unnamed[: 1 if tested else 0])]

    def _combined(self, matcher: Matcher, alone: dict[str, list[Change]]) -> Iterator[tuple[str, Change]]:
        """Yield the changes of several parts at once that decide something together; pairs of them where all are too many."""
        ways = [alone.get(subject, []) for subject in matcher.pattern.split() if subject != "method"]
        if "method" in matcher.pattern.split():
            ways.append([Change("method", "", method) for method in self.decisive_methods()])
        ways = [changes for changes in ways if changes]
        groups = [ways] if prod(1 + len(changes) for changes in ways) <= MOST else [*combinations(ways, 2)]
        if len(ways) > 1 and sum(prod(len(changes) for changes in group) for group in groups) > MOST:
            reason = f"not every combination of {matcher.pattern.replace(' ', ', ')} was tried: there are too many"
            self.undecided[replace(matcher, reason=reason)] = None
            return
        seen = set()
        for group in groups:
            for chosen in product(*([None, *changes] for changes in group)):
                made = [change for change in chosen if change is not None]
                if len(made) > 1 and tuple(made) not in seen:
                    seen.add(tuple(made))
                    yield ", ".join(map(said, made)), replace(made[0], also=tuple(made[1:]))


_USUAL = frozenset({READS, *METHODS, "TRACE", "CONNECT"})


def _at(path: str, changes: list[tuple[str, Change]]) -> list[tuple[str, Change]]:
    """Return those of some changes that may make a difference at a path."""
    return [(why, change) for why, change in changes if change.matters(path)]


def _header() -> Language:
    return Language.regex(r"[!-~](?:[ -~]*[!-~])?", whole=True)


def _of_page(change: Change) -> bool:
    """Whether a page of any origin can make a change, or its browser makes it."""
    return change.part != "port" and (change.part != "header" or change.name.lower() in OF_PAGES)


def _inside(network: str) -> str:
    """Return an address of a network, "" where it is none."""
    try:
        found = ip_network(network, strict=False)
    except ValueError:
        return ""
    return str(found[1] if found.num_addresses > 1 else found[0])


def _spelled(path: str) -> Iterator[str]:
    """Yield ways to write a path that nginx takes for the same, or that many a backend does."""
    first = path[1:2]
    if first:
        yield f"/%{ord(first):02x}{path[2:]}"
    yield f"/{path}"
    yield f"/.{path}"
    yield f"{path}?"
