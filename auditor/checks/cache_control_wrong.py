r"""Cache-Control is not what the policy wants.

## What it checks

Whether `Cache-Control` on the route's successful answers matches `caching.cache_control`.

## Why it matters

Private answers end up in shared caches, or assets are fetched again on every visit.

## Fails

```yaml
route: {match: [{paths: ["/**"]}], caching: {cache_control: {contains: [no-store]}}}
```
```nginx
server { listen 80; location / { add_header Cache-Control public always; return 200; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}], caching: {cache_control: {contains: [no-store]}}}
```
```nginx
server { listen 80; location / { add_header Cache-Control no-store always; return 200; } }
```

## Remediation

`add_header Cache-Control "no-store" always;`, or `expires` for assets.

## References

- [RFC 9111 §5.2](https://www.rfc-editor.org/rfc/rfc9111#section-5.2)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import matcher_words, value_problem
from auditor.checks.judging import (
    fail,
    made_at,
    normal,
    open_backend,
    place_subject,
    promised_redirect,
    shown,
    succeeded,
    undecided,
    unknown,
)
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cache-control-wrong", "Cache-Control is not what the policy wants", Severity.MEDIUM, "0.1.0")
KINDS = {"caching": ("cache_control",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place with another Cache-Control."""
    wanted = rule.value.cache_control
    if wanted is None:
        return
    for case in facts.of(rule.route, "plain"):
        response = case.response
        if response is None or not normal(case) or not succeeded(response) or promised_redirect(facts, case):
            continue
        value = response.headers.combined("Cache-Control")
        problem = "is missing" if value is None else value_problem(wanted, value)
        if not problem:
            yield None
        elif reason := undecided(case, "Cache-Control") or open_backend(case, "Cache-Control"):
            yield unknown(CHECK, rule, reason, case=case, subject=place_subject(case))
        else:
            yield fail(
                CHECK,
                rule,
                f"Cache-Control of {case.probe.path} {problem}",
                case=case,
                at=made_at(next(iter(response.headers.lines("Cache-Control")), None)),
                expected=matcher_words(wanted),
                observed=shown(response, "Cache-Control"),
                subject=place_subject(case),
            )
