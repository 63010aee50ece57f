r"""Another host leads to the backend through a server that protects it less.

## What it checks

Whether a request whose Host nobody has (`unknown.invalid`) reaches a backend through another server than the requests for the hosts of the policy, and there lacks a response header or a request limit that these have at the same path.

## Why it matters

Which server answers is the client's choice: it writes the Host header. What the policy's hosts are protected by holds for nobody who asks the default server for the same application.

## Fails

```yaml
policy:
  exposure: {direct_routes: forbid, backends: ["app:8000"]}
  routes: [{id: all, match: [{hosts: [shop.example], paths: ["/**"]}]}]
```
```nginx
server { listen 80; server_name old.example; location / { proxy_pass http://app:8000; } }
server {
    listen 80; server_name shop.example;
    location / { add_header X-Frame-Options DENY always; proxy_pass http://app:8000; }
}
```

## Passes

```yaml
policy:
  exposure: {direct_routes: forbid, backends: ["app:8000"]}
  routes: [{id: all, match: [{hosts: [shop.example], paths: ["/**"]}]}]
```
```nginx
server { listen 80 default_server; server_name _; return 444; }
server {
    listen 80; server_name shop.example;
    location / { add_header X-Frame-Options DENY always; proxy_pass http://app:8000; }
}
```

## Remediation

A default server for each door that refuses, `server { listen 80 default_server; return 444; }`, or one that includes the same file of headers and limits.

## References

- [nginx, How nginx processes a request](https://nginx.org/en/docs/http/request_processing.html)
- [CWE-668](https://cwe.mitre.org/data/definitions/668.html)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from auditor.checks.judging import fail, in_force, normal, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import NO_HOST, Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "default-server-differs",
    "Another host leads to the backend through a server that protects it less",
    Severity.MEDIUM,
    "0.1.0",
)
KINDS = {"exposure.direct_routes": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place where a host that nobody has gets to a backend with less than a known one."""
    known: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    unknown: list[Case] = []
    for case in facts.of(None, "anywhere"):
        if case.probe.host == NO_HOST:
            unknown.append(case)
        elif (backend := _backend(case)) and normal(case):
            known[case.probe.entry.name, case.probe.path, backend].append(case)
    for case in unknown:
        backend = _backend(case)
        others = known[case.probe.entry.name, case.probe.path, backend] if backend and normal(case) else []
        lacking = next(((other, less) for other in others if (less := _lacking(case, other))), None)
        if lacking is None:
            yield None
            continue
        other, less = lacking
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path} of {backend} is served to {NO_HOST} without {less}, which {other.probe.host} has",
            case=case,
            note="answers hosts that it does not name",
            expected=f"{less}, as for {other.probe.host}, or a refusal",
            observed=f"passed on to {backend} without {less}",
            subject=f"{case.probe.entry.name}|{place_subject(case)}|{less}",
        )


def _backend(case: Case) -> str:
    return case.exchange.outcome.action.upstream or ""


def _lacking(case: Case, other: Case) -> str:
    """Say which headers and limits the other answer has and this one has not, "" where the same server gave both."""
    if case.place == other.place or case.response is None or other.response is None:
        return ""
    have = {name.lower() for name, _ in case.response.headers.pairs()}
    headers = [line.name for line in other.response.headers if line.made_by and line.name.lower() not in have]
    zones = {limit.zone for limit in in_force(case)}
    limits = [f"the limit of {limit.zone}" for limit in in_force(other) if limit.zone not in zones]
    return ", ".join(sorted({*headers, *limits}))
