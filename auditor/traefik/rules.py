"""Traefik's rule language: which requests a router takes, in the syntaxes of versions 2 and 3."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from auditor.exchange import Headers
from auditor.traefik import regex

MAX_RULE = 65_536
MAX_DEPTH = 200


class RuleError(ValueError):
    """A rule that Traefik refuses; the router that has it takes nothing."""


@dataclass(frozen=True, slots=True)
class View:
    """What a rule looks at in one request: `host` canonical, `path` the routing path, `client` the peer's address."""

    method: str
    host: str
    path: str
    query: str
    headers: Headers
    client: str
    full_path: str = ""


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


def in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an IP address is in one of the addresses or CIDR ranges."""
    try:
        parsed = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    for network in networks:
        try:
            if parsed in ipaddress.ip_network(network.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def matches(rule: Rule, view: View, syntax: Syntax = "v3") -> bool | None:
    """Whether a rule takes a request; None where a matcher could not be decided."""
    if isinstance(rule, Both):
        left = matches(rule.left, view, syntax)
        decisive = rule.operator == "or"
        if left is decisive:
            return left
        right = matches(rule.right, view, syntax)
        if right is decisive or left is not None:
            return right
        return None
    decided = (_MATCHERS_V3 if syntax == "v3" else _MATCHERS_V2)[rule.matcher](rule.values, view)
    return decided if decided is None or not rule.negated else not decided


Matcher = Callable[[tuple[str, ...], View], bool | None]


def _any(decisions: Iterator[bool | None]) -> bool | None:
    undecided = False
    for decision in decisions:
        if decision:
            return True
        undecided = undecided or decision is None
    return None if undecided else False


def _host(values: tuple[str, ...], view: View) -> bool:
    return any(_same_host(value.lower(), view.host) for value in values)


def _same_host(wanted: str, host: str) -> bool:
    if not host:
        return False
    if wanted.startswith("**."):
        suffix = wanted[2:]
        return len(host) > len(suffix) and host.endswith(suffix)
    if wanted.startswith("*"):
        first, _, rest = host.partition(".")
        return bool(first) and wanted == "*" + ("." + rest if rest else "")
    return host == wanted or wanted == host + "." or host == wanted + "."


def _header_values(name: str, view: View) -> tuple[str, ...]:
    return view.headers.all(name)


def parse_query(query: str) -> list[tuple[str, str]]:
    """Read a query as Go's `url.ParseQuery` does: bad escapes and pairs with ";" are dropped."""
    pairs = []
    for part in query.split("&"):
        if not part or ";" in part or re.search(r"%(?![0-9A-Fa-f]{2})", part):
            continue
        key, _, value = part.partition("=")
        pairs.append((unquote_plus(key, "latin-1"), unquote_plus(value, "latin-1")))
    return pairs


def _query(values: tuple[str, ...], view: View) -> bool:
    wanted = values[1] if len(values) > 1 else ""
    return any(key == values[0] and value == wanted for key, value in parse_query(view.query))


def _query_regexp(values: tuple[str, ...], view: View) -> bool | None:
    if len(values) == 1:
        return _query(values, view)
    return _any(regex.search(values[1], value) for key, value in parse_query(view.query) if key == values[0])


def _query_v2(values: tuple[str, ...], view: View) -> bool | None:
    pairs = parse_query(view.query)

    def one(text: str) -> bool | None:
        key, _, wanted = text.partition("=")
        # Only the first value of a name counts (gorilla/mux, getURLQuery); `name=` asks for its presence alone.
        first = next((value for name, value in pairs if name == key), None)
        if first is None or not wanted:
            return first is not None
        return _template(wanted, first, "[^?&]*") if "{" in wanted else first == wanted

    decisions = [one(text) for text in values]
    return False if False in decisions else None if None in decisions else True


def _template(text: str, subject: str, default: str, *, prefix: bool = False) -> bool | None:
    """Match a version 2 template: `{name}` is one segment, `{name:regex}` is what the regex says."""
    parts: list[str] = []
    position = depth = start = 0
    for index, char in enumerate(text):
        if char == "{":
            if depth == 0:
                parts.append(re.escape(text[position:index]))
                start = index + 1
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                _, colon, pattern = text[start:index].partition(":")
                parts.append(f"(?:{pattern if colon else default})")
                position = index + 1
    if depth:
        return None
    parts.append(re.escape(text[position:]))
    return regex.search(f"^{''.join(parts)}" + ("" if prefix else "$"), subject)


def _header(values: tuple[str, ...], view: View) -> bool:
    return values[1] in _header_values(values[0], view)


def _header_regexp(values: tuple[str, ...], view: View) -> bool | None:
    return _any(regex.search(values[1], value) for value in _header_values(values[0], view))


_MATCHERS_V3: dict[str, Matcher] = {
    "ClientIP": lambda values, view: in_networks(view.client, values),
    "Method": lambda values, view: view.method == values[0].upper(),
    "Host": _host,
    "HostRegexp": lambda values, view: regex.search(values[0], view.host),
    "Path": lambda values, view: view.path == values[0],
    "PathRegexp": lambda values, view: regex.search(values[0], view.path),
    "PathPrefix": lambda values, view: view.path.startswith(values[0]),
    "Header": _header,
    "HeaderRegexp": _header_regexp,
    "Query": _query,
    "QueryRegexp": _query_regexp,
}
_MATCHERS_V2: dict[str, Matcher] = {
    "Host": _host,
    "HostHeader": _host,
    "HostRegexp": lambda values, view: _any(_template(value, view.host, "[^.]+") for value in values),
    "ClientIP": lambda values, view: in_networks(view.client, values),
    "Path": lambda values, view: _any(_template(value, view.path, "[^/]+") for value in values),
    "PathPrefix": lambda values, view: _any(_template(value, view.path, "[^/]+", prefix=True) for value in values),
    "Method": lambda values, view: view.method in tuple(value.upper() for value in values),
    "Headers": _header,
    "HeadersRegexp": _header_regexp,
    "Query": _query_v2,
}


def default_priority(text: str, rule: Rule | None) -> int:
    """Return a rule's priority where none is set: its length, the stars of `**.` hosts not counted."""
    penalty = 0
    if rule is not None:
        stars = (leaf for leaf in leaves(rule) if leaf.matcher == "Host" and not leaf.negated)
        penalty = sum(2 for leaf in stars for value in leaf.values if value.startswith("**."))
    return len(text.encode()) - penalty
