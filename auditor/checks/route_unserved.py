r"""Nothing serves a route.

## What it checks

Whether requests of a route are answered with 404, 421 or a closed connection by a layer itself, on a route with `served_by`.

## Why it matters

The route of the policy does not exist in the configuration: either is out of date.

## Fails

```yaml
route: {match: [{paths: ["/api/**"]}], served_by: "app:8000"}
```
```nginx
server {
    listen 80;
    location / { return 404; }
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

Add the location, or take the route out of the policy.

## References

- [nginx, location](https://nginx.org/en/docs/http/ngx_http_core_module.html#location)
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
)
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("route-unserved", "Nothing serves a route", Severity.MEDIUM, "0.1.0")
KINDS = {"served_by": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that answers the route with an error of its own."""
    if facts.kind == "observed":
        return
    for case in routed(facts, rule):
        if not answered_here(case) or ends_at(case, rule.value):
            yield None
            continue
        if promised_redirect(facts, case) or undecided(case) or (case.exchange.outcome.location or "").startswith("~"):
            continue
        if not is_error(case):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"nothing serves {case.probe.method} {case.probe.path}: {answered_by(case)}",
            case=case,
            expected=f"served by {rule.value}",
            observed=answered_by(case),
            subject=place_subject(case),
        )
