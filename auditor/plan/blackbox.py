"""The plan without a configuration: every route, host and entry of the policy, asked from outside in a few rounds."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from auditor.dataclass import dataclass
from auditor.exchange import Response
from auditor.language import Language
from auditor.plan.cells import route_language
from auditor.plan.facts import NO_HOST, OriginCell, Probe
from auditor.plan.inquiry import SUFFIX, Answers, Handshakes, Inquiry, Rounds, passes
from auditor.plan.near import named, near
from auditor.plan.places import Place
from auditor.plan.probes import Planner
from auditor.plan.refusals import CHILD, ESCAPE, HEADER, METHOD, TARGET, child, dealt
from auditor.policy.model import HttpTarget, Origin, Policy, Route
from auditor.stack import Entry

TRICKS = ("/{0}", "/.{0}", "{0}/", "{0}%2f", "/%2e{0}", "/x/..;{0}", "/x/%2e%2e{0}", "{0}?", "{0};x=1")
"""Spellings of a path that servers and proxies may read differently; `{0}` is the path."""


@dataclass(frozen=True, slots=True)
class BlackBox:
    """A policy and a running stack of which nothing else is known.

    `http2` says, for each https entrypoint by name, whether it speaks HTTP/2.
    """

    policy: Policy
    target: HttpTarget
    http2: Mapping[str, bool]

    def entries(self) -> tuple[Entry, ...]:
        """Return the ways in: the target's entrypoints, https first."""
        found = [(name, urlsplit(url)) for name, url in self.target.entrypoints.items()]
        made = [Entry(name, url.scheme, "live", host=url.hostname or "") for name, url in found]
        return tuple(sorted(made, key=lambda entry: entry.scheme != "https"))

    def rounds(self) -> Rounds:
        """Yield rounds of probes about every URL at once, and take their answers."""
        running = [(item, probes) for item in self._started() if (probes := next(item, None))]
        while running:
            everything = [probe for _, probes in running for probe in probes]
            answers = yield everything
            running = list(_advanced(running, answers))

    def grounds(self) -> Iterator[tuple[Place, Route, Language]]:
        """Yield every URL with its route and the route's paths: over HTTPS, where there is any."""
        entries = self.entries()
        planner = Planner(self.policy, entries, (), tuple(dict.fromkeys(entry.host for entry in entries)))
        for route in self.policy.routes:
            within = route_language(route.match)
            for entry in [entry for entry in entries if entry.scheme == entries[0].scheme]:
                for place in self._places(planner, route, within, entry):
                    yield place, route, within

    def _paths(self, planner: Planner, route: Route, within: Language, entry: Entry) -> list[str]:
        """Return the route's paths that the policy names, or one of every cell of its globs."""
        concrete = dict.fromkeys(probe.path.partition("?")[0] for probe in route.probes)
        host = _hosts(planner, route, entry)[0]
        return [path for path in concrete if within.contains(path)] or [
            path for path in planner.paths(route) if planner.owner(host, path, "GET") in {route.id, None}
        ]

    def _started(self) -> Iterator[Rounds]:
        for item in self._all():
            yield _never_empty(item)

    def _all(self) -> Iterator[Rounds]:
        entries = self.entries()
        planner = Planner(self.policy, entries, (), tuple(dict.fromkeys(entry.host for entry in entries)))
        refused = self._refused(planner)
        for route in self.policy.routes:
            yield from self._route(planner, route, refused)
        yield _once(list(self._apart(planner)))

    def _refused(self, planner: Planner) -> dict[Place, tuple[list[str], bool]]:
        """Say for each URL why a server is to refuse requests there by itself, and whether other URLs make up for it.

        Each refusal is asked for once an entrypoint, at URLs with the promises of the first route that has any. What
        gives way to it there is asked at the others, where there are any.
        """
        whys = [ESCAPE, TARGET, HEADER, *([METHOD] if self.target.allow_unsafe_methods else [])]
        routes = {route.id: route for route in self.policy.routes if route.headers}
        found: dict[Place, tuple[list[str], bool]] = {}
        for entry in planner.entries:
            urls = [
                place
                for route in routes.values()
                for within in [route_language(route.match)]
                for place in self._places(planner, route, within, entry)
                if child(place, CHILD, within) is not None
            ]
            alike = [url for url in urls if routes[url.route].headers == routes[urls[0].route].headers]
            hands = dealt(alike, whys, lambda url: 0 if routes[url.route].cors is None else len(whys))
            spare = any(not hand for hand in hands.values())
            found |= {url: (hand, spare) for url, hand in hands.items()}
        return found

    def _places(self, planner: Planner, route: Route, within: Language, entry: Entry) -> list[Place]:
        """Return the route's URLs at an entry."""
        host = _hosts(planner, route, entry)[0]
        authority = self._authority(entry, host)
        return [Place(route.id, entry, host, path, authority) for path in self._paths(planner, route, within, entry)]

    def _route(
        self, planner: Planner, route: Route, refused: Mapping[Place, tuple[list[str], bool]]
    ) -> Iterator[Rounds]:
        within = route_language(route.match)
        for entry in planner.entries:
            hosts = _hosts(planner, route, entry)
            places = self._places(planner, route, within, entry)
            for place in places:
                yield from self._place(route, place, [*hosts[1:], NO_HOST], within, refused.get(place, ([], False)))
            for probe in route.probes:
                place = Place(route.id, entry, probe.host or hosts[0], probe.path.partition("?")[0])
                safe = probe.method in {"GET", "HEAD", "OPTIONS"} or self.target.allow_unsafe_methods
                if place.path not in {known.path for known in places} and safe:
                    yield _once([replace(place.probe("plain", probe.method), why="a probe that the route names")])

    def _place(
        self, route: Route, place: Place, others: Sequence[str], within: Language, refused: tuple[Sequence[str], bool]
    ) -> Iterator[Rounds]:
        known = [item for r in self.policy.routes for c in (r.cors, r.websocket) if c for item in c.allow_origins]
        if route.websocket is not None:
            around = near(route.websocket.allow_origins, route.websocket.null_origin, known)
            yield self._if_not_redirected(
                place, Handshakes(place, around, _cells(route.websocket.allow_origins)).rounds()
            )
        if route.websocket is not None and route.cors is None and not route.headers:
            return
        origins = route.cors.allow_origins if route.cors is not None and route.cors.enabled else ()
        inquiry = Inquiry(
            place,
            route,
            near(origins, route.cors.null_origin if route.cors else "deny", known),
            _cells(origins),
            others[0],
            self.http2.get(place.entry.name, False),
            self.target.allow_unsafe_methods,
            within,
            errors=refused[0],
            instead=refused[1],
        )
        yield self._if_not_redirected(place, inquiry.rounds())

    def _if_not_redirected(self, place: Place, rounds: Rounds) -> Rounds:
        """Ask plain HTTP once where there is HTTPS, and the rest only where it is not just sent on to HTTPS."""
        if place.entry.scheme == "http" and any(url.startswith("https:") for url in self.target.entrypoints.values()):
            answers = yield [place.probe("plain", "GET")]
            response = answers[0]
            location = (response.headers.get("Location") or "") if response else ""
            if response is not None and response.status in {301, 302, 307, 308} and location.startswith("https:"):
                return
        yield from rounds

    def _authority(self, entry: Entry, host: str) -> str:
        """Return the Host header: with the port, where it is not the scheme's own."""
        port = urlsplit(self.target.entrypoints[entry.name]).port
        return "" if port in {None, 80 if entry.scheme == "http" else 443} else f"{host}:{port}"

    def _apart(self, planner: Planner) -> Iterator[Probe]:
        """Yield what no route is about: doors, redirects, and denied paths in every spelling."""
        for probe in planner.anywhere():
            authority = self._authority(probe.entry, probe.host)
            if authority and probe.host != NO_HOST:
                probe = replace(probe, request=probe.request.with_(Host=authority))  # noqa: PLW2901 - the same probe
            yield probe
            if probe.purpose == "denied":
                for trick in TRICKS:
                    yield replace(probe, request=replace(probe.request, target=trick.format(probe.path)))


