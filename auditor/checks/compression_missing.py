r"""Answers that should be compressed are not.

## What it checks

Whether nginx compresses the route's answers (`gzip` or `brotli` on, their media type listed) where the policy has `compression: required`; live, whether a client that accepts gzip gets it.

## Why it matters

Scripts and styles are a quarter of the size compressed.

## Fails

```yaml
route: {match: [{paths: ["/assets/app.css"]}], caching: {compression: required}}
```
```nginx
server { listen 80; location / { root /srv; } }
```

## Passes

```yaml
route: {match: [{paths: ["/assets/app.css"]}], caching: {compression: required}}
```
```nginx
server { listen 80; gzip on; gzip_types text/css; types { text/css css; } location / { root /srv; } }
```

## Remediation

`gzip on;` and the media types in `gzip_types` (only text/html is on by default).

## References

- [nginx, ngx_http_gzip_module](https://nginx.org/en/docs/http/ngx_http_gzip_module.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject, promised_redirect, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("compression-missing", "Answers that should be compressed are not", Severity.LOW, "0.1.0")
KINDS = {"caching": ("compression",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that does not compress."""
    if rule.value.compression != "required":
        return
    for case in facts.of(rule.route, "plain"):
        response = case.response
        if "Accept-Encoding" not in case.probe.request.headers:
            continue
        if response is None or not normal(case) or response.status != 200 or promised_redirect(facts, case):
            continue
        if "Content-Encoding" in response.headers or (facts.kind == "predicted" and _compresses(case)):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path} is not compressed",
            case=case,
            at=next((s.location for name in SWITCHES if (s := case.exchange.outcome.settings.get(name))), None),
            expected="gzip or brotli for this media type",
            observed=shown(response, "Content-Type") + ", not compressed",
            subject=place_subject(case),
        )


SWITCHES = ("brotli", "gzip")


def _compresses(case: Case) -> bool:
    settings = case.exchange.outcome.settings
    media_type = (case.response.headers.get("Content-Type") or "" if case.response else "").split(";")[0].strip()
    for name in SWITCHES:
        switch, types = settings.get(name), settings.get(f"{name}_types")
        if switch is None or switch.args[:1] != ("on",):
            continue
        listed = {"text/html", *(types.args if types else ())}
        if "*" in listed or media_type in listed:
            return True
    return False
