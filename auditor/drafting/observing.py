"""What a route does today, as clauses of a policy: who may read it, which headers it has, what limits it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

from auditor.checks.judging import in_force, normal, open_backend, redirects_to_https, succeeded
from auditor.dataclass import dataclass
from auditor.drafting.origins import ALLOW_ORIGIN, readers
from auditor.drafting.places import Place
from auditor.drafting.proxying import timeouts, websocket
from auditor.drafting.writing import Noted, seen_at
from auditor.exchange import Field, Limit
from auditor.plan.facts import Case, Facts
from auditor.policy.values import host_port

PROMISED = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Permissions-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Embedder-Policy",
    "Cross-Origin-Resource-Policy",
)
"""Response headers that protect pages: what is sent today is promised."""

TENTATIVE = ("served_by", "caching")
"""Clauses that are only kept where they hold: nobody said that they are meant."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A route as drafted: its clauses by key, remarks for its reader, whether it serves nothing to anyone."""

    place: Place
    clauses: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    denied: bool = False
    reached: bool = True


def observe(place: Place, facts: Facts) -> Drafted:
    """Return what a route does, from the answers of a configuration to every probe of it."""
    every = [case for case in facts.of(place.id, "plain") if not redirects_to_https(case)]
    usual = [case for case in every if normal(case)] or every
    if not usual:
        return Drafted(place, reached=False)
    if all(_denies(case) for case in (*every, *facts.of(place.id, "cors"), *facts.of(place.id, "websocket"))):
        return Drafted(place, denied=True)
    good = [case for case in usual if case.response is not None and succeeded(case.response)]
    if place.sends_on:
        return Drafted(place)
    remarks: list[str] = []
    upstreams = sorted({address for case in usual if (address := upstream(case))})
    clauses = {
        "served_by": upstreams[0] if len(upstreams) == 1 else None,
        "cors": _cors(place, facts, remarks),
        "websocket": websocket(place, facts, remarks),
        "headers": dict(_headers(good or usual)) or None,
        "rate_limit": _rate_limit([c for c in usual if c.probe.method != "OPTIONS" and not _denies(c)], remarks),
        "timeouts": timeouts(place, facts) or None,
        "caching": _caching(good),
    }
    clauses = {key: clause for key, clause in clauses.items() if clause is not None}
    return Drafted(place, clauses, tuple(remarks))


def _denies(case: Case) -> bool:
    response = case.response
    if response is None:
        return case.exchange.outcome.action.kind == "close"
    return response.status in {401, 403, 404, 410} and not case.exchange.outcome.action.upstream


def upstream(case: Case) -> str:
    """Return the host:port that a request was passed on to, "" where it was not or that is not decided."""
    url = case.exchange.outcome.action.upstream or ""
    scheme, separator, rest = url.partition("://")
    address = rest.partition("/")[0]
    if not separator or scheme not in {"http", "https"} or not address.isascii() or not address.isprintable():
        return ""
    if address.startswith("unix:") or any(c in address for c in "$ \ufffd"):
        return ""
    address = address if ":" in address.rpartition("]")[2] else f"{address}:{443 if scheme == 'https' else 80}"
    try:
        host_port(address)
    except ValueError:
        return ""
    return address


def _cors(place: Place, facts: Facts, remarks: list[str]) -> Any:
    asked = facts.of(place.id, "cors") if facts.cases.get((place.id, "cors")) else facts.of(place.id, "plain")
    cases = [c for c in asked if normal(c) and not redirects_to_https(c)]
    if not cases:
        return None
    found = readers(cases)
    preflights = [c for c in facts.of(place.id, "preflight") if normal(c) and not redirects_to_https(c)]
    if found.undecided:
        remarks.append(f"CORS is up to {_backend(cases)}: describe it with a target of type asgi, or state it here")
        return None
    if not found.items and not found.anybody:
        if place.paths[0].startswith("/**/*."):
            return None
        silent = all(c.response is None or ALLOW_ORIGIN not in c.response.headers for c in (*cases, *preflights))
        return Noted({"enabled": False}, "no page of another origin reads this") if silent else {"allow_origins": []}
    answered = [c for c in preflights if c.response is not None and ALLOW_ORIGIN in c.response.headers]
    clause: dict[str, Any] = {"allow_origins": ["*"] if found.anybody else found.items}
    clause |= _lists(answered, cases)
    if found.credentials and found.anybody:
        remarks.append("every origin may read, and with cookies: a policy cannot promise that; name the origins")
    elif found.credentials:
        clause["allow_credentials"] = True
    ages = [int(age) for age in _list(answered, "Access-Control-Max-Age") if age.isdigit()]
    if ages:
        clause["max_age"] = {"max": f"{max(ages)}s"}
    if found.dynamic:
        clause["vary"] = ["Origin"]
    return clause


