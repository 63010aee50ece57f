r"""A CORS header has a value no browser understands.

## What it checks

Whether the CORS headers of answers to allowed origins have the form the Fetch standard wants: one origin, `*` or `null`; lists of tokens; `true`; a number of seconds.

## Why it matters

A value that does not parse counts as if the header were missing: the page breaks for a reason that is hard to see.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
add_header Access-Control-Allow-Origin "https://app.example, https://www.example" always;
return 200;
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

Send exactly one origin, methods and headers as a comma-separated list of names.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import malformed
from auditor.checks.judging import fail, made_at, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-malformed-value", "A CORS header has a value no browser understands", Severity.MEDIUM, "0.1.0")
KINDS = {"cors": ("allow_origins",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends a value that does not parse."""
    for case in facts.of(rule.route, "cors", "preflight"):
        response = case.response
        if response is None or not case.probe.origin.allowed:
            continue
        bad = malformed(response)
        if bad is None:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"no browser understands the {bad.line.name} of {case.probe.method} {case.probe.path}: {bad.means}",
            case=case,
            at=made_at(bad.line),
            expected=bad.wanted,
            observed=f"{bad.line.name}: {bad.line.value}",
            subject=f"{place_subject(case)}|{bad.line.name.lower()}",
        )
