r"""Connections to the backend are not kept alive.

## What it checks

Whether nginx speaks HTTP/1.1 without `Connection: close` to an upstream block with `keepalive`, where the policy has `keepalive: required`.

## Why it matters

A new connection for every request costs a round trip and, under load, all the ports.

## Fails

```yaml
route: {match: [{paths: ["/**"]}], keepalive: required}
```
```nginx
server { listen 80; location / { proxy_http_version 1.0; proxy_pass http://app:8000; } }
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}], keepalive: required}
```
```nginx
http {
    upstream app { server app:8000; keepalive 16; }
    server { listen 80; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
```

## Remediation

`keepalive 16;` in the upstream block, `proxy_http_version 1.1;` and `proxy_set_header Connection "";`.

## References

- [nginx, keepalive](https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("keepalive-missing", "Connections to the backend are not kept alive", Severity.INFO, "0.1.0")
KINDS = {"keepalive": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that closes its connections to the backend."""
    if facts.kind == "observed":
        return
    for case in facts.of(rule.route, "plain"):
        outcome = case.exchange.outcome
        upstream = outcome.upstream_request
        if upstream is None or outcome.selected is None or not normal(case):
            continue
        kept = outcome.settings.get("upstream_keepalive")
        closes = (upstream.headers.get("Connection") or "").lower() == "close" or upstream.version == "1.0"
        if kept is not None and not closes:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"every request to {case.probe.path} opens a new connection to {upstream.listen}",
            case=case,
            at=kept.location if kept else None,
            expected="an upstream block with keepalive, HTTP/1.1, no Connection: close",
            observed="no keepalive"
            if kept is None
            else f"HTTP/{upstream.version}, Connection: {upstream.headers.get('Connection')}",
            subject=place_subject(case),
        )
