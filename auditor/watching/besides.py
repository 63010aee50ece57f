"""What is asked beside the plan of a configuration: headers where layers that it does not know often lose them.

A configuration that looks at neither the method nor the protocol has one cell for GET, HEAD and HTTP/2, and none for what
a server refuses by itself. What answers those on the running stack may be another layer, so each is asked once at every
entrypoint, at a URL with promised headers, and judged by the checks that judge every other answer. What is asked anyway
is not asked again, and each goes where few requests go, best in the place of a plain one that it tells the same as.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import field, replace
from functools import partial

from auditor.browser.cors import REDIRECTS
from auditor.dataclass import dataclass
from auditor.exchange import Exchange
from auditor.live.client import Address, Client
from auditor.live.wire import NO_HTTP2, announces
from auditor.plan.cells import route_language
from auditor.plan.facts import NORMAL, Case, Facts, Probe, cases_by_route
from auditor.plan.places import HTTP2, Place, over_http2
from auditor.plan.probes import Ask, Planner
from auditor.plan.refusals import CHILD, ESCAPE, HEADER, TARGET, child, oversize, refusal, unknown_method
from auditor.watching.choice import ENOUGH, concrete, sendable, url_of

Way = Callable[[Place], Probe]
"""How a URL is asked."""

Besides = list[tuple[Probe, Probe | None]]
"""Requests beside the plan, each with the plain request in whose place it is sent, if there is one."""


def besides(client: Client, predicted: Facts, ask: Ask, first: Sequence[Probe], more: Sequence[Probe]) -> Besides:
    """Return the requests for each entrypoint beside those sent `first` and `more`; they may take the place of the latter."""
    doors: dict[Address | None, list[Case]] = {}
    for case in sorted(_plain(client, predicted), key=lambda case: _rank(client, predicted, case)):
        doors.setdefault(_door(client, case.probe), []).append(case)
    asking = _Asking(
        client, predicted, ask, [*first, *more], {p.request.wire for p in more if _replaceable(p, predicted)}
    )
    sent = {probe.request.wire for probe in asking.sent}
    found = [pair for door, cases in doors.items() if door is not None for pair in asking.at(door, cases)]
    return [(probe, instead) for probe, instead in found if probe.request.wire not in sent]


def foretold(predicted: Facts, probes: Collection[Probe], ask: Ask) -> Facts:
    """Return what the configuration says, with what it says of these requests: a difference is one there too."""
    answered = [(probe, tuple(ask(probe))) for probe in probes]
    kept = [(p, e) for p, e in answered if p.request.version == "1.1" or _status(e) != {HTTP2_UNKNOWN}]
    more = cases_by_route(kept)
    together = {key: (*predicted.cases.get(key, ()), *more.get(key, ())) for key in (*predicted.cases, *more)}
    return replace(predicted, cases=together)


HTTP2_UNKNOWN = 505
"""What a listener without HTTP/2 is predicted to answer it: no client ever sees that, since none is offered it."""


def tells(probe: Probe, exchange: Exchange | None) -> bool:
    """Whether a request met what it looks for: not where HTTP/2 is not spoken, or a body not refused by its length."""
    if exchange is None or exchange.response is not None:
        return True
    unspoken = probe.why == WITH_HTTP2 and NO_HTTP2 in exchange.error
    return not unspoken and not (announces(probe.request) and exchange.error.startswith("no answer within"))


WITH_HTTP2 = "HTTP/2, where it is spoken"


def without_http2(beside: Iterable[tuple[Probe, Probe | None]]) -> Iterator[Probe]:
    """Yield the plain requests that are sent after all where HTTP/2 is not spoken."""
    yield from (plain for probe, plain in beside if plain is not None and probe.why == WITH_HTTP2)


def _plain(client: Client, predicted: Facts) -> Iterator[Case]:
    """Yield the plain requests of routes with promised headers that are answered, rather than sent on to HTTPS."""
    for route in predicted.policy.policy.routes:
        for case in predicted.of(route.id, "plain") if route.headers else ():
            probe, response = case.probe, case.response
            moved = probe.entry.scheme == "http" and response is not None and response.status in REDIRECTS
            whole = (
                probe.method == "GET"
                and not probe.why
                and all(part in NORMAL for part in case.exchange.outcome.when.split("+"))
            )
            if whole and response is not None and not moved and sendable(probe, client.target, client):
                yield case


def _rank(client: Client, predicted: Facts, case: Case) -> tuple[bool, bool, bool]:
    """Order URLs: of the target's own host, named by the policy, answered without an error; then as they were planned."""
    bad = case.response is None or (case.response.status or 200) >= 400
    return (case.probe.host not in client.scope.hosts(), not concrete(case.probe, predicted), bad)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is sent anyway, and which plain requests of it another one may stand for (as on the wire)."""

    client: Client
    predicted: Facts
    ask: Ask
    sent: Sequence[Probe]
    replaceable: set[object]
    spent: Counter[object] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Count the requests to each URL."""
        self.spent.update(url_of(probe) for probe in self.sent)

    def at(self, door: Address, cases: list[Case]) -> Iterator[tuple[Probe, Probe | None]]:
        """Yield the requests at one entrypoint, whose URLs are those of the cases, the most telling first."""
        urls = list(dict.fromkeys(_place(case.probe) for case in cases))
        sent = [probe for probe in self.sent if probe.host == urls[0].host and self._plain(door, probe)]
        if all(probe.method != "HEAD" for probe in sent):
            yield self._instead(_head, urls)
        if door.scheme == "https" and all(probe.request.version != HTTP2 for probe in sent):
            yield self._instead(_http2, urls)
        below = list(_children(urls, self.predicted))
        for way in self._ways(below[0], sent) if below else ():
            yield self._roomiest(way, below), None

    def _ways(self, below: Place, sent: Sequence[Probe]) -> Iterator[Way]:
        """Yield how to ask below a URL for what nobody has, where nothing such is asked for yet, and for each refusal."""
        if all(probe.method != "GET" or _status(self.ask(probe)) != {404} for probe in sent):
            yield _get
        yield from (partial(refusal, why=why) for why in (ESCAPE, TARGET, HEADER))
        unsafe = self.client.target.allow_unsafe_methods
        if unsafe or 405 in _status(self.ask(unknown_method(below, "OPTIONS"))):
            yield partial(unknown_method, method="BREW" if unsafe else "OPTIONS")
        if unsafe and 413 in _status(self.ask(oversize(below))):
            yield oversize

    def _plain(self, door: Address, probe: Probe) -> bool:
        """Whether a request is a plain one at an entrypoint, of a route with promised headers."""
        route = self.predicted.policy.policy.route(probe.route)
        promised = probe.purpose == "plain" and route is not None and bool(route.headers)
        return promised and _door(self.client, probe) == door

    def _instead(self, way: Way, urls: Sequence[Place]) -> tuple[Probe, Probe | None]:
        """Ask one of the URLs so: in the place of a plain request that it tells the same as, or where there is room."""
        for url in urls:
            probe, plain = way(url), _get(url)
            wire = plain.request.wire
            if wire in self.replaceable and self.spent[url_of(probe)] <= ENOUGH and self._same(probe, plain):
                self.replaceable.discard(wire)
                return probe, plain
        return self._roomiest(way, urls), None

    def _roomiest(self, way: Way, places: Sequence[Place]) -> Probe:
        """Ask the first of these places whose URL has room so, the one with the fewest requests where none has."""
        room = (probe for probe in map(way, places) if self.spent[url_of(probe)] < ENOUGH)
        chosen = next(room, None) or min(map(way, places), key=lambda probe: self.spent[url_of(probe)])
        self.spent[url_of(chosen)] += 1
        return chosen

    def _same(self, one: Probe, other: Probe) -> bool:
        """Whether the configuration answers two requests alike, but for what is about the connection."""
        return self._said(one) == self._said(other)

    def _said(self, probe: Probe) -> list[object]:
        return [
            (
                outcome.when,
                response
                and (
                    response.status,
                    [line for line in response.headers.pairs() if line[0].lower() not in OF_THE_CONNECTION],
                ),
            )
            for outcome, response in ((exchange.outcome, exchange.response) for exchange in self.ask(probe))
        ]


