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
from collections.abc import Iterator
from pathlib import Path


async def _serve(port: int, one_way: float, jitter: float) -> None:
    draw = random.Random(7)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, data = await waiting.get()
                await asyncio.sleep(max(0.0, at - loop.time()))
                if not data:
                    writer.close()
                    return
                writer.write(data)

        task = asyncio.create_task(deliver())
        last = 0.0
        try:
            while data := await reader.read(65536):
                last = max(last, loop.time() + one_way + draw.random() * jitter)
                waiting.put_nowait((last, data))
            waiting.put_nowait((last, b""))
            await task
        finally:
            task.cancel()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)
            finally:
                back.transport.abort()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
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
