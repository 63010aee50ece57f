r"""The answer depends on the Origin and does not say so.

## What it checks

Whether every answer of a route whose `Access-Control-Allow-Origin` depends on the request's Origin carries `Vary: Origin`; answers to refused origins and to requests without one too.

## Why it matters

A cache keeps the answer made for one origin and gives it to another: the page breaks, or reads what was not meant for it.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "https://app.example" $http_origin;
    }
    map $http_origin $credentials {
        default "";
        "https://app.example" true;
    }
    map $cors $methods {
        default GET;
        "" "";
    }
    map $cors $max_age {
        default 600;
        "" "";
    }
    server {
        listen 80;
        location / {
            add_header Access-Control-Allow-Origin $cors always;
            add_header Access-Control-Allow-Credentials $credentials always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $cors always;
                add_header Access-Control-Allow-Credentials $credentials always;
                add_header Access-Control-Allow-Methods $methods always;
                add_header Access-Control-Max-Age $max_age always;
                add_header Vary Origin always;
                return 204;
            }
            return 200 ok;
        }
    }
}
```

## Passes

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "https://app.example" $http_origin;
    }
    map $http_origin $credentials {
        default "";
        "https://app.example" true;
    }
    map $cors $methods {
        default GET;
        "" "";
    }
    map $cors $max_age {
        default 600;
        "" "";
    }
    server {
        listen 80;
        location / {
            add_header Access-Control-Allow-Origin $cors always;
            add_header Access-Control-Allow-Credentials $credentials always;
            add_header Vary Origin always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $cors always;
                add_header Access-Control-Allow-Credentials $credentials always;
                add_header Access-Control-Allow-Methods $methods always;
                add_header Access-Control-Max-Age $max_age always;
                add_header Vary Origin always;
                return 204;
            }
            return 200 ok;
        }
    }
}
```

## Remediation

Send `Vary: Origin` with every answer of the route, whatever the origin: `add_header Vary Origin always;`.

## References

- [Fetch standard, CORS protocol and HTTP caches](https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches)
- [RFC 9110 §12.5.5](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.browser.answers import shared_alike
from auditor.browser.consequence import page_words, refusal_words
from auditor.browser.cors import cors_check
from auditor.browser.http_cache import kept_apart
from auditor.checks.judging import (
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
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-vary-origin-missing", "The answer depends on the Origin and does not say so", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("vary",)}
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
NOBODY = "https://somebody-else.invalid"
"""An origin that no answer is made for."""


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that answers by Origin without `Vary: Origin`."""
    if rule.value.vary is not None and "origin" not in {name.lower() for name in rule.value.vary}:
        return
    groups: dict[tuple[str, str, str], list[Case]] = {}
    for case in facts.of(rule.route, "cors", "plain"):
        cacheable = case.probe.request.method in {"GET", "HEAD"}
        if cacheable and case.response is not None and not promised_redirect(facts, case):
            key = (case.probe.path, case.probe.entry.name, case.probe.host)
            groups.setdefault(key, []).append(case)
    for cases in groups.values():
        if len({case.probe.origin.value for case in cases}) < 2:
            continue
        answers = [case.response for case in cases if case.response is not None]
        if not any(ALLOW_ORIGIN in response.headers for response in answers):
            if facts.kind == "predicted":
                yield None
            continue
        if shared_alike(answers) or not _by_origin(answers):
            yield None
            continue
        readers = _readers(cases)
        yield from (_judge(rule, case, readers) for case in cases)


def _by_origin(answers: Sequence[Response]) -> bool:
    """Whether who asked decides on more than whether a `*` that shares the answer with everybody is there."""
    return any(
        ALLOW_ORIGIN in response.headers and cors_check(NOBODY, credentials=False, response=response) is not None
        for response in answers
    )


def _readers(cases: Sequence[Case]) -> dict[str, None]:
    """Return the allowed origins that can read the answer made for them."""
    asked = ((case.probe.origin.value, case.response) for case in cases if case.probe.origin.allowed)
    return {
        origin: None
        for origin, response in asked
        if origin is not None
        and response is not None
        and cors_check(origin, credentials=False, response=response) is None
    }


def _judge(rule: Rule, case: Case, readers: Iterable[str]) -> Finding | None:
    response = case.response
    if response is None or ("Vary" in response.headers and kept_apart(response, "Origin")):
        return None
    if reason := undecided(case, "Vary") or open_backend(case, "Vary"):
        return unknown(CHECK, rule, reason, case=case)
    return fail(
        CHECK,
        rule,
        _consequence(case, response, readers),
        case=case,
        at=made_at(next(iter(response.headers.lines(ALLOW_ORIGIN)), None)),
        note="this value depends on the request's Origin",
        expected="Vary: Origin on every answer of the route",
        observed=shown(response, "Vary"),
        subject=place_subject(case),
    )


def _consequence(case: Case, stored: Response, readers: Iterable[str]) -> str:
    """Say which page gets the answer made for another and what no browser lets it do then."""
    asked = case.probe.origin.value
    maker = "a request without Origin" if asked is None else page_words(asked)
    kept = f"what {case.probe.method} {case.probe.path} answers to {maker}"
    for origin in readers:
        refusal = cors_check(origin, credentials=False, response=stored)
        if refusal is not None:
            why = refusal_words(refusal, stored)
            return f"no browser lets {page_words(origin)} read {kept} once a cache has it, without Vary: Origin: {why}"
    return f"without Vary: Origin a cache hands {kept} to pages at other origins too ({case.exchange.outcome.when})"
