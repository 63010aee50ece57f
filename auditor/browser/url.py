"""URLs and origins as a browser reads them: the WHATWG URL parser, origins as values, schemeful sites."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_C0_OR_SPACE = "".join(map(chr, range(0x21)))
_SCHEME = r"([A-Za-z][A-Za-z0-9+.\-]*):"
_PATH_ENCODE = frozenset(' "#<>?^`{}')
_QUERY_ENCODE = frozenset(" \"#<>'")
_FORBIDDEN_HOST = frozenset("\0\t\n\r #/:<>?@[\\]^|%\x7f") | frozenset(map(chr, range(0x20)))
_FORBIDDEN_BUT_SPACE = _FORBIDDEN_HOST - {" ", "%"}
_NUMBER = r"0[xX][0-9A-Fa-f]*|[0-9]+"
_DOTS = {".": ".", "%2e": ".", "..": "..", ".%2e": "..", "%2e.": "..", "%2e%2e": ".."}


@dataclass(frozen=True, slots=True)
class Origin:
    """A page's origin: scheme, host and port, or opaque (sandboxes, `data:` documents), which serialises as `null`.

    `port` None stands for the scheme's default port. Two opaque origins made by `Origin()` are the same opaque
    origin only if they are the same object in spirit: nothing is same-origin with an opaque one here.
    """

    scheme: str = ""
    host: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Return the origin of a URL or of a serialised origin (`null` is opaque), None where it is neither."""
        if text == "null":
            return OPAQUE
        url = parse_url(text)
        return url.origin if url is not None else None

    @property
    def opaque(self) -> bool:
        """Whether the origin is opaque."""
        return not self.scheme

    def serialise(self) -> str:
        """Return the ASCII serialisation (HTML, "serialization of an origin"): no default port, no path, or `null`."""
        if not self.scheme:
            return "null"
        return f"{self.scheme}://{self.host}" if self.port is None else f"{self.scheme}://{self.host}:{self.port}"

    __str__ = serialise

    def same_origin(self, other: Origin) -> bool:
        """Whether both are the same (scheme, host, port); an opaque origin is nobody's."""
        return bool(self.scheme) and self == other

    def same_site(self, other: Origin) -> bool:
        """Whether both are schemefully same-site (HTML): equal scheme and registrable domain, ports ignored."""
        if not self.scheme or _web(self.scheme) != _web(other.scheme):
            return False
        return self.host == other.host or (
            (mine := registrable_domain(self.host)) is not None and mine == registrable_domain(other.host)
        )

    @property
    def trustworthy(self) -> bool:
        """Whether the origin is potentially trustworthy (Secure Contexts §3.1): TLS or this very machine."""
        return self.scheme in {"https", "wss"} or (bool(self.scheme) and is_loopback_host(self.host))


_OTHER_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s,/?#@]+")
"""The origin of an app's own scheme (`capacitor://localhost`, an extension's), which the URL Standard leaves open."""


def is_serialised_origin(text: str) -> bool:
    """Whether some page's origin is written like this on the wire: lower case, no default port, no path.

    `null` is not asked about.
    """
    url = parse_url(text)
    if url is None or not url.special:
        return url is not None and _OTHER_ORIGIN.fullmatch(text) is not None
    return url.scheme in {"http", "https"} and url.origin.serialise() == text


OPAQUE = Origin()
"""The origin that serialises as `null`."""


def _web(scheme: str) -> str:
    """Return http for ws and https for wss, as WebSocket URLs are read by Fetch."""
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)


