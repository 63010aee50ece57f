"""Whether a rule takes a request: every matcher of Traefik's rule language, in the syntaxes of versions 2 and 3."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote_plus

from auditor.dataclass import dataclass
from auditor.exchange import Headers
from auditor.traefik import regex
from auditor.traefik.rules import Both, Rule, Syntax


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


def in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an IP address is in one of the addresses or CIDR ranges."""
    if not networks:
        return False
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
