"""The user's cookies as far as a cross-site request is concerned: SameSite with schemeful sites (RFC 6265bis)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

from auditor.browser.page import FetchRequest, Page
from auditor.browser.profile import Deviation, Profile
from auditor.browser.url import Origin, Url, registrable_domain
from auditor.dataclass import dataclass

SameSite = Literal["Strict", "Lax", "None", "default"]
LAX_POST_SECONDS = 120
"""How long a cookie without SameSite still goes along with a top-level cross-site POST (RFC 6265bis §5.6.7.2)."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """One stored cookie; `site` is the top-level site it is partitioned under, "" where it is not."""

    name: str
    value: str
    domain: str
    host_only: bool = True
    path: str = "/"
    secure: bool = False
    http_only: bool = False
    same_site: SameSite = "default"
    partition: str = ""
    created: float = 0.0


@dataclass(slots=True)
class CookieJar:
    """One browser's cookies, and whether the user blocks them for third parties."""

    block_third_party: bool = False
    clock: Callable[[], float] = time.monotonic
    _cookies: dict[tuple[str, str, bool, str, str], Cookie] = field(default_factory=dict)

    def visit(self, url: Url, lines: Iterable[str]) -> None:
        """Store what a top-level visit to the URL sets."""
        self._store(url, lines, site=_site(url.origin), same_site=True, third_party=False)

    def store(self, page: Page, url: Url, lines: Iterable[str]) -> None:
        """Store the Set-Cookie lines of a response that a page's request got."""
        third_party = not page.top.same_site(url.origin)
        self._store(url, lines, site=_site(page.top), same_site=is_same_site(page, url.origin), third_party=third_party)

    def _store(self, url: Url, lines: Iterable[str], *, site: str, same_site: bool, third_party: bool) -> None:
        """Store each line that may be stored."""
        for line in lines:
            read = read_set_cookie(line, url, site, self.clock())
            cookie = read.cookie
            if read.refused or (not same_site and cookie.same_site != "None"):
                continue
            if third_party and self.block_third_party and not cookie.partition:
                continue
            key = (cookie.name, cookie.domain, cookie.host_only, cookie.path, cookie.partition)
            if read.deletes:
                self._cookies.pop(key, None)
            else:
                self._cookies[key] = cookie

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The cookies that are stored."""
        return tuple(self._cookies.values())

    def blocks(self, page: Page, url: Url) -> bool:
        """Whether cookies for the URL are third-party ones on the page, and the user blocks those."""
        return self.block_third_party and not is_same_site(page, url.origin)

    def header(
        self, page: Page, request: FetchRequest, url: Url, visited: Sequence[Origin], *, method: str, profile: Profile
    ) -> str:
        """Return the Cookie header for a request, "" for none; `visited` are the origins of the redirect chain."""
        same = is_same_site(page, url.origin)
        if request.top_level:
            same = page.origin.same_site(url.origin)
        if same and Deviation.SAMESITE_IGNORES_REDIRECTS not in profile.deviations:
            same = all(origin.same_site(url.origin) for origin in visited)
        top = url.origin if request.top_level else page.top
        third_party = not top.same_site(url.origin)
        chosen = [
            cookie
            for cookie in self._cookies.values()
            if self._matches(cookie, url, _site(top))
            and (same or self._goes_cross_site(cookie, request, method))
            and not (third_party and self.block_third_party and not cookie.partition)
        ]
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sorted(chosen, key=lambda c: -len(c.path)))

    def _matches(self, cookie: Cookie, url: Url, site: str) -> bool:
        """Whether domain, path, Secure and partition let the cookie go to the URL."""
        host = url.host
        if host != cookie.domain and (cookie.host_only or not host.endswith(f".{cookie.domain}")):
            return False
        if cookie.secure and url.scheme not in {"https", "wss"}:
            return False
        if cookie.partition and cookie.partition != site:
            return False
        path = url.target.split("?", 1)[0]
        return path == cookie.path or path.startswith(cookie.path if cookie.path.endswith("/") else f"{cookie.path}/")

    def _goes_cross_site(self, cookie: Cookie, request: FetchRequest, method: str) -> bool:
        """Whether SameSite lets the cookie go along with a cross-site request."""
        if cookie.same_site == "None":
            return True
        if not request.top_level or cookie.same_site == "Strict":
            return False
        if method in {"GET", "HEAD"}:
            return True
        return cookie.same_site == "default" and self.clock() - cookie.created < LAX_POST_SECONDS


def is_same_site(page: Page, target: Origin) -> bool:
    """Whether the page and every frame around it are schemefully same-site with the target."""
    return page.origin.same_site(target) and all(origin.same_site(target) for origin in page.ancestors)


def _site(origin: Origin) -> str:
    """Return the site of an origin as a partition key."""
    return f"{origin.scheme}://{registrable_domain(origin.host) or origin.host}"


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One Set-Cookie line as a browser reads it: the cookie, and why no browser stores it ("": every browser does).

    `deletes`: it takes the cookie away, by a Max-Age or Expires that is over. `whole_host`: it says Path=/ and no Domain.
    """

    cookie: Cookie
    refused: str = ""
    deletes: bool = False
    whole_host: bool = False

    def keeps(self, prefix: str) -> bool:
        """Whether the line has what a name with this prefix promises.

        Secure in any case, for `__Host-` Path=/ and no Domain, for `Http-` HttpOnly.
        """
        return (
            self.cookie.secure
            and (self.whole_host or not prefix.startswith("__Host-"))
            and (self.cookie.http_only or not prefix.endswith("Http-"))
        )

    @property
    def attributes(self) -> str:
        """The attributes that browsers understood, as they are written in a line."""
        cookie = self.cookie
        said = [
            "Secure" if cookie.secure else "",
            "HttpOnly" if cookie.http_only else "",
            f"SameSite={cookie.same_site}" if cookie.same_site != "default" else "",
            f"Path={cookie.path}",
            "" if cookie.host_only else f"Domain={cookie.domain}",
            "Partitioned" if cookie.partition else "",
        ]
        return "; ".join(filter(None, said))


