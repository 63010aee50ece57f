"""Which parts of a request decide something together: two conditions one after the other, a variable that both set.

A request whose header and argument both have to be right shows nothing when one of them is changed at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.errors import Location
from auditor.nginx.model import Node
from auditor.nginx.regex import Regex, RegexError
from auditor.nginx.rewrite import condition_words
from auditor.nginx.subjects import Matcher, lines_of, subject_of
from auditor.nginx.template import split
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.compile import Http

LOGS = frozenset({"access_log", "error_log", "log_format"})
"""Directives whose texts decide nothing at all."""

UNSEEN = LOGS | {"proxy_set_header", "server_name", "listen"}
"""Directives whose texts decide nothing of what a client is answered."""

_OF = {
    "request_uri": ("path", "args"),
    "request": ("path", "args", "method"),
    "is_args": ("args",),
    "http_host": ("host", "port"),
    "invalid_referer": ("header:referer",),
    "remote_user": ("header:authorization",),
}
_SET_BY_PROBES = frozenset({"origin", "header:upgrade", "header:connection", "version", "remote_addr"})
_VARIED = ("header:", "cookie:", "arg:", "args", "port")


class Dependence:
    """What the variables of one server depend on: by what they say, and by the conditions under which they are set."""

    def __init__(self, http: Http, server: Node | None) -> None:
        """Read what the server sets."""
        self.tables = http.tables
        self.sets: dict[str, list[str]] = {}
        self.known: dict[str, frozenset[str]] = {}
        for node in server.below() if server is not None else ():
            if node.kind != "if":  # what stands in an `if` is read with the script around it
                self._read(node.script, ())

    def _read(self, script: Iterable[Directive], conditions: tuple[str, ...]) -> None:
        for line in script:
            if line.name == "set" and len(line.args) > 1:
                name = line.args[0].lstrip("$").lower()
                self.sets.setdefault(name, []).extend((line.args[1], *conditions))
            elif line.name == "if":
                self._read(line.block or (), (*conditions, *tested(line)))

    def of(self, *texts: str) -> frozenset[str]:
        """Return the parts of a request that some texts depend on."""
        return frozenset().union(
            *(self._variable(name) for text in texts for kind, name in split(text) if kind == "variable")
        )

    def derived(self, *texts: str) -> frozenset[str]:
        """Return the same of those variables that the configuration makes itself."""
        names = [name for text in texts for kind, name in split(text) if kind == "variable"]
        return frozenset().union(*(self._variable(n) for n in names if n in self.sets or n in self.tables))

    def _variable(self, name: str) -> frozenset[str]:
        if name in self.known:
            return self.known[name]
        self.known[name] = frozenset()  # a variable that refers to itself adds nothing
        texts = list(self.sets.get(name, ()))
        table = self.tables.get(name)
        if table is not None:
            texts += [*table.args[:-1], *(value for line in table.block or () for value in line.args)]
        found = self.of(*texts)
        if name in _OF:
            found |= set(_OF[name])
        elif (subject := subject_of(name)) is not None:
            found |= {subject}
        self.known[name] = found
        return found


def tested(line: Directive) -> tuple[str, ...]:
    """Return the texts that an `if` compares."""
    words = condition_words(line)
    if not words or not words[0].startswith("$"):
        return tuple(word for word in words[-1:] if "$" in word)
    return (words[0], words[-1]) if words[1:2] in (["="], ["!="]) else (words[0],)


def crossings(http: Http, server: Node, scope: str) -> Iterator[Matcher]:
    """Yield which parts of a request decide something together at one server."""
    dependence = Dependence(http, server)
    place = server.place or Location("nginx")
    for name in dependence.sets:
        yield from _crossing(dependence.of(f"${name}"), place, scope)
    moving = frozenset[str]()
    for node in server.below():
        moving |= _moves(node.script, dependence)
    outer = _gates(server, dependence)
    rewrites = any(line.name == "rewrite" for node in server.below() for line in lines_of(node.script))
    for node in server.below():
        if node.kind == "if":
            continue
        inner = _gates(node, dependence) if node is not server else outer
        gates = [*outer, *inner] if inner is not outer else outer
        decided = frozenset().union(*(gate for gate, _ in inner))
        if node.find("access rules") and node.find("set_real_ip_from"):
            decided |= {"remote_addr"}
        yield from _gated(node, decided, scope, moved=rewrites)
        shut = moving.union(*(gate for gate, closed in gates if closed))
        at = node.place or place
        for subjects, _ in gates:
            yield from _crossing(subjects | shut, at, scope)
        for text in (line.args for name, lines in node.own.items() if name not in UNSEEN for line in lines):
            if shut or "$" in "".join(text):
                yield from _crossing(dependence.derived(*text) | shut, at, scope)


def _gated(node: Node, subjects: frozenset[str], scope: str, *, moved: bool) -> Iterator[Matcher]:
    """Yield the headers that probes set for reasons of their own, where a condition on one decides whether a request goes on.

    The matcher tests the paths that the condition's location is chosen for; all of them where others may lead there.
    """
    test = ("other", "", False)
    if not moved and node.kind == "location" and "internal" not in node.own:
        if node.regex is not None:
            test = ("regex", node.regex.pattern, node.regex.caseless)
        elif node.modifier != "@":
            test = ("exact" if node.modifier == "=" else "prefix", node.name, False)
    for subject in sorted(_SET_BY_PROBES & subjects):
        yield Matcher(f"gate {subject}", *test, node.place or Location("nginx"), scope=scope)


def of_table(http: Http, name: str) -> Iterator[Matcher]:
    """Yield which parts of a request one table depends on together."""
    yield from _crossing(Dependence(http, None).of(f"${name}"), http.tables[name].location, "", name)


def words_of(lines: Iterable[Directive]) -> Iterator[str]:
    """Yield every word of some directives and of their blocks."""
    todo = list(lines)
    while todo:
        line = todo.pop()
        yield from line.args
        todo += line.block or ()


def tables_of(http: Http, texts: Iterable[str]) -> set[str]:
    """Return the tables that texts read, directly or through other tables."""
    found: set[str] = set()
    todo = [text for text in texts if "$" in text]
    while todo:
        for kind, name in split(todo.pop()):
            if kind == "variable" and name in http.tables and name not in found:
                found.add(name)
                table = http.tables[name]
                todo.extend(text for text in (*table.args[:-1], *words_of(table.block or ())) if "$" in text)
    return found


def _crossing(subjects: frozenset[str], place: Location, scope: str, table: str = "") -> Iterator[Matcher]:
    found = sorted(s for s in subjects if s == "method" or s.startswith(_VARIED))
    if len(found) > 1:
        yield Matcher("crossing", "other", " ".join(found), caseless=False, location=place, scope=scope, table=table)


def _gates(node: Node, dependence: Dependence) -> list[tuple[frozenset[str], bool]]:
    """Return what each condition of a script depends on that does more than set a variable, and whether it stops a plain GET.

    What comes after one that does is seen only with a request that passes it.
    """
    found = []
    for line in node.script:
        if line.name == "if" and any(inner.name != "set" for inner in line.block or ()):
            words = [word for inner in line.block or () for word in inner.args]
            shut = not _fails_for_a_get(condition_words(line))
            found.append((dependence.of(*tested(line)) | dependence.derived(*words), shut))
        elif line.name == "return":
            found.append((dependence.derived(*line.args), False))
    allowed = [{method.upper() for method in line.args} for line in node.own.get("limit_except", ())]
    return [*found, *((frozenset({"method"}), "GET" not in methods) for methods in allowed)]


def _fails_for_a_get(words: Sequence[str]) -> bool:
    """Whether a condition does not hold of a GET without the header, cookie or argument that it looks at."""
    subject = subject_of(words[0][1:].lower()) if words and words[0].startswith("$") else None
    if subject is None or not (subject == "method" or subject.startswith(_VARIED)) or "$" in words[0][1:]:
        return False
    value = "GET" if subject == "method" else ""
    if len(words) == 1:
        return value in {"", "0"}
    if words[1] in {"=", "!="}:
        return "$" not in words[-1] and (value == words[-1]) == (words[1] == "!=")
    try:
        holds = Regex(words[-1], caseless=words[1].endswith("*")).search(value)
    except RegexError:
        return False
    return bool(holds) == words[1].startswith("!")


def _moves(script: Iterable[Directive], dependence: Dependence) -> frozenset[str]:
    """Return what decides which location a request is moved to."""
    found = frozenset[str]()
    for line in script:
        if line.name == "rewrite" and len(line.args) > 1:
            found |= dependence.derived(line.args[1])
        elif line.name == "if" and any(inner.name == "rewrite" for inner in line.block or ()):
            found |= dependence.of(*tested(line)) | _moves(line.block or (), dependence)
    return found
