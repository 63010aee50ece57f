"""Compares the time of `load_tree` with that of crossplane's own parser: `python tests/benchmarks/bench_nginx_load.py`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import crossplane
from generate import big_configuration

from auditor.nginx.syntax import load_tree


def best(work: Callable[[], object], times: int = 5) -> float:
    """Return the shortest of several runs, in seconds of this process's CPU time."""
    shortest = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        shortest = min(shortest, time.process_time() - start)
    return shortest


def main() -> None:
    """Print both times and their ratio for the configuration of 2,000 locations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nginx.conf")
        path.write_text(big_configuration())
        tree = load_tree([path])
        if tree.problems:
            raise SystemExit(f"the configuration has problems: {tree.problems[:3]}")
        ours = best(lambda: load_tree([path]))
        theirs = best(lambda: crossplane.parse(str(path)))
        lines = path.read_text().count("\n")
    sys.stdout.write(
        f"{lines} lines: load_tree {ours * 1000:.0f} ms, crossplane.parse {theirs * 1000:.0f} ms, ratio {ours / theirs:.2f}\n"
    )


if __name__ == "__main__":
    main()
