r"""A preflight refuses a request header the policy allows.

## What it checks

Whether a browser, after the preflight's answer, would send each header of the policy's `allow_headers` from an allowed origin. `*` grants everything but `Authorization`, and nothing where credentials are used.

## Why it matters

The client's requests fail before they are sent.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [Authorization]}
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

Name every header in `Access-Control-Allow-Headers`.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.cors import cors_check
from auditor.browser.reason import Reason
from auditor.checks.granting import refuses
from auditor.checks.judging import (
    NO_GRANT,
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
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-header-refused", "A preflight refuses a request header the policy allows", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("allow_headers",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose preflight refuses an allowed header."""
    credentials = bool(rule.value.allow_credentials)
    wanted = [n for n in rule.value.allow_headers or () if n != "*" and n.lower() not in NO_GRANT]
    if rule.value.allow_headers is None:
        return
    for case in facts.of(rule.route, "preflight"):
        origin, response = case.probe.origin, case.response
        if response is None or not origin.allowed or origin.value is None or promised_redirect(facts, case):
            continue
        if response.status is None or not 200 <= response.status < 300:
            continue
        if cors_check(origin.value, credentials=credentials, response=response) is not None:
            continue
        asked = [name for name in wanted if name.lower() in case.probe.asked_headers]
        refused = [
            name
            for name in asked
            if refuses(response, "GET", (name.lower(),), credentials=credentials)
            in {Reason.HEADER_NOT_ALLOWED, Reason.INVALID_ALLOW_HEADERS, Reason.UNDECIDED}
        ]
        if not refused:
            yield None
        elif reason := undecided(case, "Access-Control-Allow-Headers") or open_backend(
            case, "Access-Control-Allow-Headers"
        ):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"no browser lets a page at {origin.value} set {', '.join(refused)} on {case.probe.method} {case.probe.path}",
                case=case,
                at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Headers")), None)),
                expected=", ".join(wanted),
                observed=shown(response, "Access-Control-Allow-Headers"),
                subject=f"{place_subject(case)}|{','.join(refused).lower()}",
            )
