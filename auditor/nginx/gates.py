"""What stands between a chosen location and its content, compiled once a node: limits, access, the client's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.nginx import access, limits
from auditor.nginx.model import Node
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.compile import Http
    from auditor.nginx.variables import Variables


@dataclass(frozen=True, slots=True)
class Gate:
    """Everything of one node that a request passes before its content."""

    real_ip: access.RealIp | None
    input_headers: tuple[Directive, ...]
    requests: tuple[limits.Rule, ...]
    connections: tuple[limits.Rule, ...]
    access: access.Access | None
    open: bool


def gate_of(node: Node, http: Http, variables: Variables) -> Gate:
    """Compile the gate of a node."""
    real_ip = access.real_ip_of(node)
    inputs = input_headers(node)
    requests = limits.rules_of(node, http, variables, "limit_req")
    connections = limits.rules_of(node, http, variables, "limit_conn")
    rules = access.access_of(node, variables)
    free = real_ip is None and not inputs and not requests and not connections and rules is None
    return Gate(real_ip, inputs, requests, connections, rules, free)


def input_headers(node: Node) -> tuple[Directive, ...]:
    """Return the headers-more commands on the request: outer levels first."""
    chain: list[Node] = []
    level: Node | None = node
    while level is not None:
        chain.append(level)
        level = level.parent
    return tuple(line for level in reversed(chain) for line in level.own.get("more input headers", ()))
