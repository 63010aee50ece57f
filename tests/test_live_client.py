"""The live client on targets that are hostile, broken, slow or limiting: bounded, polite, and never off target."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from auditor.errors import TargetError
from auditor.exchange import Headers, Request
from auditor.live.client import Client
from auditor.live.credentials import Credentials
from auditor.live.scope import Scope, bare_host
from auditor.live.wire import MAX_BODY, MAX_HEADERS
from tests.live_field import hostile
from tests.live_field.serving import certificates, head, serving, target


def ask(path: str = "/", *headers: tuple[str, str], method: str = "GET", **more: object) -> tuple[str, Request]:
    """Return a request for shop.example at the only entrypoint."""
    pairs = [("Host", "shop.example"), *headers]
    return "web", Request(method, path, Headers.of(pairs), **more)  # type: ignore[arg-type]


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection with 200."""
    while True:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()


def test_every_misbehaviour_ends_in_a_row_within_its_time() -> None:
    """Hostile answers, all of them at once, end within the time limit, as rows that say why."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(hostile.misbehave) as port:
        client = Client(target(port, timeout="3s", concurrency=8))
        started = time.monotonic()
        exchanges = client.send([ask(path) for path in hostile.EVERY])
        seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert seconds < 3.5 * len(hostile.EVERY)
    assert peak - before < 200 * 1024
    for path, exchange in zip(hostile.EVERY, exchanges, strict=True):
        assert exchange is not None
        if path in hostile.NONE:
            assert exchange.response is None, path
            assert exchange.error, path
            assert exchange.outcome.unknown, path
        else:
            assert exchange.response is not None, (path, exchange.error)
            assert exchange.response.headers.get("Access-Control-Allow-Origin") == "https://evil.example"
            assert len(exchange.response.body or "") <= MAX_BODY
        if path in hostile.LATE:
            assert [item.concerns for item in exchange.outcome.unknown] == ["body"], path
        for word in ("Traceback", "httpcore", "h11", "object at"):
            assert word not in exchange.error


def test_one_misbehaviour_costs_one_time_limit() -> None:
    """A request that gets no answer is given up when its time is up."""
    with serving(hostile.misbehave) as port:
        for path in ("/head/endless", "/head/drip", "/head/silence", "/body/drip", "/head/informational"):
            started = time.monotonic()
            Client(target(port, timeout="500ms")).send([ask(path)])
            assert time.monotonic() - started < 1.5, path


def test_odd_answers_are_kept_as_they_came() -> None:
    """Bytes survive, duplicates survive, and a header flood is cut where it says so."""
    with serving(hostile.misbehave) as port:
        client = Client(target(port))
        odd, many, twice = client.send([ask("/fine/bytes"), ask("/fine/many"), ask("/fine/duplicates")])
    assert odd
    assert odd.response
    assert odd.response.headers.get("X-Odd") == b"caf\xe9 \xff\x80".decode("latin-1")
    assert many
    assert many.response
    assert len(many.response.headers) == MAX_HEADERS
    assert [item.concerns for item in many.outcome.unknown] == ["headers"]
    assert twice
    assert twice.response
    assert len(twice.response.headers.all("Access-Control-Allow-Origin")) == 2


def test_compressed_bodies_are_not_decompressed() -> None:
    """A compression bomb stays as small as it is on the wire."""
    with serving(hostile.misbehave) as port:
        (bomb,) = Client(target(port)).send([ask("/body/bomb")])
    assert bomb
    assert bomb.response
    assert bomb.response.body is not None
    assert bomb.response.body.startswith("\x1f\x8b")


def test_a_target_that_is_down_is_asked_a_few_times_only() -> None:
    """A refused connection is a row, and a dead address is not asked five hundred times."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        client = Client(target(held.getsockname()[1], concurrency=1))
        exchanges = client.send([ask()] * 50)
    assert all(exchange is not None and "refused" in exchange.error for exchange in exchanges[:4])
    assert exchanges[-1] is not None
    assert "accepts no connections" in exchanges[-1].error
    assert client.sent <= 10


def test_what_cannot_be_sent_is_a_row() -> None:
    """Line breaks and characters beyond Latin-1 in a request never reach the wire and never raise."""
    with serving(plain) as port:
        client = Client(target(port))
        exchanges = client.send([ask("/", ("Origin", "a\r\nb: c")), ask("/", ("Origin", "https://\u2603"))])
    for exchange in exchanges:
        assert exchange is not None
        assert "cannot be sent" in exchange.error


