"""A TCP proxy that puts a distance between a client and a port: `python distance.py PORT ONE_WAY JITTER` (seconds).

Each piece of data is held back, each way, for ONE_WAY to ONE_WAY + JITTER seconds. A process of its own, so that it
delays what it carries and nothing else; it prints its port and runs until its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast


class _End(asyncio.Protocol):
    """One end of a connection through the proxy: what arrives here leaves at the other end some time later."""

    def __init__(self, late: Callable[[], float]) -> None:
        self.late = late
        self.other: _End | None = None
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.last = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        for data in self.waiting:
            self.leave(data)

    def data_received(self, data: bytes) -> None:
        self.travel(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.travel(b"")

    def travel(self, data: bytes) -> None:
        """Hand data (nothing: the end of it) to the other end after the time that the way takes; nothing overtakes."""
        loop = asyncio.get_running_loop()
        self.last = max(self.last + 1e-6, loop.time() + self.late())  # timers of one moment keep no order
        if self.other is not None:
            loop.call_at(self.last, self.other.leave, data)

    def leave(self, data: bytes) -> None:
        """Send data that has arrived, or close; before this end is connected it waits."""
        if self.transport is None:
            self.waiting.append(data)
        elif data:
            self.transport.write(data)
        else:
            self.transport.close()


async def _serve(port: int, one_way: float, jitter: float) -> None:
    loop = asyncio.get_running_loop()
    draw = random.Random(7)
    tasks: set[asyncio.Task[None]] = set()

    def late() -> float:
        return one_way + draw.random() * jitter

    async def connected(front: _End, back: _End) -> None:
        try:
            await loop.create_connection(lambda: back, "127.0.0.1", port)
        except OSError:
            front.leave(b"")

    def accepted() -> _End:
        front, back = _End(late), _End(late)
        front.other, back.other = back, front
        task = loop.create_task(connected(front, back))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return front

    server = await loop.create_server(accepted, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()
    os._exit(0)  # nothing that is still on its way matters any more


@contextlib.contextmanager
def distant(port: int, one_way: float, jitter: float) -> Iterator[int]:
    """Run the proxy while the block lasts; yields its port on 127.0.0.1."""
    command = [sys.executable, str(Path(__file__)), str(port), str(one_way), str(jitter)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
