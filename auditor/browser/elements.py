"""What pages load without asking script: images, scripts, styles, fonts, event streams; by `crossorigin`, CORP and type."""

from __future__ import annotations

import re
from typing import Literal

from auditor.browser.cookies import CookieJar
from auditor.browser.cors import Credentials, combined
from auditor.browser.fetching import fetch
from auditor.browser.http_cache import HttpCache
from auditor.browser.page import Answer, FetchRequest, FetchResult, Mode, Page
from auditor.browser.profile import CHROMIUM, Deviation, Profile
from auditor.browser.reason import Reason
from auditor.browser.safelist import essence
from auditor.browser.url import Origin
from auditor.dataclass import dataclass
from auditor.exchange import Response

Element = Literal["image", "script", "style", "font"]
_ACCEPT: dict[Element, str] = {
    "image": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "script": "*/*",
    "style": "text/css,*/*;q=0.1",
    "font": "*/*",
}
_JAVASCRIPT = frozenset(
    {"application/ecmascript", "application/javascript", "application/x-ecmascript", "application/x-javascript"}
    | {
        "text/ecmascript",
        "text/javascript",
        "text/jscript",
        "text/livescript",
        "text/x-ecmascript",
        "text/x-javascript",
    }
    | {f"text/javascript1.{minor}" for minor in range(6)}
)
_IMAGES = ("\x89PNG\r\n\x1a\n", "GIF87a", "GIF89a", "\xff\xd8\xff", "BM", "RIFF", "\0\0\1\0")
_FONTS = ("wOF2", "wOFF", "OTTO", "\0\1\0\0", "true", "ttcf")
_NEVER = frozenset(
    {"application/gzip", "application/msword", "application/pdf", "application/zip"}
    | {"application/x-gzip", "application/x-protobuf", "multipart/byteranges", "text/csv", "text/event-stream"}
)
_SAFE = frozenset({"application/dash+xml", "image/svg+xml", "text/css", "text/vtt"})
_TAGS = r"!doctype\ html|script|html|head|iframe|h1|div|font|table|a|style|title|b|body|br|p"
_DATA = re.compile(
    rf"""\s*(?:<(?:{_TAGS})[\s>]|<\?xml)   # markup
    |\s*\{{\s*"(?:[^"\\]|\\.)*"\s*:                          # a JSON object
    |\)\]\}}'|for\s?\(;;\);|while\s?\(1\);|\{{\}}\s?&&""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""What Chromium takes for data that no page may include: markup, a JSON object, a prefix that keeps scripts away."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What loading one element came to: `loaded` for the user to see or run, `readable` for script to look into.

    `readable`: canvas pixels, CSS rules, error messages of a script. `reason` is why it did not load, or, where it
    loaded, why it is not readable.
    """

    fetch: FetchResult
    loaded: bool
    readable: bool
    reason: Reason | None


def load_element(
    page: Origin | Page,
    kind: Element,
    url: str,
    answer: Answer,
    *,
    crossorigin: str | None = None,
    profile: Profile = CHROMIUM,
    jar: CookieJar | None = None,
    http_cache: HttpCache | None = None,
) -> LoadResult:
    """Load `<img>`, `<script>`, `<link rel=stylesheet>` or a font as the page's markup asks for it.

    `crossorigin` is the attribute's value, None where there is none; every value but `use-credentials` means
    anonymous. Fonts are always CORS requests. Source: HTML, "create a potential-CORS request"; Fetch.
    """
    mode: Mode = "cors"
    credentials: Credentials = "same-origin"
    if crossorigin is None and kind != "font":
        mode, credentials = "no-cors", "include"
    elif crossorigin is not None and crossorigin.lower() == "use-credentials":
        credentials = "include"
    request = FetchRequest(
        url,
        credentials=credentials,
        mode=mode,
        destination=kind,
        accept=_ACCEPT[kind],
        crossorigin=crossorigin is not None,
    )
    result = fetch(page, request, answer, profile=profile, jar=jar, http_cache=http_cache)
    if result.response is None or not (result.readable or result.reason is Reason.OPAQUE_RESPONSE):
        return LoadResult(result, loaded=False, readable=False, reason=result.reason)
    refused = _unusable(kind, result, profile)
    if refused is not None:
        return LoadResult(result, loaded=False, readable=False, reason=refused)
    return LoadResult(result, loaded=True, readable=result.readable, reason=result.reason)


def _unusable(kind: Element, result: FetchResult, profile: Profile) -> Reason | None:
    """Say why a response that arrived is no image, script, style or font."""
    response = result.response
    if response is None:
        return Reason.NO_RESPONSE
    if result.type == "opaque" and Deviation.ORB in profile.deviations and _looks_like_data(kind, response):
        return Reason.BLOCKED_BY_ORB
    kind_of = essence(combined(response, "content-type") or "")
    if kind == "script" and kind_of is not None:
        media = kind_of.startswith(("audio/", "image/", "video/")) or kind_of == "text/csv"
        if media:
            return Reason.WRONG_CONTENT_TYPE
    if nosniff(response):
        if kind == "script" and kind_of not in _JAVASCRIPT:
            return Reason.WRONG_CONTENT_TYPE
        if kind == "style" and kind_of != "text/css":
            return Reason.WRONG_CONTENT_TYPE
    if response.body is not None and not _has_format(kind, kind_of, response.body):
        return Reason.WRONG_FORMAT
    if kind != "image" and response.status is not None and not 200 <= response.status <= 299:
        return Reason.WRONG_STATUS
    return None


def _has_format(kind: Element, kind_of: str | None, body: str) -> bool:
    """Whether the bytes can be an image or a font; of scripts and styles any bytes may be."""
    if kind == "font":
        return body.startswith(_FONTS)
    if kind != "image":
        return True
    return "<svg" in body if kind_of == "image/svg+xml" else body.startswith(_IMAGES)


def nosniff(response: Response) -> bool:
    """Whether X-Content-Type-Options forbids sniffing: its first list element is `nosniff`, in any case."""
    value = combined(response, "x-content-type-options")
    return value is not None and value.split(",")[0].strip("\t\n\f\r ").lower() == "nosniff"


def _looks_like_data(kind: Element, response: Response) -> bool:
    """Whether Chromium's opaque response blocking keeps an image or script from seeing the response.

    NOTE: a heuristic of one browser, never a protection to count on: recommend nosniff and CORP.
    """
    if kind not in {"image", "script"}:
        return False
    kind_of = essence(combined(response, "content-type") or "")
    if kind_of in _NEVER or (nosniff(response) and kind_of not in _SAFE and _is_document(kind_of or "")):
        return True
    if kind_of is None or kind_of in _SAFE or kind_of.startswith(("audio/", "video/")):
        return False
    return _DATA.match((response.body or "")[:1024]) is not None


def _is_document(kind_of: str) -> bool:
    """Whether a MIME type is HTML, XML, JSON or plain text, which no image or script should be."""
    return kind_of in {"text/html", "text/plain", "text/xml", "application/xml", "text/json", "application/json"} or (
        kind_of.endswith(("+json", "+xml"))
    )


def event_source(
    page: Origin | Page,
    url: str,
    answer: Answer,
    *,
    with_credentials: bool = False,
    profile: Profile = CHROMIUM,
    jar: CookieJar | None = None,
) -> FetchResult:
    """Open an EventSource: CORS, never a preflight, status 200 and `text/event-stream` or closed for good (HTML)."""
    request = FetchRequest(
        url,
        credentials="include" if with_credentials else "same-origin",
        destination="eventsource",
        accept="text/event-stream",
    )
    result = fetch(page, request, answer, profile=profile, jar=jar)
    if not result.readable or result.response is None:
        return result
    reason = None
    if result.response.status != 200:
        reason = Reason.WRONG_STATUS
    elif essence(combined(result.response, "content-type") or "") != "text/event-stream":
        undecided = result.response.may_have_more("content-type")
        reason = Reason.UNDECIDED if undecided else Reason.WRONG_CONTENT_TYPE
    return result if reason is None else result.because(reason)
