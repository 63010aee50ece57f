r"""A preflight refuses a method the policy allows.

## What it checks

Whether a browser, after the preflight's answer, would send each method of the policy's `allow_methods` from an allowed origin. Method names are compared with regard to case.

## Why it matters

The client's requests fail before they are sent.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET, DELETE], allow_headers: []}
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

Name every method in `Access-Control-Allow-Methods`, in upper case, separated by commas.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.cors import cors_check
from auditor.browser.reason import Reason
from auditor.checks.granting import refuses
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
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-method-refused", "A preflight refuses a method the policy allows", Severity.MEDIUM, "0.1.0")
KINDS = {"cors": ("allow_methods",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose preflight refuses an allowed method."""
    wanted = [m.upper() for m in rule.value.allow_methods or () if m.upper() not in SAFELISTED_METHODS | {"OPTIONS"}]
    for case in facts.of(rule.route, "preflight"):
        origin, response = case.probe.origin, case.response
        if response is None or not origin.allowed or origin.value is None or promised_redirect(facts, case):
            continue
        credentials = bool(rule.value.allow_credentials)
        if case.probe.method not in {*wanted, "GET", "HEAD", "POST"} or not _usable(origin.value, credentials, case):
            continue
        candidates = [case.probe.method] if case.probe.method in wanted else []
        refused = [
            method
            for method in candidates
            if refuses(response, method, credentials=credentials)
            in {Reason.METHOD_NOT_ALLOWED, Reason.INVALID_ALLOW_METHODS, Reason.UNDECIDED}
        ]
        if not refused:
            yield None
        elif reason := undecided(case, "Access-Control-Allow-Methods") or open_backend(
            case, "Access-Control-Allow-Methods"
        ):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"no browser lets a page at {origin.value} send {', '.join(refused)} to {case.probe.path}",
                case=case,
                at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Methods")), None)),
                expected=", ".join(rule.value.allow_methods),
                observed=shown(response, "Access-Control-Allow-Methods"),
                subject=f"{place_subject(case)}|{','.join(refused)}",
            )


def _usable(origin: str, credentials: bool, case: Case) -> bool:
    """Whether the preflight passes but for its method (otherwise cors-preflight-fails speaks)."""
    response = case.response
    return (
        response is not None
        and response.status is not None
        and 200 <= response.status < 300
        and cors_check(origin, credentials=credentials, response=response) is None
    )
