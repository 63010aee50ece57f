"""Fleets: every target is accounted for, whatever it or the process that audits it does; hosts are asked one at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import fleet_targets
import fleet_work
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.cli import run
from auditor.errors import AuditorError, TargetError
from auditor.fleet.engines import on_dask, on_threads
from auditor.fleet.entries import Entry, grouped, read, sharded
from auditor.history import queries
from auditor.history.queries import Asked
from auditor.history.store import History

EXPECTED = {
    "good": {"pass"},
    "bare": {"fail"},
    "redirects": {"fail"},  # answered by itself, without the header; not followed
    "hangs": {"unreachable"},
    "resets": {"unreachable"},
    "garbage": {"unreachable"},
    "closed": {"unreachable"},
    "drips": {"unreachable"},
}


def policy_of(folder: Path) -> Path:
    """Write a policy whose live target is where the variable says."""
    file = folder / "policy.yaml"
    file.write_text(
        "version: 1\nname: p\nvariables: {host: x}\ntargets:\n"
        "  - {id: live, type: http, entrypoints: {web: 'http://${host}', other: 'http://${host}:8080'}}\n"
        "routes: [{id: all, match: [{paths: ['/**']}], headers: {X-A: b}}]\n",
        encoding="utf-8",
    )
    return file


def test_a_fleet_file_gives_entries(tmp_path: Path) -> None:
    """Defaults fill what an entry leaves out; paths are relative to the file."""
    (tmp_path / "fleet.yaml").write_text(
        "version: 1\n"
        "defaults: {policy: p.yaml, environment: prod, variables: {a: 1, b: true}, insecure: true}\n"
        "targets:\n"
        "  - {name: one}\n"
        "  - {name: two, policy: sub/q.yaml, environment: dev, variables: {a: x}, command: check, insecure: false}\n",
        encoding="utf-8",
    )
    assert read(tmp_path / "fleet.yaml") == (
        Entry("one", str(tmp_path / "p.yaml"), "prod", {"a": "1", "b": "true"}, insecure=True),
        Entry("two", str(tmp_path / "sub/q.yaml"), "dev", {"a": "x", "b": "true"}, "check"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\ntargets:\n  - {name: a, polcy: x}\n", r"3:15.*polcy"),
        ("version: 1\ntargets:\n  - {name: a, policy: p}\n  - {name: a, policy: p}\n", r"4:\d+.*two targets named 'a'"),
        ("version: 1\ntargets:\n  - {name: a}\n", "has no policy"),
        ("version: 1\ntargets: []\n", "targets"),
        ("version: 2\ntargets: [{name: a, policy: p}]\n", "version"),
        ("", "empty"),
        ("version: 1\ntargets: [{name: a, policy: p, command: shout}]\n", "command"),
        ('version: 1\ntargets: [{name: "a\\n", policy: p}]\n', "name"),
        ("version: 1\ntargets: [\n", "not valid YAML"),
    ],
)
def test_a_wrong_fleet_file_says_where(tmp_path: Path, text: str, says: str) -> None:
    """Mistakes are named with their place."""
    import re

    file = tmp_path / "fleet.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(AuditorError) as caught:
        read(file)
    shown = " ".join(f"{p.location or ''} {p.path} {p.message} {p.hint}" for p in caught.value.problems)
    assert re.search(says, shown)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e:81", "a:82"]), min_size=1, max_size=9), st.integers(1, 4))
def test_groups_share_no_host_and_parts_make_the_whole(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], parts: int
) -> None:
    """Entries of one host are in one group, others are not; each group is in exactly one part."""
    folder = tmp_path_factory.getbasetemp() / "groups"
    folder.mkdir(exist_ok=True)
    policy = str(policy_of(folder))
    entries = [
        Entry(f"{index}", policy, variables={"host": name.partition(":")[0]}) for index, name in enumerate(names)
    ]
    groups = grouped(entries)
    assert Counter(entry.name for group in groups for entry in group) == Counter(entry.name for entry in entries)
    hosts = [{entry.variables["host"] for entry in group} for group in groups]
    assert all(len(of_group) == 1 for of_group in hosts)
    assert len(set.union(*hosts)) == len(groups)
    found = [group for part in range(1, parts + 1) for group in sharded(groups, part, parts)]
    assert sorted(found, key=str) == sorted(groups, key=str)


def test_an_entry_that_cannot_be_read_stands_alone(tmp_path: Path) -> None:
    """A policy that is not there is that entry's own affair."""
    gone = Entry("gone", str(tmp_path / "nowhere.yaml"))
    good = Entry("good", str(policy_of(tmp_path)), variables={"host": "a"})
    assert grouped([gone, good, gone]) == [(gone,), (good,), (gone,)]


