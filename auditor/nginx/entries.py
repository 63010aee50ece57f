"""Says what nginx refuses in the entries of map, geo, split_clients, types and charset_map blocks.

Sources: ngx_http_map_module.c, ngx_http_geo_module.c, ngx_http_split_clients_module.c, ngx_http_core_module.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from auditor.nginx.arguments import regex_complaints, variable_complaints
from auditor.nginx.tokens import Directive
from auditor.nginx.upstream_refusals import is_network

Entry = tuple[Directive, int, str, str]
"""A complaint: the entry, the index of its argument (-1: its key), message, hint."""

_BUCKET = 64


def _simple(block: Directive) -> Iterator[Entry]:
    """Complain about entries that have a block."""
    for entry in block.block or ():
        if entry.block is not None:
            yield entry, -1, f'an entry of "{block.name}" cannot have a block', 'end it with ";"'


def _variable(block: Directive) -> Iterator[Entry]:
    """Complain about a last argument that is no variable."""
    last = block.args[-1]
    if len(last) < 2 or not last.startswith("$"):
        yield block, len(block.args) - 1, f'"{last}" is not a variable', "write $name"
    if len(block.args) > 1:
        for index, message, hint in variable_complaints(block.args, 0):
            yield block, index, message, hint


def wildcard_wrong(name: str) -> bool:
    """Whether ngx_hash_add_key refuses a name with wildcards."""
    if name.count("*") > 1 or ".." in name or "\0" in name:
        return True
    if (len(name) > 1 and name[0] == ".") or (len(name) > 2 and (name.startswith("*.") or name.endswith(".*"))):
        return False
    return "*" in name


def wildcard_keys(name: str) -> set[str]:
    """Return what a name with wildcards takes up in nginx's tables, where nothing may stand twice."""
    if len(name) > 1 and name[0] == ".":
        return {name[1:], "*" + name}
    return {name}


def _map(block: Directive) -> Iterator[Entry]:  # noqa: C901 - nginx decides in this order
    yield from _simple(block)
    yield from _variable(block)
    seen: set[str] = set()
    hostnames = False
    default = False
    for entry in block.block or ():
        key = entry.name
        if not entry.args and key in {"volatile", "hostnames"}:
            hostnames = hostnames or key == "hostnames"
            continue
        if len(entry.args) != 1:
            yield entry, -1, "an entry of a map is a key and a value", 'quote what has spaces, end the entry with ";"'
            continue
        if key == "include":
            continue
        for index, message, hint in variable_complaints(entry.args, 0):
            yield entry, index, message, hint
        if key == "default":
            if default:
                yield entry, -1, 'the map has two "default" entries', "keep one of them"
            default = True
        elif key.startswith("~"):
            caseless = key.startswith("~*")
            pattern = key[2 if caseless else 1 :]
            for _index, message, hint in regex_complaints(0, pattern, caseless=caseless):
                yield entry, -1, message, hint
        else:
            key = key.removeprefix("\\").lower()
            if hostnames and wildcard_wrong(key):
                yield entry, -1, f'"{key}" is not a host name or wildcard', "a star stands for whole labels at one end"
            keys = wildcard_keys(key) if hostnames else {key}
            if keys & seen:
                yield entry, -1, f'the map has two entries for "{entry.name}"', "keep one of them"
            seen |= keys


def _geo(block: Directive) -> Iterator[Entry]:  # noqa: C901 - nginx decides in this order
    yield from _simple(block)
    yield from _variable(block)
    ranges = False
    for entry in block.block or ():
        key = entry.name
        if not entry.args:
            if key == "ranges":
                ranges = True
            elif key != "proxy_recursive":
                yield entry, -1, "an entry of geo is a network and a value", "add the value"
            continue
        if len(entry.args) != 1:
            yield entry, -1, "an entry of geo is a network and a value", 'quote what has spaces, end the entry with ";"'
            continue
        if key in {"include", "default"}:
            continue
        value = entry.args[0] if key in {"delete", "proxy"} else key
        index = 0 if key in {"delete", "proxy"} else -1
        if key == "proxy" and is_network(value):
            continue
        if ranges:
            ends = value.split("-")
            if len(ends) != 2 or not all(re.fullmatch(_IPV4, end) for end in ends):
                yield entry, index, f'"{value}" is not a range of addresses', "write 192.0.2.1-192.0.2.9"
        elif value != "255.255.255.255" and not is_network(value):
            yield entry, index, f'"{value}" is not a network', "write 192.0.2.0/24 or 2001:db8::/32"


_BYTE = r"(?:25[0-5]|2[0-4]\d|[01]?\d?\d)"
_IPV4 = rf"(?a){_BYTE}(?:\.{_BYTE}){{3}}"


def _split_clients(block: Directive) -> Iterator[Entry]:
    yield from _simple(block)
    yield from _variable(block)
    total = 0.0
    for entry in block.block or ():
        if entry.name == "*":
            continue
        match = re.fullmatch(r"(\d{1,9})(?:\.(\d{1,2}))?%", entry.name, re.ASCII)
        share = float(f"{match[1]}.{match[2] or 0}") if match else 0.0
        total += share
        if not share:
            yield entry, -1, f'"{entry.name}" is not a share', "write 10%, 0.5% or *"
        elif total > 100.0001:
            yield entry, -1, "the shares are more than 100%", "reduce them"


def _types(block: Directive) -> Iterator[Entry]:
    yield from _simple(block)


def _charset_map(block: Directive) -> Iterator[Entry]:
    yield from _simple(block)
    for entry in block.block or ():
        if len(entry.args) != 1:
            yield entry, -1, "an entry of charset_map is a code and a code", "write 80 E282AC;"


BLOCKS: dict[str, Callable[[Directive], Iterator[Entry]]] = {
    "map": _map,
    "geo": _geo,
    "split_clients": _split_clients,
    "types": _types,
    "charset_map": _charset_map,
}
"""Blocks whose content is not directives."""


def complaints(block: Directive) -> Iterator[Entry]:
    """Complain about the entries of such a block."""
    return BLOCKS[block.name](block)


def too_long_for_bucket(key: str, bucket: int = _BUCKET) -> bool:
    """Whether a key does not fit a bucket of nginx's hash tables (ngx_hash_init)."""
    element = 8 + -(-(len(key) + 2) // 8) * 8
    return -(-bucket // 64) * 64 < element + 8
