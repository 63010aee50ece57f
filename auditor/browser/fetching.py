"""The Fetch standard's main fetch, HTTP fetch, CORS-preflight fetch and HTTP-redirect fetch, over anything that answers."""

from __future__ import annotations

from dataclasses import field, replace

from auditor.browser import gate
from auditor.browser.cache import PreflightCache, Wish
from auditor.browser.cookies import CookieJar
from auditor.browser.cors import (
    REDIRECTS,
    combined,
    cors_check,
    preflight_check,
    readable_headers,
    script_names,
    values,
)
from auditor.browser.http_cache import HttpCache
from auditor.browser.isolation import corp_check
from auditor.browser.page import Answer, FetchRequest, FetchResult, Page, ResponseType, SentRequest
from auditor.browser.profile import CHROMIUM, Deviation, Profile
from auditor.browser.reason import Reason
from auditor.browser.safelist import DROPPED_HINTS, SAFE_METHODS, unsafe_names
from auditor.browser.url import Origin, Url, escaped_bytes, parse_url
from auditor.browser.wire import has_nul, received
from auditor.dataclass import dataclass
from auditor.exchange import Field, Headers, Request, Response, Unknown

MAX_REDIRECTS = 20
_BODY_HEADERS = frozenset({"content-encoding", "content-language", "content-location", "content-type"})


def fetch(
    page: Origin | Page,
    request: FetchRequest,
    answer: Answer,
    *,
    profile: Profile = CHROMIUM,
    cache: PreflightCache | None = None,
    jar: CookieJar | None = None,
    http_cache: HttpCache | None = None,
) -> FetchResult:
    """Do what a browser does when script on the page makes the request, and say what came of it.

    `answer` is asked for every request that goes over the wire, preflights included. Without a cache every fetch
    starts with an empty one; without a jar no Cookie header is sent, only `SentRequest.credentials` says that
    cookies may go; without an HTTP cache every request reaches the server. Source: Fetch, "main fetch" and what it calls.
    """
    where = page if isinstance(page, Page) else Page(page)
    ready = gate.prepare(request, profile)
    if isinstance(ready, Reason):
        return FetchResult(where, request, (), executed=False, readable=False, reason=ready, threw=True)
    run = _Run(
        where,
        request,
        answer,
        profile,
        cache if cache is not None else PreflightCache(),
        jar,
        http_cache,
        ready.url,
        ready.method,
        ready.headers,
        request.body is not None and ready.method not in {"GET", "HEAD"},
    )
    return run.main()


