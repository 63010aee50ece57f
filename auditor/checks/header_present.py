r"""A response header that must be absent is sent.

## What it checks

Whether any answer of the route carries a header that the policy wants absent.

## Why it matters

Headers such as `X-Powered-By` tell an attacker what runs behind the edge.

## Fails

```yaml
headers: {X-Powered-By: {absent: true}}
```
```nginx
server { listen 80; location / { add_header X-Powered-By php always; return 200; } }
```

## Passes

```yaml
headers: {X-Powered-By: {absent: true}}
```
```nginx
server { listen 80; location / {  return 200; } }
```

## Remediation

Remove it where it is made, or at the edge: `proxy_hide_header X-Powered-By;`.

## References

- [OWASP Secure Headers Project, headers to remove](https://owasp.org/www-project-secure-headers/)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import judged
from auditor.checks.judging import fail, open_backend, place_subject, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("header-present", "A response header that must be absent is sent", Severity.LOW, "0.1.0")
KINDS = {"headers": ("absent",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends the header."""
    if not rule.value.absent:
        return
    for case in judged(facts, rule):
        lines = case.response.headers.lines(rule.name) if case.response else ()
        if lines:
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is answered with {lines[0].name}",
                case=case,
                at=lines[0].made_by,
                expected=f"no {rule.name}",
                observed=f"{lines[0].name}: {lines[0].value}",
                subject=place_subject(case),
            )
        elif reason := open_backend(case, rule.name):
            yield unknown(CHECK, rule, reason, case=case, subject=place_subject(case))
        else:
            yield None
