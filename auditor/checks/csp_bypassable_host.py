r"""The CSP lets scripts in from a host that runs anybody's.

## What it checks

Whether scripts may come from a host that serves what anyone uploads, or a library or callback (JSONP) that executes what the page's address says. `'strict-dynamic'` makes browsers ignore hosts; sources with a path and those that the policy itself requires are left alone.

## Why it matters

An attacker who can write markup writes `<script src>` with that host and a file of their own, or AngularJS with an expression: the CSP lets it run.

## Fails

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self' https://cdn.jsdelivr.net; object-src 'none'" always; return 200; } }
```

## Passes

```yaml
headers: {Content-Security-Policy: {csp: {require: {object-src: ["'none'"]}}}}
```
```nginx
server { listen 80; location / { add_header Content-Security-Policy "script-src 'self' https://static.shop.example; object-src 'none'" always; return 200; } }
```

## Remediation

Serve the library yourself, or name it by a hash or a nonce with `'strict-dynamic'`.

## References

- [CSP is dead, long live CSP (Weichselbaum and others, 2016)](https://research.google/pubs/pub45542/)
- [Google, CSP Evaluator](https://csp-evaluator.withgoogle.com/)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import Policies, csp_allows, csp_sources, csp_verdicts
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "csp-bypassable-host", "The CSP lets scripts in from a host that runs anybody's", Severity.LOW, "0.1.0"
)
KINDS = {"headers": ("csp",)}

HOSTS = (
    "accounts.google.com",
    "ajax.googleapis.com",
    "cdn.jsdelivr.net",
    "cdnjs.cloudflare.com",
    "code.angularjs.org",
    "esm.sh",
    "rawgit.com",
    "storage.googleapis.com",
    "translate.google.com",
    "unpkg.com",
    "www.google.com",
    "www.googleapis.com",
    "yastatic.net",
)
"""Hosts with files that anyone can publish, with AngularJS, or with a callback in the address (CSP Evaluator's kinds)."""


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose policy lets scripts in from such a host."""
    wanted = rule.value.csp
    if wanted is None:
        return
    required = {source.lower() for source in wanted.require.get("script-src", ())}

    def bypassable(policies: Policies) -> list[str]:
        sources = {source for policy in policies for source in csp_sources(policy, "script-src")} - required
        return sorted(s for s in sources if _bypassable(s) and csp_allows(policies, "script-src", s))

    yield from csp_verdicts(CHECK, rule, facts, bypassable, verb="lets scripts in from")


def _bypassable(source: str) -> bool:
    """Whether a host source (CSP3 §2.3.1) without a path matches one of the hosts."""
    host, _, path = source.rpartition("://")[2].partition("/")
    name = host.partition(":")[0]
    if path or not name or name == "*":
        return False
    return any(known == name or (name.startswith("*.") and known.endswith(name[1:])) for known in HOSTS)
