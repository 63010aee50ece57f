"""Reports made for tests of the history: runs put together from findings, through the real JSON renderer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from auditor.errors import Location
from auditor.exchange import Action, Exchange, Headers, Outcome, Request, Response
from auditor.finding import CheckInfo, Finding, Note, Run, Severity, TargetInfo, Verdict, Witness
from auditor.report.build import report

CHECKS = (
    CheckInfo("cors-origin-not-allowed", "An origin outside the policy may read", Severity.HIGH, "0.1.0", "page"),
)
START = 1_790_000_000.0


def fail(subject: str = "https://evil.example", **changes: Any) -> Finding:
    """Return an open violation; the subject tells it from others of its check and rule."""
    origin = changes.pop("origin", subject)
    date = changes.pop("date", "Mon, 23 Nov 2026 10:00:00 GMT")
    request = Request(headers=Headers.of([("Host", "shop.example"), ("Origin", origin)]))
    response = Response(200, Headers.of([("Date", date), ("Access-Control-Allow-Origin", origin)]))
    finding = Finding(
        check="cors-origin-not-allowed",
        rule="api.cors",
        verdict=Verdict.FAIL,
        severity=Severity.HIGH,
        message=f"a page at {origin} can read GET /",
        subject=subject,
        route="api",
        notes=(Note(Location("nginx.conf", 3, 1)),),
        witness=Witness(request),
        exchanges=(Exchange("observed", request, Outcome("observed", response, Action("observed"))),),
        evidence="observed",
        disposition="open",
    )
    return replace(finding, **changes)


def passed(check: str = "cors-origin-not-allowed", **changes: Any) -> Finding:
    """Return a pass."""
    finding = Finding(check, "api.cors", Verdict.PASS, Severity.INFO, "3 evaluated", route="api", evidence="both")
    return replace(finding, **changes)


def unreachable() -> Finding:
    """Return what an audit says of a stack that does not answer."""
    return Finding(
        check="target-unreachable",
        rule="targets",
        verdict=Verdict.UNKNOWN,
        severity=Severity.HIGH,
        message="9 of the requests to the running stack got no answer: connection refused",
        subject="connection refused",
        evidence="observed",
        disposition="open",
    )


def made(*findings: Finding, at: float = START, policy: str = "a", nginx: str = "1", **changes: Any) -> dict[str, Any]:
    """Return the JSON report of a run with these findings, `at` seconds since 1970."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    run = Run(
        command="audit",
        findings=findings,
        checks=CHECKS,
        policy_name="shop",
        policy_file="shop.yaml",
        policy_sha256=policy * 64,
        targets=(TargetInfo("nginx", "nginx", (("nginx.conf", nginx * 64),)),),
        routes=("api",),
        started=moment,
        finished=moment,
    )
    value: dict[str, Any] = report(replace(run, **changes)).model_dump(mode="json")
    return value
