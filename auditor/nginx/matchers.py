"""Everything in a configuration that can see part of a request: requests alike in all of it get the same answer."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from auditor.errors import Location
from auditor.nginx.attempts import attempts, authority
from auditor.nginx.dependence import LOGS, crossings, of_table, tables_of, words_of
from auditor.nginx.model import Node, server_names
from auditor.nginx.moves import before, moves, names_in_map, names_of_captures, with_group
from auditor.nginx.rewrite import condition_words
from auditor.nginx.settings import settings_of
from auditor.nginx.subjects import Matcher, Subjects, lines_of
from auditor.nginx.tables import shares_of
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.evaluate import Configuration


def scope_of(server: Node) -> str:
    """Name a server so that no other has the same name."""
    return str(server.place or "")


def matchers(configuration: Configuration, *, types: bool = False) -> tuple[Matcher, ...]:
    """List every matcher of a configuration; with `types`, the extensions that choose a Content-Type too."""
    return tuple(dict.fromkeys(_Collector(configuration).collect(types=types)))


class _Collector:
    """Walks one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        """Prepare a walk."""
        self.configuration = configuration
        self.http = configuration.engine.http
        self.known = Subjects(self.http)
        named = [names_of_captures(server) for server in self.http.servers]
        named += [names_in_map(table) for table in self.http.tables.values()]
        for name, subject, pattern, caseless in chain.from_iterable(named):
            self.known.captured.setdefault(name, []).append((subject, pattern, caseless))
        self.subjects = self.known.of

    def collect(self, *, types: bool) -> Iterator[Matcher]:
        """Yield all matchers."""
        for listen in self.http.listens:
            for server in listen.servers:
                yield from self._names(server)
        for server in self.http.servers[:1]:
            for method in ("TRACE", "CONNECT"):  # refused before a location is chosen
                yield Matcher("method", "exact", method, caseless=False, location=server.place or Location("nginx"))
        tabled: list[Matcher] = []
        for name in self._used():
            tabled += (replace(found, table=name) for found in self._table(name, self.http.tables[name]))
            tabled += of_table(self.http, name)
        yield from tabled
        yield from self._above()
        for server in self.http.servers:
            yield from self._server(server, tabled)
        if types:
            yield from self._types()

    def _server(self, server: Node, tabled: list[Matcher]) -> Iterator[Matcher]:
        scope = scope_of(server)
        if (merging := server.last("merge_slashes")) is not None and merging.args[:1] == ("off",):
            yield Matcher("request_uri", "regex", "^//", caseless=False, location=merging.location)
        own = [replace(found, scope=scope) for node in server.below() for found in self._node(node)]
        yield from own
        yield from crossings(self.http, server, scope)
        for text, place, ways in moves(server, self.known):
            yield from before((*own, *tabled), scope, text, place, ways)

    def _used(self) -> list[str]:
        """Return the names of the tables that anything but a log reads."""
        texts = [zone.args[0] for zone in self.http.zones.values() if zone.args]
        for node in (self.http.node, *(node for server in self.http.servers for node in server.below())):
            read = [line for name, lines in node.own.items() if name not in LOGS for line in lines]
            texts += [word for word in words_of((*read, *node.script)) if "$" in word]
        used = tables_of(self.http, texts)
        return [name for name in self.http.tables if name in used]

    def _above(self) -> Iterator[Matcher]:
        """Yield what is tested for all servers alike, by the lines around them."""
        above = self.http.servers[0].parent if self.http.servers else None
        if above is not None:
            found = self._rules(above, above.place or Location("nginx"))
            yield from (m for m in found if m.subject != "header:accept-encoding")

    # ------------------------------------------------------------------ what a test means

    def test(
        self, text: str, kind: str, pattern: str, location: Location, *, caseless: bool = False
    ) -> Iterator[Matcher]:
        """Yield what testing a text means for the parts of the request that it repeats."""
        subjects, exact = self.subjects(text)
        if text == "$is_args":
            yield Matcher("args", "nonempty", "", caseless=False, location=location)
            return
        if text == "$remote_user" and kind == "exact":  # the name that comes with a password is decoded
            pattern, caseless = f"Basic {b64encode(f'{pattern}:x'.encode('latin-1')).decode()}", False
        if (exact and subjects) or (len(subjects) == 1 and text == "$binary_remote_addr"):
            for subject in subjects:
                yield Matcher(subject, kind, pattern, caseless, location)
            if subjects == ["header:host"] and not (kind == "exact" and ":" in pattern):
                yield Matcher("host", kind, pattern, caseless, location)
            if subjects not in (["request_uri"], ["header:host"]):
                return
        yield from self._texts(text, Matcher("text", kind, pattern, caseless, location), subjects)

    def _texts(self, text: str, tested: Matcher, subjects: list[str]) -> Iterator[Matcher]:
        """Yield what a test means of a text that is not one part of a request as it is."""
        named = self.known.captured.get(text[1:].lower(), []) if text.startswith("$") else []
        if named and tested.kind == "exact" and all(subject for subject, _, _ in named):
            for subject, found, loose in named:
                written = with_group(found, text[1:], _quoted(tested.pattern))
                if written is not None:
                    yield replace(tested, subject=subject, kind="regex", pattern=written, caseless=loose)
            return
        if not subjects and not self.known.repeats_captures(text):
            return  # whatever it is, conditions alone have made it so
        ways = self.known.parts(text)
        if ways is None:
            reason = f"what {text} is, is not decided for every request"
            yield from self._other(subjects or ["path"], tested.pattern, tested.location, reason)
            return
        for way in ways:
            if way == ("$path",):
                yield replace(tested, subject="path")
            elif any(part[0] == "$" for part in way):
                yield replace(tested, parts=way)

    def _other(self, subjects: Iterable[str], pattern: str, location: Location, reason: str) -> Iterator[Matcher]:
        """Yield what says that requests which differ in these parts may not be told apart."""
        for subject in subjects:
            yield Matcher(subject, "other", pattern, caseless=False, location=location, reason=reason)

    # ------------------------------------------------------------------ the places that test

    def _names(self, server: Node) -> Iterator[Matcher]:
        for line in server.own.get("server_name", ()):
            for name in line.args:
                if name.startswith("~"):
                    caseless = any("A" <= char <= "Z" for char in name[1:])
                    yield Matcher("host", "regex", name[1:], caseless, line.location)
                elif name.startswith(("*.", ".")) or name.endswith(".*"):
                    yield Matcher("host", "wildcard-host", name.lower(), caseless=True, location=line.location)
                else:
                    yield Matcher("host", "exact", name.lower(), caseless=True, location=line.location)

    def _table(self, name: str, table: Directive) -> Iterator[Matcher]:  # noqa: C901 - follows nginx's own
        if table.name == "geo":
            source = table.args[0] if len(table.args) > 1 else "$remote_addr"
            for line in table.block or ():
                if line.args and line.name not in {"default", "include", "proxy"}:
                    yield from self.test(source, "network", line.name, line.location)
            return
        source = table.args[0] if table.args else ""
        if table.name == "split_clients":
            yield from self._shares(name, table, source)
            return
        hostnames = any(line.name == "hostnames" and not line.args for line in table.block or ())
        regexes = False
        for line in table.block or ():
            if not line.args or line.name == "default":
                continue
            if line.name == "include":
                for subject in self.subjects(source)[0]:
                    yield Matcher(subject, "other", line.args[0], caseless=False, location=line.location)
            elif line.name.startswith("~"):
                regexes = True
                caseless = line.name.startswith("~*")
                yield from self.test(
                    source, "regex", line.name[2 if caseless else 1 :], line.location, caseless=caseless
                )
            elif hostnames and (line.name.startswith(("*.", ".")) or line.name.endswith(".*")):
                yield from self.test(source, "wildcard-host", line.name, line.location, caseless=True)
            else:
                key = line.name.removeprefix("\\")
                yield from self.test(source, "exact", key, line.location, caseless=True)
        if regexes:
            yield from self.test(source, "nonempty", "", table.location)

    def _shares(self, name: str, table: Directive, source: str) -> Iterator[Matcher]:
        """Yield what puts a request into each share of a hash."""
        ways = self.known.parts(source)
        parts = ways[0] if ways is not None and len(ways) == 1 else ()
        shares = [(low, high) for low, high, _ in shares_of(table) if high > low]
        if not self.subjects(source)[0] or len(shares) < 2:
            return
        varied = any(part.startswith(("$header:", "$cookie:", "$arg:")) for part in parts)
        fixed = ("$", "$remote_addr", "$version", "$listen")
        if not varied or any(part[0] == "?" or part in fixed for part in parts):
            reason = f"which share of {source} a request is in, and what ${name} is, is not decided for every request"
            yield from self._other(["path"], source, table.location, reason)
            return
        for low, high in shares:
            yield Matcher("share", "other", f"{low} {high}", caseless=False, location=table.location, parts=parts)

    def _node(self, node: Node) -> Iterator[Matcher]:
        place = node.place or Location("nginx")
        if node.kind == "location":
            yield from _location(node, place)
        if _serves(node):
            yield from _files(node, place)
        for line in lines_of(node.script):
            if line.name == "if":
                yield from self._if(line)
            elif line.name == "rewrite" and line.args:
                yield from self._rewrite(line, node)
        yield from self._rules(node, place)
        yield from attempts(node, self.known)

    def _if(self, line: Directive) -> Iterator[Matcher]:
        words = condition_words(line)
        if not words or not words[0].startswith("$"):
            return
        if len(words) == 1:
            yield from self.test(words[0], "nonempty", "", line.location)
            yield from self.test(words[0], "exact", "0", line.location)
        elif words[1] in {"=", "!="}:
            if "$" in words[-1]:
                yield from self._equal(words[0], words[-1], line.location)
            else:
                yield from self.test(words[0], "exact", words[-1], line.location)
        elif words[1].endswith(("~", "~*")):
            yield from self.test(words[0], "regex", words[-1], line.location, caseless=words[1].endswith("*"))

    def _equal(self, one: str, other: str, location: Location) -> Iterator[Matcher]:
        """Yield what tells apart whether two texts are equal: a value that both can have, or names of hosts."""
        sides = [(self.known.parts(text) or [], self.subjects(text)[0]) for text in (one, other)]
        free = all(ways and all(_free(way) for way in ways) for ways, _ in sides)
        constant = next((ways for ways, subjects in sides if ways and not subjects), None)
        if constant is not None:
            text = one if constant is sides[1][0] else other
            for value in dict.fromkeys(v for way in constant for v in _values(way)):
                yield from self.test(text, "exact", value, location)
        elif free:
            for text in (one, other):
                yield from self.test(text, "exact", _EQUAL, location)
        elif sides[0][1] or sides[1][1]:
            both = dict.fromkeys((*sides[0][1], *sides[1][1]))
            yield from self._other(both, other, location, f"whether {one} is {other} is not decided for every request")

    def _rewrite(self, line: Directive, node: Node) -> Iterator[Matcher]:
        if not _always(line, node):
            yield Matcher("path", "regex", line.args[0], caseless=False, location=line.location)

    def _rules(self, node: Node, place: Location) -> Iterator[Matcher]:  # noqa: C901 - follows nginx's own
        """Yield the tests of the other phases."""
        for line in node.own.get("access rules", ()):
            if line.args and line.args[0] != "all":
                yield Matcher("remote_addr", "network", line.args[0], caseless=False, location=line.location)
        for line in node.own.get("limit_except", ()):
            methods = {method.upper() for method in line.args}
            for method in sorted(methods | ({"HEAD"} if "GET" in methods else set())):
                yield Matcher("method", "exact", method, caseless=False, location=line.location)
        for kind in ("limit_req", "limit_conn"):
            for line in node.own.get(kind, ()):
                yield from self._limit(kind, line)
        for line in node.own.get("valid_referers", ()):
            yield from _referers(line, node)
        for line in node.own.get("auth_basic", ()):
            yield Matcher("header:authorization", "nonempty", "", caseless=False, location=line.location)
        if node.handler is not None and node.handler.args and "$" in node.handler.args[0]:
            host = authority(node.handler)
            for subject in self.subjects(host)[0]:
                yield Matcher(subject, "other", host, caseless=False, location=node.handler.location)
        for line in node.own.get("gzip", ()):
            if line.args == ("on",):
                yield Matcher("header:accept-encoding", "regex", "gzip", caseless=True, location=line.location)
        for line in node.own.get("set_real_ip_from", ()):
            header = node.last("real_ip_header")
            name = header.args[0].lower() if header is not None and header.args else "x-real-ip"
            yield Matcher(
                "remote_addr", "network", line.args[0] if line.args else "", caseless=False, location=line.location
            )
            yield Matcher(f"header:{name}", "nonempty", "", caseless=False, location=line.location)
        del place

    def _limit(self, kind: str, line: Directive) -> Iterator[Matcher]:
        name = next((arg[5:] for arg in line.args if arg.startswith("zone=")), line.args[0] if line.args else "")
        zone = self.http.zones.get(f"{kind}_zone:{name}")
        if zone is not None and zone.args:
            yield from self.test(zone.args[0], "nonempty", "", line.location)
            parts, _ = self.subjects(zone.args[0])
            for subject in parts:  # whatever else the key has, each part chooses the bucket too
                yield Matcher(subject, "nonempty", "", caseless=False, location=line.location)

    def _types(self) -> Iterator[Matcher]:
        engine = self.configuration.engine
        for server in self.http.servers:
            for node in server.below():
                place = node.place or Location("nginx")
                for extension in settings_of(node, engine.variables).types:
                    yield Matcher("path", "suffix", f".{extension}", caseless=True, location=place)


