"""The diagrams of who can reach what: everything is drawn, forbidden ways are marked, and labels are only text."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from auditor.graph import Edge, Graph, NetworkArea, Node, Way
from auditor.report.diagram import mermaid, svg

HOSTILE = 'x"]; click n0 href "javascript:alert(1)"</text><script>alert(1)</script>&amp;\n```\x1b[31m'


def graph(label: str = "qwen-api:8000", *, wrong: bool = True) -> Graph:
    """Return a stack with a door, a proxy and a backend, and a router around the proxy."""
    nodes = (
        Node("internet", "outside", "internet"),
        Node("edge", "layer", "edge:443", networks=("public", "back")),
        Node("nginx", "layer", "nginx:80", networks=("back",)),
        Node("api", "backend", label, networks=("back",)),
    )
    published = Edge("internet", "edge", "0.0.0.0:443", "0.0.0.0:443")
    site, proxied = Edge("edge", "nginx", "router site", "nginx:80"), Edge("nginx", "api", "location /api/")
    direct = Edge("edge", "api", f"router {label}" if label == HOSTILE else "router api")
    walk = (published, direct)
    edges = (published, site, proxied, direct)
    drawn = Graph(nodes, edges, (NetworkArea("public"), NetworkArea("back", internal=True)))
    ways = (Way(walk, drawn.draw(walk), ("nginx",) if wrong else ()),)
    return Graph(nodes, edges, drawn.networks, ways)


def test_a_way_reads_as_a_person_would_draw_it() -> None:
    """A way names door, router and backend in order, and what it avoids."""
    assert graph().ways[0].drawn == "internet → edge:443 → router api → qwen-api:8000 (avoids nginx)"
    walks = sorted(graph().draw(walk) for walk in graph().walks("internet"))
    assert walks == [
        "internet → edge:443 → router api → qwen-api:8000",
        "internet → edge:443 → router site → nginx:80 → location /api/ → qwen-api:8000",
    ]


def test_mermaid_draws_everything_and_marks_the_forbidden_way() -> None:
    """Each node, edge and network is there once; the arrows of the forbidden way, and no others, are thick and red."""
    text = mermaid(graph())
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "flowchart LR"
    assert {'n0(["internet"])', 'n1["edge:443"]', 'n2["nginx:80"]', 'n3[["qwen-api:8000"]]'} <= set(lines)
    assert 'n1 ==>|"router api"| n3' in lines
    assert 'n1 -->|"router site"| n2' in lines
    assert 'subgraph net1["network back (internal)"]' in lines
    assert {"n1 -.- net0", "n1 -.- net1"} <= set(lines)
    links = [line for line in lines if "-->" in line or "==>" in line]
    marked = next(line for line in lines if line.startswith("linkStyle")).split()[1].split(",")
    assert [links[int(index)] for index in marked] == [line for line in links if "==>" in line]


def test_svg_is_well_formed_and_marks_the_forbidden_way() -> None:
    """The SVG is XML that draws each node and edge, names the forbidden way in words, and gives places as titles."""
    root = ET.fromstring(svg(graph()))
    groups = [element.get("class", "") for element in root.iter() if element.tag.endswith("}g")]
    assert sum(name.startswith("node") for name in groups) == 4
    assert groups.count("edge forbidden") == 2
    assert groups.count("edge plain") == 2
    assert groups.count("network") == 2
    assert "node backend forbidden" in groups
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")]
    assert "internet → edge:443 → router api → qwen-api:8000 (avoids nginx)" in texts


def test_nothing_is_marked_where_nothing_is_wrong() -> None:
    """A graph without forbidden ways has no red in it."""
    assert "#c62828" not in mermaid(graph(wrong=False))
    assert "forbidden" not in re.sub(r"<defs>.*?</defs>|no forbidden way", "", svg(graph(wrong=False)))


@pytest.mark.parametrize("network", ["back", HOSTILE])
def test_labels_are_only_text(network: str) -> None:
    """Labels that try to be Mermaid, HTML or Markdown arrive as text."""
    made = graph(HOSTILE)
    made = Graph(made.nodes, made.edges, (NetworkArea("public"), NetworkArea(network)), made.ways)
    text = mermaid(made)
    assert "```" not in text
    assert "\x1b" not in text
    assert "<script" not in text
    assert not re.search(r"^\s*click", text, re.MULTILINE)
    for line in text.splitlines():
        outside = re.sub(r'"[^"]*"', "", line)
        assert '"' not in outside, line
        assert "javascript" not in outside, line
    root = ET.fromstring(svg(made))
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg", "title", "defs", "marker", "path", "g", "rect", "text",
    }  # fmt: skip
    assert not any(name.startswith("on") or name == "href" for element in root.iter() for name in element.attrib)
