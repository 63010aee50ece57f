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

import re
from collections.abc import Iterator

from auditor.checks.judging import fail, made_at, place_subject
from auditor.exchange import Field
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-malformed-value", "A CORS header has a value no browser understands", Severity.MEDIUM, "0.1.0")
KINDS = {"cors": ("allow_origins",)}


TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s,/?#@]+")


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends a value that does not parse."""
    for case in facts.of(rule.route, "cors", "preflight"):
        response = case.response
        if response is None or not case.probe.origin.allowed:
            continue
        bad = [line for line in response.headers if line.decided and _malformed(line)]
        if not bad:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"{bad[0].name} of {case.probe.path} has a value that no browser understands",
            case=case,
            at=made_at(bad[0]),
            expected=EXPECTED[bad[0].name.lower()],
            observed=f"{bad[0].name}: {bad[0].value}",
            subject=f"{place_subject(case)}|{bad[0].name.lower()}",
        )


EXPECTED = {
    "access-control-allow-origin": "one serialised origin, `*` or `null`",
    "access-control-allow-credentials": "exactly `true`",
    "access-control-allow-methods": "method names separated by commas",
    "access-control-allow-headers": "header names separated by commas",
    "access-control-expose-headers": "header names separated by commas",
    "access-control-max-age": "a number of seconds",
}


def _malformed(line: Field) -> bool:
    name, value = line.name.lower(), line.value.strip()
    if name not in EXPECTED:
        return False
    if name == "access-control-allow-origin":
        return value not in {"*", "null"} and not ORIGIN.fullmatch(value)
    if name == "access-control-allow-credentials":
        return value not in {"true", "false"}
    if name == "access-control-max-age":
        return not re.fullmatch(r"-?[0-9]+", value)
    parts = [part.strip() for part in value.split(",")]
    return not all(TOKEN.fullmatch(part) for part in parts if part)
