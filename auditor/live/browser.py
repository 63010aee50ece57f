"""A witness replayed by a real browser: a page at the witness's origin, the request, what script got, a picture of it.

Needs the extra `browser` (Playwright for Python) and an installed Chromium. Nothing leaves the machine but requests to
the target: the page itself is handed to the browser over its debugging pipe, and no other name resolves.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from auditor.browser.page import FetchRequest
from auditor.browser.url import Origin, parse_url
from auditor.dataclass import dataclass
from auditor.errors import TargetError
from auditor.exchange import Request
from auditor.live.scope import SAFE_METHODS

_HOPELESS = frozenset(
    {"host", "origin", "cookie", "user-agent", "content-length", "connection", "accept-encoding", "referer"}
)
_FLAGS = (
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The page has no address of its own, so its address space says nothing about a real attacker's.
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,LocalNetworkAccessChecks",
)
_SCRIPT = """async ({url, init, socket, limit}) => {
  const late = new Promise((done) => setTimeout(() => done({error: 'no answer in time'}), limit));
  if (socket) return Promise.race([late, new Promise((done) => {
    try {
      const s = new WebSocket(url);
      s.onopen = () => { s.close(); done({read: true, status: 101, headers: [], body: 'the connection is open'}); };
      s.onclose = (e) => done({error: 'closed with code ' + e.code});
    } catch (e) { done({error: String(e)}); }
  })]);
  const go = async () => {
    const r = await fetch(url, init);
    const body = r.type === 'opaque' ? '' : (await r.text()).slice(0, 600);
    return {read: r.type !== 'opaque' && r.type !== 'opaqueredirect', status: r.status, headers: [...r.headers], body};
  };
  return Promise.race([late, go().catch((e) => ({error: String(e)}))]);
}"""
_PAGE = """<!doctype html><meta charset=utf-8><title>{origin}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:46rem}}pre{{background:#f4f4f5;padding:1rem;overflow:hidden;
white-space:pre-wrap;word-break:break-all}}#end{{padding:.5rem 1rem;color:#fff;background:#71717a}}#end.read{{background:#b91c1c}}
#end.kept{{background:#15803d}}</style>
<h1>A page at {origin}</h1><p>asks <code>{what}</code>{cookies}</p><p id=end>waiting</p><pre id=got></pre>"""
_SHOW = """({read, title, text}) => {
  const end = document.getElementById('end');
  end.className = read ? 'read' : 'kept'; end.textContent = title;
  document.getElementById('got').textContent = text;
}"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing a page tries: the page's origin and the request its script makes."""

    page: Origin
    request: FetchRequest


@dataclass(frozen=True, slots=True)
class Replay:
    """What a real browser did with one attempt.

    `read`: script got the answer (or the WebSocket opened). `reason` is Chromium's own CORS error code, "" where it
    gave none. `sent` are method and URL of the requests that left the browser. `screenshot` is a PNG, empty where
    nothing was tried; `skipped` says why.
    """

    attempt: Attempt
    read: bool
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    error: str = ""
    reason: str = ""
    sent: tuple[tuple[str, str], ...] = ()
    screenshot: bytes = b""
    browser: str = ""
    skipped: str = ""


def attempt_of(witness: Request, *, credentials: bool = True) -> Attempt | None:
    """Return what script on the witness's origin has to do to make this request; None where it has no Origin.

    A preflight becomes the request it asks for, an upgrade becomes a WebSocket.
    """
    origin = Origin.parse(witness.headers.get("Origin") or "")
    if origin is None:
        return None
    url = witness.url
    if (witness.headers.get("Upgrade") or "").lower() == "websocket":
        socket = "ws" + url.removeprefix("http")
        return Attempt(origin, FetchRequest(socket, mode="websocket", credentials="include"))
    method = witness.headers.get("Access-Control-Request-Method")
    if witness.method == "OPTIONS" and method is not None:
        names = (witness.headers.get("Access-Control-Request-Headers") or "").split(",")
        headers = tuple((name.strip(), "1") for name in names if name.strip())
    else:
        method = witness.method
        headers = tuple(pair for pair in witness.headers.pairs() if pair[0].lower() not in _HOPELESS)
    mode = "include" if credentials else "omit"
    return Attempt(origin, FetchRequest(url, method=method, headers=headers, credentials=mode))  # type: ignore[arg-type]