def _always(line: Directive, node: Node) -> bool:
    """Whether a rewrite takes every path that its location is chosen for: a word that the location's prefix has."""
    if node.kind != "location" or not node.name.startswith("/") or node.regex is not None or node.script[0] is not line:
        return False
    word = line.args[0].removeprefix("^")
    plain = re.fullmatch(r"[\w/-]+", word, re.ASCII) is not None
    return plain and (node.name.startswith(word) if line.args[0].startswith("^") else word in node.name)


def _location(node: Node, place: Location) -> Iterator[Matcher]:
    if node.regex is not None:
        yield Matcher("path", "regex", node.regex.pattern, node.regex.caseless, place, selects=True)
    elif node.modifier == "=":
        yield Matcher("path", "exact", node.name, caseless=False, location=place, selects=True)
    elif node.modifier != "@":
        yield Matcher("path", "prefix", node.name, caseless=False, location=place, selects=True)
    parent = node.parent
    if parent is not None and parent.tree is not None and parent.tree.redirects.get(node.name[:-1]) is node:
        yield Matcher("path", "exact", node.name[:-1], caseless=False, location=place, selects=True)


def _serves(node: Node) -> bool:
    """Whether a request can get as far as to the content of this block."""
    if node.kind not in {"server", "location"} or any(line.name == "return" for line in node.script):
        return False
    return not (node.kind == "server" and node.tree is not None and "/" in node.tree.prefixes)


