"""The browser: what a page may do with an answer, by the Fetch standard and by Chromium, over anything that answers."""

from auditor.browser.cache import PreflightCache
from auditor.browser.consequence import consequence, explain, refusal_words
from auditor.browser.cookies import Cookie, CookieJar
from auditor.browser.cors import cors_check, preflight_check, readable_headers
from auditor.browser.elements import LoadResult, event_source, load_element, nosniff
from auditor.browser.fetching import fetch
from auditor.browser.forms import navigate, send_beacon, submit_form
from auditor.browser.http_cache import HttpCache, may_stand_for
from auditor.browser.isolation import corp_check, cross_origin_isolated, embedder_policy, opener_policy, severs_opener
from auditor.browser.judge import fetch_at_least, fetch_at_most, may_read
from auditor.browser.page import Answer, FetchRequest, FetchResult, Page, SentRequest
from auditor.browser.profile import CHROMIUM, DEVIATIONS, SPEC, Deviation, Profile
from auditor.browser.reason import Reason
from auditor.browser.url import OPAQUE, Origin, Url, parse_url
from auditor.browser.websocket import websocket

__all__ = [
    "CHROMIUM",
    "DEVIATIONS",
    "OPAQUE",
    "SPEC",
    "Answer",
    "Cookie",
    "CookieJar",
    "Deviation",
    "FetchRequest",
    "FetchResult",
    "HttpCache",
    "LoadResult",
    "Origin",
    "Page",
    "PreflightCache",
    "Profile",
    "Reason",
    "SentRequest",
    "Url",
    "consequence",
    "corp_check",
    "cors_check",
    "cross_origin_isolated",
    "embedder_policy",
    "event_source",
    "explain",
    "fetch",
    "fetch_at_least",
    "fetch_at_most",
    "load_element",
    "may_read",
    "may_stand_for",
    "navigate",
    "nosniff",
    "opener_policy",
    "parse_url",
    "preflight_check",
    "readable_headers",
    "refusal_words",
    "send_beacon",
    "severs_opener",
    "submit_form",
    "websocket",
]
