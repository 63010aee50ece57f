r"""A regular-expression location takes requests away from their route.

## What it checks

Whether a request of a route with `served_by` is answered by a regular-expression location that does not lead there, although another location of the server does serve the route.

## Why it matters

A regular expression beats every prefix: `location ~* \\.(json|xml)$` takes `/api/x.json` away from `/api/`, its limits, its CORS headers and its backend.

## Fails

```yaml
route: {match: [{paths: ["/api/**"]}], served_by: "app:8000"}
```
```nginx
server {
    listen 80;
    location /api/ { proxy_pass http://app:8000; }
    location ~* [.]json$ { root /srv; }
}
```

## Passes

```yaml
route: {match: [{paths: ["/api/**"]}], served_by: "app:8000"}
```
```nginx
server {
    listen 80;
    location ^~ /api/ { proxy_pass http://app:8000; }
    location ~* [.]json$ { root /srv; }
}
```

## Remediation

Protect the prefix with `^~` (`location ^~ /api/`), or narrow the expression to the folder it is meant for.

## References

- [nginx, location](https://nginx.org/en/docs/http/ngx_http_core_module.html#location)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import answered_by, answered_here, ends_at, fail, place_subject, promised_redirect, routed
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "route-shadowed", "A regular-expression location takes requests away from their route", Severity.HIGH, "0.1.0"
)
KINDS = {"served_by": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every regular-expression location that answers the route's requests itself."""
    if facts.kind == "observed":
        return
    for case in routed(facts, rule):
        if not answered_here(case) or promised_redirect(facts, case) or ends_at(case, rule.value):
            yield None
            continue
        location = case.exchange.outcome.location or ""
        if not location.lstrip("@").startswith("~"):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"`location {location}` takes {case.probe.path} away from {rule.value}",
            case=case,
            note="a matching regular expression beats every prefix location without ^~",
            expected=f"served by {rule.value}",
            observed=answered_by(case),
            subject=place_subject(case),
        )
