"""The model against an installed Chromium, on random vectors that this Chromium plays now.

The default run draws the same vectors each time. `AUDITOR_SEED=N pytest tests/oracle/test_chromium_fresh.py` draws
others, and `pytest -m slow tests/oracle/test_chromium_fresh.py` many that nobody has seen before, their seed printed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from random import Random
from typing import Any

import pytest
from chromium_draw import draw
from chromium_recorder import find_chromium, lab

from auditor.browser.url import parse_url

COUNT = 300
SEED = int(os.environ.get("AUDITOR_SEED") or 20261128)
MANY = 2000


def missing() -> str:
    """Say what this test needs and does not find."""
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "Playwright for Python is not installed"
    return "" if find_chromium() else "no Chromium is installed (Debian: apt-get install chromium)"


MISSING = missing()
pytestmark = pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING or "-")

HOSTS = [
    "app.example",
    "APP.example.",
    "b\u00fccher.example",
    "127.1",
    "0x7f.1",
    "1.2.3.256",
    "a b",
    "[::1]",
    "[::ffff:1.2.3.4]",
    "a%41b",
    "x_y",
    "",
    "a..b",
]
TAILS = [
    "",
    "/",
    "/a/../b",
    "/a/./b?q=1#f",
    "\\c",
    "?x y",
    "#",
    "/%2e%2E/z",
    '/"<>`{}',
    "/\u00e9?\u00e9",
    "/a b",
    "/a'?b'",
]
RELATIVE = [
    "",
    "x",
    "/x",
    "//b.example/y",
    "\\\\b.example",
    "?q",
    "#f",
    "../..",
    "./",
    "http:x",
    "https:x",
    "http:/x",
    "http:///x",
    " y ",
    "\tz",
    "mailto:a",
    "x:y",
]
BASES = ["http://app.example/a/b/c?d#e", "https://app.example:8443/", "http://u:p@app.example/x/"]


def draw_urls(rng: Random, count: int) -> list[tuple[str, str]]:
    """Draw URL texts and bases."""
    texts = []
    for _ in range(count):
        port = rng.choice(["", "", "", ":80", ":443", ":08080", ":", ":65536", ":x"])
        user = rng.choice(["", "", "", "u@", "u:p@", ":@", "@"])
        slashes = rng.choice(["://", "://", "://", ":/", ":", ":\\\\", ":///"])
        absolute = (
            rng.choice(["http", "https", "HTTP", "ws", "wss"])
            + slashes
            + user
            + rng.choice(HOSTS)
            + port
            + rng.choice(TAILS)
        )
        texts.append((rng.choice([absolute, absolute, rng.choice(RELATIVE) + rng.choice(TAILS)]), rng.choice(BASES)))
    return texts


READ = """(pairs) => pairs.map(([text, base]) => {
  try { const u = new URL(text, base); return [u.protocol, u.hostname, u.port, u.pathname + u.search, u.hash, !!(u.username || u.password)]; }
  catch (e) { return null; }
})"""


def compare(seed: int, count: int) -> None:
    """Draw vectors and URLs, let Chromium play them, and assert that the model does the same."""
    assert not MISSING, MISSING

    async def record() -> tuple[dict[str, list[str]], list[tuple[str, str]], list[Any]]:
        urls = draw_urls(Random(seed), 500)
        async with lab() as here:
            wrong = await here.disagreements(draw(seed, count))
            return wrong, urls, await here.pages["app"].evaluate(READ, [list(pair) for pair in urls])

    wrong, urls, parsed = asyncio.run(record())
    assert not wrong, f"AUDITOR_SEED={seed}"
    misread = [
        (pair, ours, theirs)
        for pair, theirs in zip(urls, parsed, strict=True)
        if (ours := read(*pair)) != agreed(theirs)
    ]
    assert not misread, f"AUDITOR_SEED={seed}"


def test_random_exchanges() -> None:
    """Random pages, requests and servers end in Chromium as in the model; random URLs parse alike."""
    compare(SEED, COUNT)


@pytest.mark.slow
def test_fresh_exchanges(capsys: pytest.CaptureFixture[str]) -> None:
    """The same on thousands of vectors that nobody has seen before."""
    seed = int(os.environ.get("AUDITOR_SEED") or int.from_bytes(os.urandom(4)))
    with capsys.disabled():
        sys.stdout.write(f"AUDITOR_SEED={seed}\n")
    compare(seed, MANY)


def read(text: str, base: str) -> list[Any] | None:
    """Parse with the model, in the parts that a browser's URL object shows."""
    url = parse_url(text, parse_url(base), spaces=True)
    if url is None:
        return None
    if not url.special:
        return [f"{url.scheme}:"]
    fragment = f"#{url.fragment}" if url.fragment else ""
    query_less = url.target.removesuffix("?")
    return [f"{url.scheme}:", url.host, "" if url.port is None else str(url.port), query_less, fragment, url.userinfo]


def agreed(theirs: list[Any] | None) -> list[Any] | None:
    """Keep of Chromium's answer what the model reads: of other schemes the scheme."""
    if theirs is None or theirs[0] in {"http:", "https:", "ws:", "wss:"}:
        return theirs
    return theirs[:1]
