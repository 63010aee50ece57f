r"""A cookie lacks the prefix the policy wants, or breaks its rules.

## What it checks

Whether the cookie's name has the prefix and keeps its rules: `__Secure-` needs Secure, `__Host-` also Path=/ and no Domain.

## Why it matters

Without the prefix a subdomain or a plain-HTTP page can overwrite it; with it and without the attributes browsers refuse the cookie.

## Fails

```yaml
cookies: {session: {prefix: __Host-}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "__Host-session=1; Secure; Path=/; Domain=a.example" always; return 200; } }
```

## Passes

```yaml
cookies: {session: {prefix: __Host-}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "__Host-session=1; Secure; Path=/" always; return 200; } }
```

## Remediation

Name it `__Host-…` and set `Secure; Path=/` without Domain.

## References

- [RFC 6265bis](https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/)
- [CWE-614](https://cwe.mitre.org/data/definitions/614.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.heading import cookies, prefix_holds
from auditor.checks.judging import fail, made_at, open_backend, place_subject, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cookie-prefix", "A cookie lacks the prefix the policy wants, or breaks its rules", Severity.LOW, "0.1.0"
)
KINDS = {"cookies": ("prefix",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sets the cookie otherwise."""
    wanted = rule.value
    if wanted.prefix is None:
        return
    for case, line, cookie in cookies(facts, rule):
        if cookie is None:
            yield unknown(CHECK, rule, open_backend(case, "Set-Cookie"), case=case, subject=place_subject(case))
        elif prefix_holds(cookie, wanted.prefix):
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"the cookie {cookie.name} set by {case.probe.path} lacks the prefix {wanted.prefix} or breaks its rules",
                case=case,
                at=made_at(line),
                expected=f"{wanted.prefix}… with Secure"
                + (", Path=/, no Domain" if wanted.prefix == "__Host-" else ""),
                observed=f"{cookie.name} with {', '.join(sorted(cookie.attributes)) or 'no attributes'}",
                subject=f"{place_subject(case)}|{cookie.name}",
            )