def test_tls_failures_say_what_is_wrong(tmp_path: Path) -> None:
    """Untrusted, wrongly named and broken TLS are rows; with the authority at hand the request goes through."""
    context, authority = certificates("shop.example")
    other, other_authority = certificates("other.example")
    pem = tmp_path / "ca.pem"
    pem.write_bytes(authority + other_authority)
    request = [ask(scheme="https", sni="shop.example")]
    with serving(plain, context) as port:
        (untrusted,) = Client(target(port, scheme="https")).send(request)
        (trusted,) = Client(target(port, scheme="https"), pem).send(request)
        (careless,) = Client(target(port, scheme="https"), insecure=True).send(request)
    with serving(plain, other) as port:
        (misnamed,) = Client(target(port, scheme="https"), pem).send(request)
    with serving(plain) as port:
        (none,) = Client(target(port, scheme="https"), pem).send(request)
    assert untrusted
    assert "certificate was not accepted" in untrusted.error
    assert trusted
    assert trusted.response
    assert trusted.response.status == 200
    assert careless
    assert careless.response
    assert careless.response.status == 200
    assert misnamed
    assert "certificate was not accepted" in misnamed.error
    assert none
    assert none.error


def test_certificates_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    """A missing or broken CA file is said once, and nothing is sent."""
    for content in (None, b"nonsense"):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(TargetError, match="cannot read the certificates"):
            Client(target(1, scheme="https"), path).send([ask(scheme="https")])


