"""Who is told of changes, and how: a webhook with a signature, Slack, e-mail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from auditor.dataclass import dataclass
from auditor.errors import UsageError
from auditor.history.outbox import Message
from auditor.watch.telling import headline, lines

SECONDS = 20.0
"""How long a receiver may take to answer."""


class NotTakenError(Exception):
    """The receiver did not take a message; it is tried again later."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One receiver. `name` identifies it in the outbox and shows none of its secrets."""

    kind: Literal["webhook", "slack", "email"]
    url: str
    secret: str = ""

    @property
    def name(self) -> str:
        """The kind, the host, and a hash of the whole URL."""
        host = (urlsplit(self.url).hostname or "")[:30]
        return f"{self.kind}:{host}:{hashlib.sha256(self.url.encode()).hexdigest()[:12]}"

    def send(self, messages: Sequence[Message]) -> None:
        """Deliver messages in one go; raises NotTakenError where the receiver does not take them."""
        try:
            {"webhook": self._webhook, "slack": self._slack, "email": self._email}[self.kind](messages)
        except (OSError, smtplib.SMTPException) as error:
            raise NotTakenError(_reason(error)) from error

    def _webhook(self, messages: Sequence[Message]) -> None:
        events = [{"id": message.id, **message.event} for message in messages]
        body = json.dumps({"version": 1, "type": "auditor.changes", "events": events}, separators=(",", ":")).encode()
        name = f"auditor-{messages[0].id}-{len(messages)}"
        self._post(body, signed(self.secret, name, int(time.time()), body))

    def _slack(self, messages: Sequence[Message]) -> None:
        events = [message.event for message in messages]
        text = "\n".join([f"*{_slack_text(headline(events))}*", *(_slack_text(line) for line in lines(events))])
        self._post(json.dumps({"text": text[:35_000]}).encode(), {})

    def _post(self, body: bytes, headers: Mapping[str, str]) -> None:
        import httpx  # noqa: PLC0415 - only where there is something to say

        sent = {"Content-Type": "application/json", "User-Agent": "auditor", **headers}
        try:
            answer = httpx.post(self.url, content=body, headers=sent, timeout=SECONDS, follow_redirects=False)
        except httpx.HTTPError as error:
            raise NotTakenError(_reason(error)) from error
        if not answer.is_success:
            raise NotTakenError(f"status {answer.status_code}")

    def _email(self, messages: Sequence[Message]) -> None:
        parts = urlsplit(self.url)
        asked = parse_qs(parts.query)
        events = [message.event for message in messages]
        mail = EmailMessage()
        mail["Subject"] = f"auditor: {headline(events)}"[:200].replace("\n", " ").replace("\r", " ")
        mail["From"] = asked.get("from", ["auditor@localhost"])[0]
        mail["To"] = ", ".join(asked["to"])
        mail["Message-ID"] = make_msgid(f"auditor-{messages[0].id}")
        mail.set_content("\n".join(lines(events)) + "\n")
        secure = parts.scheme == "smtps"
        port = parts.port or (465 if secure else 25)
        host = parts.hostname or "localhost"
        context = ssl.create_default_context()
        opened = smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context) if secure else smtplib.SMTP(
            host, port, timeout=SECONDS
        )  # fmt: skip
        with opened as server:
            server.ehlo()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)


def channel(text: str, secret: str) -> Channel:
    """Return the receiver that a URL names; UsageError where it names none.

    https://… a webhook (signed with `secret`), slack+https://… a Slack incoming webhook,
    smtp[s]://[user:password@]host[:port]/?to=…&from=… e-mail.
    """
    parts = urlsplit(text)
    if parts.scheme in {"slack+https", "slack+http"} and parts.hostname:
        return Channel("slack", text.removeprefix("slack+"))
    if parts.scheme in {"smtp", "smtps"} and parts.hostname:
        if not parse_qs(parts.query).get("to"):
            raise UsageError(f"{parts.scheme}://{parts.hostname} names no receiver", hint="add ?to=web@example.com")
        return Channel("email", text)
    if parts.scheme in {"https", "http"} and parts.hostname:
        return Channel("webhook", text, secret)
    shape = "https://…, slack+https://… or smtp://host/?to=…"
    raise UsageError(f"nobody can be told at {parts.scheme or 'this address'}", hint=shape)


def signed(secret: str, name: str, moment: int, body: bytes) -> dict[str, str]:
    """Return the headers that prove who sent a body (https://www.standardwebhooks.com, HMAC-SHA256)."""
    headers = {"webhook-id": name, "webhook-timestamp": str(moment)}
    if not secret:
        return headers
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{name}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {**headers, "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}


def _slack_text(text: str) -> str:
    """Escape what Slack would take for markup (its own rule: these three)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _reason(error: Exception) -> str:
    said: Any = getattr(error, "strerror", None) or error
    return f"{type(error).__name__}: {said}"[:300]
