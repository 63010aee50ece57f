r"""HSTS lives shorter than the policy says.

## What it checks

Whether `max-age` of `Strict-Transport-Security` on HTTPS answers is at least the policy's `min_max_age`.

## Why it matters

When it runs out, the next visit can start over plain HTTP again.

## Fails

```yaml
headers: {Strict-Transport-Security: {hsts: {min_max_age: 365d, include_subdomains: true}}}
```
```traefik
http:
  routers:
    all: {rule: "PathPrefix(`/`)", service: app, middlewares: [hsts], entryPoints: [websecure], tls: {}}
  middlewares:
    hsts: {headers: {stsSeconds: 3600, stsIncludeSubdomains: true, forceSTSHeader: true}}
  services:
    app: {loadBalancer: {servers: [{url: "http://app:80"}]}}
```

## Passes

```yaml
headers: {Strict-Transport-Security: {hsts: {min_max_age: 365d, include_subdomains: true}}}
```
```traefik
http:
  routers:
    all: {rule: "PathPrefix(`/`)", service: app, middlewares: [hsts], entryPoints: [websecure], tls: {}}
  middlewares:
    hsts: {headers: {stsSeconds: 31536000, stsIncludeSubdomains: true, forceSTSHeader: true}}
  services:
    app: {loadBalancer: {servers: [{url: "http://app:80"}]}}
```

## Remediation

`max-age=31536000` (a year) or more.

## References

- [RFC 6797 §6.1.1](https://www.rfc-editor.org/rfc/rfc6797#section-6.1.1)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.checks.heading import stated
from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("hsts-too-short", "HSTS lives shorter than the policy says", Severity.MEDIUM, "0.1.0")
KINDS = {"headers": ("hsts",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose max-age is too small."""
    wanted = rule.value.hsts
    if wanted is None or wanted.min_max_age is None:
        return
    for case, line in stated(facts, rule):
        if case.probe.entry.scheme != "https":
            continue
        found = re.search(r"(?:^|;)\s*max-age\s*=\s*\"?([0-9]+)", line.value, re.IGNORECASE)
        if found and int(found[1]) >= wanted.min_max_age:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"HSTS of {case.probe.path} " + (f"lives {found[1]} seconds" if found else "has no max-age"),
            case=case,
            at=line.made_by,
            expected=f"max-age={wanted.min_max_age:.0f} or more",
            observed=f"{line.name}: {line.value}",
            subject=place_subject(case),
        )
