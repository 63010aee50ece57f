"""What the checks of who may read share: every refused origin is asked of the browser, each check takes its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from auditor.browser.answers import leads_elsewhere
from auditor.browser.consequence import page_words
from auditor.browser.cors import cors_check
from auditor.checks.granting import lets
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
from auditor.exchange import Response
from auditor.finding import CheckInfo, Finding, Note
from auditor.plan.cells import origin_policy
from auditor.plan.facts import Case, Facts, Pattern
from auditor.policy.loaded import Rule
from auditor.policy.model import Origin

ALLOW_ORIGIN = "Access-Control-Allow-Origin"


def readers(
    check: CheckInfo, rule: Rule, facts: Facts, note: str, mine: Callable[[Case], bool]
) -> Iterator[Finding | None]:
    """Yield a finding for every refused origin of a check's kind that a browser would let read an answer, or send more."""
    asking = Asking.of(facts, rule.route)
    for case in refused(facts, rule.route):
        if not mine(case) or case.response is None or promised_redirect(facts, case):
            yield None
        else:
            yield _judge(check, rule, case, note, asking)


def refused(facts: Facts, route: str | None) -> tuple[Case, ...]:
    """Return the cases of a route in which an origin asks that the policy does not allow."""

    def found() -> tuple[Case, ...]:
        asked = facts.of(route, "cors", "preflight")
        return tuple(case for case in asked if case.probe.origin.value is not None and not case.probe.origin.allowed)

    return facts.once(("refused origins", route), found)


def _judge(check: CheckInfo, rule: Rule, case: Case, note: str, asking: Asking) -> Finding | None:
    origin, response = case.probe.origin.value or "", case.response
    if response is None:
        return None
    reason = undecided(case, ALLOW_ORIGIN)
    if not reason and ALLOW_ORIGIN not in response.headers:
        reason = open_backend(case, ALLOW_ORIGIN)
    if reason:
        return unknown(check, rule, reason, case=case)
    if not asking.gives(case):
        return None
    places = [Note(p.location, note) for p in case.probe.origin.matched if p.location is not None]
    made = made_at(next(iter(response.headers.lines(ALLOW_ORIGIN)), None))
    echo = (Note(made, "and this line sends it back"),) if made is not None and places else ()
    secretly = cors_check(origin, credentials=True, response=response) is None
    return fail(
        check,
        rule,
        f"{page_words(origin)} can {_verb(case)} {case.probe.method} {case.probe.path}"
        + (" with the user's cookies" if secretly else ""),
        case=case,
        at=places[0].location if places else made,
        note=note,
        also=(*places[1:], *echo),
        expected=f"no {ALLOW_ORIGIN} for an origin outside the policy",
        observed=shown(response, ALLOW_ORIGIN),
        subject=f"{place_subject(case)}|{case.probe.origin.kind}|{' '.join(p.text for p in case.probe.origin.matched)}",
        remediation=_remedy(rule, case),
        credentials=secretly,
    )


class Asking:
    """Whether a browser gives a page what it asks for, with all that comes before the answer: preflight and redirect."""

    def __init__(self, facts: Facts, route: str | None) -> None:
        """Remember the preflights of a route by the place and the origin that they are about."""
        self._given: dict[int, bool] = {}
        self._asked = tuple(facts.of(route, "cors"))
        self._read: set[object] | None = None
        self.preflights: dict[object, list[Response]] = {}
        for case in facts.of(route, "preflight"):
            if case.response is not None:
                self.preflights.setdefault(self._about(case), []).append(case.response)

    @classmethod
    def of(cls, facts: Facts, route: str | None) -> Asking:
        """Return what all checks ask about a route."""
        return facts.once(("asking", route), lambda: cls(facts, route))

    def gives(self, case: Case) -> bool:
        """Whether the page may read the answer or, of a preflight, have its request sent.

        An answer that only redirects is never read: where it leads is another place of the plan. A method that needs a
        preflight is never sent where no preflight from there grants it.
        """
        key = id(case)  # the facts keep it
        if key not in self._given:
            self._given[key] = self._gives(case)
        return self._given[key]

    def reads(self, case: Case) -> bool:
        """Whether the page reads, by some method, an answer from there that the same directive lets it read."""
        if self._read is None:
            self._read = {self._answered(other) for other in self._asked if self.gives(other)}
        return self._answered(case) in self._read

    @classmethod
    def _answered(cls, case: Case) -> object:
        lines = case.response.headers.lines(ALLOW_ORIGIN) if case.response is not None else ()
        return cls._about(case), tuple(line.made_by for line in lines)

    def _gives(self, case: Case) -> bool:
        response, origin = case.response, case.probe.origin.value or ""
        if response is None or cors_check(origin, credentials=False, response=response) is not None:
            return False
        if case.probe.purpose == "preflight":
            return lets(response, origin, case.probe.method)
        if leads_elsewhere(response):
            return False
        if case.probe.method in SAFELISTED_METHODS:
            return True
        return any(lets(found, origin, case.probe.method) for found in self.preflights.get(self._about(case), ()))

    @staticmethod
    def _about(case: Case) -> object:
        return case.probe.entry, case.probe.host, case.probe.path, case.probe.origin.value


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
