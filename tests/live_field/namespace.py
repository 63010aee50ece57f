"""Runs inside a network namespace of its own: a target, a name server, and a record of every packet that leaves a program.

`python -m tests.live_field.namespace FOLDER COMMAND…` runs the command in FOLDER and prints, as JSON, where its packets
went. The namespace has loopback, and an interface with a default route to nowhere, so that a packet to any address of
the internet does leave and is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.live_field.serving import certificates, head, serving

NOWHERE = ("203.0.113.9", 7)
"""An address that nobody has (TEST-NET-3, RFC 5737): the record is tried on it first."""

HTTP_PORT, TLS_PORT, DOOR, NAMES = 8080, 8443, 8999, 53


def arrange() -> None:
    """Bring up loopback and the route to nowhere, and make the name server of this file the only one."""
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    for command in (
        "ip link set lo up",
        "ip addr add 192.0.2.1/32 dev lo",
        "ip route add default dev lo src 192.0.2.1",
        "mount --make-rprivate /",
        "mount --bind resolv.conf /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)


class Record:
    """Every IPv4 packet of the namespace that opens a connection or is none of one: protocol, destination and port."""

    def __init__(self) -> None:
        """Listen on all interfaces."""
        self.seen: set[tuple[str, str, int]] = set()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            data, address = self.socket.recvfrom(65536)
            if address[1] != 0x0800 or address[2] != socket.PACKET_OUTGOING:
                continue
            length = (data[0] & 15) * 4
            name = {6: "tcp", 17: "udp"}.get(data[9], str(data[9]))
            source, port = struct.unpack("!HH", data[length : length + 4]) if len(data) >= length + 4 else (0, 0)
            if name == "tcp" and data[length + 13] & 0x12 != 0x02:
                continue  # of a connection, the first packet (SYN without ACK) says where it goes
            if name == "udp" and source == NAMES:
                continue
            self.seen.add((name, socket.inet_ntoa(data[16:20]), port))


class Names:
    """A name server that gives a name its address once, and private ones ever after."""

    def __init__(self) -> None:
        """Listen where resolv.conf says."""
        self.asked: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", NAMES))
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            query, peer = self.socket.recvfrom(4096)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
                at += 1 + query[at]
            kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
            question = query[12 : at + 5]
            if kind != 1:  # nothing but IPv4 addresses here
                self.socket.sendto(query[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + question, peer)
                continue
            self.asked.append(".".join(labels))
            address = "127.0.0.1" if len(self.asked) == 1 else "10.1.2.3"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address)
            self.socket.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question + answer, peer)


async def leading_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Redirect everything to somewhere else, with every header that could make a client go there."""
    while True:
        await head(reader)
        writer.write(
            b"HTTP/1.1 307 Go\r\nLocation: http://203.0.113.9/\r\nContent-Location: http://203.0.113.9/\r\n"
            b'Refresh: 0; url=http://203.0.113.9/\r\nAlt-Svc: h2="203.0.113.9:443", h3=":443"\r\n'
            b"Link: <http://203.0.113.9/>; rel=preload\r\nReport-To: http://203.0.113.9/\r\nContent-Length: 0\r\n\r\n"
        )


@contextlib.contextmanager
def forwarded(port: int, to: int) -> Iterator[None]:
    """Serve a fixed port by carrying its connections to another one."""

    async def start() -> asyncio.Server:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", to)

            async def pump(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
                with contextlib.suppress(OSError):
                    while data := await one.read(65536):
                        other.write(data)
                    other.close()

            await asyncio.gather(pump(reader, back), pump(there, writer))

        return await asyncio.start_server(carry, "127.0.0.1", port)

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield
    loop.call_soon_threadsafe(server.close)


def main(folder: Path, command: list[str]) -> None:
    """Run the command between two looks at the record."""
    os.chdir(folder)
    arrange()
    record, names = Record(), Names()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.sendto(b"control", NOWHERE)
    time.sleep(0.3)
    tried = sorted(record.seen)
    record.seen.clear()
    context, authority = certificates("shop.example")
    Path("ca.pem").write_bytes(authority)
    with (
        serving(leading_away) as plain,
        serving(leading_away, context) as secret,
        forwarded(HTTP_PORT, plain),
        forwarded(TLS_PORT, secret),
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        time.sleep(0.3)
    inner = {plain, secret}
    print(  # noqa: T201 - how a script answers
        json.dumps(
            {
                "control": tried,
                "packets": sorted(item for item in record.seen if item[2] not in inner),
                "names": names.asked,
                "status": ended.returncode,
                "output": ended.stdout + ended.stderr,
            }
        )
    )
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
