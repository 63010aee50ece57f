"""What stops a request before it is sent: what script may ask at all, mixed content, ports, the local network."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from auditor.browser.page import AddressSpace, FetchRequest, Page
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
from auditor.browser.url import Url, is_loopback_host, parse_url
from auditor.dataclass import dataclass

_PORTS = (
    "0 1 7 9 11 13 15 17 19-23 25 37 42 43 53 69 77 79 87 95 101-104 109-111 113 115 117 119 123 135 137 139 143 161"
    " 179 389 427 465 512-515 526 530-532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659"
    " 4045 4190 5060 5061 6000 6566 6665-6669 6679 6697 10080"
)
BAD_PORTS = frozenset(
    port for part in _PORTS.split() for port in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
)
"""Ports that no browser connects to (Fetch, "bad port")."""
_RANK: dict[AddressSpace, int] = {"loopback": 0, "local": 1, "public": 2}


@dataclass(frozen=True, slots=True)
class Ready:
    """A request that script may make: parsed URL, normalised method, the headers that survive."""

    url: Url
    method: str
    headers: tuple[tuple[str, str], ...]


def prepare(request: FetchRequest, profile: Profile) -> Ready | Reason:
    """Do what the Request constructor does: refuse by throwing, normalise, drop forbidden headers."""
    spaces = Deviation.SPACE_IN_HOST in profile.deviations
    url = parse_url(request.url, spaces=spaces)
    if url is None:
        return Reason.INVALID_URL
    if url.userinfo and not request.xhr and request.mode != "navigate":
        return Reason.URL_WITH_CREDENTIALS
    method = request.method
    if not is_token(method):
        return Reason.INVALID_METHOD
    if is_forbidden_method(method):
        return Reason.FORBIDDEN_METHOD
    method = normalise_method(method)
    if request.mode == "no-cors" and method not in SAFE_METHODS:
        return Reason.FORBIDDEN_METHOD
    if request.body is not None and method in {"GET", "HEAD"} and not request.xhr:
        return Reason.BODY_NOT_ALLOWED
    headers = _author_headers(request) if request.headers else ()
    return Reason.INVALID_HEADER if headers is None else Ready(url, method, headers)


def _author_headers(request: FetchRequest) -> tuple[tuple[str, str], ...] | None:
    """Return the author's headers that a browser keeps; None where one of them throws."""
    kept: list[tuple[str, str]] = []
    for name, raw in request.headers:
        value = normalise_value(raw)
        if not is_token(name) or not is_valid_value(value):
            return None
        if is_forbidden_header(name, value):
            continue
        lower = name.lower()
        if request.mode != "no-cors" or (lower in NO_CORS_NAMES and is_safelisted(lower, value, SPEC)):
            kept.append((name, value))
    return tuple(kept)


def upgraded(page: Page, request: FetchRequest, url: Url) -> Url:
    """Return the URL that an image, audio or video on an https page is asked for (Mixed Content §4.1)."""
    if url.scheme != "http" or request.destination not in {"image", "audio", "video"} or not _is_secure(page):
        return url
    return url if url.origin.trustworthy or literal_space(url.host) is not None else replace(url, scheme="https")


def before_sending(page: Page, request: FetchRequest, url: Url, profile: Profile) -> Reason | None:
    """Say what keeps a request to the URL from being sent: a blocked port, mixed content, the local network."""
    if url.effective_port in BAD_PORTS and url.special:
        return Reason.UNSAFE_PORT
    target: AddressSpace | None = None
    if page.space is not None:
        target = page.space_of(url) if page.space_of is not None else literal_space(url.host)
        declared = request.target_space
        if declared is not None and target is not None and declared != target:
            return Reason.INVALID_LOCAL_NETWORK_ACCESS
    if url.scheme in {"http", "ws"} and _is_mixed(page, request, url, profile):
        return Reason.MIXED_CONTENT
    return _local_network(page, url, target, profile) if target is not None else None


def _is_secure(page: Page) -> bool:
    """Whether the page, or one of the frames around it, came over https."""
    return page.came_from.scheme == "https" or any(origin.scheme == "https" for origin in page.ancestors)


def _is_mixed(page: Page, request: FetchRequest, url: Url, profile: Profile) -> bool:
    """Whether a request to a plain URL is blocked as mixed content (Mixed Content §4.3)."""
    if request.top_level:
        form = request.method not in {"GET", "HEAD"} and _is_secure(page)
        return form and Deviation.MIXED_FORM_WARNING in profile.deviations and not url.origin.trustworthy
    prohibits = _is_secure(page) or (
        Deviation.MIXED_HTTPS_ONLY not in profile.deviations
        and any(origin.trustworthy for origin in (page.came_from, *page.ancestors))
    )
    if not prohibits or url.origin.trustworthy:
        return False
    exempt = page.space is not None and (request.target_space is not None or literal_space(url.host) is not None)
    return not exempt


def _local_network(page: Page, url: Url, target: AddressSpace, profile: Profile) -> Reason | None:
    """Say whether Local Network Access keeps a page out of a more private network (WICG Local Network Access)."""
    if page.space is None or _RANK[target] >= _RANK[page.space] or url.origin.same_origin(page.origin):
        return None
    if page.space != "public" and Deviation.LNA_FROM_PUBLIC_ONLY in profile.deviations:
        return None
    if not page.came_from.trustworthy:
        return Reason.INSECURE_LOCAL_NETWORK
    return None if page.local_network else Reason.LOCAL_NETWORK_PERMISSION_DENIED


_LOCAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        "fe80::/10",
    )
)


def literal_space(host: str) -> AddressSpace | None:
    """Return the address space that a host name itself tells: an address, localhost or a `.local` name."""
    if is_loopback_host(host):
        return "loopback"
    if host.endswith((".local", ".local.")):
        return "local"
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return "local" if any(address in network for network in _LOCAL if network.version == address.version) else None
