"""The variables that a configuration tabulates: `map`, `geo`, `split_clients`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE
from auditor.nginx.regex import Regex
from auditor.nginx.state import Run
from auditor.nginx.template import Getter, Value
from auditor.nginx.tokens import Directive
from auditor.sealed import Sealed, result_of

if TYPE_CHECKING:
    from auditor.nginx.variables import Variables

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a `map`: its key as written, its value, its place."""

    key: str
    value: Value
    location: Location


@dataclass(slots=True)
class MapTable:
    """A `map` in the order nginx asks it: exact keys, host wildcards, regexes, default."""

    source: Value
    location: Location
    exact: dict[str, Entry] = field(default_factory=dict)
    heads: dict[str, tuple[Entry, bool]] = field(default_factory=dict)
    tails: dict[str, Entry] = field(default_factory=dict)
    regexes: list[tuple[Regex, Entry]] = field(default_factory=list)
    default: Entry | None = None
    hostnames: bool = False
    volatile: bool = False
    unread: Location | None = None
    kinds: dict[tuple[str, str], Entry] = field(default_factory=dict)
    captures: bool | None = None

    def captureless(self) -> bool:
        """Whether its expressions have no groups: all that can be seen of a text then is which value it selects."""
        if self.captures is None:
            self.captures = any(regex.named() or regex.groups for regex, _ in self.regexes)
        return not self.captures

    def kind_of(self, text: str) -> tuple[str, str]:
        """Return how a line is selected by a text, and its value as written; `kinds` has a line of each kind."""
        entry, how = self.listed(text), "listed"
        if entry is None and text:
            entry = next((line for regex, line in self.regexes if regex.match(text) is not None), None)
            how = "matched"
        if entry is None:
            entry, how = self.default, "default"
        kind = (how, entry.value.text) if entry is not None else ("", "")
        if entry is not None:
            self.kinds.setdefault(kind, entry)
        return kind

    def listed(self, text: str) -> Entry | None:
        """Return the line whose key, or host name, a text is."""
        key = lower(text)
        if self.hostnames and key.endswith("."):
            key = key[:-1]
        found = self.exact.get(key)
        if found is None and self.hostnames and key and (self.heads or self.tails):
            found = find_host(self, key)
        return found


def lower(text: str) -> str:
    """Lower-case ASCII letters only, as nginx does."""
    return text.lower() if text.isascii() else "".join(c.lower() if c < "\x80" else c for c in text)


def read_map(directive: Directive, variables: Variables) -> MapTable:
    """Compile a `map` block (`ngx_http_map`)."""
    result = MapTable(variables.value(directive.args[0]), directive.location)
    lines = directive.block or ()
    result.hostnames = any(line.name == "hostnames" and not line.args for line in lines)
    result.volatile = any(line.name == "volatile" and not line.args for line in lines)
    for line in lines:
        if not line.args:
            continue
        if line.name == "include":
            result.unread = line.location
            continue
        entry = Entry(line.name, variables.value(line.args[0]), line.location)
        _enter(result, line.name, entry)
    return result


def _enter(result: MapTable, key: str, entry: Entry) -> None:
    if key == "default":
        result.default = entry
        return
    if key.startswith("~"):
        caseless = key.startswith("~*")
        result.regexes.append((Regex(key[2 if caseless else 1 :], caseless=caseless), entry))
        return
    key = key.removeprefix("\\")
    key = lower(key)
    if result.hostnames and key.startswith("*."):
        result.heads.setdefault(key[2:], (entry, False))
    elif result.hostnames and key.startswith(".") and len(key) > 1:
        result.heads.setdefault(key[1:], (entry, True))
    elif result.hostnames and key.endswith(".*"):
        result.tails.setdefault(key[:-2], entry)
    else:
        result.exact.setdefault(key, entry)