def _lists(answered: Sequence[Case], cases: Sequence[Case]) -> dict[str, Any]:
    """Return what preflights grant and answers expose, where that is a list."""
    lists = {
        "allow_methods": _list(answered, "Access-Control-Allow-Methods"),
        "allow_headers": _list(answered, "Access-Control-Allow-Headers"),
        "expose_headers": _list(cases, "Access-Control-Expose-Headers"),
    }
    return {key: words for key, words in lists.items() if words and "*" not in words}


def _backend(cases: Sequence[Case]) -> str:
    return next((address for case in cases if (address := upstream(case))), "the backend")


def _list(cases: Sequence[Case], name: str) -> list[str]:
    words = [
        word.strip()
        for case in cases
        if case.response is not None
        for value in case.response.headers.all(name)
        for word in value.split(",")
    ]
    return list(dict.fromkeys(word for word in words if word and word.isascii() and word.isprintable()))


def _headers(cases: Sequence[Case]) -> Iterator[tuple[str, Any]]:
    """Yield each protecting header that every answer has with one value, and those that a block takes away."""
    for name in PROMISED:
        wanted = [case for case in cases if name != PROMISED[1] or case.probe.entry.scheme == "https"]
        lines = [(line, False) for case in wanted if (line := _line(case, name))]
        lost = [(line, True) for case in wanted if not _line(case, name) for line in _lost(case, name)]
        values = {line.value for line, _ in (*lines, *lost)}
        if len(values) != 1 or not all(_line(case, name) or _lost(case, name) for case in wanted):
            continue
        line, _ = (*lines, *lost)[0]
        note = seen_at(line.made_by)
        if lost:
            note += ", and lost in a block inside it" if note else "lost in a block with headers of its own"
        if line.decided and line.value.isprintable():
            yield name, Noted(line.value, note)


def _line(case: Case, name: str) -> Field | None:
    lines = case.response.headers.lines(name) if case.response is not None else ()
    return lines[0] if lines else None


def _lost(case: Case, name: str) -> tuple[Field, ...]:
    return tuple(line for line in case.exchange.outcome.lost if line.name.lower() == name.lower())


def _rate_limit(cases: Sequence[Case], remarks: list[str]) -> Any:
    """Return the strictest limit that counts every request of the route."""
    each = [in_force(case) for case in cases]
    if not each or not all(each):
        dead = next((limit for case in cases for limit in case.exchange.outcome.limits), None)
        if dead is not None:
            remarks.append(f"the limit at {seen_at(dead.location)} does not count every request here")
        return None
    strictest = min((limit for limits in each for limit in limits), key=lambda limit: limit.rate)
    if not all(any(limit.zone == strictest.zone for limit in limits) for limits in each):
        return None
    if not strictest.rate:
        remarks.append(f"the limit at {seen_at(strictest.location)} has no rate that is known here: state it")
        return None
    key = _key(strictest)
    if key is None:
        remarks.append(
            f"the limit at {seen_at(strictest.location)} counts by {strictest.key}: state it here if it is meant"
        )
        return None
    clause = {"rate": _rate(strictest.rate), "burst": strictest.burst, "status": strictest.status}
    return Noted(clause if key == "client_ip" else {**clause, "key": key}, seen_at(strictest.location))


def _key(limit: Limit) -> str | None:
    name = limit.key.removeprefix("$").strip("{}")
    if name in {"binary_remote_addr", "remote_addr", "client_ip"}:
        return "client_ip"
    return f"header:{name.removeprefix('http_').replace('_', '-')}" if name.startswith("http_") else None


def _rate(per_second: float) -> str:
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3600), ("d", 86400)):
        number = per_second * seconds
        if number >= 1 and abs(number - round(number)) < 1e-6:
            return f"{round(number)}/{unit}"
    return f"{per_second:g}/s"


def _caching(cases: Sequence[Case]) -> Any:
    """Return what every answer says to caches, where it says the same."""
    values = {_line(case, "Cache-Control") for case in cases}
    texts = {line.value for line in values if line is not None}
    if None in values or len(texts) != 1 or not cases:
        return None
    line = next(line for line in values if line is not None)
    words = [word.strip() for word in line.value.split(",") if word.strip()]
    if not line.decided or not words or any(open_backend(case, "Cache-Control") for case in cases):
        return None
    return Noted({"cache_control": {"contains": words}}, seen_at(line.made_by))