@dataclass(slots=True)
class _Run:
    """The state of one fetch while it goes on: Fetch's request concept."""

    page: Page
    request: FetchRequest
    answer: Answer
    profile: Profile
    cache: PreflightCache
    jar: CookieJar | None
    http_cache: HttpCache | None
    url: Url
    method: str
    headers: tuple[tuple[str, str], ...]
    has_body: bool
    tainting: ResponseType = "basic"
    origin_tainted: bool = False
    hop: int = 0
    sent: list[SentRequest] = field(default_factory=list)
    visited: list[Origin] = field(default_factory=list)
    undecided: tuple[Unknown, ...] = ()
    detail: str = ""

    # -- main fetch ------------------------------------------------------------------------------------------------

    def main(self) -> FetchResult:
        """Go from URL to URL until there is a response or a failure."""
        while True:
            self.url = gate.upgraded(self.page, self.request, self.url)
            here = self.url.origin
            self.visited.append(here)
            refused = gate.before_sending(self.page, self.request, self.url, self.profile)
            if refused is not None:
                return self.fail(refused)
            refused = self.set_tainting(here)
            if refused is not None:
                return self.fail(refused)
            response, refused = self.http_fetch(here)
            if response is None or refused is not None:
                undecided_load = refused is Reason.UNDECIDED and self.tainting == "opaque"
                return self.fail(refused or Reason.NO_RESPONSE, response, "opaque" if undecided_load else "error")
            result = self.redirect(here, response)
            if result is not None:
                return result

    def set_tainting(self, here: Origin) -> Reason | None:
        """Choose between basic, opaque and cors for the current URL (main fetch, "recursive")."""
        mode = self.request.mode
        if mode == "navigate" or (self.tainting == "basic" and here.same_origin(self.page.origin)):
            return None
        if mode == "same-origin":
            return Reason.DISALLOWED_BY_MODE
        if mode == "no-cors":
            if self.request.redirect != "follow":
                return Reason.REDIRECT_FORBIDDEN
            self.tainting = "opaque"
            return None
        if self.url.scheme not in {"http", "https"}:
            return Reason.CORS_DISABLED_SCHEME
        self.tainting = "cors"
        return None

    @property
    def with_credentials(self) -> bool:
        """Whether the next request may carry the user's credentials (HTTP-network-or-cache fetch)."""
        mode = self.request.credentials
        if (
            self.request.mode == "no-cors"
            and self.tainting == "opaque"
            and self.page.embedder_policy == "credentialless"
        ):
            return False
        return mode == "include" or (mode == "same-origin" and self.tainting == "basic")

    def origin_value(self) -> str:
        """Return the request's origin as serialised for the wire: null once a redirect tainted it."""
        return "null" if self.origin_tainted else self.page.origin.serialise()

    # -- HTTP fetch ------------------------------------------------------------------------------------------------

    def http_fetch(self, here: Origin) -> tuple[Response | None, Reason | None]:
        """Preflight where needed, send, and run the CORS check or the resource policy check."""
        include = self.request.credentials == "include"
        if self.tainting == "cors":
            refused = self.preflight(include)
            if refused is not None:
                return None, refused
        response = self.exchange(here)
        if response is None:
            return None, Reason.NO_RESPONSE
        refused = self.broken(response) or (Reason.PASSWORD_PROMPT if self.prompts(response) else None)
        if refused is not None:
            return response, refused
        if self.tainting == "cors":
            refused = cors_check(self.origin_value(), include, response)
            if refused is Reason.UNDECIDED:
                self.note(response, "the headers that share the answer are not decided")
            elif refused is not None and Deviation.KEEP_CACHE_ENTRY not in self.profile.deviations:
                self.cache.forget(self.origin_value(), self.url.href)
            return response, refused
        if self.tainting == "opaque":
            refused = corp_check(self.page, here, response)
            if refused is Reason.UNDECIDED:
                self.note(response, "Cross-Origin-Resource-Policy is not decided")
            return response, refused
        return response, None

    def broken(self, response: Response) -> Reason | None:
        """Say whether the response is none that a browser hands on."""
        if has_nul(response):
            return Reason.INVALID_RESPONSE
        if response.status == 407 and Deviation.STATUS_407 in self.profile.deviations:
            return Reason.PROXY_AUTHENTICATION
        return None

    def prompts(self, response: Response) -> bool:
        """Whether a 401 makes the browser ask the user for a password (HTTP-network-or-cache fetch)."""
        if response.status != 401 or not self.with_credentials or self.request.destination:
            return False
        challenge = combined(response, "www-authenticate") or ""
        if challenge.split(" ", 1)[0].lower() not in {"basic", "digest"}:
            return False
        if self.tainting == "basic":
            return True
        blocked = self.jar is not None and self.jar.blocks(self.page, self.url)
        return Deviation.AUTH_PROMPT in self.profile.deviations and not blocked

    def exchange(self, here: Origin) -> Response | None:
        """Send the request itself."""
        fields = [Field("Host", self.url.authority), Field("Accept", self.request.accept)]
        names = {name.lower() for name, _ in self.headers}
        if "accept" in names:
            del fields[1]
        origin = self.origin_header(here)
        if origin is not None:
            fields.append(Field("Origin", origin))
        fields.extend(Field(name, value) for name, value in self.headers)
        if self.has_body and "content-type" not in names and self.request.body_type is not None:
            fields.append(Field("Content-Type", self.request.body_type))
        return self.send(self.method, fields, preflight=False)

    def origin_header(self, here: Origin) -> str | None:
        """Return the Origin header's value or None (Fetch, "append a request Origin header")."""
        if self.tainting == "cors":
            return self.origin_value()
        if self.request.crossorigin and Deviation.CROSSORIGIN_SENDS_ORIGIN in self.profile.deviations:
            return self.origin_value()
        if self.method in {"GET", "HEAD"}:
            return None
        if self.request.mode == "cors":
            return self.origin_value()
        if self.request.mode == "no-cors":
            if Deviation.NOCORS_REDIRECT_NULL in self.profile.deviations and any(old != here for old in self.visited):
                return "null"
            if Deviation.FETCH_IGNORES_REFERRER_POLICY in self.profile.deviations:
                return self.origin_value()
        return self.origin_value() if self.policy_shows_origin(here) else "null"

    def policy_shows_origin(self, here: Origin) -> bool:
        """Whether the referrer policy lets a request with an unsafe method tell its origin."""
        policy = self.request.referrer_policy or self.page.referrer_policy
        if policy == "no-referrer":
            return False
        if policy == "same-origin":
            return here.same_origin(self.page.origin)
        if policy in {"no-referrer-when-downgrade", "strict-origin", "strict-origin-when-cross-origin"}:
            return self.page.origin.scheme != "https" or self.url.scheme == "https"
        return True

    def send(self, method: str, fields: list[Field], *, preflight: bool) -> Response | None:
        """Put one request on the wire, or find its answer in the cache, and keep what came back."""
        credentials = not preflight and self.with_credentials
        if credentials and self.jar is not None:
            cookie = self.jar.header(
                self.page, self.request, self.url, self.visited, method=method, profile=self.profile
            )
            if cookie:
                fields = [*fields, Field("Cookie", cookie)]
        url = self.url
        body = len(self.request.body or "") if self.has_body and not preflight else 0
        secure = url.scheme == "https"
        request = Request(
            method,
            url.target,
            Headers(tuple(fields)),
            "https" if secure else "http",
            sni=url.host if secure else None,
            body_length=body,
        )
        if self.http_cache is not None and (stored := self.http_cache.find(request)) is not None:
            return stored
        response = self.ask(request, preflight=preflight, credentials=credentials)
        if response is not None and response.status == 421 and Deviation.RETRIES in self.profile.deviations:
            response = self.ask(request, preflight=preflight, credentials=credentials)
        if response is not None and self.http_cache is not None:
            self.http_cache.keep(request, response)
        if credentials and self.jar is not None and response is not None:
            self.jar.store(self.page, self.url, values(response, "set-cookie"))
        return response

    def ask(self, request: Request, *, preflight: bool, credentials: bool) -> Response | None:
        """Ask the server once."""
        response, unknown = received(self.answer(request))
        if unknown:
            self.undecided = unknown
        self.sent.append(SentRequest(request, response, preflight, self.hop, credentials))
        return response

    # -- CORS-preflight fetch --------------------------------------------------------------------------------------

    def preflight(self, include: bool) -> Reason | None:
        """Ask for permission where the method or a header needs it and no remembered answer gives it."""
        headers = self.headers
        if (
            self.has_body
            and self.request.body_type is not None
            and not any(n.lower() == "content-type" for n, _ in headers)
        ):
            headers = (*headers, ("content-type", self.request.body_type))
        unsafe = unsafe_names(headers, self.profile) if headers else ()
        forced = self.request.upload_listener and (
            self.has_body or Deviation.UPLOAD_NEEDS_BODY not in self.profile.deviations
        )
        if self.method in SAFE_METHODS and not unsafe and not forced:
            return None
        origin = self.origin_value()
        wish = Wish(self.method, unsafe, include, forced)
        if self.cache.covers(origin, self.url.href, wish, self.profile):
            return None
        fields = [
            Field("Host", self.url.authority),
            Field("Accept", "*/*"),
            Field("Access-Control-Request-Method", self.method),
        ]
        if unsafe:
            fields.append(Field("Access-Control-Request-Headers", ",".join(unsafe)))
        fields.append(Field("Origin", origin))
        response = self.send("OPTIONS", fields, preflight=True)
        if response is None:
            return Reason.NO_RESPONSE
        refused = self.broken(response) or preflight_check(
            self.method, unsafe, include, response, request_origin=origin, profile=self.profile
        )
        if refused is None:
            self.cache.remember(origin, self.url.href, wish, response, self.profile)
        elif refused is Reason.UNDECIDED:
            self.note(response, "the answer to the preflight is not decided")
        return refused

    # -- HTTP-redirect fetch ---------------------------------------------------------------------------------------

    def redirect(self, here: Origin, response: Response) -> FetchResult | None:
        """Follow a redirect (None: go on) or finish."""
        if response.status is None:
            self.note(response, "the status is not decided")
            return self.fail(Reason.UNDECIDED, response)
        if response.status not in REDIRECTS:
            return self.finish(response)
        location = combined(response, "location")
        if response.may_have_more("location"):
            self.note(response, "Location is not decided")
            return self.fail(Reason.UNDECIDED, response)
        nowhere = location is None or (location == "" and Deviation.EMPTY_LOCATION in self.profile.deviations)
        if self.request.redirect == "error" and not (
            nowhere and Deviation.ERROR_NEEDS_LOCATION in self.profile.deviations
        ):
            refused = None if location is None else self.follow(here, location, response.status)
            return self.fail(refused or Reason.REDIRECT_FORBIDDEN, response)
        if self.request.redirect == "manual" and self.request.mode != "navigate":
            invalid = location is not None and self.target_of(location) is None
            if invalid and Deviation.MANUAL_NEEDS_URL in self.profile.deviations:
                return self.fail(Reason.INVALID_REDIRECT, response)
            return self.fail(Reason.OPAQUE_REDIRECT, response, "opaqueredirect")
        if location is None or nowhere:
            return self.finish(response)
        refused = self.follow(here, location, response.status)
        return None if refused is None else self.fail(refused, response)

    def target_of(self, location: str) -> Url | None:
        """Return where a Location leads (Fetch, "location URL"), None for a failure."""
        return parse_url(escaped_bytes(location), self.url, spaces=Deviation.SPACE_IN_HOST in self.profile.deviations)

    def follow(self, here: Origin, location: str, status: int) -> Reason | None:
        """Move on to the Location (Fetch, "HTTP-redirect fetch")."""
        url = self.target_of(location)
        if url is None:
            return Reason.INVALID_REDIRECT
        if url.scheme not in {"http", "https"}:
            return Reason.CORS_DISABLED_SCHEME if self.request.mode == "cors" else Reason.UNSAFE_REDIRECT
        self.hop += 1
        if self.hop > MAX_REDIRECTS:
            return Reason.TOO_MANY_REDIRECTS
        there = url.origin
        if url.userinfo and self.request.mode != "navigate":
            cors = self.request.mode == "cors" and (self.tainting == "cors" or not there.same_origin(self.page.origin))
            if cors or Deviation.USERINFO_BLOCKED in self.profile.deviations:
                return Reason.REDIRECT_WITH_CREDENTIALS
        if (status in {301, 302} and self.method == "POST") or (status == 303 and self.method not in {"GET", "HEAD"}):
            self.method = "GET"
            self.has_body = False
            self.headers = tuple(pair for pair in self.headers if pair[0].lower() not in _BODY_HEADERS)
        if there != here:
            self.headers = tuple(pair for pair in self.headers if pair[0].lower() != "authorization")
            if not here.same_origin(self.page.origin):
                self.origin_tainted = True
        if Deviation.HINTS_DROPPED in self.profile.deviations and not there.same_origin(self.page.origin):
            self.headers = tuple(pair for pair in self.headers if pair[0].lower() not in DROPPED_HINTS)
        fragment = url.fragment if url.fragment is not None else self.url.fragment
        self.url = replace(url, fragment=fragment) if fragment != url.fragment else url
        return None

    # -- the end ---------------------------------------------------------------------------------------------------

    def note(self, response: Response, reason: str) -> None:
        """Remember what made the result undecided, the answer's own words first."""
        if not self.undecided:
            made_by = next((f.made_by for f in response.headers.fields if not f.decided and f.made_by), None)
            self.undecided = (Unknown(reason, made_by, "headers"),)

    def finish(self, response: Response) -> FetchResult:
        """Filter the response for script."""
        if self.tainting == "opaque":
            return self.fail(Reason.OPAQUE_RESPONSE, response, "opaque")
        if self.request.mode == "navigate" and not self.url.origin.same_origin(self.page.origin):
            return self.fail(Reason.NOT_READABLE_BY_DESIGN, response, "basic")
        if self.tainting == "cors":
            shown = readable_headers(response, self.request.credentials == "include")
        else:
            shown = tuple((name, combined(response, name) or "") for name in script_names(response))
        return self.result(response, None, self.tainting, shown)

    def fail(self, reason: Reason, response: Response | None = None, kind: ResponseType = "error") -> FetchResult:
        """End without a readable response."""
        return self.result(response, reason, kind, ())

    def result(
        self, response: Response | None, reason: Reason | None, kind: ResponseType, shown: tuple[tuple[str, str], ...]
    ) -> FetchResult:
        """Put the result together."""
        return FetchResult(
            self.page,
            self.request,
            tuple(self.sent),
            executed=any(not sent.preflight for sent in self.sent),
            readable=reason is None,
            reason=reason,
            type=kind,
            response=response,
            readable_headers=shown,
            url=self.url.bare if kind in {"basic", "cors", "opaqueredirect"} else "",
            redirected=self.hop > 0,
            detail=self.detail,
            undecided=self.undecided if reason is Reason.UNDECIDED else (),
        )
