"""Requests that fall into a given share of a hash (`split_clients`): a value that one of its parts has to have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from auditor.exchange import Request

MOST_TRIES = 400_000
"""Values that are tried: a share of 0.01 % is missed by all of them once in e^40."""


def text_of(parts: Sequence[str], request: Request) -> tuple[str, str]:
    """Return the text that is hashed of a request, before and after the part that is varied."""
    found = varied_part(parts)
    before, after = ("".join(_read(part, request) for part in some) for some in (parts[:found], parts[found + 1 :]))
    return before, after


def varied_part(parts: Sequence[str]) -> int:
    """Return which part of a text is varied: the first that can have any value."""
    return next(i for i, part in enumerate(parts) if part.startswith(("$header:", "$cookie:", "$arg:")))


def _read(part: str, request: Request) -> str:
    mark, rest = part[0], part[1:]
    if mark == "=":
        return rest
    subject, _, name = rest.partition(":")
    path, _, query = request.target.partition("?")
    match subject:
        case "path":
            return path
        case "args":
            return query
        case "method":
            return request.method
        case "scheme":
            return request.scheme
        case "host":
            return request.host
        case "origin":
            return request.headers.get("Origin") or ""
        case "header":
            return request.headers.get(name) or ""
        case "cookie":
            pairs = (request.headers.get("Cookie") or "").split("; ")
        case _:
            pairs = query.split("&")
    return next((value for key, _, value in (pair.partition("=") for pair in pairs) if key == name), "")


@lru_cache(maxsize=4096)
def value_in(before: str, after: str, low: int, high: int) -> str:
    """Return a value that, between two texts, has a hash in a share; "" where none was found."""
    from auditor.nginx.tables import murmur2  # noqa: PLC0415 - only where a configuration splits clients

    for number in range(MOST_TRIES):
        value = f"u{number}"
        if low <= murmur2(f"{before}{value}{after}".encode("latin-1")) < high:
            return value
    return ""
