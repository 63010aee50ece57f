"""What one server can see of a request, and the cells that it cuts requests into."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import field, replace
from typing import Protocol

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.language import Language
from auditor.plan.alike import entries_differ, tests_of_paths
from auditor.plan.cells import Matcher, PathCells, languages, method_cells, origin_cells
from auditor.plan.facts import OriginCell
from auditor.policy.model import Origin

SPECIAL = frozenset(
    {"origin", "host", "upgrade", "connection", "access-control-request-method", "access-control-request-headers"}
)
"""Headers that probes set for reasons of their own."""


class Selection(Protocol):
    """Says of one configuration which server answers, what it can see of a request, and which places answer alike."""

    def scope(self, listen: str, scheme: str, host: str) -> str | None:
        """Name the server that answers; None where none does."""
        ...

    def tables(self, listen: str, scheme: str, host: str) -> frozenset[str]:
        """Return the names of the tables that the server reads."""
        ...

    def alike(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:
        """Return something equal for places that answer alike; None for a place like no other."""
        ...

    def through(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:
        """Return what a request passes at the outermost layer, equal where that does the same; None where unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a request set to a value: a header, a cookie, an argument."""

    part: str
    name: str
    value: str

    def __call__(self, request: Request) -> Request:
        """Return the request with the part set."""
        if self.part == "arg":
            return replace(request, target=f"{request.target}?{self.name}={self.value}")
        if self.part == "cookie":
            return request.with_(Cookie=f"{self.name}={self.value}")
        return request.with_(**{self.name.replace("-", "_"): self.value})


@dataclass(slots=True)
class View:
    """The matchers that one server has, and what follows from them; each thing is found out once."""

    matchers: tuple[Matcher, ...]
    _origins: dict[object, list[OriginCell]] = field(default_factory=dict)
    _methods: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _variations: list[tuple[str, Change]] | None = None
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
        return PathCells.of(self.matchers, routes, more, named)

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
        return self._origins[key]

    def variations(self) -> list[tuple[str, Change]]:
        """Return a change of a request for every value of another part that some matcher can see."""
        if self._variations is None:
            self._variations = list(self._changes())
        return self._variations

    def _changes(self) -> Iterator[tuple[str, Change]]:
        subjects = sorted({m.subject for m in self.matchers if m.subject.startswith(("header:", "cookie:", "arg:"))})
        for subject in subjects:
            part, _, name = subject.partition(":")
            if part == "header" and name.lower() in SPECIAL:
                continue
            for found in languages(self.matchers, subject):
                value = found.shortest()
                if value:
                    yield f"{subject}={value.decode('latin-1')}", Change(part, name, value.decode("latin-1"))
