r"""A rate limit is looser than the policy.

## What it checks

Whether the strictest limit that a request passes (over all layers) allows more than the policy's rate, or a larger burst.
On the running stack the route is asked: the declared burst at once, then half as fast again as the declared rate. Where
more passes than the policy's limit lets through in that time, no limit that strict is in force; a limit that strict refuses.

## Why it matters

The backend gets more than it was sized for.

## Fails

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
http {
    limit_req_zone $binary_remote_addr zone=one:10m rate=100r/s;
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

Lower the zone's `rate` or the location's `burst`.

## References

- [nginx, ngx_http_limit_req_module](https://nginx.org/en/docs/http/ngx_http_limit_req_module.html)
- [CWE-770](https://cwe.mitre.org/data/definitions/770.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, in_force, place_subject, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("rate-limit-too-loose", "A rate limit is looser than the policy", Severity.MEDIUM, "0.1.0")
KINDS = {"rate_limit": ("rate", "burst")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose limits all allow too much."""
    rate, burst = rule.value.rate, rule.value.burst
    for case in facts.of(rule.route, "plain"):
        limits = in_force(case)
        if not limits:
            continue
        fits = [limit for limit in limits if limit.rate <= rate * 1.0001]
        tight = [limit for limit in limits if burst is None or limit.burst <= burst]
        if fits and tight:
            yield None
            continue
        strictest = min(limits, key=lambda limit: (limit.rate, limit.burst))
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path} lets through {strictest.rate:g} requests a second with a burst of {strictest.burst}",
            case=case,
            at=strictest.location,
            note="the strictest limit on the way",
            expected=f"at most {rate:g} requests a second" + (f", burst {burst}" if burst is not None else ""),
            observed=f"{strictest.rate:g} requests a second, burst {strictest.burst}",
            subject=place_subject(case),
        )
    for measured in facts.measured:
        if measured.route != rule.route:
            continue
        if measured.held:
            yield None
        elif measured.held is None:
            yield unknown(CHECK, rule, f"the limit was not decided: {measured.detail}", subject="measured")
        else:
            yield fail(
                CHECK,
                rule,
                f"more requests are let through than {rate:g} a second with a burst of {burst or 0} allow",
                request=measured.request,
                expected=f"at most {rate:g} requests a second" + (f", burst {burst}" if burst is not None else ""),
                observed=measured.detail,
                subject="measured",
            )
