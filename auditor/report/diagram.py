"""Draws who can reach what: as Mermaid for Markdown, as inline SVG for HTML; ways that the policy forbids are marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from auditor.dataclass import dataclass
from auditor.graph import Edge, Graph, NetworkArea, Node
from auditor.report.text import visible, where

MAX_LABELS = 3
"""Labels shown on one arrow; what more leads the same way is counted."""

_SHAPES = {
    "outside": ('(["', '"])'),
    "client": ('[/"', '"/]'),
    "layer": ('["', '"]'),
    "service": ('["', '"]'),
    "backend": ('[["', '"]]'),
}
_UNSAFE = re.compile(r"[^A-Za-z0-9 .:/_,=()→-]")


@dataclass(frozen=True, slots=True)
class Arrow:
    """The edges from one node to another that are alike, drawn as one."""

    source: str
    target: str
    labels: tuple[str, ...]
    wrong: bool
    blocked: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The labels to show, the rest counted."""
        more = len(self.labels) - MAX_LABELS
        return self.labels if more <= 0 else (*self.labels[:MAX_LABELS], f"and {more} more")


def arrows(graph: Graph) -> tuple[Arrow, ...]:
    """Return the graph's edges, those alike joined, those of a forbidden way marked."""
    marked = {edge for way in graph.wrong for edge in way.edges}
    joined: dict[tuple[str, str, bool, bool], list[str]] = {}
    for edge in graph.edges:
        labels = joined.setdefault((edge.source, edge.target, edge in marked, bool(edge.blocked)), [])
        label = _label(edge)
        if label and label not in labels:
            labels.append(label)
    return tuple(Arrow(s, t, tuple(labels), wrong, blocked) for (s, t, wrong, blocked), labels in joined.items())


def _label(edge: Edge) -> str:
    return f"{edge.by}: {edge.blocked}" if edge.blocked and edge.by else edge.by or edge.blocked


def _wrong_nodes(graph: Graph) -> frozenset[str]:
    """Return where the forbidden ways end."""
    return frozenset(way.edges[-1].target for way in graph.wrong if way.edges)


def _title(network: NetworkArea) -> str:
    return f"network {network.name} (internal)" if network.internal else f"network {network.name}"


def _homes(graph: Graph) -> tuple[dict[str, list[Node]], list[Node]]:
    """Return for each network the nodes that are on no other, and all the other nodes."""
    names = {network.name for network in graph.networks}
    homes: dict[str, list[Node]] = {network.name: [] for network in graph.networks}
    others = []
    for node in graph.nodes:
        if len(node.networks) == 1 and node.networks[0] in names:
            homes[node.networks[0]].append(node)
        else:
            others.append(node)
    return homes, others


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, without the fence: networks as boxes, forbidden ways thick and red."""
    ids = {node.id: f"n{index}" for index, node in enumerate(graph.nodes)}
    areas = {network.name: f"net{index}" for index, network in enumerate(graph.networks)}
    homes, others = _homes(graph)
    lines = ["flowchart LR"]
    lines += [f"    {_mermaid_node(ids, node)}" for node in others]
    for network in graph.networks:
        title = _title(network)
        lines.append(f'    subgraph {areas[network.name]}["{_entity(title)}"]')
        lines += [f"        {_mermaid_node(ids, node)}" for node in homes[network.name]]
        lines.append("    end")
    drawn = arrows(graph)
    for arrow in drawn:
        line = "-.-x" if arrow.blocked else "==>" if arrow.wrong else "-->"
        label = "<br/>".join(_entity(text) for text in arrow.lines)
        said = f'|"{label}"|' if label else ""
        lines.append(f"    {ids[arrow.source]} {line}{said} {ids[arrow.target]}")
    for node in others:
        lines += [f"    {ids[node.id]} -.- {areas[name]}" for name in node.networks if name in areas]
    wrong = [str(index) for index, arrow in enumerate(drawn) if arrow.wrong]
    if wrong:
        lines.append(f"    linkStyle {','.join(wrong)} stroke:#c62828,stroke-width:3px,color:#c62828")
    ends = [ids[node.id] for node in graph.nodes if node.id in _wrong_nodes(graph)]
    if ends:
        lines += ["    classDef forbidden stroke:#c62828,stroke-width:3px", f"    class {','.join(ends)} forbidden"]
    return "\n".join(lines) + "\n"


def _mermaid_node(ids: dict[str, str], node: Node) -> str:
    before, after = _SHAPES[node.kind]
    return f"{ids[node.id]}{before}{_entity(node.label)}{after}"


def _entity(text: str) -> str:
    """Write text so that neither Mermaid nor Markdown sees anything but text: all that is special by its number."""
    return _UNSAFE.sub(lambda found: f"#{ord(found.group())};", visible(text))


CHARACTER = 7.3
"""The width of a character of the labels in pixels: they are set in a monospaced face."""

HEIGHT, GAP, MARGIN, TURN, LONGEST = 34, 40, 16, 44, 38


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a node is drawn, in pixels."""

    node: Node
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + HEIGHT / 2


