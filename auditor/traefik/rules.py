"""Traefik's rule language: rules read into trees, in the syntaxes of versions 2 and 3."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

from auditor.dataclass import dataclass

MAX_RULE = 65_536


MAX_DEPTH = 200


class RuleError(ValueError):
    """A rule that Traefik refuses; the router that has it takes nothing."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One matcher call, `Host(`a`)`, perhaps negated."""

    matcher: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """Two rules joined by `&&` ("and") or `||` ("or")."""

    operator: Literal["and", "or"]
    left: Rule
    right: Rule


Rule = Leaf | Both


Syntax = Literal["v2", "v3"]


_V3 = {
    "ClientIP": (1,), "Method": (1,), "Host": (1,), "HostRegexp": (1,), "Path": (1,), "PathRegexp": (1,),
    "PathPrefix": (1,), "Header": (2,), "HeaderRegexp": (2,), "Query": (1, 2), "QueryRegexp": (1, 2),
}  # fmt: skip


_V2 = (
    "Host",
    "HostHeader",
    "HostRegexp",
    "ClientIP",
    "Path",
    "PathPrefix",
    "Method",
    "Headers",
    "HeadersRegexp",
    "Query",
)


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+)|(?P<newline>\n)|(?P<name>[A-Za-z_]\w*)|(?P<raw>`[^`]*`)|(?P<string>"(?:[^"\\\n]|\\.)*")
       |(?P<number>\d+(?:\.\d+)?)|(?P<and>&&)|(?P<or>\|\|)|(?P<not>!)|(?P<open>\()|(?P<close>\))|(?P<comma>,)""",
    re.VERBOSE,
)


_ENDS = frozenset(("name", "raw", "string", "number", "close"))


_GO_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, last = 0, ""
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise RuleError(f"unexpected {text[position]!r} at character {position + 1} of the rule")
        kind, position = found.lastgroup, found.end()
        if kind == "newline":
            # Go ends an expression at a newline after an operand (go.dev/ref/spec#Semicolons).
            if last in _ENDS and text[position:].strip():
                yield "semicolon", "\n"
        elif kind != "space":
            yield kind, found[0]
            last = kind


def _bytes(text: str) -> str:
    """Write text as its UTF-8 bytes, one character each, as requests are kept here."""
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")


def _unquote(token: str) -> str:
    if token.startswith("`"):
        return _bytes(token[1:-1].replace("\r", ""))

    def escape(found: re.Match[str]) -> str:
        body = found[1]
        if body[0] in "xuU":
            return chr(int(body[1:], 16))
        if body[0] in "01234567":
            return chr(int(body, 8))
        if body not in _GO_ESCAPES:
            raise RuleError(f"unknown escape \\{body} in {token}")
        return _GO_ESCAPES[body]

    return _bytes(re.sub(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{3}|.)", escape, token[1:-1]))


class _Parser:
    """A recursive-descent parser for the part of Go's expressions that rules use."""

    def __init__(self, text: str, names: dict[str, str]) -> None:
        self._tokens = list(_tokens(text))
        self._index = 0
        self._names = names
        self._depth = 0

    def _peek(self) -> str:
        return self._tokens[self._index][0] if self._index < len(self._tokens) else "end"

    def _take(self, kind: str) -> str:
        if self._peek() != kind:
            found = self._tokens[self._index][1] if self._index < len(self._tokens) else "the end"
            raise RuleError(f"expected {kind}, found {found.strip() or 'a line break'}")
        self._index += 1
        return self._tokens[self._index - 1][1]

    def parse(self) -> Rule:
        rule = self._either()
        if self._peek() != "end":
            raise RuleError(f"unexpected {self._tokens[self._index][1].strip() or 'line break'} after the rule")
        return rule

    def _either(self) -> Rule:
        rule = self._both()
        while self._peek() == "or":
            self._index += 1
            rule = Both("or", rule, self._both())
        return rule

    def _both(self) -> Rule:
        rule = self._one()
        while self._peek() == "and":
            self._index += 1
            rule = Both("and", rule, self._one())
        return rule

    def _one(self) -> Rule:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RuleError("nested too deeply")
        try:
            if self._peek() == "not":
                self._index += 1
                return invert(self._one())
            if self._peek() == "open":
                self._index += 1
                rule = self._either()
                self._take("close")
                return rule
            return self._call()
        finally:
            self._depth -= 1

    def _call(self) -> Rule:
        name = self._take("name")
        matcher = self._names.get(name)
        if matcher is None:
            raise RuleError(f"unsupported function: {name}")
        self._take("open")
        values: list[str] = []
        while self._peek() != "close":
            if self._peek() not in ("raw", "string"):
                raise RuleError(f"{name} takes strings in back quotes or double quotes")
            values.append(_unquote(self._tokens[self._index][1]))
            self._index += 1
            if self._peek() != "close":
                self._take("comma")
        self._take("close")
        return Leaf(matcher, tuple(values))


def invert(rule: Rule) -> Rule:
    """Return the negation, with `!` pushed down to the matchers."""
    if isinstance(rule, Leaf):
        return Leaf(rule.matcher, rule.values, not rule.negated)
    return Both("or" if rule.operator == "and" else "and", invert(rule.left), invert(rule.right))


def parse(text: str, syntax: Syntax = "v3") -> Rule:
    """Parse a rule; raise RuleError where Traefik would refuse it.

    Source: Traefik's reference on rules of routers; Go's expression grammar, which Traefik parses rules with.
    """
    if len(text) > MAX_RULE:
        raise RuleError(f"longer than {MAX_RULE} characters")
    names: dict[str, str] = {}
    for name in _V3 if syntax == "v3" else _V2:
        names |= dict.fromkeys((name, name.lower(), name.upper(), name.lower().capitalize()), name)
    rule = _Parser(text, names).parse()
    for leaf in leaves(rule):
        _check(leaf, syntax)
    return rule


def leaves(rule: Rule) -> Iterator[Leaf]:
    """Yield the matcher calls of a rule from left to right."""
    stack = [rule]
    while stack:
        top = stack.pop()
        if isinstance(top, Leaf):
            yield top
        else:
            stack.extend((top.right, top.left))


def conjunctions(rule: Rule, most: int = 64) -> list[tuple[Leaf, ...]]:
    """Return the ways to satisfy a rule: each a set of leaves that must hold (or, negated, must not), at most so many."""
    if isinstance(rule, Leaf):
        return [(rule,)]
    left, right = conjunctions(rule.left, most), conjunctions(rule.right, most)
    if rule.operator == "or":
        return [*left, *right][:most]
    return [(*one, *other) for one in left for other in right][:most]


def _check(leaf: Leaf, syntax: Syntax) -> None:
    if syntax == "v3":
        wanted = _V3[leaf.matcher]
        if len(leaf.values) not in wanted:
            raise RuleError(f"{leaf.matcher} takes {' or '.join(map(str, wanted))} values, not {len(leaf.values)}")
    elif not leaf.values or (leaf.matcher in ("Headers", "HeadersRegexp") and len(leaf.values) != 2):
        raise RuleError(f"{leaf.matcher} does not take {len(leaf.values)} values")
    elif leaf.matcher == "Query" and not all("=" in value for value in leaf.values):
        raise RuleError("Query takes name=value")
    if not all(leaf.values):
        raise RuleError(f"{leaf.matcher} has an empty value")
    _check_values(leaf)


def _check_values(leaf: Leaf) -> None:
    if leaf.matcher in ("Path", "PathPrefix") and not all(value.startswith("/") for value in leaf.values):
        raise RuleError(f"{leaf.matcher} needs a path that starts with /")
    if leaf.matcher.startswith("Host") and not all(value.isascii() for value in leaf.values):
        raise RuleError(f"{leaf.matcher} takes ASCII only")
    if leaf.matcher == "ClientIP":
        for value in leaf.values:
            _network(value)


def _network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise RuleError(f"{value!r} is not an IP address or a CIDR range") from None


def default_priority(text: str, rule: Rule | None) -> int:
    """Return a rule's priority where none is set: its length, the stars of `**.` hosts not counted."""
    penalty = 0
    if rule is not None:
        stars = (leaf for leaf in leaves(rule) if leaf.matcher == "Host" and not leaf.negated)
        penalty = sum(2 for leaf in stars for value in leaf.values if value.startswith("**."))
    return len(text.encode()) - penalty
