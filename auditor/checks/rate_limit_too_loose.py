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

from auditor.checks.judging import effective, fail, in_force, place_subject, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("rate-limit-too-loose", "A rate limit is looser than the policy", Severity.MEDIUM, "0.1.0")
KINDS = {"rate_limit": ("rate", "burst")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose limits all allow too much."""
    rate, burst = rule.value.rate, rule.value.burst
    through = (c for c in facts.of(rule.route, "plain") if "limited" not in c.exchange.outcome.when.split("+"))
    cases = [(case, limits) for case in through if (limits := in_force(case))]
    places: dict[str, set[tuple[float, int]]] = {}
    for case, limits in cases:
        places.setdefault(place_subject(case), set()).add(effective(limits))
    for case, limits in cases:
        most, at_once = effective(limits)
        if most <= rate * 1.0001 and (burst is None or at_once <= burst):
            yield None
            continue
        differ = len(places[place_subject(case)]) > 1
        door = f" at the door {case.probe.entry.name}" if differ else ""
        strictest = min(limits, key=lambda limit: (limit.rate, limit.burst))
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path} lets through {most:g} requests a second with a burst of {at_once}{door}",
            case=case,
            at=strictest.location,
            note="the strictest limit on the way",
            expected=f"at most {rate:g} requests a second" + (f", burst {burst}" if burst is not None else ""),
            observed=f"{most:g} requests a second, burst {at_once}",
            subject=place_subject(case) + (f"|{case.probe.entry.name}" if differ else ""),
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
