"""What the CORS headers of one answer amount to, each read as browsers read it: grants, slips, and how long they last."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from auditor.browser.cache import DEFAULT_MAX_AGE, read_max_age
from auditor.browser.cors import (
    ALLOW_CREDENTIALS,
    ALLOW_HEADERS,
    ALLOW_METHODS,
    ALLOW_ORIGIN,
    EXPOSE_HEADERS,
    MAX_AGE,
    REDIRECTS,
    combined,
)
from auditor.browser.profile import CHROMIUM, PROFILES, SPEC
from auditor.browser.safelist import list_tokens
from auditor.browser.url import is_serialised_origin
from auditor.dataclass import dataclass
from auditor.exchange import Field, Response

Decisive = Literal["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"]
"""The headers of which every CORS check wants one."""

ALLOW_PRIVATE_NETWORK = "access-control-allow-private-network"
_WANTS = {
    ALLOW_ORIGIN: "one serialised origin, `*` or `null`",
    ALLOW_CREDENTIALS: "exactly `true`",
    ALLOW_METHODS: "method names separated by commas",
    ALLOW_HEADERS: "header names separated by commas",
    EXPOSE_HEADERS: "header names separated by commas",
    MAX_AGE: "a number of seconds",
}
_MEANS = {
    ALLOW_ORIGIN: "no page's origin is ever written like that, so no page at another origin can read the answer",
    ALLOW_CREDENTIALS: "no page at another origin can read the answer with the user's cookies",
    ALLOW_METHODS: "no page at another origin can send a request that needs the preflight",
    ALLOW_HEADERS: "no page at another origin can send a request that needs the preflight",
    EXPOSE_HEADERS: "no page at another origin can read any response header that it names",
    MAX_AGE: f"every browser forgets the preflight after {DEFAULT_MAX_AGE} seconds",
}


@dataclass(frozen=True, slots=True)
class Malformed:
    """A header line that no browser understands: what its value should be, and what comes of it as it is."""

    line: Field
    wanted: str
    means: str


def malformed(response: Response) -> Malformed | None:
    """Return the first CORS header line of the answer whose value no browser understands."""
    for line in response.headers:
        name = line.name.rstrip(" \t").lower()
        if name in _WANTS and line.decided and not _understood(name, line.value.strip(" \t")):
            return Malformed(line, _WANTS[name], _MEANS[name])
    return None


def _understood(name: str, value: str) -> bool:
    """Whether the value says something to a browser; `false` says no, and a negative age asks to forget at once."""
    if name == ALLOW_ORIGIN:
        return value in {"*", "null"} or is_serialised_origin(value)
    if name == ALLOW_CREDENTIALS:
        return value in {"true", "false"}
    if name == MAX_AGE:
        return read_max_age(value, SPEC) is not None or read_max_age(value, CHROMIUM) == 0
    return list_tokens(value) is not None


def cors_lines(response: Response) -> list[Field]:
    """Return the lines of the answer's CORS headers, known and unknown, in order."""
    fields = response.headers.fields
    return [fields[place] for place in _cors_places(response.headers.names)]


@lru_cache(maxsize=4096)
def _cors_places(names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(names) if name.lower().startswith("access-control-"))


def shared_alike(answers: Iterable[Response]) -> bool:
    """Whether the same headers decide in all of these answers which pages may read them."""
    return len({(a.headers.all(ALLOW_ORIGIN), a.headers.all(ALLOW_CREDENTIALS)) for a in answers}) < 2


def doubled(response: Response) -> Decisive | None:
    """Name the header that is there more than once and so fails every CORS check that looks at it."""
    return _doubled(response.headers.names)


@lru_cache(maxsize=4096)
def _doubled(names: tuple[str, ...]) -> Decisive | None:
    lower = [name.lower() for name in names]
    if lower.count(ALLOW_ORIGIN) > 1:
        return "Access-Control-Allow-Origin"
    return "Access-Control-Allow-Credentials" if lower.count(ALLOW_CREDENTIALS) > 1 else None


def granted_methods(response: Response) -> tuple[str, ...]:
    """Return what a preflight's answer lists as methods; nothing where a browser takes the list for malformed."""
    return list_tokens(combined(response, ALLOW_METHODS)) or ()


def granted_headers(response: Response) -> tuple[str, ...]:
    """Return what a preflight's answer lists as request headers; nothing where the list is malformed."""
    return list_tokens(combined(response, ALLOW_HEADERS)) or ()


def exposed_headers(response: Response) -> tuple[str, ...]:
    """Return the response headers that an answer exposes beyond the safelisted ones; nothing where the list is malformed."""
    return list_tokens(combined(response, EXPOSE_HEADERS)) or ()


def remembered(response: Response) -> tuple[int, int]:
    """Return for how many seconds a preflight's answer asks to be remembered, as browsers read it: least and most.

    This is what the server says; Chromium forgets after `CHROMIUM_CAP` seconds whatever it says.
    """
    value = combined(response, MAX_AGE)
    read = [read_max_age(value, profile) if value is not None else None for profile in PROFILES]
    seconds = [DEFAULT_MAX_AGE if number is None else number for number in read]
    return min(seconds), max(seconds)


def grants_private_network(response: Response) -> bool:
    """Whether the answer lets pages of the public Internet in, to browsers that ask by preflight.

    Source: WICG Private Network Access, the draft before Local Network Access: exactly `true`. Chromium 156 asks the
    user instead and does not look at the header.
    """
    return combined(response, ALLOW_PRIVATE_NETWORK) == "true"


def leads_elsewhere(response: Response) -> bool:
    """Whether every browser follows the answer to another URL instead of handing it to script.

    Chromium takes an empty Location, which nginx sends for `return 301;`, for none.
    """
    return response.status in REDIRECTS and bool(combined(response, "location"))
