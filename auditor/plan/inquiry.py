"""One URL asked from outside: few requests, each for several questions at once, the next ones chosen by the answers.

A request names one origin and varies one other thing (the method, an unknown child, a suffix, another host, HTTP/2, a
preflight). Where the answer is of the same make as the one that it varies, it decides both questions; where it is not,
the origin is asked again by a plain GET. An origin that nothing names is asked only after another foreign one was let in.

A question that an answer calls for costs no request more: it takes the place of a lookalike in the last dot, which no
public name has, or is asked at one of several places. So does what is asked at one URL for many (`auditor.plan.refusals`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import field, replace

from auditor.browser.cors import cors_check
from auditor.dataclass import dataclass
from auditor.exchange import Field, Response
from auditor.language import Language
from auditor.plan.facts import NO_ORIGIN, OriginCell, Probe
from auditor.plan.near import OPAQUE, STRANGER, Near
from auditor.plan.places import Place, over_http2
from auditor.plan.probes import FORBIDDEN_METHODS
from auditor.plan.refusals import CHILD, child, refusal
from auditor.policy.model import Cors, Route

Answers = list[Response | None]
Rounds = Generator[list[Probe], Answers, None]

SUFFIX = ".json"

INCIDENTAL = frozenset(
    {"age", "connection", "content-length", "content-type", "date", "etag", "expires", "keep-alive", "last-modified"}
    | {"set-cookie", "transfer-encoding", "vary", "x-request-id"}
)
"""Headers that differ between two answers of the same make."""


def passes(probe: Probe, response: Response | None) -> bool:
    """Whether a browser lets a page at the probe's origin have what it asked for."""
    if response is None or probe.origin.value is None:
        return False
    if probe.purpose == "websocket":
        return response.status == 101
    if cors_check(probe.origin.value, credentials=False, response=response) is not None:
        return False
    return probe.purpose != "preflight" or (response.status is not None and 200 <= response.status < 300)


def alike(one: Response | None, other: Response | None) -> bool:
    """Whether two answers are of the same make: the status, and the headers that are not about CORS or the moment."""
    if one is None or other is None:
        return False

    def make(response: Response) -> object:
        names = {line.name.lower() for line in response.headers}
        kept = {name for name in names if not name.startswith("access-control-")} - INCIDENTAL
        return response.status, kept

    return make(one) == make(other)


@dataclass(frozen=True, slots=True)
class _Varied:
    """A foreign origin's request with one more thing about it; `tells`: whether its answer stands for the plain one's."""

    probe: Probe
    tells: Callable[[Response], bool]


