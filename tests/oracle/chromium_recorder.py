"""Draw fresh random vectors, ask an installed Chromium, compare with the model.

    python tests/oracle/chromium_recorder.py --count 2000 [--seed N] [--write FILE.jsonl]

A disagreement counts if it repeats when its vector is played again alone and with more patience, under an address that
no cache knows: what a loaded machine did late is no disagreement, and the model's errors do not go away.
Everything runs on the loopback: every host name is mapped to two servers of this process. Needs Chromium
(`chromium` on the path, or $CHROMIUM), Playwright for Python, and openssl for a throw-away certificate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from browser_vectors import SESSION, differences  # noqa: E402 - found by the path above
from chromium_draw import PAGES, Vector, draw  # noqa: E402
from chromium_server import RecordingServer  # noqa: E402

from auditor.browser.profile import CHROMIUM, SPEC  # noqa: E402

BATCH = 24
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable",
    "--ignore-certificate-errors",
    "--disable-dev-shm-usage",
]
SCRIPT = r"""
window.runVector = async (v) => {
  const limit = (p) =>
    Promise.race([p, new Promise((r) => setTimeout(() => r({outcome: 'timeout'}), 6000 * v.patience))]);
  const doFetch = async (url, init) => {
    try {
      const r = await fetch(url, {...init, headers: init.headers || []});
      const out = {outcome: 'resolved', type: r.type, status: r.status, redirected: r.redirected, url: r.url,
                   readable_headers: [...r.headers]};
      try { await r.text(); } catch (e) {}
      return out;
    } catch (e) { return {outcome: 'rejected', error: String(e)}; }
  };
  const q = v.request;
  if (v.kind === 'fetch') return limit(doFetch(q.url, q.init));
  if (v.kind === 'seq') {
    const steps = [];
    for (const s of q.steps) steps.push(await limit(doFetch(s.url, s.init)));
    return {outcome: 'seq', steps};
  }
  if (v.kind === 'ws') return limit(new Promise((done) => {
    let w;
    try { w = new WebSocket(q.url, q.protocols); } catch (e) { done({outcome: 'threw', error: String(e)}); return; }
    w.onopen = () => { done({outcome: 'resolved'}); w.close(); };
    w.onclose = () => done({outcome: 'rejected'});
  }));
  if (v.kind === 'xhr') return limit(new Promise((done) => {
    const x = new XMLHttpRequest(), init = q.init;
    try {
      x.open(init.method || 'GET', q.url);
      x.withCredentials = init.credentials === 'include';
      for (const [name, value] of init.headers || []) x.setRequestHeader(name, value);
      if (q.upload) x.upload.onprogress = () => {};
      x.onload = () => done({outcome: 'resolved', status: x.status, readable_headers: x.getAllResponseHeaders().trim()
        .split('\r\n').filter((l) => l).map((l) => [l.slice(0, l.indexOf(':')), l.slice(l.indexOf(':') + 2)])});
      x.onerror = () => done({outcome: 'rejected'});
      x.send('body' in init ? init.body : null);
    } catch (e) { done({outcome: 'threw', error: String(e)}); }
  }));
  if (v.kind === 'eventsource') return limit(new Promise((done) => {
    const s = new EventSource(q.url, {withCredentials: q.withCredentials});
    s.onopen = () => { s.close(); done({outcome: 'resolved'}); };
    s.onerror = () => { s.close(); done({outcome: 'rejected'}); };
  }));
  if (v.kind === 'form') return limit(new Promise((done) => {
    const frame = document.createElement('iframe'), form = document.createElement('form');
    frame.name = 'f' + Math.random(); form.target = frame.name;
    form.action = q.url; form.method = q.method; form.enctype = q.enctype;
    form.innerHTML = '<input name=a value=b>';
    document.documentElement.append(frame, form);
    setTimeout(() => { frame.onload = () => done({outcome: 'submitted'}); form.submit(); }, 0);
    setTimeout(() => done({outcome: 'submitted'}), 2500 * v.patience);
  }));
  if (v.kind === 'beacon') {
    navigator.sendBeacon(q.url, new Blob(['b'], {type: q.blobType}));
    await new Promise((r) => setTimeout(r, 700 * v.patience));
    return {outcome: 'queued'};
  }
  return limit(new Promise((done) => {
    const tag = {img: 'img', script: 'script', css: 'link'}[v.kind];
    const e = document.createElement(tag);
    if ('crossorigin' in q) e.setAttribute('crossorigin', q.crossorigin);
    e.onerror = () => done({outcome: 'rejected'});
    e.onload = () => {
      const extra = {};
      if (v.kind === 'img') {
        const c = document.createElement('canvas'); c.width = c.height = 1;
        const g = c.getContext('2d'); g.drawImage(e, 0, 0);
        try { g.getImageData(0, 0, 1, 1); extra.canvas_readable = true; } catch (x) { extra.canvas_readable = false; }
      }
      if (v.kind === 'css') { try { extra.css_rules = e.sheet.cssRules.length; } catch (x) { extra.css_error = x.name; } }
      done({outcome: 'resolved', extra});
    };
    if (v.kind === 'css') { e.rel = 'stylesheet'; e.href = q.url; } else { e.src = q.url; }
    document.documentElement.appendChild(e);
  }));
};
"""


def find_chromium() -> str | None:
    """Find an installed Chromium."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


