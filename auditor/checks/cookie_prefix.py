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

from auditor.checks.heading import cookie_words, cookies
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
        elif cookie.cookie.name.startswith(wanted.prefix) and cookie.keeps(wanted.prefix):
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"{_who(wanted.prefix)} can replace {cookie_words(case, cookie)}: it lacks the prefix {wanted.prefix} or what the prefix promises",
                case=case,
                at=made_at(line),
                expected=f"{wanted.prefix}… with Secure"
                + (", Path=/, no Domain" if wanted.prefix == "__Host-" else ""),
                observed=f"{cookie.cookie.name} with {cookie.attributes}",
                subject=f"{place_subject(case)}|{cookie.cookie.name}",
            )


def _who(prefix: str) -> str:
    """Say whom the prefix would keep from setting a cookie of the name."""
    return "a page on any subdomain, or over plain HTTP," if prefix == "__Host-" else "a page over plain HTTP"
