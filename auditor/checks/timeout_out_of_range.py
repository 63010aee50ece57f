r"""A timeout is outside the policy's range.

## What it checks

Whether the timeouts in force where the route is proxied (`proxy_read_timeout`, `proxy_send_timeout`, `proxy_connect_timeout`) lie in the policy's range; nginx's default is 60 seconds.

## Why it matters

A proxy that gives up before its backend turns slow answers into 504s; one that never gives up keeps connections for ever.

## Fails

```yaml
route: {match: [{paths: ["/**"]}], timeouts: {read: {min: 120s}}}
```
```nginx
server { listen 80; location / { proxy_pass http://app:8000; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}], timeouts: {read: {min: 120s}}}
```
```nginx
server { listen 80; location / { proxy_pass http://app:8000; proxy_read_timeout 120s; } }
```

## Remediation

`proxy_read_timeout 120s;` in the location.

## References

- [nginx, proxy_read_timeout](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_read_timeout)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts, Purpose
from auditor.policy.loaded import Rule

CHECK = CheckInfo("timeout-out-of-range", "A timeout is outside the policy's range", Severity.LOW, "0.1.0")
KINDS = {"timeouts": ("min", "max")}


DIRECTIVES = {"read": "proxy_read_timeout", "send": "proxy_send_timeout", "connect": "proxy_connect_timeout"}
DEFAULT = 60.0
"""Seconds; the default of all three (ngx_http_proxy_module)."""

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}


def seconds(text: str) -> float:
    """Read an nginx time such as `1m 30s` or `120`, in seconds."""
    return sum(float(number) * UNITS[unit or "s"] for number, unit in re.findall(r"(\d+)(ms|[smhdwMy]?)", text))


def proxied(facts: Facts, route: str | None) -> list[Case]:
    """Return the cases of a route that are passed on: of plain requests, else of those with an Origin or of handshakes."""
    purposes: tuple[Purpose, ...] = ("plain", "cors", "websocket")
    for purpose in purposes:
        found = [
            case
            for case in facts.of(route, purpose)
            if case.exchange.outcome.upstream_request is not None
            and case.exchange.outcome.selected is not None
            and normal(case)
        ]
        if found:
            return found
    return []


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose timeouts are out of range."""
    if facts.kind == "observed":
        return
    for case in proxied(facts, rule.route):
        outcome = case.exchange.outcome
        for directive, limits in ((DIRECTIVES[rule.name], rule.value),):
            setting = outcome.settings.get(directive)
            value = seconds(" ".join(setting.args)) if setting else DEFAULT
            if (limits.min is None or value >= limits.min) and (limits.max is None or value <= limits.max):
                yield None
                continue
            yield fail(
                CHECK,
                rule,
                f"{directive} of {case.probe.path} is {value:g} seconds",
                case=case,
                at=setting.location if setting else None,
                expected=", ".join(
                    text
                    for text in (
                        f"at least {limits.min:g} seconds" if limits.min is not None else "",
                        f"at most {limits.max:g} seconds" if limits.max is not None else "",
                    )
                    if text
                ),
                observed=f"{value:g} seconds" + ("" if setting else " (nginx's default)"),
                subject=f"{place_subject(case)}|{directive}",
            )