@dataclass(slots=True)
class Inquiry:
    """What is asked about one URL: its place, the route's promises, the origins around them.

    `allowed` are the origins that the policy lets in; `second` is another Host that leads to the same server ("": none);
    `unsafe`: methods that may change something may be sent; `within` are the paths of the route; `errors`: why a server
    is to refuse requests here by itself, `instead`: these take the place of lookalikes in the last dot.
    """

    place: Place
    route: Route
    near: Near
    allowed: Sequence[OriginCell]
    second: str
    http2: bool
    unsafe: bool
    within: Language
    errors: Sequence[str] = ()
    instead: bool = False
    base: Response | None = None
    open: bool = False
    settled: set[str | None] = field(default_factory=set)
    asked: list[tuple[Probe, Response | None]] = field(default_factory=list)
    planned: int = 0

    def rounds(self) -> Rounds:
        """Yield rounds of probes and take their answers; the caller may stop at any time."""
        if self.route.cors is None:
            yield from self._ask([self._plain(), *self._headers()])
            return
        cors = self.route.cors
        below = self._child(CHILD)
        error = below.probe("cors", "GET", self.allowed[0]) if below and self.allowed else None
        granted = self._preflight(cors)
        first = [self._plain(), *(self.place.probe("cors", "GET", cell) for cell in self.allowed), *self._headers()]
        yield from self._ask([*first, *(p for p in (error, granted) if p is not None)])
        self.base = self._answer(first[0])
        self.planned = len(self.asked) + len(self.near.scout) + len(self._foreign())
        self.planned -= len(self.errors) if self.instead else 0
        errors = error is not None and passes(error, self._answer(error))
        preflights = granted is not None and passes(granted, self._answer(granted))
        yield from self._layers(cors, below if errors or not self.allowed else None, preflights)
        yield from self._rest()

    # -- the rounds --------------------------------------------------------------------------------------------------

    def _varied(self, cors: Cors, below: Place | None, *, preflights: bool) -> Iterator[_Varied]:
        """Pair foreign origins with the things that may be varied at no further cost."""
        pool = iter(self.near.main)
        stranger = next(iter(self.near.stranger), None)
        if below is not None and (cell := next(pool, stranger)):
            yield _Varied(below.probe("cors", "GET", cell), lambda _: bool(self.allowed))
        if self.http2 and self.place.entry.scheme == "https" and (cell := next(pool, None)):
            yield _Varied(over_http2(self.place.probe("cors", "GET", cell)), self._same)
        if (preflights or not self.allowed) and (cell := next(pool, stranger)):
            yield _Varied(self.place.preflight(_unsafe_method(cors), (), cell), lambda _: preflights)
        if cell := next(pool, None):
            yield _Varied(self.place.probe("cors", "HEAD", cell), self._same)
        suffixed = self._child(SUFFIX)
        if suffixed is not None and (cell := next(pool, None) or next(iter(self.near.last_dot), stranger)):
            yield _Varied(suffixed.probe("cors", "GET", cell), self._same)
        hosted = self.near.common[-1:]
        if self.second and hosted:
            elsewhere = replace(self.place, host=self.second, authority=self.second)
            yield _Varied(elsewhere.probe("cors", "GET", hosted[0]), self._same)
        if OPAQUE in self.near.common and self.unsafe and "POST" in self._methods():
            yield _Varied(self.place.probe("cors", "POST", OPAQUE), self._succeeds)

    def _layers(self, cors: Cors, below: Place | None, preflights: bool) -> Rounds:
        """Ask foreign origins, each with one thing varied; then again plainly where the variation tells nothing."""
        varied = list(self._varied(cors, below, preflights=preflights))
        scouts = [self.place.probe("cors", "GET", cell) for cell in self.near.scout or self.near.stranger]
        yield from self._ask([*scouts, *(item.probe for item in varied), *self._suspicion(cors)])
        settled = {item.probe.origin.value for item in varied if self._settles(item)}
        self.settled |= settled
        yield from self._stranger()

    def _rest(self) -> Rounds:
        """Ask the other foreign origins plainly, unless everybody is let in anyway."""
        if self.open:
            return
        remaining = self._remaining()
        most = max(self.planned - len(self.asked), self._needed(remaining))
        yield from self._ask(remaining[:most])
        yield from self._stranger()

    def _foreign(self) -> list[OriginCell]:
        """Return the foreign origins that are asked in any case, those that tell the least last."""
        return [*self.near.main, *self.near.common, *self.near.last_dot]

    def _remaining(self) -> list[Probe]:
        """Return the plain requests of foreign origins that no answer made superfluous yet."""
        probes = [self.place.probe("cors", "GET", cell) for cell in self._foreign() if cell.value not in self.settled]
        known = {_question(p) for p, _ in self.asked}
        return [probe for probe in probes if _question(probe) not in known]

    def _needed(self, probes: Sequence[Probe]) -> int:
        """Return how many of these are asked whatever else has to be asked."""
        return sum(probe.origin not in self.near.last_dot for probe in probes)

    def _stranger(self) -> Rounds:
        """Where every foreign origin was let in, ask whether everybody is; else so only where something was varied.

        NOTE: one such place is asked in any case, the others where there is room: what they let in is a finding anyway.
        """
        foreign = [(p, got) for p, got in self.asked if _foreign(p)]
        plain = [p for p, _ in foreign if self._is_plain(p)]
        if plain and all(passes(p, got) for p, got in foreign):
            yield from self._ask(self._as_stranger(plain[:1]))
        else:
            places = [p for p, got in foreign if passes(p, got) and _elsewhere(p, self.place)]
            one = not any(p.origin.residual and _elsewhere(p, self.place) for p, _ in self.asked)
            room = self.planned - len(self.asked) - self._needed(self._remaining())
            yield from self._ask(self._as_stranger(places)[: max(room, one)])
        self.open = any(p.origin.residual and self._is_plain(p) and passes(p, got) for p, got in self.asked)

    def _as_stranger(self, probes: Sequence[Probe]) -> list[Probe]:
        """Return the probes as an origin that nothing names would send them, without those asked already."""
        known = {_question(p) for p, _ in self.asked}
        made = [
            replace(probe, request=probe.request.with_(Origin=cell.value), origin=cell)
            for cell in self.near.stranger
            for probe in probes
        ]
        return list({_question(probe): probe for probe in made if _question(probe) not in known}.values())

    def _ask(self, probes: list[Probe]) -> Rounds:
        if probes:
            answers = yield probes
            self.asked += zip(probes, answers, strict=True)

    # -- the probes --------------------------------------------------------------------------------------------------

    def _plain(self) -> Probe:
        """Ask without an Origin; a client that can decompress says so where compression is promised."""
        probe = self.place.probe("plain", "GET")
        if self.route.caching is not None and self.route.caching.compression is not None:
            return replace(probe, request=probe.request.with_(Accept_Encoding="gzip"), why="Accept-Encoding")
        return probe

    def _headers(self) -> Iterator[Probe]:
        """Yield the requests that show promised headers where they are often lost: HEAD, HTTP/2, and errors."""
        below = self._child(CHILD)
        if not self.route.headers:
            return
        if self.route.cors is None:
            probe = self.place.probe("plain", "HEAD")
            yield over_http2(probe) if self.http2 and self.place.entry.scheme == "https" else probe
        if below is not None and (self.route.cors is None or not self.allowed):
            yield below.probe("plain", "GET")
        if below is not None:
            yield from (refusal(below, why) for why in self.errors)

    def _preflight(self, cors: Cors) -> Probe | None:
        if not self.allowed:
            return None
        names = tuple(sorted(name.lower() for name in cors.allow_headers or () if name != "*"))
        probe = self.place.preflight(_unsafe_method(cors), names, self.allowed[0])
        private = Field("Access-Control-Request-Private-Network", "true")
        return replace(probe, request=replace(probe.request, headers=probe.request.headers.plus(private)))

    def _suspicion(self, cors: Cors) -> Iterator[Probe]:
        """Ask for more than is allowed, where the granted preflight's answer may be an echo of what was asked."""
        for probe, response in self.asked:
            if probe.purpose != "preflight" or response is None or not passes(probe, response):
                continue
            said = response.headers.combined("Access-Control-Allow-Methods") or ""
            names = response.headers.combined("Access-Control-Allow-Headers") or ""
            asked = probe.request.headers.get("Access-Control-Request-Headers") or ""
            methods = cors.allow_methods is not None and said.strip() == probe.method
            headers = cors.allow_headers is not None and names.strip() == asked
            if methods:
                yield self.place.preflight("BREW", (), probe.origin, granted=False)
            if headers:
                yield self.place.preflight(probe.method, ("x-not-in-the-policy",), probe.origin, granted=False)

    def _child(self, tail: str) -> Place | None:
        """Return the place whose path has this tail, None where it would not be of the route."""
        return child(self.place, tail, self.within)

    def _methods(self) -> list[str]:
        named = list(dict.fromkeys(m for item in self.route.match for m in (item.methods or ())))
        return [m for m in named if m not in FORBIDDEN_METHODS] if named else ["GET", "POST", "BREW"]

    # -- the answers -------------------------------------------------------------------------------------------------

    def _answer(self, probe: Probe) -> Response | None:
        return next((got for asked, got in self.asked if asked is probe), None)

    def _succeeds(self, response: Response | None) -> bool:
        return response is not None and self.base is not None and response.status == self.base.status

    def _is_plain(self, probe: Probe) -> bool:
        request = self.place.probe("cors", "GET", probe.origin).request
        return probe.purpose == "cors" and probe.request == request

    def _same(self, response: Response | None) -> bool:
        return alike(response, self.base)

    def _settles(self, item: _Varied) -> bool:
        """Whether a varied request also says what the plain one would: it lets the origin in, or is of the same make."""
        got = self._answer(item.probe)
        return got is not None and (passes(item.probe, got) or item.tells(got))


