"""Which browser is asked: the text of the standards, or Chromium, which is the text plus named deviations."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from auditor.dataclass import dataclass


class Deviation(str, Enum):
    """One place where Chromium does something else than the text; `DEVIATIONS` says what, and how we know."""

    AUTH_WILDCARD = "auth_wildcard"
    CLIENT_HINTS = "client_hints"
    USER_AGENT = "user_agent"
    JOIN_DUPLICATES = "join_duplicates"
    RANGE_INT64 = "range_int64"
    MAX_AGE_PARSE = "max_age_parse"
    KEEP_CACHE_ENTRY = "keep_cache_entry"
    ONE_CACHE_ENTRY = "one_cache_entry"
    CACHED_STAR_LITERAL = "cached_star_literal"
    UPLOAD_NEEDS_BODY = "upload_needs_body"
    FETCH_IGNORES_REFERRER_POLICY = "fetch_origin_ignores_referrer_policy"
    NOCORS_REDIRECT_NULL = "nocors_redirect_origin_null"
    CROSSORIGIN_SENDS_ORIGIN = "crossorigin_attr_sends_origin_same_origin"
    HINTS_DROPPED = "hints_dropped_on_redirect"
    SAMESITE_IGNORES_REDIRECTS = "samesite_ignores_redirects"
    EMPTY_LOCATION = "empty_location"
    ERROR_NEEDS_LOCATION = "redirect_error_needs_location"
    MANUAL_NEEDS_URL = "redirect_manual_needs_url"
    USERINFO_BLOCKED = "userinfo_blocked"
    STATUS_407 = "status_407"
    RETRIES = "status_408_421_retry"
    MIXED_HTTPS_ONLY = "mixed_https_only"
    WS_MIXED_CONTENT_THROWS = "ws_mixed_content_throws"
    AUTH_PROMPT = "auth_prompt"
    SPACE_IN_HOST = "space_in_host"
    ORB = "orb"
    LNA_FROM_PUBLIC_ONLY = "lna_from_public_only"
    MIXED_FORM_WARNING = "mixed_form_warning"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a deviation: what the text says, what Chromium does, and the recorded evidence."""

    text: str
    chromium: str
    evidence: str


