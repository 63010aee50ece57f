r"""A response header has another value than the policy's.

## What it checks

Whether the header's value is what the policy wants (`exact`, `one_of`, `regex`, `not_regex`, `contains`), on every answer that carries it.

## Why it matters

A header with the wrong value protects as little as none.

## Fails

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options none always; return 200; } }
```

## Passes

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; return 200; } }
```

## Remediation

Correct the value.

## References

- [OWASP Secure Headers Project](https://owasp.org/www-project-secure-headers/)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import expectation, judged, value_problem
from auditor.checks.judging import fail, place_subject, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "header-wrong-value", "A response header has another value than the policy's", Severity.MEDIUM, "0.1.0"
)
KINDS = {"headers": ("exact", "one_of", "regex", "not_regex", "contains", "not_contain")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends another value."""
    if rule.value.absent or (rule.name.lower() == "server" and rule.value.not_regex):
        return
    for case in judged(facts, rule):
        response = case.response
        lines = response.headers.lines(rule.name) if response else ()
        wrong = [(line, problem) for line in lines if (problem := value_problem(rule.value, line.value))]
        if not wrong:
            yield None
            continue
        line, problem = wrong[0]
        if not line.decided:
            yield unknown(CHECK, rule, undecided(case, line.name), case=case, subject=place_subject(case))
            continue
        yield fail(
            CHECK,
            rule,
            f"{line.name} of {case.probe.path} {problem}",
            case=case,
            at=line.made_by,
            note="sends this value",
            expected=expectation(rule),
            observed=f"{line.name}: {line.value}",
            subject=place_subject(case),
        )
