"""What a browser remembers between requests: the preflight cache, and the HTTP cache as far as CORS depends on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import field

from auditor.browser.cors import ALLOW_HEADERS, ALLOW_METHODS, MAX_AGE, combined, missing_header, values
from auditor.browser.profile import SPEC, Deviation, Profile
from auditor.browser.safelist import SAFE_METHODS, list_tokens
from auditor.dataclass import dataclass
from auditor.exchange import Response

DEFAULT_MAX_AGE = 5
"""Seconds that a preflight is remembered without Access-Control-Max-Age (Fetch)."""
CHROMIUM_CAP = 7200
"""Seconds that Chromium remembers a preflight at most."""


def read_max_age(value: str, profile: Profile) -> int | None:
    """Return the seconds that Access-Control-Max-Age says to this browser, None where it takes it for malformed."""
    lenient = Deviation.MAX_AGE_PARSE in profile.deviations
    if not re.fullmatch(r"[+-]?[0-9]{1,400}" if lenient else r"[0-9]{1,400}", value):
        return None
    seconds = int(value)
    return None if lenient and seconds >= 2**63 else max(seconds, 0)


def max_age(value: str | None, profile: Profile) -> int:
    """Return for how many seconds a preflight may be remembered, by the combined header value."""
    seconds = read_max_age(value, profile) if value is not None else None
    return DEFAULT_MAX_AGE if seconds is None else min(seconds, CHROMIUM_CAP)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request needs permission for: its method, its unsafe header names, whether credentials are included.

    `forced`: a preflight is wanted even for a safe method (XMLHttpRequest with an upload listener).
    """

    method: str
    headers: tuple[str, ...]
    credentials: bool
    forced: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """One remembered permission: what a preflight allowed, with or without credentials, and until when."""

    credentials: bool
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    expires: float

    def covers(self, wish: Wish, profile: Profile) -> bool:
        """Whether the request needs no preflight of its own."""
        return self.covers_method(wish, profile) and self.covers_headers(wish.headers, profile)

    def _literal_star(self, profile: Profile) -> bool:
        """Whether a remembered `*` is only a name: by the text never, in Chromium where it came with credentials."""
        return self.credentials and Deviation.CACHED_STAR_LITERAL in profile.deviations

    def covers_headers(self, names: tuple[str, ...], profile: Profile) -> bool:
        """Whether the entry lists the names; a remembered `*` never covers Authorization."""
        return missing_header(self.headers, names, self._literal_star(profile), SPEC) is None

    def covers_method(self, wish: Wish, profile: Profile) -> bool:
        """Whether the entry lists the method, or `*`."""
        if wish.method in self.methods or ("*" in self.methods and not self._literal_star(profile)):
            return True
        return wish.method in SAFE_METHODS and not wish.forced


@dataclass(slots=True)
class PreflightCache:
    """One browser's preflight cache (Fetch, "CORS-preflight cache"), keyed by origin and URL."""

    clock: Callable[[], float] = time.monotonic
    _entries: dict[tuple[str, str], list[_Entry]] = field(default_factory=dict)

    def covers(self, origin: str, url: str, wish: Wish, profile: Profile) -> bool:
        """Whether remembered preflights already allow the method and every unsafe header."""
        if not self._entries:
            return False
        now = self.clock()
        live = [entry for entry in self._entries.get((origin, url), ()) if entry.expires > now]
        usable = [entry for entry in live if entry.credentials or not wish.credentials]
        if Deviation.ONE_CACHE_ENTRY in profile.deviations:
            if any(entry.covers(wish, profile) for entry in usable):
                return True
            self._entries.pop((origin, url), None)
            return False
        method = any(entry.covers_method(wish, profile) for entry in usable) or (
            wish.method in SAFE_METHODS and not wish.forced
        )
        return method and all(any(entry.covers_headers((name,), profile) for entry in usable) for name in wish.headers)

    def remember(self, origin: str, url: str, wish: Wish, response: Response, profile: Profile) -> None:
        """Store what a passed preflight allowed; a maximum age of 0 stores nothing."""
        seconds = max_age(combined(response, MAX_AGE), profile)
        one = Deviation.ONE_CACHE_ENTRY in profile.deviations
        if seconds <= 0:
            if one:
                self._entries.pop((origin, url), None)
            return
        methods = list_tokens(combined(response, ALLOW_METHODS)) or ()
        names = list_tokens(combined(response, ALLOW_HEADERS)) or ()
        if wish.forced and not values(response, ALLOW_METHODS):
            methods = (wish.method,)
        now = self.clock()
        entry = _Entry(wish.credentials, methods, names, now + seconds)
        kept = [] if one else [old for old in self._entries.get((origin, url), ()) if old.expires > now]
        self._entries[(origin, url)] = [*kept, entry]

    def forget(self, origin: str, url: str) -> None:
        """Drop every entry of an origin and URL (Fetch, "clear cache entries")."""
        self._entries.pop((origin, url), None)