def find_host(table: MapTable, host: str) -> Entry | None:
    """Return the wildcard entry for a host name: the longest `*.suffix`, then the longest `prefix.*`."""
    labels = host.split(".")
    whole = table.heads.get(host)
    if whole is not None and whole[1]:
        return whole[0]
    for start in range(1, len(labels)):
        found = table.heads.get(".".join(labels[start:]))
        if found is not None:
            return found[0]
    for end in range(len(labels) - 1, 0, -1):
        tail = table.tails.get(".".join(labels[:end]))
        if tail is not None:
            return tail
    return None


def look_up(table: MapTable, run: Run, text: str) -> Entry | None:
    """Return the line of a map that a text selects, or the default, or None; for a sealed text, one like it."""
    if isinstance(text, Sealed) and table.captureless():
        kind = result_of(table.kind_of, text)
        if kind[0] == "matched":
            run.captures = ("",)
        return table.kinds.get(kind)
    found = result_of(table.listed, text)
    if found is not None:
        return found
    if text:
        for regex, entry in table.regexes:
            if run.matches(regex, text, entry.location, table.source.text):
                return entry
    return table.default


def table(name: str, directive: Directive, variables: Variables) -> Getter:
    """Return the getter of a tabulated variable."""
    if directive.name == "geo":
        return _geo(name, directive, variables)
    if directive.name == "split_clients":
        return _split_clients(name, directive, variables)
    mapping = read_map(directive, variables)
    source = mapping.source.read

    def get(run: Run) -> str:
        known = run.vars.get(name)
        if known is not None:
            return known
        if run.depth == 0:
            return ""
        run.descend(directive.location)
        text = source(run)
        result = _undecided(mapping, run) if UNKNOWN_VALUE in text else _value(mapping, run, name, text)
        run.depth += 1
        if not mapping.volatile:  # what `set` or a capture puts into the variable stays even so
            run.vars[name] = result
        return result

    return get


def _value(mapping: MapTable, run: Run, name: str, text: str) -> str:
    """Return what a map makes of a text."""
    entry = look_up(mapping, run, text)
    if entry is mapping.default and mapping.unread is not None:
        run.doubt("lines of this map are in a file that is not here", mapping.unread)
        return UNKNOWN_VALUE
    result = "" if entry is None else entry.value(run)
    if run.why is not None:
        line = f'the line "{entry.key}"' if entry is not None else "no line"
        place = entry.location if entry is not None else mapping.location
        run.note(f"map {mapping.source.text} ${name}", place, f'"{text}" selects {line}: ${name} is "{result}"')
    return result


