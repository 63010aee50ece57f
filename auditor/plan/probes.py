"""The probes of a policy on a stack: which requests decide each of its rules."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from itertools import chain

from auditor.browser.safelist import is_forbidden_header
from auditor.dataclass import dataclass
from auditor.exchange import INJECTED, Exchange
from auditor.language import Language
from auditor.plan.alike import answered_by
from auditor.plan.cells import (
    METHODS,
    PATH,
    Matcher,
    PathCells,
    glob_set,
    host_cells,
)
from auditor.plan.changes import Change
from auditor.plan.facts import NO_HOST, Probe
from auditor.plan.places import Place, over_http2
from auditor.plan.steering import Demand
from auditor.plan.views import Selection, View
from auditor.policy.model import Cors, Match, Origin, Policy, Route
from auditor.stack import Entry

Ask = Callable[[Probe], Sequence[Exchange]]
"""How the answers to a probe are predicted."""

FORGED = (
    ("X-Forwarded-For", "198.51.100.7"),
    ("X-Real-IP", "198.51.100.7"),
    ("Forwarded", "for=198.51.100.7"),
    ("CF-Connecting-IP", "198.51.100.7"),
    ("True-Client-IP", "198.51.100.7"),
)
"""Headers in which a client can claim another address (TEST-NET-2, RFC 5737)."""

OTHER_CLIENT = "203.0.113.9"
"""Another client's address (TEST-NET-3, RFC 5737)."""

ELSEWHERE = "a probe that the route names although another route's globs match it"

FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})
"""Methods that no page can send (Fetch, forbidden method)."""

UNASKED = frozenset({"accept", "accept-language", "content-language", "range", "user-agent"})
"""Names that a page may set without asking: safelisted with the values they usually have, or ignored."""


