"""A header's value that keeps how it was looked at: what was answered holds for every value that looks the same.

A layer may move a sealed value on, and test it. Each test is made on the value, and its result is kept: two values for
which every test gives the same are answered alike. Whatever would make another text of a value raises.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

Result = TypeVar("Result", bound=Hashable)

Test = tuple[str, Callable[[Any, Any], Hashable], Hashable]
"""One look at a value: the header whose value it is, a function of the value and an argument, and that argument."""

LONGEST = 256
"""Longer values are not sealed."""


class ReadError(BaseException):
    """A layer made something of a sealed value; no handler of ordinary errors may take it for one of its own."""


class Sealed:
    """Stands for a header's value, and is no text.

    Raises:
        ReadError: for every operation but being moved, stripped of the blanks around it, compared with a text,
            searched for one, and tested by `result_of`.
    """

    __slots__ = ("_results", "_value", "header")

    def __init__(self, header: str, value: str, results: dict[Test, Any]) -> None:
        """Seal the value of a header; `results` takes down what each test of it gives."""
        self.header = header
        self._value = value
        self._results = results

    def look(self, function: Callable[[Any, Any], Result], argument: Hashable) -> Result:
        """Return a function of the value and an argument, and keep what it gave."""
        test = (self.header, function, argument)
        if test not in self._results:
            self._results[test] = look(self._value, function, argument)
        return cast("Result", self._results[test])

    def strip(self, *_: object) -> Sealed:
        """Return the same: values are sealed without blanks around them."""
        return self

    def __bool__(self) -> bool:
        """Whether there is any text."""
        return self.look(operator.ne, "") is True

    def __eq__(self, other: object) -> bool:
        """Whether this is the same value, or has this text."""
        if other is self:
            return True
        return self.look(operator.eq, other) if isinstance(other, str) else self._read()

    def __ne__(self, other: object) -> bool:
        """Whether this is another value."""
        return not self == other

    def __contains__(self, text: str) -> bool:
        """Whether a text occurs in the value."""
        return self.look(operator.contains, text) is True

    def __hash__(self) -> int:
        """Refuse: a table is not asked text by text."""
        raise ReadError

    def _read(self, *_: object) -> bool:
        raise ReadError

    def __getattr__(self, name: str) -> object:
        """Refuse every other method."""
        raise ReadError(name)

    __len__ = __iter__ = __getitem__ = __str__ = __repr__ = __format__ = _read  # type: ignore[assignment] # they never return
    __add__ = __radd__ = __mod__ = __rmod__ = __lt__ = __le__ = __gt__ = __ge__ = _read


def look(value: str, function: Callable[[Any, Any], Result], argument: Hashable) -> Result:
    """Return a function of a value and an argument; a sealed value keeps what it gave.

    Raises:
        ReadError: the function raises.
    """
    held: object = value
    if isinstance(held, Sealed):
        return held.look(function, argument)
    try:
        return function(value, argument)
    except Exception as error:
        raise ReadError from error


def result_of(test: Callable[[str], Result], value: str) -> Result:
    """Return what a test says of a value that may be sealed; it depends on nothing else, and equal ones say the same."""
    if type(value) is str:
        return test(value)
    return cast("Result", cast("Sealed", value).look(_call, test))


def _call(value: str, test: Callable[[str], Result]) -> Result:
    return test(value)


def is_sealed(value: object) -> bool:
    """Whether a value is sealed."""
    return isinstance(value, Sealed)


def longest(value: str) -> int:
    """Return how long a value is; of a sealed one, how long any of those may be that it stands for."""
    return len(value) if type(value) is str else LONGEST
