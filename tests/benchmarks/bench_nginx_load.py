"""What the nginx evaluator costs: `python tests/benchmarks/bench_nginx_load.py` prints loading, answering and memory.

Loading is compared with crossplane's own parse of the same file, in turns and in this process's CPU time.
"""

from __future__ import annotations

import gc
import itertools
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import crossplane
from generate import big_configuration

from auditor.exchange import Action, Headers, Outcome, Request, Response
from auditor.nginx import Configuration, load

REFERENCE = Path(__file__).parents[2] / "auditor" / "demo" / "stack"
ROUNDS = 15
PATHS = (
    "/",
    "/api/generate",
    "/api/health",
    "/health",
    "/assets/app.js",
    "/static/x.css",
    "/ws",
    "/.env",
    "/images/1.png",
)
METHODS = ("GET", "GET", "POST", "OPTIONS", "HEAD")
ORIGINS = ("https://qwen.example.com", "https://evil.example", "null", "")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def spent(work: Callable[[], object]) -> float:
    """Return the CPU time of one run, in seconds, with the garbage collector out of the way."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()


def compare_loading(name: str, path: Path) -> None:
    """Print how long loading takes beside crossplane's parse: the best of several turns each."""
    ours, theirs = [], []
    repeat = 1 if path.stat().st_size > 100_000 else 20
    for _ in range(ROUNDS):
        ours.append(spent(lambda: [load([path], prefix=path.parent) for _ in range(repeat)]) / repeat)
        theirs.append(spent(lambda: [crossplane.parse(str(path)) for _ in range(repeat)]) / repeat)
    lines = path.read_text(encoding="utf-8").count("\n")
    say(
        f"{name}, {lines} lines: load {min(ours) * 1000:.1f} ms, crossplane.parse {min(theirs) * 1000:.1f} ms, "
        f"ratio {min(ours) / min(theirs):.2f} (at most 1.50)"
    )


def reference(state: str) -> Configuration:
    """Load a state of the reference configuration with the files that its container mounts."""
    folder = REFERENCE / state
    mounts = {f"/etc/nginx/{path.name}": str(path) for path in folder.glob("nginx-*.conf")}
    configuration = load([folder / "nginx.prod.conf"], prefix=folder, mounts=mounts)
    if configuration.problems:
        raise SystemExit(f"the reference configuration has problems: {configuration.problems[:3]}")
    return configuration


def requests_to(host: str) -> list[Request]:
    """Write requests of every kind, none equal to another."""
    result = []
    for number, (path, method, origin) in enumerate(itertools.product(PATHS, METHODS, ORIGINS)):
        headers = [("Host", host), ("User-Agent", "bench"), ("Accept", "*/*"), ("Cookie", f"session={number}")]
        if origin:
            headers.append(("Origin", origin))
        if method == "OPTIONS":
            headers.append(("Access-Control-Request-Method", "PUT"))
        result.append(Request(method, f"{path}?n={number}", Headers.of(headers), client=f"10.0.{number % 256}.1"))
    return result


def upstream(_: Request) -> tuple[Outcome, ...]:
    """Answer as an application does that is there."""
    return (
        Outcome(
            "always", Response(200, Headers.of([("Content-Type", "application/json")]), "{}"), Action("application")
        ),
    )


def rate(configuration: Configuration, requests: list[Request], *, secure: bool) -> tuple[float, float]:
    """Return how many requests a second are evaluated, and how many outcomes a request has."""
    asked = [Request(r.method, r.target, r.headers, "https" if secure else "http", client=r.client) for r in requests]
    outcomes = sum(len(configuration.answer(request, upstream)) for request in asked)
    best = min(spent(lambda: [configuration.answer(request, upstream) for request in asked]) for _ in range(ROUNDS))
    return len(asked) / best, outcomes / len(asked)


def memory(servers: int) -> tuple[int, int]:
    """Return the locations of a generated configuration, and the bytes that it keeps in memory once loaded and asked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nginx.conf")
        path.write_text(big_configuration(servers), encoding="utf-8")
        gc.collect()
        tracemalloc.start()
        configuration = load([path])
        configuration.answer(Request(target="/", headers=Headers.of([("Host", "tenant1.example.com")])))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    if configuration.problems:
        raise SystemExit(f"the configuration has problems: {configuration.problems[:3]}")
    return 20 * servers, kept


def main() -> None:
    """Print everything."""
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder, "nginx.conf")
        big.write_text(big_configuration(), encoding="utf-8")
        compare_loading("2,000 generated locations", big)
        compare_loading("the reference configuration", REFERENCE / "hardened" / "nginx.prod.conf")
        large = load([big])
    for state in ("as-documented", "hardened"):
        configuration = reference(state)
        secure = any(listen.ssl for listen in configuration.listens)
        host = next(
            (name for listen in configuration.listens for name in listen.names if name not in {"", "_"}), "localhost"
        )
        speed, outcomes = rate(configuration, requests_to(host), secure=secure)
        say(
            f"{state} reference configuration: {speed:,.0f} requests a second on one core, {outcomes:.1f} outcomes each (at least 10,000)"
        )
    speed, outcomes = rate(large, requests_to("tenant7.example.com"), secure=False)
    say(f"2,000 generated locations: {speed:,.0f} requests a second on one core, {outcomes:.1f} outcomes each")
    sizes = [memory(servers) for servers in (50, 100, 200, 400)]
    for locations, kept in sizes:
        say(f"memory, {locations} locations: {kept / 1e6:.1f} MB, {kept / locations / 1000:.2f} kB each")


if __name__ == "__main__":
    main()
