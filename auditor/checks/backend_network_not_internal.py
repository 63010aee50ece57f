r"""A network that must be internal is not.

## What it checks

Whether each network of `exposure.networks` with `internal: true` is declared so in the Compose file.

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

from collections.abc import Iterator

from auditor.checks.judging import fail
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
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
