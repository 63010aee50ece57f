r"""The CSP allows eval where the policy forbids it.

## What it checks

Whether a forbidden `'unsafe-eval'` is in the directive that governs scripts.

## Why it matters

Strings become code: an injected string runs.

## Fails

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self' 'unsafe-eval'; object-src 'none'" always; return 200; } }
```

## Passes

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}, forbid: {script-src: ["'unsafe-inline'", "'unsafe-eval'", "*"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self'; object-src 'none'" always; return 200; } }
```

## Remediation

Replace `eval` and `new Function`; use `'wasm-unsafe-eval'` for WebAssembly alone.

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

CHECK = CheckInfo("csp-unsafe-eval", "The CSP allows eval where the policy forbids it", Severity.MEDIUM, "0.1.0")
KINDS = {"headers": ("csp",)}


FORBIDDEN = ("'unsafe-eval'",)


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose policy has such a source in a directive where the rule forbids it."""
    yield from csp_forbidden(CHECK, rule, facts, FORBIDDEN)