def _hosts(planner: Planner, route: Route, entry: Entry) -> list[str]:
    """Return the route's hosts at an entry, the entry's own first, then those that lead to the same server."""
    own = planner.hosts_of(route)
    first = [host for host in own if host == entry.host]
    return list(dict.fromkeys([*first, *own]))


def _cells(items: Sequence[Origin]) -> list[OriginCell]:
    return [OriginCell(value, allowed=True, kind="allowed") for value in named(items)]


def _once(probes: list[Probe]) -> Rounds:
    if probes:
        yield probes


def _never_empty(rounds: Rounds) -> Rounds:
    """Pass rounds on without the empty ones; the first `next` always finds one."""
    answers: Answers = []
    try:
        probes = next(rounds)
        while True:
            answers = (yield probes) if probes else []
            probes = rounds.send(answers)
    except StopIteration:
        return


def _advanced(
    running: Sequence[tuple[Rounds, list[Probe]]], answers: Sequence[Response | None]
) -> Generator[tuple[Rounds, list[Probe]], None, None]:
    """Hand every inquiry its answers, and yield those that have another round."""
    start = 0
    for item, probes in running:
        end = start + len(probes)
        with contextlib.suppress(StopIteration):
            yield item, item.send(list(answers[start:end]))
        start = end


def settled(pairs: Sequence[tuple[Probe, Response | None]]) -> list[Probe]:
    """Return the probes, those of foreign origins marked as standing for everybody where everybody was let in.

    Where an origin that nothing names may read a URL, that a lookalike may too is no finding of its own.
    """
    opened = {_variation(p) for p, got in pairs if p.origin.residual and passes(p, got)}
    return [
        replace(probe, origin=replace(probe.origin, residual=True))
        if _foreign(probe) and (_variation(probe) in opened or _plainly(probe) in opened)
        else probe
        for probe, _ in pairs
    ]


def _foreign(probe: Probe) -> bool:
    return probe.origin.value not in {None, "null"} and not probe.origin.allowed


def _variation(probe: Probe) -> tuple[str, ...]:
    return (probe.route, probe.entry.name, probe.purpose, probe.method, probe.request.version, probe.host, probe.path)


def _plainly(probe: Probe) -> tuple[str, ...]:
    """Return the plain GET that a probe varies."""
    path = probe.path.removesuffix(CHILD).removesuffix(SUFFIX) or "/"
    purpose = probe.purpose if probe.purpose == "websocket" else "cors"
    return (probe.route, probe.entry.name, purpose, "GET", "1.1", probe.host, path)
