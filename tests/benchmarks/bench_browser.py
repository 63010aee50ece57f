"""How many decisions the browser makes in a second on one core.

python tests/benchmarks/bench_browser.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from auditor.browser.cors import cors_check, preflight_check
from auditor.browser.fetching import fetch
from auditor.browser.page import FetchRequest
from auditor.browser.url import Origin
from auditor.browser.websocket import websocket
from auditor.exchange import Headers, Response

PAGE = Origin("https", "app.example")
SHARED = Response(
    200,
    Headers.of(
        [
            ("Server", "nginx"),
            ("Date", "Tue, 24 Nov 2026 00:00:00 GMT"),
            ("Content-Type", "application/json"),
            ("Access-Control-Allow-Origin", "https://app.example"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", "GET, PUT, DELETE"),
            ("Access-Control-Allow-Headers", "content-type, x-csrf-token"),
            ("Vary", "Origin"),
        ]
    ),
)


def rate(what: Callable[[int], object], seconds: float = 1.0) -> float:
    """Count how often something can be done in a second of processor time."""
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        for _ in range(200):
            what(count)
            count += 1
    return count / spent


def main() -> dict[str, float]:
    """Measure and print."""
    simple = FetchRequest("https://api.example/me", credentials="include")
    put = FetchRequest("https://api.example/me", method="PUT", headers=(("X-CSRF-Token", "1"),), credentials="include")
    answer = {
        "simple CORS exchange": lambda _: fetch(PAGE, simple, lambda _: SHARED),
        "preflighted exchange": lambda _: fetch(PAGE, put, lambda _: SHARED),
        "simple, a new URL each": lambda n: fetch(PAGE, FetchRequest(f"https://api.example/{n}"), lambda _: SHARED),
        "cors_check": lambda _: cors_check("https://app.example", credentials=True, response=SHARED),
        "preflight_check": lambda _: preflight_check("PUT", ("x-csrf-token",), credentials=True, response=SHARED),
        "websocket": lambda _: websocket(PAGE, "wss://api.example/ws", lambda _: SHARED),
    }
    rates = {name: rate(what) for name, what in answer.items()}
    for name, value in rates.items():
        sys.stdout.write(f"{name:24} {value:10,.0f} / s\n")
    return rates


if __name__ == "__main__":
    main()
