"""The variables of a request: nginx's own, those of `set` and named captures, and the tables (map, geo, split_clients)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.exchange import UNKNOWN_VALUE
from auditor.nginx.state import Run
from auditor.nginx.template import Getter, Part, Value

if TYPE_CHECKING:
    from auditor.nginx.compile import Http

SINGLE_HEADERS = frozenset(
    {
        "host", "content-length", "content-range", "if-range", "if-modified-since", "if-unmodified-since",
        "if-match", "if-none-match", "transfer-encoding", "expect", "authorization", "proxy-authorization",
    }
)  # fmt: skip
"""Request headers that nginx accepts once only (`ngx_http_headers_in`, src/http/ngx_http_request.c)."""
_JOINS = (1, 23, 0)
"""The version that joins the values of lines of one name; before, their variable was the first one's."""
PROXY_CREDENTIALS = (1, 29, 7)
"""The version that knows the status 407; Proxy-Authorization may come twice in 1.22 and only once in 1.31."""


class Variables:
    """Finds the getter of every variable of one configuration; each is built once."""

    def __init__(self, http: Http, version: tuple[int, ...], remembered: Collection[str] = ()) -> None:
        """Prepare for a configuration; the last reading of the variables `remembered` is kept."""
        self.remembered = remembered
        self.http = http
        self.version = version
        self.getters: dict[str, Getter] = {}
        self.plain = http.plain

    def get(self, name: str) -> Getter:
        """Return the function that reads this variable (its name in lower case)."""
        getter = self.getters.get(name)
        if getter is None:
            self.getters[name] = self._later(name)  # a map may refer to itself
            getter = self.getters[name] = self._build(name)
        return getter

    def _later(self, name: str) -> Getter:
        """Return a getter that finds the real one when it is used."""
        getters = self.getters

        def get(run: Run) -> str:
            return getters[name](run)

        return get

    def value(self, text: str) -> Value:
        """Compile a text with variables."""
        return Value(text, self)

    def set_by_regexes(self, name: str) -> bool:
        """Whether a regex that runs may set this variable, which then has no other origin than `set`."""
        return name in self.plain

    def moves(self, parts: tuple[Part, ...]) -> bool:
        """Whether reading these parts once may change what some of them are the next time: a `map` may run a regex."""
        return any(kind == "capture" or (kind == "variable" and name in self.plain) for kind, name in parts) and any(
            kind == "variable" and name in self.http.tables for kind, name in parts
        )

    def _build(self, name: str) -> Getter:
        if name in self.http.tables:
            from auditor.nginx.tables import table  # noqa: PLC0415 - tables need values, values need variables

            return table(name, self.http.tables[name], self)
        live = _LIVE.get(name) or _live_family(name, joins=self.version >= _JOINS)
        if live is not None:
            return _remembered(name, live) if name in self.remembered else live
        made = _CACHED.get(name) or self._of_this_version(name)
        if made is not None:
            return _cached(name, made)
        if name in self.plain:
            return lambda run: run.vars.get(name, "")
        return _cached(name, _unknown)

    def _of_this_version(self, name: str) -> Getter | None:
        """Return the getter of a variable that versions read differently, or of a family ($http_…, $cookie_…)."""
        if name == "remote_user":
            return lambda run: _remote_user(run, self.version)
        if name.startswith("http_"):
            header = name[5:]
            return lambda run: run.header.get(header, "")
        if name.startswith("cookie_"):
            cookie = name[7:]
            comma = self.version < (1, 29, 6)
            return lambda run: _cookie(run, cookie, comma=comma)
        if name.startswith("sent_http_"):
            header = name[10:]
            joins = self.version >= _JOINS or header in {"cache_control", "link"}
            return lambda run: _sent(run, header, joins=joins)
        if name.startswith("ssl_"):
            return _tls(_unknown)
        if name.startswith("proxy_protocol_"):
            return lambda run: UNKNOWN_VALUE if run.listen.proxy_protocol else ""
        return None


def _live_family(name: str, *, joins: bool) -> Getter | None:
    """Return the getter of a family of variables that is read anew each time."""
    if name.startswith("arg_"):
        argument_name = name[4:]
        return lambda run: argument(run, argument_name)
    if name.startswith("upstream_http_"):
        header = name[14:]
        return lambda run: _upstream_header(run, header, joins=joins)
    if name.startswith("upstream_cookie_"):
        cookie = name[16:]
        return lambda run: _upstream_cookie(run, cookie)
    return None


STALE = "last read: "
"""Begins the key under which the last reading of a variable that `charset` looks at is kept; "=" stands before it."""


def _remembered(name: str, live: Getter) -> Getter:
    """Return a getter that keeps what it read, found or not, for `charset`, which does not read it anew."""

    def get(run: Run) -> str:
        value = live(run)
        run.vars[STALE + name] = f"={value}" if value or not not_found(run, name) else ""
        return value

    return get


