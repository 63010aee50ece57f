r"""The CSP lacks a directive or source that the policy wants.

## What it checks

Whether each directive of `csp.require` is in force with at least the sources listed.

## Why it matters

What a CSP does not name it allows (`object-src`, `base-uri` and `frame-ancestors` do not matter until somebody uses them).

## Fails

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self'" always; return 200; } }
```

## Passes

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self'; object-src 'none'" always; return 200; } }
```

## Remediation

Add the directive.

## References

- [CSP Level 3](https://www.w3.org/TR/CSP3/)
- [OWASP CSP cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import Policies, csp_sources, csp_verdicts
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "csp-missing-directive", "The CSP lacks a directive or source that the policy wants", Severity.MEDIUM, "0.1.0"
)
KINDS = {"headers": ("csp",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose policy lacks a required directive or source."""
    wanted = rule.value.csp
    if wanted is None or not wanted.require:
        return

    def lacking(policies: Policies) -> list[str]:
        return [
            f"{directive} {source}"
            for directive, sources in wanted.require.items()
            for source in sources
            if not any(source.lower() in csp_sources(policy, directive) for policy in policies)
        ]

    expected = "; ".join(f"{d} {' '.join(s)}" for d, s in wanted.require.items())
    yield from csp_verdicts(CHECK, rule, facts, lacking, verb="lacks", expected=expected)
