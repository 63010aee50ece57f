"""What was asked and what was answered, in tables: routes against origins and headers, limits, doors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.browser.cors import cors_check
from auditor.checks.heading import matcher_words
from auditor.checks.judging import answered_here, in_force, normal, open_backend, promised_redirect, undecided
from auditor.errors import Location
from auditor.finding import (
    Answer,
    DoorAnswer,
    Finding,
    HeaderAnswer,
    LimitAnswer,
    Note,
    OriginAnswer,
    Tables,
    Verdict,
)
from auditor.plan.facts import Case, Facts, OriginCell
from auditor.policy.clauses import RateLimit
from auditor.policy.load import LoadedPolicy, Rule, rules
from auditor.policy.model import Route

ALLOW_ORIGIN = "Access-Control-Allow-Origin"

FOUND = 3
"""How many different values of a header are told."""

_WORST = (Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN, Verdict.PASS)


def tables(loaded: LoadedPolicy, witnesses: Sequence[Facts], findings: Sequence[Finding]) -> Tables:
    """Return the tables of an audit: what each kind of witness answered to each question of the policy."""
    return Tables(
        origins=tuple(_origins(loaded, witnesses)),
        headers=tuple(_headers(loaded, witnesses, findings)),
        limits=tuple(_limits(loaded, witnesses)),
        doors=tuple(_doors(loaded, witnesses, findings)),
    )


def _origins(loaded: LoadedPolicy, witnesses: Sequence[Facts]) -> Iterator[OriginAnswer]:
    """Yield what every route says to every origin that was tried, in the order of the policy and of the plan."""
    asked: dict[tuple[str, str, str], tuple[OriginCell, dict[str, set[Answer]]]] = {}
    for facts in witnesses:
        for route in loaded.policy.routes:
            for question, case, answer in _answers(route, facts):
                cell = case.probe.origin
                key = (route.id, question, cell.value or "")
                _, said = asked.setdefault(key, (cell, {}))
                said.setdefault(facts.kind, set()).add(answer)
    order = {route.id: number for number, route in enumerate(loaded.policy.routes)}
    for key in sorted(asked, key=lambda key: (order[key[0]], _QUESTIONS.index(key[1]))):
        cell, said = asked[key]
        yield OriginAnswer(
            route=key[0],
            question=key[1],  # type: ignore[arg-type]
            origin=key[2],
            kind=cell.kind,
            expected="allowed" if cell.allowed else "refused",
            predicted=_together(said.get("predicted", set())),
            observed=_together(said.get("observed", set())),
        )


_QUESTIONS = ("read", "preflight", "connect")


def _together(answers: set[Answer]) -> Answer:
    """Return what several cells of requests say together."""
    if not answers:
        return ""
    if len(answers) == 1:
        return next(iter(answers))
    return "partly" if "allowed" in answers else "unknown"


def _answers(route: Route, facts: Facts) -> Iterator[tuple[str, Case, Answer]]:
    """Yield what the answers that nothing went wrong with say to the origin of their request."""
    credentials = bool(route.cors is not None and route.cors.enabled and route.cors.allow_credentials)
    for case in facts.of(route.id, "cors"):
        if case.probe.origin.value is not None and normal(case) and not promised_redirect(facts, case):
            yield "read", case, _readable(case, credentials=credentials and case.probe.origin.allowed)
    for case in facts.of(route.id, "preflight"):
        if case.probe.granted and normal(case) and not promised_redirect(facts, case):
            yield "preflight", case, _preflight(case, credentials=credentials and case.probe.origin.allowed)
    for case in facts.of(route.id, "websocket"):
        if case.probe.origin.value is not None and normal(case) and not promised_redirect(facts, case):
            yield "connect", case, _connected(case)


def _readable(case: Case, *, credentials: bool) -> Answer:
    response = case.response
    if response is None:
        return "refused"
    if undecided(case, ALLOW_ORIGIN) or (ALLOW_ORIGIN not in response.headers and open_backend(case, ALLOW_ORIGIN)):
        return "unknown"
    refusal = cors_check(case.probe.origin.value or "", credentials=credentials, response=response)
    return "allowed" if refusal is None else "refused"


def _preflight(case: Case, *, credentials: bool) -> Answer:
    answer = _readable(case, credentials=credentials)
    response = case.response
    status = response.status if response is not None else None
    if answer == "allowed" and status is not None and not 200 <= status < 300:
        return "refused"
    return answer


def _connected(case: Case) -> Answer:
    response = case.response
    if response is None:
        return "refused"
    if response.status is None or (response.status < 300 and response.status != 101 and response.further_headers):
        return "unknown"
    return "allowed" if response.status == 101 else "refused"


def _headers(loaded: LoadedPolicy, witnesses: Sequence[Facts], findings: Sequence[Finding]) -> Iterator[HeaderAnswer]:
    """Yield a cell for every header rule: what the checks say of it, and which values were found."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    for rule in rules(loaded):
        if rule.kind == "headers":
            said = by_rule.get(rule.id, [])
            yield HeaderAnswer(
                route=rule.route or "",
                header=rule.name,
                expected=_wanted(rule),
                found=_found(rule, witnesses),
                predicted=_verdict(f.verdict for f in said if f.evidence != "observed"),
                observed=_verdict(_seen(f) for f in said if f.evidence != "predicted"),
            )


