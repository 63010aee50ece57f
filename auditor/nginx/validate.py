"""Walks a tree and says what nginx would refuse in it: unknown or misplaced directives, wrong arguments, duplicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import lru_cache

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.nginx import arguments, entries, refusals
from auditor.nginx.arguments import words
from auditor.nginx.directives import NEWER_VALUES, RECENT, SINCE, Rule, foreign, known, rules, version_key
from auditor.nginx.http_scope import HttpScope
from auditor.nginx.stream_scope import StreamScope
from auditor.nginx.tokens import MOST_PROBLEMS, Directive

CHILDREN = {
    ("main", "events"): "events",
    ("main", "http"): "http",
    ("main", "stream"): "stream",
    ("main", "mail"): "mail",
    ("http", "server"): "server",
    ("http", "upstream"): "upstream",
    ("server", "location"): "location",
    ("server", "if"): "if-server",
    ("location", "location"): "location",
    ("location", "if"): "if-location",
    ("location", "limit_except"): "limit_except",
    ("stream", "server"): "stream-server",
    ("stream", "upstream"): "stream-upstream",
    ("mail", "server"): "mail-server",
}
"""The context inside a block, by the context and the name of the block."""

_HTTP = frozenset({"http", "server", "location", "if-server", "if-location", "limit_except", "upstream"})
_STREAM_TOO = words("""error_log access_log log_format resolver allow deny limit_conn_zone limit_conn open_log_file_cache
    ssl_session_cache server hash least_time random zone proxy_bind ssl_certificate_cache
    proxy_ssl_certificate_cache ssl_ocsp_cache""")
_ENVIRONMENT_NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")

Locate = Callable[[Directive, int], Location]
"""Finds the place of a directive's argument (-1: of its name)."""


def _unfilled(match: re.Match[str]) -> tuple[str, str]:
    """Say that a template was not filled, and how to fill it."""
    hint = f"set it in the target's variables; without a policy, pass --var {match[1]}=…"
    return f'"{match[0]}" is not substituted', hint


