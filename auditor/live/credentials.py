"""What a live audit may show of its user to the target: headers, cookies, a client certificate, from the environment."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from urllib.parse import quote

from auditor.dataclass import dataclass
from auditor.errors import TargetError
from auditor.exchange import Field, Headers, Request, Response

PREFIX = "AUDITOR_HEADER_"
"""AUDITOR_HEADER_X_API_KEY=secret sends "X-API-KEY: secret"."""

REDACTED = "[redacted]"
_SHORTEST = 4
"""Characters below which a value is not searched for in answers: it would hit by accident."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Headers, cookies and a client certificate that go to the target and to nobody else, and into no report."""

    headers: tuple[tuple[str, str], ...] = ()
    cookie: str = ""
    certificate: Path | None = None
    key: Path | None = None
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Credentials:
        """Read AUDITOR_HEADER_<NAME>, AUDITOR_COOKIE, AUDITOR_CLIENT_CERT and AUDITOR_CLIENT_KEY.

        Raises TargetError where a value cannot be sent as a header.
        """
        headers = []
        for variable in sorted(environment):
            if not variable.startswith(PREFIX) or not environment[variable]:
                continue
            name = variable.removeprefix(PREFIX).replace("_", "-")
            _checked(variable, environment[variable])
            if not re.fullmatch(r"[A-Za-z0-9-]+", name):
                raise TargetError(f"{variable} names no header", hint=f"such as {PREFIX}AUTHORIZATION")
            headers.append((name, environment[variable]))
        cookie = environment.get("AUDITOR_COOKIE", "")
        _checked("AUDITOR_COOKIE", cookie)
        certificate, key = environment.get("AUDITOR_CLIENT_CERT"), environment.get("AUDITOR_CLIENT_KEY")
        secrets = {part for _, value in headers for part in _of_header(value)} | _of_cookie(cookie)
        secrets |= {quote(part, safe="") for part in secrets}
        return cls(
            tuple(headers),
            cookie,
            Path(certificate) if certificate else None,
            Path(key) if key else None,
            tuple(sorted((s for s in secrets if len(s) >= _SHORTEST), key=len, reverse=True)),
        )

    def apply(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Return the header lines of a request with the credentials among them; a line of the probe's own stays."""
        pairs = list(request.headers.pairs())
        named = {name.lower() for name, _ in pairs}
        pairs += [(name, value) for name, value in self.headers if name.lower() not in named]
        if self.cookie:
            own = [value for name, value in pairs if name.lower() == "cookie"]
            pairs = [pair for pair in pairs if pair[0].lower() != "cookie"]
            pairs.append(("Cookie", "; ".join([self.cookie, *own])))
        return tuple(pairs)

    def redact(self, response: Response) -> Response:
        """Return the response without the credentials that it may echo."""
        if not self._secrets:
            return response
        fields = tuple(Field(f.name, self.redacted(f.value)) for f in response.headers)
        body = None if response.body is None else self.redacted(response.body)
        return replace(response, headers=Headers(fields), body=body)

    def redacted(self, text: str) -> str:
        """Return a text without the credentials in it."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text


def _of_header(value: str) -> set[str]:
    """Return what is secret in a header: its value, the token after a scheme, and what a Basic one holds (RFC 7617)."""
    scheme, _, token = value.partition(" ")
    found = {value, token.strip()}
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            pair = base64.b64decode(token.strip(), validate=True).decode("utf-8", "replace")
            found |= {pair, pair.partition(":")[2]}
    return found


def _of_cookie(cookie: str) -> set[str]:
    """Return what is secret in cookies: their values; the names are what checks speak of."""
    return {cookie} | {pair.partition("=")[2].strip() for pair in cookie.split(";")}


def _checked(variable: str, value: str) -> None:
    if any(not (32 <= ord(letter) < 256) or ord(letter) == 127 for letter in value):
        raise TargetError(
            f"the value of {variable} cannot be sent as a header", hint="control characters, or not Latin-1"
        )
