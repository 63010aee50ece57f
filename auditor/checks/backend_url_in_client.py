r"""A browser build points past the proxy.

## What it checks

Whether a variable of a browser-side build (`REACT_APP_*`, `VITE_*`, `NEXT_PUBLIC_*`, …) holds a URL of a backend of `exposure.backends`, or of any host at the backend's own or published port. The variables are those of env files, and of the Compose file's build arguments and environments.

## Why it matters

The browser is not in the containers' network: at best the page is broken, at worst the backend gets published to make it work.

## Fails

```yaml
policy: {exposure: {backends: ["app:8000"]}}
```
```env
REACT_APP_API_URL=http://app:8000/api
```

## Passes

```yaml
policy: {exposure: {backends: ["app:8000"]}}
```
```env
REACT_APP_API_URL=/api
```

## Remediation

Use a path on the page's own origin (`/api`).

## References

- [CWE-668](https://cwe.mitre.org/data/definitions/668.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, found_open
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("backend-url-in-client", "A browser build points past the proxy", Severity.MEDIUM, "0.1.0")
KINDS = {"exposure.backends": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every variable that names a backend, or a port that is the backend's."""
    said = facts if facts.kind == "predicted" else facts.said
    if said is None:
        return
    if said.client_variables is not None and not said.client_variables and facts.kind == "predicted":
        yield None
    graph = said.graph
    ways = [way for way in graph.wrong if graph.node(way.edges[0].source).kind == "client"] if graph else []
    for variable in said.client_variables or ():
        way = next((way for way in ways if way.location == variable.location), None)
        if way is None:
            if facts.kind == "predicted":
                yield None
            continue
        seen = None if facts.kind == "predicted" else found_open(facts, way.edges[-1].target)
        if facts.kind == "observed" and seen is None:
            continue
        inside = variable.host in {backend.rpartition(":")[0] or backend for backend in rule.value}
        yield fail(
            CHECK,
            rule,
            f"{variable.name} sends browsers to {variable.value}, "
            + ("which only containers can reach" if inside else f"past the proxy to {way.edges[-1].target}"),
            at=variable.location,
            note="ends up in the browser's bundle",
            expected="a path on the page's own origin, or a host of the edge",
            observed=f"{variable.name}={variable.value}" + (f"; {seen.detail}" if seen else ""),
            subject=f"{variable.location.file.rpartition('/')[2]}|{variable.name}",
        )
