"""Text with variables in it, compiled once: `"$scheme://$host/x"` becomes a function of the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from auditor.exchange import UNKNOWN_VALUE, Unknown
from auditor.nginx.state import Undecided
from auditor.nginx.uri import escape_args

if TYPE_CHECKING:
    from auditor.nginx.state import Run

Getter = Callable[["Run"], str]
"""Reads one variable of a request in progress."""

Part = tuple[str, str]
"""One piece of a text: ("text", literal), ("variable", name), ("capture", digit) or ("args", "")."""

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Names(Protocol):
    """Knows the variables of a configuration by their lower-case names."""

    def get(self, name: str, /) -> Getter:
        """Return the function that reads a variable."""

    def set_by_regexes(self, name: str, /) -> bool:
        """Whether a regex that runs may set a variable."""

    def moves(self, parts: tuple[Part, ...], /) -> bool:
        """Whether reading these parts once may change what some of them are the next time."""


class ScriptError(Exception):
    """nginx gives up on evaluating a text: the answer is 500."""


def split(text: str, *, args: bool = False) -> tuple[Part, ...]:
    """Take a text apart as `ngx_http_script_compile` does; with `args`, each "?" is marked."""
    parts: list[Part] = []
    literal = ""
    position = 0
    size = len(text)
    while position < size:
        char = text[position]
        if char == "$" and position + 1 < size:
            following = text[position + 1]
            if following in "123456789":
                kind, name, position = "capture", following, position + 2
            else:
                bracket = following == "{"
                start = position + 2 if bracket else position + 1
                end = start
                while end < size and text[end] in _NAME:
                    end += 1
                kind, name = "variable", text[start:end].lower()
                position = end + 1 if bracket and text[end : end + 1] == "}" else end
            if literal:
                parts.append(("text", literal))
                literal = ""
            if name:
                parts.append((kind, name))
            continue
        if char == "?" and args:
            if literal:
                parts.append(("text", literal))
                literal = ""
            parts.append(("args", ""))
        else:
            literal += char
        position += 1
    if literal:
        parts.append(("text", literal))
    return tuple(parts)


def variables_of(text: str) -> tuple[str, ...]:
    """Return the names of the variables a text uses, lower-case; captures as digits."""
    return tuple(name for kind, name in split(text) if kind in {"variable", "capture"})


def _literal(text: str) -> Getter:
    def get(_run: Run) -> str:
        return text

    return get


def _capture(number: int) -> Getter:
    def get(run: Run) -> str:
        captures = run.captures
        return captures[number] if captures is not None and number < len(captures) else ""

    return get


def _quoted_capture(number: int) -> Getter:
    def get(run: Run) -> str:
        captures = run.captures
        value = captures[number] if captures is not None and number < len(captures) else ""
        return escape_args(value) if run.quote and run.escaped else value

    return get


class Value:
    """One compiled text: `const` where it holds no variable, else `read` evaluates it for a request."""

    __slots__ = ("const", "names", "parts", "read", "text")

    def __init__(self, text: str, variables: Names, *, script: bool = False) -> None:
        """Compile; `script`: as the rewrite module evaluates it (captures may be escaped)."""
        self.text = text
        self.const: str | None = None
        self.parts: tuple[Part, ...] = ()
        self.names: tuple[str, ...] = ()
        if "$" not in text:
            self.const = text
            self.read = _literal(text)
            return
        self.parts = split(text)
        self.names = tuple(name for kind, name in self.parts if kind == "variable")
        self.read = _reader(self.parts, variables, script=script)

    def __call__(self, run: Run) -> str:
        """Evaluate for a request."""
        return self.read(run) if self.const is None else self.const


def _reader(parts: tuple[Part, ...], variables: Names, *, script: bool) -> Getter:
    """Return the function that evaluates the parts of one text."""
    getters: list[Getter] = []
    moving: list[bool] = []
    for kind, name in parts:
        moving.append(kind == "capture" or (kind == "variable" and variables.set_by_regexes(name)))
        if kind == "text":
            getters.append(_literal(name))
        elif kind == "capture":
            getters.append(_quoted_capture(int(name)) if script else _capture(int(name)))
        else:
            getters.append(variables.get(name))
    if len(getters) == 1:
        return getters[0]
    if variables.moves(parts):
        return _two_passes(tuple(getters), tuple(moving))
    if len(getters) == 2:
        one, two = getters
        return lambda run: one(run) + two(run)
    return lambda run: "".join([get(run) for get in getters])


def _two_passes(getters: tuple[Getter, ...], moving: tuple[bool, ...]) -> Getter:
    """Evaluate as nginx does: lengths first, text after; a regex in between may have set what is `moving`."""

    def read(run: Run) -> str:
        measured = [get(run) for get in getters]
        written = [get(run) if moves else text for get, moves, text in zip(getters, moving, measured, strict=True)]
        result = "".join(written)
        if written != measured:
            if UNKNOWN_VALUE in result or any(UNKNOWN_VALUE in text for text in measured):
                raise Undecided(Unknown("whether a text fits into the room that nginx measured for it is not decided"))
            if len(result) > sum(map(len, measured)):
                raise ScriptError("a text is longer than nginx measured: reading it has changed a capture in it")
        return result

    return read
