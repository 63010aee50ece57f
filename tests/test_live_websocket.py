"""WebSocket handshakes with any Origin or none, against a server of the websockets library and against broken ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from auditor.exchange import Exchange, Headers, Request
from auditor.live.client import Client
from tests.live_field.serving import head, serving, target

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The key and the answer to it that RFC 6455 §1.3 works through."""


def handshake(origin: str | None) -> tuple[str, Request]:
    """Return a handshake with this Origin, or without any."""
    pairs = [
        ("Host", "shop.example"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
        *([("Origin", origin)] if origin is not None else []),
    ]
    return "web", Request("GET", "/ws", Headers.of(pairs))


@pytest.fixture(scope="module")
def closes() -> list[int | None]:
    """The status codes that accepted connections were closed with."""
    return []


@pytest.fixture(scope="module")
def port(closes: list[int | None]) -> Iterator[int]:
    """A server that accepts https://app.example alone."""
    from websockets.asyncio.server import serve

    loop = asyncio.new_event_loop()
    found: list[int] = []
    ready = threading.Event()

    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)
        closes.append(connection.close_code)

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, origins=["https://app.example"]) as server:  # type: ignore[list-item]
            found.append(next(iter(server.sockets)).getsockname()[1])
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example", 101),
        ("https://evil.example", 403),
        ("null", 403),
        (None, 403),
        ("https://app.example.evil.example", 403),
    ],
)
def test_a_handshake_is_answered_101_or_refused(port: int, origin: str | None, status: int) -> None:
    """The server's decision about an Origin comes back as a status."""
    (exchange,) = Client(target(port)).send([handshake(origin)])
    assert exchange is not None
    assert exchange.response is not None, exchange.error
    assert exchange.response.status == status


def test_an_accepted_handshake_is_closed_politely(port: int, closes: list[int | None]) -> None:
    """The server sees a normal closure, not a connection that breaks."""
    closes.clear()
    Client(target(port)).send([handshake("https://app.example")] * 3)
    for _ in range(100):
        if len(closes) == 3:
            break
        threading.Event().wait(0.02)
    assert closes == [1000, 1000, 1000]


def answered(lines: str) -> Exchange:
    """Return the exchange of a handshake that a server answers with these lines."""

    async def fixed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(lines.encode())
        await writer.drain()
        await reader.read(100)

    with serving(fixed) as number:
        (exchange,) = Client(target(number)).send([handshake("https://app.example")])
    assert exchange is not None
    return exchange


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n", ""),
        (f"Upgrade: WebSocket\r\nConnection: x, upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n", ""),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm9wZQ==\r\n", "Accept"),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", "Accept"),
        (f"Connection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n", "Upgrade: websocket"),
        (f"Upgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n", "Connection: Upgrade"),
    ],
)
def test_a_101_that_no_browser_takes_is_none(lines: str, says: str) -> None:
    """RFC 6455 §4.1: the upgrade, the connection token and the hash of the key have to be right."""
    exchange = answered(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n")
    assert (exchange.response is not None) == (not says)
    assert says in exchange.error
