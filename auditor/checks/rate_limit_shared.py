r"""All clients share one rate-limit bucket.

## What it checks

Whether the key of a limit is the same for two different clients, as they arrive through the layers: behind a proxy the peer's address is the proxy's.

## Why it matters

One busy client locks everybody out; the limit protects nobody and breaks the service for all.

## Fails

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
http {
    limit_req_zone $server_port zone=one:10m rate=10r/s;
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

Key on the client's address; behind a proxy, restore it first: `set_real_ip_from` the proxy's network and `real_ip_header X-Forwarded-For`.

## References

- [nginx, ngx_http_limit_req_module](https://nginx.org/en/docs/http/ngx_http_limit_req_module.html)
- [CWE-770](https://cwe.mitre.org/data/definitions/770.html)
- [nginx, ngx_http_realip_module](https://nginx.org/en/docs/http/ngx_http_realip_module.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, paired_limits, place_subject, variants
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("rate-limit-shared", "All clients share one rate-limit bucket", Severity.MEDIUM, "0.1.0")
KINDS = {"rate_limit": ("key",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every limit that two clients share."""
    if rule.value.key != "client_ip":
        return
    for _, base, other in variants(facts, rule.route, "client"):
        for before, after in paired_limits(base, other):
            if before.value != after.value:
                yield None
                continue
            yield fail(
                CHECK,
                rule,
                f"all clients of {other.probe.path} are counted in one bucket",
                case=other,
                at=after.location,
                note=f"counts by {after.key}",
                expected="a bucket of its own for every client address",
                observed=f"{after.key} is {after.value!r} for two different clients",
                subject=f"{place_subject(other)}|{after.key}",
            )
