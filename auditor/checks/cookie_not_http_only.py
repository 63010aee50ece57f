r"""A cookie can be read by scripts.

## What it checks

Whether the cookie is set with `HttpOnly` where the policy requires it.

## Why it matters

An injected script takes the session along.

## Fails

```yaml
cookies: {session: {http_only: required}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "session=1; Secure" always; return 200; } }
```

## Passes

```yaml
cookies: {session: {http_only: required}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "session=1; HttpOnly" always; return 200; } }
```

## Remediation

Add `HttpOnly`.

## References

- [RFC 6265bis](https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/)
- [CWE-614](https://cwe.mitre.org/data/definitions/614.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.url import Origin
from auditor.checks.heading import cookie_words, cookies
from auditor.checks.judging import fail, made_at, open_backend, place_subject, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cookie-not-http-only", "A cookie can be read by scripts", Severity.MEDIUM, "0.1.0")
KINDS = {"cookies": ("http_only",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sets the cookie otherwise."""
    wanted = rule.value
    if wanted.http_only is None:
        return
    for case, line, cookie in cookies(facts, rule):
        if cookie is None:
            yield unknown(CHECK, rule, open_backend(case, "Set-Cookie"), case=case, subject=place_subject(case))
        elif cookie.cookie.http_only:
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"any script on a page at {Origin.parse(case.exchange.request.url)} can read {cookie_words(case, cookie)}: no HttpOnly",
                case=case,
                at=made_at(line),
                expected="HttpOnly",
                observed=f"{cookie.cookie.name} with {cookie.attributes}",
                subject=f"{place_subject(case)}|{cookie.cookie.name}",
            )
