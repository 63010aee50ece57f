"""One request and its response, predicted or observed; the types that every layer, check and report speaks.

Bytes on the wire are `str` here, one character per byte (Latin-1), so that nothing is lost or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeVar

from auditor.dataclass import dataclass
from auditor.errors import Location

UNKNOWN_VALUE = "\N{REPLACEMENT CHARACTER}"
"""Stands in a predicted header value for text that the configuration does not decide (never a Latin-1 byte)."""


Record = TypeVar("Record")


def amended(record: Record, **changes: Any) -> Record:
    """Return a copy of a frozen dataclass without slots with other values: `dataclasses.replace`, ten times faster.

    Raises:
        TypeError: the record has no such field.
    """
    known = record.__dict__
    values = known | changes
    if len(values) != len(known):
        raise TypeError(f"{type(record).__name__} has no {', '.join(sorted(changes.keys() - known.keys()))}")
    copy = object.__new__(type(record))
    object.__setattr__(copy, "__dict__", values)
    return copy


@dataclass(frozen=True, slots=True)
class Field:
    """One header field line (RFC 9110 §5): a name, a value, and the directive that made it."""

    name: str
    value: str
    made_by: Location | None = None
    layer: str = ""

    @property
    def decided(self) -> bool:
        """Whether every byte of the value is known."""
        return UNKNOWN_VALUE not in self.value


@dataclass(frozen=True, slots=True)
class Headers:
    """Header field lines in the order they were sent; names compare case-insensitively, repeats are kept."""

    fields: tuple[Field, ...] = ()
    _names: tuple[str, ...] | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Build from (name, value) pairs."""
        return cls(tuple([Field(name, value) for name, value in pairs]))

    def __iter__(self) -> Iterator[Field]:
        """Yield the field lines in order."""
        return iter(self.fields)

    def __len__(self) -> int:
        """Count the field lines."""
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        """Whether at least one line has this name."""
        return isinstance(name, str) and name.lower() in _places(self._names or self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The lines' names in order, as written: what there is to know of where lines stand depends on them alone."""
        names = self._names
        if names is None:
            names = tuple([line.name for line in self.fields])
            object.__setattr__(self, "_names", names)  # made once, and no part of the value
        return names

    def lines(self, name: str) -> tuple[Field, ...]:
        """Return the field lines with this name, in order."""
        places = _places(self._names or self.names).get(name.lower())
        if places is None:
            return ()
        return (self.fields[places[0]],) if len(places) == 1 else tuple([self.fields[place] for place in places])

    def all(self, name: str) -> tuple[str, ...]:
        """Return the values of the lines with this name, in order."""
        return tuple([f.value for f in self.lines(name)])

    def get(self, name: str) -> str | None:
        """Return the value of the first line with this name, or None."""
        lines = self.lines(name)
        return lines[0].value if lines else None

    def combined(self, name: str) -> str | None:
        """Return the lines' values joined by ", " as RFC 9110 §5.3 and Fetch's "get" do, or None."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def plus(self, *more: Field) -> Headers:
        """Return these lines followed by more."""
        return Headers((*self.fields, *more))

    def without(self, *names: str) -> Headers:
        """Return the lines whose name is none of these."""
        drop = {name.lower() for name in names}
        kept = tuple([line for line in self.fields if line.name.lower() not in drop])
        return self if len(kept) == len(self.fields) else Headers(kept)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return (name, value) pairs in order."""
        return tuple([(f.name, f.value) for f in self.fields])


@lru_cache(maxsize=4096)
def _places(names: tuple[str, ...]) -> Mapping[str, tuple[int, ...]]:
    """Return where the lines of each lower-case name stand; the answers of one stack have few different sets of names."""
    index: dict[str, tuple[int, ...]] = {}
    for place, name in enumerate(names):
        key = name.lower()
        index[key] = (*index.get(key, ()), place)
    return index


@dataclass(frozen=True)
class Request:
    """One HTTP request as a layer sees it.

    `target` is the request target as sent (RFC 9112 §3.2), `listen` the local address:port of the connection
    ("" where any will do: the only or first listener), `client` the peer's address, `sni` the TLS server name.
    """

    method: str = "GET"
    target: str = "/"
    headers: Headers = field(default_factory=Headers)
    scheme: str = "http"
    version: str = "1.1"
    listen: str = ""
    client: str = "127.0.0.1"
    sni: str | None = None
    body_length: int = 0

    @property
    def host(self) -> str:
        """The Host header's value, or ""."""
        return self.headers.get("Host") or ""

    @property
    def path(self) -> str:
        """The target up to the first "?"."""
        return self.target.split("?", 1)[0]

    @property
    def url(self) -> str:
        """The absolute URL of an origin-form request."""
        return f"{self.scheme}://{self.host}{self.target}" if self.target.startswith("/") else self.target

    @property
    def wire(self) -> object:
        """Identify the request as it goes over the wire: two with the same value are asked only once."""
        return (self.method, self.version, self.scheme, self.target, self.headers.pairs())

    def with_(self, **headers: str | None) -> Request:
        """Return a copy with headers set (underscores stand for hyphens) or, with None, removed."""
        result = self.headers
        for key, value in headers.items():
            name = key.replace("_", "-")
            result = result.without(name)
            if value is not None:
                result = result.plus(Field(name, value))
        return amended(self, headers=result)


@dataclass(frozen=True)
class Response:
    """One HTTP response.

    `status` None: not decided. `body` None: not decided or not kept.
    `further_headers`: a backend that nobody modelled may have added headers beyond those listed,
    except those named in `absent` (lower case), which some layer removes.
    """

    status: int | None
    headers: Headers = field(default_factory=Headers)
    body: str | None = None
    further_headers: bool = False
    absent: frozenset[str] = frozenset()

    def may_have_more(self, name: str) -> bool:
        """Whether lines with this name may be there beyond those listed."""
        return self.further_headers and name.lower() not in self.absent


@dataclass(frozen=True, slots=True)
class Step:
    """One directive that took part in an answer, and what it did, in words."""

    directive: str
    location: Location | None = None
    note: str = ""
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the configuration does not decide: what it concerns, why, and the directive that made it so.

    `concerns` is "answer" (anything may differ), "status", "body", "headers", "limits", or "header:<lower-case name>".
    """

    reason: str
    location: Location | None = None
    concerns: str = "answer"


@dataclass(frozen=True, slots=True)
class Limit:
    """One rate limit that a request passed through on its way: `rate` in requests per second, `burst` in requests.

    `delay`: how many of the burst are let through at once (None: nodelay, all of it).
    `key`: the expression whose value names the bucket (`$binary_remote_addr`), `value`: its value for this request
    (readable: an address, not its bytes). `dry_run`: counts but never refuses.
    """

    zone: str
    rate: float
    burst: int
    status: int
    key: str
    value: str = ""
    delay: int | None = None
    dry_run: bool = False
    kind: Literal["requests", "connections"] = "requests"
    layer: str = ""
    location: Location | None = None


ActionKind = Literal[
    "return", "proxy", "static", "redirect", "error", "deny", "close", "unknown", "observed", "application"
]


@dataclass(frozen=True, slots=True)
class Action:
    """What finally made the answer.

    `upstream` is the URL asked, where one was; `file` the absolute path of the file served, where one is.
    """

    kind: ActionKind
    upstream: str | None = None
    file: str | None = None


CHOSEN = "192.0.2.99"
"""The host that a request names where a client may choose the upstream (TEST-NET-1, RFC 5737): no name has to be resolved."""


INJECTED = "%0d%0aX-Injected:%20yes"
"""What a path ends with where a client may write a header line: a line break, encoded, and the line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A directive in force that no request shows by itself (a timeout, buffering, compression), and where it is."""

    args: tuple[str, ...]
    location: Location | None = None


@dataclass(frozen=True)
class Outcome:
    """One of the answers that a configuration allows for a request, or the one that was observed.

    `when` says in which case: "always", "upstream-success", "upstream-error", "upstream-down", "limited",
    "file-found", "file-missing", "observed"; several are joined with "+".
    `lost` are headers that outer blocks would have added if the selected one had none of its own.
    `settings` are the directives in force in the selected block, by name.
    `response` None: the connection is closed without an answer.
    `server` and `location` name what was selected, as written, and `selected` is the place of that block;
    `layer` is the one that answered or edited last; `passed` names the layers on the way, outermost first, each as
    "id@address".
    """

    when: str
    response: Response | None
    action: Action
    layer: str = ""
    server: str | None = None
    location: str | None = None
    selected: Location | None = None
    upstream_request: Request | None = None
    limits: tuple[Limit, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    lost: tuple[Field, ...] = ()
    why: tuple[Step, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    passed: tuple[str, ...] = ()


Ask = Callable[[Request], Sequence[Outcome]]
"""How a layer asks the next one; the request's `listen` is the upstream's address ("qwen-api:8000")."""


class Layer(Protocol):
    """A layer answers a request by itself, or asks the next one and edits what comes back."""

    @property
    def name(self) -> str:
        """The kind of layer: "nginx", "traefik", "backend"."""
        ...

    def answer(self, request: Request, ask: Ask | None = None) -> tuple[Outcome, ...]:
        """Return every outcome the layer's configuration allows; without `ask` the next layer is any backend."""
        ...


@dataclass(frozen=True)
class Exchange:
    """One request and its response, predicted or observed.

    `asked` names the layers that were asked on the way, outermost first, each as "id@address".
    `error` says why an observed exchange has no response (connection refused, reset, timed out).
    """

    kind: Literal["predicted", "observed"]
    request: Request
    outcome: Outcome
    error: str = ""
    asked: tuple[str, ...] = ()

    @property
    def response(self) -> Response | None:
        """The response, None where the connection was closed without one."""
        return self.outcome.response
