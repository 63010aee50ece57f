r"""A network that must be internal is not.

## What it checks

Whether each network of `exposure.networks` with `internal: true` is declared so in the Compose file, and whether a backend of `exposure.backends` that is on it is on no other network that gives it a way out.

## Why it matters

Containers of a network that is not internal can be published and can call out: data has a way in and a way out.

## Fails

```yaml
policy: {exposure: {networks: {back: {internal: true}}}}
```
```compose
services:
  app: {image: app, networks: [back]}
networks:
  back: {}
```

## Passes

```yaml
policy: {exposure: {networks: {back: {internal: true}}}}
```
```compose
services:
  app: {image: app, networks: [back]}
networks:
  back: {internal: true}
```

## Remediation

`internal: true` on the network; give the edge a second network for the outside.

## References

- [Compose, internal networks](https://docs.docker.com/reference/compose-file/networks/#internal)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auditor.checks.judging import fail
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts, Network
from auditor.policy.loaded import Rule

CHECK = CheckInfo("backend-network-not-internal", "A network that must be internal is not", Severity.MEDIUM, "0.1.0")
KINDS = {"exposure.networks": ("internal",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every network that is not internal although it must be, or is not there."""
    if facts.networks is None:
        return
    declared = {network.name: network for network in facts.networks}
    network = declared.get(rule.name)
    if network is not None and (not rule.value.internal or network.internal):
        yield None
        for backend in facts.backends if rule.value.internal else ():
            yield from _elsewhere(rule, backend, rule.name, declared.values())
        return
    yield fail(
        CHECK,
        rule,
        f"the network {rule.name} is {'not declared' if network is None else 'not internal'}",
        at=network.location if network else None,
        expected=f"{rule.name}: {{internal: true}}",
        observed="no such network" if network is None else "internal: false",
        subject=rule.name,
    )


def _elsewhere(rule: Rule, backend: str, name: str, networks: Iterable[Network]) -> Iterator[Finding]:
    """Yield a finding for every other network of a backend that gives it the way out that this one does not."""
    service = backend.rpartition(":")[0]
    on = [network for network in networks if service in network.members]
    if not any(network.name == name for network in on):
        return
    for network in on:
        if not network.internal:
            yield fail(
                CHECK,
                rule,
                f"{backend} is also on the network {network.name}, which is not internal",
                at=network.members[service],
                note="puts the backend on it",
                expected=f"{name} alone, or other networks with internal: true",
                observed=f"{network.name}: internal: false",
                subject=f"{name}|{backend}|{network.name}",
            )