def test_threads_audit_a_group_one_after_the_other() -> None:
    """Groups run beside each other, their entries do not, and each is yielded once."""
    groups = [tuple(Entry(f"{g}-{e}", "") for e in range(4)) for g in range(6)]
    busy: Counter[str] = Counter()
    most, together = Counter[str](), []
    lock = threading.Lock()

    def work(entry: Entry) -> bytes:
        group = entry.name[0]
        with lock:
            busy[group] += 1
            most[group] = max(most[group], busy[group])
            together.append(sum(busy.values()))
        time.sleep(0.02)
        with lock:
            busy[group] -= 1
        return b"done"

    done = list(on_threads(groups, work, 4))
    assert sorted(entry.name for entry, _ in done) == sorted(entry.name for group in groups for entry in group)
    assert set(most.values()) == {1}
    assert 1 < max(together) <= 4


@pytest.mark.parametrize("deadly", ["once", pytest.param("poison", marks=pytest.mark.slow)])
def test_a_dead_worker_loses_nothing(tmp_path: Path, deadly: str) -> None:
    """On Dask one entry kills its worker once, or each time: all are accounted for, the latter alone without an answer."""
    marker = tmp_path / "once"
    names = [f"n{index}" for index in range(40)]
    names[7] = deadly
    said: list[str] = []
    done = list(on_dask([(Entry(name, str(marker)),) for name in names], fleet_work.work, 2, say=said.append))
    answers = {entry.name: answer for entry, answer in done}
    assert len(done) == len(names)
    assert marker.exists()
    assert answers == {name: b"" if name == "poison" else name.encode() for name in names}
    assert said[0].startswith("Dask dashboard: http://127.0.0.1:")


def test_a_cluster_that_does_not_answer_is_said_so() -> None:
    """The address is named."""
    with pytest.raises(TargetError, match=r"tcp://127\.0\.0\.1:9 does not answer"):
        list(on_dask([(Entry("a", ""),)], fleet_work.work, 2, "tcp://127.0.0.1:9"))


def verdicts(url: str, name: str) -> dict[str, str]:
    """Return the verdict of each target of a fleet run."""
    history = History.open(url)
    rows = queries.runs(history.database, Asked(size=10_000), fleet=name).rows
    history.close()
    assert len(rows) == len({row["name"] for row in rows})
    return {row["name"]: row["verdict"] for row in rows}


