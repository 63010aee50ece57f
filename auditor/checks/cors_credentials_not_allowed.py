r"""Credentials are allowed although the policy forbids them.

## What it checks

Whether an answer to an allowed origin carries `Access-Control-Allow-Credentials: true` on a route whose policy has `allow_credentials: false`.

## Why it matters

With that header a page of the allowed origin acts as the logged-in user.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: false, allow_methods: [GET], allow_headers: []}
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
cors: {allow_origins: ["https://app.example"], allow_credentials: false, allow_methods: [GET], allow_headers: []}
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

Remove the header, or allow credentials in the policy if they are wanted.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, made_at, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-credentials-not-allowed", "Credentials are allowed although the policy forbids them", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("allow_credentials",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every answer to an allowed origin that allows credentials against the policy."""
    if rule.value.allow_credentials is not False:
        return
    for case in facts.of(rule.route, "cors", "preflight"):
        response = case.response
        if response is None or not case.probe.origin.allowed:
            continue
        lines = response.headers.lines("Access-Control-Allow-Credentials")
        if lines and lines[0].value == "true":
            yield fail(
                CHECK,
                rule,
                f"a page at {case.probe.origin.value} may use the user's cookies on {case.probe.method} {case.probe.path}",
                case=case,
                at=made_at(lines[0]),
                expected="no Access-Control-Allow-Credentials",
                observed=shown(response, "Access-Control-Allow-Credentials"),
            )
        else:
            yield None
