r"""The opaque origin `null` may read.

## What it checks

Whether a page with an opaque origin, whose requests carry `Origin: null`, may read the route although the policy does not allow it.

## Why it matters

Any site can make such a page: a sandboxed frame is enough. Allowing `null` allows everybody.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "https://app.example" $http_origin;
        "null" $http_origin;
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

Take `null` off the list; give local files and sandboxed frames that need access a server of their own.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [HTML, opaque origins](https://html.spec.whatwg.org/multipage/browsers.html#concept-origin-opaque)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser import cors_check
from auditor.checks.judging import fail, made_at, open_backend, promised_redirect, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-null-origin", "The opaque origin `null` may read", Severity.HIGH, "0.1.0")
KINDS = {"cors": ("null_origin", "enabled")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every refused opaque origin that a browser would let read the answer."""
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin, case.response
        if origin.value is None or origin.allowed or origin.value != "null":
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
                note="accepts the opaque origin",
                expected="no Access-Control-Allow-Origin for an origin outside the policy",
                observed=shown(response, "Access-Control-Allow-Origin"),
            )
