"""Which cookies an installed Chromium keeps of random Set-Cookie lines, and which the model keeps.

The default run draws the same lines each time; `AUDITOR_SEED=N` draws others, and so does
`pytest -m slow tests/oracle/test_chromium_cookies.py`, its seed printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chromium_recorder import lab
from test_chromium_fresh import MISSING

from auditor.browser.cookies import CookieJar
from auditor.browser.url import parse_url

COUNT = 120
SEED = int(os.environ.get("AUDITOR_SEED") or 20261128)
MANY = 2000
CASES = Path(__file__).with_name("cookie_cases.jsonl")
"""Every visit about which the model was once wrong, with the cookies that Chromium kept."""
pytestmark = pytest.mark.skipif(bool(MISSING) and not os.environ.get("CI"), reason=MISSING or "-")

PLACES = ["https://set.example", "https://set.example", "http://set.example", "https://a.set.example"]
NAMES = [
    "a",
    "a",
    "a",
    "__Host-a",
    "__host-a",
    "__Secure-a",
    "__SECURE-a",
    "__Http-a",
    "__Host-Http-a",
    " b ",
    "c d",
    "",
]
VALUES = ["1", "1", "", ' "q" ', "x=y", " v\t"]
DATES = [
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Thu, 01-Jan-1970 00:00:01 GMT",
    "Fri, 01 Jan 2100 00:00:00 GMT",
    "never",
    "0",
]
DATES += ["01 Jan 1970 00:00:00", "Thu Jan  1 00:00:00 1970", "Thu, 1 Jan 70 00:00:00 GMT", "1970-01-01T00:00:00Z", ""]
ATTRIBUTES = {
    "Secure": ["", "", "", "", "=false"],
    "HttpOnly": ["", "", "=0"],
    "SameSite": ["=Strict", "=Lax", "=None", "=None", "=none", "=LAX", "=Bogus", "", "="],
    "Path": ["=/", "=/", "=/v", "=x", "=", "=/v/", "=/other"],
    "Domain": [
        "=set.example",
        "=.set.example",
        "=SET.example",
        "=a.set.example",
        "=example",
        "=other.example",
        "=",
        "",
    ],
    "Partitioned": [""],
    "Max-Age": ["=0", "=-1", "=60", "=abc", "=+5", "= 60 ", "=", "=1.5"],
    "Expires": [f"={date}" for date in DATES],
    "Priority": ["=High"],
}
"""Attributes and what is written behind each."""


def draw_line(rng: Random) -> str:
    """Draw one Set-Cookie line."""
    parts = [rng.choice(NAMES) + rng.choice(["=", "=", "=", "=", ""]) + rng.choice(VALUES)]
    names = rng.choices(list(ATTRIBUTES), [5, 3, 5, 3, 2, 1, 2, 2, 1], k=rng.choice([0, 1, 2, 3, 3, 4, 5]))
    for name in names:
        spelt = rng.choice([name, name, name.lower(), name.upper(), f" {name} "])
        parts.append(spelt + rng.choice(ATTRIBUTES[name]))
    return rng.choice(["; ", "; ", ";", " ;"]).join(parts)


def draw_visits(seed: int, count: int) -> list[dict[str, Any]]:
    """Draw top-level visits, each with the lines of its answer."""
    rng = Random(seed)
    return [
        {
            "url": rng.choice(PLACES) + rng.choice([f"/v/c{seed}-{n}/0", f"/c{seed}-{n}"]),
            "lines": [draw_line(rng) for _ in range(rng.choice([1, 1, 2]))],
        }
        for n in range(count)
    ]


async def record(visits: list[dict[str, Any]]) -> None:
    """Let Chromium make the visits, one after the other, and write down which cookies it has after each."""
    async with lab() as here:
        page = await here.context.new_page()
        session = await here.context.new_cdp_session(page)
        for visit in visits:
            await session.send("Network.clearBrowserCookies")
            headers = [["Content-Type", "text/html"], ["Cache-Control", "no-store"]]
            headers += [["Set-Cookie", line] for line in visit["lines"]]
            vid = visit["url"].removesuffix("/0").rsplit("/", 1)[1]
            here.server.vectors[vid] = {"server": {"0": {"actual": {"status": 200, "headers": headers, "body": "ok"}}}}
            await page.goto(visit["url"])
            found = (await session.send("Network.getAllCookies"))["cookies"]
            visit["kept"] = sorted(map(shown, found))
        await session.send("Network.clearBrowserCookies")


def shown(cookie: dict[str, Any]) -> list[Any]:
    """Reduce a cookie of Chromium's to what the model knows of it."""
    partition = (cookie.get("partitionKey") or {}).get("topLevelSite", "")
    host_only = not cookie["domain"].startswith(".")
    return [
        cookie["name"],
        cookie["value"],
        cookie["domain"].removeprefix("."),
        host_only,
        cookie["path"],
        cookie["secure"],
        cookie["httpOnly"],
        cookie.get("sameSite", "default"),
        partition,
    ]


def modelled(visit: dict[str, Any]) -> list[Any]:
    """Say which cookies the model has after the visit."""
    url = parse_url(visit["url"])
    assert url is not None
    jar = CookieJar()
    jar.visit(url, visit["lines"])
    return sorted(
        [c.name, c.value, c.domain, c.host_only, c.path, c.secure, c.http_only, c.same_site, c.partition]
        for c in jar.cookies
    )


def compare(seed: int, count: int) -> None:
    """Draw visits, let Chromium make them, and assert that the model keeps the same cookies."""
    assert not MISSING, MISSING
    visits = draw_visits(seed, count)
    asyncio.run(record(visits))
    assert sum(bool(visit["kept"]) for visit in visits) > count / 5
    assert not [visit | {"model": ours} for visit in visits if (ours := modelled(visit)) != visit["kept"]]


def test_cases_once_wrong() -> None:
    """The model keeps what Chromium kept where it once did not."""
    visits = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    assert visits
    assert not [visit | {"model": ours} for visit in visits if (ours := modelled(visit)) != visit["kept"]]


def test_random_lines() -> None:
    """Of random Set-Cookie lines Chromium keeps the same cookies, with the same attributes, as the model."""
    compare(SEED, COUNT)


@pytest.mark.slow
def test_fresh_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The same on thousands of lines that nobody has seen before."""
    seed = int(os.environ.get("AUDITOR_SEED") or int.from_bytes(os.urandom(4)))
    with capsys.disabled():
        sys.stdout.write(f"AUDITOR_SEED={seed}\n")
    compare(seed, MANY)
