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

from collections.abc import Iterator

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
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-vary-origin-missing", "The answer depends on the Origin and does not say so", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("vary",)}


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
        allowed = {case.response.headers.all("Access-Control-Allow-Origin") for case in cases if case.response}
        if facts.kind == "observed" and not any(allowed):
            continue
        if len(allowed) < 2 or all("*" in values for values in allowed if values):
            yield None
            continue
        yield from (_judge(rule, case) for case in cases)


def _judge(rule: Rule, case: Case) -> Finding | None:
    response = case.response
    if response is None:
        return None
    named = {part.strip().lower() for value in response.headers.all("Vary") for part in value.split(",")}
    if named & {"origin", "*"}:
        return None
    if reason := undecided(case, "Vary") or open_backend(case, "Vary"):
        return unknown(CHECK, rule, reason, case=case)
    return fail(
        CHECK,
        rule,
        f"{case.probe.path} answers by Origin, and {case.exchange.outcome.when} answers lack Vary: Origin",
        case=case,
        at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Origin")), None)),
        note="this value depends on the request's Origin",
        expected="Vary: Origin on every answer of the route",
        observed=shown(response, "Vary"),
        subject=place_subject(case),
    )
