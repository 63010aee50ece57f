r"""The backend is told of a connection that is not the client's.

## What it checks

Whether what the configuration writes into `X-Forwarded-Proto`, `X-Forwarded-Host`, `X-Forwarded-For` and `X-Real-IP` of a request that is passed on is true: the scheme that the client used, the host it asked for, its address and not the one it claims. A scheme of `https` on a door without TLS is taken for wrong only where the stack has a door with TLS, too: without one, something before it may speak TLS.

## Why it matters

Applications build links and redirects from the scheme and mark cookies `Secure` by it: told `http` over HTTPS they redirect in circles. An address that the client chooses itself passes every allow list and every limit by address, and stands in the log.

## Fails

```yaml
cors: {enabled: false}
```
```nginx
server {
    listen 443 ssl; server_name shop.example; ssl_certificate shop.pem; ssl_certificate_key shop.key;
    location / { proxy_set_header X-Forwarded-Proto http; proxy_pass http://app:8000; }
}
```

## Passes

```yaml
cors: {enabled: false}
```
```nginx
server {
    listen 443 ssl; server_name shop.example; ssl_certificate shop.pem; ssl_certificate_key shop.key;
    location / {
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://app:8000;
    }
}
```

## Remediation

At the outermost layer `proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Real-IP $remote_addr;`. Behind another proxy, pass on what that one said (`$http_x_forwarded_proto`), and take its word for addresses with `set_real_ip_from` alone.

## References

- [MDN, X-Forwarded-Proto](https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-Proto)
- [nginx, ngx_http_realip_module](https://nginx.org/en/docs/http/ngx_http_realip_module.html)
- [CWE-348](https://cwe.mitre.org/data/definitions/348.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, has_https, normal, place_subject
from auditor.exchange import UNKNOWN_VALUE, Field
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "forwarded-header-wrong", "The backend is told of a connection that is not the client's", Severity.MEDIUM, "0.1.0"
)
KINDS = {"match": ()}
TOLD = ("X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For", "X-Real-IP")


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that tells the backend something untrue of the client."""
    secure = has_https(facts, rule)
    for case in facts.of(rule.route, "plain", "variant"):
        asked = case.exchange.outcome.upstream_request
        if asked is None or not normal(case) or (case.probe.purpose == "variant" and case.probe.variant != "forged"):
            continue
        for line in asked.headers:
            # what no layer has written is what the client has sent
            if line.name not in TOLD or not line.layer or not line.value or UNKNOWN_VALUE in line.value:
                continue
            truth = _truth(case, line, secure=secure)
            if not truth:
                yield None
                continue
            yield fail(
                CHECK,
                rule,
                f"{case.probe.path}: the backend is told {line.name}: {line.value}, and the client {truth}",
                case=case,
                note=f"{line.layer} writes {line.name}",
                expected=f"{line.name} says that the client {truth}",
                observed=f"{line.name}: {line.value}",
                subject=f"{place_subject(case)}|{line.name}|{case.probe.entry.scheme}",
            )


def _truth(case: Case, line: Field, *, secure: bool) -> str:
    """Say what is true where the line is not, "" where it is or nothing tells."""
    scheme, said = case.probe.entry.scheme, line.value.split(",")[0].strip().lower()
    if line.name == "X-Forwarded-Proto":
        wrong = said in {"http", "https"} and said != scheme and (secure or scheme == "https")
        return f"used {scheme}" if wrong else ""
    if line.name == "X-Forwarded-Host":
        host = case.probe.request.host.lower()
        return f"asked for {host}" if said.partition(":")[0] != host.partition(":")[0] else ""
    claimed = {header.value for header in case.probe.request.headers if header.name in TOLD}
    wrong = case.probe.variant == "forged" and line.value.strip() in claimed
    return f"at {case.probe.request.client} only claims that" if wrong else ""
