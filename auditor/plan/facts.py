"""What checks decide on: probes with their exchanges, and what the files say about doors, networks and builds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Exchange, Request, Response, Unknown
from auditor.graph import Graph
from auditor.policy.loaded import LoadedPolicy
from auditor.policy.model import HttpTarget
from auditor.stack import Entry

Kept = TypeVar("Kept")

Purpose = Literal["plain", "cors", "preflight", "websocket", "anywhere", "denied", "variant"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of the configuration that origins are compared with, and where it stands."""

    text: str
    location: Location | None
    is_regex: bool = False
    caseless: bool = False


@dataclass(frozen=True, slots=True)
class OriginCell:
    """The origins that neither the stack nor the policy tells apart, and the one that stands for them.

    `value` None: no Origin header. `kind` says what sort of origin it is, in words that stay the same between runs.
    `residual`: it satisfies no matcher of the configuration, so whatever answers it answers everybody.
    `matched`: the patterns of the configuration that these origins satisfy.
    `spare`: another member of the cell, where `value` may be the origin of the stack itself, whose pages need no CORS.
    """

    value: str | None
    allowed: bool
    kind: str
    residual: bool = False
    matched: tuple[Pattern, ...] = ()
    spare: str | None = None

    def asking(self, own: str) -> OriginCell | None:
        """Return the cell as pages at other origins than `own` see it; None where there are no others."""
        if self.value != own:
            return self
        return None if self.spare is None else replace(self, value=self.spare, spare=None)


NORMAL = frozenset({"always", "upstream-success", "application-success", "file-found", "directory-found", "observed"})
"""The outcomes of a request that nothing went wrong with."""

REPRODUCIBLE = frozenset({"always", "upstream-success", "application-success"})
"""Outcomes that a request produces by itself: no backend has to be down, no file to be there."""

NO_HOST = "unknown.invalid"
"""A host name that nobody has (RFC 6761)."""

NO_ORIGIN = OriginCell(None, allowed=False, kind="none")


@dataclass(frozen=True, slots=True)
class Probe:
    """One request worth sending, and why.

    `method` is the method asked for: of a preflight the Access-Control-Request-Method.
    `asked_headers` are the Access-Control-Request-Headers of a preflight, lower case;
    `variant` is "forged" (a header added that a client controls), "client" (another peer) or "" (`why` names it);
    `granted` says whether the policy allows what a preflight asks for.
    """

    route: str
    purpose: Purpose
    request: Request
    entry: Entry
    method: str
    path: str
    host: str
    origin: OriginCell = NO_ORIGIN
    asked_headers: tuple[str, ...] = ()
    granted: bool = True
    variant: str = ""
    why: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """Identify the request that goes over the wire."""
        request = self.request
        return (self.entry.name, request.method, request.version, self.host, request.target, request.headers.pairs())


