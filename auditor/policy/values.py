"""Small values that a policy writes as text: durations, rates, addresses, globs, methods."""

from __future__ import annotations

import re
import warnings

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)", re.ASCII)
_RATE = r"(?a)([0-9]{1,9}(?:\.[0-9]{1,6})?)(?:r)?/(s|m|h|d)"
_HOST_PORT = r"(?a)(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]@]+):([0-9]{1,5})"
_HOST = r"(?a)(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def duration(text: str) -> float:
    """Return the seconds of a duration such as `5s`, `24h`, `365d`, `500ms`, `1h30m`.

    Raises ValueError, saying what a duration looks like.
    """
    total, position = 0.0, 0
    while found := _DURATION.match(text, position):
        total += float(found[1]) * _DURATION_UNITS[found[2]]
        position = found.end()
    if not position or position != len(text):
        raise ValueError(
            f"{text!r} is not a duration: write a number and a unit (ms, s, m, h, d, w), such as 5s or 24h"
        )
    return total


def rate(text: str) -> float:
    """Return the requests per second of a rate such as `10/s`, `60/m`, `5r/s`.

    Raises ValueError, saying what a rate looks like.
    """
    found = re.fullmatch(_RATE, text)
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is not a rate: write requests and a unit of time, such as 10/s, 60/m or 5r/s")
    return float(found[1]) / _DURATION_UNITS[found[2]]


def host_port(text: str) -> tuple[str, int]:
    """Return the host and the port of `host:port` (`[::1]:443` for IPv6, without the brackets in the answer).

    Raises ValueError where it is not one.
    """
    found = re.fullmatch(_HOST_PORT, text)
    if not found or not 1 <= int(found[2]) <= 65535:
        raise ValueError(f"{text!r} is not host:port, such as api:8000 or [::1]:8000")
    return found[1].strip("[]"), int(found[2])


def host(text: str) -> str:
    """Return a host of a route: a lower-case name, an address, or `*.` and a name.

    Raises ValueError where it is not one.
    """
    if not re.fullmatch(_HOST, text):
        lower = text.lower()
        if re.fullmatch(_HOST, lower):
            raise ValueError(f"{text!r} is not in lower case: write {lower!r}")
        raise ValueError(f"{text!r} is not a host name without scheme, port and path, such as www.example.com")
    return text


def method(text: str) -> str:
    """Return an HTTP method (RFC 9110 §9.1: case-sensitive token).

    Raises ValueError where it is not one, or is a well-known one in the wrong case.
    """
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not an HTTP method")
    if text != text.upper():
        raise ValueError(f"{text!r} is not in upper case: methods are case-sensitive, write {text.upper()!r}")
    return text


def field_name(text: str) -> str:
    """Return a header field name (RFC 9110 §5.1: token).

    Raises ValueError where it is not one.
    """
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not a header name")
    return text


def regular_expression(text: str) -> str:
    """Return a regular expression in the syntax that Python and PCRE share.

    Raises ValueError where Python's `re` refuses it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


def path_glob(text: str) -> str:
    """Return a path glob: starts with `/`; `*` stays inside a segment, `**` is any number of whole segments.

    Raises ValueError where it is not one.
    """
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is not a path: it starts with a slash, such as /api/**")
    if any("**" in segment and segment != "**" for segment in text.split("/")):
        raise ValueError(f"{text!r}: ** stands for whole segments, such as /api/** or /**/*.js")
    if "?" in text or "#" in text:
        raise ValueError(f"{text!r} is a path, without query or fragment; a question mark is no wildcard here")
    return text


def glob_regex(glob: str) -> str:
    """Return the regular expression (PCRE and Python alike) that a path matches whole when it meets the glob.

    `*` alone is one segment of at least one character; beside other characters it is any run inside the segment.
    A `**` before a slash is any number of segments, none included; a last `**` is everything below:
    `/api/**` holds `/api/` and `/api/x/y`, not `/api`.
    """
    segments = glob.split("/")[1:]
    out = []
    for index, segment in enumerate(segments):
        if segment == "**":
            out.append(r"/[\s\S]*" if index == len(segments) - 1 else r"(?:/[^/]*)*")
        elif segment == "*":
            out.append("/[^/]+")
        else:
            out.append("/" + "".join("[^/]*" if c == "*" else re.escape(c) for c in segment))
    return "".join(out)


def host_regex(pattern: str) -> str:
    """Return the regular expression that a host matches whole; `*.` is one or more labels."""
    return r"(?:[^.]+\.)+" + re.escape(pattern[2:]) if pattern.startswith("*.") else re.escape(pattern)
