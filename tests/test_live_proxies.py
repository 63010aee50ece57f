"""The environment's proxies: ignored unless asked for, and then the only way to the target."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path

import pytest

from auditor.errors import TargetError
from auditor.exchange import Headers, Request
from auditor.live.client import Client
from tests.live_field.serving import Handler, certificates, head, serving, target


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection with 200."""
    while True:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()


def tunnels(asked: list[tuple[str, dict[str, str]]], status: bytes = b"200 Connected") -> Handler:
    """Return a proxy that opens tunnels, or refuses with a status; `asked` gets what it was asked for."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, place, lines = await head(reader)
        asked.append((f"{method} {place}", dict(lines)))
        writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if status.startswith(b"2"):
            host, _, port = place.rpartition(":")
            there, back = await asyncio.open_connection(host.strip("[]"), int(port))
            try:
                await asyncio.gather(carry(reader, back), carry(there, writer))
            finally:
                back.transport.abort()

    return proxy


def request(scheme: str = "http") -> tuple[str, Request]:
    """Return a request for shop.example at the only entrypoint."""
    return "web", Request("GET", "/", Headers.of([("Host", "shop.example")]), scheme=scheme)


def test_a_proxy_is_used_only_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option nothing goes there; with it everything does, with the credentials of its URL."""
    asked: list[tuple[str, dict[str, str]]] = []
    with serving(plain) as port, serving(tunnels(asked)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:s%40cret@127.0.0.1:{proxy}")
        for env_proxies in (False, True):
            client = Client(target(port), env_proxies=env_proxies)
            answers = client.send([request(), request()])
            assert [a and a.response and a.response.status for a in answers] == [200, 200]
            assert bool(asked) is env_proxies
    line, headers = asked[0]
    assert line == f"CONNECT 127.0.0.1:{port}"
    assert headers["Proxy-Authorization"] == f"Basic {base64.b64encode(b'me:s@cret').decode()}"


def test_tls_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The certificate is the target's own, whoever carries it."""
    tls, authority = certificates("shop.example")
    (tmp_path / "ca.pem").write_bytes(authority)
    asked: list[tuple[str, dict[str, str]]] = []
    assert isinstance(tls, ssl.SSLContext)
    with serving(plain, tls) as port, serving(tunnels(asked)) as proxy:
        monkeypatch.setenv("all_proxy", f"127.0.0.1:{proxy}")
        client = Client(target(port, scheme="https"), tmp_path / "ca.pem", env_proxies=True)
        (answer,) = client.send([request("https")])
    assert answer is not None
    assert answer.response is not None
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["shop.example", ".example", "*"])
def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What NO_PROXY names is asked directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.9:3128")
    monkeypatch.setenv("NO_PROXY", name)
    with serving(plain) as port:
        (answer,) = Client(target(port), env_proxies=True).send([request()])
    assert answer is not None
    assert answer.response is not None


def test_a_proxy_that_refuses_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes around it."""
    asked: list[tuple[str, dict[str, str]]] = []
    with serving(plain) as port, serving(tunnels(asked, b"403 No")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy}")
        (answer,) = Client(target(port), env_proxies=True).send([request()])
    assert answer is not None
    assert answer.response is None
    assert f"127.0.0.1:{proxy} answers 403 to CONNECT" in answer.error


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "https://127.0.0.1:3128", "http://", "http://a:99999"])
def test_another_kind_of_proxy_is_an_error(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """It says which one, and what to do; a password is not repeated."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with serving(plain) as port, pytest.raises(TargetError, match="proxy for http"):
        Client(target(port), env_proxies=True).send([request()])
