r"""What an Origin header can look like, by who can send it, most convincing first.

Host bytes: Chromium's canonicaliser (url/url_canon_host.cc) and WebKit's forbidden-domain table pass the same set,
WebKit also `*`; no upper case, no `: / ? # @ % < > [ ] \\ ^ |` or space. Header bytes: nginx refuses NUL, CR and LF in
a value, HTTP/1 trims spaces at both ends.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from auditor.dataclass import dataclass
from auditor.language.sets import Language

OriginClass = Literal[
    "foreign-https", "foreign-http", "foreign-port", "null", "own-site", "odd-host", "other-scheme", "not-a-browser"
]
HOST_CLASS = r"[a-z0-9!\"$&'()+,\-.;=_`{}~*]"
_HOST = rf"(?:{HOST_CLASS}+|\[[0-9a-f:]+\])"
PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
PLAIN_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
PLAIN_HOST = rf"(?:{PLAIN_LABEL}\.)+[a-z]{{2,}}"

_SAID = {
    "foreign-https": "a foreign https site",
    "foreign-http": "a foreign http site",
    "foreign-port": "a foreign site on another port",
    "null": "a sandboxed frame, data: URL or redirect (Origin: null)",
    "own-site": "another host, scheme or port of your own site",
    "odd-host": "a site with an unusual host name, which browsers still load",
    "other-scheme": "a browser extension or embedded web view",
    "not-a-browser": "a client that is not a browser",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One class of origins: who sends such a value, in words, and the set of its values."""

    name: OriginClass
    language: Language

    @property
    def said(self) -> str:
        """Who sends such an origin, for a sentence."""
        return _SAID[self.name]

    @property
    def browser(self) -> bool:
        """Whether a browser sends such an origin."""
        return self.name != "not-a-browser"


@lru_cache(maxsize=1)
def any_header() -> Language:
    """Return every value that a client can put into an Origin header and nginx hands on."""
    return Language.regex(r"(?! )[^\x00\r\n]+(?<! )", whole=True)


@lru_cache(maxsize=1)
def browser_sendable() -> Language:
    """Return every origin that Chromium or WebKit can serialise: tuple origins of http and https, `null`, extensions."""
    return Language.union((_tuple_origin(), Language.exact("null"), other_schemes()))


@lru_cache(maxsize=1)
def _tuple_origin() -> Language:
    return Language.regex(
        rf"https://{_HOST}(?::(?!443\z){PORT})?|http://{_HOST}(?::(?!80\z){PORT})?",
        whole=True,
    )


@lru_cache(maxsize=1)
def other_schemes() -> Language:
    """Return the origins of extensions and embedded web views."""
    return Language.regex(
        r"chrome-extension://[a-p]{32}|(?:moz|safari-web)-extension://[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        r"|(?:capacitor|ionic|tauri|app)://[a-z0-9.-]+",
        whole=True,
    )


def shapes(own_sites: tuple[str, ...]) -> tuple[Shape, ...]:
    """Return the classes in the order in which a witness is looked for; `own_sites` are registrable domains."""
    return _shapes(tuple(sorted(set(own_sites))))


@lru_cache(maxsize=64)
def _shapes(own_sites: tuple[str, ...]) -> tuple[Shape, ...]:
    named = {site for site in own_sites if not site.replace(".", "").isdigit()}
    quoted = "|".join(site.replace(".", r"\.") for site in sorted(named))
    foreign = rf"(?!(?:[^/]*\.)?(?:{quoted})(?::|\z))" if quoted else ""
    host = f"{foreign}{PLAIN_HOST}"
    return (
        Shape("foreign-https", Language.regex(f"https://{host}", whole=True)),
        Shape("foreign-http", Language.regex(f"http://{host}", whole=True)),
        Shape("foreign-port", Language.regex(rf"https?://{host}:(?!443\z|80\z){PORT}", whole=True)),
        Shape("null", Language.exact("null")),
        Shape("own-site", _own(quoted)),
        Shape("odd-host", _tuple_origin()),
        Shape("other-scheme", other_schemes()),
        Shape("not-a-browser", any_header()),
    )


def _own(quoted: str) -> Language:
    hosts = rf"(?:(?:{PLAIN_LABEL}\.)*(?:{quoted})" if quoted else "(?:"
    bare = rf"{PLAIN_LABEL}|[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}})"
    hosts += ("|" if quoted else "") + bare
    return Language.regex(rf"https?://{hosts}(?::(?!443\z|80\z){PORT})?", whole=True)
