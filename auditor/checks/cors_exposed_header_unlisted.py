r"""A response header is exposed that the policy does not list.

## What it checks

Whether `Access-Control-Expose-Headers` on an answer to an allowed origin names headers outside the policy's `expose_headers`.

## Why it matters

Scripts of the allowed origin may read them.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [], expose_headers: []}
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
            add_header Access-Control-Expose-Headers X-Internal-Id always;
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
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [], expose_headers: []}
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

Expose only what scripts need.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import exposed_headers
from auditor.browser.consequence import page_words
from auditor.browser.cors import cors_check
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, made_at, place_subject, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-exposed-header-unlisted", "A response header is exposed that the policy does not list", Severity.LOW, "0.1.0"
)
KINDS = {"cors": ("expose_headers",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that exposes more than the policy."""
    if rule.value.expose_headers is None:
        return
    wanted = {name.lower() for name in rule.value.expose_headers}
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin.value, case.response
        if response is None or not case.probe.origin.allowed or origin is None:
            continue
        excess = sorted(name for name in exposed_headers(response) if name.lower() not in wanted)
        readable = cors_check(origin, credentials=False, response=response) in {None, Reason.UNDECIDED}
        if not excess or not readable:
            yield None
            continue
        what = ", ".join("every response header" if name == "*" else name for name in excess)
        yield fail(
            CHECK,
            rule,
            f"{page_words(origin)} can read {what} of {case.probe.method} {case.probe.path}",
            case=case,
            at=made_at(next(iter(response.headers.lines("Access-Control-Expose-Headers")), None)),
            expected=", ".join(rule.value.expose_headers) or "no header beyond the safelisted ones",
            observed=shown(response, "Access-Control-Expose-Headers"),
            subject=place_subject(case),
        )