def found(chromium: str | None = None) -> tuple[str, Any]:
    """Return the Chromium to use and Playwright's module; raises TargetError where either is missing."""
    program = chromium or os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        import playwright.async_api as driver  # noqa: PLC0415 - the extra `browser` is optional
    except ImportError as error:
        raise TargetError(
            "replaying in a browser needs Playwright for Python", None, "pip install 'edge-auditor[browser]'"
        ) from error
    if program is None:
        raise TargetError("no Chromium is installed", None, "install Debian's chromium, or name one with $CHROMIUM")
    return program, driver


def replay(
    attempts: Sequence[Attempt],
    *,
    resolve: Mapping[str, str] | None = None,
    allow_unsafe_methods: bool = False,
    verify_tls: bool = True,
    timeout: float = 10.0,
    chromium: str | None = None,
) -> list[Replay]:
    """Let a real Chromium make each attempt, one after the other, and report what it did.

    `resolve` maps `host:port` to `address:port`, like the target's own. Methods other than GET, HEAD and OPTIONS are
    skipped unless allowed. `timeout` is in seconds, for each attempt. Raises TargetError where Playwright or Chromium
    is missing or does not start.
    """
    program, driver = found(chromium)
    run = _Run(program, dict(resolve or {}), allow_unsafe_methods, verify_tls, timeout)
    try:
        return asyncio.run(run.all(driver, attempts))
    except driver.Error as error:
        raise TargetError(f"Chromium could not be driven: {error.message.splitlines()[0]}") from error


