"""What the texts of a configuration depend on: which parts of a request, and whether one is repeated unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.nginx.template import split
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.compile import Http

_SUBJECTS = {
    "uri": "path", "document_uri": "path", "request_filename": "path", "request_uri": "request_uri", "host": "host",
    "request_method": "method", "args": "args", "query_string": "args", "is_args": "args", "scheme": "scheme",
    "https": "scheme", "remote_addr": "remote_addr", "binary_remote_addr": "remote_addr",
    "realip_remote_addr": "remote_addr", "server_port": "listen", "server_addr": "listen",
    "proxy_add_x_forwarded_for": "header:x-forwarded-for", "content_type": "header:content-type",
    "content_length": "header:content-length", "remote_user": "header:authorization", "server_protocol": "version",
    "request": "request_uri", "http2": "version", "http3": "version", "request_port": "header:host",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matcher:
    """One test that the configuration makes on one part of a request.

    `subject`: "origin", "path" (decoded), "request_uri", "host" (lower case, no port), "method", "args", "scheme",
    "version", "listen", "remote_addr", "header:<name>", "cookie:<name>", "arg:<name>".
    `kind`: "exact", "prefix", "suffix", "regex" (PCRE on bytes, found anywhere), "wildcard-host", "nonempty",
    "network" (an address block), or "other": not expressible, `reason` says why.
    `scope` names the server that makes the test, `table` the map, geo or split_clients; "" where neither does.
    `selects`: all that it does is to choose a location.
    `parts`: the test is of a text of several parts, the subject is "text" (see `Subjects.parts`). The subject "crossing":
    the parts of a request that the pattern names decide something together; "gate origin": an Origin decides whether requests to these paths go on.
    """

    subject: str
    kind: str
    pattern: str
    caseless: bool
    location: Location
    reason: str = ""
    scope: str = ""
    table: str = ""
    selects: bool = False
    parts: tuple[str, ...] = ()


def subject_of(name: str) -> str | None:
    """Return the part of a request that one of nginx's own variables reads; None where it reads none."""
    known = _SUBJECTS.get(name)
    if known is not None:
        return known
    if name == "http_origin":
        return "origin"
    for prefix, kind in (("http_", "header"), ("cookie_", "cookie"), ("arg_", "arg")):
        if name.startswith(prefix):
            text = name[len(prefix) :]
            return f"{kind}:{text.replace('_', '-') if kind == 'header' else text}"
    return None


_NONE: Mapping[str, str] = {}


class Subjects:
    """What the texts of one configuration depend on; remembers which values each `set` variable may have."""

    def __init__(self, http: Http) -> None:
        """Read what `set` and the tables assign."""
        self.http = http
        self.assigned: dict[str, list[tuple[str, Location]]] = {}
        self.captured: dict[str, list[tuple[str, str, bool]]] = {}
        for server in self.http.servers:
            for node in server.below():
                for line in lines_of(node.script):
                    if line.name == "set" and len(line.args) > 1:
                        name = line.args[0].lstrip("$").lower()
                        self.assigned.setdefault(name, []).append((line.args[1], line.location))
        for name, table in self.http.tables.items():
            if table.name in {"map", "split_clients"}:
                values = [line.args[0] for line in table.block or () if line.args]
                self.assigned.setdefault(name, []).extend((value, table.location) for value in values)

    def of(self, text: str, seen: frozenset[str] = frozenset()) -> tuple[list[str], bool]:
        """Return the parts of a request that a text repeats, and whether it is exactly one of them, unchanged."""
        parts = split(text)
        found: list[str] = []
        exact = len(parts) == 1 and parts[0][0] == "variable"
        for kind, name in parts:
            if kind == "capture":
                found.append("path")
                exact = False
            if kind != "variable" or name in seen:
                continue
            subject = subject_of(name)
            if subject is not None:
                found.append(subject)
            if name in self.assigned:
                for value, _ in self.assigned[name]:
                    inner, same = self.of(value, seen | {name})
                    found.extend(inner)
                    exact &= same or not inner
        return list(dict.fromkeys(found)), exact

    def repeats_captures(self, text: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a text repeats what an expression has captured."""
        return any(
            kind == "capture"
            or (kind == "variable" and name in self.captured)
            or (
                name not in seen
                and any(self.repeats_captures(value, seen | {name}) for value, _ in self.assigned.get(name, ()))
            )
            for kind, name in split(text)
        )

    # ------------------------------------------------------------------ texts of several parts

    def parts(self, text: str, captures: Mapping[str, str] = _NONE) -> list[tuple[str, ...]] | None:
        """Return what a text may be put together of, each way once; None where that cannot be said.

        A part is "=" and literal text, "?" and texts (on lines of their own) of which it is one, or "$" and the part of a
        request that it repeats, "$" alone for what the configuration does not decide; "$path>/x/" is the path after that.
        `captures` are the parts that an expression's groups are.
        """
        found = self._parts(text, frozenset(), captures)
        return None if found is None else list(dict.fromkeys(found))

    def _parts(
        self, text: str, seen: frozenset[str], captures: Mapping[str, str] = _NONE
    ) -> list[tuple[str, ...]] | None:
        ways: list[tuple[str, ...]] = [()]
        for kind, name in split(text):
            more: list[tuple[str, ...]] | None
            if kind == "capture":
                more = [(captures[name],)] if name in captures else None
            else:
                more = [(f"={name}",)] if kind == "text" else self._variable(name, seen)
            if more is None or len(ways) * len(more) > _MOST_WAYS:
                return None
            ways = [(*way, *following) for way in ways for following in more]
        return ways

    def _variable(self, name: str, seen: frozenset[str]) -> list[tuple[str, ...]] | None:
        """Return what one variable may be put together of."""
        if name in self.captured or name in seen:
            return None
        if name in self.assigned:
            texts = dict.fromkeys(("", *(value for value, _ in self.assigned[name])))
            literal = [value for value in texts if "$" not in value]
            ways: list[tuple[str, ...]] = [("?" + "\n".join(literal),)]
            for value in texts:
                if "$" in value:
                    inner = self._parts(value, seen | {name})
                    if inner is None:
                        return None
                    ways += inner
            return ways
        if name in {"request_uri", "request"}:
            targets = [("$path",), ("$path", "=?", "$args")]
            line = [("$method", "= ", *target, "= ", "$version") for target in targets]
            return targets if name == "request_uri" else line
        if name == "http_host":
            return [("$host",), ("$host", "=:", "$port")]
        if name in _OWN_WORDS:
            return [("$",)]
        return [(f"${subject_of(name) or ''}",)]


_MOST_WAYS = 32
"""Ways to put a text together that are looked at."""

_OWN_WORDS = frozenset(
    {"is_args", "https", "request_filename", "remote_user", "proxy_add_x_forwarded_for", "binary_remote_addr"}
)
"""Variables that say something of a part of a request, but not the part itself."""


def lines_of(script: Iterable[Directive]) -> Iterator[Directive]:
    """Yield rewrite directives, those inside `if` too."""
    for line in script:
        yield line
        if line.block:
            yield from lines_of(line.block)
