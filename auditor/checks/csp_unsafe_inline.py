r"""The CSP allows inline code where the policy forbids it.

## What it checks

Whether a forbidden `'unsafe-inline'` is in force: present, and not switched off by a nonce, a hash or `'strict-dynamic'` in the same directive.

## Why it matters

Injected markup runs as script: the CSP does not stop the attack it is there for.

## Fails

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self' 'unsafe-inline'; object-src 'none'" always; return 200; } }
```

## Passes

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self'; object-src 'none'" always; return 200; } }
```

## Remediation

Move inline code to files, or give it a nonce.

## References

- [CSP Level 3](https://www.w3.org/TR/CSP3/)
- [OWASP CSP cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import csp_forbidden
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "csp-unsafe-inline", "The CSP allows inline code where the policy forbids it", Severity.MEDIUM, "0.1.0"
)
KINDS = {"headers": ("csp",)}


FORBIDDEN = ("'unsafe-inline'",)


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose policy has such a source in a directive where the rule forbids it."""
    yield from csp_forbidden(CHECK, rule, facts, FORBIDDEN)
