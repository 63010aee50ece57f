"""Published ports in Compose's short and long syntax: host address, ranges, protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.compose.model import Port
from auditor.errors import Problem
from auditor.tree import Node

MAX_RANGE = 1024
_SHORT = re.compile(
    r"^(?:(?P<ip>\[[0-9A-Fa-f:.]+\]|[^:]*):)?(?:(?P<host>[0-9]*(?:-[0-9]+)?):)?(?P<target>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>\w+))?$"
)
_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")


def read(node: Node, problems: list[Problem]) -> Iterator[Port]:
    """Yield the ports that one item of `ports` publishes; a range yields each."""
    if node.entries is not None:
        yield from _long(node, problems)
        return
    text = node.text.strip()
    # NOTE: "8000:80" has no address, so what the pattern took for one may be the host's port.
    found = _SHORT.match(text)
    if found is None:
        problems.append(Problem(f"{text!r} is not a port mapping", node.location, 'write "host:container"'))
        return
    address, host, target = found["ip"], found["host"], found["target"]
    if host is None and address is not None:
        if not re.fullmatch(r"[0-9]*(?:-[0-9]+)?", address):
            problems.append(Problem(f"{text!r} is not a port mapping", node.location, 'write "host:container"'))
            return
        address, host = "", address
    yield from _pairs(
        node, (address or "").strip("[]"), host or "", target, (found["protocol"] or "tcp").lower(), problems
    )


def _bounds(text: str) -> tuple[int, int] | None:
    found = _RANGE.match(text)
    if found is None:
        return None
    low = int(found[1])
    high = int(found[2] or low)
    return (low, high) if 0 < low <= high <= 65535 and high - low < MAX_RANGE else None


def _pairs(node: Node, address: str, host: str, target: str, protocol: str, problems: list[Problem]) -> Iterator[Port]:  # noqa: PLR0917
    inner = _bounds(target)
    outer = _bounds(host) if host else None
    if inner is None or (host and outer is None):
        problems.append(Problem(f"{node.text!r} holds an impossible port", node.location, "use 1 to 65535"))
        return
    count = inner[1] - inner[0] + 1
    if outer is not None and count > 1 and outer[1] - outer[0] + 1 != count:
        problems.append(Problem(f"the ranges of {node.text!r} differ in length", node.location, "make them equal"))
        return
    for index in range(count):
        published = ""
        if outer is not None:
            published = host if count == 1 else str(outer[0] + index)
        yield Port(inner[0] + index, published, node.location, address, protocol)


def _long(node: Node, problems: list[Problem]) -> Iterator[Port]:
    def text(name: str) -> str:
        child = node.get(name)
        return child.text.strip() if child is not None and child.is_scalar else ""

    if not text("target"):
        problems.append(Problem("a port in the long syntax needs a target", node.location, "add target: 80"))
        return
    yield from _pairs(
        node,
        text("host_ip").strip("[]"),
        text("published"),
        text("target"),
        (text("protocol") or "tcp").lower(),
        problems,
    )
