r"""The CSP only reports.

## What it checks

Whether the route sends `Content-Security-Policy-Report-Only` and no `Content-Security-Policy`, where the policy wants one in force (`report_only: false`).

## Why it matters

Violations are reported and not stopped.

## Fails

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy-Report-Only "script-src 'self'; object-src 'none'" always; return 200; } }
```

## Passes

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self'; object-src 'none'" always; return 200; } }
```

## Remediation

Rename the header once the reports are clean.

## References

- [CSP Level 3](https://www.w3.org/TR/CSP3/)
- [OWASP CSP cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import judged
from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("csp-report-only", "The CSP only reports", Severity.LOW, "0.1.0")
KINDS = {"headers": ("csp",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that only reports."""
    if rule.value.csp is None or rule.value.csp.report_only:
        return
    for case in judged(facts, rule):
        if case.response is None:
            continue
        lines = case.response.headers.lines("Content-Security-Policy-Report-Only")
        if not lines or rule.name in case.response.headers:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"the Content-Security-Policy of {case.probe.path} only reports",
            case=case,
            at=lines[0].made_by,
            expected="Content-Security-Policy",
            observed=f"{lines[0].name}: {lines[0].value}",
            subject=place_subject(case),
        )
