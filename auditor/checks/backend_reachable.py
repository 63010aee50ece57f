r"""An address that must not answer answers.

## What it checks

Whether an address of `exposure.unreachable` accepts a connection from where the audit runs, and whether a Compose file publishes it.

## Why it matters

What answers there answers without origins, limits and headers.

## Fails

```yaml
policy: {exposure: {unreachable: ["shop.example:8000"]}}
```
```compose
services:
  app: {image: app, ports: ["8000:8000"]}
```

## Passes

```yaml
policy: {exposure: {unreachable: ["shop.example:8000"]}}
```
```compose
services:
  app: {image: app, ports: ["127.0.0.1:8000:8000"]}
```

## Remediation

Close the port: no `ports` entry, a bind to 127.0.0.1, or a firewall.

## References

- [CWE-668](https://cwe.mitre.org/data/definitions/668.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("backend-reachable", "An address that must not answer answers", Severity.HIGH, "0.1.0")
KINDS = {"exposure.unreachable": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every address that is open."""
    for reach in facts.reaches or ():
        if reach.reachable is None:
            yield unknown(CHECK, rule, f"{reach.address} could not be tried: {reach.detail}", subject=reach.address)
            continue
        yield (
            None
            if not reach.reachable
            else fail(
                CHECK,
                rule,
                f"{reach.address} accepts connections",
                expected="refused, or no answer",
                observed=reach.detail,
                subject=reach.address,
            )
        )
    if facts.doors is None:
        return
    for address in rule.value:
        port = address.rpartition(":")[2]
        door = next(
            (d for d in facts.doors if not d.loopback and not d.dormant and d.address.rpartition(":")[2] == port), None
        )
        yield (
            None
            if door is None
            else fail(
                CHECK,
                rule,
                f"{address} is open: {door.leads_to} is published on {door.address}",
                at=door.location,
                note="publishes the port",
                expected="refused, or no answer",
                observed=door.address,
                subject=address,
            )
        )