OF_THE_CONNECTION = frozenset({"connection", "keep-alive"})
"""Headers that HTTP/2 has no use for (RFC 9113 §8.2.2)."""


def _replaceable(probe: Probe, predicted: Facts) -> bool:
    """Whether a plain GET is there for nothing but the headers: pages' requests are asked by GET there, too."""
    route = predicted.policy.policy.route(probe.route)
    if route is None or route.cors is None or route.caching is not None or any(p.expect_status for p in route.probes):
        return False
    return bool(route.headers) and probe.purpose == "plain" and probe.method == "GET" and not probe.why


def _get(place: Place) -> Probe:
    return place.probe("plain", "GET")


def _head(place: Place) -> Probe:
    return place.probe("plain", "HEAD")


def _http2(place: Place) -> Probe:
    return replace(over_http2(_get(place)), why=WITH_HTTP2)


def _door(client: Client, probe: Probe) -> Address | None:
    """Return the entrypoint that a request goes to, whatever the host; None where there is none."""
    address = client.scope.address(probe.entry.name, probe.entry.scheme, probe.host)
    return None if address is None else replace(address, host="", own=True)


def _children(urls: Sequence[Place], predicted: Facts) -> Iterator[Place]:
    """Yield paths that nobody has below the URLs, where they are of the same route."""
    policy = predicted.policy.policy
    planner = Planner(policy, (), ())
    for url in urls:
        route = policy.route(url.route)
        below = child(url, CHILD, route_language(route.match)) if route is not None else None
        if below is not None and planner.owner(below.host, below.path, "GET") == below.route:
            yield below


def _place(probe: Probe) -> Place:
    authority = probe.request.host if probe.request.host != probe.host else ""
    return Place(probe.route, probe.entry, probe.host, probe.path, authority)


def _status(exchanges: Collection[Exchange]) -> set[int | None]:
    return {exchange.response.status if exchange.response is not None else None for exchange in exchanges}
