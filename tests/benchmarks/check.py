"""How long `auditor check` takes as a whole process, and how that grows: `python tests/benchmarks/check.py [RUNS]`.

The first figure is that of the imports alone: a process that starts as a check does and loads every module which the check
after it loads, no more.

Targets: imports under 0.2 s; under 0.5 s on 30 locations with a full CORS policy; under 5 s of CPU on 100 servers with 20 locations each;
from 25 to 200 servers no more than n log n. CPU seconds of the process are printed, the least of some runs, and beside
them how fast the machine is at the moment: a loop of a million steps takes 12 ms on the machine of the targets.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import cors_configuration

SIZES = ((1, 30), (25, 20), (50, 20), (100, 20), (200, 20))
LOOP = 0.012
"""Seconds that a loop of a million steps takes when the machine has nothing else to do."""


def speed() -> float:
    """Return how many times slower than when idle this machine is now."""
    start = time.process_time()
    for _ in range(1_000_000):
        pass
    return (time.process_time() - start) / LOOP


MODULES = """
import sys
from auditor.__main__ import main
try:
    main()
except SystemExit:
    print("MODULES", *(name for name, module in sys.modules.items() if getattr(module, "__spec__", None)))
"""
"""A check that says which modules it has loaded."""
IMPORTS = """
import contextlib, importlib
from auditor.__main__ import prepare
prepare(["check"])
for name in {names!r}:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
"""
"""A process that makes itself ready as a check does and loads these modules; some that are made while it runs cannot be loaded by name."""


def imports(servers: int, locations: int, runs: int) -> tuple[float, float, int]:
    """Return the CPU seconds of the imports of a check as measured and as on an idle machine, and how many they are."""
    with project(servers, locations) as folder:
        done = _run([sys.executable, "-c", MODULES, "check"], folder)
        names = next(line for line in done.stdout.splitlines() if line.startswith("MODULES ")).split()[1:]
        used, idle, _ = _least([sys.executable, "-c", IMPORTS.format(names=names)], folder, runs)
    return used, idle, len(names)


def measure(servers: int, locations: int, runs: int) -> tuple[float, float, str]:
    """Return the CPU seconds of a check as measured and as on an idle machine, and its last line."""
    with project(servers, locations) as folder:
        used, idle, said = _least([sys.executable, "-m", "auditor", "check"], folder, runs)
    return used, idle, said.splitlines()[-1]


@contextmanager
def project(servers: int, locations: int) -> Iterator[str]:
    """Make a folder with a configuration of this size and its policy."""
    configuration, policy = cors_configuration(servers, locations)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nginx.conf").write_text(configuration)
        Path(folder, "auditor.yaml").write_text(policy)
        yield folder


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _least(command: list[str], folder: str, runs: int) -> tuple[float, float, str]:
    """Return the least CPU seconds of some runs, the same as on an idle machine, and what the last said on stderr."""
    best, idle = math.inf, math.inf
    done = _run(command, folder)  # to compile everything
    for _ in range(runs):
        before, slow = resource.getrusage(resource.RUSAGE_CHILDREN), speed()
        done = _run(command, folder)
        after, slow = resource.getrusage(resource.RUSAGE_CHILDREN), (slow + speed()) / 2
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        best, idle = min(best, used), min(idle, used / slow)
    return best, idle, done.stderr


def main() -> None:
    """Print the figures, and the growth from each size to the next beside that of n log n."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    used, idle, number = imports(*SIZES[0], runs)
    sys.stdout.write(f"imports ({number} modules): {used:6.2f} s CPU, {idle:5.2f} s when idle\n")
    earlier: tuple[int, float] | None = None
    for servers, locations in SIZES:
        used, idle, said = measure(servers, locations, runs)
        growth = ""
        if earlier is not None and servers > 25:
            n, m = earlier[0], servers * locations
            growth = f"x{idle / earlier[1]:.2f} (n log n: x{m * math.log(m) / (n * math.log(n)):.2f})"
        earlier = (servers * locations, idle)
        sys.stdout.write(
            f"{servers:4} x {locations} locations: {used:6.2f} s CPU, {idle:5.2f} s when idle  {growth:30} {said}\n"
        )


if __name__ == "__main__":
    main()
