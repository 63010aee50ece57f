"""Where a `proxy_pass` (or fastcgi_pass, grpc_pass …) leads for one request: the URL it gives, read as nginx reads it."""

from __future__ import annotations

import ipaddress

from auditor.dataclass import dataclass
from auditor.exchange import UNKNOWN_VALUE, Unknown
from auditor.nginx.proxy import Passing, split_address
from auditor.nginx.rewrite import text_of
from auditor.nginx.state import Run, Undecided

_SCHEMES = {
    "proxy": ("http", "https"),
    "grpc": ("grpc", "grpcs"),
    "uwsgi": ("uwsgi", "suwsgi"),
}
_LONGEST_SOCKET = 107
"""Bytes that the path of a unix socket may have (`sun_path` without its zero byte)."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a `proxy_pass` leads for one request; `evaluated`: the whole URL where it holds variables.

    `portless`: neither the URL nor its scheme names a port, which is an error unless an `upstream` block has the name.
    """

    scheme: str
    address: str
    uri: str
    evaluated: str | None = None
    portless: bool = False


def aim_of(run: Run, what: Passing) -> Aim | None:
    """Return where a request is passed to; None where what the variables make is not a URL.

    Raises:
        ScriptError: nginx gives up on the URL's variables.
        Undecided: the variables are not decided.
    """
    if what.url.const is not None:
        return Aim(what.scheme, what.address, what.uri)
    evaluated = what.url(run)
    aim = _read(what.family, what.scheme, evaluated)
    if UNKNOWN_VALUE in (evaluated if aim is None else aim.scheme + aim.address):
        raise Undecided(Unknown(f"where {what.url.text} leads is not decided", what.directive.location))
    if aim is None:
        run.note(text_of(what.directive), what.directive.location, f'"{evaluated}" is not a URL: 500')
    return aim


def _read(family: str, scheme: str, text: str) -> Aim | None:
    """Read a URL that variables made (`ngx_http_proxy_eval` and its siblings)."""
    rest = text
    before, separator, after = text.partition("://")
    if separator and before.lower() in _SCHEMES.get(family, ()):
        scheme, rest = before.lower(), after
    elif family == "proxy":
        return None
    address, uri = split_address(rest) if family == "proxy" else (rest, "")
    host, port = _host_and_port(address)
    if address.startswith("[") and uri.startswith("?"):
        return None
    if not host or (port is not None and not _is_port(port)):
        return None
    return Aim(scheme, address, uri, text, portless=port is None and family != "proxy" and host[:5] != "unix:")


def _host_and_port(address: str) -> tuple[str, str | None]:
    """Take an address apart as `ngx_parse_url` does; a host that is none is "", a port that is not there None."""
    if address.startswith("unix:"):
        return (address if 0 < len(address) - 5 <= _LONGEST_SOCKET else ""), None
    if not address.startswith("["):
        host, colon, port = address.partition(":")
        return ("" if "/" in address or "?" in address else host), port if colon else None
    host, bracket, rest = address[1:].partition("]")
    if not bracket or rest[:1] not in {"", ":"} or not _is_ipv6(host):
        return "", None
    return host, rest[1:] if rest else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text[-6:]) <= 65535 and not text[:-6].strip("0")


def is_literal(address: str) -> bool:
    """Whether an address, with or without its port, is connected to without a name being looked up (`ngx_inet_addr`)."""
    parts = address.partition(":")[0].split(".")
    return address.startswith(("unix:", "[")) or (
        len(parts) == 4 and all(part == "" or (part.isdigit() and int(part) <= 255) for part in parts)
    )


def _is_ipv6(text: str) -> bool:
    try:
        return "%" not in text and ipaddress.IPv6Address(text) is not None
    except ValueError:
        return False
