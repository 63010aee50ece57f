r"""A refused origin is answered with another status than the policy's.

## What it checks

Whether answers to origins outside the policy have one of the statuses that the policy lists: `preflight.on_disallowed.status`
for preflights (200, 204 and 403 unless it says otherwise), `on_disallowed_origin.status` for other requests.

## Why it matters

A refusal with an error status such as 500 looks like an outage in every log, and a redirect leads scanners and
browsers somewhere else.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_methods: [GET], allow_headers: []}
```
```nginx
if ($request_method = OPTIONS) {
    return 500;
}
return 200 ok;
```

## Passes

```yaml
cors: {allow_origins: ["https://app.example"], allow_methods: [GET], allow_headers: []}
```
```nginx
if ($request_method = OPTIONS) {
    return 204;
}
return 200 ok;
```

## Remediation

Answer the preflight of a refused origin with 204 or 403 and without CORS headers.

## References

- [Gateway API, HTTPRoute CORS conformance](https://gateway-api.sigs.k8s.io/reference/spec/#httpcorsfilter)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject, promised_redirect
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-refusal-wrong-status",
    "A refused origin is answered with another status than the policy's",
    Severity.LOW,
    "0.1.0",
)
KINDS = {"cors": ("preflight", "on_disallowed_origin")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that refuses an origin with another status."""
    if not rule.value.enabled:
        return
    statuses = {
        "preflight": rule.value.preflight.on_disallowed.status,
        "cors": rule.value.on_disallowed_origin.status,
    }
    for case in facts.of(rule.route, "cors", "preflight"):
        allowed, response = statuses[case.probe.purpose], case.response
        if allowed is None or case.probe.origin.value is None or case.probe.origin.allowed or response is None:
            continue
        if response.status is None or response.status in allowed or not normal(case) or promised_redirect(facts, case):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"a {case.probe.purpose} request of a refused origin to {case.probe.path} is answered {response.status}",
            case=case,
            expected=f"status {' or '.join(map(str, allowed))}",
            observed=f"status {response.status}",
            subject=f"{place_subject(case)}|{case.probe.purpose}|{response.status}",
        )
