r"""HSTS is sent over plain HTTP.

## What it checks

Whether answers to plain-HTTP requests carry `Strict-Transport-Security`, where the policy has an HSTS rule.

## Why it matters

Browsers ignore it there (RFC 6797 §7.2: a host must not send it): whoever set it believes in a protection that the first visit does not have; the redirect to HTTPS is what is missing.

## Fails

```yaml
headers: {Strict-Transport-Security: {hsts: {min_max_age: 365d, include_subdomains: true}}}
```
```traefik
http:
  routers:
    all: {rule: "PathPrefix(`/`)", service: app, middlewares: [hsts], entryPoints: [web]}
  middlewares:
    hsts: {headers: {stsSeconds: 31536000, stsIncludeSubdomains: true, forceSTSHeader: true}}
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

Send it with HTTPS answers only; redirect plain HTTP.

## References

- [RFC 6797 §7.2](https://www.rfc-editor.org/rfc/rfc6797#section-7.2)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("hsts-on-plain-http", "HSTS is sent over plain HTTP", Severity.LOW, "0.1.0")
KINDS = {"headers": ("hsts",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every plain-HTTP entry and place that sends the header."""
    if rule.value.hsts is None:
        return
    for case in facts.distinct(rule.route):
        response = case.response
        if case.probe.entry.scheme != "http" or response is None:
            yield None
            continue
        line = next(iter(response.headers.lines(rule.name)), None)
        if line is None:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"http://{case.probe.host}{case.probe.path} is answered with {line.name}, which browsers ignore there",
            case=case,
            at=line.made_by,
            note="sent over plain HTTP too",
            expected=f"no {line.name} over plain HTTP",
            observed=f"{line.name}: {line.value}",
            subject=place_subject(case),
        )
