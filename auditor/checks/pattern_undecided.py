r"""A pattern of the configuration cannot be decided.

## What it checks

Whether it is known of every request which patterns of the configuration match it. One request stands for all that no pattern tells apart; what a back reference, a recursion or a family of patterns too large to work through matches is no set that this can be proved of. So it is with a text put together of so many parts of a request, or a location chosen by such a text, that not every combination was tried.

## Why it matters

What such a pattern does to some request may never have been tried: the other verdicts hold for the requests that were.

## Fails

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location ~ ^/([^/]+)/\1$ { return 200; } }
```

## Passes

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location ~ ^/[^/]+/[^/]+$ { return 200; } }
```

## Remediation

Write the pattern without the back reference, fewer and anchored patterns (`^/api/`), or prefix locations.

## References

- [PCRE2, pattern syntax](https://www.pcre.org/current/doc/html/pcre2pattern.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("pattern-undecided", "A pattern of the configuration cannot be decided", Severity.MEDIUM, "0.1.0")
KINDS = {"targets": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield an unknown for every pattern of the target that some requests may not have been told apart by."""
    if facts.kind == "observed":
        return
    found = [reason for target, reason in facts.undecided if target == rule.value.id]
    for item in found:
        yield unknown(CHECK, rule, item.reason, at=item.location, subject=f"{rule.value.id}|{item.reason}")
    if not found:
        yield None
