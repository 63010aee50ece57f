r"""A route leads to the backend around a layer.

## What it checks

Whether any request, to any host and path that the outer layer tells apart, reaches a backend of `exposure.backends` without passing every layer of `layers`.

## Why it matters

Origins, limits and headers are the proxy's work: a router that leads straight to the application serves it without them.

## Fails

```yaml
policy: {layers: [edge, nginx], exposure: {backends: ["app:8000"], direct_routes: forbid}}
```
```nginx
server {
    listen 80;
    location / { proxy_pass http://app:8000; }
}
```
```traefik
http:
  routers:
    site: {rule: "Host(`shop.example`)", service: front, entryPoints: [web]}
    direct: {rule: "Host(`api.shop.example`)", service: app, entryPoints: [web]}
  services:
    front: {loadBalancer: {servers: [{url: "http://front:80"}]}}
    app: {loadBalancer: {servers: [{url: "http://app:8000"}]}}
```

## Passes

```yaml
policy: {layers: [edge, nginx], exposure: {backends: ["app:8000"], direct_routes: forbid}}
```
```nginx
server {
    listen 80;
    location / { proxy_pass http://app:8000; }
}
```
```traefik
http:
  routers:
    site: {rule: "Host(`shop.example`)", service: front, entryPoints: [web]}
  services:
    front: {loadBalancer: {servers: [{url: "http://front:80"}]}}
    app: {loadBalancer: {servers: [{url: "http://app:8000"}]}}
```

## Remediation

Let the router lead to the proxy; give the proxy's location the longer timeout or the larger body that the direct route was made for.

## References

- [CWE-668](https://cwe.mitre.org/data/definitions/668.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("backend-route-bypasses-proxy", "A route leads to the backend around a layer", Severity.HIGH, "0.1.0")
KINDS = {"exposure.direct_routes": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every way to a backend that avoids a layer."""
    if facts.kind == "observed":
        return
    for case in facts.of(None, "anywhere"):
        visited = [entry.partition("@") for entry in case.exchange.asked]
        reached = next((address for _, _, address in visited if address in facts.backends), None)
        if reached is None:
            yield None
            continue
        passed = {layer for layer, _, _ in visited}
        avoided = [layer for layer in facts.layers if layer not in passed]
        if not avoided:
            yield None
            continue
        way = " → ".join(("internet", f"{visited[0][0]}:{case.probe.entry.name}", reached))
        yield fail(
            CHECK,
            rule,
            f"{way} (avoids {' and '.join(avoided)}): {case.probe.host}{case.probe.path}",
            case=case,
            note="leads straight to the backend",
            expected=f"every request to {reached} passes {', '.join(facts.layers)}",
            observed=way,
            subject=f"{case.exchange.outcome.location or case.exchange.outcome.server or case.probe.host}|{reached}",
        )