def test_ctrl_c_returns_what_was_found() -> None:
    """An interrupt in the middle keeps the answers so far and says that it was one."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head(reader)
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(slow) as port:
        client = Client(target(port, concurrency=2))
        timer = threading.Timer(0.4, lambda: signal.raise_signal(signal.SIGINT))
        timer.start()
        exchanges = client.send([ask(f"/{n}") for n in range(200)])
        timer.join()
    found = [exchange for exchange in exchanges if exchange is not None]
    assert client.interrupted
    assert 1 <= len(found) < 100
    assert all(exchange.response is not None for exchange in found)


def test_limits_of_the_target_are_respected() -> None:
    """429 is waited for, and what waiting does not help is marked as limited."""
    seen: list[float] = []

    async def limited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, path, _ = await head(reader)
            seen.append(time.monotonic())
            good = path == "/later" and len(seen) > 1
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                if good
                else b"HTTP/1.1 429 Slow\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n" % (path == "/later")
            )

    with serving(limited) as port:
        client = Client(target(port))
        (later,) = client.send([ask("/later")])
        assert later
        assert later.response
        assert later.response.status == 200
        assert seen[1] - seen[0] >= 0.9
        started = time.monotonic()
        never = Client(target(port, max_requests=40, concurrency=1))
        exchanges = never.send([ask("/never")] * 20)
    assert time.monotonic() - started < 20
    assert never.throttled
    assert all(e is not None and e.outcome.when == "limited" for e in exchanges)


def test_the_pace_and_the_budget_hold_over_all_connections() -> None:
    """No more requests a second, and no more requests at all, than the owner allows."""
    with serving(plain) as port:
        client = Client(target(port, requests_per_second=50.0, concurrency=8, max_requests=30))
        started = time.monotonic()
        exchanges = client.send([ask()] * 60)
        seconds = time.monotonic() - started
    assert client.sent == 30
    assert sum(exchange is not None for exchange in exchanges) == 30
    assert seconds >= 29 / 50 * 0.95


def test_unsafe_methods_and_foreign_entrypoints_are_not_sent() -> None:
    """POST is sent only on request, and a scheme without an entrypoint never."""
    with serving(plain) as port:
        careful, bold = Client(target(port)), Client(target(port, allow_unsafe_methods=True))
        assert careful.send([ask(method="POST")]) == [None]
        assert careful.send([ask(scheme="https")]) == [None]
        assert careful.sent == 0
        assert bold.send([ask(method="POST")]) != [None]
        lines = list(careful.dry_run([ask("/a", ("Origin", "null")), ask(method="POST")]))
    assert lines[0] == f"GET http://shop.example/a Origin=null -> 127.0.0.1:{port}"
    assert "allow_unsafe_methods" in lines[1]
    assert careful.sent == 0


def test_nothing_is_dialled_but_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects off target, proxies of the environment and foreign Hosts lead to no other address."""
    dialled: set[tuple[str, int]] = set()
    original = socket.socket.connect

    async def away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head(reader)
            writer.write(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.3:9/\r\nContent-Length: 0\r\n\r\n")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect" and active:
            dialled.add(arguments[1][:2])  # type: ignore[index]

    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.9:3128")
    assert original is socket.socket.connect
    active = False
    sys.addaudithook(hook)
    with serving(away) as port:
        active = True
        client = Client(target(port))
        foreign = ("web", Request("GET", "/", Headers.of([("Host", "elsewhere.example")])))
        exchanges = client.send([ask(), foreign, ask("http://elsewhere.example/")])
        active = False
    assert all(exchange is not None and exchange.response is not None for exchange in exchanges)
    assert dialled == {("127.0.0.1", port)}


def test_a_name_that_changes_its_address_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address of a name stands for the whole run."""
    answers = itertools.chain(["127.0.0.1"], itertools.repeat("127.0.0.66"))
    real = socket.getaddrinfo

    def rebinding(host: object, port: object, *more: object, **named: object) -> object:
        if host == "rebinding.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]
        return real(host, port, *more, **named)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with serving(plain) as port:
        owned = target(port, host="shop.example")
        scope = owned.model_copy(update={"resolve": {"shop.example:80": f"rebinding.example:{port}"}})
        client = Client(scope)
        for _ in range(3):
            (exchange,) = client.send([ask()])
            assert exchange
            assert exchange.response


def test_credentials_go_to_the_target_and_into_no_report() -> None:
    """Headers and cookies of the environment are sent, and taken out of whatever echoes them."""
    seen: list[dict[str, str]] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, lines = await head(reader)
            seen.append(dict(lines))
            body = "\n".join(f"{name}: {value}" for name, value in lines).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nX-Echo: s3cr3t\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    environment = {"AUDITOR_HEADER_X_API_KEY": "s3cr3t", "AUDITOR_COOKIE": "sid=abcdef"}
    with serving(echo) as port:
        client = Client(target(port), credentials=Credentials.of(environment))
        exchange, foreign = client.send(
            [ask("/", ("Cookie", "theme=dark")), ("web", Request("GET", "/", Headers.of([("Host", "other.example")])))]
        )
    assert seen[0]["X-API-KEY"] == "s3cr3t"
    assert seen[0]["Cookie"] == "sid=abcdef; theme=dark"
    assert "X-API-KEY" not in seen[1]
    assert foreign is not None
    assert exchange
    assert exchange.response
    text = repr(exchange)
    assert "s3cr3t" not in text
    assert "abcdef" not in text
    with pytest.raises(TargetError, match="AUDITOR_HEADER_X"):
        Credentials.of({"AUDITOR_HEADER_X": "a\r\nb"})


def test_only_what_is_secret_is_taken_out() -> None:
    """Names of cookies and of schemes stay, so that checks still see them; values go in every spelling."""
    known = Credentials.of(
        {
            "AUDITOR_COOKIE": "session=abc/def; theme=dark",
            "AUDITOR_HEADER_AUTHORIZATION": "Basic YWxpY2U6c2VzYW1l",
            "AUDITOR_HEADER_X_TOKEN": "t0ken-of-mine",
        }
    )
    kept = "session=; Secure / WWW-Authenticate: Basic realm=alice"
    assert known.redacted(kept) == kept
    for secret in ("abc/def", "abc%2Fdef", "YWxpY2U6c2VzYW1l", "alice:sesame", "sesame", "t0ken-of-mine"):
        assert known.redacted(f"<{secret}>") == "<[redacted]>", secret


def test_connections_are_not_shared_between_server_names(tmp_path: Path) -> None:
    """A TLS connection opened for one server name is never reused for another."""
    context, authority = certificates("shop.example", "other.example")
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    (tmp_path / "ca.pem").write_bytes(authority)
    with serving(plain, context) as port:
        client = Client(target(port, scheme="https", concurrency=1), tmp_path / "ca.pem")
        other = ("web", Request("GET", "/", Headers.of([("Host", "other.example")]), scheme="https"))
        exchanges = client.send([ask(scheme="https"), other, ask(scheme="https")])
    assert all(exchange is not None and exchange.response is not None for exchange in exchanges)
    assert names == ["shop.example", "other.example"]


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("a.example", "a.example"),
        ("a.example:80", "a.example"),
        ("[::1]", "::1"),
        ("[::1]:8080", "::1"),
        ("a:b", "a:b"),
    ],
)
def test_the_host_of_an_authority(authority: str, host: str) -> None:
    """A port is taken off a Host, and brackets are; anything else stays."""
    assert bare_host(authority) == host


def test_the_scope_is_the_entrypoints_as_resolve_redirects_them() -> None:
    """Another host goes to the same door, and its certificate need not name it."""
    scope = Scope(target(8443, scheme="https"))
    own, other = scope.address("web", "https", "shop.example"), scope.address("web", "https", "evil.example")
    assert own
    assert (own.dial_host, own.dial_port, own.own) == ("127.0.0.1", 8443, True)
    assert other
    assert (other.dial_host, other.dial_port, other.own) == ("127.0.0.1", 8443, False)
    assert scope.address("web", "http", "shop.example") is None


OFFLINE = """
import subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
sys.exit(__import__("pytest").main(["-q", "-p", "no:cacheprovider", sys.argv[1], "-k", sys.argv[2]]))
"""


@pytest.mark.slow
def test_it_all_works_without_any_network() -> None:
    """In a network namespace that has loopback alone, every other test of this file holds."""
    probe = ["unshare", "-n", "ip", "link", "set", "lo", "up"]
    try:
        able = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    if not able:
        pytest.skip("no network namespaces here (needs unshare and CAP_SYS_ADMIN)")
    run = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", OFFLINE, __file__, "not without_any_network"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert run.returncode == 0, run.stdout[-3000:]


def test_http2_is_spoken_where_asked_for_and_goaway_is_survived(tmp_path: Path) -> None:
    """A request for HTTP/2 goes over HTTP/2, also where the server says goodbye after every answer."""
    context, authority = certificates("shop.example")
    context.set_alpn_protocols(["h2"])
    (tmp_path / "ca.pem").write_bytes(authority)
    with serving(_goodbye, context) as port:
        client = Client(target(port, scheme="https", concurrency=2), tmp_path / "ca.pem")
        exchanges = client.send([ask(f"/{n}", scheme="https", version="2") for n in range(12)])
    assert all(e is not None and (e.response is not None or e.error) for e in exchanges)
    answered = [e for e in exchanges if e is not None and e.response is not None]
    assert len(answered) >= 10


def test_a_storm_of_goaways_ends() -> None:
    """A server that answers every HTTP/2 request with GOAWAY costs two requests each, not an endless loop."""
    context, _ = certificates("shop.example")
    context.set_alpn_protocols(["h2"])
    with serving(_storm, context) as port:
        client = Client(target(port, scheme="https"), insecure=True)
        exchanges = client.send([ask(scheme="https", version="2")] * 6)
    assert client.sent <= 12
    assert all(e is not None and e.response is None and e.error for e in exchanges)


def test_http2_where_there_is_none_is_a_row(tmp_path: Path) -> None:
    """A request for HTTP/2 to a server without it says so instead of using HTTP/1.1."""
    context, authority = certificates("shop.example")
    (tmp_path / "ca.pem").write_bytes(authority)
    with serving(plain, context) as port:
        (exchange,) = Client(target(port, scheme="https"), tmp_path / "ca.pem").send([ask(scheme="https", version="2")])
    assert exchange
    assert exchange.error == "the target does not speak HTTP/2 here"


async def _goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one HTTP/2 request and close with GOAWAY."""
    import h2.config
    import h2.connection
    import h2.events

    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    while data := await reader.read(65536):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived) and event.stream_id:
                connection.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
                connection.close_connection(last_stream_id=event.stream_id)
                writer.write(connection.data_to_send())
                await writer.drain()
                return
        writer.write(connection.data_to_send())


async def _storm(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever comes with GOAWAY frames, forever."""
    settings = b"\0\0\0\x04\0\0\0\0\0"
    goaway = b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8
    await reader.read(65536)
    writer.write(settings)
    while True:
        writer.write(goaway * 100)
        await writer.drain()
        await asyncio.sleep(0.001)


def test_no_server_is_left_behind() -> None:
    """The helper that serves closes its port."""
    with serving(plain) as port:
        pass
    with contextlib.closing(socket.socket()) as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))
    assert ssl.OPENSSL_VERSION