@dataclass(frozen=True, slots=True)
class Url:
    """A parsed URL; for schemes other than http, https, ws and wss only `scheme` and `href` mean anything."""

    scheme: str
    host: str
    port: int | None
    target: str
    fragment: str | None = None
    userinfo: bool = False
    rest: str = ""

    @property
    def special(self) -> bool:
        """Whether this is a scheme with a host: http, https, ws or wss."""
        return self.scheme in DEFAULT_PORTS

    @property
    def origin(self) -> Origin:
        """The URL's origin; opaque for every scheme without a host."""
        return Origin(self.scheme, self.host, self.port) if self.special else OPAQUE

    @property
    def authority(self) -> str:
        """Host and port as the Host header carries them."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def effective_port(self) -> int:
        """The port a connection goes to."""
        return self.port if self.port is not None else DEFAULT_PORTS.get(self.scheme, 0)

    @property
    def href(self) -> str:
        """The serialised URL without user information."""
        return self.bare if self.fragment is None else f"{self.bare}#{self.fragment}"

    @property
    def bare(self) -> str:
        """The serialised URL without user information and fragment."""
        return f"{self.scheme}://{self.authority}{self.target}" if self.special else f"{self.scheme}:{self.rest}"


@lru_cache(maxsize=4096)
def parse_url(text: str, base: Url | None = None, *, spaces: bool = False) -> Url | None:
    """Parse as the URL Standard does (special schemes; others are kept unread); None is a failure.

    `spaces` lets a host contain spaces, kept as `%20`, as Chromium does.
    """
    text = text.strip(_C0_OR_SPACE)
    if "\t" in text or "\n" in text or "\r" in text:
        text = text.translate({9: None, 10: None, 13: None})
    found = re.match(_SCHEME, text)
    if found:
        scheme, rest = found[1].lower(), text[found.end() :]
        if scheme not in DEFAULT_PORTS:
            return Url(scheme, "", None, "", rest=rest)
        if base is not None and base.scheme == scheme and not rest.startswith("//"):
            return _relative(rest, base, spaces=spaces)
        return _authority(scheme, rest.lstrip("/\\"), spaces=spaces)
    return _relative(text, base, spaces=spaces) if base is not None and base.special else None


def from_bytes(value: str) -> str:
    """Read a header value (one character per byte) as the text that a URL parser sees: UTF-8, errors replaced."""
    return value if value.isascii() else value.encode("latin-1", "replace").decode("utf-8", "replace")


def escaped_bytes(value: str) -> str:
    """Read a Location (one character per byte): bytes that are not ASCII are percent-encoded one by one."""
    return value if value.isascii() else "".join(char if char < "\x80" else f"%{ord(char):02X}" for char in value)


def _relative(text: str, base: Url, *, spaces: bool) -> Url | None:
    """Resolve a relative reference (URL Standard, relative state)."""
    slashed = text.replace("\\", "/", 2) if text[:2].strip("/\\") == "" else text
    if slashed.startswith("//"):
        return _authority(base.scheme, text.lstrip("/\\"), spaces=spaces)
    head, fragment = _cut(text, "#")
    path, query = _cut(head, "?")
    old_path, old_query = _cut(base.target, "?")
    if not path:
        target = old_path + _with_query(query if query is not None else old_query)
    elif path[0] in "/\\":
        target = _path(path) + _with_query(query)
    else:
        target = _path(old_path.rsplit("/", 1)[0] + "/" + path) + _with_query(query)
    return Url(base.scheme, base.host, base.port, target, _encoded_fragment(fragment), base.userinfo)


def _authority(scheme: str, text: str, *, spaces: bool) -> Url | None:
    """Read `user@host:port/path?query#fragment`."""
    head, fragment = _cut(text, "#")
    head, query = _cut(head, "?")
    end = min((i for i in (head.find("/"), head.find("\\")) if i >= 0), default=len(head))
    authority, path = head[:end], head[end:]
    user, at, hostport = authority.rpartition("@")
    host_text, port_text = _split_port(hostport)
    host = parse_host(host_text, spaces=spaces)
    if not host:
        return None
    port: int | None = None
    if port_text:
        if not (port_text.isascii() and port_text.isdigit()) or len(port_text.lstrip("0")) > 5:
            return None
        port = int(port_text)
        if port > 65535:
            return None
        if port == DEFAULT_PORTS[scheme]:
            port = None
    target = _path(path) + _with_query(query)
    return Url(scheme, host, port, target, _encoded_fragment(fragment), bool(at) and user.strip(":") != "")


def _split_port(hostport: str) -> tuple[str, str]:
    """Split off the port, leaving colons inside brackets alone."""
    close = hostport.rfind("]")
    colon = hostport.find(":", close + 1)
    return (hostport, "") if colon < 0 else (hostport[:colon], hostport[colon + 1 :])


def _cut(text: str, mark: str) -> tuple[str, str | None]:
    """Split at the first mark; None where there is none."""
    before, found, after = text.partition(mark)
    return before, after if found else None


def _encode(text: str, unsafe: frozenset[str]) -> str:
    """Percent-encode controls, non-ASCII (as UTF-8) and the characters of a set."""
    if text.isascii() and text.isprintable() and not unsafe.intersection(text):
        return text
    done = []
    for char in text:
        if " " < char < "\x7f" and char not in unsafe:
            done.append(char)
        else:
            done.extend(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
    return "".join(done)


def _with_query(query: str | None) -> str:
    """Return `?query` encoded, or nothing."""
    return "" if query is None else "?" + _encode(query, _QUERY_ENCODE)


def _encoded_fragment(fragment: str | None) -> str | None:
    """Encode a fragment."""
    return None if fragment is None else _encode(fragment, frozenset(' "<>`'))


def _path(path: str) -> str:
    """Remove dot segments and encode (URL Standard, path state)."""
    if not path:
        return "/"
    segments = path.replace("\\", "/").split("/")
    if segments and not segments[0]:
        segments = segments[1:]
    kept: list[str] = []
    for number, segment in enumerate(segments):
        dots = _DOTS.get(segment.lower())
        last = number == len(segments) - 1
        if dots == "..":
            if kept:
                kept.pop()
            if last:
                kept.append("")
        elif dots == ".":
            if last:
                kept.append("")
        else:
            kept.append(_encode(segment, _PATH_ENCODE))
    return "/" + "/".join(kept)


def parse_host(text: str, *, spaces: bool = False) -> str | None:
    """Return the host as the URL Standard's host parser serialises it, None on failure."""
    if text.startswith("["):
        return _ipv6(text)
    decoded = _percent_decode(text)
    if decoded is None:
        return None
    domain = _to_ascii(decoded)
    if not domain or (_FORBIDDEN_BUT_SPACE if spaces else _FORBIDDEN_HOST).intersection(domain):
        return None
    domain = domain.replace(" ", "%20")
    labels = domain.split(".")
    last = labels[-2] if not labels[-1] and len(labels) > 1 else labels[-1]
    if last.isdigit() or re.fullmatch(_NUMBER, last):
        return _ipv4(labels)
    return domain


