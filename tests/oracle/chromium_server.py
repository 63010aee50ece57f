"""The servers a recording needs: plain and TLS, answering byte for byte what a vector says, writing down what was asked."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.live_field.serving import close_all, stop_accepting

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PAGES: dict[str, list[tuple[str, str]]] = {
    "/page": [],
    "/sandbox": [("Content-Security-Policy", "sandbox allow-scripts")],
    "/noref": [("Referrer-Policy", "no-referrer")],
    "/require": [("Cross-Origin-Embedder-Policy", "require-corp")],
    "/credentialless": [("Cross-Origin-Embedder-Policy", "credentialless")],
}


class RecordingServer:
    """Two listeners on the loopback, one plain and one TLS, that share vectors and log."""

    def __init__(self, set_cookies: list[str]) -> None:
        """Take the cookies that a visit to /cookies sets."""
        self.vectors: dict[str, dict[str, Any]] = {}
        self.log: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.asked: dict[tuple[str, str, str], int] = defaultdict(int)
        self.set_cookies = set_cookies
        self.servers: list[asyncio.Server] = []
        self.plain = 0
        self.secure = 0

    async def start(self, folder: Path) -> None:
        """Listen on free ports."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(folder))
        for tls in (None, context):
            scheme = "https" if tls else "http"
            server = await asyncio.start_server(self._handler(scheme), "127.0.0.1", 0, ssl=tls)
            self.servers.append(server)
        self.plain, self.secure = (server.sockets[0].getsockname()[1] for server in self.servers)

    async def stop(self) -> None:
        """Close both listeners and every connection that they took, also one that a browser keeps or has just opened."""
        for server in self.servers:
            await stop_accepting(server)
        close_all(asyncio.get_running_loop())
        await asyncio.sleep(0.05)

    def _handler(self, scheme: str) -> Any:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await self._one(scheme, reader, writer):
                    pass
            except (ConnectionError, EOFError, asyncio.CancelledError, asyncio.LimitOverrunError, ssl.SSLError):
                pass
            finally:
                writer.close()

        return handle

    async def _one(self, scheme: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; false ends the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
        lower = {name.lower(): value for name, value in headers}
        length = int(lower.get("content-length") or 0)
        if length:
            await reader.readexactly(length)
        path = target.split("?", 1)[0]
        if path[1:] in self.vectors:
            path = f"/v{path}/0"
        if path.startswith("/v/"):
            return await self._vector(scheme, method, path, lower, writer)
        pairs = [("Content-Type", "text/html"), ("Cache-Control", "no-store"), *PAGES.get(path, [])]
        if path == "/cookies":
            pairs += [("Set-Cookie", line) for line in self.set_cookies]
        await send(writer, 200, pairs, b"<!doctype html><title>page</title>", head_only=method == "HEAD")
        return True

    async def _vector(
        self, scheme: str, method: str, path: str, headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> bool:
        """Answer as a vector says and write down what was asked."""
        _, _, vid, hop = path.split("/", 3)
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        kind = "preflight" if preflight else "actual"
        self.log[vid].append(
            {
                "hop": hop,
                "preflight": preflight,
                "method": method,
                "url_origin": f"{scheme}://{headers['host']}",
                "origin": headers.get("origin"),
                "acrm": headers.get("access-control-request-method"),
                "acrh": headers.get("access-control-request-headers"),
                "cookie": headers.get("cookie"),
            }
        )
        spec = self.vectors.get(vid, {}).get("server", {}).get(hop, {}).get(kind) or {"status": 404, "headers": []}
        if isinstance(spec, list):
            place = self.asked[vid, hop, kind]
            self.asked[vid, hop, kind] += 1
            spec = spec[min(place, len(spec) - 1)]
        pairs = [(name, value) for name, value in spec["headers"]]
        if spec.get("ws") and spec["status"] == 101:
            accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + WEBSOCKET_GUID).encode()).digest())
            pairs = [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", accept.decode()),
                *pairs,
            ]
            await send(writer, 101, pairs, b"", head_only=True)
            return False
        body = base64.b64decode(spec["body_b64"]) if spec.get("body_b64") else (spec.get("body") or "").encode()
        await send(writer, spec["status"], pairs, body, head_only=method == "HEAD")
        return True


async def send(
    writer: asyncio.StreamWriter, status: int, pairs: list[tuple[str, str]], body: bytes, *, head_only: bool
) -> None:
    """Write one response, bytes as they are given."""
    bodiless = status in {101, 204, 304}
    if not bodiless and not any(name.lower() == "content-length" for name, _ in pairs):
        pairs = [*pairs, ("Content-Length", str(len(body)))]
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in pairs)]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if head_only or bodiless else body))
    await writer.drain()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a throw-away certificate; the browser is told to accept it."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=recording"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key
