r"""A cookie is sent across sites against the policy.

## What it checks

Whether the cookie's `SameSite` is one of those the policy lists. Without the attribute browsers differ: it counts as missing.

## Why it matters

Another site's page can act with the user's session.

## Fails

```yaml
cookies: {session: {same_site: [Lax, Strict]}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "session=1; SameSite=None; Secure" always; return 200; } }
```

## Passes

```yaml
cookies: {session: {same_site: [Lax, Strict]}}
```
```nginx
server { listen 80; location / { add_header Set-Cookie "session=1; SameSite=Lax" always; return 200; } }
```

## Remediation

Set `SameSite=Lax` or `Strict`.

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

CHECK = CheckInfo("cookie-same-site", "A cookie is sent across sites against the policy", Severity.MEDIUM, "0.1.0")
KINDS = {"cookies": ("same_site",)}
CAN = {
    "None": "send requests of any kind with",
    "Lax": "follow a link or submit a GET form with",
    "Strict": "not even link to the site with",
    "default": "follow a link, submit a form within two minutes, or in browsers without a default send any request with",
}
"""What SameSite lets pages of other sites do (RFC 6265bis §5.6.7)."""
SAYS = {"None": "SameSite=None", "Lax": "SameSite=Lax", "Strict": "SameSite=Strict", "default": "no valid SameSite"}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sets the cookie otherwise."""
    wanted = rule.value
    if wanted.same_site is None:
        return
    for case, line, cookie in cookies(facts, rule):
        if cookie is None:
            yield unknown(CHECK, rule, open_backend(case, "Set-Cookie"), case=case, subject=place_subject(case))
        elif cookie.cookie.same_site in wanted.same_site:
            yield None
        else:
            yield fail(
                CHECK,
                rule,
                f"a page at any other site can {CAN[cookie.cookie.same_site]} {cookie_words(case, cookie)}: {SAYS[cookie.cookie.same_site]}",
                case=case,
                at=made_at(line),
                expected=f"SameSite={' or '.join(wanted.same_site)}",
                observed=f"{cookie.cookie.name} with {cookie.attributes}",
                subject=f"{place_subject(case)}|{cookie.cookie.name}",
            )
