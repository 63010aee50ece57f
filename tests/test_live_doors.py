"""Doors that must be closed and TLS versions that must be refused, and the one way to open a connection."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest

from auditor.live.client import Client
from auditor.live.dial import Dialler, Resolver
from auditor.live.doors import knock, planned, tls_versions
from tests.live_field.serving import certificates, head, serving, target


async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as an application server does."""
    await head(reader)
    writer.write(b"HTTP/1.1 404 Not Found\r\nServer: uvicorn\r\nContent-Length: 0\r\n\r\n")


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, read, and say nothing."""
    del writer
    while await reader.read(65536):
        pass


@pytest.fixture
def closed() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections while the test lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def test_an_open_door_is_named_by_what_answers(closed: int) -> None:
    """Open doors are open whatever they say, closed ones and names that nobody has are closed."""
    with serving(greeting) as speaking, serving(mute) as silent:
        doors = (
            f"127.0.0.1:{speaking}",
            f"127.0.0.1:{silent}",
            f"127.0.0.1:{closed}",
            "no-such-name.invalid:80",
        )
        found = knock(Client(target(speaking), doors=doors), doors)
    assert [item.reachable for item in found] == [True, True, False, False]
    assert "answered 404 by uvicorn" in found[0].detail
    assert found[1].detail.endswith("was accepted")
    assert "refused" in found[2].detail
    assert "cannot be resolved" in found[3].detail


def test_a_door_that_cannot_be_tried_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine has no network, nothing is known about a door."""

    async def unreachable(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(Dialler, "connect_tcp", unreachable)
    (found,) = knock(Client(target(1), doors=("192.0.2.1:80",)), ("192.0.2.1:80",))
    assert found.reachable is None


def test_the_oldest_version_of_tls_that_is_accepted() -> None:
    """Each version is tried alone; one that is not answered leaves the oldest open."""
    context, _ = certificates("shop.example")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with serving(greeting, context) as port:
        (found,) = tls_versions(Client(target(port, scheme="https", timeout="5s")))
    assert (found.lowest, found.detail) == ("1.2", "accepted: 1.2, 1.3")
    with serving(mute) as port:
        (unanswered,) = tls_versions(Client(target(port, scheme="https", timeout="200ms")))
    assert unanswered.lowest is None
    assert "no answer to TLS 1.0" in unanswered.detail


def test_a_dry_run_names_doors_and_handshakes() -> None:
    """Every connection besides the probes' is listed with where it would go."""
    lines = list(planned(Client(target(8443, scheme="https")).scope, ("shop.example:8000",)))
    assert lines[0] == "connect shop.example:8000 -> shop.example:8000  (must not answer)"
    assert len(lines) == 5
    assert all(line.endswith("-> 127.0.0.1:8443") for line in lines[1:])


def dial(dialler: Dialler, host: str, port: int) -> str:
    """Connect and return the address that answered."""

    async def work() -> str:
        stream = await dialler.connect_tcp(host, port, 2.0)
        address = stream.get_extra_info("server_addr")[0]
        await stream.aclose()
        return str(address)

    return asyncio.run(work())


def test_what_is_not_the_target_is_never_dialled() -> None:
    """The dialler itself refuses, whoever asks: another port, another host, a socket file."""
    with serving(mute) as port:
        dialler = Dialler(Resolver(), {("127.0.0.1", port)}, {})
        assert dial(dialler, "127.0.0.1", port) == "127.0.0.1"
        for host, other in (("127.0.0.1", 1), ("localhost", port)):
            with pytest.raises(OSError, match="not part of the target"):
                dial(dialler, host, other)
        with pytest.raises(OSError, match="not part of the target"):
            asyncio.run(dialler.connect_unix_socket("/run/docker.sock"))


def test_a_host_is_asked_at_the_first_address_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with an IPv6 and an IPv4 address is reachable where only one is listened on, and stays there."""
    asked: list[object] = []

    def two(host: object, port: object, *_: object, **__: object) -> object:
        asked.append(host)
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [six, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    resolver = Resolver()
    with serving(mute) as port:
        dialler = Dialler(resolver, {("both.example", port)})
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda h, p, *a, **k: (two if h == "both.example" else real)(h, p, *a, **k)
        )
        assert [dial(dialler, "both.example", port) for _ in range(2)] == ["127.0.0.1", "127.0.0.1"]
    assert asked == ["both.example"]
    assert resolver.pinned["both.example"] == ["127.0.0.1"]
