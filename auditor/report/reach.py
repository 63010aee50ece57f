"""The graph of who can reach what, to and from its public form."""

from __future__ import annotations

from auditor.errors import Location
from auditor.graph import Edge, Graph, NetworkArea, Node, Way
from auditor.report.model import EdgeInfo, GraphInfo, NetworkInfo, NodeInfo, Place, WayInfo
from auditor.report.text import short_path


def told(graph: Graph) -> GraphInfo:
    """Return the public form of a graph."""
    number = {edge: index for index, edge in enumerate(graph.edges)}
    return GraphInfo(
        nodes=[
            NodeInfo(id=n.id, kind=n.kind, label=n.label, place=place(n.location), networks=list(n.networks))
            for n in graph.nodes
        ],
        edges=[
            EdgeInfo(
                source=e.source,
                target=e.target,
                by=e.by,
                address=e.address,
                place=place(e.location),
                blocked=e.blocked,
            )
            for e in graph.edges
        ],
        networks=[NetworkInfo(name=n.name, internal=n.internal, place=place(n.location)) for n in graph.networks],
        ways=[
            WayInfo(
                edges=[number[edge] for edge in way.edges if edge in number],
                text=way.text,
                avoids=list(way.avoids),
                offends=way.offends,
            )
            for way in graph.ways
        ],
    )


def drawn(info: GraphInfo) -> Graph:
    """Return the graph that a report tells of."""
    edges = tuple(Edge(e.source, e.target, e.by, e.address, _location(e.place), e.blocked) for e in info.edges)
    return Graph(
        nodes=tuple(Node(n.id, n.kind, n.label, _location(n.place), tuple(n.networks)) for n in info.nodes),
        edges=edges,
        networks=tuple(NetworkArea(n.name, n.internal, _location(n.place)) for n in info.networks),
        ways=tuple(
            Way(
                tuple(edges[index] for index in way.edges if index < len(edges)),
                way.text,
                tuple(way.avoids),
                way.offends,
            )
            for way in info.ways
        ),
    )


def place(location: Location | None) -> Place | None:
    """Return the public form of a place."""
    if location is None:
        return None
    return Place(file=short_path(location.file), line=location.line, column=location.column)


def _location(told_place: Place | None) -> Location | None:
    return Location(told_place.file, told_place.line, told_place.column) if told_place else None
