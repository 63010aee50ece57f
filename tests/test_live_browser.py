"""A real browser replays witnesses against a server on the loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from recorded import fail

from auditor import replaying
from auditor.browser.page import FetchRequest
from auditor.browser.url import OPAQUE, Origin
from auditor.errors import TargetError
from auditor.exchange import Headers, Request
from auditor.finding import Witness
from auditor.live.browser import Attempt, Replay, attempt_of, replay
from auditor.live.browser import shutil as looked_up
from auditor.policy.model import HttpTarget

EVIL = Origin("http", "evil.example")


def missing() -> str:
    """Say what a replay needs and does not find."""
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "Playwright for Python is not installed"
    found = os.environ.get("CHROMIUM") or looked_up.which("chromium") or looked_up.which("chromium-browser")
    return "" if found else "no Chromium is installed (Debian: apt-get install chromium)"


MISSING = missing()
needs_browser = pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING or "-")


class Shop(BaseHTTPRequestHandler):
    """A shop that shares /open with everybody and nothing else."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, str | None]] = []  # noqa: RUF012 - one server a test

    def _answer(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Origin")))
        body = b"the secret" if self.command != "OPTIONS" else b""
        self.send_response(200)
        if self.path == "/open":
            self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin") or "*")
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Access-Control-Allow-Headers", "x-csrf-token")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_OPTIONS = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def shop() -> Iterator[str]:
    """Run the shop; return its address."""
    Shop.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@needs_browser
def test_a_real_page_reads_what_is_shared_and_nothing_else(shop: str) -> None:
    """The reflecting path is read from any origin, null included; the closed one by none, and Chromium says why."""
    assert not MISSING, MISSING
    asked = FetchRequest("http://shop.example/open", credentials="include", headers=(("X-CSRF-Token", "1"),))
    closed = FetchRequest("http://shop.example/closed", credentials="include")
    attempts = [
        Attempt(EVIL, asked),
        Attempt(OPAQUE, asked),
        Attempt(EVIL, closed),
        Attempt(EVIL, FetchRequest("ws://shop.example/socket", mode="websocket")),
        Attempt(EVIL, FetchRequest("http://shop.example/open", method="DELETE")),
        Attempt(EVIL, FetchRequest("http://elsewhere.example/")),
    ]
    read, sandboxed, kept, socket, unsafe, nowhere = replay(
        attempts, resolve={"shop.example:80": shop, "elsewhere.example:80": "127.0.0.1:9"}
    )
    assert (read.read, read.body, read.status) == (True, "the secret", 200)
    assert ("GET", "http://shop.example/open") in read.sent
    assert read.browser.startswith("Chromium")
    assert read.screenshot.startswith(b"\x89PNG")
    assert sandboxed.read
    assert (kept.read, kept.reason) == (False, "MissingAllowOriginHeader")
    assert not socket.read
    assert "1006" in socket.error
    assert (unsafe.read, unsafe.skipped) == (False, "DELETE may change something and is not allowed")
    assert not nowhere.read
    assert ("OPTIONS", "/open", "http://evil.example") in Shop.asked
    assert ("GET", "/open", "null") in Shop.asked
    assert all(method != "DELETE" for method, _, _ in Shop.asked)


def test_a_witness_says_what_script_has_to_do() -> None:
    """A preflight stands for the request it asks for, an upgrade for a WebSocket; without Origin there is no page."""
    base = [("Host", "shop.example"), ("Origin", "https://evil.example")]
    preflight = [*base, ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-a, x-b")]
    attempt = attempt_of(Request("OPTIONS", "/api", Headers.of(preflight), "https"))
    assert attempt is not None
    assert attempt.page == Origin("https", "evil.example")
    assert (attempt.request.method, attempt.request.headers) == ("PUT", (("x-a", "1"), ("x-b", "1")))
    socket = attempt_of(Request("GET", "/ws", Headers.of([*base, ("Upgrade", "websocket")]), "https"))
    assert socket is not None
    assert (socket.request.url, socket.request.mode) == ("wss://shop.example/ws", "websocket")
    plain = attempt_of(Request("GET", "/api", Headers.of([*base, ("Accept", "a/b")]), "https"), credentials=False)
    assert plain is not None
    assert (plain.request.headers, plain.request.credentials) == ((("Accept", "a/b"),), "omit")
    assert attempt_of(Request("GET", "/api", Headers.of(base[:1]))) is None


def test_a_finding_says_why_no_page_was_opened_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each violation about pages has what Chromium did beside it, or the reason why nothing was tried; no other has."""

    def read_all(attempts: Sequence[Attempt], **_: object) -> list[Replay]:
        return [Replay(attempt, read=True, status=200, browser="Chromium") for attempt in attempts]

    monkeypatch.setattr(replaying, "replay_attempts", read_all)
    alone = Witness(Request(headers=Headers.of([("Host", "shop.example")])))
    findings = [
        fail("https://evil.example"),
        fail("https://odd.example", origin="no origin"),
        fail("cold", evidence="predicted"),
        fail("plain", witness=alone),
        fail("header", check="header-missing"),
        *(fail(f"https://{number}.example") for number in range(replaying.MOST)),
    ]
    target = HttpTarget(id="live", type="http", entrypoints={"web": "http://shop.example"})
    said = [finding.in_browser for finding in replaying.in_browser(findings, target, verify_tls=True)]
    assert said[0] == "Chromium: the page at https://evil.example read GET http://shop.example/ (status 200)"
    assert said[1] == "not tried: no page has this origin"
    assert said[2] == "not tried: the running stack did not show it"
    assert said[3] == "not tried: the witness has no Origin, so no page at another origin sends it"
    assert said[4] == ""
    assert said[-1] == f"not tried: {replaying.MOST} other witnesses went first"
    assert all(said[:4] + said[5:])


def test_a_missing_browser_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Chromium there is an error with a hint, not a traceback."""
    pytest.importorskip("playwright")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(looked_up, "which", lambda _: None)
    with pytest.raises(TargetError, match="no Chromium"):
        replay([])
    with pytest.raises(TargetError, match="could not be driven"):
        replay([], chromium="/does/not/exist")
