"""What checks of response headers share: which answers a rule is about, and what a value has to be."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from auditor.browser.url import Url, parse_url
from auditor.checks.judging import fail, open_backend, place_subject, promised_redirect
from auditor.errors import Location
from auditor.exchange import Field
from auditor.finding import CheckInfo, Finding
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

if TYPE_CHECKING:
    from auditor.browser.cookies import SetCookie


def judged(facts: Facts, rule: Rule) -> tuple[Case, ...]:
    """Return the answers that a rule about a header (`rule.name`) judges: not promised redirects, nor HSTS over HTTP."""
    hsts = rule.value.hsts is not None

    def found() -> tuple[Case, ...]:
        return tuple(
            case
            for case in facts.distinct(rule.route)
            if case.response is not None
            and not (hsts and case.probe.entry.scheme == "http")
            and not promised_redirect(facts, case)
        )

    return facts.once(("judged", rule.route, hsts), found)


def stated(facts: Facts, rule: Rule) -> Iterator[tuple[Case, Field]]:
    """Yield those of the judged answers that have the header, each with its first line."""
    for case in judged(facts, rule):
        line = next(iter(case.response.headers.lines(rule.name)), None) if case.response else None
        if line is not None:
            yield case, line


def lost_by_inheritance(case: Case, name: str) -> Location | None:
    """The `add_header` of an outer block that would set this header if the inner block had none of its own."""
    return next((f.made_by for f in case.exchange.outcome.lost if f.name.lower() == name.lower()), None)


def expectation(rule: Rule) -> str:
    """Say what the rule wants, for a finding's `expected`."""
    return f"{rule.name}: {matcher_words(rule.value)}"


def matcher_words(value: Any) -> str:
    """Say in words what a value rule wants."""
    parts = []
    if value.exact is not None:
        parts.append(value.exact)
    if value.one_of is not None:
        parts.append("one of " + ", ".join(value.one_of))
    if value.regex is not None:
        parts.append(f"a match of {value.regex}")
    if value.not_regex is not None:
        parts.append(f"no match of {value.not_regex}")
    if value.contains is not None:
        parts.append("contains " + ", ".join(value.contains))
    if value.not_contain is not None:
        parts.append("does not contain " + ", ".join(value.not_contain))
    if getattr(value, "hsts", None) is not None:
        age = value.hsts.min_max_age
        parts.append(f"max-age of at least {age:.0f} seconds" if age is not None else "an HSTS policy")
    if getattr(value, "csp", None) is not None:
        parts.append("a policy as the rule describes it")
    if getattr(value, "present", None):
        parts.append("any value")
    return "; ".join(parts)


def value_problem(value: Any, text: str) -> str:
    """Say what is wrong with a header's value, or "" where nothing is."""
    wanted = text.strip()
    if value.exact is not None and wanted.lower() != value.exact.lower():
        return f"is {wanted!r}"
    if value.one_of is not None and wanted.lower() not in {item.lower() for item in value.one_of}:
        return f"is {wanted!r}"
    if value.regex is not None and not re.search(value.regex, wanted):
        return f"is {wanted!r}"
    if value.not_regex is not None and re.search(value.not_regex, wanted):
        return f"is {wanted!r}"
    if value.contains is not None and (lacking := [w for w in value.contains if w.lower() not in wanted.lower()]):
        return f"lacks {', '.join(lacking)}"
    if value.not_contain is not None and (found := [w for w in value.not_contain if w.lower() in wanted.lower()]):
        return f"contains {', '.join(found)}"
    return ""


Policies = tuple[dict[str, list[str]], ...]
"""Every policy of an answer: directive -> sources, lower case."""


def csp_verdicts(
    check: CheckInfo,
    rule: Rule,
    facts: Facts,
    faults: Callable[[Policies], Sequence[str]],
    *,
    verb: str,
    expected: str = "",
) -> Iterator[Finding | None]:
    """Yield a finding for every answer whose policies have faults; `verb` says what they do with these."""
    for case, line in stated(facts, rule):
        found = ", ".join(faults(csp_policies(case, rule.name)))
        if not found:
            yield None
            continue
        yield fail(
            check,
            rule,
            f"the Content-Security-Policy of {case.probe.path} {verb} {found}",
            case=case,
            at=line.made_by,
            expected=expected or f"none of {found}",
            observed=f"{line.name}: {line.value}",
            subject=place_subject(case),
        )


