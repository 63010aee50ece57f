"""The long run: `python tests/oracle/run_nginx_agreement.py --pairs 200000 [--nginx 1.22] [--jobs 2] [--shrink 20]`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from nginx_agreement import Disagreement, Tally, run, shrink  # noqa: E402 - after sys.path
from nginx_binary import nginx_binaries, nginx_version  # noqa: E402 - after sys.path
from nginx_cases import render  # noqa: E402 - after sys.path
from nginx_live import Sandbox  # noqa: E402 - after sys.path


def work(job: tuple[str, tuple[int, ...], int, int, int, int]) -> Tally:
    """Run one share of the seeds in a process of its own."""
    binary, version, first, last, requests, step = job
    with Sandbox(binary) as sandbox:
        return run(sandbox, range(first, last, step), version, requests)


def say(text: str) -> None:
    """Print."""
    sys.stdout.write(text + "\n")


def main() -> int:
    """Parse, run, print; exit status 1 where anything disagreed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--nginx", default="1.31")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--requests", type=int, default=40, help="requests a configuration")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--shrink", type=int, default=10, help="how many kinds of disagreement to shrink")
    options = parser.parse_args()
    chosen = [binary for binary in nginx_binaries() if nginx_version(binary).startswith(options.nginx)]
    if not chosen:
        parser.error(f"no nginx {options.nginx} here")
    path = str(chosen[0])
    version = tuple(int(part) for part in nginx_version(chosen[0]).split("."))
    last = options.first + -(-options.pairs // options.requests)
    jobs = [(path, version, options.first + n, last, options.requests, options.jobs) for n in range(options.jobs)]
    tally = Tally()
    if options.jobs == 1:
        results = [work(jobs[0])]
    else:
        with multiprocessing.Pool(options.jobs) as pool:
            results = pool.map(work, jobs)
    for result in results:
        tally.add(result)
    tally.seconds = max(result.seconds for result in results)
    say(tally.table())
    kinds: dict[str, list[Disagreement]] = {}
    for found in tally.disagreements:
        kinds.setdefault(found.kind, []).append(found)
    with Sandbox(path) as sandbox:
        for kind, group in sorted(kinds.items(), key=lambda item: -len(item[1]))[: options.shrink]:
            small = shrink(
                sandbox, min(group, key=lambda one: sum(1 for _ in one.http.walk())), ".".join(map(str, version))
            )
            say(f"\n=== {len(group)} x {kind} (seed {small.seed})")
            say(render(small.http.block or ()) + f"{small.request}")
            say("\n".join(map(str, small.comparison.differences)))
            say(str(small.observed))
    return 1 if tally.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
