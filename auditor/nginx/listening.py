"""Compares the sockets that servers listen on, and says which nginx refuses to open together.

Sources: ngx_http_core_listen and ngx_http_add_listen (ngx_http_core_module.c, ngx_http.c), ngx_http_ssl_module.c.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from auditor.dataclass import dataclass
from auditor.nginx import entries
from auditor.nginx.arguments import number, size
from auditor.nginx.tokens import Directive

Report = Callable[[Directive, int, str, str], None]


@dataclass(frozen=True, slots=True)
class Server:
    """One server block: its listens, its names, and the settings that matter here."""

    block: Directive
    listens: tuple[Directive, ...]
    names: tuple[tuple[str, Directive, int], ...]
    settings: Mapping[str, Directive]

    def ports(self) -> set[str]:
        """Return the ports that the server listens on, as written ("80" where none is)."""
        found = {addresses(listen.args[0]) for listen in self.listens} or {"0.0.0.0:80"}
        return {address.rpartition(":")[2] for address in found if address and not address.startswith("unix:")}


@dataclass(slots=True)
class _Socket:
    """One address and port: who listens on it, whether it has a default server and its options."""

    first: Server
    ssl: bool = False
    default: Server | None = None
    options: bool = False
    servers: list[Server] | None = None


_FLAGS = frozenset(
    {
        "default_server",
        "default",
        "ssl",
        "http2",
        "spdy",
        "quic",
        "proxy_protocol",
        "bind",
        "deferred",
        "reuseport",
        "multipath",
    }
)
_SETS = frozenset({"bind", "deferred", "reuseport", "multipath"})


def _option(option: str) -> bool:
    """Whether a listen takes an option."""
    if option in _FLAGS:
        return True
    name, equals, value = option.partition("=")
    if not equals:
        return False
    if name in {"setfib", "fastopen"}:
        return number(value) is not None
    if name == "backlog":
        return value == "-1" or bool(number(value))
    if name in {"rcvbuf", "sndbuf"}:
        return size(value) is not None
    if name == "ipv6only":
        return value in {"on", "off"}
    if name == "accept_filter":
        return False
    return (
        name == "so_keepalive"
        and re.fullmatch(r"on|off|[\dsmhdw]*:[\dsmhdw]*:\d*", value) is not None
        and value != "::"
    )


def addresses(text: str) -> str | None:
    """Return the address and port of a listen in one form, "0.0.0.0:80" or "[::]:80"; None where there is none.

    A name stands for itself: what it resolves to is not in the configuration.
    """
    if text.startswith("unix:"):
        return text if len(text) > 5 else None
    if text.startswith("["):
        match = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text)
        if match is None:
            return None
        try:
            host = f"[{ipaddress.IPv6Address(match[1])}]"
        except ValueError:
            return None
        port = match[2]
    elif text.isascii() and text.isdigit():
        host, port = "0.0.0.0", text  # noqa: S104 - an address that is read, not opened
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
        if not host or "/" in host:
            return None
        host = "0.0.0.0" if host == "*" else host  # noqa: S104
    if port is None:
        return f"{host}:80"
    low, dash, high = port.partition("-")
    if not 1 <= (number(low) or 0) <= 65535 or (dash and not (number(low) or 0) <= (number(high) or 0) <= 65535):
        return None
    return f"{host}:{port}" if dash else f"{host}:{int(port)}"


def _spread(address: str) -> Iterator[str]:
    """Yield each socket of an address with a range of ports."""
    host, _colon, port = address.rpartition(":")
    low, dash, high = port.partition("-")
    if address.startswith("unix:") or not dash:
        yield address
    else:
        for one in range(int(low), int(high) + 1):
            yield f"{host}:{one}"


def compare(servers: Sequence[Server], http: Mapping[str, Directive], report: Report, *, complete: bool) -> None:  # noqa: C901 - one pass over all listens
    """Report what is wrong with the listens of all servers, in the order in which nginx finds it.

    `complete`: nothing is in files that are not here, so that what is not there is missing.
    """
    sockets: dict[str, _Socket] = {}
    for server in servers:
        if not server.listens:
            _add(sockets, server, None, "0.0.0.0:80", report)
        for listen in server.listens:
            address = addresses(listen.args[0])
            if address is None:
                report(
                    listen,
                    0,
                    f'"{listen.args[0]}" is not an address to listen on',
                    "write PORT, ADDRESS:PORT, [IPV6]:PORT or unix:PATH",
                )
                continue
            for index, option in enumerate(listen.args[1:], 1):
                if not _option(option):
                    report(listen, index, f'"{option}" is not an option of listen', "see the options of listen")
            if "ssl" in listen.args and "quic" in listen.args:
                report(listen, -1, '"ssl" and "quic" cannot stand together', "use two listens")
            for one in _spread(address):
                _add(sockets, server, listen, one, report)
    for address, socket in sockets.items():
        if complete:
            _certificates(address, socket, http, report)
        _names(socket, http, report)


def _add(sockets: dict[str, _Socket], server: Server, listen: Directive | None, address: str, report: Report) -> None:
    options = frozenset(listen.args[1:]) if listen else frozenset()
    at = listen or server.block
    sets = any(o in _SETS or "=" in o for o in options)
    default = bool(options & {"default_server", "default"})
    socket = sockets.get(address)
    if socket is None:
        socket = sockets[address] = _Socket(server, servers=[])
    elif socket.servers and server is socket.servers[-1]:
        report(at, -1, f"the server listens on {address} twice", "keep one of them")
        return
    if sets:
        if socket.options:
            report(at, -1, f"the options of {address} are given twice", "give them with one listen")
        socket.options = True
    if default:
        if socket.default is not None:
            report(at, -1, f"{address} has two default servers", "keep one default_server")
        socket.default = server
    socket.ssl = socket.ssl or bool(options & {"ssl", "quic"})
    if socket.servers is not None:
        socket.servers.append(server)


def _certificates(address: str, socket: _Socket, http: Mapping[str, Directive], report: Report) -> None:
    """Report the default server of a TLS socket that has no certificate."""
    server = socket.default or socket.first

    def setting(one: Server, name: str) -> Directive | None:
        return one.settings.get(name) or http.get(name)

    for one in socket.servers or ():
        if setting(one, "ssl_certificate") and not setting(one, "ssl_certificate_key"):
            report(
                setting(one, "ssl_certificate") or one.block,
                -1,
                "the certificate has no key",
                "add ssl_certificate_key",
            )
    if not socket.ssl or setting(server, "ssl_certificate"):
        return
    rejecting = setting(server, "ssl_reject_handshake")
    wanting: Sequence[Server] = (server,)
    if rejecting is not None and rejecting.args[0].lower() == "on":
        wanting = [
            one for one in socket.servers or ()
            if not setting(one, "ssl_certificate") and not ((r := setting(one, "ssl_reject_handshake")) and r.args[0].lower() == "on")
        ]  # fmt: skip
    for one in wanting:
        at = next((d for d in one.listens if address in _spread(addresses(d.args[0]) or "")), one.block)
        report(
            at,
            -1,
            f"the server listens on {address} with TLS and has no certificate",
            "add ssl_certificate and ssl_certificate_key",
        )


def _names(socket: _Socket, http: Mapping[str, Directive], report: Report) -> None:
    """Report the names of servers that share a socket and that nginx cannot put into its tables."""
    servers = socket.servers or []
    if len(servers) < 2:
        return
    for server in servers:
        for name, directive, index in server.names:
            if name.startswith("~") or not name:
                continue
            if entries.wildcard_wrong(name):
                report(
                    directive,
                    index,
                    f'"{name}" is not a server name',
                    "a star stands for whole labels at one end: *.example.com",
                )
            elif (
                "*" not in name
                and "${" not in name
                and "server_names_hash_bucket_size" not in http
                and entries.too_long_for_bucket(name)
            ):
                report(
                    directive,
                    index,
                    f'"{name}" is too long for the table of server names',
                    "set server_names_hash_bucket_size 128 in http",
                )


def no_server(upstream: Directive) -> bool:
    """Whether an upstream has no server that is not a backup."""
    inside = upstream.block or ()
    return not any(d.name == "include" or (d.name == "server" and "backup" not in d.args[1:]) for d in inside)
