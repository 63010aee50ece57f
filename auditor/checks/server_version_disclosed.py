r"""The Server header tells the version.

## What it checks

Whether the `Server` header matches what the policy forbids with `not_regex` (usually a digit).

## Why it matters

A version number is the first thing an attacker looks up.

## Fails

```yaml
headers: {Server: {not_regex: "[0-9]"}}
```
```nginx
server { listen 80; location / {  return 200; } }
```

## Passes

```yaml
headers: {Server: {not_regex: "[0-9]"}}
```
```nginx
server { listen 80; server_tokens off; location / {  return 200; } }
```

## Remediation

`server_tokens off;` at http level.

## References

- [nginx, server_tokens](https://nginx.org/en/docs/http/ngx_http_core_module.html#server_tokens)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import judged, value_problem
from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("server-version-disclosed", "The Server header tells the version", Severity.LOW, "0.1.0")
KINDS = {"headers": ("not_regex",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose Server header matches the forbidden expression."""
    if rule.name.lower() != "server" or not rule.value.not_regex:
        return
    for case in judged(facts, rule):
        lines = case.response.headers.lines("Server") if case.response else ()
        bad = next((line for line in lines if value_problem(rule.value, line.value)), None)
        if bad is None:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"the Server header of {case.probe.path} is {bad.value}",
            case=case,
            at=bad.made_by,
            expected=f"no match of {rule.value.not_regex}",
            observed=f"Server: {bad.value}",
            subject=place_subject(case),
        )
