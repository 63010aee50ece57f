r"""An error answer tells about the server.

## What it checks

Whether the body of an error that a layer makes itself contains a word of `error_pages.not_contain` (`nginx/`, `Traceback`).

## Why it matters

A version number is the first thing an attacker looks up.

## Fails

```yaml
route: {match: [{paths: ["/**"]}]}
policy: {error_pages: {statuses: [404], not_contain: [nginx/]}}
```
```nginx
server { listen 80; location / { return 404; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}]}
policy: {error_pages: {statuses: [404], not_contain: [nginx/]}}
```
```nginx
server { listen 80; server_tokens off; location / { return 404; } }
```

## Remediation

`server_tokens off;` at http level.

## References

- [nginx, server_tokens](https://nginx.org/en/docs/http/ngx_http_core_module.html#server_tokens)
- [CWE-209](https://cwe.mitre.org/data/definitions/209.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import all_cases, fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("error-leaks-details", "An error answer tells about the server", Severity.LOW, "0.1.0")
KINDS = {"error_pages": ("not_contain",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose own error bodies contain a forbidden word."""
    for case in all_cases(facts, "plain"):
        response = case.response
        if response is None or response.body is None or response.status is None or response.status < 400:
            continue
        body = response.body
        leaked = [word for word in rule.value.not_contain or () if word.lower() in body.lower()]
        if not leaked:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"the {response.status} of {case.probe.path} ({case.exchange.outcome.when}) contains {', '.join(leaked)}",
            case=case,
            expected=f"no {', '.join(leaked)} in error answers",
            observed=body[:120],
            subject=f"{place_subject(case)}|{response.status}",
        )