_SAME_SITE: dict[str, SameSite] = {"strict": "Strict", "lax": "Lax", "none": "None"}


def read_set_cookie(line: str, url: Url, site: str = "", now: float = 0.0) -> SetCookie:
    """Read one Set-Cookie line as RFC 6265bis §5.6 and §5.7 do, for an answer from `url`.

    `site` is the top-level site ("": the URL's own), `now` when the cookie is made, in seconds.
    """
    pair, *rest = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    given = {key.strip(" \t").lower(): text.strip(" \t") for key, _, text in (part.partition("=") for part in rest)}
    domain = given.get("domain", "").removeprefix(".").lower()
    path = given.get("path", "")
    if not path.startswith("/"):
        path = url.target.split("?", 1)[0].rsplit("/", 1)[0] or "/"
    cookie = Cookie(
        name,
        value,
        domain or url.host,
        not domain,
        path,
        "secure" in given,
        "httponly" in given,
        _SAME_SITE.get(given.get("samesite", "").lower(), "default"),
        (site or _site(url.origin)) if "partitioned" in given else "",
        now,
    )
    read = SetCookie(cookie, "", _is_over(given), not domain and given.get("path") == "/")
    return replace(read, refused=_refusal(read, url, given))


def _refusal(read: SetCookie, url: Url, given: Mapping[str, str]) -> str:
    """Say why no browser stores the cookie, or ""."""
    cookie = read.cookie
    domain = "" if cookie.host_only else cookie.domain
    if cookie.same_site == "None" and not cookie.secure:
        return "SameSite=None without Secure"
    if cookie.secure and url.scheme not in {"https", "wss"} and not url.origin.trustworthy:
        return "Secure over plain HTTP"
    if domain and domain != url.host and not url.host.endswith(f".{domain}"):
        return f"Domain={domain} is not where it comes from"
    if domain and domain != url.host and registrable_domain(domain) is None:
        return f"Domain={domain} is a public suffix"
    if "partitioned" in given and not cookie.secure:
        return "Partitioned without Secure"
    if not cookie.name and not cookie.value:
        return "neither name nor value"
    if not cookie.name and "=" in cookie.value:
        return "no name, and a value that could pass for one"
    said = cookie.name.lower() or cookie.value.lower()
    prefix = next((known for known in PREFIXES if said.startswith(known.lower())), None)
    if prefix is not None and not cookie.name:
        return f"a value that could pass for the name {prefix}"
    if prefix is not None and not read.keeps(prefix):
        return f"{prefix} without what it promises"
    return ""


PREFIXES = ("__Host-Http-", "__Host-", "__Secure-", "__Http-")
"""Names that a browser takes only with what they promise (RFC 6265bis §4.1.3; with Http: the draft that follows it)."""


def _is_over(given: Mapping[str, str]) -> bool:
    """Whether Max-Age, or else Expires, says that the cookie is over already; Chromium takes `+5` for a Max-Age too."""
    age = given.get("max-age", "")
    if re.fullmatch(r"[+-]?[0-9]+", age):
        return int(age) <= 0
    if not given.get("expires"):
        return False
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415 - few lines have a date

    when = parsedate_tz(given["expires"])
    return when is not None and mktime_tz(when) < time.time()
