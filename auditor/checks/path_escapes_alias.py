r"""A path climbs out of the folder that its location leads to.

## What it checks

Whether a path that begins like a location without its final slash, followed by `../`, is looked for outside the folder of `alias`, or outside the path that `proxy_pass` puts in the location's place. nginx removes `/../` from a path before it chooses a location; `/static../` is no such thing, and becomes one when `/static` is replaced.

## Why it matters

`location /static { alias /srv/static/; }` serves `/static../secrets.env` from `/srv/secrets.env`; `location /api { proxy_pass http://app/v1/; }` lets `/api../admin` ask the application for `/v1/../admin`.

## Fails

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location /static { alias /srv/static/; } }
```

## Passes

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location /static/ { alias /srv/static/; } }
```

## Remediation

End both with a slash, or neither: `location /static/ { alias /srv/static/; }`.

## References

- [nginx, alias](https://nginx.org/en/docs/http/ngx_http_core_module.html#alias)
- [gixy, alias_traversal](https://github.com/yandex/gixy/blob/master/docs/en/plugins/aliastraversal.md)
- [CWE-22](https://cwe.mitre.org/data/definitions/22.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("path-escapes-alias", "A path climbs out of the folder of its location", Severity.HIGH, "0.1.0")
KINDS = {"match": ()}
UP = "/../"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that looks for a path above where it leads to."""
    for case in facts.of(rule.route, "plain"):
        action = case.exchange.outcome.action
        asked = (action.upstream or "").partition("?")[0]
        found = next((text for text in (action.file, asked) if text and UP in text), None)
        if found is None:
            if action.file or asked:
                yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path} is looked for at {found}",
            case=case,
            note="ends without the slash that what it is replaced by ends with",
            expected="nothing above what the location leads to",
            observed=found,
            subject=place_subject(case),
        )
