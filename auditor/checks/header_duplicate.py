r"""A security header is sent twice.

## What it checks

Whether an answer carries a header of the policy more than once.

## Why it matters

What a browser makes of two lines differs by header: two CSPs are both enforced, two X-Frame-Options may cancel each other, two HSTS lines count as the first.

## Fails

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; add_header X-Content-Type-Options nosniff always; return 200; } }
```

## Passes

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; return 200; } }
```

## Remediation

Let one layer send it: `proxy_hide_header` for what the backend sends too.

## References

- [RFC 9110 §5.3](https://www.rfc-editor.org/rfc/rfc9110#section-5.3)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import judged
from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Note, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("header-duplicate", "A security header is sent twice", Severity.LOW, "0.1.0")
KINDS = {"headers": ()}


LISTS = frozenset({"content-security-policy", "cache-control", "vary", "permissions-policy", "set-cookie", "link"})
"""Headers that may be sent in several lines (each line is a policy or a list of its own)."""


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends the header twice."""
    if rule.value.absent or rule.name.lower() in LISTS:
        return
    for case in judged(facts, rule):
        lines = case.response.headers.lines(rule.name) if case.response else ()
        if len(lines) > 1:
            also = tuple(Note(line.made_by, "and here again") for line in lines[1:] if line.made_by)
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is answered with {len(lines)} {lines[0].name} lines",
                case=case,
                at=lines[0].made_by,
                also=also,
                expected=f"one {rule.name}",
                observed=", ".join(line.value for line in lines),
                subject=place_subject(case),
            )
        else:
            yield None
