r"""An allowed origin cannot read.

## What it checks

Whether a page at an origin that the policy allows can read the route's successful answers, as a browser decides it.

## Why it matters

A promise that does not hold is an outage for the site that relies on it.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "https://app.example:443" $http_origin;
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

Name the origin exactly as a browser serialises it: scheme, host in lower case, and the port only where it is not the scheme's default.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import doubled
from auditor.browser.consequence import refusal_words
from auditor.browser.cors import cors_check
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, made_at, open_backend, promised_redirect, shown, succeeded, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-origin-refused", "An allowed origin cannot read", Severity.MEDIUM, "0.1.0")
KINDS = {"cors": ("allow_origins",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every allowed origin that a browser would refuse on a successful answer."""
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin, case.response
        if not origin.allowed or origin.value is None or response is None or not succeeded(response):
            continue
        if promised_redirect(facts, case) or doubled(response) == "Access-Control-Allow-Origin":
            yield None
            continue
        refusal = cors_check(origin.value, credentials=False, response=response)
        reason = undecided(case, "Access-Control-Allow-Origin")
        if reason or refusal is Reason.UNDECIDED:
            reason = reason or open_backend(case, "Access-Control-Allow-Origin")
            yield unknown(CHECK, rule, reason, case=case)
            continue
        if refusal is None:
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"no browser lets a page at {origin.value} read {case.probe.method} {case.probe.path}: {refusal_words(refusal, response)}",
                case=case,
                at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Origin")), None)),
                expected=f"Access-Control-Allow-Origin: {origin.value}",
                observed=shown(response, "Access-Control-Allow-Origin"),
            )
