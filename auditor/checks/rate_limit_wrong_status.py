r"""A rate limit refuses with another status than the policy's.

## What it checks

Whether a request over the limit is answered with the policy's `status` (429 tells a client to wait; nginx's default is 503, which says that the server is broken). An error page whose file is not among the files given is taken to be there: without it the client would get a 404 instead.

## Why it matters

Clients and monitoring take a limit for an outage, and retry at once.

## Fails

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
http {
    limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
    server {
        listen 80;
        location / {
            limit_req zone=one burst=20 nodelay;

            proxy_pass http://app:8000;
        }
    }
}
```

## Passes

```yaml
rate_limit: {rate: 10/s, burst: 20, status: 429, key: client_ip}
```
```nginx
http {
    limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
    server {
        listen 80;
        location / {
            limit_req zone=one burst=20 nodelay;
            limit_req_status 429;
            proxy_pass http://app:8000;
        }
    }
}
```

## Remediation

`limit_req_status 429;`

## References

- [nginx, ngx_http_limit_req_module](https://nginx.org/en/docs/http/ngx_http_limit_req_module.html)
- [CWE-770](https://cwe.mitre.org/data/definitions/770.html)
- [RFC 6585 §4](https://www.rfc-editor.org/rfc/rfc6585#section-4)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "rate-limit-wrong-status", "A rate limit refuses with another status than the policy's", Severity.LOW, "0.1.0"
)
KINDS = {"rate_limit": ("status",)}
UNLIKELY = frozenset({"file-missing", "directory-found"})


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every limit that refuses with another status."""
    if rule.value.status is None:
        return
    limited = [(c, c.exchange.outcome.when.split("+")) for c in facts.of(rule.route, "plain")]
    paged = {case.probe.key for case, when in limited if {"limited", "file-found"} <= set(when)}
    for case, when in limited:
        response = case.response
        if "limited" not in when or response is None or response.status is None:
            continue
        if case.probe.key in paged and not UNLIKELY.isdisjoint(when):
            continue
        if response.status == rule.value.status:
            yield None
            continue
        limit = next(iter(case.exchange.outcome.limits), None)
        yield fail(
            CHECK,
            rule,
            f"a limited request to {case.probe.path} is answered {response.status}, not {rule.value.status}",
            case=case,
            at=limit.location if limit else None,
            note="refuses with this status",
            expected=f"status {rule.value.status}",
            observed=f"status {response.status}",
            subject=place_subject(case),
        )
    for measured in facts.measured:
        if measured.route == rule.route and measured.status is not None:
            yield (
                None
                if measured.status == rule.value.status
                else fail(
                    CHECK,
                    rule,
                    f"requests over the limit were answered {measured.status}, not {rule.value.status}",
                    request=measured.request,
                    expected=f"status {rule.value.status}",
                    observed=measured.detail,
                    subject="measured",
                )
            )
