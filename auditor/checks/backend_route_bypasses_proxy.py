r"""A route leads to the backend around a layer.

## What it checks

Whether any request, to any host and path that the outer layer tells apart, or any connection (a published port, a `stream` server, a TCP router, `network_mode: host`) reaches a backend of `exposure.backends` without passing every layer of `layers`. A way that the files describe and that no probe took is `unknown`.

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

from auditor.checks.judging import fail, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.graph import Way
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("backend-route-bypasses-proxy", "A route leads to the backend around a layer", Severity.HIGH, "0.1.0")
KINDS = {"exposure.direct_routes": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every way to a backend that avoids a layer, and an unknown where no probe took the way."""
    if facts.kind == "observed":
        return
    wrong = [way for way in facts.graph.wrong if way.avoids] if facts.graph else []
    taken: set[str] = set()
    for case in facts.of(None, "anywhere"):
        visited = [entry.partition("@") for entry in case.exchange.asked]
        reached = next((address for _, _, address in visited if address in facts.backends), None)
        passed = {layer for layer, _, _ in visited}
        avoided = tuple(layer for layer in facts.layers if layer not in passed)
        if reached is None or not avoided:
            yield None
            continue
        drawn = _drawn(case, reached, avoided, wrong)
        taken.add(drawn)
        yield fail(
            CHECK,
            rule,
            f"{drawn}: {case.probe.host}{case.probe.path}",
            case=case,
            note="leads straight to the backend",
            expected=f"every request to {reached} passes {', '.join(facts.layers)}",
            observed=drawn,
            subject=f"{case.exchange.outcome.location or case.exchange.outcome.server or case.probe.host}|{reached}",
        )
    for way in wrong:
        if way.drawn in taken:
            continue
        subject = "|".join((*(edge.by for edge in way.edges[1:]), way.edges[0].address, way.edges[-1].target))
        if way.by_request:
            reason = f"{way.drawn}: no probe took this way, and nothing in the files rules it out"
            yield unknown(CHECK, rule, reason, at=way.location, subject=subject)
            continue
        yield fail(
            CHECK,
            rule,
            way.drawn,
            at=way.location,
            note="leads straight to the backend",
            expected=f"every connection to {way.edges[-1].target} passes {', '.join(facts.layers)}",
            observed=way.drawn,
            subject=subject,
        )


def _drawn(case: Case, reached: str, avoided: tuple[str, ...], wrong: list[Way]) -> str:
    """Draw the way that a request took, as the graph does where it has that way."""
    port = case.probe.entry.listen.rpartition(":")[2]
    socket = f"{case.probe.entry.layer}:{port}"
    outcome = case.exchange.outcome
    routers = [step.note.partition(": ")[0] for step in outcome.why if step.directive == "router"]
    hops = [f"router {name.removesuffix('@file').removesuffix('@docker')}" for name in routers]
    if any(edge.by == f"location {outcome.location}" for way in wrong for edge in way.edges):
        hops.append(f"location {outcome.location}")
    for way in wrong:
        ends = (way.edges[0].target, way.edges[-1].target, way.avoids)
        if ends == (socket, reached, avoided) and all(any(_by(edge.by, hop) for edge in way.edges) for hop in hops):
            return way.drawn
    way = Way((), " → ".join(("internet", socket, *hops, reached)), avoided)
    return way.drawn


def _by(written: str, hop: str) -> bool:
    """Whether a router is what an edge names, alone or with one of its middlewares."""
    return written == hop or written.startswith(f"{hop}, ")
