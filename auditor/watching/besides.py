"""What is asked beside the plan of a configuration: headers where layers that it does not know often lose them.

A configuration that looks at neither the method nor the protocol has one cell for GET, HEAD and HTTP/2, and none for what
a server refuses by itself. What answers those on the running stack may be another layer, so each is asked once at every
entrypoint, at the first URL with promised headers, and judged by the checks that judge every other answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from auditor.browser.cors import REDIRECTS
from auditor.exchange import Exchange
from auditor.live.client import Address, Client
from auditor.live.wire import NO_HTTP2, announces
from auditor.plan.cells import route_language
from auditor.plan.facts import NORMAL, Case, Facts, Probe, cases_by_route
from auditor.plan.places import Place, over_http2
from auditor.plan.probes import Ask, Planner
from auditor.plan.refusals import CHILD, child, oversize, refusals, unknown_method
from auditor.watching.choice import concrete, sendable


def besides(client: Client, predicted: Facts, ask: Ask, known: Collection[object]) -> list[Probe]:
    """Return the requests for each entrypoint, without those that are sent anyway (`known`, as on the wire)."""
    doors: dict[Address, list[Case]] = {}
    for case in sorted(_plain(client, predicted), key=lambda case: _rank(client, predicted, case)):
        address = client.scope.address(case.probe.entry.name, case.probe.entry.scheme, case.probe.host)
        if address is not None:
            doors.setdefault(replace(address, host="", own=True), []).append(case)
    found = [probe for cases in doors.values() for probe in _at(client, cases, predicted, ask)]
    return [probe for probe in found if probe.request.wire not in known]


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


def _at(client: Client, cases: list[Case], predicted: Facts, ask: Ask) -> Iterator[Probe]:
    """Yield the requests at one entrypoint."""
    place = _place(cases[0].probe)
    yield place.probe("plain", "HEAD")
    if place.entry.scheme == "https":
        yield replace(over_http2(place.probe("plain", "GET")), why=WITH_HTTP2)
    below = next(_children(cases, predicted), None)
    if below is None:
        return
    yield below.probe("plain", "GET")
    yield from refusals(below)
    unsafe = client.target.allow_unsafe_methods
    if unsafe or 405 in _status(ask(unknown_method(below, "OPTIONS"))):
        yield unknown_method(below, "BREW" if unsafe else "OPTIONS")
    if unsafe and 413 in _status(ask(oversize(below))):
        yield oversize(below)


def _children(cases: list[Case], predicted: Facts) -> Iterator[Place]:
    """Yield paths that nobody has below the URLs, where they are of the same route."""
    policy = predicted.policy.policy
    planner = Planner(policy, (), ())
    for case in cases:
        route = policy.route(case.probe.route)
        below = child(_place(case.probe), CHILD, route_language(route.match)) if route is not None else None
        if below is not None and planner.owner(below.host, below.path, "GET") == below.route:
            yield below


def _place(probe: Probe) -> Place:
    authority = probe.request.host if probe.request.host != probe.host else ""
    return Place(probe.route, probe.entry, probe.host, probe.path, authority)


def _status(exchanges: Collection[Exchange]) -> set[int | None]:
    return {exchange.response.status if exchange.response is not None else None for exchange in exchanges}
