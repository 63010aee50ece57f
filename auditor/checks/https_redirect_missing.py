r"""Plain HTTP is answered instead of redirected.

## What it checks

Whether every request that arrives over plain HTTP is answered with a redirect to HTTPS, with one of the policy's statuses, and nothing else.

## Why it matters

What is answered over HTTP can be read and changed on the way.

## Fails

```yaml
policy: {tls: {redirect: required, redirect_status: [301, 308]}}
```
```nginx
server { listen 80; location / { return 200 ok; } }
```

## Passes

```yaml
policy: {tls: {redirect: required, redirect_status: [301, 308]}}
```
```nginx
server { listen 80; return 301 https://$host$request_uri; }
```

## Remediation

`return 308 https://$host$request_uri;` in the port 80 server, or Traefik's entry point redirection.

## References

- [RFC 9110 §15.4](https://www.rfc-editor.org/rfc/rfc9110#section-15.4)
- [CWE-319](https://cwe.mitre.org/data/definitions/319.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, redirects_to_https, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("https-redirect-missing", "Plain HTTP is answered instead of redirected", Severity.MEDIUM, "0.1.0")
KINDS = {"tls.redirect": ("redirect", "redirect_status")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that answers plain HTTP."""
    if rule.value.redirect != "required":
        return
    statuses = rule.value.redirect_status
    for case in facts.of(None, "anywhere"):
        response = case.response
        if case.probe.entry.scheme != "http" or response is None:
            continue
        if (redirects_to_https(case) and response.status in statuses) or (
            response.status is not None and response.status >= 400
        ):
            yield None
        elif reason := undecided(case, "Location"):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"http://{case.probe.host}{case.probe.path} is answered with status {response.status}",
                case=case,
                note="answers plain HTTP",
                expected=f"status {' or '.join(map(str, statuses))} and Location: https://…",
                observed=f"status {response.status}, {shown(response, 'Location')}",
                subject=f"http|{case.probe.host}|{response.status}",
            )
