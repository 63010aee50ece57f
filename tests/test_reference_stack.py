"""The reference stack, audited as a user does it: every defect it is known to have is found, and the hardened one passes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from report_oracles import ORACLES

from auditor.report.model import Report

ROOT = Path(__file__).parents[1]
STACK = ROOT / "auditor" / "demo" / "stack" / "as-documented"


def auditor(*arguments: str, status: int, timeout: float = 120) -> dict[str, Any]:
    """Run the command and return its JSON report."""
    command = [sys.executable, "-m", "auditor", *arguments, "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == status, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def checked() -> dict[str, Any]:
    """`auditor check` of the as-documented stack."""
    variable = f"stack=../{STACK.relative_to(ROOT)}"
    return auditor("check", "policies/qwen-image.yaml", "--var", variable, status=1)


@pytest.fixture(scope="module")
def audited() -> dict[str, Any]:
    """`auditor demo`: the running as-documented stack audited both ways."""
    return auditor("demo", status=1)


def line_of(file: str, text: str) -> int:
    """Return the line of a file of the stack where a text stands: the place that a person would point at."""
    for number, line in enumerate((STACK / file).read_text("utf-8").splitlines(), 1):
        if text in line:
            return number
    raise AssertionError(f"{file} has no line with {text!r}")


DEFECTS = [
    (
        "an origin accepted by a loose regex",
        "cors-origin-not-allowed",
        "nginx.prod.conf",
        r"https://(app.)?qwen",
        "both",
    ),
    ("localhost accepted in production", "cors-insecure-origin", "nginx-cors.conf", r"http://localhost:", "both"),
    ("*.localhost accepted in production", "cors-insecure-origin", "nginx-cors.conf", r"\.localhost", "both"),
    (
        "credentials allowed to refused origins",
        "cors-headers-for-disallowed-origin",
        "nginx.prod.conf",
        "Credentials",
        "both",
    ),
    ("no Vary: Origin", "cors-vary-origin-missing", "nginx.prod.conf", "Vary", "both"),
    (
        "two Access-Control-Allow-Origin headers",
        "cors-duplicate-header",
        "main.py",
        "two Access-Control-Allow-Origin",
        "both",
    ),
    ("security headers lost by inheritance", "header-lost-by-inheritance", "nginx.prod.conf", "lost", "both"),
    ("headers missing on error answers", "header-lost-on-error", "nginx", "lacks", "both"),
    ("a regex location takes /api/x.json away", "route-shadowed", "nginx.prod.conf", r"json\|xml.*x\.json", "both"),
    ("HSTS on plain HTTP", "hsts-on-plain-http", "nginx-security.conf", "http://", "both"),
    ("no Origin check on /ws", "websocket-origin-not-allowed", "nginx.prod.conf", "WebSocket /ws", "both"),
    (
        "an upload answered before its limit",
        "rate-limit-never-applies",
        "nginx.prod.conf",
        "/api/upload.*rewrite",
        "both",
    ),
    ("a Traefik route around nginx", "backend-route-bypasses-proxy", "", r"avoids nginx", "both"),
    ("the backend's port published", "backend-port-published", "docker-compose.yml", "qwen-api:8000", "both"),
    ("the dashboard open to the world", "dashboard-exposed", "traefik.yml", "edge dashboard", "both"),
    ("the backend's port open", "backend-reachable", "docker-compose.yml", "qwen.example.com:8000", "both"),
    ("/docs served to the world", "denied-path-served", "", r"^/docs", "both"),
    ("/openapi.json served to the world", "denied-path-served", "", r"^/openapi\.json", "both"),
    ("a browser build that points at the backend", "backend-url-in-client", ".env", "REACT_APP_API_URL", "both"),
]


def matching(report: dict[str, Any], check: str, file: str, message: str) -> list[dict[str, Any]]:
    """Return the failing results of a check that point into a file and say something."""
    return [
        result
        for result in report["results"]
        if result["check"] == check
        and result["verdict"] == "fail"
        and re.search(message, result["message"])
        and (not file or any(file in place["file"] for place in result["locations"]))
    ]


@pytest.mark.parametrize("defect", DEFECTS, ids=[d[0] for d in DEFECTS])
def test_defect_is_predicted(checked: dict[str, Any], defect: tuple[str, str, str, str, str]) -> None:
    """The configuration alone shows the defect, with a line and, where a request shows it, a `curl` line."""
    name, check, file, message, _ = defect
    found = matching(checked, check, file, message)
    assert found, name
    assert all(place["line"] for result in found for place in result["locations"])
    assert all(result["witness"] is None or result["witness"]["curl"].startswith("curl ") for result in found)


@pytest.mark.parametrize("defect", DEFECTS, ids=[d[0] for d in DEFECTS])
def test_defect_is_seen_live(audited: dict[str, Any], defect: tuple[str, str, str, str, str]) -> None:
    """The running stack confirms what the configuration predicted, wherever a request can show it."""
    name, check, file, message, evidence = defect
    found = matching(audited, check, file, message)
    assert evidence in {result["evidence"] for result in found}, name


@pytest.mark.parametrize(
    ("check", "file", "text"),
    [
        ("backend-port-published", "docker-compose.yml", '"8000:8000"'),
        ("backend-url-in-client", ".env.development", "REACT_APP_API_URL"),
        ("route-shadowed", "nginx.prod.conf", r"location ~* \.(json|xml)$"),
        ("websocket-origin-not-allowed", "nginx.prod.conf", "location /ws {"),
        ("rate-limit-never-applies", "nginx.prod.conf", "limit_req zone=upload"),
    ],
)
def test_finding_points_at_the_line(checked: dict[str, Any], check: str, file: str, text: str) -> None:
    """A finding's place is the line that a person would point at."""
    places = {
        (place["file"].rpartition("/")[2], place["line"])
        for result in checked["results"]
        if result["check"] == check
        for place in result["locations"]
    }
    assert (file, line_of(file, text)) in places


