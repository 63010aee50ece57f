r"""A preflight from an allowed origin fails.

## What it checks

Whether the preflight for an allowed method and the allowed headers, from an allowed origin, ends as the Fetch standard wants: a 2xx status without redirect or authentication, and CORS headers that match. Where the policy lists `preflight.status`, the status must be one of them too.

## Why it matters

A browser does not send the request at all: the interface is down for that origin.

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
            add_header Vary Origin always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $cors always;
                add_header Access-Control-Allow-Credentials $credentials always;
                add_header Access-Control-Allow-Methods $methods always;
                add_header Access-Control-Max-Age $max_age always;
                add_header Vary Origin always;
                return 301 https://www.example/;
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

Answer OPTIONS before authentication and redirects, with status 204 and the CORS headers.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [Fetch standard, CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.browser.consequence import refusal_words
from auditor.browser.cors import cors_check
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, made_at, normal, open_backend, promised_redirect, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-preflight-fails", "A preflight from an allowed origin fails", Severity.HIGH, "0.1.0")
KINDS = {"cors": ("preflight",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that fails the preflight of an allowed origin."""
    if not rule.value.enabled:
        return
    statuses = rule.value.preflight.status
    credentials = bool(rule.value.allow_credentials)
    for case in facts.of(rule.route, "preflight"):
        origin, response = case.probe.origin, case.response
        if not origin.allowed or origin.value is None or not case.probe.granted or promised_redirect(facts, case):
            continue
        if response is None or not normal(case):
            continue
        reason = undecided(case, "Access-Control-Allow-Origin")
        if not reason and cors_check(origin.value, credentials=credentials, response=response) is Reason.UNDECIDED:
            reason = open_backend(case, "Access-Control-Allow-Origin")
        if reason:
            yield unknown(CHECK, rule, reason, case=case)
            continue
        problem = _problem(origin.value, case, credentials=credentials, statuses=statuses)
        if not problem:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"a browser refuses to send {case.probe.method} {case.probe.path} for a page at {origin.value}: {problem}",
            case=case,
            at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Origin")), None)),
            expected=f"a preflight answer with status {' or '.join(map(str, statuses))} that allows {origin.value}",
            observed=f"status {response.status}; {shown(response, 'Access-Control-Allow-Origin')}",
        )


def _problem(origin: str, case: Case, *, credentials: bool, statuses: Sequence[int]) -> str:
    response = case.response
    if response is None or response.status is None:
        return "no answer"
    if not 200 <= response.status < 300:
        return f"the preflight is answered with status {response.status}"
    if len(response.headers.lines("Access-Control-Allow-Origin")) < 2 and (
        refusal := cors_check(origin, credentials=credentials, response=response)
    ):
        return refusal_words(refusal, response)
    if response.status not in statuses:
        return f"status {response.status} is not one the policy lists"
    return ""
