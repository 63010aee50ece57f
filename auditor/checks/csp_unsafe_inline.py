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

from auditor.checks.heading import csp_allows, csp_policies, judged
from auditor.checks.judging import fail, place_subject
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
    wanted = rule.value.csp
    if wanted is None or not any(set(sources) & set(FORBIDDEN) for sources in wanted.forbid.values()):
        return
    for case in judged(facts, rule):
        line = next(iter(case.response.headers.lines(rule.name)), None) if case.response else None
        if line is None:
            continue
        bad = [
            f"{directive} {source}"
            for directive, sources in wanted.forbid.items()
            for source in sources
            if source in FORBIDDEN and csp_allows(csp_policies(case, rule.name), directive, source)
        ]
        if not bad:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"the Content-Security-Policy of {case.probe.path} allows {', '.join(bad)}",
            case=case,
            at=line.made_by,
            expected=f"none of {', '.join(bad)}",
            observed=f"{line.name}: {line.value}",
            subject=place_subject(case),
        )
