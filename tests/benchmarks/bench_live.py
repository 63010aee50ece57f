"""How fast the live client asks: `python tests/benchmarks/bench_live.py` compares it with a bare httpx loop.

Both ask a real nginx on loopback for the same URL with as many requests under way, in turns; the ratio of the medians
is printed, of requests per second and of this process's own CPU time. The aim is 0.8 of the bare loop's speed.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from auditor.exchange import Headers, Request
from auditor.live.client import Client
from tests.live_field.real_nginx import free_ports, running_nginx
from tests.live_field.serving import target

ROUNDS = 5
REQUESTS = 200


def auditor_loop(port: int, scheme: str, version: str, concurrency: int) -> Callable[[], None]:
    """Return what sends every request through the live client."""
    owned = target(
        port, scheme=scheme, requests_per_second=10000.0, concurrency=concurrency, max_requests=1000000, timeout="30s"
    )
    request = Request("GET", "/", Headers.of([("Host", "shop.example")]), scheme=scheme, version=version)
    client = Client(owned, insecure=True)

    def run() -> None:
        answers = client.send([("web", request)] * REQUESTS)
        assert all(answer is not None and answer.response and answer.response.status == 200 for answer in answers)

    return run


def httpx_loop(port: int, scheme: str, version: str, concurrency: int) -> Callable[[], None]:
    """Return what sends every request through httpx and nothing else."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)

    async def everything() -> None:
        order = iter(range(REQUESTS))
        async with httpx.AsyncClient(verify=context, http2=version == "2", limits=limits, timeout=30) as client:

            async def worker() -> None:
                for _ in order:
                    answer = await client.get(f"{scheme}://127.0.0.1:{port}/", headers={"Host": "shop.example"})
                    assert answer.status_code == 200

            await asyncio.gather(*[worker() for _ in range(concurrency)])

    return lambda: asyncio.run(everything())


def compared(one: Callable[[], None], other: Callable[[], None]) -> tuple[float, float]:
    """Run both in turns; return how many times faster the first is, by the clock and by CPU time."""
    clock: tuple[list[float], list[float]] = ([], [])
    busy: tuple[list[float], list[float]] = ([], [])
    one(), other()
    for _ in range(ROUNDS):
        for index, job in enumerate((one, other)):
            began, cpu = time.perf_counter(), time.process_time()
            job()
            clock[index].append(time.perf_counter() - began)
            busy[index].append(time.process_time() - cpu)
    return (
        statistics.median(clock[1]) / statistics.median(clock[0]),
        statistics.median(busy[1]) / statistics.median(busy[0]),
    )


def main() -> None:
    """Print the ratio for each version of HTTP and each number of requests under way."""
    import trustme

    plain, secret = free_ports(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = trustme.CA().issue_cert("shop.example")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "pem")
        text = (
            f"server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{secret} ssl http2; keepalive_requests 1000000;"
            f" ssl_certificate {folder}/pem; ssl_certificate_key {folder}/pem; location / {{ return 200 ok; }} }}"
        )
        with running_nginx(text, folder, plain, secret):
            for scheme, version, port in (("http", "1.1", plain), ("https", "1.1", secret), ("https", "2", secret)):
                for concurrency in (1, 4, 16):
                    ours = auditor_loop(port, scheme, version, concurrency)
                    bare = httpx_loop(port, scheme, version, concurrency)
                    clock, busy = compared(ours, bare)
                    ratios = f"{clock:5.2f} by the clock, {busy:5.2f} by CPU time"
                    sys.stdout.write(f"{scheme:5} HTTP/{version:3} x{concurrency:<3} {ratios}\n")


if __name__ == "__main__":
    main()