def svg(graph: Graph, *, name: str = "reach") -> str:
    """Return the graph as an SVG element to be put into HTML; `name` makes its ids differ from others on the page.

    Colours follow the page's text colour; nothing in it is fetched, scripted or styled from outside.
    """
    drawn = arrows(graph)
    columns = _columns(graph, drawn)
    boxes, widths, bottom = _placed(columns, drawn)
    right = max((box.x + box.width for box in boxes.values()), default=0.0) + MARGIN
    parts = [_definitions(name)]
    lanes, bottom = _lanes(drawn, columns, bottom - GAP + 6)
    parts += [_svg_arrow(arrow, boxes, lane, name) for arrow, lane in zip(drawn, lanes, strict=True)]
    ends = _wrong_nodes(graph)
    parts += [_svg_node(box, wrong=box.node.id in ends) for box in boxes.values()]
    nets, bottom = _svg_networks(graph, boxes, bottom, right)
    parts += nets
    listed, bottom = _svg_ways(graph, bottom)
    parts += listed
    right = max(right, *(MARGIN * 2 + len(way.drawn) * CHARACTER for way in graph.wrong), *(sum(widths),), 200.0)
    title = f"{len(graph.wrong)} forbidden ways" if graph.wrong else "no forbidden way"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="reach" role="img" aria-labelledby="{escape(name)}-title" '
        f'viewBox="0 0 {right:.0f} {bottom + MARGIN:.0f}" width="{right:.0f}" height="{bottom + MARGIN:.0f}" '
        'font-family="ui-monospace, monospace" font-size="12" fill="currentColor">\n'
        f'<title id="{escape(name)}-title">Who can reach what: {title}</title>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _definitions(name: str) -> str:
    return "<defs>" + "".join(
        f'<marker id="{escape(name)}-{kind}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
        for kind, colour in (("plain", "currentColor"), ("forbidden", RED))
    ) + "</defs>"  # fmt: skip


RED = "#c62828"