_V = "Chromium 156 vectors"
DEVIATIONS: dict[Deviation, Known] = {
    Deviation.AUTH_WILDCARD: Known(
        "Access-Control-Allow-Headers: * never covers Authorization",
        "it does, without credentials",
        f"{_V} auth, allow_headers, fuzz; whatwg/fetch#1919; web-platform-tests cors-preflight-star",
    ),
    Deviation.CLIENT_HINTS: Known(
        "five request-header names are safelisted",
        "client hints (device-memory, dpr, downlink, width, viewport-width, rtt, ect, save-data) are too",
        f"{_V} safelist_lengths_and_names; web-platform-tests cors/simple-requests-ch.tentative",
    ),
    Deviation.USER_AGENT: Known(
        "User-Agent and Intervention set by script need a preflight",
        "they do not; the script's User-Agent never reaches the wire",
        f"{_V} safelist_lengths_and_names",
    ),
    Deviation.JOIN_DUPLICATES: Known(
        "several entries of one header are judged one by one",
        "they are joined with a comma first",
        f"{_V} safelist_lengths_and_names",
    ),
    Deviation.RANGE_INT64: Known(
        "the numbers of a simple range have no limit",
        "numbers of 2^63-1 and beyond are unsafe",
        f"{_V} safelist_range",
    ),
    Deviation.MAX_AGE_PARSE: Known(
        "Access-Control-Max-Age that is not digits counts as 5 seconds",
        "a leading plus is read, a negative number is 0, an overflow 5 seconds",
        f"{_V} max_age; web-platform-tests cors/preflight-cache (-1)",
    ),
    Deviation.KEEP_CACHE_ENTRY: Known(
        "a failed CORS check of the actual response clears the preflight cache's entries",
        "they stay",
        f"{_V} max_age",
    ),
    Deviation.ONE_CACHE_ENTRY: Known(
        "the preflight cache holds one entry for each method and header name, which add up",
        "one entry for an origin and URL: the latest preflight's, dropped once it does not cover a request",
        "services/network/cors/preflight_cache.cc; tests/oracle/chromium_cases.jsonl",
    ),
    Deviation.CACHED_STAR_LITERAL: Known(
        "a `*` in the preflight cache matches every method and header, whoever got it",
        "a `*` got with credentials matches only itself",
        'tests/oracle/chromium_cases.jsonl; Fetch, "method cache entry match"',
    ),
    Deviation.UPLOAD_NEEDS_BODY: Known(
        "a listener on XMLHttpRequest.upload forces a preflight",
        "only when there is a body",
        f"{_V} xhr",
    ),
    Deviation.FETCH_IGNORES_REFERRER_POLICY: Known(
        "a no-cors POST under referrer policy no-referrer or same-origin sends Origin: null",
        "it sends the page's origin; form submissions obey the text",
        f"{_V} referrer_policy_origin, forms_beacons",
    ),
    Deviation.NOCORS_REDIRECT_NULL: Known(
        "a no-cors POST redirected once from the page's own origin keeps its Origin",
        "Origin is null after any redirect to another origin",
        "tests/oracle/chromium_cases.jsonl",
    ),
    Deviation.CROSSORIGIN_SENDS_ORIGIN: Known(
        "a same-origin element with the crossorigin attribute sends no Origin",
        "it sends it",
        f"{_V} elements",
    ),
    Deviation.HINTS_DROPPED: Known(
        "headers set by script travel along redirects",
        "client hints except save-data are dropped on a redirect to an origin other than the page's",
        "tests/oracle/chromium_cases.jsonl",
    ),
    Deviation.SAMESITE_IGNORES_REDIRECTS: Known(
        "a redirect chain through another site makes the request cross-site for SameSite",
        "only the page and the final URL count",
        f"{_V} samesite_frames_redirects",
    ),
    Deviation.EMPTY_LOCATION: Known(
        "an empty Location is a redirect to the same URL",
        "it is no redirect",
        f"{_V} redirects",
    ),
    Deviation.ERROR_NEEDS_LOCATION: Known(
        "redirect mode error fails on every redirect status",
        "only where there is a Location",
        "tests/oracle/chromium_cases.jsonl",
    ),
    Deviation.MANUAL_NEEDS_URL: Known(
        "redirect mode manual does not look at the Location",
        "a Location that is no URL is a network error even so",
        "tests/oracle/chromium_cases.jsonl",
    ),
    Deviation.USERINFO_BLOCKED: Known(
        "a fetch that is not a CORS request may be redirected to a URL with user information",
        "none may",
        f"{_V} redirects; tests/oracle/chromium_cases.jsonl (no-cors)",
    ),
    Deviation.STATUS_407: Known(
        "407 without a proxy is an ordinary response",
        "it is a network error",
        f"{_V} actual_status, preflight_status",
    ),
    Deviation.RETRIES: Known(
        "408 and 421 are ordinary responses",
        "408 on a reused connection and 421 are asked once more",
        f"{_V} actual_status, preflight_status (408: the count is not stable)",
    ),
    Deviation.MIXED_HTTPS_ONLY: Known(
        "every potentially trustworthy page blocks mixed content",
        "only https pages do",
        f"{_V} lna_granted",
    ),
    Deviation.WS_MIXED_CONTENT_THROWS: Known(
        "a mixed-content WebSocket fails like any connection",
        "the constructor throws SecurityError",
        f"{_V} websocket",
    ),
    Deviation.AUTH_PROMPT: Known(
        "a 401 on a CORS request is handed to script, only other requests ask the user for a password",
        "a credentialed CORS request asks too, unless third-party cookies are blocked; script waits for the user",
        f"{_V} auth, auth_prompt_allowed, auth_prompt_blocked",
    ),
    Deviation.SPACE_IN_HOST: Known(
        "a URL with a space in its host is a failure",
        "the space is kept as %20 (the name is then looked up)",
        f"{_V} acao_match, redirects",
    ),
    Deviation.ORB: Known(
        "a no-cors response is not looked into (opaque response blocking is not in this snapshot of Fetch)",
        "images and scripts that look like data are blocked",
        f"{_V} elements",
    ),
    Deviation.LNA_FROM_PUBLIC_ONLY: Known(
        "a local page needs a permission to reach the loopback",
        "only public pages are restricted",
        f"{_V} lna_default",
    ),
    Deviation.MIXED_FORM_WARNING: Known(
        "a form on a secure page may be submitted to http",
        "the user is asked first, nothing is sent until then",
        f"{_V} toplevel_navigation",
    ),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One browser: a name and the deviations from the text that it makes."""

    name: str
    deviations: frozenset[Deviation] = field(default=frozenset())

    def without(self, deviation: Deviation) -> Profile:
        """Return the same browser following the text in one more place."""
        return Profile(f"{self.name}-{deviation.value}", self.deviations - {deviation})


SPEC = Profile("spec")
"""Fetch, HTML, WebSockets and RFC 6265bis by their text."""
CHROMIUM = Profile("chromium", frozenset(Deviation))
"""Chromium 156: the text plus every named deviation."""
PROFILES = (SPEC, CHROMIUM)
"""The browsers that every judgement is made for."""