@dataclass(slots=True)
class Sharing:
    """Which places were left out because another one answers alike: by what they have in common."""

    first: dict[tuple[str, str, str], list[Hashable]] = field(default_factory=dict)
    others: dict[Hashable, list[tuple[Route, Place, tuple[str, ...]]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planner:
    """A policy, the entries of its stack, and everything in the stack that can see a request.

    With a `selection`, matchers count only where the server that answers can see them, and of its tables those that what
    answers to the path may read. With `sharing` too, places
    that answer alike are asked one question each, and all the others of one of them; `rest` yields what was left out.
    `steering` are the demands beside host and path by which routers take requests.
    """

    policy: Policy
    entries: tuple[Entry, ...]
    matchers: tuple[Matcher, ...]
    hosts: tuple[str, ...] = ()
    selection: Selection | None = None
    sharing: Sharing | None = None
    steering: tuple[Demand, ...] = ()
    _known: dict[str, list[str]] = field(default_factory=dict, compare=False)
    _views: dict[frozenset[str] | None, View] = field(default_factory=dict, compare=False)
    _scopes: dict[str, list[Matcher]] = field(default_factory=dict, compare=False)
    _cells: dict[object, PathCells] = field(default_factory=dict, compare=False)
    _inside: dict[object, list[str]] = field(default_factory=dict, compare=False)
    _claims: dict[str, list[tuple[str, Match]]] = field(default_factory=dict, compare=False)

    def probes(self, ask: Ask | None = None) -> Iterator[Probe]:
        """Yield every probe, routes in the policy's order, then those that no route is about.

        With `ask`, which predicts the answers to a probe, all that is not a plain request is tried at one of the paths
        for which the same blocks answer (see `auditor.plan.alike`), and at those that the policy names.
        """
        for route in self.policy.routes:
            yield from self._route(route, self.hosts_of(route), ask)
        yield from self.anywhere(ask)

    def owner(self, host: str, path: str, method: str) -> str | None:
        """Return the id of the first route that matches a request, None where none does."""
        for route, item in self._claiming(path):
            if item.hosts is not None and not any(host_fits(host, glob) for glob in item.hosts):
                continue
            if item.methods is None or method in item.methods:
                return route
        return None

    def _claiming(self, path: str) -> list[tuple[str, Match]]:
        """Return what of the policy's routes matches a path, in order."""
        if path not in self._claims:
            self._claims[path] = [
                (route.id, item)
                for route in self.policy.routes
                for item in route.match
                if item.paths is None or glob_set(item.paths).contains(path)
            ]
        return self._claims[path]

    def known_hosts(self) -> list[str]:
        """Return a host of every cell, and one that nobody has."""
        key = "hosts"
        if key not in self._known:
            cells, undecided = host_cells(self.matchers)
            self._everything().undecided.update(dict.fromkeys(undecided))
            self._known[key] = list(dict.fromkeys([*self.hosts, *cells])) or ["localhost"]
        return self._known[key]

    def hosts_of(self, route: Route) -> list[str]:
        """Return a host for each that the route names, or every known one."""
        named = [host for item in route.match for host in (item.hosts or ())]
        concrete = [host.replace("*", "a") for host in named]
        return list(dict.fromkeys(concrete)) or self.known_hosts()

    def paths(self, route: Route, view: View | None = None) -> list[str]:
        """Return a path of every cell of the route; the routes' own globs cut cells too."""
        seen = view or self._everything()
        key = (f"route {route.id}", seen.paths)
        if key not in self._inside:
            within = [glob_set(item.paths) for item in route.match]
            named = dict.fromkeys(probe.path.partition("?")[0] for probe in route.probes)
            concrete = [path for path in named if PATH.contains(path) and any(each.contains(path) for each in within)]
            cells = self._all_paths(seen)
            self._inside[key] = cells.inside(within, concrete, cells.globs)
        return self._inside[key]

    def _everything(self) -> View:
        return self._views.setdefault(None, View(self.matchers))

    def _view(self, entry: Entry, host: str, path: str | None = None) -> View:
        """Return what can see the requests to a host at an entry: all of them, or those to one path."""
        if self.selection is None:
            return self._everything()
        scope = self.selection.scope(entry.listen, entry.scheme, host)
        if scope is None:
            return self._everything()
        names = frozenset({"", scope, *self.selection.tables(entry.listen, entry.scheme, host, path)})
        if names not in self._views:
            if not self._scopes:
                for m in self.matchers:
                    self._scopes.setdefault(m.scope or m.table, []).append(m)
            self._views[names] = View(tuple(m for name in sorted(names) for m in self._scopes.get(name, ())))
        return self._views[names]

    def _all_paths(self, view: View) -> PathCells:
        if view.paths not in self._cells:
            routes = dict.fromkeys(glob_set(item.paths) for route in self.policy.routes for item in route.match)
            denied = self.policy.exposure.denied_paths if self.policy.exposure else ()
            more = [glob_set((glob,)) for glob in sorted(set(denied))]
            named = [probe.path.partition("?")[0] for route in self.policy.routes for probe in route.probes]
            self._cells[view.paths] = view.cut(tuple(routes), more, named)
        return self._cells[view.paths]

    def _below(
        self, name: str, view: View, within: Sequence[Language] | None, concrete: Sequence[str] = ()
    ) -> list[str]:
        """Return a path of every cell inside a set that has a name, whatever the routes are."""
        key = (name, view.paths)
        if key not in self._inside:
            cells = self._all_paths(view)
            self._inside[key] = cells.inside(within, concrete, cells.matchers)
        return self._inside[key]

    def _route(self, route: Route, hosts: Sequence[str], ask: Ask | None) -> Iterator[Probe]:
        named_paths = {probe.path.partition("?")[0] for probe in route.probes}
        groups = _Groups(ask, named_paths, self.selection)
        named = list(dict.fromkeys(m for item in route.match for m in (item.methods or ())))
        for entry in sorted(self.entries, key=lambda entry: entry.scheme != "https"):
            for host in hosts:
                view = self._view(entry, host)
                paths = self.paths(route, view)
                for path in paths:
                    wanted = named or (*METHODS, *view.methods_named())
                    own = tuple(method for method in wanted if self.owner(host, path, method) == route.id)
                    if own:
                        place, here = Place(route.id, entry, host, path), self._view(entry, host, path)
                        yield from self._place(route, place, here.methods(own), groups, here)
                for probe in route.probes:
                    if probe.path.partition("?")[0] not in paths:
                        place = Place(route.id, entry, probe.host or host, probe.path.partition("?")[0])
                        yield replace(place.probe("plain", probe.method), why=ELSEWHERE)

    def _place(
        self, route: Route, place: Place, methods: tuple[str, ...], groups: _Groups, view: View
    ) -> Iterator[Probe]:
        yield place.probe("plain", methods[0])
        here, anywhere = groups.known(place, methods, view)
        if (not here or not anywhere) and not self._shared(route, place, methods):
            if not here:
                yield from self._plain(route, place, methods, view)
            if not anywhere:
                yield from self._of_pages(route, place, methods, view)

    def _shared(self, route: Route, place: Place, methods: tuple[str, ...]) -> bool:
        """Whether a place that answers alike was asked before; it is kept for `rest` then."""
        if self.sharing is None or self.selection is None:
            return False
        alike = self.selection.alike(place.entry.listen, place.entry.scheme, place.host, place.path)
        if alike is None:
            return False
        key = (route.id, place.entry.name, methods, alike)
        if key in self.sharing.others:
            self.sharing.others[key].append((route, place, methods))
            return True
        self.sharing.others[key] = []
        self.sharing.first.setdefault((route.id, place.host, place.path), []).append(key)
        return False

    def undecided(self) -> Iterator[Matcher]:
        """Yield the matchers that some of the probes yielded so far may not have told all requests apart by."""
        views = [view for scope, view in self._views.items() if scope is not None or self.selection is None]
        untold = [m for view in views for m in view.matchers if m.reason]
        yield from dict.fromkeys((*(m for view in self._views.values() for m in view.undecided), *untold))

    def rest(self, places: Iterable[tuple[str, str, str]]) -> Iterator[Probe]:
        """Yield the probes left out of the places that answer alike with these (route, host, path)."""
        if self.sharing is None:
            return
        for key in dict.fromkeys(key for place in places for key in self.sharing.first.get(place, ())):
            for route, place, methods in self.sharing.others.pop(key, []):
                view = self._view(place.entry, place.host, place.path)
                yield from self._plain(route, place, methods, view)
                yield from self._of_pages(route, place, methods, view)

    def _of_pages(self, route: Route, place: Place, methods: Sequence[str], view: View) -> Iterator[Probe]:
        """Yield what pages of every origin may send to a place."""
        if route.cors is not None:
            yield from self._cors(route.cors, place, methods, view)
        if route.websocket is not None:
            yield from self._websocket(route, place, view)

    def _plain(self, route: Route, place: Place, methods: Sequence[str], view: View) -> Iterator[Probe]:
        """Yield what is asked of a place besides the first plain request, whoever asks."""
        first = methods[0]
        for method in methods[1:]:
            yield place.probe("plain", method)
        changes = [*view.variations(place.path), *view.spellings(place.path)]
        for why, change in changes:
            if (probe := _changed(place.probe("plain", first), change, methods, why)) is not None:
                yield probe
        if view.writes_paths and self.owner(place.host, f"{place.path}x", first) == route.id:
            broken = replace(place.request(first), target=place.path + INJECTED)
            yield replace(place.probe("plain", first), request=broken, why="a line break in the path")
        if route.caching is not None and route.caching.compression is not None:
            asking = place.probe("plain", first)
            yield replace(asking, request=asking.request.with_(Accept_Encoding="gzip"), why="Accept-Encoding")
        if route.rate_limit is not None:
            base = place.probe("variant", first)
            for name, value in FORGED:
                forged = base.request.with_(**{name.replace("-", "_"): value})
                yield replace(base, request=forged, variant="forged", why=name)
            claimed = {name.lower() for name, _ in FORGED}
            for why, change in changes:
                if claimed.isdisjoint(part.name.lower() for part in change.all):
                    probe = _changed(base, change, methods, why)
                    yield from () if probe is None else (replace(probe, variant="forged"),)
            other = replace(base.request, client=OTHER_CLIENT)
            yield replace(base, request=other, variant="client", why="another client")

    def _named(self) -> tuple[Origin, ...]:
        """Return every origin that some route of the policy names."""
        lists = [r.cors.allow_origins for r in self.policy.routes if r.cors]
        lists += [r.websocket.allow_origins for r in self.policy.routes if r.websocket]
        return tuple(dict.fromkeys(item for items in lists for item in items))

    def _cors(self, cors: Cors, place: Place, methods: Sequence[str], view: View) -> Iterator[Probe]:
        allowed = [m for m in cors.allow_methods or () if m != "OPTIONS"] or ["GET"]
        unsafe = next((m for m in allowed if m not in {"GET", "HEAD", "POST"}), allowed[0])
        headers = tuple(sorted(name for n in cors.allow_headers or () if n != "*" and asked_for(name := n.lower())))
        sendable = [method for method in methods if method not in FORBIDDEN_METHODS]
        # Mixed Content: a page from https never reaches http, but where nothing here is https, TLS ends further out.
        mixed = place.entry.scheme == "http" and any(entry.scheme == "https" for entry in self.entries)
        versions = place.entry.scheme == "https" and any(m.subject == "version" for m in view.matchers)
        for cell in view.origins(cors.allow_origins if cors.enabled else (), cors.null_origin, self._named()):
            origin = cell.asking(place.own)
            if origin is None or (mixed and (origin.value or "").startswith("https://")):
                continue
            for method in sendable:
                yield place.probe("cors", method, origin)
                if method == "GET" and versions:
                    yield over_http2(place.probe("cors", method, origin))
            for why, change in view.of_pages(place.path, origin.value) if sendable else ():
                probe = _changed(place.probe("cors", sendable[0], origin), change, sendable, why)
                yield from () if probe is None else (probe,)
            if origin.value is None:
                continue
            yield place.preflight(unsafe, headers, origin)
            if origin.allowed:
                for method in allowed:
                    if method != unsafe:
                        yield place.preflight(method, headers, origin)
                yield place.preflight("BREW", headers, origin, granted=False)
                yield place.preflight(unsafe, ("x-not-in-the-policy",), origin, granted=False)

    def _websocket(self, route: Route, place: Place, view: View) -> Iterator[Probe]:
        socket = route.websocket
        if socket is None:
            return
        for origin in view.origins(socket.allow_origins, socket.null_origin, self._named()):
            yield place.upgrade(origin)
            for why, change in view.of_pages(place.path):
                probe = _changed(place.upgrade(origin), change, (), why)
                yield from () if probe is None else (probe,)

    def anywhere(self, ask: Ask | None = None) -> Iterator[Probe]:
        """Yield the probes that no route is about: every door, and the paths that must be denied."""
        exposure = self.policy.exposure
        tls = self.policy.tls
        if (exposure is None or exposure.direct_routes == "allow") and (tls is None or tls.redirect is None):
            hosts = [NO_HOST] if exposure is not None and exposure.unknown_hosts == "refuse" else []
        else:
            hosts = [*self.known_hosts(), NO_HOST]
        for entry in self.entries:
            for host in hosts:
                for path in self._below("anywhere", self._view(entry, host), None):
                    why = "no such host" if host == NO_HOST else ""
                    probe = replace(Place("", entry, host, path).probe("anywhere", "GET"), why=why)
                    yield probe
                    for demand in dict.fromkeys(self.steering):
                        changed = demand(probe.request)
                        yield replace(probe, request=changed, method=changed.method, why="as a router demands")
        yield from self._denied(ask)

    def _denied(self, ask: Ask | None) -> Iterator[Probe]:
        exposure = self.policy.exposure
        for glob in exposure.denied_paths if exposure else ():
            within, concrete = [glob_set((glob,))], () if "*" in glob else (glob,)
            groups = _Groups(ask, set(), self.selection)
            for entry in self.entries:
                for host in self.known_hosts():
                    view = self._view(entry, host)
                    for path in self._below(f"denied {glob}", view, within, concrete):
                        place = Place("", entry, host, path)
                        probe = replace(place.probe("denied", "GET"), why=glob)
                        yield probe
                        for _, change in view.spellings(path):
                            yield replace(probe, request=change(probe.request))
                        if not groups.known(place, ("GET",), view)[0]:
                            yield from _otherwise(probe, view)


def _otherwise(probe: Probe, view: View) -> Iterator[Probe]:
    """Yield the same request with another part changed that the server looks at: a header, an argument, the method."""
    one_by_one = (change for _, change in (*view.variations(probe.path), *view.claims()))
    for change in chain(one_by_one, view.forged(probe.path)):
        request = change(probe.request)
        yield replace(probe, request=request, method=request.method)
    for method in view.decisive_methods():
        yield replace(probe, request=replace(probe.request, method=method), method=method)


def _changed(probe: Probe, change: Change, methods: Sequence[str], why: str) -> Probe | None:
    """Return a probe with its request changed; None where that makes the method another than one of these."""
    request = change(probe.request)
    if request.method == probe.request.method:
        return replace(probe, request=request, why=why)
    return replace(probe, request=request, method=request.method, why=why) if request.method in methods else None


def asked_for(name: str) -> bool:
    """Whether a page's use of this request header (lower case) is ever named in a preflight."""
    return name not in UNASKED and not is_forbidden_header(name, "")


def host_fits(host: str, glob: str) -> bool:
    """Whether a host is one that a route's glob names (`*.example` is every host below)."""
    return host == glob or (glob.startswith("*.") and host.endswith(glob[1:]))


@dataclass(frozen=True, slots=True)
class _Groups:
    """The places of one route that were seen, as far as they differ in more than the text of their paths."""

    ask: Ask | None
    named: set[str]
    selection: Selection | None = None
    kinds: dict[object, int] = field(default_factory=dict)
    seen: set[object] = field(default_factory=set)

    def known(self, place: Place, methods: tuple[str, ...], view: View) -> tuple[bool, bool]:
        """Whether another place stands for this one: at the same entry, and at any.

        A page's requests are answered alike at all entries that nothing tells apart; what is promised of plain answers
        may differ between them (HSTS, doors). For the policy's own paths only another way to the same path stands.
        """
        if self.ask is None or view.tests is None:
            return False, False
        satisfied = tuple(test.contains(place.path) for test in view.tests)
        at = (place.entry.listen, place.entry.scheme, place.host, place.path)
        way = self.selection.through(*at) if self.selection is not None else None
        made = answered_by(self.ask(place.probe("plain", methods[0])), way)
        kind = self.kinds.setdefault((place.host, methods, satisfied, made), len(self.kinds))
        path = place.path if place.path in self.named else None
        here, anywhere = (place.entry, path, kind), (place.entry if view.by_entry else None, path, kind)
        known = here in self.seen, anywhere in self.seen
        self.seen.update({here, anywhere, (here[0], None, kind), (anywhere[0], None, kind)})
        return known