def _columns(graph: Graph, drawn: Sequence[Arrow]) -> list[list[Node]]:
    """Put each node one column to the right of the furthest node that leads to it; circles are cut."""
    depth = {node.id: 0 for node in graph.nodes}
    for _ in range(len(graph.nodes)):
        changed = False
        for arrow in drawn:
            wanted = depth[arrow.source] + 1
            if depth[arrow.target] < wanted < len(graph.nodes):
                depth[arrow.target], changed = wanted, True
        if not changed:
            break
    columns: list[list[Node]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for node in graph.nodes:
        columns[depth[node.id]].append(node)
    return [column for column in columns if column]


def _placed(columns: Sequence[Sequence[Node]], drawn: Sequence[Arrow]) -> tuple[dict[str, _Box], list[float], float]:
    """Place the columns from left to right, each node as near as can be to the rows of those that lead to it."""
    boxes: dict[str, _Box] = {}
    x, bottom, widths = float(MARGIN), 0.0, []
    for column in columns:
        width = max(len(_short(node.label)) for node in column) * CHARACTER + 2 * MARGIN
        wanted = {node.id: _wanted(node, boxes, drawn) for node in column}
        y = float(MARGIN)
        for node in sorted(column, key=lambda node: wanted[node.id]):
            y = max(y, wanted[node.id])
            boxes[node.id] = _Box(node, x, y, width)
            y += HEIGHT + GAP
            bottom = max(bottom, y)
        labels = [len(_short(line)) for a in drawn if a.source in {n.id for n in column} for line in a.lines]
        step = width + max([6.0, *map(float, labels)]) * CHARACTER + 3 * MARGIN
        widths.append(step)
        x += step
    return boxes, widths, bottom


def _wanted(node: Node, boxes: dict[str, _Box], drawn: Sequence[Arrow]) -> float:
    rows = [boxes[arrow.source].y for arrow in drawn if arrow.target == node.id and arrow.source in boxes]
    return sum(rows) / len(rows) if rows else 0.0


def _short(text: str) -> str:
    text = visible(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _svg_node(box: _Box, *, wrong: bool) -> str:
    node = box.node
    radius = HEIGHT / 2 if node.kind == "outside" else 4
    stroke = f'stroke="{RED}" stroke-width="2.5"' if wrong else 'stroke="currentColor" stroke-width="1"'
    dashes = ' stroke-dasharray="4 3"' if node.kind == "client" else ""
    inner = (
        f'<rect x="{box.x + 3:.1f}" y="{box.y + 3:.1f}" width="{box.width - 6:.1f}" height="{HEIGHT - 6}" rx="2" '
        f'fill="none" {stroke}/>'
        if node.kind == "backend"
        else ""
    )
    mark = " forbidden" if wrong else ""
    about = " ".join(part for part in (node.kind, visible(node.label), where(node.location)) if part)
    return (
        f'<g class="node {node.kind}{mark}"><title>{escape(about)}</title>'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{HEIGHT}" rx="{radius:g}" '
        f'fill="none" {stroke}{dashes}/>{inner}'
        f'<text x="{box.x + box.width / 2:.1f}" y="{box.middle + 4:.1f}" text-anchor="middle">'
        f"{escape(_short(node.label))}</text></g>"
    )


def _svg_arrow(arrow: Arrow, boxes: dict[str, _Box], lane: float | None, name: str) -> str:
    """Draw one arrow: straight on to the next column, or along a lane below all boxes where it passes some."""
    source, target = boxes[arrow.source], boxes[arrow.target]
    x1, y1 = source.x + source.width, source.middle
    x2, y2 = target.x, target.middle
    if lane is None:
        bend = (x2 - x1) / 2
        line = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        middle, above = (x1 + x2) / 2, (y1 + y2) / 2 - 5
    else:
        down, up = x1 + TURN, x2 - TURN
        line = (
            f"M{x1:.1f} {y1:.1f} C{down:.1f} {y1:.1f} {x1:.1f} {lane:.1f} {down:.1f} {lane:.1f} H{up:.1f} "
            f"C{x2:.1f} {lane:.1f} {up:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        )
        middle, above = (down + up) / 2, lane - 5
    kind = "forbidden" if arrow.wrong else "plain"
    look = f'stroke="{RED}" stroke-width="3"' if arrow.wrong else 'stroke="currentColor" stroke-width="1.2"'
    look += ' stroke-dasharray="2 5"' if arrow.blocked else ""
    colour = f' fill="{RED}"' if arrow.wrong else ""
    text = "".join(
        f'<text x="{middle:.1f}" y="{above - 12 * (len(arrow.lines) - 1 - index):.1f}" font-size="11" '
        f'text-anchor="middle"{colour}>{escape(_short(line))}</text>'
        for index, line in enumerate(arrow.lines)
    )
    return (
        f'<g class="edge {kind}"><path d="{line}" fill="none" {look} marker-end="url(#{escape(name)}-{kind})"/>'
        f"{text}</g>"
    )


def _lanes(
    drawn: Sequence[Arrow], columns: Sequence[Sequence[Node]], bottom: float
) -> tuple[list[float | None], float]:
    """Give each arrow that passes a column, or goes back, a lane of its own below the boxes."""
    column = {node.id: index for index, nodes in enumerate(columns) for node in nodes}
    lanes: list[float | None] = []
    for arrow in drawn:
        if column[arrow.target] - column[arrow.source] == 1:
            lanes.append(None)
            continue
        bottom += 8 + 12 * max(1, len(arrow.lines))
        lanes.append(bottom)
    return lanes, bottom


def _svg_networks(graph: Graph, boxes: dict[str, _Box], bottom: float, right: float) -> tuple[list[str], float]:
    """Draw each network as a bus below the nodes, with a line up to everything that is attached to it."""
    parts = []
    y = bottom + MARGIN
    for network in graph.networks:
        members = [box for box in boxes.values() if network.name in box.node.networks]
        look = 'stroke="currentColor" stroke-width="2"' + ("" if network.internal else ' stroke-dasharray="8 4"')
        title = _title(network)
        drops = "".join(
            f'<path d="M{box.x + 8 + 6 * _index(graph, network.name):.1f} {box.y + HEIGHT:.1f} V{y:.1f}" fill="none" '
            'stroke="currentColor" stroke-width="0.8" stroke-dasharray="1 3"/>'
            for box in members
        )
        parts.append(
            f'<g class="network"><title>{escape(visible(title))}</title><path d="M{MARGIN} {y:.1f} H{right - MARGIN:.1f}" '
            f'fill="none" {look}/>{drops}<text x="{MARGIN}" y="{y + 15:.1f}" font-size="11">{escape(visible(title))}'
            "</text></g>"
        )
        y += 30
    return parts, y if graph.networks else bottom


def _index(graph: Graph, name: str) -> int:
    return next(index for index, network in enumerate(graph.networks) if network.name == name)


def _svg_ways(graph: Graph, bottom: float) -> tuple[list[str], float]:
    parts = []
    for way in graph.wrong:
        bottom += 18
        parts.append(
            f'<text class="way forbidden" x="{MARGIN}" y="{bottom:.1f}" fill="{RED}">'
            f"{escape(visible(way.drawn))}</text>"
        )
    return parts, bottom
