"""Requests that leave a page without CORS: form submissions, navigations and beacons, which no CORS header stops."""

from __future__ import annotations

from typing import Literal

from auditor.browser.cookies import CookieJar
from auditor.browser.fetching import fetch
from auditor.browser.page import Answer, FetchRequest, FetchResult, Page
from auditor.browser.profile import CHROMIUM, SPEC, Profile
from auditor.browser.safelist import is_safelisted
from auditor.browser.url import Origin

Encoding = Literal["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def submit_form(
    page: Origin | Page,
    url: str,
    answer: Answer,
    *,
    method: Literal["GET", "POST"] = "POST",
    encoding: Encoding = "application/x-www-form-urlencoded",
    body: str = "",
    top_level: bool = True,
    profile: Profile = CHROMIUM,
    jar: CookieJar | None = None,
) -> FetchResult:
    """Submit a form, into the top-level page or (`top_level` False) into a frame of the page.

    No preflight is ever sent and the answer is readable only where it is the page's own origin; a `text/plain`
    form can carry JSON. Source: HTML, "form submission" and "navigate".
    """
    request = FetchRequest(
        url,
        method=method,
        credentials="include",
        mode="navigate",
        body=body if method == "POST" else None,
        body_type=encoding,
        destination="document" if top_level else "iframe",
        accept=_ACCEPT,
        top_level=top_level,
    )
    return fetch(page, request, answer, profile=profile, jar=jar)


def navigate(
    page: Origin | Page,
    url: str,
    answer: Answer,
    *,
    top_level: bool = True,
    profile: Profile = CHROMIUM,
    jar: CookieJar | None = None,
) -> FetchResult:
    """Follow a link or set `location`: a GET with the cookies that SameSite lets go, never with Origin."""
    return submit_form(page, url, answer, method="GET", top_level=top_level, profile=profile, jar=jar)


def send_beacon(
    page: Origin | Page,
    url: str,
    answer: Answer,
    *,
    body: str = "",
    body_type: str | None = "text/plain;charset=UTF-8",
    profile: Profile = CHROMIUM,
    jar: CookieJar | None = None,
) -> FetchResult:
    """Call `navigator.sendBeacon`: a POST with cookies; a body type that is not safe makes it a CORS request.

    Script never sees the answer. Source: Beacon §3.1, Fetch.
    """
    safe = body_type is None or is_safelisted("content-type", body_type, SPEC)
    request = FetchRequest(
        url,
        method="POST",
        credentials="include",
        mode="no-cors" if safe else "cors",
        body=body,
        body_type=body_type,
        destination="beacon",
    )
    result = fetch(page, request, answer, profile=profile, jar=jar)
    return result.unread() if result.readable else result
