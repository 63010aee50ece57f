"""A server that does everything wrong that a server can: one path per misbehaviour."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable

from tests.live_field.serving import head

OK = b"HTTP/1.1 200 OK\r\n"
CORS = b"Access-Control-Allow-Origin: https://evil.example\r\nX-Content-Type-Options: nosniff\r\n"
BOMB = gzip.compress(b"\0" * (32 << 20))

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def _forever(writer: asyncio.StreamWriter, first: bytes, piece: bytes, pause: float = 0.0) -> None:
    writer.write(first)
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def _sent(writer: asyncio.StreamWriter, data: bytes, *, hold: bool = False) -> None:
    writer.write(data)
    await writer.drain()
    if hold:
        await asyncio.sleep(60)


async def _dripped(writer: asyncio.StreamWriter, data: bytes) -> None:
    for index in range(len(data)):
        writer.write(data[index : index + 1])
        await writer.drain()
        await asyncio.sleep(0.05)


async def _reset(writer: asyncio.StreamWriter, data: bytes = b"") -> None:
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.2 if data else 0)  # a reset takes unread bytes with it
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _half_closed(writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    await asyncio.sleep(60)


HEADERS = OK + CORS
LATE: dict[str, Act] = {
    "/body/endless": lambda w: _forever(w, HEADERS + b"\r\n", b"x" * 65536),
    "/body/endless-chunks": lambda w: _forever(w, HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 999),
    "/body/drip": lambda w: _forever(w, HEADERS + b"\r\n", b"x", 0.1),
    "/body/event-stream": lambda w: _sent(
        w, HEADERS + b"Content-Type: text/event-stream\r\n\r\ndata: 1\n\n", hold=True
    ),
    "/body/shorter-than-said": lambda w: _sent(w, HEADERS + b"Content-Length: 500\r\n\r\nshort"),
    "/body/bad-chunk": lambda w: _sent(w, HEADERS + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nnope\r\n"),
    "/body/huge-chunk": lambda w: _sent(
        w, HEADERS + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", hold=True
    ),
    "/body/reset": lambda w: _reset(w, HEADERS + b"Content-Length: 500\r\n\r\nshort"),
    "/body/trailers": lambda w: _forever(
        w, HEADERS + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: " + b"y" * 999 + b"\r\n"
    ),
}
"""Answers whose headers arrive: they count, whatever the body does."""

NONE: dict[str, Act] = {
    "/head/endless": lambda w: _forever(w, OK, b"X-Flood: " + b"y" * 999 + b"\r\n"),
    "/head/endless-line": lambda w: _forever(w, OK + b"X-Long: ", b"y" * 65536),
    "/head/endless-status": lambda w: _forever(w, b"HTTP/1.1 200 ", b"y" * 65536),
    "/head/drip": lambda w: _dripped(w, OK + CORS + b"\r\n"),
    "/head/silence": lambda w: _sent(w, b"", hold=True),
    "/head/informational": lambda w: _forever(w, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 999),
    "/head/half-closed": _half_closed,
    "/head/closed": lambda w: _sent(w, b""),
    "/head/reset": _reset,
    "/head/garbage": lambda w: _sent(w, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20),
    "/head/no-colon": lambda w: _sent(w, OK + b"nonsense\r\n\r\n"),
    "/head/nul": lambda w: _sent(w, OK + b"X-Nul: a\0b\r\n\r\n"),
    "/head/two-lengths": lambda w: _sent(w, OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    "/head/negative-length": lambda w: _sent(w, OK + b"Content-Length: -1\r\n\r\n"),
    "/head/status": lambda w: _sent(w, b"HTTP/1.1 9999 Odd\r\n\r\n"),
    "/head/version": lambda w: _sent(w, b"ICY 200 OK\r\n\r\n"),
}
"""Answers that are none: each becomes a row that says why."""

FINE: dict[str, Act] = {
    "/body/bomb": lambda w: _sent(
        w, HEADERS + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    ),
    "/fine/bytes": lambda w: _sent(w, HEADERS + b"X-Odd: caf\xe9 \xff\x80\r\nContent-Length: 0\r\n\r\n"),
    "/fine/many": lambda w: _sent(
        w, HEADERS + b"".join(b"X-%d: y\r\n" % n for n in range(900)) + b"Content-Length: 0\r\n\r\n"
    ),
    "/fine/loop": lambda w: _sent(
        w, b"HTTP/1.1 302 Found\r\n" + CORS + b"Location: /fine/loop\r\nContent-Length: 0\r\n\r\n"
    ),
    "/fine/away": lambda w: _sent(
        w, b"HTTP/1.1 302 Found\r\n" + CORS + b"Location: http://127.0.0.2:1/\r\nContent-Length: 0\r\n\r\n"
    ),
    "/fine/duplicates": lambda w: _sent(w, HEADERS + CORS + b"Content-Length: 0\r\n\r\n"),
    "/fine/longer-than-said": lambda w: _sent(w, HEADERS + b"Content-Length: 2\r\n\r\n" + b"ok" + b"y" * 500),
}
"""Answers that are odd but valid."""

EVERY = {**LATE, **NONE, **FINE}


async def misbehave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request the way its path says."""
    _, target, _ = await head(reader)
    await EVERY[target](writer)
