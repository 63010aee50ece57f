"""Requests beyond the plan: what no list of attacks holds is found, shrunk, remembered, and found again the same way."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.audit import live
from auditor.errors import UsageError
from auditor.finding import Finding, Run, Verdict
from auditor.options import LiveOptions, Options
from auditor.report.build import report
from auditor.report.json import render
from auditor.report.view import View
from tests.live_field.serving import head, serving

TRUSTED = "https://app.partner.net"
LET_IN = {
    "/odd": r"https://app\.partner\.net([_~-].*)?",
    "/hosted": r"https://(app\.partner\.net|[a-z0-9-]+\.vercel\.app)",
    "/prefix": r"https://app\.partner\.net.*",
    "/safe": r"https://app\.partner\.net",
}
"""What each URL lets in: all but the last more than the policy, and of the first two no probe of the plan shows it."""


async def careless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request on a connection by its path's expression; remember who asked."""
    while True:
        method, target, lines = await head(reader)
        found = {name.lower(): value for name, value in lines}
        origin = found.get("origin", "")
        ASKED.append((method, target, origin))
        path = "/" + re.split(r"[/.?;]", target)[1]
        cors = ""
        if re.fullmatch(LET_IN.get(path, "-"), origin):
            cors = f"Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Methods: GET, PUT\r\n"
        answer = f"HTTP/1.1 200 OK\r\nVary: Origin\r\n{cors}Content-Length: 2\r\n\r\n"
        writer.write(answer.encode("latin-1") + (b"" if method == "HEAD" else b"ok"))
        await writer.drain()


ASKED: list[tuple[str, str, str]] = []


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The careless server running, and the policy that it breaks."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ASKED.clear()
    with serving(careless) as port:
        cors = {"allow_origins": [TRUSTED], "allow_methods": ["GET", "PUT"]}
        routes = [
            {
                "id": path[1:],
                "match": [{"paths": [path, f"{path}/**", f"{path}.json"]}],
                "probes": [{"path": path}],
                "cors": cors,
            }
            for path in LET_IN
        ]
        limits = {"requests_per_second": 5000, "max_requests": 5000, "timeout": "5s"}
        target = {"id": "live", "type": "http", "entrypoints": {"web": "http://shop.example"}, "limits": limits}
        target["resolve"] = {"shop.example:80": f"127.0.0.1:{port}"}
        policy = tmp_path / "policy.yaml"
        policy.write_text(json.dumps({"version": 1, "name": "careless", "targets": [target], "routes": routes}))
        yield policy


def audited(policy: Path, fuzz: int, seed: int = 0) -> tuple[Run, dict[str, Finding]]:
    """Audit the stack and return the run, and the open finding of each route."""
    run = live(Options("live", policy), LiveOptions(fuzz=fuzz, seed=seed, measure_limits=False))
    reads = [f for f in run.findings if f.verdict is Verdict.FAIL and f.check.startswith("cors-")]
    return run, {f.route: f for f in reads}


def test_what_no_probe_of_the_plan_shows_is_found_and_shrunk(stack: Path) -> None:
    """The plan alone sees nothing; fuzzing finds both flaws, each with a short witness, and leaves the safe URL alone."""
    assert set(audited(stack, 0)[1]) == {"prefix"}
    _, found = audited(stack, 300)
    assert set(found) == {"odd", "hosted", "prefix"}
    del found["prefix"]
    for route, finding in found.items():
        assert finding.witness is not None
        origin = finding.witness.request.headers.get("Origin") or ""
        assert re.fullmatch(LET_IN[f"/{route}"], origin), origin
        assert finding.witness.request.target == f"/{route}"
        assert len(origin) <= len("https://app.partner.net_evil.example") + 2


def test_the_same_seed_draws_the_same_requests(stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that remember nothing ask the same, and another seed asks something else."""
    asked = []
    for number, seed in enumerate((7, 7, 8)):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / str(number)))
        ASKED.clear()
        audited(stack, 80, seed)
        asked.append(sorted(ASKED))
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_what_was_found_is_tried_first_by_the_next_run(stack: Path) -> None:
    """A run with another seed and hardly any budget finds again what an earlier one found."""
    _, found = audited(stack, 300)
    assert len(found) == 3
    _, again = audited(stack, 30, seed=99)
    assert {f.fingerprint for f in again.values()} == {f.fingerprint for f in found.values()}


def test_the_budget_holds(stack: Path) -> None:
    """Fuzzing costs at most what it was given."""
    plain, _ = audited(stack, 0)
    fuzzed, _ = audited(stack, 60)
    assert fuzzed.requests_sent <= plain.requests_sent + 60


def test_a_witness_is_replayed(stack: Path, tmp_path: Path) -> None:
    """A report's witnesses are asked again, all or one, and nothing else is."""
    run, found = audited(stack, 0)
    file = tmp_path / "report.json"
    file.write_text(render(report(run), View()))
    ASKED.clear()
    replayed = live(Options("live", stack), LiveOptions(replay=str(file)))
    failing = {f.fingerprint for f in replayed.findings if f.verdict is Verdict.FAIL}
    assert failing == {f.fingerprint for f in run.findings if f.verdict is Verdict.FAIL}
    one = found["prefix"]
    ASKED.clear()
    only = live(Options("live", stack), LiveOptions(replay=f"{file}#{one.fingerprint[:12]}"))
    assert {f.route for f in only.findings if f.verdict is Verdict.FAIL} == {"prefix"}
    assert len(ASKED) == 3
    with pytest.raises(UsageError, match="no finding"):
        live(Options("live", stack), LiveOptions(replay=f"{file}#ffffffff"))
    with pytest.raises(UsageError, match="no JSON report"):
        live(Options("live", stack), LiveOptions(replay=str(stack)))
