r"""A preflight grants a method the policy does not allow.

## What it checks

Whether a preflight from an allowed origin is answered with an `Access-Control-Allow-Methods` that lets a browser send a method outside the policy's `allow_methods`. The safelisted methods GET, HEAD and POST need no grant and are not counted.

## Why it matters

A page can then send requests that nobody meant it to send: DELETE on a read-only interface.

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
                add_header Access-Control-Allow-Methods "GET, DELETE" always;
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

List exactly the methods the clients need.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [Fetch standard, CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import granted_methods
from auditor.browser.consequence import page_words
from auditor.checks.granting import ANY_METHOD, lets
from auditor.checks.judging import SAFELISTED_METHODS, fail, made_at, place_subject, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-method-not-allowed", "A preflight grants a method the policy does not allow", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("allow_methods",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose preflight grants more methods than the policy."""
    wanted = {method.upper() for method in rule.value.allow_methods or ()} | SAFELISTED_METHODS | {"OPTIONS"}
    if rule.value.allow_methods is None:
        return
    for case in facts.of(rule.route, "preflight"):
        response = case.response
        if response is None or not case.probe.origin.allowed or case.probe.origin.value is None:
            continue
        named = set(granted_methods(response)) - wanted
        origin = case.probe.origin.value
        excess = sorted(m for m in named if lets(response, origin, ANY_METHOD if m == "*" else m))
        if not excess:
            yield None
            continue
        what = ", ".join("every method" if method == "*" else method for method in excess)
        yield fail(
            CHECK,
            rule,
            f"{page_words(origin)} can send {what} to {case.probe.path}",
            case=case,
            at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Methods")), None)),
            expected=", ".join(rule.value.allow_methods),
            observed=shown(response, "Access-Control-Allow-Methods"),
            subject=place_subject(case),
        )
