r"""A health endpoint does not answer as promised.

## What it checks

Whether each probe of a route with an `expect_status` is answered with that status in the normal case.

## Why it matters

Orchestrators restart what looks unhealthy, and keep what looks healthy.

## Fails

```yaml
route: {match: [{paths: [/health]}], probes: [{path: /health, expect_status: 200}]}
```
```nginx
server { listen 80; location / { return 404; } }
```

## Passes

```yaml
route: {match: [{paths: [/health]}], probes: [{path: /health, expect_status: 200}]}
```
```nginx
server { listen 80; location = /health { return 200 ok; } }
```

## Remediation

Give the endpoint a location of its own (`location = /health`).

## References

- [RFC 9110 §15](https://www.rfc-editor.org/rfc/rfc9110#section-15)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, promised_redirect, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("health-endpoint-broken", "A health endpoint does not answer as promised", Severity.MEDIUM, "0.1.0")
KINDS = {"probes": ("path", "method", "host", "expect_status")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding where the probe's path is answered with another status."""
    wanted = rule.value.expect_status
    if wanted is None:
        return
    for case in facts.of(rule.route, "plain"):
        response = case.response
        if case.probe.path != rule.value.path or case.probe.method != "GET":
            continue
        if not normal(case) or promised_redirect(facts, case) or response is None:
            continue
        if reason := undecided(case):
            yield unknown(CHECK, rule, reason, case=case)
        elif response.status == wanted:
            yield None
        elif response.further_headers and response.status == 200:
            yield unknown(CHECK, rule, f"{case.exchange.outcome.action.upstream} decides on the status", case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is answered {response.status}, not {wanted}",
                case=case,
                expected=f"status {wanted}",
                observed=f"status {response.status}",
                subject=case.probe.path,
            )
