r"""Private-network access is granted.

## What it checks

Whether a preflight is answered with `Access-Control-Allow-Private-Network: true`.

## Why it matters

It let public pages reach servers on private addresses; the mechanism is withdrawn, and the header shows that somebody opened that door on purpose.

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
                add_header Access-Control-Allow-Private-Network true always;
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

Remove the header.

## References

- [Private Network Access](https://wicg.github.io/private-network-access/)
- [Local Network Access](https://wicg.github.io/local-network-access/)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import grants_private_network
from auditor.checks.judging import fail, made_at, place_subject, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-private-network-allowed", "Private-network access is granted", Severity.MEDIUM, "0.1.0")
KINDS = {"cors": ("allow_private_network",)}
HEADER = "Access-Control-Allow-Private-Network"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that grants it."""
    for case in facts.of(rule.route, "preflight"):
        response = case.response
        if response is None:
            continue
        if not grants_private_network(response):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"a page of the public Internet can reach {case.probe.path} on a private network, "
            "in browsers that ask by preflight",
            case=case,
            at=made_at(next(iter(response.headers.lines(HEADER)), None)),
            expected=f"no {HEADER}",
            observed=shown(response, HEADER),
            subject=place_subject(case),
        )