@dataclass(slots=True)
class Validator:
    """Checks one tree for one version; `open`: things may be defined in files that are not here."""

    version: str
    locate: Locate
    open: bool
    problems: list[Problem] = field(default_factory=list)

    def problem(self, directive: Directive, index: int, message: str, hint: str) -> None:
        """Keep a problem at an argument of a directive (-1: at its name); one that a template left says so."""
        if index >= 0 and (match := _ENVIRONMENT_NAME.search(directive.args[index])):
            message, hint = _unfilled(match)
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(message, self.locate(directive, index), hint))

    def check(self, directives: tuple[Directive, ...], context: str) -> None:
        """Check the top level of a configuration, which is in a context, and everything in it."""
        scope = HttpScope(self.problem, complete=not self.open)
        self.block(directives, context, scope)
        if context == "main":
            names = {d.name for d in directives}
            self.connections(directives, scope)
            if "events" not in names and not self.open and directives:
                self.problem(directives[0], -1, 'there is no "events" block', "add: events { }")
        scope.finish()

    def connections(self, directives: tuple[Directive, ...], scope: HttpScope) -> None:
        """Check that a worker may have more connections than there are ports to listen on (ngx_event.c)."""
        for events in directives:
            for one in events.block or () if events.name == "events" else ():
                if (
                    one.name == "worker_connections"
                    and one.args
                    and (count := arguments.number(one.args[0])) is not None
                ):
                    ports = len({server_port for server in scope.servers for server_port in server.ports()})
                    if count <= ports:
                        message = f"{count} connections are not enough to listen on {ports} ports"
                        self.problem(one, 0, message, "write 512 or more")

    def block(self, directives: Iterable[Directive], context: str, scope: HttpScope) -> None:
        """Check the directives of one block."""
        table = rules(self.version).get(context, {})
        http = context in _HTTP
        seen: set[str] = set()
        for directive in directives:
            name = directive.name
            rule = table.get(name)
            if rule is None:
                self.misplaced(directive, context, scope)
                continue
            if not self.shape(directive, rule):
                continue
            kind = rule.kind
            if name in seen:
                if kind in arguments.ONCE or name in refusals.ONCE or (name == "return" and context == "stream-server"):
                    self.problem(directive, -1, f'"{name}" is given twice here', "keep one of them")
            else:
                seen.add(name)
            self.values(directive, rule, context, http=http)
            if http:
                scope.enter(directive, context)
            if directive.block is not None:
                self.inner(directive, context, scope)
                if http:
                    scope.leave(directive, context)

    def shape(self, directive: Directive, rule: Rule) -> bool:
        """Check that a directive has the block and the number of arguments that it needs."""
        name = directive.name
        if rule.block and directive.block is None:
            self.problem(directive, -1, f'"{name}" needs a block', "open it with {")
        elif directive.block is not None and not rule.block:
            self.problem(directive, -1, f'"{name}" takes no block', 'end it with ";"')
        elif not rule.arity >> min(len(directive.args), 60) & 1:
            count = len(directive.args)
            self.problem(
                directive,
                -1,
                f'"{name}" does not take {count} argument{"" if count == 1 else "s"}',
                f"it takes {_numbers(rule.arity)}; is a semicolon missing, or are quotes?",
            )
        else:
            return True
        return False

    def values(self, directive: Directive, rule: Rule, context: str, *, http: bool) -> None:
        """Check the arguments of a directive by their kind, or by the directive's own rule."""
        checker = arguments.KINDS.get(rule.kind)
        if not directive.args:
            return
        if checker is None and (http or context in {"main", "events"} or directive.name in _STREAM_TOO):
            checker = refusals.OWN.get(directive.name)
        if checker is None or (directive.block is not None and directive.name != "limit_except"):
            return
        for index, message, hint in checker(directive.args, rule.detail):
            self.problem(directive, index, message, hint)
        if http and directive.name in NEWER_VALUES:
            self.newer(directive)

    def newer(self, directive: Directive) -> None:
        """Report values that the version does not know yet."""
        for index, arg in enumerate(directive.args):
            for pattern, version in NEWER_VALUES[directive.name]:
                if re.fullmatch(pattern, arg) and version_key(version) > version_key(self.version):
                    message = f'nginx {self.version} does not take "{arg}" here'
                    self.problem(directive, index, message, f"it came with nginx {version}")

    def inner(self, directive: Directive, context: str, scope: HttpScope) -> None:
        """Check what is in a block."""
        child = CHILDREN.get((context, directive.name))
        if child == "stream":
            stream = StreamScope(self.problem, self.open)
            stream.read(directive)
            stream.finish()
        if child is not None:
            self.block(directive.block or (), child, scope)
        elif directive.name in entries.BLOCKS:
            for entry, index, message, hint in entries.complaints(directive):
                self.problem(entry, index, message, hint)

    def misplaced(self, directive: Directive, context: str, scope: HttpScope) -> None:
        """Say why a directive that the context does not know is wrong, if it is."""
        name = directive.name
        if name == "include":
            if directive.block is not None or len(directive.args) != 1:
                self.problem(directive, -1, '"include" takes one file name', 'end it with ";"')
            return
        places = known(self.version).get(name)
        if places is not None:
            where = ", ".join(_NAMES.get(place, f'"{place}"') for place in places)
            self.problem(
                directive, -1, f'"{name}" is not allowed in {_NAMES.get(context, context)}', f"it belongs in {where}"
            )
        elif name in SINCE:
            self.problem(
                directive, -1, f'nginx {self.version} has no directive "{name}"', f"it came with nginx {SINCE[name]}"
            )
        elif re.fullmatch(RECENT, name):
            self.problem(directive, -1, f'nginx {self.version} has no directive "{name}"', "it came after nginx 1.26")
        elif foreign(name):
            scope.variables.foreign(directive)
        elif match := _ENVIRONMENT_NAME.search(name):
            self.problem(directive, -1, *_unfilled(match))
        else:
            self.problem(directive, -1, f'"{name}" is not a directive of nginx', _spelling(name, self.version))


_NAMES = {
    "main": "the main context",
    "events": "events",
    "http": "http",
    "server": "server",
    "location": "location",
    "if-server": "if in a server",
    "if-location": "if in a location",
    "limit_except": "limit_except",
    "upstream": "upstream",
    "stream": "stream",
    "stream-server": "a server of stream",
    "stream-upstream": "an upstream of stream",
    "mail": "mail",
    "mail-server": "a server of mail",
}


@lru_cache(maxsize=1024)
def _spelling(name: str, version: str) -> str:
    """Say what an unknown name may have been meant to be."""
    import difflib  # noqa: PLC0415 - only where something is misspelt

    if name.startswith("\xef\xbb\xbf"):  # UTF-8's, read as Latin-1
        return "the file begins with a byte order mark, which nginx takes for a part of the word: save it without one"
    close = difflib.get_close_matches(name, known(version), 1)
    return f'did you mean "{close[0]}"?' if close else "correct the name; if a module defines it, load the module"


def _numbers(arity: int) -> str:
    """Return in words how many arguments a directive takes."""
    if arity < 0:
        least = (arity & -arity).bit_length() - 1
        return f"{least} or more" if least else "any number"
    allowed = [str(n) for n in range(8) if arity >> n & 1]
    return " or ".join(allowed)
