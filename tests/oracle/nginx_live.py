"""A real nginx in a sandbox, asked many requests quickly: one process per configuration, exact bytes on the wire.

Client, upstream and log collector run in one thread around one epoll, so that nothing races: a request is sent,
the upstream's part is played when nginx asks for it, and the answer is complete when nginx has logged the request.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nginx_tree import Node, Written, write
from nginx_upstream import Asked, Upstream

PREAMBLE = """daemon off;
master_process off;
pid nginx.pid;
error_log logs/error.log crit;
events { worker_connections 128; }"""
PLUMBING = tuple(
    Node(f"{name}_temp_path", (f"tmp/{name}",)) for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
FILES = {
    "html/index.html": "root index\n",
    "html/a.txt": "a text\n",
    "html/f": "no extension\n",
    "html/x.css": "body{}\n",
    "html/dir/index.html": "dir index\n",
    "html/dir/x.css": "p{}\n",
    "html/dir/b.php": "<?php\n",
    "html/e/404.html": "not found page, longer than twenty bytes\n",
    "html/e/50x.html": "failure page\n",
    "html/empty/.keep": "",
    "html/sp ace/f.txt": "space\n",
    "alt/index.htm": "alt index\n",
    "alt/b/c.txt": "alt c\n",
    "alt/a.txt": "alt a\n",
    "secret/f.txt": "secret\n",
    "htpasswd": "ann:{PLAIN}open\nbob:{PLAIN}sesame\n",
}
PATIENCE = 3.0
"""Seconds after which an exchange counts as hanging."""
MTIME = 1_700_000_000
_QUIET = 0.12
"""Seconds of silence after which nothing more comes: of an answer once the request is logged, of a body announced upstream."""
_DOORS = 20
"""Ports a configuration may listen on: @P1@ to @P20@."""
_GROUPS = 12
"""Sets of ports used in turn: a killed nginx takes some 40 ms to go (the kernel tears down its AIO context first)."""


class RefusedError(Exception):
    """nginx refused the configuration; the message is what it said."""


class HangError(Exception):
    """nginx neither answered nor closed, or died."""


class DiedError(HangError):
    """nginx died of the request."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request to send: header lines are exact (Host included); `port` and `to` say where, `client` from where."""

    method: str = "GET"
    target: str = "/"
    version: str = "1.1"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    port: str = "@P1@"
    to: str = "127.0.0.1"
    client: str = "127.0.0.1"

    def wire(self) -> bytes:
        """Return the bytes on the wire."""
        head = f"{self.method} {self.target} HTTP/{self.version}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return (head + "\r\n" + self.body).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Observed:
    """What really came back; `status` None: the connection was closed without an answer.

    `marker` names the block whose configuration the request ended in; `asked` is what reached the upstream.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    marker: str = ""
    asked: tuple[Asked, ...] = ()


@dataclass(slots=True)
class _Client:
    """The client's side of one exchange: bytes so far, and whether the answer is complete."""

    head_only: bool
    data: bytes = b""
    closed: bool = False
    _need: int | None = None
    _body: int = -1

    def complete(self) -> bool:
        """Whether the whole answer is there."""
        if self.closed:
            return True
        if self._body < 0 and not self._parse_head():
            return False
        if self._need is not None:
            return len(self.data) - self._body >= self._need
        return self.data.endswith(b"\r\n\r\n") and _dechunk(self.data[self._body :]) is not None

    def _parse_head(self) -> bool:
        while True:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self.data[:end].lower()
            status = head[9:12]
            if status.startswith(b"1") and status != b"101":
                self.data = self.data[end + 4 :]
                continue
            break
        self._body = end + 4
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        if self.head_only or status in {b"204", b"304", b"101"}:
            self._need = 0
        elif b"\r\ntransfer-encoding: chunked" in head:
            self._need = None
        else:
            self._need = int(length[1]) if length else 1 << 60
        return True

    def split(self) -> tuple[int | None, tuple[tuple[str, str], ...], bytes]:
        """Return status, header lines and body."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0 or not self.data.startswith(b"HTTP/"):
            return None, (), self.data
        lines = self.data[:end].decode("latin-1").split("\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name, value.removeprefix(" ")))
        body = self.data[end + 4 :]
        if any(name.lower() == "transfer-encoding" for name, _ in headers):
            body = _dechunk(body) or b""
        return int(lines[0][9:12]), tuple(headers), body


def _dechunk(data: bytes) -> bytes | None:
    parts: list[bytes] = []
    while True:
        size, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        try:
            count = int(size.split(b";")[0], 16)
        except ValueError:
            return b"".join(parts)
        if not count:
            return b"".join(parts)
        if len(rest) < count + 2:
            return None
        parts.append(rest[:count])
        data = rest[count + 2 :]


def free_ports(count: int) -> list[int]:
    """Find free TCP ports below the ephemeral range, so that no outgoing connection takes one in between."""
    dice = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = dice.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            found.append(port)
    return list(dict.fromkeys(found)) if len(set(found)) == count else free_ports(count)


@dataclass(slots=True)
class Sandbox:
    """A directory, ports, an upstream and a log socket in which one binary is started again and again."""

    binary: str
    root: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="nginx-oracle-")))
    names: dict[str, str] = field(default_factory=dict)
    quiet: float = _QUIET
    upstream: Upstream = field(init=False)
    _epoll: select.epoll = field(default_factory=select.epoll)
    _log: socket.socket = field(init=False)
    _process: subprocess.Popen[bytes] | None = None
    written: Written | None = None
    started: int = 0
    _ready: float = 0.0
    _ports: list[list[int]] = field(default_factory=list)
    _dying: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Lay out the files and claim the ports."""
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
            os.utime(path, (MTIME, MTIME))
        for name in ("logs", "tmp"):
            (self.root / name).mkdir(exist_ok=True)
        self.root.chmod(0o755)
        self.upstream = Upstream(self._epoll)
        ports = free_ports(_DOORS * _GROUPS + 1)
        self._ports = [ports[_DOORS * group : _DOORS * (group + 1)] for group in range(_GROUPS)]
        self.names = {"@UP@": self.upstream.addresses[0], "@UP2@": self.upstream.addresses[1]}
        self.names |= {"@DOWN@": f"127.0.0.1:{ports[-1]}", "@ROOT@": str(self.root)}
        self._next_ports()
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._log.bind(str(self.root / "log.sock"))
        self._epoll.register(self._log.fileno(), select.EPOLLIN)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop nginx, close the sockets, remove the directory."""
        self.stop(final=True)
        self._log.close()
        self.upstream.close()
        self._epoll.close()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)

    def filled(self, text: str) -> str:
        """Put this sandbox's ports and paths into a text."""
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def _next_ports(self) -> None:
        group = self._ports[self.started % _GROUPS]
        self.names |= {f"@P{index}@": str(port) for index, port in enumerate(group, 1)}

    def start(self, http: Node, *, marked: bool = True) -> Written:
        """Start nginx with this `http` block and return what was written; raises `RefusedError`."""
        self.stop()
        self._next_ports()
        tree = Node("http", (), (*PLUMBING, *(http.block or ())))
        log = f"syslog:server=unix:{self.root}/log.sock,nohostname,tag=t" if marked else ""
        plain = write(tree, PREAMBLE, log)
        self.written = Written(self.filled(plain.text), plain.lines, plain.headings)
        self.start_text(self.written.text, self._listening(http))
        return self.written

    def start_text(self, text: str, address: tuple[str, int]) -> None:
        """Start nginx with this whole configuration and wait until it accepts connections at an address."""
        self.stop()
        (self.root / "nginx.conf").write_bytes(text.encode("latin-1"))
        command = [self.binary, "-p", str(self.root), "-c", "nginx.conf", "-e", "stderr"]
        with (self.root / "logs" / "start.log").open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.started += 1
        deadline = time.monotonic() + PATIENCE
        time.sleep(0.004)
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(address) == 0:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    self._ready = time.monotonic()
                    return
            if self._process.poll() is not None:
                said_text = (self.root / "logs" / "start.log").read_text(encoding="latin-1")
                self._process = None
                raise RefusedError(said_text)
            time.sleep(0.001)
        raise HangError("nginx did not start")

    def _listening(self, http: Node) -> tuple[str, int]:
        for server in http.inside("server"):
            for listen in server.inside("listen"):
                host, _, port = self.filled(listen.args[0]).rpartition(":")
                if port.isdigit():
                    return (host if host and host not in {"*", "0.0.0.0"} else "127.0.0.1", int(port))
        raise RefusedError("no server listens")

    def stop(self, *, final: bool = False) -> None:
        """Kill nginx where it runs; `final` waits until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._dying.append(self._process)
            self._process = None
        while len(self._dying) > (0 if final else _GROUPS - 2):
            self._dying.pop(0).wait()
        self.upstream.forget()
        with contextlib.suppress(AttributeError, BlockingIOError):
            while self._log.recv(4096):
                pass

    def ask(self, requests: Iterable[Sent]) -> list[Observed]:
        """Send each request on a connection of its own and collect what came back."""
        return [self.exchange(request) for request in requests]

    def exchange(self, request: Sent) -> Observed:
        """Send one request and play the upstream until nginx has answered and logged it."""
        self.upstream.heard.clear()
        connection = socket.socket()
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if request.client != "127.0.0.1":
                connection.bind((request.client, 0))
            self._connect(connection, (request.to, int(self.filled(request.port))))
            connection.sendall(self.filled(request.wire().decode("latin-1")).encode("latin-1"))
            client = _Client(head_only=request.method == "HEAD")
            marker = self._play(connection, client)
        finally:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(connection.fileno())
            connection.close()
        status, headers, body = client.split()
        return Observed(status, headers, body, marker, tuple(self.upstream.heard))

    def _connect(self, connection: socket.socket, address: tuple[str, int]) -> None:
        """Connect; an nginx that has just started opens its listening sockets one after the other."""
        while True:
            try:
                connection.connect(address)
            except ConnectionRefusedError:
                if time.monotonic() > self._ready + _QUIET:
                    break
                time.sleep(0.001)
            else:
                return
        raise HangError(f"{address}: nobody listens; nginx: {self._process and self._process.poll()}")

    def _play(self, connection: socket.socket, client: _Client) -> str:
        mine = connection.fileno()
        log = self._log.fileno()
        self._epoll.register(mine, select.EPOLLIN)
        marker = "" if self.written is not None and self.written.lines else "unmarked"
        deadline = time.monotonic() + PATIENCE
        while not (client.complete() and marker):
            if connection.fileno() >= 0 and client.complete():
                self._epoll.unregister(mine)
                connection.close()
            quiet = bool(marker) or self.upstream.waiting
            events: Sequence[tuple[int, int]] = self._epoll.poll(self.quiet if quiet else 0.5)
            if not events and quiet:
                client.closed = client.closed or not self.upstream.waiting
                self.upstream.answer_early()
                continue
            for number, _ in events:
                if number == mine:
                    self._receive(connection, client)
                elif number == log:
                    marker = self._log.recv(4096).rsplit(b" ", 1)[-1].decode("ascii").strip()
                else:
                    self.upstream.serve(number)
            if not events and time.monotonic() > deadline:
                raise HangError(f"no complete answer; marker {marker!r}; so far {client.data[:300]!r}")
            if not events and self._process is not None and self._process.poll() is not None:
                raise DiedError(f"nginx died; so far {client.data[:300]!r}")
        return marker

    def _receive(self, connection: socket.socket, client: _Client) -> None:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        client.data += data
        client.closed = client.closed or not data
