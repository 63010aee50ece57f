"""Whether the answer to a WebSocket handshake opens a connection that a browser would use (RFC 6455 §4.1)."""

from __future__ import annotations

import base64
import hashlib

from auditor.exchange import Request, Response

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 §1.3."""

CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
"""A Close frame with status 1000, masked with zeros (RFC 6455 §5.5.1): how an accepted handshake is ended politely."""


def is_handshake(request: Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return (request.headers.get("Upgrade") or "").lower() == "websocket"


def flaw(request: Request, response: Response) -> str:
    """Say why a browser fails this 101 although the server sent it, or "" where it opens the connection."""
    if (response.headers.get("Upgrade") or "").strip().lower() != "websocket":
        return "status 101 without Upgrade: websocket: no browser opens this connection"
    tokens = {part.strip().lower() for value in response.headers.all("Connection") for part in value.split(",")}
    if "upgrade" not in tokens:
        return "status 101 without Connection: Upgrade: no browser opens this connection"
    key = request.headers.get("Sec-WebSocket-Key") or ""
    digest = hashlib.sha1((key + GUID).encode("latin-1"), usedforsecurity=False).digest()
    if (response.headers.get("Sec-WebSocket-Accept") or "").strip() != base64.b64encode(digest).decode("ascii"):
        return "status 101 with a wrong Sec-WebSocket-Accept: no browser opens this connection"
    return ""