@dataclass(frozen=True, slots=True)
class Case:
    """A probe with one of its exchanges: what a check looks at."""

    probe: Probe
    exchange: Exchange
    response: Response | None = field(init=False, compare=False, repr=False)
    """The response, None where the connection was closed without one."""

    def __post_init__(self) -> None:
        """Keep the response at hand: every check looks at it."""
        object.__setattr__(self, "response", self.exchange.outcome.response)

    @property
    def place(self) -> Location | None:
        """The block of the configuration that answered, or the router that sent the request on."""
        outcome = self.exchange.outcome
        if outcome.selected is not None:
            return outcome.selected
        return next((step.location for step in outcome.why if step.directive == "router" and step.location), None)


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """An address from outside that leads into a layer or a backend, and the line that opens it.

    `loopback`: only the host itself can dial it. `dormant`: Docker opens it only once a network is not internal.
    """

    address: str
    leads_to: str
    host_ip: str
    location: Location | None
    target: str
    loopback: bool = False
    dormant: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """A Compose network, whether it is internal (no way out, no way in), and its services with where each is put on it."""

    name: str
    internal: bool
    location: Location | None
    members: Mapping[str, Location] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientVariable:
    """A variable of a browser-side build that holds an address: `host` in lower case, `port` the scheme's where none is written."""

    name: str
    value: str
    location: Location
    host: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """One attempt from where the audit runs to open an address that must not answer; None: it could not be tried."""

    address: str
    reachable: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A rate limit measured from outside on one route, in `sent` requests like `request`.

    `held`: whether it is at least as strict as the policy's (None: not decided, `detail` says why). `status` is that of
    the refusals. `rate` (requests per second, from, to), `burst` (from, to) and `delay` (requests that pass before any
    is held, None: none is held) where it was estimated. `escapes` are request headers by which a client gets a bucket
    of its own (None: not tried).
    """

    route: str
    sent: int
    held: bool | None
    status: int | None
    detail: str = ""
    request: Request | None = None
    rate: tuple[float, float] | None = None
    burst: tuple[int, int] | None = None
    delay: int | None = None
    escapes: tuple[str, ...] | None = None

    def after(self, sent: int) -> Measured:
        """Return the same with the number of requests it took."""
        return replace(self, sent=sent)


@dataclass(frozen=True, slots=True)
class TlsEntry:
    """A TLS entry and the lowest version it accepts ("1.2"); None: not decided."""

    name: str
    lowest: str | None
    detail: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known about one audit from one kind of witness: the configuration, or the running stack.

    `failed` are the probes that the running stack did not answer, each with the reason.
    `said` is what the configuration says, where the running stack was looked at beside it.
    """

    kind: Literal["predicted", "observed"]
    policy: LoadedPolicy
    cases: Mapping[tuple[str, Purpose], tuple[Case, ...]] = field(default_factory=dict)
    backends: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    doors: tuple[OpenDoor, ...] | None = None
    networks: tuple[Network, ...] | None = None
    client_variables: tuple[ClientVariable, ...] | None = None
    reaches: tuple[Reach, ...] | None = None
    measured: tuple[Measured, ...] = ()
    problems: tuple[tuple[str, Problem], ...] = ()
    missing: tuple[tuple[str, Unknown], ...] = ()
    undecided: tuple[tuple[str, Unknown], ...] = ()
    dashboards: tuple[OpenDoor, ...] | None = None
    tls: tuple[TlsEntry, ...] | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[tuple[Probe, str], ...] = ()
    graph: Graph | None = None
    said: Facts | None = None
    _worked_out: dict[object, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def once(self, key: object, work_out: Callable[[], Kept]) -> Kept:
        """Return what is worked out of these facts under this key; where several checks need it, the first does it."""
        if key not in self._worked_out:
            self._worked_out[key] = work_out()
        kept: Kept = self._worked_out[key]
        return kept

    def distinct(self, route: str | None) -> tuple[Case, ...]:
        """Return the plain and CORS cases of a route, one of those that differ only in who asked.

        Two cases are alike where the same block gave the same status and, but for CORS, the same headers over the
        same scheme; the one with the smallest request stands for them, to a host of a running target if there is one.
        """
        if self.kind == "observed":
            return tuple(self.of(route, "plain", "cors"))

        def distinct() -> tuple[Case, ...]:
            found: dict[object, Case] = {}
            http = [target for target in self.policy.policy.targets if isinstance(target, HttpTarget)]
            own = {urlsplit(url).hostname for target in http for url in target.entrypoints.values()}
            cases = self.of(route, "plain", "cors")
            for case in sorted(cases, key=lambda case: (case.probe.host not in own, *_size(case))):
                found.setdefault(_answer(case), case)
            return tuple(found.values())

        return self.once(("distinct", route or ""), distinct)

    def read(self, path: str) -> str | None:
        """Return the text of a file at a path inside the container, None where no mount leads to it."""
        for inside, local in sorted(self.mounts.items(), key=lambda item: -len(item[0])):
            if path == inside or path.startswith(inside.rstrip("/") + "/"):
                file = Path(local + path[len(inside.rstrip("/")) :]) if path != inside else Path(local)
                return file.read_text("latin-1") if file.is_file() else None
        return None

    def of(self, route: str | None, *purposes: Purpose) -> Iterator[Case]:
        """Yield the cases of a route for these purposes, in the plan's order."""
        for purpose in purposes:
            yield from self.cases.get((route or "", purpose), ())


def _size(case: Case) -> tuple[int, int]:
    request = case.probe.request
    return (len(request.target), sum([len(line.name) + len(line.value) for line in request.headers.fields]))


@lru_cache(maxsize=4096)
def _telling(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return those of a response's headers that say more than who asked and when, and where they stand."""
    told = [
        (name, place)
        for place, name in enumerate(names)
        if not name.lower().startswith("access-control-") and name.lower() not in {"date", "content-length"}
    ]
    return tuple([name for name, _ in told]), tuple([place for _, place in told])


def _answer(case: Case) -> object:
    outcome, response = case.exchange.outcome, case.response
    headers: tuple[object, object] = ((), ())
    status, open_ = None, False
    if response is not None:
        names, places = _telling(response.headers.names)
        fields = response.headers.fields
        headers = (names, tuple([fields[place].value for place in places]))
        status, open_ = response.status, response.further_headers
    return (case.probe.entry.scheme, outcome.when, outcome.selected, status, open_, headers, outcome.unknown)


def cases_by_route(
    answered: Sequence[tuple[Probe, tuple[Exchange, ...]]],
) -> dict[tuple[str, Purpose], tuple[Case, ...]]:
    """Index exchanges by route and purpose."""
    index: dict[tuple[str, Purpose], list[Case]] = {}
    for probe, exchanges in answered:
        index.setdefault((probe.route, probe.purpose), []).extend(Case(probe, exchange) for exchange in exchanges)
    return {key: tuple(cases) for key, cases in index.items()}
