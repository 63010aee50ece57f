"""A WebSocket handshake from a page: no CORS at all, so the server's own look at Origin is the only defence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.browser import gate
from auditor.browser.cookies import CookieJar
from auditor.browser.cors import values
from auditor.browser.handshake import handshake_check
from auditor.browser.page import Answer, FetchRequest, FetchResult, Page, SentRequest
from auditor.browser.profile import CHROMIUM, Deviation, Profile
from auditor.browser.reason import Reason
from auditor.browser.safelist import is_token
from auditor.browser.url import Origin, Url, parse_url
from auditor.browser.wire import received
from auditor.exchange import Field, Headers, Request, Unknown

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The Sec-WebSocket-Key of RFC 6455 §1.3; a browser draws a random one."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def websocket(
    page: Origin | Page,
    url: str,
    answer: Answer,
    *,
    protocols: Sequence[str] = (),
    profile: Profile = CHROMIUM,
    jar: CookieJar | None = None,
) -> FetchResult:
    """Open a WebSocket as script on the page does; `readable` says that the connection stands.

    The user's cookies go along by SameSite, `Origin` always does, redirects are failures, and CORS headers mean
    nothing. `Sec-WebSocket-Accept` is taken as right: it proves only that the peer speaks WebSocket.
    Source: WebSockets, "Opening handshake"; RFC 6455 §4.1 and §10.2.
    """
    where = page if isinstance(page, Page) else Page(page)
    request = FetchRequest(url, mode="websocket", credentials="include", redirect="error", destination="websocket")
    parsed = parse_url(url)
    if parsed is None or parsed.scheme not in _SCHEMES:
        return _refused(where, request, Reason.INVALID_URL, threw=True)
    if len(set(protocols)) != len(protocols) or not all(map(is_token, protocols)):
        return _refused(where, request, Reason.INVALID_SUBPROTOCOL, threw=True)
    target = replace(parsed, scheme=_SCHEMES[parsed.scheme])
    blocked = gate.before_sending(where, request, target, profile)
    if blocked is not None:
        throws = blocked is Reason.MIXED_CONTENT and Deviation.WS_MIXED_CONTENT_THROWS in profile.deviations
        return _refused(where, request, blocked, threw=throws)
    sent_request = _handshake(where, request, target, protocols, profile=profile, jar=jar)
    response, unknown = received(answer(sent_request))
    if response is not None and jar is not None:
        jar.store(where, target, values(response, "set-cookie"))
    reason = Reason.NO_RESPONSE if response is None else handshake_check(response, protocols)
    return FetchResult(
        where,
        request,
        (SentRequest(sent_request, response, credentials=True),),
        executed=True,
        readable=reason is None,
        reason=reason,
        type="error" if reason else "basic",
        response=response,
        url=target.href,
        undecided=(unknown or (Unknown("the answer to the handshake is not decided"),))
        if reason is Reason.UNDECIDED
        else (),
    )


def _handshake(
    page: Page, request: FetchRequest, url: Url, protocols: Sequence[str], *, profile: Profile, jar: CookieJar | None
) -> Request:
    """Build the handshake request."""
    fields = [
        Field("Host", url.authority),
        Field("Connection", "Upgrade"),
        Field("Upgrade", "websocket"),
        Field("Origin", page.origin.serialise()),
        Field("Sec-WebSocket-Version", "13"),
        Field("Sec-WebSocket-Key", _KEY),
    ]
    if protocols:
        fields.append(Field("Sec-WebSocket-Protocol", ", ".join(protocols)))
    cookie = jar.header(page, request, url, (url.origin,), method="GET", profile=profile) if jar is not None else ""
    if cookie:
        fields.append(Field("Cookie", cookie))
    secure = url.scheme == "wss"
    scheme = "https" if secure else "http"
    return Request("GET", url.target, Headers(tuple(fields)), scheme, sni=url.host if secure else None)


def _refused(page: Page, request: FetchRequest, reason: Reason, *, threw: bool) -> FetchResult:
    """Build the result of a connection that was never tried."""
    return FetchResult(page, request, (), executed=False, readable=False, reason=reason, threw=threw)
