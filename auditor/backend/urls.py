"""The URL of a request as Starlette rebuilds it, for the redirections that it answers with."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, unquote_to_bytes

from auditor.dataclass import dataclass
from auditor.exchange import UNKNOWN_VALUE, Request

_HOST = re.compile(
    r"^(?P<host>[a-z0-9._~%!$&'()*+,;=-]+|\[(?:(?P<ipv6>[a-f0-9]*:[a-f0-9.:]+)|"
    r"(?-i:v)[a-f0-9]+\.[a-z0-9._~!$&'()*+,;=:-]+)\])(?::(?P<port>[0-9]+))?$",
    re.IGNORECASE,
)
_SAFE = ":/%#?=@[]!$&'()*+,;"


@dataclass(frozen=True, slots=True)
class Authority:
    """The host, in brackets where it is an IPv6 address, and the port of a Host header; port "" where none is written."""

    host: str
    port: str = ""

    def __str__(self) -> str:
        """Return host:port as written."""
        return f"{self.host}:{self.port}" if self.port else self.host


def authority(host: str | None) -> Authority | None:
    """Read a Host header as Starlette does, None where it is malformed.

    Source: starlette/_utils.py, parse_host_header (1.x); RFC 3986 §3.2.2.
    """
    found = _HOST.fullmatch(host or "")
    if found is None:
        return None
    if found["ipv6"] is not None:
        try:
            ipaddress.IPv6Address(found["ipv6"])
        except ValueError:
            return None
    return Authority(found["host"], found["port"] or "")


def netloc(request: Request) -> str:
    """Return the authority that a rebuilt URL has; what the server's own address would have to say may be unknown."""
    named = authority(request.headers.get("Host"))
    if named is not None and (not named.port or int(named.port) <= 65535):
        return str(named)
    host, _, port = request.listen.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return UNKNOWN_VALUE
    usual = "443" if request.scheme == "https" else "80"
    return host if port == usual else f"{host}:{port}"


def path_of(request: Request) -> str:
    """Return the decoded path, as an ASGI server hands it over."""
    return unquote_to_bytes(request.path.encode("latin-1")).decode("utf-8", "replace")


def location(request: Request, *, scheme: str = "", host: str = "", path: str | None = None) -> str:
    """Return the Location of a redirection to this request's URL with another scheme, host or path.

    Source: starlette/datastructures.py (URL), starlette/responses.py (RedirectResponse).
    """
    shown = path_of(request) if path is None else path
    shown = shown.replace("?", "%3F").replace("#", "%23").replace("\\", "%5C")
    query = request.target.partition("?")[2]
    url = f"{scheme or request.scheme}://{host or netloc(request)}{shown}" + (f"?{query}" if query else "")
    return UNKNOWN_VALUE.join(quote(part, safe=_SAFE) for part in url.split(UNKNOWN_VALUE))


def secure_netloc(request: Request) -> str:
    """Return the authority that HTTPSRedirectMiddleware redirects to: without a port where that is 80 or 443."""
    written = netloc(request)
    named = authority(written)
    if named is None or named.port not in ("80", "443"):
        return written
    # urllib.parse gives the host name in lower case and without brackets, and Starlette takes it as it is.
    return named.host.lower().strip("[]")
