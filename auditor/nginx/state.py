"""One request on its way through nginx: what is known of it, what was decided, what has been answered so far."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Action, Ask, Field, Limit, Outcome, Request, Step, Unknown
from auditor.nginx.disk import ANY_KIND
from auditor.nginx.regex import Regex, RegexError
from auditor.sealed import result_of

if TYPE_CHECKING:
    from auditor.nginx.model import Listen, Node
    from auditor.nginx.request_size import Buffers
    from auditor.nginx.settings import AddHeader

LAYER = "nginx"
MOST_PATHS = 200
"""More outcomes than this for one request are not followed; the answer says so."""

WAITS_FOR_NOTHING = "is not waited for: a filter has ended the answer with 412, and nginx finishes it at once"
"""What `ngx_http_filter_finalize_request` does to an error page that takes time: its caller ends the request."""

MOST_WORK = 20_000
"""More tables than this are not read for one request."""


def anything(_path: str) -> frozenset[str]:
    """Say what may be at a path where nobody knows."""
    return ANY_KIND


def _literal(text: str) -> Callable[[Run], str]:
    """Read a text as it is, before a configuration says how."""
    return lambda _run: text


_UNKNOWN = Action("unknown")


class TooManyPaths(Exception):  # noqa: N818 - not an error of the user: the answer becomes unknown
    """The configuration allows more answers to one request than are worth listing."""


class Undecided(Exception):  # noqa: N818 - not an error of the user: the answer becomes unknown
    """From here on nothing can be said about the answer; carries why."""

    def __init__(self, unknown: Unknown) -> None:
        """Keep the reason."""
        super().__init__(unknown.reason)
        self.unknown = unknown


@dataclass(slots=True)
class Upstream:
    """What is known of the upstream's answer: None everywhere before it is asked."""

    status: int | None = None
    headers: tuple[Field, ...] = ()
    further: bool = False
    address: str = ""


