"""Variables in Compose files and `.env` files: `${A:-b}`, `${A?err}`, `$$`, quotes and comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.tree import Node

MAX_DEPTH = 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable with the place that gives its value; `value` None where only its name is known."""

    name: str
    value: str | None
    location: Location


@dataclass(frozen=True, slots=True)
class Unset:
    """A variable that a file uses and nothing gives a value; `required` carries the message of `${A?message}`."""

    name: str
    location: Location
    required: str | None = None


class InterpolationError(ValueError):
    """A `$` that Compose refuses."""


@dataclass(slots=True)
class Interpolator:
    """Fills in variables and remembers which had no value."""

    variables: Mapping[str, str]
    unset: list[Unset]
    problems: list[Problem]

    def tree(self, node: Node) -> Node:
        """Return the tree with the variables of every scalar value filled in; keys stay as they are."""
        if node.entries is not None:
            return replace(node, entries={name: self.tree(child) for name, child in node.children()})
        if node.items is not None:
            return replace(node, items=tuple(self.tree(item) for item in node.items))
        if "$" not in node.text:
            return node
        try:
            text = self.text(node.text, node.location)
        except InterpolationError as error:
            message = f"invalid interpolation: {error}"
            self.problems.append(Problem(message, node.location, "write $$ for a dollar sign, ${NAME} for a variable"))
            return node
        return replace(node, text=text, scalar=text, quoted=True)

    def text(self, text: str, place: Location, depth: int = 0) -> str:
        """Fill in one text; raises InterpolationError where Compose would refuse it.

        Source: Compose specification, "Interpolation".
        """
        if depth > MAX_DEPTH:
            raise InterpolationError("nested too deeply")
        out: list[str] = []
        position = 0
        while True:
            dollar = text.find("$", position)
            if dollar < 0:
                return "".join((*out, text[position:]))
            out.append(text[position:dollar])
            value, position = self._one(text, dollar, place, depth)
            out.append(value)

    def _one(self, text: str, dollar: int, place: Location, depth: int) -> tuple[str, int]:
        if text.startswith("$$", dollar):
            return "$", dollar + 2
        if text.startswith("${", dollar):
            end = _closing(text, dollar + 2)
            return self._braced(text[dollar + 2 : end], place, depth), end + 1
        found = _NAME.match(text, dollar + 1)
        if found is None:
            return "$", dollar + 1
        return self._plain(found[0], place), found.end()

    def _plain(self, name: str, place: Location) -> str:
        value = self.variables.get(name)
        if value is None:
            self.unset.append(Unset(name, place))
        return value or ""

    def _braced(self, inner: str, place: Location, depth: int) -> str:
        found = _NAME.match(inner)
        if found is None:
            raise InterpolationError(f"${{{inner}}} names no variable")
        name, rest = found[0], inner[found.end() :]
        if not rest:
            return self._plain(name, place)
        operator = rest[:2] if rest.startswith((":-", ":?", ":+")) else rest[:1]
        argument = rest[len(operator) :]
        value = self.variables.get(name)
        given = bool(value) if operator.startswith(":") else value is not None
        if operator in ("-", ":-"):
            return value or "" if given else self.text(argument, place, depth + 1)
        if operator in ("+", ":+"):
            return self.text(argument, place, depth + 1) if given else ""
        if operator in ("?", ":?"):
            if not given:
                self.unset.append(Unset(name, place, self.text(argument, place, depth + 1) or "required"))
            return value or ""
        raise InterpolationError(f"${{{inner}}} has the operator {operator!r}")


def _closing(text: str, position: int) -> int:
    depth = 1
    while position < len(text):
        if text.startswith("${", position):
            depth += 1
            position += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise InterpolationError(f"an unclosed ${{ in {text!r}")


_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)\s*(?:[=:]\s*(.*))?$", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}


def parse_env(text: str, name: str, outer: Mapping[str, str]) -> tuple[tuple[Variable, ...], tuple[Problem, ...]]:
    """Parse a `.env` file as Compose does; values may use variables given earlier or from outside."""
    found: list[Variable] = []
    problems: list[Problem] = []
    known = dict(outer)
    lines = text.replace("\r\n", "\n").split("\n")
    index = 0
    while index < len(lines):
        line, number = lines[index], index + 1
        index += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        matched = _LINE.match(line)
        place = Location(name, number, len(line) - len(line.lstrip()) + 1)
        if matched is None:
            problems.append(Problem("this line is not NAME=value", place, "correct or remove the line"))
            continue
        raw = matched[2]
        if raw is None:
            found.append(Variable(matched[1], outer.get(matched[1]), place))
            continue
        while raw[:1] in ("'", '"') and _unclosed(raw) and index < len(lines):
            raw += "\n" + lines[index]
            index += 1
        value = _value(raw, known, place, problems)
        known[matched[1]] = value
        found.append(Variable(matched[1], value, place))
    return tuple(found), tuple(problems)


def _unclosed(raw: str) -> bool:
    return re.match(r"'[^']*'" if raw[0] == "'" else r'"(?:[^"\\]|\\.)*"', raw, re.DOTALL) is None


def _value(raw: str, known: Mapping[str, str], place: Location, problems: list[Problem]) -> str:
    if raw.startswith("'"):
        return raw[1:].split("'", 1)[0]
    if raw.startswith('"'):
        closed = re.match(r'"((?:[^"\\]|\\.)*)"', raw, re.DOTALL)
        body = closed[1] if closed else raw[1:]
        body = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), body)
    else:
        body = re.split(r"\s#", raw, maxsplit=1)[0].strip()
    try:
        return Interpolator(known, [], problems).text(body, place)
    except InterpolationError:
        return body
