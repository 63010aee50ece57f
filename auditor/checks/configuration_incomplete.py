r"""A file that the configuration includes is not here.

## What it checks

Whether every file that a target's configuration includes could be read: those that exist only in the container need an entry in the target's `mounts`.

## Why it matters

What is in the file can change every answer: the verdicts of this run hold without it only.

## Fails

```yaml
route: {match: [{paths: ["/**"]}]}
```
```nginx
server { listen 80; include /etc/nginx/snippets/cors.conf; location / { return 200; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}]}
files: {cors.conf: "add_header X-A b;"}
mounts: {/etc/nginx/snippets/cors.conf: cors.conf}
```
```nginx
server { listen 80; include /etc/nginx/snippets/cors.conf; location / { return 200; } }
```

## Remediation

Add the file to the repository and to `mounts`, or audit a dump made with `nginx -T`.

## References

- [nginx, include](https://nginx.org/en/docs/ngx_core_module.html#include)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "configuration-incomplete", "A file that the configuration includes is not here", Severity.MEDIUM, "0.1.0"
)
KINDS = {"targets": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield an unknown for every file that is not here."""
    if facts.kind == "observed":
        return
    found = False
    for target, missing in facts.missing:
        if target != rule.value.id:
            continue
        found = True
        yield unknown(CHECK, rule, missing.reason, at=missing.location, subject=f"{target}|{missing.reason}")
    if not found:
        yield None
