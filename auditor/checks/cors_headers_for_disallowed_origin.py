r"""CORS headers are sent to origins that are refused.

## What it checks

Whether the answer to an origin outside the policy, which a browser would not let read, still carries `Access-Control-*` headers, where the policy has `on_disallowed_origin: {cors_headers: absent}`. Where the same line lets the origin read the answer to another method, that is the finding, and this is none.

## Why it matters

They tell an attacker what is configured, and one more careless line (an echoed origin) turns them into access: `Access-Control-Allow-Credentials` that is always sent is the usual one.

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
        default true;
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

Make every CORS header depend on the same decision: a `map` whose default is empty makes nginx omit the header.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import cors_lines
from auditor.browser.consequence import page_words
from auditor.checks.judging import fail, made_at, place_subject, shown
from auditor.checks.reading import Asking, refused
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-headers-for-disallowed-origin", "CORS headers are sent to origins that are refused", Severity.LOW, "0.1.0"
)
GRANTING = frozenset({"access-control-allow-origin", "access-control-allow-credentials"})
"""Without one of these, the other headers of the same answer are of no use: they name the mistake where they are sent."""

KINDS = {"cors": ("on_disallowed_origin", "preflight", "enabled")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every refused origin that is answered with CORS headers."""
    wanted = {
        "cors": rule.value.on_disallowed_origin.cors_headers,
        "preflight": rule.value.preflight.on_disallowed.cors_headers,
    }
    asking = Asking.of(facts, rule.route)
    for case in refused(facts, rule.route):
        origin, response = case.probe.origin.value or "", case.response
        if wanted[case.probe.purpose] != "absent" or response is None or asking.gives(case):
            continue
        lines = cors_lines(response)
        if not lines:
            yield None
            continue
        verb = "send" if case.probe.purpose == "preflight" else "read"
        if case.probe.purpose == "cors" and asking.reads(case):
            continue  # that it reads the answer to another method there is the finding
        names = sorted({line.name for line in lines})
        granting = [name for name in names if name.lower() in GRANTING] or names
        yield fail(
            CHECK,
            rule,
            f"{page_words(origin)} cannot {verb} {case.probe.method} {case.probe.path}, and is sent {', '.join(names)}",
            case=case,
            at=made_at(lines[0]),
            note="sent whatever the origin",
            expected="no Access-Control-* headers",
            observed="; ".join(shown(response, name) for name in names),
            subject=f"{place_subject(case)}|{','.join(granting).lower()}",
        )
