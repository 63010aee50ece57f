"""What no request shows by itself: the directives in force at a node (timeouts, buffering), and headers lost there."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.exchange import Field, Setting
from auditor.nginx.model import Node
from auditor.nginx.settings import settings_of
from auditor.nginx.state import LAYER
from auditor.nginx.tokens import Directive
from auditor.nginx.variables import Variables

SHOWN = (
    "brotli",
    "brotli_types",
    "client_max_body_size",
    "gzip",
    "gzip_min_length",
    "gzip_proxied",
    "gzip_types",
    "gzip_vary",
    "keepalive_timeout",
    "proxy_buffering",
    "proxy_connect_timeout",
    "proxy_http_version",
    "proxy_read_timeout",
    "proxy_request_buffering",
    "proxy_send_timeout",
    "server_tokens",
    "ssl_protocols",
)
"""The directives that checks ask about; one that is not set has nginx's default."""


def settings_shown(node: Node, upstreams: Mapping[str, Directive]) -> dict[str, Setting]:
    """Return the directives of `SHOWN` in force at a node, and the keepalive of the upstream block it proxies to."""
    found = {}
    for name in SHOWN:
        lines = (
            node.find(name) if name.endswith("_types") else [line for line in (node.last(name),) if line is not None]
        )
        if lines:
            found[name] = Setting(tuple(arg for line in lines for arg in line.args), lines[-1].location)
    passing = node.handler or node.enclosing().handler  # an `if` without one goes on as its location does
    if passing is not None and passing.name == "proxy_pass" and passing.args:
        block = upstreams.get(passing.args[0].partition("://")[2].partition("/")[0].lower())
        for line in (block.block or ()) if block is not None else ():
            if line.name == "keepalive":
                found["upstream_keepalive"] = Setting(line.args, line.location)
    return found


def headers_lost(node: Node, variables: Variables) -> tuple[Field, ...]:
    """Return the `add_header` lines of outer levels that the node's own ones drop."""
    return tuple(
        Field(line.args[0], line.args[1] if len(line.args) > 1 else "", line.location, LAYER)
        for line in settings_of(node, variables).lost
        if line.args
    )
