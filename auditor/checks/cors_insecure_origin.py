r"""An http:// origin outside the policy may read an https:// route.

## What it checks

Whether a page served over plain HTTP, at an origin the policy does not allow, may read a route that is served over HTTPS.

## Why it matters

Whoever controls the network controls every http:// page, and any local process can serve http://localhost: trusting them gives HTTPS away.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```traefik
http:
  routers:
    all: {rule: "PathPrefix(`/`)", service: app, middlewares: [cors], entryPoints: [websecure], tls: {}}
  middlewares:
    cors: {headers: {accessControlAllowOriginListRegex: ["^https?://app[.]example$"], addVaryHeader: true}}
  services:
    app: {loadBalancer: {servers: [{url: "http://app:80"}]}}
```

## Passes

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```traefik
http:
  routers:
    all: {rule: "PathPrefix(`/`)", service: app, middlewares: [cors], entryPoints: [websecure], tls: {}}
  middlewares:
    cors: {headers: {accessControlAllowOriginList: ["https://app.example"], addVaryHeader: true}}
  services:
    app: {loadBalancer: {servers: [{url: "http://app:80"}]}}
```

## Remediation

Allow http:// origins in development only: keep them in a file that production does not include.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [Secure Contexts](https://w3c.github.io/webappsec-secure-contexts/)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import has_https
from auditor.checks.reading import readers
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-insecure-origin", "An http:// origin outside the policy may read an https:// route", Severity.HIGH, "0.1.0"
)
KINDS = {"cors": ("allow_origins",)}
NOTE = "accepts a plain-HTTP origin"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that a browser would let a plain-HTTP origin outside the policy read."""
    secure = has_https(facts, rule)

    def mine(case: Case) -> bool:
        origin = case.probe.origin
        return secure and not origin.residual and (origin.value or "").startswith("http://")

    yield from readers(CHECK, rule, facts, NOTE, mine)
