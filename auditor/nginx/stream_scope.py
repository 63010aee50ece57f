"""Keeps what a stream block declares, and says where nginx refuses one of its directives because of another.

Sources: ngx_stream.c, ngx_stream_core_module.c, ngx_stream_variables.c, ngx_stream_upstream.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.nginx import arguments, listening
from auditor.nginx.arguments import words
from auditor.nginx.tokens import Directive

Report = Callable[[Directive, int, str, str], None]

_KNOWN = words("""
    binary_remote_addr bytes_received bytes_sent connection hostname msec nginx_version pid protocol proxy_protocol_addr
    proxy_protocol_port proxy_protocol_server_addr proxy_protocol_server_port realip_remote_addr realip_remote_port
    remote_addr remote_port server_addr server_name server_port session_time ssl_alpn_protocol ssl_cipher ssl_ciphers
    ssl_client_cert ssl_client_fingerprint ssl_client_i_dn ssl_client_i_dn_legacy ssl_client_raw_cert ssl_client_s_dn
    ssl_client_s_dn_legacy ssl_client_serial ssl_client_v_end ssl_client_v_remain ssl_client_v_start ssl_client_verify
    ssl_client_sigalg ssl_sigalg ssl_sigalgs ssl_ech_status ssl_ech_outer_server_name ssl_curve ssl_curves ssl_early_data
    ssl_preread_alpn_protocols ssl_preread_protocol ssl_preread_server_name ssl_protocol ssl_server_name ssl_session_id
    ssl_session_reused status time_iso8601 time_local limit_conn_status upstream_addr upstream_bytes_received
    upstream_bytes_sent upstream_connect_time upstream_first_byte_time upstream_session_time
    """)
_PREFIXES = ("proxy_protocol_tlv_", "geoip", "js_")
_LISTEN = (
    r"ssl|udp|proxy_protocol|bind|deferred|reuseport|multipath|default_server|setfib=\d+|fastopen=\d+|backlog=\d+|"
    r"rcvbuf=\d+[kKmM]?|sndbuf=\d+[kKmM]?|ipv6only=(?:on|off)|so_keepalive=\S+|accept_filter=\S+"
)
_EVALUATED = words("""map geo split_clients hash proxy_pass return log_format limit_conn_zone access_log proxy_ssl_name proxy_ssl_alpn pass
    proxy_ssl_certificate proxy_ssl_certificate_key proxy_bind proxy_upload_rate proxy_download_rate set""")
_DEFINING = frozenset({"map", "geo", "split_clients"})


@dataclass(slots=True)
class StreamScope:
    """What one stream block has declared and used."""

    problem: Report
    open: bool
    defined: set[str] = field(default_factory=set)
    used: list[tuple[str, Directive, int]] = field(default_factory=list)
    upstreams: set[str] = field(default_factory=set)
    formats: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    zone_uses: list[Directive] = field(default_factory=list)
    mapped: bool = False
    upstream_uses: list[Directive] = field(default_factory=list)

    def read(self, block: Directive) -> None:
        """Take note of the directives of a stream block, and of those of its servers."""
        for directive in block.block or ():
            self._take(directive)
            if directive.name == "server":
                self._server(directive)

    def _server(self, server: Directive) -> None:
        content = [d for d in server.block or () if d.args]
        for directive in content:
            self._take(directive)
        names = {d.name for d in content}
        if "ssl_certificate" in names and "ssl_certificate_key" not in names:
            self.problem(server, -1, "the certificate has no key", "add ssl_certificate_key")
        seen: set[tuple[str | None, bool]] = set()
        for listen in content:
            if listen.name == "listen":
                key = (listening.addresses(listen.args[0]), "udp" in listen.args)
                if key in seen:
                    self.problem(listen, 0, f"the server listens on {listen.args[0]} twice", "keep one of them")
                seen.add(key)
        if "listen" not in names:
            self.problem(server, -1, "the server of stream listens nowhere", "add listen")

    def _take(self, directive: Directive) -> None:  # noqa: C901 - one branch for each kind of directive
        name = directive.name
        if name in _EVALUATED:
            for index, arg in enumerate(directive.args):
                if (name in _DEFINING and index == len(directive.args) - 1) or (
                    index == 0 and name in {"log_format", "set"}
                ):
                    continue
                for _i, message, hint in arguments.variable_complaints((arg,), 0):
                    self.problem(directive, index, message, hint)
                self.used += [(v, directive, index) for v in arguments.variables(arg) if v]
        if name in _DEFINING and directive.args:
            self.defined.add(directive.args[-1].lstrip("$").lower())
            if name == "map":
                self.mapped = True
                self._entries(directive)
        elif name.startswith("map_hash") and self.mapped:
            self.problem(
                directive, -1, f'"{name}" comes after a map, which has set it already', "move it before the first map"
            )
        elif name in {"set", "js_set", "js_var"} and directive.args:
            self.defined.add(directive.args[0].lstrip("$").lower())
            if not directive.args[0].startswith("$") or len(directive.args[0]) < 2:
                self.problem(directive, 0, f'"{directive.args[0]}" is not a variable', "write $name")
        elif name == "upstream" and directive.args:
            self._upstream(directive)
        elif name == "listen":
            self._listen(directive)
        elif name == "log_format" and directive.args:
            if directive.args[0] in self.formats:
                self.problem(directive, 0, f'there is another log format "{directive.args[0]}"', "rename one of them")
            self.formats.add(directive.args[0])
        elif name == "access_log":
            self._log(directive)
        elif name == "limit_conn_zone" and len(directive.args) == 2:
            self.zones.add(directive.args[1].removeprefix("zone=").rpartition(":")[0])
        elif name == "limit_conn":
            self.zone_uses.append(directive)
        elif name in {"proxy_pass", "pass"} and directive.args and "$" not in directive.args[0]:
            self._target(directive)

    def _entries(self, table: Directive) -> None:
        for entry in table.block or ():
            self.used += [
                (v, entry, 0) for arg in entry.args for v in arguments.variables(arg) if v and v not in "123456789"
            ]
            if entry.name.startswith("~"):
                self.defined.update(n.lower() for n in arguments.regex(entry.name.lstrip("~*"))[1])

    def _target(self, directive: Directive) -> None:
        target = directive.args[0]
        for message, hint in arguments_of_address(target):
            self.problem(directive, 0, message, hint)
        if ":" not in target:
            self.upstream_uses.append(directive)

    def _log(self, directive: Directive) -> None:
        args = directive.args
        if args and args[0] != "off" and len(args) < 2:
            self.problem(directive, -1, "a log of stream needs a format", "declare one with log_format, and name it")
        elif len(args) > 1 and args[0] != "off" and args[1] not in self.formats and not self.open:
            self.problem(
                directive, 1, f'the log format "{args[1]}" is not declared above', "declare it with log_format"
            )

    def _upstream(self, directive: Directive) -> None:
        name = directive.args[0].lower()
        if name in self.upstreams:
            self.problem(directive, 0, f'there is another upstream "{name}"', "rename one of them")
        self.upstreams.add(name)
        if listening.no_server(directive):
            self.problem(directive, -1, f'the upstream "{name}" has no server', "add a server that is not a backup")
        for inner in directive.block or ():
            if inner.name == "hash":
                self._take(inner)

    def _listen(self, directive: Directive) -> None:
        if listening.addresses(directive.args[0]) is None or ":" not in f"{directive.args[0]}:":
            self.problem(directive, 0, f'"{directive.args[0]}" is not an address to listen on', "write ADDRESS:PORT")
        elif not re.search(r"(?:^|:)\d+(?:-\d+)?$", directive.args[0]) and not directive.args[0].startswith("unix:"):
            self.problem(directive, 0, "a listen of stream needs a port", "write ADDRESS:PORT")
        for index, option in enumerate(directive.args[1:], 1):
            if re.fullmatch(_LISTEN, option) is None:
                self.problem(
                    directive, index, f'"{option}" is not an option of listen', "see the options of listen in stream"
                )

    def finish(self) -> None:
        """Check the names that nothing declares."""
        for directive in self.upstream_uses:
            if (directive.name == "pass" or directive.args[0].lower() not in self.upstreams) and not self.open:
                self.problem(directive, 0, f'"{directive.args[0]}" has no port and is no upstream', "write HOST:PORT")
        for name, directive, index in self.used:
            if name not in self.defined and name not in _KNOWN and not name.startswith(_PREFIXES) and not self.open:
                self.problem(
                    directive,
                    index,
                    f'nothing defines the variable "${name}"',
                    "define it with map, or correct the name",
                )
        for directive in self.zone_uses:
            if directive.args and directive.args[0] not in self.zones and not self.open:
                self.problem(
                    directive, 0, f'the zone "{directive.args[0]}" is not declared', "declare it with limit_conn_zone"
                )


def arguments_of_address(text: str) -> list[tuple[str, str]]:
    """Complain about an address that is neither HOST:PORT nor a socket."""
    if text.startswith("unix:"):
        return []
    host, colon, port = text.rpartition(":")
    if colon and not text.endswith("]"):
        return (
            []
            if host and 1 <= (arguments.number(port) or 0) <= 65535
            else [(f'"{text}" is not HOST:PORT', "write HOST:PORT")]
        )
    return []
