r"""A request writes header lines of its own.

## What it checks

Whether a path with an encoded line break (`%0d%0a`) makes a header line in the answer, or in the request that is passed on. nginx decodes `$uri`, `$document_uri` and what expressions capture of the path; a line break in them stays one wherever they are written out: in `return`, `add_header`, `proxy_set_header` and `proxy_pass`.

## Why it matters

A link is enough to give the victim's browser a cookie, a page of the attacker's, or an Access-Control-Allow-Origin that no policy has; towards the backend the same smuggles requests past everything that nginx decides.

## Fails

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location / { return 301 https://www.example.com$uri; } }
```

## Passes

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location ~ ^/([^\s]*)$ { return 301 https://www.example.com/$1; } }
```

## Remediation

Write `$request_uri`, which is as it came, or capture with an expression that takes no control characters: `[^\s]`.

## References

- [gixy, http_splitting](https://github.com/yandex/gixy/blob/master/docs/en/plugins/httpsplitting.md)
- [CWE-113](https://cwe.mitre.org/data/definitions/113.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, made_at, place_subject
from auditor.exchange import INJECTED
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("header-injected-by-client", "A request writes header lines of its own", Severity.HIGH, "0.1.0")
KINDS = {"match": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place where a line break in the path becomes a header line."""
    for case in facts.of(rule.route, "plain"):
        if INJECTED not in case.probe.request.target:
            continue
        where = _written(case)
        if not where:
            yield None
            continue
        line = next(iter(case.response.headers.lines("X-Injected")), None) if case.response is not None else None
        yield fail(
            CHECK,
            rule,
            f"a line break in the path of {case.probe.path} begins a header line of {where}",
            case=case,
            at=made_at(line),
            note="writes out the decoded path",
            expected="no header line that the request makes up",
            observed=f"X-Injected: yes in {where}",
            subject=f"{place_subject(case)}|{where}",
        )


def _written(case: Case) -> str:
    """Say where the line was written, "" where it was not."""
    if case.response is not None and "X-Injected" in case.response.headers:
        return "the answer"
    asked = case.exchange.outcome.upstream_request
    if asked is not None and ("X-Injected" in asked.headers or "\n" in asked.target):
        return "the request that is passed on"
    return ""