def csp_forbidden(check: CheckInfo, rule: Rule, facts: Facts, kind: Collection[str]) -> Iterator[Finding | None]:
    """Yield a finding for every answer that lets through sources of a kind which the rule forbids in a directive."""
    wanted = rule.value.csp
    forbidden = [(d, s) for d, sources in (wanted.forbid if wanted else {}).items() for s in sources if s in kind]
    if forbidden:
        yield from csp_verdicts(
            check,
            rule,
            facts,
            lambda policies: [f"{d} {source}" for d, source in forbidden if csp_allows(policies, d, source)],
            verb="allows",
        )


def csp_policies(case: Case, name: str) -> Policies:
    """Parse every policy of the answer (CSP3 §2.2.2: a comma separates policies).

    Of a directive that is repeated in one policy the first counts.
    """
    values = case.response.headers.all(name) if case.response else ()
    result = []
    for text in ",".join(values).split(","):
        policy: dict[str, list[str]] = {}
        for part in text.split(";"):
            words = part.split()
            if words:
                policy.setdefault(words[0].lower(), [word.lower() for word in words[1:]])
        if policy:
            result.append(policy)
    return tuple(result)


FALLBACK = {
    "script-src-elem": ("script-src", "default-src"),
    "script-src-attr": ("script-src", "default-src"),
    "style-src-elem": ("style-src", "default-src"),
    "style-src-attr": ("style-src", "default-src"),
    "worker-src": ("child-src", "script-src", "default-src"),
    "frame-src": ("child-src", "default-src"),
}
"""Which directive governs when one is not there (CSP3 §6.8.3)."""

NO_FALLBACK = frozenset({"base-uri", "form-action", "frame-ancestors", "sandbox", "report-uri", "report-to"})
"""Directives that default-src does not stand in for."""


def csp_sources(policy: dict[str, list[str]], directive: str) -> list[str]:
    """Return the sources in force for a directive, by the fallback list of CSP3 §6.8.3; [] where none is."""
    name = directive.lower()
    chain = (name,) if name in NO_FALLBACK else (name, *FALLBACK.get(name, ("default-src",)))
    return next((policy[item] for item in chain if item in policy), [])


def csp_allows(policies: Sequence[dict[str, list[str]]], directive: str, source: str) -> bool:
    """Whether every policy of the answer lets this source through (all of them are enforced).

    A directive that is not in force allows everything. `'unsafe-inline'` counts for nothing beside a nonce, a hash
    or `'strict-dynamic'` (CSP3 §6.7.3.2), and hosts and schemes for nothing beside `'strict-dynamic'`.
    """
    for policy in policies:
        chain = csp_sources(policy, directive)
        governed = any(item in policy for item in (directive, *FALLBACK.get(directive, ()), "default-src"))
        if not governed:
            continue
        if source.lower() not in chain:
            return False
        strict = "'strict-dynamic'" in chain
        keyed = strict or any(item.startswith(("'nonce-", "'sha256-", "'sha384-", "'sha512-")) for item in chain)
        if (source == "'unsafe-inline'" and keyed) or (not source.startswith("'") and strict):
            return False
    return bool(policies)


NOWHERE = Url("https", "invalid", None, "/")
"""Where an answer is from whose URL a browser does not read."""


def cookies(facts: Facts, rule: Rule) -> Iterator[tuple[Case, Field | None, SetCookie | None]]:
    """Yield each cookie of the rule's name (with or without prefix) that an answer sets, as a browser reads its line.

    A backend nobody modelled may set it too: then the cookie is None. A line that deletes the cookie is none.
    """
    from auditor.browser.cookies import read_set_cookie  # noqa: PLC0415 - only where a policy speaks of cookies

    wanted = rule.name
    for case in facts.of(rule.route, "plain", "cors"):
        if case.response is None:
            continue
        if open_backend(case, "Set-Cookie"):
            yield case, None, None
        lines = case.response.headers.lines("Set-Cookie")
        url = (parse_url(case.exchange.request.url) if lines else None) or NOWHERE
        for line in lines:
            read = read_set_cookie(line.value, url)
            name = read.cookie.name
            if not read.deletes and wanted in {"*", name, name.removeprefix("__Host-"), name.removeprefix("__Secure-")}:
                yield case, line, read


def cookie_words(case: Case, read: SetCookie) -> str:
    """Name the cookie and the answer that sets it, and say where no browser takes it."""
    refused = f", which no browser stores ({read.refused})," if read.refused else ""
    return f"the cookie {read.cookie.name} of {case.probe.method} {case.probe.path}{refused}"