def test_targets_that_misbehave_are_all_accounted_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good, silent, resetting, redirecting, garbling, closed and slow targets: each has its row, nothing left the target."""
    url = str(tmp_path / "history.sqlite")
    with fleet_targets.targets(48) as places:
        file = fleet_targets.write(tmp_path, places)
        status = run(["fleet", str(file), "--history", url, "--run", "f", "-f", "json", "--workers", "12"])
        first = json.loads(capsys.readouterr().out)
        again = run(["fleet", str(file), "--history", url, "--run", "f"])
        text = capsys.readouterr()
        trapped = places.trapped.value
    found = verdicts(url, "f")
    assert len(found) == 48
    assert [(name, verdict) for name, verdict in found.items() if verdict not in EXPECTED[name.partition("-")[0]]] == []
    assert trapped == 0
    assert (status, again) == (1, 1)
    assert first["by_verdict"] == dict(Counter(found.values()))
    assert first["commonest"][0]["check"] == "header-missing"
    assert "fleet run f: 0 targets, 48 are there already" in text.err
    assert "auditor history show" in text.out


def test_parts_of_a_job_array_make_one_fleet_run(tmp_path: Path) -> None:
    """Three processes that each do a part under one id have audited every target once."""
    url = str(tmp_path / "history.sqlite")
    lines = "".join(f"  - {{name: t{index}}}\n" for index in range(20))
    (tmp_path / "fleet.yaml").write_text(
        f"version: 1\ndefaults: {{policy: none.yaml}}\ntargets:\n{lines}", encoding="utf-8"
    )
    for part in ("1/3", "2/3", "3/3"):
        assert run(["fleet", str(tmp_path / "fleet.yaml"), "--history", url, "--run", "f", "--shard", part, "-q"]) == 3
    assert verdicts(url, "f") == {f"t{index}": "error" for index in range(20)}
    assert run(["fleet", str(tmp_path / "fleet.yaml"), "--history", url, "--shard", "4/3"]) == 2
    assert run(["fleet", str(tmp_path / "fleet.yaml"), "--history", url, "--engine", "magic"]) == 2


def test_a_fleet_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Killed in the middle, the same id does what is left, and each target has one row."""
    url = str(tmp_path / "history.sqlite")
    with fleet_targets.targets(40) as places:
        file = fleet_targets.write(tmp_path, places)
        command = [
            sys.executable,
            "-m",
            "auditor",
            "fleet",
            str(file),
            "--history",
            url,
            "--run",
            "f",
            "--workers",
            "2",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(verdicts(url, "f")) < 5:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before = verdicts(url, "f")
        assert 5 <= len(before) < 40
        run(["fleet", str(file), "--history", url, "--run", "f", "-q", "--workers", "12"])
    assert len(verdicts(url, "f")) == 40


@pytest.mark.slow
def test_two_thousand_targets_here_and_on_a_cluster(tmp_path: Path) -> None:
    """All are accounted for; a local cluster with as many workers takes at most 1.3 times as long, though one is killed.

    With -s it prints both times. FLEET_TARGETS is another number of targets.
    """
    import psutil

    from auditor.recording import packed, unpacked

    number = int(os.environ.get("FLEET_TARGETS", "2000"))
    with fleet_targets.targets(number) as places:
        entries = read(fleet_targets.write(tmp_path, places))
        groups = grouped(entries)
        assert len(groups) == number
        began = time.monotonic()
        here = {entry.name: unpacked(entry, said) for entry, said in on_threads(groups, packed, 16)}
        on_this_process = time.monotonic() - began
        began = time.monotonic()
        there = {}
        killed = 0
        for entry, said in on_dask(groups, packed, 16):
            assert said != b""
            there[entry.name] = unpacked(entry, said)
            if len(there) > number // 4 and not killed:
                workers = [
                    p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())
                ]
                serving = [p for p in workers if p.num_threads() > 3 and p.net_connections(kind="tcp")]
                killed = next(p.pid for p in serving if _works(p))
                os.kill(killed, signal.SIGKILL)
        on_a_cluster = time.monotonic() - began
        assert places.trapped.value == 0
    sys.stdout.write(f"{number} targets: {on_this_process:.1f} s in process, {on_a_cluster:.1f} s on a cluster\n")
    assert killed
    assert set(here) == set(there) == {entry.name for entry in entries}
    assert on_a_cluster <= 1.3 * on_this_process, (on_a_cluster, on_this_process)


def _works(process: object) -> bool:
    """Whether a process is a worker of the cluster: it talks to the scheduler (the targets' process only listens far away)."""
    connections = process.net_connections(kind="tcp")  # type: ignore[attr-defined]
    return any(c.status == "ESTABLISHED" and c.laddr.ip == "127.0.0.1" for c in connections)
