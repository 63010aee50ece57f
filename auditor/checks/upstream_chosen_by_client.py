r"""A request names the server that it is passed on to.

## What it checks

Whether an argument, a header, a cookie, the Host or a part of the path that a client writes becomes the host of `proxy_pass`: requests that name `192.0.2.99` there must not be passed on to it.

## Why it matters

Whoever can reach the proxy reaches with it what only the proxy can: the metadata service of a cloud, a database's console, the backend without the layers before it (server-side request forgery).

## Fails

```yaml
cors: {enabled: false}
```
```nginx
server { listen 80; location /fetch { resolver 127.0.0.1; proxy_pass http://$arg_to; } }
```

## Passes

```yaml
cors: {enabled: false}
```
```nginx
map $arg_to $upstream { default app:8000; beta beta:8000; }
server { listen 80; location /fetch { resolver 127.0.0.1; proxy_pass http://$upstream; } }
```

## Remediation

Choose among names that the configuration lists: a `map` from what the client says to an upstream, with a default.

## References

- [nginx, proxy_pass](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass)
- [gixy, ssrf](https://github.com/yandex/gixy/blob/master/docs/en/plugins/ssrf.md)
- [CWE-918](https://cwe.mitre.org/data/definitions/918.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, place_subject
from auditor.exchange import CHOSEN
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "upstream-chosen-by-client", "A request names the server that it is passed on to", Severity.HIGH, "0.1.0"
)
KINDS = {"match": ()}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that passes a request on to the host that it names."""
    for case in facts.of(rule.route, "plain"):
        upstream = case.exchange.outcome.action.upstream
        if upstream is None:
            continue
        host = upstream.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
        if host != CHOSEN:
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"a request to {case.probe.path} is passed on to the host that it names",
            case=case,
            note="takes the upstream from the request",
            expected="an upstream that the configuration names",
            observed=f"passed on to {upstream}",
            subject=place_subject(case),
        )
