r"""An origin outside the policy may read.

## What it checks

Whether a browser lets a page at an origin that the policy does not allow read the route's answers. Every set of origins that the configuration can tell apart is tried once, with an origin a browser can really send.

## Why it matters

The same-origin policy is what keeps another site from reading what a user sees here. One loose pattern in a `map` (an unescaped dot, no `$`) gives it to whoever registers the right name.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "~^https://app.example" $http_origin;
    }
    map $http_origin $credentials {
        default "";
        "https://app.example" true;
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
                add_header Access-Control-Allow-Methods GET always;
                add_header Access-Control-Max-Age 600 always;
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
    server {
        listen 80;
        location / {
            add_header Access-Control-Allow-Origin $cors always;
            add_header Access-Control-Allow-Credentials $credentials always;
            add_header Vary Origin always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $cors always;
                add_header Access-Control-Allow-Credentials $credentials always;
                add_header Access-Control-Allow-Methods GET always;
                add_header Access-Control-Max-Age 600 always;
                add_header Vary Origin always;
                return 204;
            }
            return 200 ok;
        }
    }
}
```

## Remediation

Anchor the pattern at both ends and escape its dots, or list the origins one by one. `map` compares strings without regard to case and needs no pattern for an exact origin.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [CWE-942](https://cwe.mitre.org/data/definitions/942.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser import cors_check
from auditor.checks.judging import fail, has_https, made_at, open_backend, promised_redirect, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-origin-not-allowed", "An origin outside the policy may read", Severity.HIGH, "0.1.0")
KINDS = {"cors": ("allow_origins",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every refused origin that a browser would let read the answer."""
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin, case.response
        if (
            origin.value is None
            or origin.allowed
            or not (
                origin.value != "null"
                and not origin.residual
                and not (origin.value.startswith("http://") and has_https(facts, rule))
            )
        ):
            continue
        if response is None or promised_redirect(facts, case):
            yield None
            continue
        reason = undecided(case, "Access-Control-Allow-Origin") or (
            open_backend(case, "Access-Control-Allow-Origin")
            if "Access-Control-Allow-Origin" not in response.headers
            else ""
        )
        if reason:
            yield unknown(CHECK, rule, reason, case=case)
        elif cors_check(origin.value, credentials=False, response=response) is not None:
            yield None
        else:
            secretly = cors_check(origin.value, credentials=True, response=response) is None
            yield fail(
                CHECK,
                rule,
                f"a page at {origin.value} can read {case.probe.method} {case.probe.path}"
                + (" with the user's cookies" if secretly else ""),
                case=case,
                at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Origin")), None)),
                note="accepts an origin that the policy does not name",
                expected="no Access-Control-Allow-Origin for an origin outside the policy",
                observed=shown(response, "Access-Control-Allow-Origin"),
            )
