"""The history keeps runs whole, unchanged, once, and for as long as they matter; on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from recorded import START, fail, made, passed, unreachable

from auditor.errors import HistoryError, UsageError
from auditor.finding import Severity, Verdict
from auditor.history import queries, schema
from auditor.history.keeping import DAY, Retention, damaged, prune
from auditor.history.queries import Asked
from auditor.history.store import History


@pytest.fixture
def history(history_url: str) -> Iterator[History]:
    """Give an empty history."""
    opened = History.open(history_url)
    yield opened
    opened.close()


def test_the_migrations_make_the_tables_that_the_code_uses(history: History) -> None:
    """Alembic finds no difference between a migrated database and the metadata."""
    with history.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, schema.metadata) == []


def test_a_report_comes_back_as_it_was_recorded(history: History) -> None:
    """Results, passes included, checks, coverage and the run's own data survive byte for byte."""
    report = made(fail(), passed("header-missing"), unreachable())
    number = history.record(report, target="shop").run
    assert queries.report(history.database, number) == report


@pytest.mark.parametrize("table", ["run", "result", "change", "document", "fingerprint"])
def test_the_database_refuses_to_change_what_was_recorded(history: History, table: str) -> None:
    """An UPDATE of a recorded row fails, whoever sends it."""
    history.record(made(passed()), target="shop")
    history.record(made(fail()), target="shop")
    column = {"run": "verdict", "result": "verdict", "change": "kind", "document": "sha256", "fingerprint": "rule"}[
        table
    ]
    with pytest.raises(HistoryError, match=f"a recorded {table} is never changed"), history.database.write() as writing:
        writing.execute(sa.text(f'UPDATE "{table}" SET "{column}" = "{column}"'))


def test_evidence_is_kept_once(history: History) -> None:
    """Runs that saw the same share their documents, though the Date header of their answers differs."""
    with history.database.begin() as reading:
        assert reading.execute(sa.select(sa.func.count()).select_from(schema.document)).scalar() == 0
    history.record(made(fail(date="Mon, 23 Nov 2026 10:00:00 GMT"), passed("header-missing")), target="shop")
    history.record(made(fail(date="Mon, 23 Nov 2026 11:00:00 GMT"), passed("header-missing")), target="shop")
    with history.database.begin() as reading:
        count = reading.execute(sa.select(sa.func.count()).select_from(schema.document)).scalar()
    assert count == 4  # two results, the head of both runs, the catalogue of checks


def test_a_scheduled_moment_is_recorded_once(history: History) -> None:
    """Recording for a slot that has its run adds nothing and says which run that is."""
    first = history.record(made(passed()), target="shop", slot="shop@1790000000")
    second = history.record(made(fail()), target="shop", slot="shop@1790000000")
    assert second.again
    assert second.run == first.run
    assert queries.runs(history.database, Asked()).total == 1


def test_a_target_counts_once_in_a_fleet_run(history: History) -> None:
    """Recording a target again under the same fleet run adds nothing; under another it does."""
    first = history.record(made(passed()), target="shop", fleet="f1")
    assert history.record(made(passed()), target="shop", fleet="f1").run == first.run
    assert history.record(made(passed()), target="shop", fleet="f2").run != first.run


def test_runs_are_compared_with_the_last_that_got_answers(history: History) -> None:
    """A run that reached nothing fixes nothing, and the next one is compared with the one before the silence."""
    before = history.record(made(fail()), target="shop")
    silent = history.record(made(unreachable()), target="shop")
    after = history.record(made(fail()), target="shop")
    assert not silent.header.reached
    assert silent.drift.of("fixed") == ()
    assert after.compared_with == before.run
    assert [change.kind for change in after.drift.changes] == ["open"]


def test_old_runs_go_and_those_that_tell_something_stay(history: History) -> None:
    """Retention keeps young runs, runs with changes, one run a day, the last one, and no document that nobody needs."""
    now = START + 100 * DAY
    reports = {
        "first of its day": made(passed(message="first of its day"), at=START),
        "dull": made(passed(message="dull"), at=START + 60),
        "change": made(fail(), passed("header-missing"), at=START + 120),
        "dull again": made(fail(), passed("header-missing", message="dull again"), at=START + 180),
        "young": made(fail(), passed("header-missing"), at=now - DAY),
        "younger": made(fail(), passed("header-missing"), at=now - DAY + 60),
    }
    numbers = {name: history.record(report, target="shop").run for name, report in reports.items()}
    pruned = prune(history.database, Retention(every=14, telling=400), now)
    kept = {row["id"] for row in queries.runs(history.database, Asked()).rows}
    assert kept == {numbers[name] for name in ("first of its day", "change", "young", "younger")}
    assert (pruned.runs, pruned.documents) == (2, 4)  # of each: its run's head and its one result
    assert damaged(history.database) == []
    prune(history.database, Retention(every=14, telling=50), now)
    assert {row["id"] for row in queries.runs(history.database, Asked()).rows} == {numbers["young"], numbers["younger"]}


