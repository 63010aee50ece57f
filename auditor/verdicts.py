"""Many verdicts about single exchanges become one list of findings: grouped, confirmed or contradicted, waived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from auditor.checks import Check
from auditor.exchange import UNKNOWN_VALUE, Request
from auditor.finding import Evidence, Finding, Note, Severity, Verdict, Witness
from auditor.plan.facts import Case, Facts
from auditor.policy.load import LoadedPolicy, Rule

Key = tuple[str, str, str]


def consolidate(raw: Iterable[Finding]) -> tuple[Finding, ...]:
    """Merge verdicts that say the same: one finding per check, rule and subject, with its smallest witness.

    A predicted finding whose witness was also observed to fail is `both`; observed findings that no prediction
    names stand for themselves.
    """
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in raw:
        groups.setdefault((finding.check, finding.rule, finding.verdict.value, finding.subject), []).append(finding)
    observed_by_request: dict[tuple[str, str, object], Finding] = {}
    for items in groups.values():
        for item in items:
            if item.evidence == "observed" and item.verdict is Verdict.FAIL:
                observed_by_request.setdefault((item.check, item.rule, _request_key(item)), item)
    merged: list[Finding] = []
    confirmed: set[int] = set()
    for items in groups.values():
        predicted = [item for item in items if item.evidence != "observed"]
        if not predicted:
            continue
        best = min(predicted, key=_size)
        evidence: Evidence = "predicted"
        for item in sorted(predicted, key=_size):
            twin = observed_by_request.get((item.check, item.rule, _request_key(item)))
            if twin is not None and item.witness is not None:
                confirmed.add(id(twin))
                if evidence != "both":
                    best, evidence = replace(item, exchanges=(*item.exchanges, *twin.exchanges)), "both"
        merged.append(replace(best, evidence=evidence))
    merged += _only_observed(
        groups.values(), confirmed, {(f.check, f.rule) for f in merged if f.verdict is Verdict.FAIL}
    )
    return tuple(sorted(_without_shadowed_passes(merged), key=_order))


def _only_observed(
    groups: Iterable[Sequence[Finding]], confirmed: set[int], predicted: set[tuple[str, str]]
) -> list[Finding]:
    result: list[Finding] = []
    for items in groups:
        observed = [item for item in items if item.evidence == "observed" and id(item) not in confirmed]
        if not observed:
            continue
        best = min(observed, key=_size)
        if best.verdict is Verdict.FAIL and any(id(item) in confirmed for item in items):
            continue
        if best.verdict is Verdict.FAIL and (best.check, best.rule) in predicted and best.witness is not None:
            continue
        result.append(best)
    return result


def _without_shadowed_passes(findings: Sequence[Finding]) -> list[Finding]:
    """Drop a pass of a check and rule that another witness fails, and join the passes of two witnesses."""
    bad = {(f.check, f.rule) for f in findings if f.verdict is not Verdict.PASS}
    passes: dict[tuple[str, str], Finding] = {}
    result = []
    for finding in findings:
        key = (finding.check, finding.rule)
        if finding.verdict is not Verdict.PASS:
            result.append(finding)
        elif key not in bad:
            earlier = passes.get(key)
            passes[key] = finding if earlier is None else replace(earlier, evidence="both")
    return [*result, *passes.values()]


def _request_key(finding: Finding) -> object:
    if finding.witness is None:
        return None
    return _wire_key(finding.witness.request)


def _size(finding: Finding) -> tuple[int, int, str]:
    if finding.witness is None:
        return (0, 0, finding.message)
    request = finding.witness.request
    return (len(request.target), sum(len(f.name) + len(f.value) for f in request.headers), finding.message)


def _order(finding: Finding) -> tuple[object, ...]:
    rank = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.UNKNOWN: 2, Verdict.PASS: 3}[finding.verdict]
    place = str(finding.notes[0].location) if finding.notes else ""
    return (rank, -finding.severity, finding.check, finding.rule, place, finding.subject, finding.message)


def compare(findings: Sequence[Finding], predicted: Facts, observed: Facts) -> tuple[Finding, ...]:
    """Hold predictions against observations of the same request, and add what disagrees as findings.

    A predicted finding whose witness was sent and answered without the violation is `contradicted`; a request that
    got a status that no outcome allows is a finding of its own, with both answers side by side.
    """
    answers = {_case_key(case): case for cases in observed.cases.values() for case in cases}
    result = []
    for finding in findings:
        sent = finding.witness is not None and _wire_key(finding.witness.request) in answers
        lone = finding.evidence == "predicted" and finding.verdict is Verdict.FAIL and finding.exchanges
        if sent and lone and finding.exchanges[0].outcome.when in REPRODUCIBLE:
            result.append(replace(finding, evidence="contradicted"))
        else:
            result.append(finding)
    allowed: dict[object, list[Case]] = {}
    for cases in predicted.cases.values():
        for case in cases:
            allowed.setdefault(_case_key(case), []).append(case)
    found: dict[str, Finding] = {}
    for key, case in answers.items():
        difference = _difference(allowed.get(key, []), case)
        if difference is not None:
            found.setdefault(difference.subject, difference)
    return tuple(sorted([*result, *found.values()], key=_order))


REPRODUCIBLE = frozenset({"always", "upstream-success", "application-success"})
"""Outcomes that a request produces by itself: no backend has to be down, no file to be there."""


def _difference(expected: Sequence[Case], observed: Case) -> Finding | None:
    """Return the finding of a request whose answer no outcome allows."""
    response = observed.response
    if not expected or response is None or any(_fits(case, observed) for case in expected):
        return None
    first = min(expected, key=lambda case: case.exchange.outcome.when not in REPRODUCIBLE)
    predicted = first.response
    status = "a closed connection" if predicted is None else f"status {predicted.status}"
    return Finding(
        check="live-differs-from-configuration",
        rule=f"routes.{observed.probe.route}" if observed.probe.route else "routes",
        verdict=Verdict.FAIL,
        severity=Severity.MEDIUM,
        message=f"{observed.probe.request.method} {observed.probe.path} is answered {response.status} live, "
        f"and the configuration says {status}: another layer, another version, or not reloaded",
        subject=f"{first.exchange.outcome.server}|{first.exchange.outcome.location}|{response.status}",
        route=observed.probe.route,
        notes=(Note(first.place, f"would answer {status}"),) if first.place else (),
        expected=status,
        observed=f"status {response.status}",
        witness=Witness(observed.probe.request),
        exchanges=(first.exchange, observed.exchange),
        evidence="contradicted",
    )


def _fits(case: Case, observed: Case) -> bool:
    """Whether an outcome allows the observed status and CORS headers."""
    predicted, response = case.response, observed.response
    if predicted is None or response is None:
        return predicted is None and response is None
    if case.exchange.outcome.unknown or predicted.status is None:
        return True
    if predicted.further_headers:
        return True
    if predicted.status != response.status:
        return case.exchange.outcome.action.kind == "application" and case.exchange.outcome.when != "always"
    name = "Access-Control-Allow-Origin"
    said = predicted.headers.all(name)
    return any(UNKNOWN_VALUE in value for value in said) or sorted(said) == sorted(response.headers.all(name))


def _case_key(case: Case) -> object:
    return _wire_key(case.probe.request)


def _wire_key(request: Request) -> object:
    return (request.method, request.scheme, request.target, request.headers.pairs())


def unevaluated(every: Sequence[Rule], raw: Sequence[Finding], checks: Sequence[Check]) -> Iterable[Finding]:
    """Yield an unknown for every rule that no check looked at, and for every key of a rule that no check decides."""
    seen = {finding.rule for finding in raw}
    for rule in every:
        if rule.kind == "match":
            continue
        readers = [check for check in checks if rule.kind in check.KINDS]
        decided = {key for check in readers for key in check.KINDS[rule.kind]}
        for part, place in rule.parts:
            if decided and part not in decided:
                yield replace(_unknown(rule, f"no check decides `{part}` yet", part), rule_location=place)
        if rule.id not in seen and rule.kind != "targets":
            reason = (
                "no check reads this clause yet" if not readers else "no probe reached this rule: nothing was evaluated"
            )
            yield _unknown(rule, reason, "")


def _unknown(rule: Rule, reason: str, subject: str) -> Finding:
    return Finding(
        check="rule-not-evaluated",
        rule=rule.id,
        verdict=Verdict.UNKNOWN,
        severity=Severity.MEDIUM,
        message=f"{rule.id}: {reason}",
        subject=subject,
        route=rule.route or "",
        rule_location=rule.location,
    )


def waive(loaded: LoadedPolicy, findings: Sequence[Finding], today: date) -> tuple[Finding, ...]:
    """Mark findings that a waiver of the policy accepts on this day; report expired and unused waivers."""
    result: list[Finding] = []
    used: set[str] = set()
    expired: set[str] = set()
    for finding in findings:
        if finding.verdict is Verdict.PASS:
            result.append(finding)
            continue
        match = next((w for w in loaded.policy.waivers if _covers(w, finding)), None)
        if match is None:
            result.append(replace(finding, disposition="open"))
            continue
        used.add(match.id)
        text = f"{match.id}: {match.reason} ({match.owner}, until {match.expires.isoformat()})"
        if match.active(today):
            result.append(replace(finding, disposition="waived", waiver=text))
        else:
            expired.add(match.id)
            result.append(replace(finding, disposition="open", waiver=f"expired {text}"))
    if loaded.policy.settings.unused_waivers != "ignore":
        result += [
            _stale(loaded, index, w.id, "matches no finding")
            for index, w in enumerate(loaded.policy.waivers)
            if w.id not in used
        ]
    return tuple(result)


def _covers(waiver: object, finding: Finding) -> bool:
    checks = getattr(waiver, "checks", ())
    routes = getattr(waiver, "routes", ())
    targets = getattr(waiver, "targets", ())
    fingerprints = getattr(waiver, "fingerprints", ())
    return (
        finding.check in checks
        and (not routes or finding.route in routes)
        and (not targets or finding.target in targets)
        and (not fingerprints or any(finding.fingerprint.startswith(f) for f in fingerprints))
    )


def _stale(loaded: LoadedPolicy, index: int, name: str, what: str) -> Finding:
    fails = loaded.policy.settings.unused_waivers == "fail"
    return Finding(
        check="waiver-unused",
        rule=f"waivers.{name}",
        verdict=Verdict.FAIL,
        severity=Severity.MEDIUM if fails else Severity.INFO,
        message=f"the waiver {name} {what}: remove it",
        subject=name,
        rule_location=loaded.locate(f"waivers[{index}]"),
        disposition="open",
    )
