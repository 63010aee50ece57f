r"""Errors are not answered with the promised page.

## What it checks

Whether the statuses of `error_pages.statuses`, when nginx makes them itself because the backend is down, are answered with the page `served_from`, and stay errors: `error_page 502 =200 /error.html` tells clients, caches and monitors that all is well.

## Why it matters

A user sees a bare "502 Bad Gateway" and does not know whether to try again.

## Fails

```yaml
route: {match: [{paths: ["/**"]}]}
policy: {error_pages: {statuses: [502, 503, 504], served_from: /error.html}}
```
```nginx
server { listen 80; location / { proxy_pass http://app:8000; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}]}
policy: {error_pages: {statuses: [502, 503, 504], served_from: /error.html}}
```
```nginx
server {
    listen 80;
    error_page 502 503 504 /error.html;
    location / { proxy_pass http://app:8000; }
    location = /error.html { root /srv; internal; }
}
```

## Remediation

`error_page 502 503 504 /error.html;` at server level, and a location that serves it.

## References

- [nginx, error_page](https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import all_cases, fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("error-page-missing", "Errors are not answered with the promised page", Severity.MEDIUM, "0.1.0")
KINDS = {"error_pages": ("statuses", "served_from")}


def _hidden(status: int, kind: str) -> bool:
    """Whether a failure got the status of a success without anybody else's having answered."""
    return status < 400 and kind != "proxy"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose own errors do not lead to the page."""
    if facts.kind == "observed" or rule.value.served_from is None:
        return
    for case in all_cases(facts, "plain"):
        outcome, response = case.exchange.outcome, case.response
        if response is None or response.status is None or outcome.selected is None:
            continue
        when = outcome.when.split("+")
        if "upstream-down" in when and _hidden(response.status, outcome.action.kind) and "directory-found" not in when:
            yield fail(
                CHECK,
                rule,
                f"the failure of the upstream of {case.probe.path} is answered with status {response.status}",
                case=case,
                expected=f"status {', '.join(map(str, rule.value.statuses))} with the page {rule.value.served_from}",
                observed=f"status {response.status}: no client can tell it from an answer",
                subject=f"{place_subject(case)}|{response.status}",
            )
            continue
        if response.status not in rule.value.statuses:
            continue
        if "upstream-down" not in outcome.when and "limited" not in outcome.when:
            continue
        served = outcome.action.file or ""
        if served.endswith(rule.value.served_from) or (outcome.location or "").endswith(rule.value.served_from):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"a {response.status} of {case.probe.path} ({outcome.when}) is not answered with {rule.value.served_from}",
            case=case,
            expected=f"the page {rule.value.served_from}",
            observed=served or f"nginx's built-in page for {response.status}",
            subject=f"{place_subject(case)}|{response.status}",
        )
