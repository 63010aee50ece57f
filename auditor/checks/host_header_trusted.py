r"""A host that only the request names is believed.

## What it checks

Whether a request whose Host nobody has (`unknown.invalid`) is redirected to that host, or passed on to a backend with it as `Host` or `X-Forwarded-Host`.

## Why it matters

Links in mails for a new password, redirects and cached pages are made from it: an attacker who sends the request for the victim, or fills a cache, has them point at a host of their own.

## Fails

```yaml
policy: {exposure: {unknown_hosts: refuse}}
```
```nginx
server { listen 80 default_server; return 301 https://$host$request_uri; }
```

## Passes

```yaml
policy: {exposure: {unknown_hosts: refuse}}
```
```nginx
server { listen 80 default_server; return 301 https://shop.example$request_uri; }
```

## Remediation

A default server that refuses (`return 444;`), and `$server_name` or the name itself in redirects and in `proxy_set_header Host`.

## References

- [OWASP, Testing for Host Header Injection](https://owasp.org/www-project-web-security-testing-guide/latest/4-Web_Application_Security_Testing/07-Input_Validation_Testing/17-Testing_for_Host_Header_Injection)
- [gixy, host_spoofing](https://github.com/yandex/gixy/blob/master/docs/en/plugins/hostspoofing.md)
- [CWE-644](https://cwe.mitre.org/data/definitions/644.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.url import parse_url
from auditor.checks.judging import fail, place_subject
from auditor.exchange import Field
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import NO_HOST, Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("host-header-trusted", "A host that only the request names is believed", Severity.MEDIUM, "0.1.0")
KINDS = {"exposure.unknown_hosts": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that repeats a host that nobody has to a client or to a backend."""
    for case in facts.of(None, "anywhere"):
        if case.probe.host != NO_HOST:
            continue
        believed = _believed(case)
        if believed is None:
            yield None
            continue
        line, to = believed
        yield fail(
            CHECK,
            rule,
            f"{case.probe.path}: {to} is told the host that the request names: {line.name}: {line.value}",
            case=case,
            at=line.made_by,
            note="takes the host from the request",
            expected="a host that the configuration names, or a refusal",
            observed=f"{line.name}: {line.value}",
            subject=f"{case.probe.entry.name}|{place_subject(case)}|{line.name}",
        )


def _believed(case: Case) -> tuple[Field, str] | None:
    """Return the header line that repeats the host, and to whom; None where none does."""
    asked = case.exchange.outcome.upstream_request
    for line in asked.headers if asked is not None else ():
        if line.name.lower() in {"host", "x-forwarded-host"} and line.value.partition(":")[0] == NO_HOST:
            return line, "the backend"
    for line in case.response.headers.lines("Location") if case.response is not None else ():
        url = parse_url(line.value)
        if url is not None and url.host == NO_HOST:
            return line, "the client"
    return None