def _wanted(rule: Rule) -> str:
    """Say in words what a header rule wants."""
    csp = rule.value.csp
    if csp is None:
        return matcher_words(rule.value) or ("present" if rule.value.required else "absent")
    wants = [f"{name} {' '.join(sources)}".rstrip() for name, sources in (csp.require or {}).items()]
    wants += [f"{name} without {' '.join(sources)}" for name, sources in (csp.forbid or {}).items()]
    return "; ".join(wants) or "a policy"


def _seen(finding: Finding) -> Verdict:
    """Return what the running stack showed of a finding."""
    return Verdict.PASS if finding.evidence == "contradicted" else finding.verdict


def _verdict(verdicts: Iterable[Verdict]) -> Verdict | None:
    return min(verdicts, key=_WORST.index, default=None)


def _found(rule: Rule, witnesses: Sequence[Facts]) -> tuple[str, ...]:
    """Return the first few values that the route's answers carry, or that some carry none."""
    values: dict[str, None] = {}
    for facts in witnesses:
        for case in facts.distinct(rule.route):
            if case.response is None or not answered_here(case) or promised_redirect(facts, case):
                continue
            lines = case.response.headers.all(rule.name)
            values.setdefault(", ".join(lines) if lines else "(none)")
            if len(values) == FOUND:
                return tuple(values)
    return tuple(values)


def _limits(loaded: LoadedPolicy, witnesses: Sequence[Facts]) -> Iterator[LimitAnswer]:
    for route in loaded.policy.routes:
        if route.rate_limit is None:
            continue
        notes: dict[Note, None] = {}
        measured = []
        for facts in witnesses:
            measured += [found.detail for found in facts.measured if found.route == route.id]
            for case in facts.of(route.id, "plain"):
                for limit in in_force(case):
                    if limit.location is not None:
                        words = _limit_words(limit.rate, limit.burst, limit.status, limit.key)
                        notes.setdefault(Note(limit.location, f"zone {limit.zone}: {words}"))
        yield LimitAnswer(route.id, _declared(route.rate_limit), tuple(notes), "; ".join(dict.fromkeys(measured)))


def _declared(limit: RateLimit) -> str:
    return _limit_words(limit.rate, limit.burst, limit.status, limit.key.replace("_", " "))


def _limit_words(rate: float, burst: int | None, status: int | None, key: str) -> str:
    parts = [f"{rate:g} requests a second"]
    parts += [f"burst {burst}"] if burst is not None else []
    parts += [f"status {status}"] if status is not None else []
    return ", ".join((*parts, f"per {key}"))


def _doors(loaded: LoadedPolicy, witnesses: Sequence[Facts], findings: Sequence[Finding]) -> Iterator[DoorAnswer]:
    """Yield every address that must not answer, then every door that the files open."""
    exposure = loaded.policy.exposure
    doors = [door for facts in witnesses for door in facts.doors or ()]
    known = any(facts.doors is not None for facts in witnesses)
    reaches = {reach.address: reach for facts in witnesses for reach in facts.reaches or ()}
    wrong = {f.notes[0].location for f in findings if f.check == "backend-port-published" and f.notes}
    for address in exposure.unreachable if exposure else ():
        port = address.rpartition(":")[2]
        opening = [door for door in doors if not door.loopback and door.address.rpartition(":")[2] == port]
        reach = reaches.get(address)
        notes = [Note(door.location, f"opened for {door.leads_to}") for door in opening if door.location is not None]
        closed = [Note(Location(""), "not opened")] if known and not notes else []
        yield DoorAnswer(address, "closed", (*notes, *closed), _reached(reach.reachable, reach.detail) if reach else "")
    for door in dict.fromkeys(doors):
        if door.location is not None:
            expected = "closed" if door.location in wrong else "open"
            yield DoorAnswer(door.address, expected, (Note(door.location, f"leads to {door.leads_to}"),))


def _reached(reachable: bool | None, detail: str) -> str:
    word = {True: "answers", False: "does not answer", None: "not decided"}[reachable]
    return f"{word}: {detail}" if detail else word
