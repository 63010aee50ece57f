r"""A port is published that the policy does not allow.

## What it checks

Whether a Compose file publishes a port of a backend, or any other port that is not in `exposure.published_ports`, on an address that others can reach.

## Why it matters

A published port goes around every layer, and Docker opens it in the host's firewall too.

## Fails

```yaml
policy: {exposure: {backends: ["app:8000"], published_ports: {allow: ["edge:443"]}}}
```
```compose
services:
  edge: {image: traefik, ports: ["443:443"]}
  app: {image: app, ports: ["8000:8000"]}
```

## Passes

```yaml
policy: {exposure: {backends: ["app:8000"], published_ports: {allow: ["edge:443"]}}}
```
```compose
services:
  edge: {image: traefik, ports: ["443:443"]}
  app: {image: app, expose: ["8000"]}
```

## Remediation

Remove `ports` (containers of one network reach each other without it), or bind it to 127.0.0.1 and list it under `loopback_only`.

## References

- [Docker, published ports](https://docs.docker.com/engine/network/#published-ports)
- [CWE-668](https://cwe.mitre.org/data/definitions/668.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, found_open
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "backend-port-published", "A port is published that the policy does not allow", Severity.HIGH, "0.1.0"
)
KINDS = {"exposure.published_ports": ("allow", "loopback_only")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every published port that the policy does not list."""
    said = facts if facts.kind == "predicted" else facts.said
    if said is None or said.doors is None:
        return
    allowed, loopback = set(rule.value.allow or ()), set(rule.value.loopback_only or ())
    for door in said.doors:
        if door.leads_to in allowed or (door.leads_to in loopback and door.loopback):
            if facts.kind == "predicted":
                yield None
            continue
        seen = None if facts.kind == "predicted" or door.loopback else found_open(facts, door.address)
        if facts.kind == "observed" and seen is None:
            continue
        backend = door.leads_to in facts.backends
        yield fail(
            CHECK,
            rule,
            f"{'the backend' if backend else 'the service'} {door.leads_to} is published on {door.address}"
            + (", as soon as it is on a network that is not internal" if door.dormant else ""),
            at=door.location,
            note="publishes the port",
            expected=f"only {', '.join(sorted(allowed)) or 'no port'}"
            + (f"; on loopback {', '.join(sorted(loopback))}" if loopback else ""),
            observed=seen.detail if seen else door.address,
            subject=door.leads_to,
        )
    if not said.doors and facts.kind == "predicted":
        yield None
