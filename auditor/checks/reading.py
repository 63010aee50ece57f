"""What the checks of who may read share: every refused origin is asked of the browser, each check takes its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from auditor.browser import cors_check
from auditor.checks.judging import (
    SAFELISTED_METHODS,
    fail,
    made_at,
    open_backend,
    place_subject,
    promised_redirect,
    shown,
    undecided,
    unknown,
)
from auditor.finding import CheckInfo, Finding, Note
from auditor.plan.cells import origin_policy
from auditor.plan.facts import Case, Facts, Pattern
from auditor.policy.loaded import Rule
from auditor.policy.model import Origin

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
ALLOW_METHODS = "Access-Control-Allow-Methods"


def readers(
    check: CheckInfo, rule: Rule, facts: Facts, note: str, mine: Callable[[Case], bool]
) -> Iterator[Finding | None]:
    """Yield a finding for every refused origin of a check's kind that a browser would let read an answer, or send more."""
    for case in facts.of(rule.route, "cors", "preflight"):
        if case.probe.origin.value is None or case.probe.origin.allowed:
            continue
        if not mine(case) or case.response is None or promised_redirect(facts, case):
            yield None
        else:
            yield _judge(check, rule, case, note)


def _judge(check: CheckInfo, rule: Rule, case: Case, note: str) -> Finding | None:
    origin, response = case.probe.origin.value or "", case.response
    if response is None:
        return None
    reason = undecided(case, ALLOW_ORIGIN)
    if not reason and ALLOW_ORIGIN not in response.headers:
        reason = open_backend(case, ALLOW_ORIGIN)
    if reason:
        return unknown(check, rule, reason, case=case)
    if cors_check(origin, credentials=False, response=response) is not None or not lets_send(case):
        return None
    places = [Note(p.location, note) for p in case.probe.origin.matched if p.location is not None]
    made = made_at(next(iter(response.headers.lines(ALLOW_ORIGIN)), None))
    echo = (Note(made, "and this line sends it back"),) if made is not None and places else ()
    secretly = cors_check(origin, credentials=True, response=response) is None
    found = fail(
        check,
        rule,
        f"a page at {origin} can {_verb(case)} {case.probe.method} {case.probe.path}"
        + (" with the user's cookies" if secretly else ""),
        case=case,
        at=places[0].location if places else made,
        note=note,
        also=(*places[1:], *echo),
        expected=f"no {ALLOW_ORIGIN} for an origin outside the policy",
        observed=shown(response, ALLOW_ORIGIN),
        subject=f"{place_subject(case)}|{case.probe.origin.kind}|{' '.join(p.text for p in case.probe.origin.matched)}",
    )
    return replace(found, remediation=_remedy(rule, case))


def lets_send(case: Case) -> bool:
    """Whether a preflight with the right origin also grants its method (any other answer grants nothing more)."""
    response = case.response
    if case.probe.purpose != "preflight":
        return True
    if response is None or response.status is None or not 200 <= response.status < 300:
        return False
    granted = {part.strip() for part in (response.headers.combined(ALLOW_METHODS) or "").split(",")}
    return case.probe.method in SAFELISTED_METHODS or bool({case.probe.method, "*"} & granted)


def _verb(case: Case) -> str:
    return "send" if case.probe.purpose == "preflight" else "read"


def _remedy(rule: Rule, case: Case) -> str:
    """Say why an expression lets the origin in, and how to write what the policy means."""
    pattern = next((p for p in case.probe.origin.matched if p.is_regex), None)
    if pattern is None or not rule.value.enabled:
        return ""
    return _explained(pattern, case.probe.origin.value or "", rule.value.allow_origins)


@lru_cache(maxsize=256)
def _explained(pattern: Pattern, origin: str, allowed: tuple[Origin, ...]) -> str:
    from auditor.language import explain  # noqa: PLC0415 - only where there is something to explain

    found = explain(pattern.text, origin, origin_policy(allowed), caseless=pattern.caseless)
    return f"{found.sentence}; write {found.corrected}" if found.corrected else found.sentence
