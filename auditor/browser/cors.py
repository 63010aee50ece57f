"""The two decisions of CORS on a response: the CORS check, and whether a preflight allows the request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from auditor.browser.profile import CHROMIUM, Deviation, Profile
from auditor.browser.reason import Reason
from auditor.browser.safelist import SAFE_METHODS, list_tokens
from auditor.browser.url import from_bytes, parse_url
from auditor.exchange import UNKNOWN_VALUE, Response

Credentials = Literal["omit", "same-origin", "include"]
ALLOW_ORIGIN = "access-control-allow-origin"
ALLOW_CREDENTIALS = "access-control-allow-credentials"
ALLOW_METHODS = "access-control-allow-methods"
ALLOW_HEADERS = "access-control-allow-headers"
EXPOSE_HEADERS = "access-control-expose-headers"
MAX_AGE = "access-control-max-age"
_ALWAYS_READABLE = frozenset(
    {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
)


def values(response: Response, name: str) -> list[str]:
    """Return the values of a field as a browser's HTTP parser leaves them; `name` is lower case.

    SP and HTAB around a value go, a blank before the colon is tolerated.
    """
    headers = response.headers
    places = _read(headers.names).get(name)
    return [] if places is None else [headers.fields[place].value.strip(" \t") for place in places]


@lru_cache(maxsize=4096)
def _read(names: tuple[str, ...]) -> Mapping[str, list[int]]:
    """Return where the lines of each name stand, lower case and without blanks at its end."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name.rstrip(" \t").lower(), []).append(place)
    return places


def combined(response: Response, name: str) -> str | None:
    """Return a field's lines joined by `, ` as Fetch's "get" does, None where there is none."""
    found = values(response, name)
    if not found:
        return None
    return found[0] if len(found) == 1 else ", ".join(found)


def cors_check(request_origin: str, credentials: bool, response: Response) -> Reason | None:
    """Run Fetch's "CORS check": None lets the page read; `UNDECIDED` is neither yes nor no.

    `request_origin` is the serialised origin as sent; `credentials` is whether the credentials mode is include.
    """
    found = values(response, ALLOW_ORIGIN)
    more = response.further_headers and ALLOW_ORIGIN not in response.absent
    if not found:
        return Reason.UNDECIDED if more else Reason.MISSING_ALLOW_ORIGIN
    value = found[0] if len(found) == 1 else ", ".join(found)
    if value != request_origin and (credentials or value != "*"):
        wanted = (request_origin,) if credentials else (request_origin, "*")
        if UNKNOWN_VALUE in value and any(_could_be(value, text) for text in wanted):
            return Reason.UNDECIDED
        return _mismatch(value, credentials)
    if value == "*" or not credentials:
        return Reason.UNDECIDED if more else None
    refused = credentials_check(response)
    if refused is None and more:
        return Reason.UNDECIDED
    return refused


def credentials_check(response: Response) -> Reason | None:
    """Run the second half of Fetch's "CORS check": Access-Control-Allow-Credentials has to be exactly `true`."""
    found = values(response, ALLOW_CREDENTIALS)
    more = response.further_headers and ALLOW_CREDENTIALS not in response.absent
    if found == ["true"] or not found:
        return Reason.UNDECIDED if more else (None if found else Reason.INVALID_ALLOW_CREDENTIALS)
    if _could_be(", ".join(found), "true"):
        return Reason.UNDECIDED
    return Reason.INVALID_ALLOW_CREDENTIALS


def _could_be(value: str, text: str) -> bool:
    """Whether a value with undecided parts can turn out to be the text."""
    if UNKNOWN_VALUE not in value:
        return value == text
    pieces = [
        piece.strip(" \t") if place in {0, value.count(UNKNOWN_VALUE)} else piece
        for place, piece in enumerate(value.split(UNKNOWN_VALUE))
    ]
    return re.fullmatch(".*".join(map(re.escape, pieces)), text) is not None


