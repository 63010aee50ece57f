"""The browser's HTTP cache as far as CORS depends on it: a stored answer is reused unless `Vary` tells requests apart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import field

from auditor.browser.cors import combined, values
from auditor.dataclass import dataclass
from auditor.exchange import Request, Response

_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?([0-9]{1,20})', re.IGNORECASE)
PERMANENT = frozenset({300, 301, 308, 410})
"""Statuses that Chromium keeps until told otherwise, as RFC 9111 §4.2.2 lets it (net/http/http_response_headers.cc)."""
FOR_GOOD = 2**31
"""Seconds that stand for ever (RFC 9111 §1.2.2)."""
_DIRECTIVE = re.compile(r"[a-z-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Stored:
    """One stored response, the request that led to it, and until when it is fresh."""

    request: Request
    response: Response
    expires: float


@dataclass(slots=True)
class HttpCache:
    """One browser's HTTP cache (RFC 9111): what says `max-age`, and what is for good (`PERMANENT`); no other heuristic."""

    clock: Callable[[], float] = time.monotonic
    _stored: dict[str, list[_Stored]] = field(default_factory=dict)

    def find(self, request: Request) -> Response | None:
        """Return a fresh stored response that `Vary` lets stand for the request's own answer."""
        if request.method != "GET":
            return None
        now = self.clock()
        for stored in reversed(self._stored.get(request.url, ())):
            if stored.expires > now and may_stand_for(stored.request, stored.response, request):
                return stored.response
        return None

    def keep(self, request: Request, response: Response) -> None:
        """Store a response to GET that says how long it is fresh."""
        seconds = freshness(response)
        if request.method == "GET" and seconds > 0 and response.status in PERMANENT | {200, 203, 204, 404}:
            self._stored.setdefault(request.url, []).append(_Stored(request, response, self.clock() + seconds))


def freshness(response: Response) -> int:
    """Return for how many seconds a browser may reuse the response unasked, 0 for not at all."""
    control = combined(response, "cache-control") or ""
    words = {word.lower() for word in _DIRECTIVE.findall(control)}
    if words & {"no-store", "no-cache"}:
        return 0
    if found := _MAX_AGE.search(control):
        return int(found[1])
    overruled = values(response, "expires") or "no-cache" in (combined(response, "pragma") or "").lower()
    return FOR_GOOD if response.status in PERMANENT and not overruled else 0


def may_stand_for(old: Request, response: Response, new: Request) -> bool:
    """Whether the answer to one request may be served for another: the headers named in `Vary` are equal."""
    names = _vary(response)
    return "*" not in names and all(old.headers.combined(name) == new.headers.combined(name) for name in names)


def kept_apart(response: Response, header: str) -> bool:
    """Whether no cache serves the response to a request in which this header has another value."""
    names = _vary(response)
    return "*" in names or header.lower() in names


def _vary(response: Response) -> list[str]:
    """Return the lower-case names that `Vary` lists."""
    vary = combined(response, "vary")
    return [] if vary is None else [name for part in vary.split(",") if (name := part.strip("\t ").lower())]
