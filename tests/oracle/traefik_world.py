"""A real Traefik in a sandbox: its process, an upstream that remembers what it was asked, a client that sends bytes as given."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROFILES: tuple[tuple[int, tuple[tuple[str, str], ...]], ...] = (
    (200, ()),
    (200, (("Vary", "Origin"), ("Access-Control-Allow-Origin", "https://app.test"))),
    (404, (("Vary", "Accept"), ("Vary", "Cookie"), ("Server", "up/1.0"))),
    (500, (("X-Powered-By", "up"), ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Origin", "null"))),
    (204, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))),
    (301, (("Location", "http://up.test/there"), ("X-Frame-Options", "ALLOWALL"))),
    (503, (("Retry-After", "7"), ("Strict-Transport-Security", "max-age=1"))),
    (200, (("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=9"), ("x-lower", "kept"))),
)
"""What the upstream answers: a request's X-Up header is the index."""


def binary() -> str | None:
    """Return the path of Traefik's binary, beside the interpreter or on the PATH; None where there is none."""
    beside = Path(sys.executable).with_name("traefik")
    return str(beside) if beside.is_file() else shutil.which("traefik")


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def profile(headers: list[tuple[str, str]]) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return what the upstream answers to a request with these headers."""
    value = next((value for name, value in headers if name.lower() == "x-up"), "0")
    return PROFILES[int(value) % len(PROFILES) if value.isdigit() else 0]


@dataclass
class Upstream:
    """An HTTP server that answers by profile and keeps each request line and header list under its X-Id."""

    port: int = 0
    seen: dict[str, list[tuple[str, str, list[tuple[str, str]]]]] = field(default_factory=dict)
    _server: socket.socket | None = None

    def start(self) -> None:
        """Listen on a free port of the loopback."""
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Close the listener."""
        if self._server is not None:
            self._server.close()

    def _accept(self) -> None:
        assert self._server is not None
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                line = stream.readline()
                if not line:
                    return
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers: list[tuple[str, str]] = []
                while (raw := stream.readline()) not in (b"\r\n", b""):
                    name, _, value = raw.decode("latin-1").partition(":")
                    headers.append((name, value.strip()))
                length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
                stream.read(length)
                key = next((value for name, value in headers if name.lower() == "x-id"), "")
                self.seen.setdefault(key, []).append((method, target, headers))
                connection.sendall(self._answer(method, headers))

    def _answer(self, method: str, headers: list[tuple[str, str]]) -> bytes:
        status, lines = profile(headers)
        body = b"" if status == 204 else b"up"
        out = [f"HTTP/1.1 {status} Made", *(f"{name}: {value}" for name, value in lines)]
        if status != 204:
            out += ["Content-Type: text/x-up", f"Content-Length: {len(body)}"]
        return ("\r\n".join(out) + "\r\n\r\n").encode("latin-1") + (b"" if method == "HEAD" else body)


@dataclass
class Answer:
    """What Traefik answered: status, header lines in order, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Client:
    """Sends a request to one port exactly as written, over one connection while it lasts."""

    def __init__(self, port: int, *, tls: bool) -> None:
        """Send to this port of the loopback, by TLS or plainly; the connection opens with the first request."""
        self._port, self._tls = port, tls
        self._socket: socket.socket | None = None

    def send(self, method: str, target: str, headers: list[tuple[str, str]], version: str = "1.1") -> Answer:
        """Send one request and read its answer; a dropped connection is opened once more."""
        lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in headers)]
        raw = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        for attempt in (1, 2):
            try:
                return self._once(raw, method)
            except (ConnectionError, http.client.HTTPException, OSError):
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError

    def _once(self, raw: bytes, method: str) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
            if self._tls:
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                self._socket = context.wrap_socket(self._socket, server_hostname="sandbox.test")
        self._socket.sendall(raw)
        response = http.client.HTTPResponse(self._socket, method=method)
        response.begin()
        body = response.read()
        if response.will_close:
            self.close()
        return Answer(response.status, response.getheaders(), body)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@contextlib.contextmanager
def traefik(folder: Path, static: Path, ports: list[int]) -> Iterator[None]:
    """Run Traefik with a static file until the block ends; raises where it does not come up."""
    program = binary()
    assert program is not None
    log = (folder / "traefik.log").open("wb")
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}
    process = subprocess.Popen(
        [program, f"--configFile={static}"], stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder
    )
    try:
        deadline = time.monotonic() + 20
        for port in ports:
            while True:
                refused = b"Cannot start the provider" in (folder / "traefik.log").read_bytes()
                if refused or process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "traefik.log").read_text("utf-8", "replace")[-4000:])
                client = Client(port, tls=False)
                try:
                    answer = client.send("GET", "/", [("Host", "ready.test")])
                except OSError:
                    time.sleep(0.05)
                    continue
                finally:
                    client.close()
                if answer.status == 418:
                    break
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def written(path: Path, data: object) -> Path:
    """Write data as JSON, which is YAML too."""
    path.write_text(json.dumps(data, indent=1), "utf-8")
    return path
