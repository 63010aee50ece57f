r"""A header set further out is lost in a location.

## What it checks

Whether a promised header is missing because the block that answers has an `add_header` of its own: nginx then drops every `add_header` of the levels above.

## Why it matters

The line is in the file, so everybody believes that it holds.

## Fails

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; add_header X-Content-Type-Options nosniff always; location / { add_header X-A b; return 200; } }
```

## Passes

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; add_header X-Content-Type-Options nosniff always; location / {  return 200; } }
```

## Remediation

Repeat the headers in the block (an `include` of one file with all of them), or `add_header_inherit merge;` from nginx 1.29.3 on.

## References

- [nginx, add_header](https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header)
- [nginx, add_header_inherit](https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header_inherit)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import expectation, judged, lost_by_inheritance
from auditor.checks.judging import fail, place_subject, undecided
from auditor.finding import CheckInfo, Finding, Note, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "header-lost-by-inheritance", "A header set further out is lost in a location", Severity.MEDIUM, "0.1.0"
)
KINDS = {"headers": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that drops the header it inherits."""
    if facts.kind == "observed" or not rule.value.required:
        return
    for case in judged(facts, rule):
        response = case.response
        lost = lost_by_inheritance(case, rule.name)
        if response is None or rule.name in response.headers or lost is None or undecided(case, rule.name):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"{rule.name} is set further out and lost for {case.probe.path}",
            case=case,
            note="has an add_header of its own, which drops those of the levels above",
            also=(Note(lost, "this line has no effect there"),),
            expected=expectation(rule),
            observed=f"no {rule.name}",
            subject=place_subject(case),
        )
