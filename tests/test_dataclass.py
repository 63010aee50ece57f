"""`auditor.dataclass` against the standard library's: whatever both are asked, both answer the same."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, field, fields, replace
from typing import Any

import pytest

import auditor
from auditor.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """A frozen class with all that fields can say."""

    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, hash=False)
    note: str = field(default="", compare=False)
    secret: str = field(default="s", repr=False)
    counted: dict[str, int] = field(init=False, default_factory=dict, compare=False)
    made: str | None = field(init=False, default=None, compare=False)

    @property
    def twice(self) -> int:
        """A member that is no field."""
        return 2 * self.first


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """The same by the standard library."""

    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, hash=False)
    note: str = field(default="", compare=False)
    secret: str = field(default="s", repr=False)
    counted: dict[str, int] = field(init=False, default_factory=dict, compare=False)
    made: str | None = field(init=False, default=None, compare=False)

    @property
    def twice(self) -> int:
        """A member that is no field."""
        return 2 * self.first


@dataclass(slots=True)
class OursMutable:
    """A class that changes, with a field that is set afterwards."""

    first: int
    rest: tuple[object, ...] = ()
    later: int = field(init=False)

    def __post_init__(self) -> None:
        """Set what is not given."""
        self.later = self.first + 1


@dataclasses.dataclass(slots=True)
class TheirsMutable:
    """The same by the standard library."""

    first: int
    rest: tuple[object, ...] = ()
    later: int = field(init=False)

    def __post_init__(self) -> None:
        """Set what is not given."""
        self.later = self.first + 1


@dataclass(frozen=True, order=True)
class OursPlain:
    """A frozen class without slots, whose instances have an order."""

    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, hash=False, compare=False)
    note: str = field(default="", compare=False)

    @property
    def twice(self) -> int:
        """A member that is no field."""
        return 2 * self.first


@dataclasses.dataclass(frozen=True, order=True)
class TheirsPlain:
    """The same by the standard library."""

    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, hash=False, compare=False)
    note: str = field(default="", compare=False)

    @property
    def twice(self) -> int:
        """A member that is no field."""
        return 2 * self.first


@dataclass(frozen=True, slots=True)
class OursOwn:
    """A class with methods of its own where the decorator has some too."""

    first: int = 0

    def __eq__(self, other: object) -> bool:
        """Whatever is compared is equal."""
        return True

    def __hash__(self) -> int:
        """All of them have one hash."""
        return 7

    def __repr__(self) -> str:
        """Return what is not made."""
        return "own"


def answer(ask: Callable[[], object]) -> object:
    """Return an answer, or the type and the text of what is raised, whichever class was asked."""
    try:
        said = ask()
    except Exception as error:  # noqa: BLE001 - what is raised is what is compared
        said = (type(error).__name__, str(error))
    return repr(said).replace("Theirs", "Ours")


def parameters(made: type[Any]) -> list[tuple[str, object, bool]]:
    """Return what a class takes, and what has a default; ours knows from its first use on."""
    with suppress(TypeError, AttributeError):
        made()
    return [(p.name, p.kind, p.default is p.empty) for p in inspect.signature(made).parameters.values()]


QUESTIONS: dict[str, Callable[[type[Any]], object]] = {
    "repr": lambda c: c(1, "x", [3], "n", "hidden"),
    "defaults": lambda c: c(1),
    "own list each": lambda c: c(1).third is c(1).third,
    "keywords": lambda c: c(first=1, note="n"),
    "no argument": lambda c: c(),
    "too many": lambda c: c(1, "x", [3], "n", "s", {}),
    "unknown": lambda c: c(1, other=2),
    "equal": lambda c: (c(1) == c(1), c(1) == c(2), c(1, note="a") == c(1, note="b"), c(1) == (1, "two")),
    "hash": lambda c: (hash(c(1, note="a")) == hash(c(1, note="b")), hash(c(1)) == hash(c(2))),
    "hash of a list": lambda c: hash(c([1])),
    "set": lambda c: setattr(c(1), "first", 2),
    "delete": lambda c: delattr(c(1), "first"),
    "replace": lambda c: replace(c(1, note="n"), first=5),
    "replace what is not given": lambda c: replace(c(1), counted={}),
    "fields": lambda c: [(f.name, f.type, f.init, f.repr, f.compare, f.default is MISSING) for f in fields(c)],
    "asdict": lambda c: dataclasses.asdict(c(1)),
    "slots": lambda c: (c.__slots__, hasattr(c(1), "__dict__")),
    "match": lambda c: c.__match_args__,
    "parameters": parameters,
    "copy": lambda c: (copy.copy(c(1, "x")), copy.deepcopy(c(1, "x", [1]))),
    "pickle": lambda c: pickle.loads(pickle.dumps(c(1, "x", [4], "n"))),
    "property": lambda c: c(4).twice,
    "is one": dataclasses.is_dataclass,
}
PLAIN: dict[str, Callable[[type[Any]], object]] = {
    **{name: ask for name, ask in QUESTIONS.items() if name not in {"replace what is not given", "repr", "slots"}},
    "repr": lambda c: c(1, "x", [3], note="n"),
    "positions": lambda c: c(1, "x", [3], "n"),
    "state": lambda c: vars(c(1)),
    "set what is no field": lambda c: setattr(c(1), "nothing", 2),
    "less": lambda c: (c(1) < c(2), c(1, "b") < c(1, "a"), c(1) < c(1), c(1) <= c(1), c(1, note="z") <= c(1, note="a")),
    "greater": lambda c: (c(1) > c(2), c(2) > c(1), c(1) >= c(1)),
    "less than another kind": lambda c: c(1) < 1,
    "sorted": lambda c: sorted([c(2), c(1, "b"), c(1, "a")]),
}
MUTABLE: dict[str, Callable[[type[Any]], object]] = {
    "repr": lambda c: c(1),
    "set": lambda c: setattr(c(1), "first", 2),
    "set what is no field": lambda c: setattr(c(1), "nothing", 2),
    "hash": lambda c: hash(c(1)),
    "equal": lambda c: (c(1) == c(1), c(1) == c(2)),
    "later": lambda c: (c(1).later, replace(c(1), first=8).later),
    "copy": lambda c: copy.deepcopy(c(1, (2,))),
    "pickle": lambda c: pickle.loads(pickle.dumps(c(1, (2,)))),
    "parameters": parameters,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_frozen_class_does_what_the_librarys_does(question: str) -> None:
    """Every question about a frozen class has the answer, or the error, of the standard library."""
    assert answer(lambda: QUESTIONS[question](Ours)) == answer(lambda: QUESTIONS[question](Theirs))


@pytest.mark.parametrize("question", PLAIN)
def test_a_frozen_class_without_slots_does_what_the_librarys_does(question: str) -> None:
    """So has every question about one without slots and with an order."""
    assert answer(lambda: PLAIN[question](OursPlain)) == answer(lambda: PLAIN[question](TheirsPlain))


@pytest.mark.parametrize("question", MUTABLE)
def test_a_class_that_changes_does_what_the_librarys_does(question: str) -> None:
    """So has every question about a class that is not frozen."""
    assert answer(lambda: MUTABLE[question](OursMutable)) == answer(lambda: MUTABLE[question](TheirsMutable))


def test_nothing_is_added_to_a_frozen_class() -> None:
    """What is no field is refused in the words for a field; the library of Python 3.11 stumbles over itself there."""
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'nothing'"):
        Ours(1).nothing = 2


def test_one_that_holds_itself_is_shown() -> None:
    """A value that contains itself is printed as the library prints it."""
    shown = []
    for kind in (OursMutable, TheirsMutable):
        held: list[object] = []
        value = kind(1, (held,))
        held.append(value)
        shown.append(answer(lambda value=value: value))
    assert shown[0] == shown[1]


def test_methods_of_its_own_stay() -> None:
    """What a class says itself about equality, hash and text is not replaced."""
    assert (OursOwn(1) == OursOwn(2), hash(OursOwn(1)), repr(OursOwn(1))) == (True, 7, "own")


def test_every_class_of_the_package_takes_what_the_librarys_would() -> None:
    """For each of our dataclasses the library makes one of the same fields, and both take the same arguments."""
    compared = 0
    for module in pkgutil.walk_packages(auditor.__path__, "auditor."):
        if ".demo.stack" in module.name or ".history.migrations" in module.name or module.name.endswith("__main__"):
            continue
        for made in vars(importlib.import_module(module.name)).values():
            if not (isinstance(made, type) and made.__module__ == module.name and dataclasses.is_dataclass(made)):
                continue
            given = [
                (f.name, f.type, field(init=f.init, **({"default": f.default} if f.default is not MISSING else {})))
                if f.default_factory is MISSING
                else (f.name, f.type, field(init=f.init, default_factory=f.default_factory))
                for f in fields(made)
            ]
            twin = dataclasses.make_dataclass(made.__name__, given)
            assert parameters(made) == parameters(twin), made
            compared += 1
    assert compared > 200