class Lab:
    """One running Chromium, its servers, and one page for each context."""

    def __init__(self, server: RecordingServer, browser: Any) -> None:
        """Take a started server and browser."""
        self.server = server
        self.context = browser.contexts[0]
        self.pages: dict[str, Any] = {}
        self.errors: dict[str, list[dict[str, Any]]] = defaultdict(list)

    async def open(self) -> None:
        """Set the session's cookies by a visit to each host, then open a page for each context."""
        page = await self.context.new_page()
        for host in SESSION["hosts"]:
            await page.goto(f"{host}/cookies")
        await page.close()
        for name, (origin, path) in PAGES.items():
            page = await self.context.new_page()
            await page.goto(f"{origin}{path}")
            await page.evaluate(f"() => {{ {SCRIPT} }}")
            await self._listen(page)
            self.pages[name] = page

    async def _listen(self, page: Any) -> None:
        """Keep Chromium's own CORS errors by vector."""
        session = await self.context.new_cdp_session(page)
        urls: dict[str, str] = {}

        def begun(event: dict[str, Any]) -> None:
            urls.setdefault(event["requestId"], event["request"]["url"])

        def failed(event: dict[str, Any]) -> None:
            url = urls.get(event["requestId"], "")
            if "/v/" in url:
                vid = url.split("/v/")[1].split("/")[0]
                status = event.get("corsErrorStatus") or {}
                entry = {"net_error": event.get("errorText"), "cors_error": status.get("corsError")}
                self.errors[vid].append(entry)

        session.on("Network.requestWillBeSent", begun)
        session.on("Network.loadingFailed", failed)
        await session.send("Network.enable")

    async def record(self, vectors: list[Vector], patience: int = 1) -> None:
        """Let Chromium do what the vectors say, and write down in each what was observed.

        `patience` multiplies how long a vector may take and how long stragglers are waited for.
        """
        for vector in vectors:
            self.server.vectors[vector["id"].split("/")[1]] = vector
        for start in range(0, len(vectors), BATCH):
            await self._batch(vectors[start : start + BATCH], patience)

    async def disagreements(self, vectors: list[Vector]) -> dict[str, list[str]]:
        """Record the vectors and say where the `chromium` profile is wrong, by vector."""
        await self.record(vectors)
        wrong = {}
        for vector in vectors:
            found = differences(vector, CHROMIUM)
            for patience in (4, 8):
                if not found:
                    break
                again = renamed(vector, f"x{patience}")
                await self.record([again], patience)
                found = differences(again, CHROMIUM)
            if found:
                wrong[vector["id"]] = found
        return wrong

    async def _batch(self, vectors: list[Vector], patience: int) -> None:
        """Run some vectors at once, each in its context's page."""
        by_page: dict[str, list[Vector]] = defaultdict(list)
        for vector in vectors:
            by_page[vector["context"]].append(vector)

        async def run(context: str, mine: list[Vector]) -> None:
            plain = [{key: vector[key] for key in ("kind", "request")} | {"patience": patience} for vector in mine]
            results = await self.pages[context].evaluate("(vs) => Promise.all(vs.map(window.runVector))", plain)
            for vector, result in zip(mine, results, strict=True):
                vector["observed"] = result

        await asyncio.gather(*(run(context, mine) for context, mine in by_page.items()))
        await asyncio.sleep(0.05 * patience)
        for vector in vectors:
            vid = vector["id"].split("/")[1]
            vector["observed"]["requests"] = self.server.log.pop(vid, [])
            vector["observed"]["cdp"] = self.errors.pop(vid, [])


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """Start servers and Chromium with a fresh profile; end both."""
    from playwright.async_api import async_playwright

    chromium = find_chromium()
    assert chromium is not None, "no Chromium installed"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = RecordingServer(SESSION["set_cookie_lines"])
        await server.start(folder)
        profile = folder / "profile"
        (profile / "Default").mkdir(parents=True)
        preferences = {"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": False}}
        (profile / "Default" / "Preferences").write_text(json.dumps(preferences), encoding="utf-8")
        rules = [f"MAP *:{port} 127.0.0.1:{server.plain}" for port in (80, 9080)]
        rules += [f"MAP *:{port} 127.0.0.1:{server.secure}" for port in (443, 9443)]
        command = [chromium, *FLAGS, f"--host-resolver-rules={','.join([*rules, 'MAP * ~NOTFOUND'])}"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
        try:
            port = await asyncio.to_thread(_port, profile / "DevToolsActivePort")
            async with async_playwright() as playwright:
                browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
                here = Lab(server, browser)
                await here.open()
                yield here
                await browser.close()
        finally:
            process.terminate()
            await process.wait()
            await server.stop()


def _port(file: Path) -> int:
    """Wait until Chromium says where it listens."""
    for _ in range(300):
        if file.exists() and (lines := file.read_text(encoding="ascii").split()):
            return int(lines[0])
        time.sleep(0.1)
    msg = "Chromium did not start within 30 seconds"
    raise RuntimeError(msg)


def renamed(vector: Vector, suffix: str) -> Vector:
    """Return the vector, unrecorded, under an address that no cache of the browser knows."""
    plain = {key: value for key, value in vector.items() if key != "observed"}
    vid = vector["id"].split("/")[1]
    renewed: Vector = json.loads(json.dumps(plain).replace(vid, f"{vid}{suffix}"))
    return renewed


async def fresh(seed: int, count: int) -> tuple[list[Vector], dict[str, list[str]]]:
    """Draw vectors and record them; return them and what disagrees with the model."""
    vectors = draw(seed, count)
    async with lab() as here:
        return vectors, await here.disagreements(vectors)


def main() -> int:
    """Draw, record, compare, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--write", type=Path, help="keep the recorded vectors as JSON lines")
    parser.add_argument("--show", type=int, default=20, help="how many disagreements to print")
    options = parser.parse_args()
    begun = time.monotonic()
    vectors, wrong = asyncio.run(fresh(options.seed, options.count))
    if options.write:
        options.write.write_text("".join(json.dumps(vector) + "\n" for vector in vectors), encoding="utf-8")
    spec = sum(bool(differences(vector, SPEC)) for vector in vectors)
    by_id = {vector["id"]: vector for vector in vectors}
    for name, found in list(wrong.items())[: options.show]:
        shown = json.dumps({key: by_id[name][key] for key in ("id", "context", "kind", "request", "server")})
        sys.stdout.write("\n    ".join([shown, *found]) + "\n")
    sys.stdout.write(
        f"seed {options.seed}: {len(vectors)} vectors, {len(wrong)} disagree with the chromium profile,"
        f" {spec} with the spec profile, {time.monotonic() - begun:.0f} s\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