class Run:
    """One request in progress. `path` are the choices to repeat, `taken` those made, `pending` the ones left to try.

    What begins alike for every request is an attribute of the class, so that making and copying a run is cheap.
    """

    method: str = "GET"
    uri: str = "/"
    args: str = ""
    raw_uri: str = "/"
    host: str | None = None
    client: str = "127.0.0.1"
    version: str = ""
    captures: tuple[str, ...] | None = None
    escaped: bool = False
    quoted: bool = False
    asked_as: str | None = None
    quote: bool = False
    internal: bool = False
    valid_location: bool = True
    faithful: bool = True
    uri_changed: bool = False
    uri_changes: int = 11
    main: bool = True
    handler: Node | None = None
    add_uri_to_alias: bool = False
    err_status: int = 0
    error_page: bool = False
    cut_short: bool = False
    limit_req_done: bool = False
    limit_conn_done: bool = False
    real_ip_done: bool = False
    host_line: str = ""
    result: Outcome | None = None
    authorising: bool = False
    keepalive: bool = False
    gzip_vary: bool = False
    length_listed: bool = False
    proxied: bool = False
    unconditional: bool = False
    override_charset: str = ""
    given_charset: str = ""
    length: str = ""
    announced: int = 0
    chunked: bool = False
    statuses: str = ""
    addresses: str = ""
    line_read: bool = False
    body_read: str = ""
    discarded: bool = False
    sent_on: bool = False
    http: str = "1.0"
    buffers: Buffers | None = None
    depth: int = 100
    work: int = 0
    parsed: bool = True
    breaks: bool = False
    status: int = 0
    redirect: Field | None = None
    content_type: str | None = None
    content_type_by: Location | None = None
    type_before: str = ""
    charset: str = ""
    content_length: str | None = None
    last_modified: str | None = None
    body: str | None = None
    upstream_request: Request | None = None
    further: bool = False
    absent: frozenset[str] = frozenset()
    ranges: bool = False
    small: bool = False
    encoded: bool = False
    head: bool = False
    after_slash: bool = False
    silenced: bool = False
    ended: int = 0
    browsers: frozenset[str] = frozenset()
    inner: tuple[Outcome, ...] = ()
    when: tuple[str | tuple[str, str], ...] = ()
    limits: tuple[Limit, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    received: str = ""
    why: list[Step] | None = None
    left: tuple[Node, ...] = ()
    path: tuple[int, ...] = ()

    def __init__(self, request: Request, listen: Listen, server: Node, node: Node, ask: Ask | None = None) -> None:
        """Begin with a request at a listener, in the server that answers until a name says otherwise."""
        self.request, self.listen, self.server, self.node, self.ask = request, listen, server, node, ask
        self.header: dict[str, str] = {}
        self.vars: dict[str, str] = {}
        self.header_lines: list[Field] = []
        self.replaced: set[str] = set()
        self.sent: list[Field] = []
        self.upstream = Upstream()
        self.action = _UNKNOWN
        self.files: dict[str, frozenset[str]] = {}
        self.budget: list[int] = [MOST_PATHS]
        self.facts: dict[tuple[str, ...], int] = {}
        self.taken: list[int] = []
        self.pending: list[Pending] = []
        self.asked: list[tuple[Request, tuple[Outcome, ...]]] = []
        self.look: Callable[[str], frozenset[str]] = anything
        self.evaluate: Callable[[str], Callable[[Run], str]] = _literal

    def cases(self) -> str:
        """Say in which case this outcome comes about."""
        if not self.when:
            return "always"
        words: list[str] = []
        for word in self.when:
            if isinstance(word, str):
                words.append(word)
            else:
                possible = self.files[word[1]]
                words.append(
                    "file-missing"
                    if "nothing" in possible
                    else "file-found"
                    if "file" in possible
                    else "directory-found"
                )
        return "+".join(dict.fromkeys(words))

    def fork(
        self, options: int, go_on: Callable[[Run, int], Callable[[Run], Any] | None]
    ) -> Callable[[Run], Any] | None:
        """Take one of several ways as the last thing a phase does; the others go on from here in copies of this run."""
        made = len(self.taken)
        if made < len(self.path):
            pick = self.path[made]
            self.taken.append(pick)
            return go_on(self, pick)
        self.budget[0] -= options - 1
        if self.budget[0] < 0:
            raise TooManyPaths
        for other in range(options - 1, 0, -1):
            if self.main:
                self.pending.append((self.copy(other), partial(_go_on, go_on, other)))
            else:
                self.pending.append((*self.taken, other))
        self.taken.append(0)
        return go_on(self, 0)

    def copy(self, pick: int) -> Run:
        """Return a run in the same state that has made one choice more."""
        new = object.__new__(Run)
        new.__dict__.update(self.__dict__)
        new.path = ()
        new.taken = [*self.taken, pick]
        new.vars = dict(self.vars)
        new.sent = list(self.sent)
        new.facts = dict(self.facts)
        new.files = dict(self.files)
        new.replaced = set(self.replaced)
        known = self.upstream
        new.upstream = Upstream(known.status, known.headers, known.further, known.address)
        if self.why is not None:
            new.why = list(self.why)
        return new

    def choose(self, key: tuple[str, ...], options: int) -> int:
        """Take one of several ways that the configuration leaves open; the same key is always answered alike."""
        known = self.facts.get(key)
        if known is not None:
            return known
        made = len(self.taken)
        if made < len(self.path):
            pick = self.path[made]
        else:
            pick = 0
            self.budget[0] -= options - 1
            if self.budget[0] < 0:
                raise TooManyPaths
            for other in range(options - 1, 0, -1):
                self.pending.append((*self.taken, other))
        self.taken.append(pick)
        self.facts[key] = pick
        return pick

    def descend(self, location: Location | None) -> None:
        """Go one level deeper into variables that are made of variables (`ngx_http_variable_depth`)."""
        self.depth -= 1
        self.work += 1
        if self.work > MOST_WORK:
            raise Undecided(Unknown("variables refer to each other too often to be followed", location))

    def note(self, directive: str, location: Location | None, text: str) -> None:
        """Keep a step of the explanation, where one is wanted."""
        if self.why is not None:
            self.why.append(Step(directive, location, text, LAYER))

    def leave(self) -> None:
        """Remember the level that an internal redirect leaves, where an explanation is wanted."""
        if self.why is not None and self.node not in self.left:
            self.left += (self.node,)

    def doubt(self, reason: str, location: Location | None, concerns: str = "answer") -> None:
        """Keep a reason why the answer is not decided, once."""
        unknown = Unknown(reason, location, concerns)
        if unknown not in self.unknown:
            self.unknown += (unknown,)

    def either(self, reason: str, location: Location | None, key: tuple[str, ...]) -> bool:
        """Decide a question that the configuration and the request leave open: both answers are followed."""
        self.doubt(reason, location)
        return self.choose(key, 2) == 0

    def matches(
        self, regex: Regex, subject: str, location: Location | None, what: str, *, captures: bool = True
    ) -> bool:
        """Match a regex and keep its captures (`ngx_http_regex_exec`); captures stay where it does not match.

        Without `captures` nothing is kept (`ngx_regex_exec_array`).
        """
        try:
            found = result_of(regex.match, subject)
        except UnicodeEncodeError:
            truth = self.either(
                f"{what} is not decided by the configuration", location, ("regex", regex.pattern, subject)
            )
            found = (UNKNOWN_VALUE,) * (regex.groups + 1) if truth else None
        except RegexError as error:
            raise Undecided(Unknown(f"regular expression {regex.pattern!r}: {error}", location)) from error
        if found is None:
            return False
        if not captures:
            return True
        for name, number in regex.names:
            self.vars[name.lower()] = found[number] if number < len(found) else ""
        self.captures = found
        return True

    def enter(self, node: Node) -> None:
        """Let a level say whether the connection stays open (`ngx_http_update_location_config`)."""
        if not node.stays or (self.browsers and self._old_browser(node)):
            self.keepalive = False

    def _old_browser(self, node: Node) -> bool:
        """Whether the client is one that `keepalive_disable` names (by default old Internet Explorers that POST)."""
        line = node.last("keepalive_disable")
        words = line.args if line is not None else ("msie6",)
        posts = "msie6" in words and "msie6" in self.browsers and self.method == "POST"
        return posts or ("safari" in words and "safari" in self.browsers)

    @property
    def verb(self) -> str:
        """Return the method that nginx acts on: HEAD even where its line was not read to the end, which names none."""
        return "HEAD" if self.head else self.method

    def discard_body(self) -> None:
        """Read the request's body and throw it away (`ngx_http_discard_request_body`)."""
        self.body_read = "0"
        self.announced = 0
        self.received = "0"
        if self.length:
            self.length = "0"

    def first(self, name: str) -> str:
        """Return the value of the request's first header line with this lower-case name, or ""."""
        return next((line.value for line in self.header_lines if line.name.lower() == name), "")

    def value(self, text: str) -> str:
        """Evaluate a text with variables."""
        return self.evaluate(text)(self)

    def add(self, name: str, value: str, made_by: Location | None = None) -> None:
        """Append a header line to the answer."""
        self.sent.append(Field(name, value, made_by, LAYER))

    def drop_last(self, *names: str, spared: tuple[AddHeader, ...] = ()) -> None:
        """Remove, for each of these lower-case names, the last header line that has it, but none of those spared."""
        for name in names:
            for index in range(len(self.sent) - 1, -1, -1):
                line = self.sent[index]
                if line.name.lower() == name and not any(line.made_by is one.location for one in spared):
                    self.sent = self.sent[:index] + self.sent[index + 1 :]
                    break

    def drop(self, *names: str) -> None:
        """Remove the header lines with these lower-case names from the answer."""
        self.sent = [field_ for field_ in self.sent if field_.name.lower() not in names]


def _go_on(
    go_on: Callable[[Run, int], Callable[[Run], Any] | None], pick: int, run: Run
) -> Callable[[Run], Any] | None:
    """Continue a copy where its original forked."""
    return go_on(run, pick)


Pending = tuple[int, ...] | tuple[Run, Callable[[Run], Any]]
"""A way that is still to be followed: the choices that lead there from the start, or a run and how it goes on."""
