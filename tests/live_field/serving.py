"""Small asyncio servers on loopback, each in a thread of its own, and targets that name them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from auditor.policy.model import HttpTarget

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server once every connection that it has accepted is one that can be closed.

    Python 3.11 makes a connection's transport in a task of its own; where the server is closed between the two, an
    assertion of `Server._attach` ends the task and leaves the socket open, known to nobody.
    """
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await asyncio.sleep(0.02)
    server.close()


def close_all(loop: asyncio.AbstractEventLoop) -> None:
    """Close every connection of a loop, also one in the middle of a TLS handshake, which no handler has heard of."""
    for transport in list(loop._transports.values()):  # type: ignore[attr-defined] # no public list of them
        transport.abort()


@contextlib.contextmanager
def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve connections with a handler while the block lasts; yields the port on 127.0.0.1."""
    loop = asyncio.new_event_loop()
    started: list[Any] = []
    ready = threading.Event()
    tasks: set[asyncio.Task[Any]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.append(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            with contextlib.suppress(Exception):
                writer.close()

    async def start() -> None:
        started.append(await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls, limit=1 << 20, backlog=512))
        ready.set()

    async def stop() -> None:
        await stop_accepting(started[0])
        ended = loop.time() + 2
        # A connection that was just accepted has a task of its own, or is about to: one cancelled too early closes
        # nothing, so that only handlers that have begun are, until nothing else is left.
        while loop.time() < ended:
            for task in list(tasks):
                task.cancel()
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(0.02)
            if len(asyncio.all_tasks(loop)) == 1:
                break
        close_all(loop)
        await asyncio.sleep(0.05)

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield started[0].sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def head(reader: asyncio.StreamReader) -> tuple[str, str, list[tuple[str, str]]]:
    """Read a request's head and return method, target and header lines."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.split("\r\n")
    method, target, _ = first.split(" ", 2)
    lines = [tuple(line.split(": ", 1)) for line in rest if ": " in line]
    return method, target, [(name, value) for name, value in lines]


def target(port: int, *, scheme: str = "http", host: str = "shop.example", **limits: Any) -> HttpTarget:
    """Return a target named `host` whose one entrypoint is a port on loopback."""
    number = 443 if scheme == "https" else 80
    return HttpTarget.model_validate(
        {
            "id": "live",
            "type": "http",
            "entrypoints": {"web": f"{scheme}://{host}"},
            "resolve": {f"{host}:{number}": f"127.0.0.1:{port}"},
            "limits": {
                "requests_per_second": limits.get("requests_per_second", 1000.0),
                "concurrency": limits.get("concurrency", 4),
                "timeout": limits.get("timeout", "1s"),
                "max_requests": limits.get("max_requests", 500),
            },
            "allow_unsafe_methods": limits.get("allow_unsafe_methods", False),
        }
    )


def certificates(*hosts: str) -> tuple[ssl.SSLContext, bytes]:
    """Return a server's TLS context for these hosts, and the PEM of the authority made to sign it."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    return context, authority.cert_pem.bytes()
