"""How a check says what it found: a finding at the line that made it, with the request that shows it.

A check's `decide(rule, facts)` yields one of these for every case it looked at: None (evaluated, and fine) or a Finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from auditor.errors import Location
from auditor.exchange import Field, Limit, Request, Response
from auditor.finding import CheckInfo, Finding, Note, Verdict, Witness
from auditor.plan.facts import NORMAL, Case, Facts, Purpose, Reach
from auditor.policy.loaded import Rule

SAFELISTED_METHODS = frozenset({"GET", "HEAD", "POST"})
"""Fetch, CORS-safelisted method: sent across origins without a preflight."""

NO_GRANT = frozenset(
    {"accept", "accept-language", "content-language", "range"}
    | {"accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method"}
    | {"connection", "content-length", "cookie", "cookie2", "date", "dnt", "expect", "host", "keep-alive", "origin"}
    | {"referer", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via", "user-agent"}
)
"""Names whose grant gives a page nothing: safelisted, or forbidden to pages (Fetch, forbidden request-header)."""


def fail(
    check: CheckInfo,
    rule: Rule,
    message: str,
    *,
    case: Case | None = None,
    request: Request | None = None,
    at: Location | None = None,
    note: str = "",
    also: tuple[Note, ...] = (),
    expected: str = "",
    observed: str = "",
    subject: str = "",
    remediation: str = "",
    credentials: bool = True,
) -> Finding:
    """Build the finding of a violation; without `at` it points at the block that answered.

    `request` is the witness where no single exchange is; `credentials`: whether it works with the user's cookies.
    """
    place = at or (case.place if case else None)
    shown_by = case.probe.request if case else request
    return Finding(
        check=check.id,
        rule=rule.id,
        verdict=Verdict.FAIL,
        severity=rule.severity if rule.severity is not None else check.severity,
        message=message,
        subject=subject or (_subject(case) if case else ""),
        route=rule.route or "",
        rule_location=rule.location,
        notes=also if place is None else (Note(place, note), *also),
        expected=expected,
        observed=observed,
        witness=None if shown_by is None else Witness(shown_by, credentials),
        exchanges=(case.exchange,) if case else (),
        evidence=case.exchange.kind if case else "predicted",
        remediation=remediation,
    )


def unknown(
    check: CheckInfo,
    rule: Rule,
    reason: str,
    *,
    case: Case | None = None,
    at: Location | None = None,
    subject: str = "",
) -> Finding:
    """Build the finding of something the configuration does not decide."""
    found = fail(check, rule, reason, case=case, at=at, subject=subject)
    return replace(found, verdict=Verdict.UNKNOWN)


def _subject(case: Case) -> str:
    outcome = case.exchange.outcome
    return "|".join((outcome.server or "", outcome.location or "", case.probe.origin.kind))


def undecided(case: Case, *headers: str) -> str:
    """Say why the case cannot be judged with regard to these headers, or "" where it can.

    Anything that leaves the whole answer, its headers or one of these headers open makes it undecided.
    """
    if case.exchange.outcome.unknown:
        concerns = {"answer", "headers", "status", *(f"header:{name.lower()}" for name in headers)}
        for item in case.exchange.outcome.unknown:
            if item.concerns in concerns:
                return f"{item.reason} ({item.location})" if item.location else item.reason
    response = case.response
    if response is None:
        return ""
    for name in headers:
        for line in response.headers.lines(name):
            if not line.decided:
                return f"the value of {name} depends on something the configuration does not decide"
    return ""


def open_backend(case: Case, *headers: str) -> str:
    """Say that a backend nobody modelled may add one of these headers, or "" where none can."""
    response = case.response
    if response is None or not response.further_headers or not any(response.may_have_more(name) for name in headers):
        return ""
    upstream = case.exchange.outcome.action.upstream or "the backend"
    return f"{upstream} is not described by any target: it may add {' or '.join(headers)} of its own"


def made_at(line: Field | None) -> Location | None:
    """The directive that made a header line."""
    return line.made_by if line else None


def shown(response: Response, name: str) -> str:
    """The lines of one header as they go over the wire, for a finding's `found`."""
    lines = response.headers.lines(name)
    return "; ".join([f"{line.name}: {line.value}" for line in lines]) if lines else f"no {name}"


def redirects_to_https(case: Case) -> bool:
    """Whether a plain-HTTP request is only sent on to HTTPS: what it carries matters to no page."""
    response = case.response
    if case.probe.entry.scheme != "http" or response is None or response.status not in {301, 302, 303, 307, 308}:
        return False
    return (response.headers.get("Location") or "").startswith("https://")


def promised_redirect(facts: Facts, case: Case) -> bool:
    """Whether the policy wants this request redirected to HTTPS, and it is."""
    if case.probe.entry.scheme != "http":
        return False
    tls = facts.policy.policy.tls
    return tls is not None and tls.redirect == "required" and redirects_to_https(case)