def test_the_last_run_of_a_target_stays(history: History) -> None:
    """However old, the last run that got answers is there to be compared with."""
    number = history.record(made(fail()), target="shop").run
    prune(history.database, Retention(1, 1), START + 1000 * DAY)
    assert queries.latest(history.database) == number


def test_damage_is_found(history: History) -> None:
    """A run that lost a result is named."""
    number = history.record(made(fail(), passed("header-missing")), target="shop").run
    with history.database.write() as writing:
        writing.execute(sa.delete(schema.result).where(schema.result.c.ordinal == 1))
    assert damaged(history.database) == [f"run {number} has 1 of 2 results, or other ones than were recorded"]


def test_lists_filter_sort_and_page(history: History) -> None:
    """Targets come worst first; verdict, severity, part of the name, and the page choose among them."""
    history.record(made(passed()), target="good.example")
    history.record(made(fail()), target="bad.example")
    history.record(made(fail(severity=Severity.LOW)), target="poor.example")
    history.record(made(unreachable()), target="gone.example")
    database = history.database

    def names(asked: Asked) -> list[str]:
        return [row["name"] for row in queries.targets(database, asked).rows]

    assert names(Asked()) == ["gone.example", "bad.example", "poor.example", "good.example"]
    assert names(Asked(order="name")) == ["bad.example", "gone.example", "good.example", "poor.example"]
    assert names(Asked(verdict="unreachable")) == ["gone.example"]
    assert names(Asked(severity="low")) == ["poor.example"]
    assert names(Asked(search="OO")) == ["poor.example", "good.example"]
    assert names(Asked(search="%")) == []
    assert names(Asked(size=2, number=2)) == ["poor.example", "good.example"]
    assert names(Asked(size=3, number=99)) == ["good.example"]
    assert queries.verdicts(database) == {"pass": 2, "fail": 1, "unreachable": 1}  # low is below the gate


def test_results_filter(history: History) -> None:
    """A run's results are chosen by verdict, disposition, severity and name."""
    number = history.record(
        made(fail(), fail("b", disposition="waived"), passed("header-missing"), unreachable()), target="shop"
    ).run

    def checks(asked: Asked) -> list[str]:
        return [row["verdict"] for row in queries.results(history.database, number, asked).rows]

    assert checks(Asked()) == ["fail", "fail", "pass", "unknown"]
    assert checks(Asked(verdict="waived")) == ["fail"]
    assert checks(Asked(verdict="pass")) == ["pass"]
    assert checks(Asked(severity="high")) == ["fail", "fail", "unknown"]
    assert checks(Asked(search="header")) == ["pass"]


def test_the_timeline_names_every_change(history: History) -> None:
    """Each change is kept with the run that saw it, in words."""
    history.record(made(passed()), target="shop")
    history.record(made(fail()), target="shop")
    history.record(made(passed()), target="shop")
    rows = queries.changes(history.database, Asked()).rows
    assert [(row["kind"], row["cause"], row["severity"], row["message"]) for row in rows] == [
        ("fixed", "target", "high", "a page at https://evil.example can read GET /"),
        ("new", "target", "high", "a page at https://evil.example can read GET /"),
    ]
    assert len(queries.changes(history.database, Asked(kind="fixed")).rows) == 1
    assert queries.changes(history.database, Asked(), "other").rows == []


def test_a_difference_is_between_runs_of_one_target(history: History) -> None:
    """Two targets are not compared; a run without an earlier one is a first run; one that is not there is said so."""
    one, other = history.record(made(fail()), target="a").run, history.record(made(fail()), target="b").run
    with pytest.raises(UsageError, match="cannot be compared"):
        queries.difference(history.database, one, other)
    found = queries.difference(history.database, None, one)
    assert found.old is None
    assert found.drift.first
    with pytest.raises(UsageError, match="no run 99"):
        queries.difference(history.database, None, 99)
    with pytest.raises(UsageError, match="no run of c"):
        queries.latest(history.database, "c")