def _cached(name: str, make: Getter) -> Getter:
    def get(run: Run) -> str:
        value = run.vars.get(name)
        if value is None:
            if run.depth == 0:
                return ""
            value = run.vars[name] = make(run)
        return value

    return get


def _unknown(_run: Run) -> str:
    return UNKNOWN_VALUE


def argument(run: Run, name: str) -> str:
    """Return the first value of an argument as `$arg_name` reads it, not decoded."""
    for pair in run.args.split("&"):
        key, equals, value = pair.partition("=")
        if equals and key.lower() == name:
            return value
    return ""


def _cookie(run: Run, name: str, *, comma: bool) -> str:
    """Return a cookie as `ngx_http_parse_multi_header_lines` finds it: names may follow a comma in old versions."""
    text = run.header.get("cookie", "")
    ends = ";," if comma else ";"
    start = 0
    while start < len(text):
        after = start + len(name)
        if text[start:after].lower() == name:
            rest = text[after:].lstrip(" ")
            if rest.startswith("="):
                return rest[1:].lstrip(" ").partition(";")[0]
        while start < len(text) and text[start] not in ends:
            start += 1
        start += 1
        while start < len(text) and text[start] == " ":
            start += 1
    return ""


def _sent(run: Run, name: str, *, joins: bool) -> str:
    """Return a header of the answer as it stands now."""
    if name == "content_type":
        return run.content_type or ""
    if name == "content_length":
        return run.content_length or ""
    if name == "last_modified" and run.last_modified:
        return run.last_modified
    if name == "connection":
        return "keep-alive" if run.keepalive else "close"
    if name == "location" and run.redirect is not None:
        return run.redirect.value
    values = [line.value for line in run.sent if line.name.lower().replace("-", "_") == name]
    if run.further and name.replace("_", "-") not in run.absent:
        return UNKNOWN_VALUE
    return ", ".join(values if joins else values[:1])


def _upstream_header(run: Run, name: str, *, joins: bool) -> str:
    if run.upstream.status is None:
        return ""
    values = [line.value for line in run.upstream.headers if line.name.lower().replace("-", "_") == name]
    if run.upstream.further:
        return UNKNOWN_VALUE
    return ", ".join(values if joins else values[:1])


def _upstream_cookie(run: Run, name: str) -> str:
    """Return the value of a cookie that the upstream sets (`ngx_http_parse_set_cookie_lines`)."""
    for line in run.upstream.headers:
        start, rest = line.value[: len(name)], line.value[len(name) :].lstrip(" ")
        if line.name.lower() == "set-cookie" and start.lower() == name and rest.startswith("="):
            return rest[1:].lstrip(" ").partition(";")[0]
    return UNKNOWN_VALUE if run.upstream.further else ""


def _tls(value: Callable[[Run], str]) -> Callable[[Run], str]:
    """Return the getter of a variable that is empty on a connection without TLS."""
    return lambda run: value(run) if run.request.scheme == "https" else ""


def _cache_status(run: Run) -> str:
    caches = any(run.node.last(f"{family}_cache") is not None for family in ("proxy", "fastcgi", "uwsgi", "scgi"))
    return UNKNOWN_VALUE if caches else ""


def _binary_address(run: Run) -> str:
    return _packed(run.client)


@lru_cache(maxsize=1024)
def _packed(address: str) -> str:
    try:
        return ipaddress.ip_address(address).packed.decode("latin-1")
    except ValueError:
        return UNKNOWN_VALUE


def server_address(run: Run) -> str:
    """Return the address the connection came to, as far as it is known."""
    if run.listen.address.startswith("unix:"):
        return run.listen.address
    address = parse_literal(run.request.listen.rpartition(":")[0].strip("[]") or run.listen.address.strip("[]"))
    if address is None or address.is_unspecified:
        return UNKNOWN_VALUE
    return mapped(run.listen.address, str(address))


