"""Witnesses replayed in a real browser: what Chromium lets a page at the witness's origin do, beside each finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.browser import Reason
from auditor.exchange import Request
from auditor.finding import Finding, Verdict
from auditor.live.browser import Replay, attempt_of
from auditor.live.browser import replay as replay_attempts
from auditor.policy.model import HttpTarget

MOST = 60
"""Witnesses that one audit opens a page for; violations share witnesses."""


def in_browser(findings: Sequence[Finding], target: HttpTarget, *, verify_tls: bool) -> tuple[Finding, ...]:
    """Return the findings, those about what a page may do with what Chromium did; raises TargetError without Chromium."""
    wanted: dict[Request, None] = {}
    for finding in findings:
        request = _witness(finding)
        if request is not None and len(wanted) < MOST:
            wanted.setdefault(request)
    pairs = [(request, attempt) for request in wanted if (attempt := attempt_of(request)) is not None]
    done = replay_attempts(
        [attempt for _, attempt in pairs],
        resolve=target.resolve,
        allow_unsafe_methods=target.allow_unsafe_methods,
        verify_tls=verify_tls,
        timeout=target.limits.timeout,
    )
    words = {request: told(result) for (request, _), result in zip(pairs, done, strict=True)}
    return tuple(_with(finding, words) for finding in findings)


def _witness(finding: Finding) -> Request | None:
    """Return the request of a finding about what a page may do: of CORS or a WebSocket, with an Origin."""
    about = finding.check.startswith(("cors-", "websocket-"))
    if finding.verdict is not Verdict.FAIL or not about or finding.witness is None:
        return None
    return finding.witness.request if "Origin" in finding.witness.request.headers else None


def _with(finding: Finding, words: dict[Request, str]) -> Finding:
    request = _witness(finding)
    return finding if request is None or request not in words else replace(finding, in_browser=words[request])


def told(result: Replay) -> str:
    """Say in one sentence what the browser did."""
    page = result.attempt.page.serialise()
    what = f"{result.attempt.request.method} {result.attempt.request.url}"
    if result.attempt.request.mode == "websocket":
        what = result.attempt.request.url
    if result.skipped:
        return f"not tried: {result.skipped}"
    if result.read and result.attempt.request.mode == "websocket":
        return f"{result.browser}: the page at {page} opened {what}"
    if result.read:
        return f"{result.browser}: the page at {page} read {what} (status {result.status})"
    why = result.reason or result.error or Reason.NO_RESPONSE.value
    return f"{result.browser}: the page at {page} could not use {what}: {why}"
