"""Witnesses replayed in a real browser: what Chromium lets a page at the witness's origin do, beside each finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from auditor.browser.reason import Reason
from auditor.finding import Finding, Severity, Verdict, Witness
from auditor.live.browser import Attempt, Replay, attempt_of, found
from auditor.live.browser import replay as replay_attempts
from auditor.policy.model import HttpTarget

MOST = 60
"""Witnesses that one audit opens a page for; violations share witnesses."""

PICTURES = 12
"""Pictures of attacks that succeeded which one run keeps, some 30 kB each."""


def ready() -> None:
    """Raise TargetError where there is no browser to replay in: before anything is sent, not after."""
    found()


def in_browser(findings: Sequence[Finding], target: HttpTarget, *, verify_tls: bool) -> tuple[Finding, ...]:
    """Return the findings, those about what a page may do with what Chromium did; raises TargetError without Chromium."""
    pairs = [(witness, attempt) for witness in _chosen(findings) if (attempt := _attempt(witness)) is not None]
    done = replay_attempts(
        [attempt for _, attempt in pairs],
        resolve=target.resolve,
        allow_unsafe_methods=target.allow_unsafe_methods,
        verify_tls=verify_tls,
        timeout=target.limits.timeout,
    )
    results = {witness: result for (witness, _), result in zip(pairs, done, strict=True)}
    pictured: set[Witness] = set()
    return tuple(_with(finding, results, pictured) for finding in findings)


def _chosen(findings: Sequence[Finding]) -> list[Witness]:
    """Return the witnesses to replay: of every check and line one, gravest first, then the second of each, and so on."""
    turns: dict[object, int] = {}
    wanted: dict[Witness, tuple[int, int]] = {}
    for index, finding in enumerate(findings):
        witness = _witness(finding)
        if witness is not None and witness not in wanted:
            place = (finding.check, finding.notes[0].location if finding.notes else None)
            turns[place] = turns.get(place, -1) + 1
            wanted[witness] = (turns[place], index)
    return sorted(wanted, key=wanted.__getitem__)[:MOST]


def _about_pages(finding: Finding) -> bool:
    """Whether this is a violation about what a page may do."""
    return finding.verdict is Verdict.FAIL and finding.check.startswith(("cors-", "websocket-"))


def _witness(finding: Finding) -> Witness | None:
    """Return the witness of a finding about what a page may do that the running stack showed: with an Origin."""
    if not _about_pages(finding) or finding.witness is None:
        return None
    shown = finding.evidence in {"both", "observed"}
    return finding.witness if shown and "Origin" in finding.witness.request.headers else None


def _untried(finding: Finding) -> str:
    """Say why no page was opened for a finding about what a page may do, or ""."""
    if not _about_pages(finding) or finding.witness is None:
        return ""
    if "Origin" not in finding.witness.request.headers:
        return "not tried: the witness has no Origin, so no page at another origin sends it"
    if finding.evidence not in {"both", "observed"}:
        return "not tried: the running stack did not show it"
    if _attempt(finding.witness) is None:
        return "not tried: no page has this origin"
    return f"not tried: {MOST} other witnesses went first"


def _attempt(witness: Witness) -> Attempt | None:
    return attempt_of(witness.request, credentials=witness.credentials)


def _with(finding: Finding, results: Mapping[Witness, Replay], pictured: set[Witness]) -> Finding:
    """Return the finding with what the browser did; each successful attack is pictured once, grave ones only."""
    witness = _witness(finding)
    if witness is None or witness not in results:
        return replace(finding, in_browser=_untried(finding))
    result = results[witness]
    picture = b""
    grave = result.read and finding.severity >= Severity.HIGH
    if grave and witness not in pictured and len(pictured) < PICTURES:
        pictured.add(witness)
        picture = result.screenshot
    return replace(finding, in_browser=told(result), screenshot=picture)


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
