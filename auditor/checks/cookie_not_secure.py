r"""A cookie is sent over plain HTTP too.

## What it checks

Whether the cookie is set with `Secure` where the policy requires it.

## Why it matters

Anybody on the network reads it with the first plain-HTTP request.

## Fails

```yaml
cookies: {session: {secure: required}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "session=1; HttpOnly" always; return 200; } }
```

## Passes

```yaml
cookies: {session: {secure: required}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "session=1; Secure" always; return 200; } }
```

## Remediation

Add `Secure` (`proxy_cookie_flags` in nginx).

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

CHECK = CheckInfo("cookie-not-secure", "A cookie is sent over plain HTTP too", Severity.MEDIUM, "0.1.0")
KINDS = {"cookies": ("secure",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sets the cookie otherwise."""
    wanted = rule.value
    if wanted.secure is None:
        return
    for case, line, cookie in cookies(facts, rule):
        if cookie is None:
            yield unknown(CHECK, rule, open_backend(case, "Set-Cookie"), case=case, subject=place_subject(case))
        elif cookie.cookie.secure:
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"browsers send {cookie_words(case, cookie)} over plain HTTP too, where everybody on the way can read it: no Secure",
                case=case,
                at=made_at(line),
                expected="Secure",
                observed=f"{cookie.cookie.name} with {cookie.attributes}",
                subject=f"{place_subject(case)}|{cookie.cookie.name}",
            )
