r"""A request with a host that nobody has is served.

## What it checks

Whether requests whose Host no server is meant for (`unknown.invalid`) are refused at every door: an error status, a redirect, or a closed connection. Without a default server of its own, nginx gives them to the first one it read.

## Why it matters

A page that resolves its own name to your address (DNS rebinding), a scanner, a wrong DNS entry: all are served the application, under a name that its links, cookies and caches take for its own.

## Fails

```yaml
policy: {exposure: {unknown_hosts: refuse}}
```
```nginx
server { listen 80; server_name shop.example; location / { return 200 hello; } }
```

## Passes

```yaml
policy: {exposure: {unknown_hosts: refuse}}
```
```nginx
server { listen 80 default_server; server_name _; return 444; }
server { listen 80; server_name shop.example; location / { return 200 hello; } }
```

## Remediation

A default server for each door: `server { listen 80 default_server; return 444; }`, for TLS with `ssl_reject_handshake on;`.

## References

- [nginx, How nginx processes a request](https://nginx.org/en/docs/http/request_processing.html)
- [gixy, host_spoofing](https://github.com/yandex/gixy/blob/master/docs/en/plugins/hostspoofing.md)
- [CWE-644](https://cwe.mitre.org/data/definitions/644.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import NO_HOST, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("unknown-host-served", "A request with a host that nobody has is served", Severity.MEDIUM, "0.1.0")
KINDS = {"exposure.unknown_hosts": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that answers whatever host is asked for."""
    for case in facts.of(None, "anywhere"):
        if case.probe.host != NO_HOST:
            continue
        response, upstream = case.response, case.exchange.outcome.action.upstream
        if response is None or not normal(case) or (response.status is not None and response.status >= 300):
            yield None
        elif reason := undecided(case):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path} is served to a request for {NO_HOST}, as for any other host",
                case=case,
                note="answers hosts that it does not name",
                expected="an error status, a redirect, or a closed connection",
                observed=f"passed on to {upstream}" if upstream else f"status {response.status}",
                subject=f"{case.probe.entry.name}|{place_subject(case)}",
            )
