"""Thousands of loopback targets in one process: most behave, some hang, reset, redirect elsewhere, send garbage, lie."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import multiprocessing
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("hangs", "resets", "redirects", "garbage", "closed", "drips", "bare")
"""What the first target of each `EVERY` does, the second, and so on; the rest are good."""

EVERY = 40
TRAP = "127.99.99.99"
"""Where redirections lead; nothing may ever be asked of it."""

GOOD = (
    b"HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
)
ANSWERS = {
    "good": GOOD,
    "bare": GOOD.replace(b"X-Content-Type-Options: nosniff\r\n", b""),
    "redirects": b"HTTP/1.1 302 Found\r\nLocation: http://" + TRAP.encode() + b"/\r\nContent-Length: 0\r\n\r\n",
    "garbage": bytes(range(256)) * 40,
}


@dataclass(frozen=True, slots=True)
class Targets:
    """Where the targets are (one address each, one port for all), and how often the trap was asked."""

    port: int
    addresses: tuple[str, ...]
    trapped: multiprocessing.sharedctypes.Synchronized[int]

    def kind(self, index: int) -> str:
        """Return what a target does."""
        return KINDS[index % EVERY] if index % EVERY < len(KINDS) else "good"


@contextlib.contextmanager
def targets(number: int) -> Iterator[Targets]:
    """Serve targets while the block lasts, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    first = int(ipaddress.ip_address("127.20.0.1"))
    addresses = tuple(str(ipaddress.ip_address(first + index)) for index in range(number))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    trapped = context.Value("i", 0)
    ready = context.Event()
    process = context.Process(target=_serve, args=(addresses, port, trapped, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the targets did not start")
        yield Targets(port, addresses, trapped)
    finally:
        process.kill()
        process.join()


def _serve(addresses: tuple[str, ...], port: int, trapped: object, ready: object) -> None:
    asyncio.run(_all(addresses, port, trapped, ready))


async def _all(addresses: tuple[str, ...], port: int, trapped: object, ready: object) -> None:
    places = Targets(port, addresses, trapped)  # type: ignore[arg-type]
    kinds = {address: places.kind(index) for index, address in enumerate(addresses)}
    kinds[TRAP] = "trap"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = kinds[writer.get_extra_info("sockname")[0]]
        try:
            await _answer(kind, reader, writer, trapped)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    servers = [
        await asyncio.start_server(answer, address, port, backlog=16, limit=1 << 20)
        for address, kind in kinds.items()
        if kind != "closed"
    ]
    ready.set()  # type: ignore[attr-defined]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _answer(kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trapped: object) -> None:
    if kind == "trap":
        with trapped.get_lock():  # type: ignore[attr-defined]
            trapped.value += 1  # type: ignore[attr-defined]
        return
    if kind == "resets":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return
    while True:
        asked = await reader.readuntil(b"\r\n\r\n")
        if kind == "hangs":
            await asyncio.sleep(3600)
        if kind == "drips":
            for byte in GOOD:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.5)
                if writer.is_closing():
                    return
        said = ANSWERS[kind]
        writer.write(said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if asked.startswith(b"HEAD ") else said)
        await writer.drain()
        if kind == "garbage":
            return


def write(folder: Path, places: Targets) -> Path:
    """Write the policy and the fleet file of the targets, and return the latter."""
    (folder / "policy.yaml").write_text(
        "version: 1\n"
        "name: tiny\n"
        "variables: {address: x}\n"
        "targets:\n"
        "  - id: live\n"
        "    type: http\n"
        "    entrypoints: {web: 'http://${address}'}\n"
        "    limits: {timeout: 3s, requests_per_second: 1000, concurrency: 4, max_requests: 40}\n"
        "routes:\n"
        "  - id: all\n"
        "    match: [{paths: ['/**']}]\n"
        "    probes: [{path: /}]\n"
        "    headers: {X-Content-Type-Options: nosniff}\n",
        encoding="utf-8",
    )
    lines = ["version: 1", "defaults: {policy: policy.yaml, command: live}", "targets:"]
    lines += [
        f"  - {{name: {places.kind(index)}-{index:04}, variables: {{address: '{address}:{places.port}'}}}}"
        for index, address in enumerate(places.addresses)
    ]
    file = folder / "fleet.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