def _mismatch(value: str, credentials: bool) -> Reason:
    """Name the way in which Access-Control-Allow-Origin fails, as Chromium's `CheckAccess` does (cors.cc)."""
    if value == "*" and credentials:
        return Reason.WILDCARD_WITH_CREDENTIALS
    if value == "null":
        return Reason.ALLOW_ORIGIN_MISMATCH
    if " " in value or "," in value:
        return Reason.MULTIPLE_ALLOW_ORIGIN
    return Reason.ALLOW_ORIGIN_MISMATCH if UNKNOWN_VALUE in value or _is_url(value) else Reason.INVALID_ALLOW_ORIGIN


@lru_cache(maxsize=4096)
def _is_url(value: str) -> bool:
    """Whether a value parses as an absolute URL for Chromium, whose names of reasons these are."""
    return not value.startswith("filesystem:") and parse_url(from_bytes(value), spaces=True) is not None


def preflight_check(
    method: str,
    headers: Sequence[str],
    credentials: bool,
    response: Response,
    *,
    request_origin: str | None = None,
    profile: Profile = CHROMIUM,
) -> Reason | None:
    """Run step 7 of Fetch's "CORS-preflight fetch" on the preflight's response; None lets the request go.

    `headers` are the unsafe names, lower case. The CORS check comes first where `request_origin` is given.
    The method is compared byte for byte, header names without case.
    """
    refused = cors_check(request_origin, credentials, response) if request_origin is not None else None
    if refused is not None and refused is not Reason.UNDECIDED:
        return refused.of_preflight
    undecided = refused is Reason.UNDECIDED
    status = response.status
    if status is not None and not 200 <= status <= 299:
        location = status in REDIRECTS and values(response, "location")
        return Reason.PREFLIGHT_REDIRECT if location else Reason.PREFLIGHT_INVALID_STATUS
    undecided |= status is None
    methods, methods_open = _tokens(response, ALLOW_METHODS)
    if methods is None:
        return Reason.INVALID_ALLOW_METHODS
    names, names_open = _tokens(response, ALLOW_HEADERS)
    if names is None:
        return Reason.INVALID_ALLOW_HEADERS
    if method not in methods and method not in SAFE_METHODS and (credentials or "*" not in methods):
        if not methods_open:
            return Reason.METHOD_NOT_ALLOWED
        undecided = True
    if missing_header(names, headers, credentials, profile) is not None:
        if not names_open:
            return Reason.HEADER_NOT_ALLOWED
        undecided = True
    return Reason.UNDECIDED if undecided or methods_open or names_open else None


REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _tokens(response: Response, name: str) -> tuple[tuple[str, ...] | None, bool]:
    """Return a list field's tokens (None: malformed) and whether undecided text may add or break some."""
    value = combined(response, name)
    more = response.further_headers and name not in response.absent
    if value is None or UNKNOWN_VALUE not in value:
        return list_tokens(value), more
    known = [part for part in value.split(",") if UNKNOWN_VALUE not in part]
    return list_tokens(",".join(known)), True


def missing_header(allowed: Sequence[str], headers: Sequence[str], credentials: bool, profile: Profile) -> str | None:
    """Return the first unsafe name that a list of allowed names does not cover."""
    if not headers:
        return None
    lower = {name.lower() for name in allowed}
    star = "*" in lower and not credentials
    for name in headers:
        if name in lower:
            continue
        if star and (name != "authorization" or Deviation.AUTH_WILDCARD in profile.deviations):
            continue
        return name
    return None


def readable_headers(response: Response, credentials: bool) -> tuple[tuple[str, str], ...]:
    """Return what script can read of a CORS response: lower-case names sorted, repeated fields joined.

    Source: Fetch, "CORS filtered response" and "CORS-safelisted response-header name".
    """
    exposed = {name.lower() for name in list_tokens(combined(response, EXPOSE_HEADERS)) or ()}
    everything = "*" in exposed and not credentials
    names = script_names(response)
    return tuple(
        (name, combined(response, name) or "")
        for name in names
        if everything or name in _ALWAYS_READABLE or name in exposed
    )


def script_names(response: Response) -> list[str]:
    """Return the sorted lower-case names of a response's fields without those no script ever sees."""
    names = {field.name.rstrip(" \t").lower() for field in response.headers.fields}
    return sorted(names - {"set-cookie", "set-cookie2"})
