"""The upstream behind the real nginx, and its exact model: one function decides what both answer."""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
from dataclasses import dataclass, field

from auditor.exchange import Action, Headers, Outcome, Request, Response

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it reached the upstream: where, the request line's parts, header lines, body length."""

    at: str
    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the upstream says: status, header lines, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def decide(method: str, headers: tuple[tuple[str, str], ...]) -> Answer | None:
    """Decide the answer from the request's own X-Up-* header lines; None: close without an answer.

    Every answer is the last of its connection: what nginx finds closed when it asks again would not show in `heard`.

    X-Up-Status is the status (200 to 999), X-Up-Type the Content-Type ("none": without), each X-Up-Header a further line
    "Name: value", X-Up-Fail anything: close.
    """
    status, kind, more = 200, "text/plain", []
    for name, value in headers:
        lower = name.lower()
        if lower == "x-up-status" and re.fullmatch(r"[2-9]\d\d", value):
            status = int(value)
        elif lower == "x-up-type":
            kind = value
        elif lower == "x-up-fail":
            return None
        elif lower == "x-up-header":
            key, _, rest = value.partition(":")
            more.append((key.strip(), rest.strip()))
    lines = [("Server", "upstream/1"), ("Date", DATE), ("Connection", "close")]
    if kind != "none":
        lines.append(("Content-Type", kind))
    body = b"" if status in {204, 304} else b"upstream body, longer than twenty bytes\n"
    if status != 204:
        lines.append(("Content-Length", str(len(body))))
    return Answer(status, (*lines, *more), b"" if method == "HEAD" else body)


def model(request: Request) -> tuple[Outcome, ...]:
    """Answer as the real upstream does: the `ask` of an evaluator under test."""
    answer = decide(request.method, request.headers.pairs())
    action = Action("application", f"http://{request.listen}")
    if answer is None:
        return (Outcome("always", None, action, layer="upstream"),)
    response = Response(answer.status, Headers.of(answer.headers), answer.body.decode("latin-1"))
    return (Outcome("always", response, action, layer="upstream"),)


@dataclass(slots=True)
class Upstream:
    """Two listening addresses served from the caller's epoll; `heard` lists the requests since it was cleared."""

    epoll: select.epoll
    addresses: list[str] = field(default_factory=list)
    heard: list[Asked] = field(default_factory=list)
    waiting: bool = False
    _listeners: dict[int, socket.socket] = field(default_factory=dict)
    _connections: dict[int, tuple[socket.socket, str, bytearray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Listen."""
        for _ in range(2):
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            listener.setblocking(False)  # noqa: FBT003 - the only way to call it
            self._listeners[listener.fileno()] = listener
            self.addresses.append("{}:{}".format(*listener.getsockname()))
            self.epoll.register(listener.fileno(), select.EPOLLIN)

    def serve(self, number: int) -> None:
        """Handle one ready file descriptor."""
        if number in self._listeners:
            listener = self._listeners[number]
            with contextlib.suppress(BlockingIOError):
                connection, _ = listener.accept()
                address = "{}:{}".format(*listener.getsockname())
                self._connections[connection.fileno()] = (connection, address, bytearray())
                self.epoll.register(connection.fileno(), select.EPOLLIN)
            return
        if number not in self._connections:
            return
        connection, address, data = self._connections[number]
        try:
            received = connection.recv(65536)
        except ConnectionResetError:
            received = b""
        if not received:
            self._drop(number)
            return
        data += received
        while data and number in self._connections and self._one(number, connection, address, data):
            pass

    def _one(
        self, number: int, connection: socket.socket, address: str, data: bytearray, *, early: bool = False
    ) -> bool:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = re.split(r"\r?\n", bytes(data[:end]).decode("latin-1"))
        head = head[: head.index("")] if "" in head else head
        method, _, rest = head[0].partition(" ")
        target, _, version = rest.rpartition(" HTTP/")
        headers = tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in head[1:])
        size = (0, 0) if early else _body_size(headers, bytes(data[end + 4 :]))
        if size is None or len(data) < end + 4 + size[0]:
            self.waiting = True
            return False
        self.waiting = False
        del data[: end + 4 + size[0]]
        self.heard.append(Asked(address, method, target, version, headers, size[1]))
        answer = decide(method, headers)
        if answer is None:
            self._drop(number)
            return False
        with contextlib.suppress(OSError):
            connection.sendall(_wire(answer))
        return True

    def answer_early(self) -> None:
        """Answer requests whose announced body does not come (an auth_request subrequest sends none), and hang up."""
        self.waiting = False
        for number, (connection, address, data) in list(self._connections.items()):
            if data and self._one(number, connection, address, data, early=True) and number in self._connections:
                self._drop(number)

    def forget(self) -> None:
        """Close the connections of an nginx that is gone."""
        for number in list(self._connections):
            self._drop(number)
        self.heard.clear()
        self.waiting = False

    def _drop(self, number: int) -> None:
        connection, _, _ = self._connections.pop(number)
        with contextlib.suppress(OSError):
            self.epoll.unregister(number)
        connection.close()

    def close(self) -> None:
        """Close everything."""
        self.forget()
        for listener in self._listeners.values():
            listener.close()


def _body_size(headers: tuple[tuple[str, str], ...], rest: bytes) -> tuple[int, int] | None:
    """Return (bytes on the wire, bytes of content) of the body that follows, or None where more must come."""
    lower = {name.lower(): value for name, value in headers}
    if "chunked" in lower.get("transfer-encoding", ""):
        match = re.match(rb"(?s)(?:([0-9a-fA-F]+)\r\n.*?)?0\r\n\r\n", rest)
        return (match.end(), int(match[1] or b"0", 16)) if match else None
    length = lower.get("content-length", "0")
    return (int(length), int(length)) if length.isdigit() else (0, 0)


def _wire(answer: Answer) -> bytes:
    reason = http.client.responses.get(answer.status, "Other")
    lines = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    return f"HTTP/1.1 {answer.status} {reason}\r\n{lines}\r\n".encode("latin-1") + answer.body
