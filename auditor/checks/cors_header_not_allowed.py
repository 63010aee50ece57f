r"""A preflight grants a request header the policy does not allow.

## What it checks

Whether a preflight from an allowed origin is answered with an `Access-Control-Allow-Headers` that lets a browser send a header outside the policy's `allow_headers`. Headers a page may send anyway (the safelisted ones) and headers a page can never set (`Origin`, `Host`, …) are not counted.

## Why it matters

Each granted header is one more thing a page can make the user's browser say.

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
                add_header Access-Control-Allow-Headers "X-Internal-User" always;
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

List exactly the headers the clients set.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [Fetch standard, CORS-safelisted request-header](https://fetch.spec.whatwg.org/#cors-safelisted-request-header)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import granted_headers
from auditor.browser.consequence import page_words
from auditor.checks.granting import ANY_HEADER, lets
from auditor.checks.judging import NO_GRANT, fail, made_at, place_subject, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-header-not-allowed", "A preflight grants a request header the policy does not allow", Severity.LOW, "0.1.0"
)
KINDS = {"cors": ("allow_headers",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose preflight grants more headers than the policy."""
    if rule.value.allow_headers is None:
        return
    wanted = {name.lower() for name in rule.value.allow_headers} | NO_GRANT
    for case in facts.of(rule.route, "preflight"):
        response = case.response
        if response is None or not case.probe.origin.allowed or case.probe.origin.value is None:
            continue
        named = {n for n in granted_headers(response) if n.lower() not in wanted}
        origin, method = case.probe.origin.value, case.probe.method
        excess = sorted(
            name
            for name in named
            if "*" not in wanted and lets(response, origin, method, (ANY_HEADER if name == "*" else name.lower(),))
        )
        if not excess:
            yield None
            continue
        what = ", ".join("every header but Authorization" if name == "*" else name for name in excess)
        yield fail(
            CHECK,
            rule,
            f"{page_words(origin)} can set {what} on {method} {case.probe.path}",
            case=case,
            at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Headers")), None)),
            expected=", ".join(rule.value.allow_headers) or "no header beyond the safelisted ones",
            observed=shown(response, "Access-Control-Allow-Headers"),
            subject=place_subject(case),
        )