def succeeded(response: Response) -> bool:
    """Whether the response is one a page asked for: 2xx, 304, or not decided."""
    return response.status is None or 200 <= response.status < 300 or response.status == 304


def place_subject(case: Case) -> str:
    """Name the place that answered, for violations that do not depend on who asked."""
    outcome = case.exchange.outcome
    return f"{outcome.server or ''}|{outcome.location or ''}"


def normal(case: Case) -> bool:
    """Whether nothing went wrong: no layer failed, refused or limited."""
    return _within(case.exchange.outcome.when, NORMAL)


def answered_here(case: Case) -> bool:
    """Whether the request went its normal way, whatever files are on disk."""
    return _within(case.exchange.outcome.when, _WHATEVER_FILES)


_WHATEVER_FILES = NORMAL | {"file-missing"}


@lru_cache(maxsize=1024)
def _within(when: str, parts: frozenset[str]) -> bool:
    return parts.issuperset(when.split("+"))


def in_force(case: Case) -> tuple[Limit, ...]:
    """Return the request limits that really count this request: no dry run, no empty key."""
    return tuple(
        limit
        for limit in case.exchange.outcome.limits
        if limit.kind == "requests" and not limit.dry_run and limit.value
    )


def effective(limits: Sequence[Limit]) -> tuple[float, int]:
    """Return what all of these limits together let through: requests a second, and a burst; each bounds by itself."""
    return min(limit.rate for limit in limits), min(limit.burst for limit in limits)


def variants(facts: Facts, route: str | None, kind: str) -> Iterator[tuple[str, Case, Case]]:
    """Pair each case of a variant probe ("forged" header, other "client") with the plain case it varies."""
    plain: dict[tuple[str, str, str, str], Case] = {}
    for case in facts.of(route, "plain"):
        if normal(case):
            plain.setdefault((case.probe.entry.name, case.probe.host, case.probe.path, case.probe.method), case)
    for case in facts.of(route, "variant"):
        if case.probe.variant == kind and normal(case):
            base = plain.get((case.probe.entry.name, case.probe.host, case.probe.path, case.probe.method))
            if base is not None:
                yield case.probe.why, base, case


def paired_limits(base: Case, other: Case) -> Iterator[tuple[Limit, Limit]]:
    """Pair the limits in force of a request with those that another passes, by layer and zone; these may not count it."""
    limits = (limit for limit in other.exchange.outcome.limits if limit.kind == "requests" and not limit.dry_run)
    after = {(limit.layer, limit.zone): limit for limit in limits}
    for limit in in_force(base):
        if (limit.layer, limit.zone) in after:
            yield limit, after[limit.layer, limit.zone]


def ends_at(case: Case, address: str) -> bool:
    """Whether the request was passed on to this upstream address."""
    return any(entry.partition("@")[2] == address for entry in case.exchange.asked[1:]) or bool(
        case.exchange.outcome.upstream_request is not None and case.exchange.outcome.upstream_request.listen == address
    )


def is_error(case: Case) -> bool:
    """Whether a layer answered with an error by itself, or closed the connection."""
    response = case.response
    return response is None or (response.status is not None and response.status >= 400)


def answered_by(case: Case) -> str:
    """Say who answered and how, in words."""
    outcome, response = case.exchange.outcome, case.response
    status = "a closed connection" if response is None else f"status {response.status}"
    if outcome.action.upstream:
        return f"{outcome.action.upstream} answers"
    if outcome.action.file:
        return f"the file {outcome.action.file}"
    return f"{outcome.layer or 'a layer'} answers by itself ({outcome.action.kind}, {status})"


def all_cases(facts: Facts, *purposes: Purpose) -> Iterator[Case]:
    """Yield the cases of every route for these purposes."""
    for (_, purpose), cases in facts.cases.items():
        if purpose in purposes:
            yield from cases


def has_https(facts: Facts, rule: Rule) -> bool:
    """Whether the route can be reached over HTTPS at all."""
    return any(case.probe.entry.scheme == "https" for case in facts.of(rule.route, "cors"))


def routed(facts: Facts, rule: Rule) -> Iterator[Case]:
    """Yield the requests that a route is there for: its plain ones, or the allowed handshakes of a WebSocket route."""
    route = facts.policy.policy.route(rule.route or "")
    if route is None or route.websocket is None:
        yield from facts.of(rule.route, "plain")
    else:
        yield from (case for case in facts.of(rule.route, "websocket") if case.probe.origin.allowed)


def found_open(facts: Facts, address: str) -> Reach | None:
    """Return the attempt from outside that found open the port of an address, whatever the host is called there."""
    port = address.rpartition(":")[2]
    tried = facts.reaches or ()
    return next((r for r in tried if r.reachable and r.address.rpartition(":")[2] == port), None)
