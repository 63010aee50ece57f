"""Every door into a stack, and the graph of who can reach what behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.doors.hops import Hop, streams, through
from auditor.doors.places import Running, split
from auditor.errors import Location
from auditor.exchange import Exchange
from auditor.graph import Edge, Graph, NetworkArea, Node, Way
from auditor.stack import Stack

if TYPE_CHECKING:
    from auditor.compose import Compose, Door

INTERNET, HOST = "internet", "this host"
NOT_ALLOWED = "not a door that the policy allows"
PAST_THE_PROXY = "points past the proxy"
NO_AUTHENTICATION = "open without authentication"


@dataclass(frozen=True, slots=True)
class Promised:
    """What a policy says about doors: what is protected by which layers, which ports may be published, what is closed.

    `allowed` None: the policy says nothing about published ports.
    """

    backends: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    allowed: frozenset[str] | None = None
    closed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """One variable of a browser build that holds an address."""

    name: str
    host: str
    port: str
    location: Location


@dataclass(frozen=True, slots=True)
class Said:
    """What the files of a policy say: the layers and where they run, the Compose files, the browser builds."""

    stack: Stack
    running: tuple[Running, ...] = ()
    composes: tuple[Compose, ...] = ()
    builds: tuple[Build, ...] = ()


def graph(said: Said, promised: Promised, exchanges: Iterable[Exchange] = ()) -> Graph | None:
    """Draw who can reach what; None where no file says anything about it.

    `exchanges` add the ways on that only a request decides (a variable in nginx's proxy_pass).
    """
    builder = _Builder(said.stack, {item.id: item for item in said.running}, said.composes, promised)
    builder.doors()
    builder.builds(said.builds)
    builder.seen(exchanges)
    return builder.finished()


@dataclass(slots=True)
class _Builder:
    stack: Stack
    running: Mapping[str, Running]
    composes: Sequence[Compose]
    promised: Promised
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    forbidden: dict[Edge, str] = field(default_factory=dict)

    def doors(self) -> None:
        """Add every way in: what Compose publishes, and what a layer that no Compose file runs listens on."""
        for compose in self.composes:
            for door in compose.doors():
                self._door(compose, door)
        outermost = self.stack.layers[0][0] if self.stack.layers else ""
        for item in self.running.values():
            if item.compose is not None:
                continue
            if item.id == outermost:
                for port in sorted(item.ports):
                    self._edge(Edge(INTERNET, self._socket(item, port), f"port {port}"))
            for port, target in self._streams(item):
                self._edge(Edge(INTERNET, target, f"port {port}"))

    def _door(self, compose: Compose, door: Door) -> None:
        """Add one published port, with all that answers there."""
        service = compose.services[door.service]
        inside = [
            item
            for item in self.running.values()
            if item.compose is compose and door.service in (item.service, self._shares(compose, item.service))
        ]
        mode = service.network_mode == "host"
        ports = {door.port} if door.port else set()
        if mode:
            ports |= {port for item in inside for port in item.ports}
            ports |= {port for item in inside for port, _ in self._streams(item)}
            ports |= {int(p) for b in self.promised.backends for h, p in [split(b)] if h == door.service and p}
        for port in sorted(ports):
            address = f"{door.address.rpartition(':')[0]}:{port}" if mode else door.address
            made = Edge(
                HOST if door.internal else INTERNET,
                self._behind(inside, door.service, port),
                f"network_mode: host, port {port}" if mode else address,
                address,
                door.location,
                "every network of the service is internal" if door.dormant else "",
            )
            self._edge(made)
            allowed = self.promised.allowed
            if not door.internal and allowed is not None and f"{door.service}:{port}" not in allowed:
                self.forbidden[made] = NOT_ALLOWED

    def _shares(self, compose: Compose, service: str) -> str:
        mode = compose.services[service].network_mode if service in compose.services else ""
        return mode.removeprefix("service:") if mode.startswith("service:") else ""

    def _behind(self, inside: Sequence[Running], service: str, port: int) -> str:
        for item in inside:
            if port in item.ports:
                return self._socket(item, port)
            for number, target in self._streams(item):
                if number == port:
                    return target
        return self._leaf(f"{service}:{port}")

    def _socket(self, item: Running, port: int) -> str:
        """Return the node of a layer's port; the first time, follow what leads on from it."""
        name = f"{item.id}:{port}"
        if name in self.nodes:
            return name
        self._node(name, "layer", name, item)
        self.owners[name] = item.id
        for hop in through(item.kind, item.layer, port):
            self._reach(name, item, hop)
        if item.kind == "traefik":
            self._dashboards(name, item, port)
        return name

    def _streams(self, item: Running) -> list[tuple[int, str]]:
        """Return the nodes of nginx's stream servers, each with its port."""
        found: dict[int, str] = {}
        for port, hop in streams(item.layer) if item.kind == "nginx" else ():
            name = f"{item.id}:{port} (stream)"
            if name not in self.nodes:
                self._node(name, "service", name, item)
            self._reach(name, item, hop)
            found[port] = name
        return list(found.items())

    def _dashboards(self, name: str, item: Running, port: int) -> None:
        points = {point.name for point in item.layer.entrypoints if point.port == port}
        for exposure in item.layer.exposures:
            if exposure.entrypoint in points and exposure.kind in ("api", "dashboard", "rest"):
                target = f"{item.id} dashboard"
                self._node(target, "service", target, item)
                made = Edge(name, target, exposure.router or "api.insecure", location=exposure.location)
                self._edge(made)
                if not exposure.protected:
                    self.forbidden[made] = NO_AUTHENTICATION

    def _reach(self, source: str, item: Running, hop: Hop) -> None:
        """Add the edge from a layer to whatever answers at an address."""
        target = self.stack.canonical(hop.address)
        port = split(target)[1]
        other = self.running.get(self.stack.layer_at(item.id, hop.address) or "")
        if other is not None and port and int(port) in other.ports:
            node = self._socket(other, int(port))
        else:
            passed = dict(self._streams(other)) if other is not None else {}
            node = passed.get(int(port)) if port and passed else None  # type: ignore[assignment]
            node = node or self._leaf(target)
        blocked = self._apart(item, split(target)[0])
        self._edge(Edge(source, node, hop.by, hop.address, hop.location, blocked, hop.by_request))

    def _apart(self, item: Running, host: str) -> str:
        """Say that two services of a Compose file share no network, "" where they do or it is not known."""
        compose = item.compose
        if compose is None or host not in compose.services or item.service not in compose.services:
            return ""
        if host == item.service or compose.attached(item.service) & compose.attached(host):
            return ""
        if compose.services[item.service].network_mode == "host":  # Docker's bridges, internal ones too, are the host's
            return ""
        return "they share no network"

    def _leaf(self, address: str) -> str:
        target = self.stack.canonical(address)
        if target not in self.nodes:
            backend = target in self.promised.backends
            self._node(target, "backend" if backend else "service", target, None)
        return target

    def _node(self, name: str, kind: str, label: str, item: Running | None) -> None:
        host = item.service if item is not None else split(name)[0]
        compose = item.compose if item is not None else None
        compose = compose or next((c for c in self.composes if host in c.services), None)
        service = compose.services.get(host) if compose is not None else None
        networks = sorted(n for n in compose.attached(host) if not n.startswith("\0")) if compose and service else []
        place = service.location if service is not None else None
        self.nodes[name] = Node(name, kind, label, place, tuple(networks))  # type: ignore[arg-type]

    def _edge(self, edge: Edge) -> None:
        if edge.source in (INTERNET, HOST) and edge.source not in self.nodes:
            self.nodes[edge.source] = Node(edge.source, "outside", edge.source)
        self.edges.setdefault(edge)

    def builds(self, builds: Iterable[Build]) -> None:
        """Add the browser builds that name a backend, or a port that leads to one."""
        published = {
            split(edge.address)[1]
            for edge in self.edges
            if edge.source in (INTERNET, HOST) and self.nodes[edge.target].kind == "backend"
        }
        own = {split(backend)[1]: backend for backend in self.promised.backends}
        for build in builds:
            address = f"{build.host}:{build.port}"
            target = self.stack.canonical(address)
            hosts = {self.stack.canonical(split(b)[0]): b for b in self.promised.backends}
            if target in self.promised.backends:
                hit = target
            elif self.stack.canonical(build.host) in hosts:
                hit = hosts[self.stack.canonical(build.host)]
            elif (
                address in self.promised.closed
                or build.port in published
                or (build.port in own and not self._is_door(build))
            ):
                hit = own.get(build.port) or next(iter(self.promised.backends), address)
            else:
                continue
            name = f"browser build {build.name}@{build.location.file}:{build.location.line}"
            self.nodes[name] = Node(name, "client", f"browser build {build.name}", build.location)
            made = Edge(name, self._leaf(hit), "", address, build.location)
            self._edge(made)
            self.forbidden[made] = PAST_THE_PROXY

    def _is_door(self, build: Build) -> bool:
        """Whether a port of the outside leads into a layer."""
        return any(
            edge.source == INTERNET and split(edge.address)[1] == build.port and edge.target in self.owners
            for edge in self.edges
        )

    def seen(self, exchanges: Iterable[Exchange]) -> None:
        """Add what was reached by requests although no literal address says so."""
        known = {(edge.source, edge.target) for edge in self.edges}
        looked_at: set[tuple[str, ...]] = set()
        for exchange in exchanges:
            last = exchange.asked[-2:]
            if last in looked_at:
                continue
            looked_at.add(last)
            visited = [entry.partition("@") for entry in last]
            if len(visited) < 2 or visited[0][0] not in self.running:
                continue
            item = self.running[visited[0][0]]
            port = split(visited[0][2])[1]
            source = f"{item.id}:{port}"
            target = self.stack.canonical(visited[1][2])
            if source in self.nodes and (source, target) not in known and visited[1][0] not in self.owners.values():
                known.add((source, target))
                outcome = exchange.outcome
                by = f"location {outcome.location}" if item.kind == "nginx" and outcome.location else ""
                self._reach(source, item, Hop(by, target, outcome.selected, by_request=True))
                looked_at.clear()  # what is there now may be where another request came from

    def finished(self) -> Graph | None:
        """Return the graph with every way from outside, judged."""
        if not self.nodes:
            return None
        used = {name for node in self.nodes.values() for name in node.networks}
        networks = tuple(
            NetworkArea(network.name, network.internal, network.location)
            for compose in self.composes
            for network in compose.networks.values()
            if network.name in used
        )
        drawn = Graph(tuple(self.nodes.values()), tuple(self.edges), networks)
        starts = [node.id for node in drawn.nodes if node.kind in ("outside", "client")]
        ways = {
            way.drawn: way for start in starts for walk in drawn.walks(start) for way in [self._judged(drawn, walk)]
        }
        return replace(drawn, ways=tuple(ways.values()))

    def _judged(self, drawn: Graph, walk: tuple[Edge, ...]) -> Way:
        avoids: tuple[str, ...] = ()
        if drawn.node(walk[-1].target).kind == "backend" and walk[0].source == INTERNET:
            passed = {self.owners[edge.target] for edge in walk if edge.target in self.owners}
            avoids = tuple(layer for layer in self.promised.layers if layer not in passed)
        reasons = dict.fromkeys(self.forbidden[edge] for edge in walk if edge in self.forbidden)
        return Way(walk, drawn.draw(walk), avoids, "; ".join(reasons))


__all__ = ["HOST", "INTERNET", "Build", "Promised", "Said", "graph"]