@dataclass(slots=True)
class Handshakes:
    """What is asked about one WebSocket: who may open it."""

    place: Place
    near: Near
    allowed: Sequence[OriginCell]

    def rounds(self) -> Rounds:
        """Yield rounds of handshakes; where everybody is let in, there is nothing more to ask."""
        first = [*self.allowed, NO_ORIGIN, STRANGER, OPAQUE]
        probes = [self.place.upgrade(cell) for cell in first]
        answers = yield probes
        if any(p.origin.residual and passes(p, got) for p, got in zip(probes, answers, strict=True)):
            return
        more = (*self.near.scout, *self.near.main, *self.near.last_dot, *self.near.common)
        yield [self.place.upgrade(cell) for cell in more if cell not in first]


def _foreign(probe: Probe) -> bool:
    return probe.origin.value not in {None, "null"} and not probe.origin.allowed and not probe.origin.residual


def _elsewhere(probe: Probe, place: Place) -> bool:
    """Whether a probe went to another path, host or protocol than the place."""
    return (probe.path, probe.host, probe.request.version) != (place.path, place.host, "1.1")


def _question(probe: Probe) -> object:
    request = probe.request
    return (request.method, request.version, request.target, request.headers.pairs())


def _unsafe_method(cors: Cors) -> str:
    """Return a method of the policy that needs a preflight, or its first."""
    allowed = [m for m in cors.allow_methods or () if m not in {"OPTIONS", "*"}] or ["GET"]
    return next((m for m in allowed if m not in {"GET", "HEAD", "POST"}), allowed[0])
