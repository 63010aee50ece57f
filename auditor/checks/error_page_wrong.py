r"""The error page lacks what it promises.

## What it checks

Whether the page that answers errors contains what `error_pages.contains` lists and nothing that `not_contain` lists; the file is read where the configuration's mounts lead to it.

## Why it matters

An error page without a way to try again leaves the user stuck.

## Fails

```yaml
route: {match: [{paths: ["/**"]}]}
policy: {error_pages: {statuses: [502], served_from: /error.html, contains: [retry]}}
files: {html/error.html: "<p>sorry</p>"}
mounts: {/srv: html}
```
```nginx
server {
    listen 80;
    error_page 502 /error.html;
    location / { proxy_pass http://app:8000; }
    location = /error.html { root /srv; internal; }
}
```

## Passes

```yaml
route: {match: [{paths: ["/**"]}]}
policy: {error_pages: {statuses: [502], served_from: /error.html, contains: [retry]}}
files: {html/error.html: "<button>retry</button>"}
mounts: {/srv: html}
```
```nginx
server {
    listen 80;
    error_page 502 /error.html;
    location / { proxy_pass http://app:8000; }
    location = /error.html { root /srv; internal; }
}
```

## Remediation

Write the page for the person who sees it.

## References

- [CWE-209](https://cwe.mitre.org/data/definitions/209.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import all_cases, fail, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("error-page-wrong", "The error page lacks what it promises", Severity.LOW, "0.1.0")
KINDS = {"error_pages": ("contains", "not_contain")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every error page whose text is not as promised."""
    if not rule.value.contains and not rule.value.not_contain:
        return
    seen: set[str] = set()
    for case in all_cases(facts, "plain"):
        outcome, response = case.exchange.outcome, case.response
        if response is None or response.status not in rule.value.statuses:
            continue
        text, name = response.body, case.probe.path
        if facts.kind == "predicted":
            name = outcome.action.file or ""
            if not name or name in seen or "upstream-down" not in outcome.when:
                continue
            seen.add(name)
            text = facts.read(name)
        if text is None:
            if facts.kind == "predicted":
                reason = f"the file {name} is not available here: add it to the target's mounts"
                yield unknown(CHECK, rule, reason, case=case, subject=name)
            continue
        missing = [word for word in rule.value.contains or () if word.lower() not in text.lower()]
        leaked = [word for word in rule.value.not_contain or () if word.lower() in text.lower()]
        if not missing and not leaked:
            yield None
            continue
        problems = [f"does not mention {word!r}" for word in missing] + [f"contains {word!r}" for word in leaked]
        yield fail(
            CHECK,
            rule,
            f"the error page {name} {' and '.join(problems)}",
            case=case,
            expected=", ".join([*(rule.value.contains or ()), *(f"no {w}" for w in rule.value.not_contain or ())]),
            observed="; ".join(problems),
            subject=name.rpartition("/")[2],
        )
