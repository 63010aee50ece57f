"""One request on its way through Traefik: Go's view of its URL and headers, and how answers are built and edited."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import (
    UNKNOWN_VALUE,
    Action,
    Field,
    Headers,
    Limit,
    Outcome,
    Request,
    Response,
    Step,
    Unknown,
    amended,
)

LAYER = "traefik"
_KEPT_IN_PATHS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,/:;=@")
_VALID_ENCODED = frozenset("!$&'()*+,;=:@[]/-_.~%")
_PLAIN = re.compile(r"[a-zA-Z0-9\-_.~$&+,/:;=@]*")
_TOKEN = re.compile(r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
STATUS_TEXT = {
    301: "Moved Permanently", 302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """Return a header name as Go's `http.CanonicalHeaderKey` writes it: "x-api-key" becomes "X-Api-Key"."""
    if not _TOKEN.match(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def unescape_path(text: str) -> str | None:
    """Decode percent escapes byte by byte as Go's `url.PathUnescape`; None where one is malformed."""
    if "%" not in text:
        return text
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return None
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


def escape_path(path: str) -> str:
    """Encode a decoded path as Go's `url.URL.EscapedPath` does by default."""
    if _PLAIN.fullmatch(path):
        return path
    return "".join(
        char
        if ord(char) < 128 and ord(char) in _KEPT_IN_PATHS
        else "".join(f"%{byte:02X}" for byte in char.encode("latin-1"))
        for char in path
    )


def bad_escape(text: str) -> str:
    """Return what Go says of the first malformed percent escape of a text."""
    found = re.search(r"%(?![0-9A-Fa-f]{2})", text)
    return f'invalid URL escape "{text[found.start() : found.start() + 3]}"' if found else ""


def set_path(escaped: str) -> tuple[str, str] | None:
    """Split an escaped path into Go's (Path, RawPath); None where it is malformed (net/url, setPath)."""
    path = unescape_path(escaped)
    if path is None:
        return None
    return path, "" if escape_path(path) == escaped else escaped


@dataclass(frozen=True)
class Flow:
    """One request inside Traefik: decoded `path`, `raw_path` as Go keeps it, `uri` as it is sent on.

    Header names are canonical. `tls` tells a connection by TLS, `client` the peer's address. `preset` holds the
    response headers that a middleware further out has put down before the rest answers; `detached` tells that one
    further out collects the answer, so that what is done to its headers before there is an answer is lost.
    """

    method: str
    host: str
    path: str
    raw_path: str
    query: str
    uri: str
    headers: Headers
    client: str
    tls: bool
    version: str = "1.1"
    body_length: int = 0
    force_query: bool = False
    no_forwarded_for: bool = False
    preset: tuple[Field, ...] = ()
    detached: bool = False

    @property
    def escaped_path(self) -> str:
        """Return what Go's `EscapedPath` does."""
        valid = self.raw_path and all(char.isalnum() or char in _VALID_ENCODED for char in self.raw_path)
        if valid and unescape_path(self.raw_path) == self.path:
            return self.raw_path
        return "*" if self.path == "*" else escape_path(self.path)

    @property
    def request_uri(self) -> str:
        """Return what Go's `URL.RequestURI` does."""
        path = self.escaped_path or "/"
        return f"{path}?{self.query}" if self.query or self.force_query else path

    def with_path(self, path: str, raw_path: str) -> Flow:
        """Return a copy with another path, whose `uri` follows."""
        changed = amended(self, path=path, raw_path=raw_path)
        return amended(changed, uri=changed.request_uri)

    def header(self, name: str) -> str:
        """Return the first value of a header, or ""."""
        return self.headers.get(name) or ""

    def set(self, name: str, value: str, place: Location | None = None) -> Flow:
        """Return a copy where this is the header's only line."""
        return amended(self, headers=only(self.headers, name, value, place))

    def add(self, name: str, value: str, place: Location | None = None) -> Flow:
        """Return a copy with one more line of this header."""
        return amended(self, headers=self.headers.plus(Field(canonical(name), value, place, LAYER)))

    def drop(self, *names: str) -> Flow:
        """Return a copy without these headers."""
        return amended(self, headers=self.headers.without(*names))


def only(headers: Headers, name: str, value: str, place: Location | None = None) -> Headers:
    """Return header lines in which this is the only one of its name, the last."""
    return headers.without(name).plus(Field(canonical(name), value, place, LAYER))


Next = Callable[[Flow], tuple[Outcome, ...]]


def answer(
    status: int,
    body: str,
    headers: tuple[Field, ...] = (),
    *,
    kind: str = "error",
    flow: Flow | None = None,
    steps: tuple[Step, ...] = (),
    when: str = "always",
    limits: tuple[Limit, ...] = (),
    unknown: tuple[Unknown, ...] = (),
) -> tuple[Outcome, ...]:
    """Return the one outcome where Traefik itself answers with this body (not sent to HEAD)."""
    length = UNKNOWN_VALUE if UNKNOWN_VALUE in body else str(len(body.encode("latin-1")))
    head = flow is not None and flow.method == "HEAD"
    headers = (*(flow.preset if flow is not None else ()), *headers)
    # Go's server writes no Content-Length for HEAD where the handler wrote nothing (net/http, response.finishRequest).
    counted = () if head and not body else (Field("Content-Length", length, None, LAYER),)
    lines = (*headers, *counted, Field("Date", UNKNOWN_VALUE, None, LAYER))
    shown = "" if head else body
    response = Response(status, Headers(lines), shown)
    action = Action(kind)  # type: ignore[arg-type]
    return (Outcome(when, response, action, layer=LAYER, why=steps, limits=limits, unknown=unknown),)


def text_error(status: int, text: str, flow: Flow, steps: tuple[Step, ...] = ()) -> tuple[Outcome, ...]:
    """Return what Go's `http.Error` sends: plain text, not to be sniffed, with a line feed."""
    headers = (
        Field("Content-Type", "text/plain; charset=utf-8", None, LAYER),
        Field("X-Content-Type-Options", "nosniff", None, LAYER),
    )
    return answer(status, text + "\n", headers, flow=flow, steps=steps)


def undecided(reason: str, place: Location | None, steps: tuple[Step, ...] = ()) -> tuple[Outcome, ...]:
    """Return the one outcome that says nothing but why."""
    response = Response(None, further_headers=True)
    return (Outcome("always", response, Action("unknown"), layer=LAYER, why=steps, unknown=(Unknown(reason, place),)),)


def edited(outcomes: tuple[Outcome, ...], edit: Callable[[Response], Response]) -> tuple[Outcome, ...]:
    """Apply an edit to every response that there is."""
    return tuple(
        amended(outcome, response=edit(outcome.response), layer=LAYER) if outcome.response is not None else outcome
        for outcome in outcomes
    )


def noted(outcomes: tuple[Outcome, ...], *steps: Step) -> tuple[Outcome, ...]:
    """Put steps before those that the outcomes already have."""
    return tuple(amended(outcome, why=(*steps, *outcome.why)) for outcome in outcomes)


def doubted(outcomes: tuple[Outcome, ...], *unknown: Unknown) -> tuple[Outcome, ...]:
    """Add what is not decided to every outcome."""
    if not unknown:
        return outcomes
    return tuple(amended(outcome, unknown=(*outcome.unknown, *unknown)) for outcome in outcomes)


def prefixed(outcomes: tuple[Outcome, ...], lines: tuple[Field, ...]) -> tuple[Outcome, ...]:
    """Put header lines before those of every response."""
    if not lines:
        return outcomes
    return edited(outcomes, lambda response: amended(response, headers=Headers((*lines, *response.headers))))


def set_header(response: Response, name: str, value: str, place: Location | None) -> Response:
    """Make this the header's only line; an unmodelled backend's lines of the name are gone too."""
    line = Field(canonical(name), value, place, LAYER)
    headers = response.headers.without(name).plus(line)
    return amended(response, headers=headers, absent=response.absent | {name.lower()})


def drop_header(response: Response, name: str) -> Response:
    """Remove every line of a header, also those of an unmodelled backend."""
    return amended(response, headers=response.headers.without(name), absent=response.absent | {name.lower()})


def to_request(flow: Flow, target: str, address: str, scheme: str, headers: Headers) -> Request:
    """Return the request as it is sent to an upstream address."""
    return Request(
        method=flow.method,
        target=target,
        headers=headers,
        scheme="https" if scheme == "https" else "http",
        version="1.1",
        listen=address,
        body_length=flow.body_length,
    )
