r"""Credentials are refused although the policy allows them.

## What it checks

Whether a page at an allowed origin can read the route's successful answers to requests with cookies, where the policy has `allow_credentials: true`.

## Why it matters

A client that sends cookies (`withCredentials`, `credentials: "include"`) gets an error although the server did the work.

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

Send `Access-Control-Allow-Credentials: true` (exactly that, in lower case) with the answer and with the preflight.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.consequence import refusal_words
from auditor.browser.cors import cors_check
from auditor.checks.judging import fail, made_at, open_backend, shown, succeeded, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-credentials-missing", "Credentials are refused although the policy allows them", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("allow_credentials",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every successful answer that is readable without credentials only."""
    if not rule.value.allow_credentials:
        return
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin, case.response
        if not origin.allowed or origin.value is None or response is None or not succeeded(response):
            continue
        if cors_check(origin.value, credentials=False, response=response) is not None:
            continue
        refusal = cors_check(origin.value, credentials=True, response=response)
        if refusal is None:
            yield None
        elif reason := undecided(case, "Access-Control-Allow-Credentials") or open_backend(
            case, "Access-Control-Allow-Credentials"
        ):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"no browser lets a page at {origin.value} read {case.probe.method} {case.probe.path} with cookies: {refusal_words(refusal, response)}",
                case=case,
                at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Origin")), None)),
                expected="Access-Control-Allow-Credentials: true",
                observed=shown(response, "Access-Control-Allow-Credentials"),
            )
