r"""A client can choose its own rate-limit bucket.

## What it checks

Whether the key of a limit changes when the same client sends another value in a header it controls (`X-Forwarded-For`, `X-Real-IP`, `Forwarded`, …).

## Why it matters

Whoever sends a new value with every request is never limited.

## Fails

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
http {
    limit_req_zone $http_x_real_ip$binary_remote_addr zone=one:10m rate=10r/s;
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

Key on `$binary_remote_addr`; behind a proxy, take the client's address from it with `set_real_ip_from` for that proxy's address only.

## References

- [nginx, ngx_http_limit_req_module](https://nginx.org/en/docs/http/ngx_http_limit_req_module.html)
- [CWE-770](https://cwe.mitre.org/data/definitions/770.html)
- [CWE-348](https://cwe.mitre.org/data/definitions/348.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, paired_limits, place_subject, variants
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("rate-limit-key-spoofable", "A client can choose its own rate-limit bucket", Severity.HIGH, "0.1.0")
KINDS = {"rate_limit": ("key",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every limit whose bucket a request header chooses."""
    if rule.value.key != "client_ip":
        return
    for _, base, other in variants(facts, rule.route, "forged"):
        for before, after in paired_limits(base, other):
            if before.value == after.value:
                yield None
                continue
            yield fail(
                CHECK,
                rule,
                f"a client escapes the limit of {other.probe.path} by changing {other.probe.why}",
                case=other,
                at=after.location,
                note=f"counts by {after.key}",
                expected="the same bucket whatever headers the client sends",
                observed=f"{after.key} is {after.value!r} with it, {before.value!r} without",
                subject=f"{place_subject(other)}|{after.key}",
            )
    for measured in facts.measured:
        if measured.route != rule.route or measured.escapes is None or measured.request is None:
            continue
        if not measured.escapes:
            yield None
        for name in measured.escapes:
            yield fail(
                CHECK,
                rule,
                f"a client escapes the limit of {measured.request.target} by changing {name}",
                request=measured.request.with_(**{name.replace("-", "_"): "198.51.100.7"}),
                expected="the same bucket whatever headers the client sends",
                observed=f"requests with another {name} passed while the same requests without it were refused",
                subject=f"measured|{name}",
            )
