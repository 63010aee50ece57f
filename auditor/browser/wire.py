"""From what answers a request to the response a browser's HTTP parser would hand on."""

from __future__ import annotations

import re
from dataclasses import replace

from auditor.exchange import Field, Headers, Outcome, Response, Unknown

CONCERNS = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "cross-origin-resource-policy",
    "content-type",
    "x-content-type-options",
    "location",
    "vary",
    "cache-control",
    "set-cookie",
    "upgrade",
    "connection",
    "sec-websocket-protocol",
)
"""The response headers a browser's decision can hang on."""


def received(answer: Outcome | Response | None) -> tuple[Response | None, tuple[Unknown, ...]]:
    """Return the response, with everything that the outcome calls unknown left open in it, and those unknowns."""
    if answer is None:
        return None, ()
    response = answer if isinstance(answer, Response) else answer.response
    if response is not None and any("\n" in f.value or "\r" in f.value for f in response.headers.fields):
        response = replace(response, headers=_split(response.headers))
    if response is None or isinstance(answer, Response) or not answer.unknown:
        return response, ()
    relevant = tuple(u for u in answer.unknown if u.concerns not in {"body", "limits"})
    for unknown in relevant:
        response = _opened(response, unknown.concerns)
    return response, relevant


_FOLD = re.compile(r"(?:\r\n|\n|\r)[ \t]+")
_LINE = re.compile(r"\r\n|\n|\r")


def _split(headers: Headers) -> Headers:
    """Read values with line breaks as the parser does: continued lines are folded, other breaks begin a new field."""
    fields: list[Field] = []
    for field in headers.fields:
        value, *more = _LINE.split(_FOLD.sub(" ", field.value))
        fields.append(replace(field, value=value))
        for line in more:
            name, colon, rest = line.partition(":")
            if colon:
                fields.append(replace(field, name=name, value=rest))
    return Headers(tuple(fields))


def _opened(response: Response, concerns: str) -> Response:
    """Leave open what one unknown concerns."""
    if concerns == "status":
        return replace(response, status=None)
    if concerns in {"answer", "headers"}:
        status = None if concerns == "answer" else response.status
        return Response(status, Headers(), response.body, further_headers=True)
    name = concerns.removeprefix("header:").lower()
    absent = (response.absent if response.further_headers else frozenset(CONCERNS)) - {name}
    return replace(response, headers=response.headers.without(name), further_headers=True, absent=absent)


def has_nul(response: Response) -> bool:
    """Whether a NUL byte is anywhere in the header block, which no browser accepts."""
    return any("\0" in field.value for field in response.headers.fields)
