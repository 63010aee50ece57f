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

Anchor the pattern at both ends and escape its dots, or list the origins one by one. `map` compares strings without regard to case and needs no pattern for an exact origin.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [CWE-942](https://cwe.mitre.org/data/definitions/942.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import has_https
from auditor.checks.reading import readers
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-origin-not-allowed", "An origin outside the policy may read", Severity.HIGH, "0.1.0")
KINDS = {"cors": ("allow_origins",)}
NOTE = "accepts an origin that the policy does not name"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that a browser would let an origin outside the policy read."""
    secure = has_https(facts, rule)

    def mine(case: Case) -> bool:
        origin = case.probe.origin
        value = origin.value or ""
        return value != "null" and not origin.residual and not (secure and value.startswith("http://"))

    yield from readers(CHECK, rule, facts, NOTE, mine)
