"""Who can reach what: doors, layers, networks and backends, and every way that leads from outside to a backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from itertools import islice
from typing import Literal

from auditor.dataclass import dataclass
from auditor.errors import Location

NodeKind = Literal["outside", "client", "layer", "service", "backend"]


@dataclass(frozen=True, slots=True)
class Node:
    """A place that connections come from or lead to.

    `id` is unique within its graph and stays the same between runs; `label` is text of the configuration, to be escaped.
    "outside" is the internet, or the host itself: an edge from it is a door; "client" is a browser build;
    "layer" a port of a target of the policy that passes requests on; "backend" an address that the policy protects;
    "service" anything else that answers.
    """

    id: str
    kind: NodeKind
    label: str
    location: Location | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection that the configuration makes: `by` names what makes it ("router api", "location /api/", "0.0.0.0:443").

    `address` is how the source names the target ("qwen-frontend:80"), or what is dialled from outside ("0.0.0.0:443").
    `blocked` says why nothing passes all the same ("they share no network"), "" where it does.
    `by_request`: which requests pass is decided by a router or a location; every connection does where it is False.
    """

    source: str
    target: str
    by: str = ""
    address: str = ""
    location: Location | None = None
    blocked: str = ""
    by_request: bool = False


@dataclass(frozen=True, slots=True)
class NetworkArea:
    """A network between containers; `internal`: no way in or out but through a container that is on another one too."""

    name: str
    internal: bool = False
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """One way from outside to where it ends: the edges passed in order, and how a person would draw it.

    `avoids` are the layers that it had to pass and does not; `offends` says what else is wrong with it, in words.
    """

    edges: tuple[Edge, ...]
    text: str
    avoids: tuple[str, ...] = ()
    offends: str = ""

    @property
    def wrong(self) -> bool:
        """Whether the policy forbids this way."""
        return bool(self.avoids or self.offends)

    @property
    def by_request(self) -> bool:
        """Whether only some requests take it, those that its routers and locations let pass."""
        return any(edge.by_request for edge in self.edges)

    @property
    def location(self) -> Location | None:
        """The line to change: the last one that made an edge."""
        return next((edge.location for edge in reversed(self.edges) if edge.location is not None), None)

    @property
    def drawn(self) -> str:
        """The way with what is wrong about it: "internet → edge:443 → router api → qwen-api:8000 (avoids nginx)"."""
        reasons = [f"avoids {' and '.join(self.avoids)}"] if self.avoids else []
        reasons += [self.offends] if self.offends else []
        return f"{self.text} ({'; '.join(reasons)})" if reasons else self.text


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything that the files of one policy say about who can reach what; `ways` holds every way that ends somewhere."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    networks: tuple[NetworkArea, ...] = ()
    ways: tuple[Way, ...] = ()
    _by_id: dict[str, Node] = field(default_factory=dict, init=False, repr=False, compare=False)

    def node(self, name: str) -> Node:
        """Return the node with this id; raises KeyError where there is none."""
        if not self._by_id:
            self._by_id.update({node.id: node for node in self.nodes})
        return self._by_id[name]

    @property
    def wrong(self) -> tuple[Way, ...]:
        """The ways that the policy forbids."""
        return tuple(way for way in self.ways if way.wrong)

    def walks(self, start: str) -> Iterator[tuple[Edge, ...]]:
        """Yield every walk along open edges from a node that visits no node twice and cannot go on."""
        leaving: dict[str, list[Edge]] = {}
        for edge in self.edges:
            if not edge.blocked:
                leaving.setdefault(edge.source, []).append(edge)
        yield from islice(_walks(leaving, (), start, frozenset((start,))), MAX_WALKS)

    def draw(self, walk: tuple[Edge, ...]) -> str:
        """Write a walk as a person would: `internet → edge:443 → router api → qwen-api:8000`."""
        words = [self.node(walk[0].source).label] if walk else []
        for edge in walk:
            source, target = self.node(edge.source), self.node(edge.target)
            if source.kind != "outside" and edge.by:
                words.append(edge.by)
            words.append(target.label)
        return " → ".join(words)


MAX_WALKS = 10_000
"""Walks followed from one node at most: configurations are small, hostile ones need not be."""


def _walks(
    leaving: dict[str, list[Edge]], walk: tuple[Edge, ...], here: str, seen: frozenset[str]
) -> Iterator[tuple[Edge, ...]]:
    onward = [edge for edge in leaving.get(here, ()) if edge.target not in seen]
    if not onward and walk:
        yield walk
    for edge in onward:
        yield from _walks(leaving, (*walk, edge), edge.target, seen | {edge.target})
