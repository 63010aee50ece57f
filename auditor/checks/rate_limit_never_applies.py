r"""A rate limit is configured and passed by.

## What it checks

Whether requests are answered before the limit of their own location can count them: by `return` or `rewrite` (which run first), by a dry run, or because the key is empty for them.

## Why it matters

The line in the file makes everybody believe that there is a limit.

## Fails

```yaml
route: {match: [{paths: ["/**"], methods: [GET, HEAD]}], rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}}
```
```nginx
http {
    limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
    server {
        listen 80;
        location / {
            limit_req zone=one burst=20 nodelay;
            limit_req_status 429;
            if ($request_method = HEAD) { return 204; }
            proxy_pass http://app:8000;
        }
    }
}
```

## Passes

```yaml
route: {match: [{paths: ["/**"], methods: [GET, HEAD]}], rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}}
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

Let the request reach the limit: answer in a location of its own, or after the access phase (`error_page`, `try_files`).

## References

- [nginx, ngx_http_limit_req_module](https://nginx.org/en/docs/http/ngx_http_limit_req_module.html)
- [CWE-770](https://cwe.mitre.org/data/definitions/770.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, in_force, place_subject, promised_redirect, undecided
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("rate-limit-never-applies", "A rate limit is configured and passed by", Severity.MEDIUM, "0.1.0")
KINDS = {"rate_limit": ("rate",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose own limit does not see some of its requests."""
    if facts.kind == "observed":
        return
    limits = {
        (c.probe.entry.name, place_subject(c)): c.exchange.outcome.limits
        for c in facts.of(rule.route, "plain")
        if c.exchange.outcome.limits
    }
    for case in facts.of(rule.route, "plain"):
        declared = limits.get((case.probe.entry.name, place_subject(case)), ())
        if not declared or promised_redirect(facts, case) or undecided(case, "limits"):
            continue
        if in_force(case):
            yield None
            continue
        own = case.exchange.outcome.limits
        if any(limit.dry_run for limit in own):
            reason = "it is a dry run: requests are counted and never refused"
        elif any(not limit.value for limit in own):
            reason = f"its key {own[0].key} is empty for them, and empty keys are not counted"
        else:
            reason = "they are answered in the rewrite phase, before limits are looked at"
        yield fail(
            CHECK,
            rule,
            f"the limit of this location never counts {case.probe.method} {case.probe.path}: {reason}",
            case=case,
            at=declared[0].location,
            note="does not see these requests",
            expected="every request of the route counted",
            observed=reason,
            subject=f"{place_subject(case)}|{case.probe.method}",
        )
