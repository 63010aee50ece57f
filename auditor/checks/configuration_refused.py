r"""A program would not start with its configuration.

## What it checks

Whether nginx, Traefik or Compose would refuse a file of the policy's targets: syntax, unknown directives, directives in the wrong place, values that are not allowed.

## Why it matters

The deployment fails, or the old configuration goes on running and nobody notices.

## Fails

```yaml
route: {match: [{paths: ["/**"]}]}
```
```nginx
server { listen 80; location / { retrun 200; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}]}
```
```nginx
server { listen 80; location / { return 200; } }
```

## Remediation

Correct the line; `nginx -t` tells the same.

## References

- [nginx, command-line parameters](https://nginx.org/en/docs/switches.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "configuration-refused", "A program would not start with its configuration", Severity.CRITICAL, "0.1.0"
)
KINDS = {"targets": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every problem of a target's files."""
    if facts.kind == "observed":
        return
    found = False
    for target, problem in facts.problems:
        if target != rule.value.id:
            continue
        found = True
        yield fail(
            CHECK,
            rule,
            problem.message,
            at=problem.location,
            note=problem.hint,
            subject=f"{target}|{problem.message}",
        )
    if not found:
        yield None
