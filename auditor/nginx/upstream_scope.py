"""Keeps the upstreams that an http block declares and passes requests to, and says which do not fit.

Sources: ngx_http_upstream.c, ngx_http_upstream_round_robin.c, ngx_http_proxy_pass (ngx_http_proxy_module.c).
"""

from __future__ import annotations

from dataclasses import field

from auditor.dataclass import dataclass
from auditor.nginx.listening import no_server
from auditor.nginx.tokens import Directive
from auditor.nginx.variable_scope import Report

_NEED_PORT = frozenset({"grpc_pass", "tunnel_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"})


@dataclass(slots=True)
class UpstreamScope:
    """The upstreams of one http block; `open`: others may be declared in files that are not here."""

    problem: Report
    open: bool
    declared: dict[str, Directive] = field(default_factory=dict)
    uses: list[tuple[str, Directive]] = field(default_factory=list)

    def upstream(self, directive: Directive) -> None:
        """Keep an upstream."""
        reserve = True
        for inner in directive.block or ():
            reserve = reserve and inner.name not in {"ip_hash", "hash", "random"}
            if not reserve and inner.name == "server" and "backup" in inner.args[1:]:
                self.problem(
                    inner,
                    inner.args.index("backup"),
                    "the balancing method has no backup servers",
                    "drop backup, or use another method",
                )
        name = directive.args[0].lower()
        if name in self.declared:
            self.problem(directive, 0, f'there is another upstream "{directive.args[0]}"', "rename one of them")
        self.declared[name] = directive
        if no_server(directive):
            self.problem(
                directive, -1, f'the upstream "{directive.args[0]}" has no server', "add a server that is not a backup"
            )

    def passing(self, directive: Directive, context: str, modifier: str) -> None:
        """Check where a proxy_pass stands (in a location of this modifier), and keep the upstream it names."""
        target = directive.args[0] if directive.args else "$"
        if "$" in target and directive.name != "memcached_pass":
            return
        rest = (
            target.partition("://")[2] if directive.name in {"proxy_pass", "grpc_pass"} and "://" in target else target
        )
        host, slash, _uri = rest.partition("/")
        if not rest.startswith(("unix:", "[")):
            self.uses.append((host.partition("?")[0].lower(), directive))
        if directive.name != "proxy_pass":
            return
        if rest.startswith("unix:"):
            slash = rest[5:].partition(":")[1]
        if not (slash or "?" in host):
            return
        where = {
            "~": "a location given by a regular expression",
            "~*": "a location given by a regular expression",
            "@": "a named location",
        }.get(modifier, "")
        if context in {"if-location", "limit_except"}:
            where = "an if" if context == "if-location" else "a limit_except"
        if where:
            self.problem(
                directive,
                0,
                f"proxy_pass cannot have a URI in {where}",
                "leave out the part after the host, or use a variable",
            )

    def finish(self) -> None:
        """Report the upstreams that are named with a port, and the hosts that have none where nginx needs one."""
        for host, directive in self.uses:
            name, colon, _port = host.partition(":")
            if colon and name in self.declared:
                self.problem(
                    directive,
                    0,
                    f'the upstream "{name}" is named with a port',
                    "leave the port out: the upstream's servers have theirs",
                )
            elif not colon and directive.name in _NEED_PORT and name not in self.declared and not self.open:
                self.problem(directive, 0, f'"{host}" has no port and is no upstream', "write HOST:PORT")