def test_one_process_at_a_time(history: History, history_url: str) -> None:
    """A purpose that another connection holds is refused, and free again afterwards."""
    other = History.open(history_url)
    with (
        history.database.alone("watch"),
        pytest.raises(HistoryError, match="another process"),
        other.database.alone("watch"),
    ):
        pass
    with other.database.alone("watch"):
        pass
    other.close()


def test_a_database_of_a_newer_version_is_left_alone(history: History, history_url: str) -> None:
    """A schema that this version does not know is an error, not a migration."""
    with history.database.write() as writing:
        writing.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HistoryError, match="another version"):
        History.open(history_url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root@localhost/x", "no history in mysql"),
        ("postgresql://nobody:secret@127.0.0.1:1/x", r"nobody:\*\*\*@127.0.0.1:1/x cannot be opened"),
        ("nonsense://x", "no history in nonsense"),
        ("/dev/null/x.sqlite", "cannot be made"),
    ],
)
def test_a_history_that_cannot_be_opened_says_why(url: str, says: str) -> None:
    """Errors name the place without its password, and the reason."""
    with pytest.raises(HistoryError, match=says):
        History.open(url)


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    """A text file in place of the database is an error that a person can act on."""
    file = tmp_path / "history.sqlite"
    file.write_text("not a database, but long enough to be looked at " * 50, encoding="utf-8")
    with pytest.raises(HistoryError, match="not a database"):
        History.open(str(file))


def test_a_report_of_another_version_is_refused(history: History) -> None:
    """Only reports of version 1 are recorded."""
    with pytest.raises(HistoryError, match="version 2"):
        history.record({"version": 2}, target="shop")


def test_killed_at_any_moment_nothing_recorded_is_lost(history_url: str) -> None:
    """A hundred times a process that records is killed: what it had recorded is there, whole, and nothing else is."""
    History.open(history_url).close()
    reports = [
        made(
            *(fail(f"https://o{i}.example", date=str(n)) for i in range(20 + n)), *(passed(f"c{i}") for i in range(30))
        )
        for n in range(3)
    ]
    took = _seconds_to_record(history_url, reports[0])
    chance = random.Random(9)
    promised: set[int] = set()
    torn = 0
    for attempt in range(100):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _record_for_ever(history_url, reports, writer)
        os.close(writer)
        os.read(reader, 1)  # it is about to begin
        if attempt % 4:
            os.read(reader, 1)  # it is at full speed
        time.sleep(chance.uniform(0.0, 4 * took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as said:
            lines = said.read().split(b"\n")
        promised |= {int(line) for line in lines[:-1] if line}
        if attempt % 25 == 24:
            torn = _judge(history_url, promised)
    assert len(promised) > 50
    assert torn - 5 < 101  # five that were not announced, and at most one for each kill that came before its word


def _seconds_to_record(url: str, report: dict[str, object]) -> float:
    """Return how long it takes to record a report, at least."""
    history = History.open(url)
    best = 1.0
    for _ in range(5):
        start = time.monotonic()
        history.record(report, target="t0")
        best = min(best, time.monotonic() - start)
    history.close()
    return best


def _record_for_ever(url: str, reports: list[dict[str, object]], writer: int) -> None:
    """Record one report after the other, and say the number of each run once it is kept."""
    try:
        history = History.open(url)
        os.write(writer, b"\n")
        turn = 0
        while True:
            turn += 1
            number = history.record(reports[turn % len(reports)], target=f"t{turn % 3}").run
            os.write(writer, f"\n{number}\n".encode() if turn == 1 else f"{number}\n".encode())
    finally:
        os._exit(1)


def _judge(url: str, promised: set[int]) -> int:
    """Fail unless every announced run is there and nothing is damaged; return how many are there unannounced."""
    history = History.open(url)
    try:
        with history.database.begin() as reading:
            there = set(reading.execute(sa.select(schema.run.c.id)).scalars())
        assert promised <= there
        assert damaged(history.database) == []
        return len(there - promised)
    finally:
        history.close()


def test_verdicts_of_a_run_are_counted(history: History) -> None:
    """The run's row counts what its results say."""
    number = history.record(
        made(fail(), fail("b", disposition="waived"), fail("c", disposition="baselined"), passed(), unreachable()),
        target="shop",
    ).run
    row = queries.find_run(history.database, number)
    counts = {name: row[name] for name in ("open_high", "waived", "baselined", "undecided", "passed", "results")}
    assert counts == {"open_high": 1, "waived": 1, "baselined": 1, "undecided": 1, "passed": 1, "results": 5}
    assert row["verdict"] == "fail"
    assert {r["verdict"] for r in queries.report(history.database, number)["results"]} >= {Verdict.PASS.value}
