r"""A path that must be denied is served.

## What it checks

Whether any request for a path of `exposure.denied_paths`, at any host and entry, may be answered with a status below 400, after the normalisation that each layer does.

## Why it matters

API documentation, metrics and dot files tell an attacker what to try next.

## Fails

```yaml
policy: {exposure: {denied_paths: [/docs]}}
```
```nginx
server {
    listen 80;
    location / { return 200 ok; }
}
```

## Passes

```yaml
policy: {exposure: {denied_paths: [/docs]}}
```
```nginx
server {
    listen 80;
    location / { return 200 ok; }
    location /docs { return 404; }
}
```

## Remediation

Answer 404 at the edge (`location = /docs { return 404; }`) and switch it off in the application.

## References

- [CWE-552](https://cwe.mitre.org/data/definitions/552.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject, promised_redirect, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("denied-path-served", "A path that must be denied is served", Severity.HIGH, "0.1.0")
KINDS = {"exposure.denied_paths": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every denied path that some request is served."""
    for case in facts.of(None, "denied"):
        response = case.response
        if response is None or promised_redirect(facts, case) or not normal(case):
            yield None
            continue
        if reason := undecided(case):
            yield unknown(CHECK, rule, reason, case=case)
        elif response.status is not None and response.status >= 300:
            yield None
        elif response.further_headers and case.exchange.outcome.action.kind == "proxy":
            upstream = case.exchange.outcome.action.upstream
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is passed on to {upstream}",
                case=case,
                note="nothing here denies it",
                expected="an error status from a layer",
                observed=f"the backend decides ({upstream})",
                subject=f"{place_subject(case)}|{case.probe.why}",
            )
        else:
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is served to the world (status {response.status})",
                case=case,
                note="serves it",
                expected="status 403 or 404",
                observed=f"status {response.status}",
                subject=f"{place_subject(case)}|{case.probe.why}",
            )
