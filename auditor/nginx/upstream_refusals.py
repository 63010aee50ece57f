"""Says what nginx refuses in the arguments of directives that are about upstreams, limits, caches and addresses.

Each rule is that of the directive's handler in nginx's source (src/http/modules/...), named by the directive.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from auditor.nginx.arguments import (
    Checker,
    Complaint,
    number,
    parameter,
    regex,
    regex_complaints,
    seconds,
    size,
    variable_complaints,
)

_SMALLEST_ZONE = 8 * 4096
"""Eight pages of 4096 bytes (ngx_http_limit_req_module.c and others)."""


def _keepalive_upstream(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if number(args[0]) is None:
        yield 0, f'"{args[0]}" is not a number of connections', "write a number"
    if len(args) > 1 and args[1] != "local":
        yield parameter(args, 1, "local")


def _zone(arg: str) -> str:
    """Return what is wrong with the rest of a zone=NAME:SIZE parameter, or ""."""
    name, colon, amount = arg.rpartition(":")
    if not colon or not name:
        return "is not NAME:SIZE"
    value = size(amount)
    if value is None:
        return f'has "{amount}" for a size'
    return "is smaller than 32k" if value < _SMALLEST_ZONE else ""


def _limit_conn_zone(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, 0)
    if not args[1].startswith("zone="):
        yield parameter(args, 1, "zone=NAME:SIZE")
    elif reason := _zone(args[1][5:]):
        yield 1, f'"{args[1]}" {reason}', "write zone=NAME:10m"


def _limit_req_zone(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, 0)
    zoned = False
    for index, arg in enumerate(args[1:], 1):
        if arg.startswith("zone="):
            zoned = True
            if reason := _zone(arg[5:]):
                yield index, f'"{arg}" {reason}', "write zone=NAME:10m"
        elif arg.startswith("rate="):
            if re.fullmatch(r"0*[1-9]\d{0,15}(?:r/[sm])?", arg[5:], re.ASCII) is None:
                yield index, f'"{arg}" is not a rate', "write rate=10r/s or rate=60r/m"
        else:
            yield parameter(args, index, "zone=NAME:SIZE and rate=Nr/s")
    if not zoned:
        yield -1, 'the parameter "zone" is missing', "write zone=NAME:10m"


def _limit_req(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg.startswith(("burst=", "delay=")):
            if not number(arg[6:]):
                yield index, f'"{arg}" is not a number of requests', "write a positive number"
        elif not arg.startswith("zone=") and arg != "nodelay":
            yield parameter(args, index, "zone=, burst=, nodelay and delay=")
    if not any(arg.startswith("zone=") for arg in args):
        yield -1, 'the parameter "zone" is missing', "write zone=NAME"


def _limit_conn(args: Sequence[str], _: str) -> Iterator[Complaint]:
    value = number(args[1])
    if not value or value > 65535:
        yield 1, f'"{args[1]}" is not a number of connections', "write a number from 1 to 65535"


def _address_range(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] not in {"all", "unix:"} and not is_network(args[0]):
        yield 0, f'"{args[0]}" is not an address or network', "write 192.0.2.0/24, 2001:db8::/32 or all"


def is_network(text: str) -> bool:
    """Whether a text is an address or a network as ngx_ptocidr reads them."""
    address, slash, bits = text.partition("/")
    if address.startswith(("+", " ")) or "%" in address:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return _old_address(address) and (not slash or (number(bits) is not None and int(bits) <= 32))
    if not slash:
        return True
    value = number(bits)
    return value is not None and value <= parsed.max_prefixlen


def _old_address(text: str) -> bool:
    """Whether a text is four numbers, which nginx takes with leading zeros too (ngx_inet_addr)."""
    parts = text.split(".")
    return len(parts) == 4 and all(number(p) is not None and int(p) <= 255 for p in parts)


def _fastcgi_param(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 3 and args[2] != "if_not_empty":
        yield 2, f'"{args[2]}" is not "if_not_empty"', "quote a value that has spaces"
    yield from variable_complaints(args, 1)


def _ssl_session_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args):
        if arg in {"off", "none", "builtin"}:
            continue
        if arg.startswith("builtin:") and number(arg[8:]) is not None:
            continue
        if arg.startswith("shared:") and not _zone(arg[7:]):
            continue
        yield index, f'"{arg}" is not a session cache', "write off, none, builtin or shared:NAME:SIZE"


def _proxy_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    target = args[0]
    if "$" in target:
        yield from variable_complaints(args, 0)
        return
    match = re.match(r"https?://", target, re.IGNORECASE)
    if match is None:
        yield 0, f'"{target}" does not begin with http:// or https://', "write the upstream as a URL"
        return
    yield from upstream_address(0, target[match.end() :])


def _grpc_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if "$" in args[0]:
        yield from variable_complaints(args, 0)
    else:
        yield from upstream_address(0, re.sub(r"(?i)^grpcs?://", "", args[0]))


def _other_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if "$" in args[0]:
        yield from variable_complaints(args, 0)
    else:
        yield from upstream_address(0, args[0], name_only=True)


def upstream_address(index: int, text: str, *, name_only: bool = False) -> Iterator[Complaint]:
    """Complain about an address that ngx_parse_url cannot read."""
    if text.startswith("unix:"):
        if not text[5:].split(":", maxsplit=1)[0]:
            yield index, "the socket has no path", "write unix:/path"
        return
    if text.startswith("["):
        match = re.match(r"\[([^\]]*)\](?::([^/]*))?", text)
        host, port = (match[1], match[2]) if match else ("", None)
    else:
        host, colon, port = text.partition("/")[0].partition("?")[0].partition(":")
        port = port if colon else None
        if name_only and "/" in text:
            yield index, f'"{text}" is not HOST:PORT', "write HOST:PORT without a path"
    if not host:
        yield index, "the upstream has no host", "write HOST:PORT"
    if port is not None and not 1 <= (number(port) or 0) <= 65535:
        yield index, f'"{port}" is not a port', "write a number from 1 to 65535"


def _proxy_redirect(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] not in {"off", "default", "false"}:
            yield parameter(args, 0, "off, default, or two arguments")
        return
    yield from _pattern_pair(args)


def _proxy_cookie(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] != "off":
            yield parameter(args, 0, "off, or two arguments")
        return
    yield from _pattern_pair(args)


def _pattern_pair(args: Sequence[str]) -> Iterator[Complaint]:
    if args[0].startswith("~"):
        caseless = args[0].startswith("~*")
        pattern = args[0][2 if caseless else 1 :]
        if not pattern:
            yield 0, "the regular expression is empty", "write ~pattern"
        yield from regex_complaints(0, pattern, caseless=caseless)
    else:
        yield from variable_complaints(args, 0)
    yield from variable_complaints(args, 1)


def _cache_path(args: Sequence[str], _: str) -> Iterator[Complaint]:
    for index, arg in enumerate(args[1:], 1):
        name, _equals, value = arg.partition("=")
        complaint = _cache_parameter(name, value)
        if complaint is None:
            yield parameter(args, index, "levels=, keys_zone=, inactive=, max_size=, …")
        elif not complaint:
            yield index, f'"{arg}" is not valid', "see the documentation of the parameter"
    if not any(arg.startswith("keys_zone=") for arg in args):
        yield -1, 'the parameter "keys_zone" is missing', "write keys_zone=NAME:10m"


def _cache_parameter(name: str, value: str) -> bool | None:
    """Whether a parameter of a cache path is right; None where there is no such parameter."""
    if name == "levels":
        return re.fullmatch(r"[12](?::[12]){0,2}", value, re.ASCII) is not None
    if name in {"use_temp_path", "purger"}:
        return value in {"on", "off"}
    if name == "keys_zone":
        return not _zone(value)
    if name == "inactive":
        return seconds(value, whole=True) is not None
    if name in {"max_size", "min_free"}:
        return size(value, "kKmMgG") is not None
    if name in {"loader_files", "manager_files", "purger_files"}:
        return number(value) is not None
    if name in {
        "loader_sleep",
        "loader_threshold",
        "manager_sleep",
        "manager_threshold",
        "purger_sleep",
        "purger_threshold",
    }:
        return seconds(value, whole=False) is not None
    return None


def _cache_valid(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if seconds(args[-1], whole=True) is None:
        yield len(args) - 1, f'"{args[-1]}" is not a time', "write statuses, then a time"
    for index, arg in enumerate(args[:-1]):
        if arg != "any" and not 100 <= (number(arg) or 0) <= 599:
            yield index, f'"{arg}" is not a status', 'write statuses from 100 to 599, or "any"'


def _upstream_server(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from upstream_address(0, args[0], name_only=True)
    for index, arg in enumerate(args[1:], 1):
        name, equals, value = arg.partition("=")
        if name == "weight" and equals:
            good = bool(number(value))
        elif name in {"max_conns", "max_fails"} and equals:
            good = number(value) is not None
        elif name == "fail_timeout" and equals:
            good = seconds(value, whole=True) is not None
        elif name == "service" and equals:
            good = bool(value) and "resolve" in args
        elif name == "route" and equals:
            good = bool(value)
        elif arg in {"backup", "down", "resolve", "drain"}:
            good = True
        else:
            yield parameter(args, index, "weight=, max_conns=, max_fails=, fail_timeout=, backup, down, resolve")
            continue
        if not good:
            yield index, f'"{arg}" is not valid', "correct the value"


def _hash(args: Sequence[str], _: str) -> Iterator[Complaint]:
    yield from variable_complaints(args, 0)
    if len(args) > 1 and args[1] != "consistent":
        yield parameter(args, 1, "consistent")


def _bind(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] == "off" and len(args) == 1:
        return
    if "$" in args[0]:
        yield from variable_complaints(args, 0)
    elif not is_network(re.sub(r"^\[(.*)\](?::\d+)?$|^([^:]*):\d+$", r"\1\2", args[0])) or "/" in args[0]:
        yield 0, f'"{args[0]}" is not an address', "write an address of this host, or off"
    if len(args) > 1 and args[1] != "transparent":
        yield parameter(args, 1, "transparent")


def _split_path_info(args: Sequence[str], _: str) -> Iterator[Complaint]:
    reason, _names, groups = regex(args[0])
    if reason:
        yield from regex_complaints(0, args[0])
    elif groups != 2:
        yield 0, f"the pattern has {groups} groups", "write two groups: the script, and the path behind it"


def _certificate_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if list(args) == ["off"]:
        return
    for index, arg in enumerate(args):
        name, _equals, value = arg.partition("=")
        good = {
            "max": bool(number(value)),
            "inactive": seconds(value, whole=True) is not None,
            "valid": seconds(value, whole=True) is not None,
        }
        if not good.get(name, False):
            yield parameter(args, index, "max=, inactive=, valid= or off")
    if not any(arg.startswith("max=") for arg in args):
        yield -1, 'the parameter "max" is missing', "write max=1000"


def _cookie_flags(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 1:
        if args[0] != "off":
            yield parameter(args, 0, "off, or a cookie and flags")
        return
    if args[0].startswith("~"):
        yield from regex_complaints(0, args[0][1:], caseless=True)
    else:
        yield from variable_complaints(args, 0)
    for index, arg in enumerate(args[1:], 1):
        if "$" in arg:
            yield from variable_complaints(args, index)


def _balancer(first: str, second: str) -> Checker:
    """Return the rule of a balancing method that takes a word, and a second word after it."""

    def check(args: Sequence[str], _: str) -> Iterator[Complaint]:
        for index, (arg, known) in enumerate(zip(args, (first, second), strict=False)):
            if re.fullmatch(known, arg) is None:
                yield parameter(args, index, known.replace("|", ", "))

    return check


def _upstream_zone(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if len(args) == 2:
        value = size(args[1])
        if value is None or value < _SMALLEST_ZONE:
            yield 1, f'"{args[1]}" is not a size for a zone', "write at least 32k"
    if not args[0]:
        yield 0, "the zone has no name", "name it"


def _ocsp_cache(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args[0] != "off" and not (args[0].startswith("shared:") and not _zone(args[0][7:])):
        yield 0, f'"{args[0]}" is not an OCSP cache', "write off or shared:NAME:SIZE"


def _tunnel_pass(args: Sequence[str], _: str) -> Iterator[Complaint]:
    if args:
        yield from _other_pass(args, _)


PREFIXES = ("proxy", "fastcgi", "uwsgi", "scgi")
"""Modules that pass requests on and keep what comes back."""

RULES: dict[str, Checker] = {
    "keepalive": _keepalive_upstream,
    "limit_conn_zone": _limit_conn_zone,
    "limit_req_zone": _limit_req_zone,
    "limit_req": _limit_req,
    "limit_conn": _limit_conn,
    "allow": _address_range,
    "deny": _address_range,
    "fastcgi_param": _fastcgi_param,
    "uwsgi_param": _fastcgi_param,
    "scgi_param": _fastcgi_param,
    "ssl_session_cache": _ssl_session_cache,
    "proxy_pass": _proxy_pass,
    "grpc_pass": _grpc_pass,
    "fastcgi_pass": _other_pass,
    "uwsgi_pass": _other_pass,
    "scgi_pass": _other_pass,
    "memcached_pass": _other_pass,
    "proxy_redirect": _proxy_redirect,
    "proxy_cookie_domain": _proxy_cookie,
    "proxy_cookie_path": _proxy_cookie,
    "proxy_cache_path": _cache_path,
    "fastcgi_cache_path": _cache_path,
    "uwsgi_cache_path": _cache_path,
    "scgi_cache_path": _cache_path,
    "proxy_cache_valid": _cache_valid,
    "fastcgi_cache_valid": _cache_valid,
    "uwsgi_cache_valid": _cache_valid,
    "scgi_cache_valid": _cache_valid,
    "server": _upstream_server,
    "fastcgi_split_path_info": _split_path_info,
    "ssl_certificate_cache": _certificate_cache,
    "proxy_ssl_certificate_cache": _certificate_cache,
    "grpc_ssl_certificate_cache": _certificate_cache,
    "uwsgi_ssl_certificate_cache": _certificate_cache,
    "proxy_cookie_flags": _cookie_flags,
    "least_time": _balancer("header|last_byte|connect|first_byte", "inflight"),
    "random": _balancer("two", "least_conn|least_time=(?:header|last_byte|connect|first_byte)"),
    "zone": _upstream_zone,
    "ssl_ocsp_cache": _ocsp_cache,
    "tunnel_bind": _bind,
    "tunnel_pass": _tunnel_pass,
    "hash": _hash,
    "proxy_bind": _bind,
    "fastcgi_bind": _bind,
    "uwsgi_bind": _bind,
    "scgi_bind": _bind,
    "grpc_bind": _bind,
    "memcached_bind": _bind,
}
"""The rules, by directive."""
