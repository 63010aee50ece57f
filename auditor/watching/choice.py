"""Which probes of a plan are worth a request, where the configuration already said what they would be answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heapreplace

from auditor.exchange import Request
from auditor.finding import Finding
from auditor.live.client import SAFE_METHODS, Client
from auditor.plan.facts import Facts, Probe, Purpose
from auditor.policy.model import HttpTarget

ORDER: tuple[Purpose, ...] = ("websocket", "cors", "preflight", "plain", "denied", "anywhere")


ENOUGH = 3
"""Requests to one URL after which no more are sent only to see that the configuration is the one that runs."""


def askable(target: HttpTarget, client: Client, predicted: Facts) -> dict[object, Probe]:
    """Return the probes of the plan that may be sent, by the request on the wire."""
    known: dict[object, Probe] = {}
    for (_, purpose), cases in predicted.cases.items():
        for case in cases if purpose in ORDER else ():
            key = case.probe.request.wire
            if key not in known and sendable(case.probe, target, client):
                known[key] = case.probe
    return known


def witnesses(known: Mapping[object, Probe], suspects: Sequence[Finding], own: Collection[str]) -> list[Probe]:
    """Choose the fewest requests that show every predicted violation once; one may show several."""
    return [known[key] for key in dict.fromkeys(_cover(suspects, known, own))]


def telling(
    known: Mapping[object, Probe], predicted: Facts, first: Sequence[Probe], own: Collection[str]
) -> list[Probe]:
    """Choose the fewest probes that would show that something else runs than was read, besides those sent `first`.

    At every route's concrete paths and its first entry over HTTPS: an allowed origin, a refused one, a preflight, and a
    plain request where more than CORS is promised.
    """
    seen = {mark for probe in first for mark in _marks(probe, predicted)}
    asked = Counter(url_of(probe) for probe in first)
    sent = {probe.request.wire for probe in first}
    chosen = []
    for key, probe in sorted(known.items(), key=lambda item: (item[1].host not in own, *_rank(item[1]))):
        fresh = [mark for mark in _marks(probe, predicted) if mark not in seen]
        enough = probe.purpose in {"cors", "preflight"} and asked[url_of(probe)] >= ENOUGH
        if fresh and not enough and concrete(probe, predicted):
            seen.update(fresh)
            if key not in sent:
                chosen.append(probe)
            asked[url_of(probe)] += 1
    return chosen


def _cover(suspects: Sequence[Finding], known: Mapping[object, Probe], own: Collection[str]) -> Iterator[object]:
    """Yield requests that together show every violation that any of them shows: greedily, the most telling first."""
    shown: dict[object, set[object]] = {}
    for finding in suspects:
        if finding.witness is not None and (key := finding.witness.request.wire) in known:
            shown.setdefault(key, set()).add((finding.check, finding.rule, finding.subject))
    left = set().union(*shown.values())
    order = sorted(shown, key=lambda key: (known[key].host not in own, _size(known[key].request)))
    waiting = [(-len(shown[key]), number) for number, key in enumerate(order)]
    heapify(waiting)
    while left:  # what a request shows of the rest only gets less: the first whose number is still right is the best
        number = waiting[0][1]
        fresh = shown[order[number]] & left
        if waiting[0][0] == -len(fresh):
            left -= fresh
            yield order[number]
        heapreplace(waiting, (-len(shown[order[number]] & left), number))


def _marks(probe: Probe, predicted: Facts) -> Iterator[object]:
    """Yield the questions that a probe answers about its route, in words that other probes share."""
    route = predicted.policy.policy.route(probe.route)
    path = probe.path if route is not None and route.probes else ""
    place = (probe.route, probe.purpose, path)
    if probe.purpose == "plain":
        more = route is None or route.cors is None or route.headers or route.caching
        if probe.method == "GET" and (more or (route is not None and any(p.expect_status for p in route.probes))):
            yield (*place, probe.why if probe.why == "Accept-Encoding" else "")
        elif probe.method == "HEAD" and route is not None and route.headers:
            yield (*place, "HEAD")
    elif probe.purpose == "cors":
        if probe.method == "GET" and probe.origin.value is not None:
            yield (*place, probe.origin.allowed)
    elif probe.purpose == "preflight":
        if probe.origin.allowed and probe.granted:
            yield place
    elif probe.purpose == "websocket":
        yield (*place, probe.origin.value is None, probe.origin.allowed)
    else:
        yield (*place, probe.entry.name, probe.why)


def _rank(probe: Probe) -> tuple[bool, bool, bool, int]:
    """Order probes: over HTTPS, HTTP/1.1, an origin that nothing names before one that only the configuration knows."""
    return (
        probe.entry.scheme != "https",
        probe.request.version != "1.1",
        not probe.origin.residual,
        _size(probe.request),
    )


def concrete(probe: Probe, predicted: Facts) -> bool:
    """Whether the policy names the probe's path, where it names any of the route's."""
    route = predicted.policy.policy.route(probe.route)
    return route is None or not route.probes or probe.path in {p.path.partition("?")[0] for p in route.probes}


def url_of(probe: Probe) -> object:
    """Name the URL, whatever the Host: another one only stands in where the target's own cannot be asked."""
    return (probe.entry.scheme, probe.path)


def _size(request: Request) -> int:
    return len(request.target) + sum(len(line.name) + len(line.value) for line in request.headers)


def sendable(probe: Probe, target: HttpTarget, client: Client) -> bool:
    """Whether a probe may be sent, and has an entrypoint to go to."""
    safe = probe.request.method in SAFE_METHODS or target.allow_unsafe_methods
    return safe and client.scope.address(probe.entry.name, probe.entry.scheme, probe.host) is not None
