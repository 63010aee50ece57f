"""A million results in a SQLite history: what recording, drift and the dashboard's pages cost.

    python tests/benchmarks/history.py [FILE]

Ten thousand targets with a run of 100 results each, and two hundred of them with a second one that changed something. FILE
is made if it is not there, and kept. Prints one line for each promise, and exits 1 where one is broken:
recording under 10 % of an audit of the reference stack, a drift query under 300 ms, a page under 200 ms, in processor time
(the audit's own is what it is held against, which is less than the time that it takes).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from recorded import START, fail, made, passed

from auditor.history import queries
from auditor.history.queries import Asked
from auditor.history.store import History
from auditor.watch.dashboard import application

TARGETS = 10_000
RESULTS = 100


def fill(history: History) -> None:
    """Keep a run of every target, and record a second one, with a change, of every fiftieth."""
    checks = [
        passed(f"check-{index}", rule=f"api.rule-{index}", message=f"{index} evaluated") for index in range(RESULTS)
    ]
    good = made(*checks, at=START)
    bad = made(*checks[2:], fail("a"), fail("b"), at=START + 900)
    half = made(*checks[1:], fail("a"), at=START + 900)
    history.record(good, target="target-00000")
    _copies(history)
    for index in range(0, TARGETS, 50):
        history.record(bad if index % 100 else half, target=f"target-{index:05}")


def _copies(history: History) -> None:
    """Give every other target a run like the first one's: in one go, for ten thousand recordings take their time."""
    connection = history.database.engine.raw_connection()
    cursor = connection.cursor()
    columns = [line[1] for line in cursor.execute("PRAGMA table_info(run)")]
    listed = ", ".join(f'"{name}"' for name in columns)
    same = ", ".join({"id": "n", "target_id": "n"}.get(name, f'"{name}"') for name in columns)
    numbers = f"WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < {TARGETS})"
    cursor.execute("BEGIN")
    cursor.execute(
        f"{numbers} INSERT INTO target (id, name, latest, latest_reached, failures) "
        "SELECT n, printf('target-%05d', n - 1), n, n, 0 FROM s"
    )
    cursor.execute(f"{numbers} INSERT INTO run ({listed}) SELECT {same} FROM s, run WHERE run.id = 1")
    cursor.execute(
        f"{numbers} INSERT INTO result SELECT n, ordinal, fingerprint_id, verdict, severity, disposition, evidence, "
        "document_id FROM s, result WHERE run_id = 1"
    )
    cursor.execute("COMMIT")
    connection.close()


def best(job: Callable[[], Any], times: int = 7) -> float:
    """Return the least seconds of processor time that a job takes: other work on the machine does not count."""
    found = []
    for _ in range(times):
        start = time.process_time()
        job()
        found.append(time.process_time() - start)
    return min(found)


async def pages(history: History) -> dict[str, float]:
    """Return the least seconds of processor time that each page takes, through the application itself."""
    transport = httpx.ASGITransport(application(history.database))
    found: dict[str, float] = {}
    number = queries.latest(history.database, "target-00050")
    paths = (
        "/",
        "/?page=100",
        "/?verdict=fail",
        "/?search=0050",
        "/?order=age",
        "/changes",
        "/changes?page=3&kind=new",
    )
    paths += ("/runs", "/runs?page=150", "/target?name=target-00050", f"/runs/{number}", f"/diff?new={number}")
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for path in paths:
            found[path] = await _best(lambda path=path: client.get(path))
    return found


async def _best(ask: Callable[[], Awaitable[httpx.Response]]) -> float:
    times = []
    for _ in range(7):
        start = time.process_time()
        answer = await ask()
        times.append(time.process_time() - start)
        assert answer.status_code == 200, answer.text
    return min(times)


def audit_of_the_reference_stack() -> tuple[float, dict[str, Any]]:
    """Return the processor time of a whole audit of the running reference stack, and its report."""
    from auditor.demo import running
    from auditor.fleet.entries import Entry
    from auditor.recording import audited

    with tempfile.TemporaryDirectory() as folder, running("hardened", Path(folder) / "demo") as stack:
        entry = Entry("demo", str(stack.policy), command="audit", ca_file=str(stack.ca_file))
        start = time.process_time()
        report = audited(entry)
        return time.process_time() - start, report


def main(arguments: list[str]) -> int:
    """Measure, print, and say whether the promises hold."""
    file = Path(arguments[0] if arguments else tempfile.mkdtemp() + "/history.sqlite")
    there = file.exists()
    history = History.open(str(file))
    if not there:
        fill(history)
    with history.database.begin() as connection:
        total = connection.exec_driver_sql("SELECT count(*) FROM result").scalar()
    print(f"{total:,} results, {file.stat().st_size / 1e6:.0f} MB")
    broken = 0

    def said(what: str, measured: float, limit: float, unit: str, factor: float) -> None:
        nonlocal broken
        broken += measured > limit
        verdict = "ok" if measured <= limit else "BROKEN"
        print(f"{verdict:6} {what:44} {measured * factor:8.1f} {unit} (limit {limit * factor:.0f})")

    seconds, report = audit_of_the_reference_stack()
    recording = best(lambda: history.record(report, target="reference stack"), 9)
    print(
        f"       an audit of the reference stack takes {seconds:.1f} s of the processor, {len(report['results'])} results"
    )
    said("recording it, of the audit", recording / seconds, 0.10, "%", 100)
    number = queries.latest(history.database, "target-00050")
    said("drift of one target", best(lambda: queries.difference(history.database, None, number)), 0.3, "ms", 1000)
    said("drift of every target, the latest", best(lambda: queries.changes(history.database, Asked())), 0.3, "ms", 1000)
    for path, cost in asyncio.run(pages(history)).items():
        said(f"page {path}", cost, 0.2, "ms", 1000)
    history.close()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