def _ipv6(text: str) -> str | None:
    """Compress a bracketed IPv6 address."""
    if not text.endswith("]") or "%" in text:
        return None
    try:
        address = ipaddress.IPv6Address(text[1:-1])
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        high, low = divmod(int(address) & 0xFFFFFFFF, 0x10000)
        return f"[::ffff:{high:x}:{low:x}]"
    return f"[{address.compressed}]"


def _percent_decode(text: str) -> str | None:
    """Percent-decode a host as UTF-8."""
    if "%" not in text:
        return text
    raw = text.encode("utf-8", "replace")
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), raw)
    try:
        return decoded.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _to_ascii(domain: str) -> str | None:
    """Map a domain to ASCII (UTS #46, non-transitional, not strict about lengths and hyphens)."""
    if domain.isascii():
        return domain.lower()
    import idna  # noqa: PLC0415 - few names need it

    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
        return ".".join(
            label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
            for label in mapped.lower().split(".")
        )
    except (idna.IDNAError, UnicodeError):
        return None


def _ipv4(labels: list[str]) -> str | None:
    """Parse an IPv4 address in any of the spellings browsers take (`127.1`, `0x7f000001`)."""
    if not labels[-1] and len(labels) > 1:
        labels = labels[:-1]
    if len(labels) > 4:
        return None
    numbers: list[int] = []
    for label in labels:
        number = _ipv4_number(label)
        if number is None:
            return None
        numbers.append(number)
    *most, final = numbers
    if any(number > 255 for number in most) or final >= 256 ** (5 - len(numbers)):
        return None
    for place, number in enumerate(most):
        final += number << (8 * (3 - place))
    return str(ipaddress.IPv4Address(final))


def _ipv4_number(label: str) -> int | None:
    """Read one number of an IPv4 address: decimal, octal with 0, hexadecimal with 0x."""
    if not label or len(label) > 40:
        return None
    try:
        if label[:2] in {"0x", "0X"}:
            return int(label[2:] or "0", 16)
        return int(label, 8) if label[0] == "0" and len(label) > 1 else int(label, 10)
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    """Load the Public Suffix List once."""
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - only where cookies or sites are asked about

    return PublicSuffixList()


@lru_cache(maxsize=4096)
def registrable_domain(host: str) -> str | None:
    """Return the registrable domain of a host (eTLD+1), None for addresses and public suffixes."""
    if host.startswith("[") or host.replace(".", "").isdigit():
        return None
    dot = "." if host.endswith(".") else ""
    domain = _suffixes().privatesuffix(host.removesuffix("."))
    return f"{domain}{dot}" if domain else None


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine by its name alone: localhost, 127/8 or ::1."""
    bare = host.removesuffix(".")
    if bare == "localhost" or bare.endswith(".localhost") or host == "[::1]":
        return True
    return host.startswith("127.") and host.replace(".", "").isdigit()
