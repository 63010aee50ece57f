r"""A route has no rate limit.

## What it checks

Whether every request of a route with a `rate_limit` passes at least one limit in force (not a dry run, key not empty) before it is answered, in whichever layer, whichever location serves it, at every door: the limits of one door's way do not count at another.

## Why it matters

One client can keep the backend busy for everybody.

## Fails

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
server {
    listen 80;
    location / { return 200 ok; }
}
```

## Passes

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
http {
    limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
    server {
        listen 80;
        location / {
            limit_req zone=one burst=20 nodelay;
            limit_req_status 429;
            proxy_pass http://app:8000;
        }
    }
}
```

## Remediation

Add a limit to every location that serves the route; look at the witness's path to see which one was forgotten.

## References

- [nginx, ngx_http_limit_req_module](https://nginx.org/en/docs/http/ngx_http_limit_req_module.html)
- [CWE-770](https://cwe.mitre.org/data/definitions/770.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, in_force, place_subject, promised_redirect, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("rate-limit-missing", "A route has no rate limit", Severity.MEDIUM, "0.1.0")
KINDS = {"rate_limit": ("rate",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that answers the route's requests without a limit."""
    if facts.kind == "observed":
        return
    doors = {case.probe.entry.name for case in facts.of(rule.route, "plain")}
    limited = {_at(case) for case in facts.of(rule.route, "plain") if case.exchange.outcome.limits}
    for case in facts.of(rule.route, "plain"):
        if promised_redirect(facts, case) or case.response is None:
            continue
        if reason := undecided(case, "limits"):
            yield unknown(CHECK, rule, reason, case=case)
        elif in_force(case) or _at(case) in limited:
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"{case.probe.method} {case.probe.path} is answered without any rate limit"
                + (f" at the door {case.probe.entry.name}" if len(doors) > 1 else ""),
                case=case,
                note="no limit applies in this block",
                expected=f"at most {rule.value.rate:g} requests a second, burst {rule.value.burst}",
                observed="no limit",
                subject=place_subject(case),
            )


def _at(case: Case) -> tuple[str, str]:
    """Name the door and the place that answered: the same block may be behind a door with a limit, and one without."""
    return case.probe.entry.name, place_subject(case)