def _undecided(mapping: MapTable, run: Run) -> str:
    """Return the value of a map whose source is not known: known only where every line gives the same."""
    if mapping.regexes:
        run.captures = (UNKNOWN_VALUE,) * 10
        run.vars |= {name.lower(): UNKNOWN_VALUE for regex, _ in mapping.regexes for name, _ in regex.named()}
    entries = [*mapping.exact.values(), *mapping.tails.values(), *(entry for _, entry in mapping.regexes)]
    entries += [entry for entry, _ in mapping.heads.values()]
    values = {entry.value.text: entry.value for entry in entries}
    if mapping.default is not None:
        values[mapping.default.value.text] = mapping.default.value
    texts = set(values) if mapping.default is not None else {*values, ""}
    if len(texts) == 1 and mapping.unread is None:
        text = texts.pop()
        return values[text](run) if text in values else ""
    return UNKNOWN_VALUE


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Read an address; an IPv4-mapped IPv6 address is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network | None:
    """Read an address or a CIDR block; host bits are ignored."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _geo(name: str, directive: Directive, variables: Variables) -> Getter:  # noqa: C901 - follows nginx's own
    """Compile a `geo` block: the most specific network wins."""
    source = variables.get(directive.args[0].lstrip("$").lower()) if len(directive.args) > 1 else None
    networks: list[tuple[Network, str]] = []
    ranges: list[tuple[Address, Address, str]] = []
    proxies: list[Network] = []
    default = ""
    recursive = unread = False
    by_range = any(line.name == "ranges" and not line.args for line in directive.block or ())
    for line in directive.block or ():
        value = line.args[0] if line.args else ""
        if line.name == "default":
            default = value
        elif line.name == "proxy_recursive":
            recursive = True
        elif line.name == "include":
            unread = True
        elif line.name == "delete":
            networks = [(net, text) for net, text in networks if net != parse_network(value)]
        elif line.name == "proxy":
            network = parse_network(value)
            if network is not None:
                proxies.append(network)
        elif by_range and "-" in line.name:
            low, high = (parse_address(part) for part in line.name.split("-", 1))
            if low is not None and high is not None:
                ranges.append((low, high, value))
        else:
            network = parse_network(line.name)
            if network is not None:
                networks = [(net, text) for net, text in networks if net != network]
                networks.append((network, value))
    networks.sort(key=lambda pair: -pair[0].prefixlen)

    def read(run: Run) -> str:
        text = run.client if source is None else source(run)
        if UNKNOWN_VALUE in text:
            return UNKNOWN_VALUE
        address = parse_address(text)
        if address is not None and source is None and proxies and run.header.get("x_forwarded_for"):
            address = forwarded(address, run.header["x_forwarded_for"], proxies, recursive=recursive)
        if address is None:
            return UNKNOWN_VALUE if unread else default
        for network, value in networks:
            if address.version == network.version and address in network:
                return value
        for low, high, value in ranges:
            if low.version == address.version and int(low) <= int(address) <= int(high):
                return value
        return UNKNOWN_VALUE if unread else default

    def get(run: Run) -> str:
        known = run.vars.get(name)
        if known is None:
            known = run.vars[name] = read(run)
            if run.why is not None:
                run.note(f"geo ${name}", directive.location, f'${name} is "{known}"')
        return known

    return get


def forwarded(peer: Address, text: str, trusted: Sequence[Network], *, recursive: bool) -> Address:
    """Return the client that X-Forwarded-For names, as far as the trusted peers vouch for it."""
    address = peer
    for part in reversed([part.strip(" \t") for part in text.split(",")]):
        if not any(address.version == net.version and address in net for net in trusted):
            break
        named = parse_address(part)
        if named is None:
            break
        address = named
        if not recursive:
            break
    return address


def murmur2(data: bytes) -> int:
    """MurmurHash2 with seed 0, 32 bits (`ngx_murmur_hash2`, src/core/ngx_murmurhash.c)."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = len(data) & mask
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        k ^= k >> 24
        k = k * multiplier & mask
        value = (value * multiplier & mask) ^ k
    rest = data[whole:]
    if rest:
        value ^= int.from_bytes(rest, "little")
        value = value * multiplier & mask
    value ^= value >> 13
    value = value * multiplier & mask
    return value ^ (value >> 15)


def shares_of(directive: Directive) -> list[tuple[int, int, str]]:
    """Return the shares of a `split_clients` block: from this hash on, up to but without that one, the value."""
    parts: list[tuple[int, int, str]] = []
    last = 0
    for line in directive.block or ():
        value = line.args[0] if line.args else ""
        if line.name == "*":
            parts.append((last, 0x100000000, value))
            continue
        whole, _, fraction = line.name.rstrip("%").partition(".")
        try:
            end = last + (int(whole or "0") * 100 + int((fraction + "00")[:2])) * 0xFFFFFFFF // 10000
        except ValueError:
            continue
        parts.append((last, end, value))
        last = end
    return parts


def _split_clients(name: str, directive: Directive, variables: Variables) -> Getter:
    """Compile a `split_clients` block: shares of the 32-bit hash range, in order."""
    source = variables.value(directive.args[0])
    parts = [(end, value) for _, end, value in shares_of(directive)]

    def get(run: Run) -> str:
        known = run.vars.get(name)
        if known is not None:
            return known
        if run.depth == 0:
            return ""
        run.descend(directive.location)
        run.vars[name] = ""  # what a source that refers to the variable itself sees
        text = source(run)
        run.depth += 1
        result = ""
        if UNKNOWN_VALUE in text:
            result = UNKNOWN_VALUE
        else:
            number = murmur2(text.encode("latin-1"))
            result = next((value for end, value in parts if number < end), "")
        run.vars[name] = result
        return result

    return get
