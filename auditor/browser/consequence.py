"""What a result means for the people concerned, in one sentence about a page, a route and the user's cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.browser.cors import ALLOW_CREDENTIALS, ALLOW_HEADERS, ALLOW_METHODS, ALLOW_ORIGIN, values
from auditor.browser.reason import Reason
from auditor.browser.url import parse_url
from auditor.exchange import Response

if TYPE_CHECKING:
    from auditor.browser.page import FetchResult, SentRequest


def consequence(result: FetchResult) -> str:
    """Say in one sentence what the page can do, or why no browser lets it."""
    origin = result.page.origin.serialise()
    page = page_words(origin)
    what = _what(result)
    cookies = " with the user's cookies" if result.credentials_sent else ""
    if result.request.mode == "websocket":
        return _of_socket(result, page, what)
    if result.readable:
        return f"{page} can read {what}{cookies}"
    why = explain(result)
    if result.reason is Reason.UNDECIDED:
        return f"whether {page} can read {what}{cookies} is not decided: {why}"
    if result.executed:
        return (
            f"{page} can send {what}{cookies} and the server acts on it, but no browser lets it read the answer: {why}"
        )
    return f"no browser can use {what} from {origin}: {why}"


def page_words(origin: str) -> str:
    """Say who has this serialised origin: a page at it, or for `null` whoever puts a page into a sandboxed frame."""
    return f"a page at {origin}" if origin != "null" else "any page, from a sandboxed frame (origin null),"


def _of_socket(result: FetchResult, page: str, what: str) -> str:
    """Say what a WebSocket handshake means."""
    cookies = " with the user's cookies" if result.credentials_sent else ""
    if result.readable:
        return f"{page} can open {what}{cookies} and read and write on it"
    why = explain(result)
    if result.reason is Reason.UNDECIDED:
        return f"whether {page} can open {what}{cookies} is not decided: {why}"
    return f"no browser opens {what} for {page}: {why}"


def _what(result: FetchResult) -> str:
    """Name the route as method and path."""
    url = parse_url(result.request.url)
    path = url.target if url is not None and url.target else result.request.url
    if result.request.mode == "websocket":
        return f"the WebSocket {path}"
    return f"{result.request.method} {path}"


def explain(result: FetchResult) -> str:
    """Return the reason as a phrase that names the header, its value and what the browser wanted."""
    reason = result.reason
    if reason is None:
        return "nothing stands in the way"
    if reason is Reason.UNDECIDED:
        return "; ".join(unknown.reason for unknown in result.undecided) or "the configuration does not say"
    last = result.sent[-1] if result.sent else None
    response = (last.response if last is not None else None) or Response(None)
    prefix = "the preflight's answer has " if reason.value.startswith("Preflight") else ""
    phrase = _of_origin(reason, response) or _of_preflight(reason, response, last) or _PHRASES.get(reason)
    return f"{prefix}{phrase}" if phrase else reason.value


def refusal_words(reason: Reason, response: Response) -> str:
    """Return why the CORS check, or the check of a preflight, refused this response, as a phrase."""
    prefix = "the preflight's answer has " if reason.value.startswith("Preflight") else ""
    phrase = _of_origin(reason, response) or _of_preflight(reason, response, None) or _PHRASES.get(reason)
    return prefix + (phrase or reason.value)


def _of_origin(reason: Reason, response: Response) -> str | None:
    """Put a failed CORS check into words."""
    shown = values(response, ALLOW_ORIGIN)
    plain = reason.value.removeprefix("Preflight")
    if plain == Reason.MISSING_ALLOW_ORIGIN.value:
        return "no Access-Control-Allow-Origin header"
    if plain == Reason.MULTIPLE_ALLOW_ORIGIN.value:
        count = {2: "two", 3: "three"}.get(len(shown), str(len(shown)))
        return (
            f"{count} Access-Control-Allow-Origin headers" if len(shown) > 1 else _valued(shown, "several origins in")
        )
    if plain in {Reason.INVALID_ALLOW_ORIGIN.value, Reason.ALLOW_ORIGIN_MISMATCH.value}:
        return _valued(shown, "another value in" if len(shown) < 2 else "several lines of")
    if plain == Reason.WILDCARD_WITH_CREDENTIALS.value:
        return "Access-Control-Allow-Origin: *, which never covers credentials"
    if plain == Reason.INVALID_ALLOW_CREDENTIALS.value:
        credentials = values(response, ALLOW_CREDENTIALS)
        if not credentials:
            return "no Access-Control-Allow-Credentials header"
        return f"Access-Control-Allow-Credentials that is {', '.join(credentials)!r}, not exactly true"
    return None


def _valued(shown: list[str], phrase: str) -> str:
    """Show the value of Access-Control-Allow-Origin."""
    return f"{phrase} Access-Control-Allow-Origin ({', '.join(shown)!r})"


def _of_preflight(reason: Reason, response: Response, last: SentRequest | None) -> str | None:
    """Put a failed preflight into words."""
    request = last.request.headers if last is not None else None
    if reason is Reason.PREFLIGHT_INVALID_STATUS:
        return f"status {response.status}, not 200 to 299"
    if reason is Reason.PREFLIGHT_REDIRECT:
        return f"a redirect ({response.status}), which no browser follows"
    if reason is Reason.METHOD_NOT_ALLOWED and request is not None:
        listed = ", ".join(values(response, ALLOW_METHODS)) or "nothing"
        return f"the preflight allows {listed}, not {request.get('Access-Control-Request-Method')}"
    if reason is Reason.HEADER_NOT_ALLOWED and request is not None:
        listed = ", ".join(values(response, ALLOW_HEADERS)) or "no header"
        return f"the preflight allows {listed}, and {request.get('Access-Control-Request-Headers')} was asked for"
    if reason is Reason.INVALID_ALLOW_METHODS:
        return f"a malformed Access-Control-Allow-Methods ({', '.join(values(response, ALLOW_METHODS))!r})"
    if reason is Reason.INVALID_ALLOW_HEADERS:
        return f"a malformed Access-Control-Allow-Headers ({', '.join(values(response, ALLOW_HEADERS))!r})"
    if reason is Reason.HANDSHAKE_REFUSED:
        return f"the handshake is answered with status {response.status}"
    return None


_PHRASES = {
    Reason.NO_RESPONSE: "the connection is closed without an answer",
    Reason.INVALID_RESPONSE: "a NUL byte in a response header",
    Reason.MIXED_CONTENT: "an https page may not use plain http",
    Reason.UNSAFE_PORT: "browsers block this port",
    Reason.OPAQUE_RESPONSE: "the answer is opaque without CORS",
    Reason.NOT_READABLE_BY_DESIGN: "the answer is not for script",
    Reason.DISALLOWED_BY_MODE: "the request was limited to the page's own origin",
    Reason.TOO_MANY_REDIRECTS: "more than 20 redirects",
    Reason.REDIRECT_WITH_CREDENTIALS: "a redirect to a URL with user information",
    Reason.CORS_DISABLED_SCHEME: "a redirect to a scheme that is not http or https",
    Reason.INVALID_REDIRECT: "a Location that is no URL",
    Reason.CORP_NOT_SAME_ORIGIN: "Cross-Origin-Resource-Policy: same-origin",
    Reason.CORP_NOT_SAME_SITE: "Cross-Origin-Resource-Policy: same-site",
    Reason.SUBPROTOCOL_MISMATCH: "the subprotocol asked for is not the one answered",
}