def _files(node: Node, place: Location) -> Iterator[Matcher]:
    """Yield what serving files looks at: folders, and methods that read (`ngx_http_static_handler`)."""
    if node.handler is None:
        yield Matcher("path", "suffix", "/", caseless=False, location=place, selects=True)
        yield Matcher("method", "exact", "POST", caseless=False, location=place)
    if node.handler is None or node.handler.name in {"empty_gif", "stub_status"}:
        yield Matcher("method", "regex", r"^(?:GET|HEAD)\z", caseless=False, location=place)


_EQUAL = "https://equal.invalid"
"""A value that most parts of a request can have."""


def _free(way: tuple[str, ...]) -> bool:
    """Whether a text is a part of a request that can have any value."""
    return len(way) == 1 and way[0].startswith(("$origin", "$header:", "$cookie:", "$arg:"))


def _values(way: tuple[str, ...]) -> list[str]:
    """Return the texts that a text without parts of a request may be."""
    found = [""]
    for part in way:
        texts = part[1:].split("\n") if part[0] == "?" else [part[1:]]
        found = [before + text for before in found for text in texts]
    return found


def _referers(line: Directive, node: Node) -> Iterator[Matcher]:
    """Yield valid_referers as regular expressions on the whole Referer."""
    names = server_names(node.server) if "server_names" in line.args and node.server is not None else ()
    for word in (*(word for word in line.args if word != "server_names"), *names):
        if word == "none":
            yield Matcher("header:referer", "nonempty", "", caseless=False, location=line.location)
        elif word == "blocked":
            yield Matcher("header:referer", "regex", "^https?://", caseless=True, location=line.location)
        elif word.startswith("~"):
            yield Matcher(
                "header:referer", "regex", f"^https?://(?=.*{word[1:]})", caseless=True, location=line.location
            )
        elif word:
            yield Matcher("header:referer", "regex", _referer(word), caseless=True, location=line.location)


def _referer(word: str) -> str:
    host, slash, path = word.partition("/")
    pieces = "[^/:]+".join(_quoted(part) for part in host.split("*"))
    if host.startswith("."):
        pieces = r"([^/:]+\.)?" + _quoted(host[1:])
    return f"^https?://{pieces}(:[^/]*)?" + (_quoted(slash + path) if slash else "(/|$)")


def _quoted(text: str) -> str:
    return "".join(f"\\{char}" if char in r".^$*+?()[]{}|\\/" else char for char in text)
