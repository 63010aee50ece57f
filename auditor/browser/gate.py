"""What stops a request before it is sent: what script may ask at all, mixed content, ports, the local network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.browser.page import FetchRequest, Page
from auditor.browser.profile import SPEC, Deviation, Profile
from auditor.browser.reason import Reason
from auditor.browser.safelist import (
    NO_CORS_NAMES,
    SAFE_METHODS,
    is_forbidden_header,
    is_forbidden_method,
    is_safelisted,
    is_token,
    is_valid_value,
    normalise_method,
    normalise_value,
)
from auditor.browser.url import Origin, Url, parse_url

_RANGES = "1 7 9 11 13 15 17 19-23 25 37 42 43 53 69 77 79 87 95 101-104 109-111 113 115 117 119 123 135 137 139 143 161 179 389 427 465 512-515 526 530-532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665-6669 6679 6697 10080"
_BAD_PORTS = frozenset(
    port for part in _RANGES.split() for port in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
)


@dataclass(frozen=True, slots=True)
class Ready:
    """A request that script may make: parsed URL, normalised method, the headers that survive."""

    url: Url
    method: str
    headers: tuple[tuple[str, str], ...]


def prepare(page: Page, request: FetchRequest) -> tuple[Reason | None, Ready | None]:
    """Do what the Request constructor does: refuse by throwing, normalise, drop forbidden headers."""
    url = parse_url(request.url, None)
    if url is None:
        return Reason.INVALID_URL, None
    if url.userinfo:
        return Reason.URL_WITH_CREDENTIALS, None
    method = request.method
    if not is_token(method):
        return Reason.INVALID_METHOD, None
    if is_forbidden_method(method):
        return Reason.FORBIDDEN_METHOD, None
    method = normalise_method(method)
    if request.mode == "no-cors" and method not in SAFE_METHODS:
        return Reason.FORBIDDEN_METHOD, None
    if request.body is not None and method in {"GET", "HEAD"}:
        return Reason.BODY_NOT_ALLOWED, None
    if not request.headers:
        return None, Ready(url, method, ())
    headers: list[tuple[str, str]] = []
    for name, raw in request.headers:
        value = normalise_value(raw)
        if not is_token(name) or not is_valid_value(value):
            return Reason.INVALID_HEADER, None
        if is_forbidden_header(name, value):
            continue
        if request.mode == "no-cors" and not (
            name.lower() in NO_CORS_NAMES and is_safelisted(name.lower(), value, SPEC)
        ):
            continue
        headers.append((name, value))
    return None, Ready(url, method, tuple(headers))


def before_sending(page: Page, request: FetchRequest, url: Url, profile: Profile) -> Reason | None:
    """Say what keeps a request to the URL from being sent at all: mixed content or a blocked port."""
    if url.effective_port in _BAD_PORTS:
        return Reason.UNSAFE_PORT
    if url.scheme in {"http", "ws"} and _prohibits_mixed(page, profile) and request.mode != "navigate":
        return None if url.origin.trustworthy else Reason.MIXED_CONTENT
    return None


def _prohibits_mixed(page: Page, profile: Profile) -> bool:
    """Whether the page blocks insecure subresources (Mixed Content §4.3)."""
    frames = (page.came_from, *page.ancestors)
    if Deviation.MIXED_HTTPS_ONLY in profile.deviations:
        return any(origin.scheme == "https" for origin in frames)
    return any(origin.trustworthy for origin in frames)


def origin_of_unsafe_method(
    page: Page, request: FetchRequest, url: Url, origin: str, here: Origin, visited: Sequence[Origin], profile: Profile
) -> str:
    """Return Origin for a request with an unsafe method that is not a CORS request."""
    if request.mode == "cors":
        return origin
    if (
        request.mode == "no-cors"
        and Deviation.NOCORS_REDIRECT_NULL in profile.deviations
        and any(old != here for old in visited)
    ):
        return "null"
    if request.mode == "no-cors" and Deviation.FETCH_IGNORES_REFERRER_POLICY in profile.deviations:
        return origin
    policy = request.referrer_policy or page.referrer_policy
    if policy == "no-referrer":
        return "null"
    if policy == "same-origin":
        return origin if here.same_origin(page.origin) else "null"
    downgrade = page.origin.scheme == "https" and url.scheme != "https"
    if downgrade and policy in {"no-referrer-when-downgrade", "strict-origin", "strict-origin-when-cross-origin"}:
        return "null"
    return origin