@dataclass(frozen=True, slots=True)
class _Run:
    """How attempts are replayed: the browser, where names lead, what may be sent."""

    chromium: str
    resolve: dict[str, str]
    unsafe: bool
    verify_tls: bool
    timeout: float

    async def all(self, driver: Any, attempts: Sequence[Attempt]) -> list[Replay]:
        """Start a browser with a fresh profile and replay everything in it."""
        arguments = [*_FLAGS, f"--host-resolver-rules={','.join(self.rules(attempts))}"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        async with driver.async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self.chromium, args=arguments)
            name = f"Chromium {browser.version}"
            try:
                return [replace(await self.one(browser, attempt), browser=name) for attempt in attempts]
            finally:
                await browser.close()

    def rules(self, attempts: Sequence[Attempt]) -> list[str]:
        """Map the target's names as the target says and let no other name resolve."""
        rules = [f"MAP {name} {address}" for name, address in self.resolve.items()]
        mapped = {name.rsplit(":", 1)[0] for name in self.resolve}
        targets = {url.host for attempt in attempts if (url := parse_url(attempt.request.url)) is not None}
        return [*rules, "MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in sorted(targets - mapped) if "," not in host)]

    async def one(self, browser: Any, attempt: Attempt) -> Replay:
        """Open the page, make the request, take the picture."""
        request = attempt.request
        if request.mode != "websocket" and request.method not in SAFE_METHODS and not self.unsafe:
            return Replay(attempt, read=False, skipped=f"{request.method} may change something and is not allowed")
        context = await browser.new_context(
            ignore_https_errors=not self.verify_tls, viewport={"width": 900, "height": 620}
        )
        try:
            page = await context.new_page()
            session = await context.new_cdp_session(page)
            seen = _Seen()
            await seen.listen(session)
            await _serve(session, page, attempt)
            got = await page.evaluate(_SCRIPT, self.arguments(request))
            if not got.get("read"):
                await seen.settle()
            done = _told(attempt, got, seen)
            await page.evaluate(_SHOW, _shown(done))
            return replace(done, screenshot=await page.screenshot())
        finally:
            await context.close()

    def arguments(self, request: FetchRequest) -> dict[str, Any]:
        """Put the request into the words of `fetch()`."""
        init: dict[str, Any] = {"method": request.method, "credentials": request.credentials, "mode": request.mode}
        init["headers"] = [list(pair) for pair in request.headers]
        if request.body is not None:
            init["body"] = request.body
        socket = request.mode == "websocket"
        limit = int(self.timeout * 1000)
        return {"url": request.url, "init": {} if socket else init, "socket": socket, "limit": limit}


class _Seen:
    """What the browser's network stack did while an attempt ran."""

    __slots__ = ("reasons", "sent")

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.sent: list[tuple[str, str]] = []
        self.reasons: list[str] = []

    async def listen(self, session: Any) -> None:
        """Write down requests and Chromium's own reasons."""
        session.on("Network.requestWillBeSent", lambda event: self._begun(event["request"]))
        session.on("Network.webSocketCreated", lambda event: self._begun({"method": "GET", **event}))
        session.on("Network.loadingFailed", lambda event: self._failed(event.get("corsErrorStatus") or {}))
        await session.send("Network.enable")

    async def settle(self) -> None:
        """Wait until the reason of a failure has come in, at most half a second: script hears of it first."""
        for _ in range(50):
            if self.reasons:
                break
            await asyncio.sleep(0.01)

    def _begun(self, request: dict[str, Any]) -> None:
        """Keep one request."""
        self.sent.append((request["method"], request["url"]))

    def _failed(self, status: dict[str, Any]) -> None:
        """Keep the reason of one failure."""
        if status.get("corsError"):
            self.reasons.append(status["corsError"])


async def _serve(session: Any, page: Any, attempt: Attempt) -> None:
    """Load the attacker's page at its origin, handed over by hand: no server, no certificate, no name looked up."""
    origin = attempt.page
    opaque = origin.opaque
    scheme = "https" if attempt.request.url.startswith(("https", "wss")) else "http"
    url = f"{scheme}://sandboxed.invalid/" if opaque else f"{origin.serialise()}/"
    headers = [{"name": "Content-Type", "value": "text/html; charset=utf-8"}]
    if opaque:
        headers.append({"name": "Content-Security-Policy", "value": "sandbox allow-scripts"})
    body = base64.b64encode(_page_of(attempt).encode()).decode()
    tasks: list[asyncio.Task[Any]] = []

    def paused(event: dict[str, Any]) -> None:
        answer = {"requestId": event["requestId"], "responseCode": 200, "responseHeaders": headers, "body": body}
        tasks.append(asyncio.ensure_future(session.send("Fetch.fulfillRequest", answer)))

    session.on("Fetch.requestPaused", paused)
    await session.send("Fetch.enable", {"patterns": [{"urlPattern": url, "resourceType": "Document"}]})
    await page.goto(url)
    await asyncio.gather(*tasks)
    await session.send("Fetch.disable")


def _page_of(attempt: Attempt) -> str:
    """Write the page that is shown."""
    request = attempt.request
    what = f"{'WebSocket' if request.mode == 'websocket' else request.method} {request.url}"
    cookies = " with the user's cookies" if request.credentials == "include" else ""
    return _PAGE.format(origin=html.escape(attempt.page.serialise()), what=html.escape(what), cookies=cookies)


def _told(attempt: Attempt, got: dict[str, Any], seen: _Seen) -> Replay:
    """Put what script got and what the network stack did together."""
    page = attempt.page.serialise()
    sent = tuple(
        pair for pair in seen.sent if not pair[1].startswith((f"{page}/", "data:")) and ".invalid/" not in pair[1]
    )
    return Replay(
        attempt,
        read=bool(got.get("read")),
        status=got.get("status"),
        headers=tuple((name, value) for name, value in got.get("headers", ())),
        body=got.get("body", ""),
        error=got.get("error", ""),
        reason=seen.reasons[-1] if seen.reasons else "",
        sent=sent,
    )


def _shown(done: Replay) -> dict[str, Any]:
    """Say on the page what came of it."""
    if done.read:
        lines = [f"status {done.status}", *(f"{name}: {value}" for name, value in done.headers), "", done.body]
        return {"read": True, "title": "this page has read the answer", "text": "\n".join(lines)}
    why = " ".join(text for text in (done.error, json.dumps(done.reason) if done.reason else "") if text)
    return {"read": False, "title": "the browser keeps the answer from this page", "text": why}