def parse_literal(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; None for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def mapped(listening: str, address: str) -> str:
    """Return an IPv4 address as a socket for every IPv6 address sees it."""
    return f"::ffff:{address}" if listening == "[::]" and "." in address and ":" not in address else address


def _forwarded(run: Run) -> str:
    known = run.header.get("x_forwarded_for")
    return run.client if known is None else f"{known}, {run.client}"


def credentials(run: Run, version: tuple[int, ...]) -> str:
    """Return the header line with which the client says who it is: to a proxy another, since nginx can be one."""
    tunnel = run.method == "CONNECT" and version >= PROXY_CREDENTIALS
    return run.header.get("proxy_authorization" if tunnel else "authorization", "")


def _remote_user(run: Run, version: tuple[int, ...]) -> str:
    """Return the user of Basic credentials, "" where they are none (`ngx_http_auth_basic_user`)."""
    scheme, _, text = credentials(run, version).partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, colon, _ = base64.b64decode(text.strip(" "), validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return user if colon else ""


def not_found(run: Run, name: str) -> bool:
    """Whether a variable is not there at all, which a few places tell from one that is empty."""
    if name.startswith("arg_"):
        return not any(
            pair.partition("=")[1] and pair.partition("=")[0].lower() == name[4:] for pair in run.args.split("&")
        )
    if name.startswith("http_"):
        return name[5:] not in run.header and name not in run.vars
    if name.startswith(("cookie_", "sent_http_", "upstream_")) or name in {
        "remote_user",
        "content_type",
        "content_length",
    }:
        return not run.vars.get(name) and not run.value(f"${name}")
    return False


def invalid_referer(run: Run) -> str:
    """Return "1" where `valid_referers` refuses the request's Referer."""
    from auditor.nginx.referers import refused  # noqa: PLC0415 - referers need variables

    return refused(run)


def _content_length(run: Run) -> str:
    return run.header.get("content_length") or (run.body_read if run.chunked else "")


def _status(run: Run) -> str:
    status = run.err_status or run.status
    return f"{status:03d}"


def server_name(run: Run) -> str:
    """Return `$server_name`: the first name, lower-case, without a leading dot."""
    names = run.server.own.get("server_name")
    first = names[0].args[0] if names and names[0].args else ""
    if not first.startswith("~"):
        first = first.lower()
    return first.removeprefix(".")


def _host(run: Run) -> str:
    return run.host or server_name(run)


def _protocol(run: Run) -> str:
    return _version_sent(run) if run.line_read else ""


def _version_sent(run: Run) -> str:
    version = run.request.version
    return f"HTTP/{version if '.' in version else version + '.0'}"


def _request_line(run: Run) -> str:
    return f"{run.request.method} {run.request.target} {_version_sent(run)}"


def _http2(run: Run) -> str:
    if not run.http.startswith("2"):
        return ""
    return "h2" if run.request.scheme == "https" else "h2c"


def _request_port(run: Run) -> str:
    host = run.request.host
    tail = host.rsplit(":", 1)[-1] if ":" in host and not host.endswith("]") else ""
    return tail if tail.isdigit() else ""


def _document_root(run: Run) -> str:
    from auditor.nginx.content import root_of  # noqa: PLC0415 - the content phase needs variables

    return root_of(run)


def _request_filename(run: Run) -> str:
    from auditor.nginx.content import path_of  # noqa: PLC0415 - the content phase needs variables

    return path_of(run)


_CACHED: Mapping[str, Callable[[Run], str]] = {
    "host": _host,
    "server_name": server_name,
    "scheme": lambda run: run.request.scheme,
    "https": lambda run: "on" if run.request.scheme == "https" else "",
    "request_uri": lambda run: run.raw_uri,
    "request": _request_line,
    "remote_addr": lambda run: run.client,
    "binary_remote_addr": _binary_address,
    "realip_remote_addr": lambda run: run.request.client,
    "server_port": lambda run: str(run.listen.port) if run.listen.port else "",
    "server_addr": server_address,
    "server_protocol": _protocol,
    "content_type": lambda run: run.header.get("content_type", ""),
    "proxy_add_x_forwarded_for": _forwarded,
    "nginx_version": lambda run: run.version,
    "pipe": lambda _run: ".",
    "http2": _http2,
    "http3": lambda run: "h3" if run.http.startswith("3") else "",
    "request_port": _request_port,
    "ssl_server_name": _tls(lambda run: run.request.sni or ""),
}
_LIVE: Mapping[str, Callable[[Run], str]] = {
    "uri": lambda run: run.uri,
    "document_uri": lambda run: run.uri,
    "args": lambda run: run.args,
    "query_string": lambda run: run.args,
    "is_args": lambda run: "?" if run.args else "",
    "request_method": lambda run: run.method if run.asked_as is None else run.asked_as,
    "document_root": _document_root,
    "request_filename": _request_filename,
    "status": _status,
    "content_length": _content_length,
    "upstream_status": lambda run: run.statuses,
    "upstream_addr": lambda run: run.addresses,
    "upstream_cache_status": _cache_status,
    "limit_req_status": lambda run: UNKNOWN_VALUE if run.limit_req_done else "",
    "limit_conn_status": lambda run: UNKNOWN_VALUE if run.limit_conn_done else "",
    "invalid_referer": invalid_referer,
    "proxy_host": lambda run: run.upstream.address.partition(" ")[0],
    "proxy_port": lambda run: run.upstream.address.partition(" ")[2],
}
