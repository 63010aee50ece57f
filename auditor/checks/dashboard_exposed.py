r"""A dashboard is open to the world.

## What it checks

Whether Traefik's dashboard or API is served without authentication (`api.insecure`, or a router to `api@internal` without an authentication middleware). Where a Compose file publishes no port that leads there, only containers can open it, and the finding is low.

## Why it matters

It shows every host, service and middleware, and some versions let a client change them.

## Fails

```yaml
policy: {exposure: {direct_routes: forbid}}
```
```traefik-static
entryPoints: {web: {address: ":80"}}
api: {dashboard: true, insecure: true}
```

## Passes

```yaml
policy: {exposure: {direct_routes: forbid}}
```
```traefik-static
entryPoints: {web: {address: ":80"}}
api: {dashboard: false}
```

## Remediation

Remove `api.insecure`; put the dashboard behind a router with basicAuth and an address filter, or leave it off.

## References

- [Traefik, API & dashboard](https://doc.traefik.io/traefik/operations/dashboard/)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from auditor.checks.judging import fail, found_open
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("dashboard-exposed", "A dashboard is open to the world", Severity.HIGH, "0.1.0")
KINDS = {"exposure.direct_routes": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every dashboard that is open."""
    said = facts if facts.kind == "predicted" else facts.said
    if said is None or said.dashboards is None:
        return
    ways = said.graph.wrong if said.graph else ()
    for door in {(door.address, door.location): door for door in said.dashboards}.values():
        way = next((way for way in ways if way.edges[-1].location == door.location), None)
        seen = found_open(facts, way.edges[0].address) if way and facts.kind == "observed" else None
        if facts.kind == "observed" and seen is None:
            continue
        finding = fail(
            CHECK,
            rule,
            f"Traefik's dashboard is open on {door.address}" + (f": {way.text}" if way else " to every container"),
            at=door.location,
            note="serves the dashboard and the API without authentication",
            expected="no dashboard, or one behind authentication",
            observed=seen.detail if seen else way.text if way else door.address,
            subject=door.leads_to,
        )
        yield finding if way or said.graph is None else replace(finding, severity=Severity.LOW)
    if not said.dashboards and facts.kind == "predicted":
        yield None
