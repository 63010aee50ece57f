r"""A promised header is missing on error answers.

## What it checks

Whether answers with a status from 400 carry the header too: `add_header` without `always` applies to 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308 only.

## Why it matters

An attacker chooses which answer a browser sees: error pages need the same protection.

## Fails

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff; return 404; } }
```

## Passes

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; return 404; } }
```

## Remediation

Add `always`.

## References

- [nginx, add_header](https://nginx.org/en/docs/http/ngx_http_headers_module.html#add_header)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import expectation, judged, lost_by_inheritance
from auditor.checks.judging import fail, open_backend, place_subject, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("header-lost-on-error", "A promised header is missing on error answers", Severity.LOW, "0.1.0")
KINDS = {"headers": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose error answers lack the header."""
    if not rule.value.required:
        return
    for case in judged(facts, rule):
        response = case.response
        if response is None or response.status is None or response.status < 400 or rule.name in response.headers:
            yield None
        elif undecided(case, rule.name) or open_backend(case, rule.name):
            reason = undecided(case, rule.name) or open_backend(case, rule.name)
            yield unknown(CHECK, rule, reason, case=case, subject=place_subject(case))
        elif facts.kind == "predicted" and lost_by_inheritance(case, rule.name):
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"the {response.status} of {case.probe.path} ({case.exchange.outcome.when}) lacks {rule.name}",
                case=case,
                note="its error answers lack the header",
                expected=expectation(rule) + " on errors too",
                observed=f"status {response.status}, no {rule.name}",
                subject=place_subject(case),
            )
