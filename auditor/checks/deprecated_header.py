r"""A header that browsers have dropped is sent.

## What it checks

Whether answers carry a header that no current browser acts on, or that does harm: `X-XSS-Protection` other than 0, `Public-Key-Pins`, `Expect-CT`, `Feature-Policy`, `X-Content-Security-Policy`, `X-WebKit-CSP`. Looked at on every route.

## Why it matters

It suggests a protection that is not there; the XSS filter could even be used to attack.

## Fails

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; add_header X-XSS-Protection "1; mode=block" always; return 200; } }
```

## Passes

```yaml
headers: {X-Content-Type-Options: nosniff}
```
```nginx
server { listen 80; location / { add_header X-Content-Type-Options nosniff always; return 200; } }
```

## Remediation

Remove it; a Content-Security-Policy does what it was for.

## References

- [OWASP Secure Headers Project](https://owasp.org/www-project-secure-headers/)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("deprecated-header", "A header that browsers have dropped is sent", Severity.INFO, "0.1.0")
KINDS = {"match": ()}


DEPRECATED = frozenset(
    {"x-xss-protection", "public-key-pins", "public-key-pins-report-only", "expect-ct", "feature-policy"}
    | {"x-content-security-policy", "x-webkit-csp"}
)


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends such a header."""
    for case in facts.distinct(rule.route):
        lines = [line for line in (case.response.headers if case.response else ()) if line.name.lower() in DEPRECATED]
        bad = next(
            (line for line in lines if not (line.name.lower() == "x-xss-protection" and line.value.strip() == "0")),
            None,
        )
        if bad is None:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path} is answered with {bad.name}, which browsers have dropped",
            case=case,
            at=bad.made_by,
            expected=f"no {bad.name}",
            observed=f"{bad.name}: {bad.value}",
            subject=f"{place_subject(case)}|{bad.name.lower()}",
        )
