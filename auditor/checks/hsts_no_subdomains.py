r"""HSTS leaves subdomains out.

## What it checks

Whether `Strict-Transport-Security` on HTTPS answers has `includeSubDomains` (and `preload`) where the policy wants it.

## Why it matters

A subdomain over plain HTTP can set and read the domain's cookies.

## Fails

```yaml
headers: {Strict-Transport-Security: {hsts: {min_max_age: 365d, include_subdomains: true}}}
```
```traefik
http:
  routers:
    all: {rule: "PathPrefix(`/`)", service: app, middlewares: [hsts], entryPoints: [websecure], tls: {}}
  middlewares:
    hsts: {headers: {stsSeconds: 31536000, stsIncludeSubdomains: false, forceSTSHeader: true}}
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

Add `includeSubDomains` once every subdomain speaks HTTPS.

## References

- [RFC 6797 §6.1.2](https://www.rfc-editor.org/rfc/rfc6797#section-6.1.2)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import stated
from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("hsts-no-subdomains", "HSTS leaves subdomains out", Severity.LOW, "0.1.0")
KINDS = {"headers": ("hsts",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that lacks a flag the policy wants."""
    wanted = rule.value.hsts
    flags = (
        []
        if wanted is None
        else [
            name for name, on in (("includeSubDomains", wanted.include_subdomains), ("preload", wanted.preload)) if on
        ]
    )
    if not flags:
        return
    for case, line in stated(facts, rule):
        if case.probe.entry.scheme != "https":
            continue
        present = {part.strip().lower() for part in line.value.split(";")}
        lacking = [flag for flag in flags if flag.lower() not in present]
        if not lacking:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"HSTS of {case.probe.path} lacks {' and '.join(lacking)}",
            case=case,
            at=line.made_by,
            expected="; ".join(flags),
            observed=f"{line.name}: {line.value}",
            subject=place_subject(case),
        )
