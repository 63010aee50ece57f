r"""A promised response header is missing.

## What it checks

Whether every successful answer or redirect of the route carries the header. Errors, and headers lost by nginx's inheritance, have checks of their own.

## Why it matters

The protection that the header stands for is not there.

## Fails

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / {  return 200; } }
```

## Passes

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; return 200; } }
```

## Remediation

Add it where it holds for every location: `add_header … always;` at server level, and again in every block that has an `add_header` of its own.

## References

- [OWASP Secure Headers Project](https://owasp.org/www-project-secure-headers/)
- [nginx, add_header](https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import expectation, judged, lost_by_inheritance
from auditor.checks.judging import fail, open_backend, place_subject, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("header-missing", "A promised response header is missing", Severity.MEDIUM, "0.1.0")
KINDS = {"headers": ("exact", "present", "one_of", "regex", "contains", "optional")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose good answers lack the header."""
    if not rule.value.required:
        return
    for case in judged(facts, rule):
        response = case.response
        if response is None or (response.status or 200) >= 400 or rule.name in response.headers:
            yield None
        elif reason := undecided(case, rule.name) or open_backend(case, rule.name):
            yield unknown(CHECK, rule, reason, case=case, subject=place_subject(case))
        elif facts.kind == "predicted" and lost_by_inheritance(case, rule.name):
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is answered without {rule.name}",
                case=case,
                note="answers without it",
                expected=expectation(rule),
                observed=f"no {rule.name}",
                subject=place_subject(case),
            )