def test_nothing_contradicts_the_prediction(audited: dict[str, Any]) -> None:
    """The running stack answers as its configuration says."""
    wrong = [r["message"] for r in audited["results"] if r["evidence"] == "contradicted"]
    wrong += [r["message"] for r in audited["results"] if r["check"] == "live-differs-from-configuration"]
    assert wrong == []


def test_hardened_stack_passes_check() -> None:
    """The hardened stack's configuration keeps every promise of the seed."""
    report = auditor("check", "policies/qwen-image.yaml", status=0)
    assert report["verdict"] == "pass"
    assert report["summary"]["by_verdict"]["unknown"] == 0


@pytest.fixture(scope="module")
def hardened() -> tuple[dict[str, Any], float]:
    """`auditor demo --state hardened`: the running hardened stack audited both ways, and the seconds that it took."""
    started = time.monotonic()
    return auditor("demo", "--state", "hardened", status=0), time.monotonic() - started


def test_hardened_stack_passes_live(hardened: tuple[dict[str, Any], float]) -> None:
    """The running hardened stack keeps every promise of the seed, and the audit of it ends within its time."""
    report, seconds = hardened
    assert report["verdict"] == "pass"
    assert report["run"]["requests_sent"] > 50
    assert seconds < 60


@pytest.mark.parametrize("name", [n if n != "pdf" else pytest.param(n, marks=pytest.mark.slow) for n in ORACLES])
def test_somebody_else_reads_each_format_of_the_live_audits(
    name: str, audited: dict[str, Any], hardened: tuple[dict[str, Any], float], tmp_path: Path
) -> None:
    """Observed exchanges, replays and measured limits of both states meet each format's own oracle."""
    for report in (audited, hardened[0]):
        made = Report.model_validate(report)
        assert {result.evidence for result in made.results} >= {"both"} or report["verdict"] == "pass"
        ORACLES[name](made, tmp_path)
