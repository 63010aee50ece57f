"""What may be sent across origins without asking: methods and request headers (Fetch §2.2.1, §2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from auditor.browser.profile import Deviation, Profile

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
SAFE_METHODS = frozenset({"GET", "HEAD", "POST"})
_NORMALISED = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
_FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})
_FORBIDDEN_HEADERS = frozenset(
    {
        "accept-charset",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "connection",
        "content-length",
        "cookie",
        "cookie2",
        "date",
        "dnt",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_METHOD_OVERRIDES = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})
_UNSAFE_BYTE = r'[\x00-\x08\x0a-\x1f\x7f"():<>?@\[\\\]{}]'
_LANGUAGE = r"[0-9A-Za-z *,\-.;=]*"
_RANGE = r"bytes=([0-9]+)-([0-9]*)"
_SAFE_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_DECIMAL = r"[0-9]+(\.[0-9]*)?|\.[0-9]+"
_ECT = frozenset({"slow-2g", "2g", "3g", "4g"})
_WHITESPACE = "\t\n\r "
NO_CORS_NAMES = frozenset({"accept", "accept-language", "content-language", "content-type"})
CLIENT_HINTS = frozenset({"device-memory", "dpr", "downlink", "width", "viewport-width", "rtt", "ect", "save-data"})

DROPPED_HINTS = CLIENT_HINTS - {"save-data"}
"""Client hints that Chromium takes off on a redirect to an origin other than the page's."""


def normalise_method(method: str) -> str:
    """Upper-case the six methods that Fetch normalises; every other method keeps its case."""
    upper = method.upper()
    return upper if upper in _NORMALISED else method


def is_forbidden_method(method: str) -> bool:
    """Whether script may never use the method (CONNECT, TRACE, TRACK in any case)."""
    return method.upper() in _FORBIDDEN_METHODS


def is_token(text: str) -> bool:
    """Whether the text is an HTTP token (RFC 9110 §5.6.2)."""
    return TOKEN.fullmatch(text) is not None


def normalise_value(value: str) -> str:
    """Strip HTTP whitespace around a header value (Fetch, "normalize a byte sequence")."""
    return value.strip(_WHITESPACE)


def is_valid_value(value: str) -> bool:
    """Whether a normalised value may be a header value: Latin-1 without NUL, CR and LF."""
    return not any(char in "\0\r\n" or char > "\xff" for char in value)


def is_forbidden_header(name: str, value: str) -> bool:
    """Whether a request header is out of script's reach and silently dropped (Fetch, "forbidden request-header")."""
    lower = name.lower()
    if lower in _FORBIDDEN_HEADERS or lower.startswith(("proxy-", "sec-")):
        return True
    if lower in _METHOD_OVERRIDES:
        return any(is_forbidden_method(part.strip("\t ")) for part in value.split(","))
    return False


@lru_cache(maxsize=4096)
def is_safelisted(name: str, value: str, profile: Profile) -> bool:
    """Whether one (lower-case name, value) needs no preflight (Fetch, "CORS-safelisted request-header")."""
    value = normalise_value(value)
    if Deviation.USER_AGENT in profile.deviations and name in {"user-agent", "intervention"}:
        return True
    if len(value) > 128:
        return False
    if name == "accept":
        return re.search(_UNSAFE_BYTE, value) is None
    if name in {"accept-language", "content-language"}:
        return re.fullmatch(_LANGUAGE, value) is not None
    if name == "content-type":
        return re.search(_UNSAFE_BYTE, value) is None and essence(value) in _SAFE_TYPES
    if name == "range":
        return _is_simple_range(value, profile)
    return name in CLIENT_HINTS and Deviation.CLIENT_HINTS in profile.deviations and _is_hint(name, value)


def _is_simple_range(value: str, profile: Profile) -> bool:
    """Whether a Range value is one range with a start, written without any whitespace."""
    found = re.fullmatch(_RANGE, value)
    if found is None:
        return False
    start, end = int(found[1]), int(found[2]) if found[2] else None
    if Deviation.RANGE_INT64 in profile.deviations and max(start, end or 0) >= 2**63 - 1:
        return False
    return end is None or start <= end


def _is_hint(name: str, value: str) -> bool:
    """Whether a client hint's value is of the form Chromium lets through (cors.cc)."""
    if name == "save-data":
        return value.lower() == "on"
    if name == "ect":
        return value in _ECT
    if name in {"device-memory", "dpr", "downlink"}:
        return re.fullmatch(_DECIMAL, value) is not None
    return value.isascii() and value.isdigit()


def essence(value: str) -> str | None:
    """Return the lower-case `type/subtype` of a MIME type, None where it does not parse (MIME Sniffing §4.4)."""
    text = value.strip(_WHITESPACE)
    kind, slash, rest = text.partition("/")
    subtype = rest.split(";", 1)[0].rstrip(_WHITESPACE)
    if not slash or not is_token(kind) or not is_token(subtype):
        return None
    return f"{kind}/{subtype}".lower()


def unsafe_names(headers: Iterable[tuple[str, str]], profile: Profile) -> tuple[str, ...]:
    """Return the sorted lower-case names that need a preflight (Fetch, "CORS-unsafe request-header names")."""
    pairs = [(name.lower(), value) for name, value in headers]
    if Deviation.JOIN_DUPLICATES in profile.deviations and len(pairs) > 1:
        joined: dict[str, str] = {}
        for name, value in pairs:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        pairs = list(joined.items())
    unsafe: set[str] = set()
    safe: set[str] = set()
    size = 0
    for name, value in pairs:
        if is_safelisted(name, value, profile):
            safe.add(name)
            size += len(value)
        else:
            unsafe.add(name)
    if size > 1024:
        unsafe |= safe
    return tuple(sorted(unsafe))


@lru_cache(maxsize=4096)
def list_tokens(value: str | None) -> tuple[str, ...] | None:
    """Read a combined `#token` list (RFC 9110 §5.6.1); None where any element is not a token."""
    if value is None:
        return ()
    elements = [element for part in value.split(",") if (element := part.strip("\t "))]
    return tuple(elements) if all(map(is_token, elements)) else None
