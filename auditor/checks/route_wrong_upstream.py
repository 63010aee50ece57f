r"""A route is served by another upstream than the policy's.

## What it checks

Whether every request of a route with `served_by` ends at that address, and nowhere else: not at another upstream, not answered on the way.

## Why it matters

Requests end where nobody expects them, without what the policy promises about the route.

## Fails

```yaml
route: {match: [{paths: ["/api/**"]}], served_by: "app:8000"}
```
```nginx
server {
    listen 80;
    location / { proxy_pass http://other:9000; }
}
```

## Passes

```yaml
route: {match: [{paths: ["/api/**"]}], served_by: "app:8000"}
```
```nginx
server {
    listen 80;
    location / { proxy_pass http://app:8000; }
}
```

## Remediation

Correct `proxy_pass`, or the route's `match` in the policy where the answer on the way is meant.

## References

- [nginx, proxy_pass](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import (
    answered_by,
    answered_here,
    ends_at,
    fail,
    is_error,
    place_subject,
    promised_redirect,
    routed,
    undecided,
    unknown,
)
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "route-wrong-upstream", "A route is served by another upstream than the policy's", Severity.HIGH, "0.1.0"
)
KINDS = {"served_by": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that leads elsewhere or answers by itself."""
    if facts.kind == "observed":
        return
    for case in routed(facts, rule):
        if not answered_here(case) or promised_redirect(facts, case) or ends_at(case, rule.value):
            yield None
            continue
        if reason := undecided(case):
            yield unknown(CHECK, rule, reason, case=case)
            continue
        location = case.exchange.outcome.location or ""
        if location.startswith("~") or not case.exchange.outcome.selected or is_error(case):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"{case.probe.method} {case.probe.path} does not reach {rule.value}",
            case=case,
            note=f"answers: {answered_by(case)}",
            expected=f"served by {rule.value}",
            observed=answered_by(case),
            subject=f"{place_subject(case)}|{answered_by(case)}",
        )
