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
    cors: {headers: {accessControlAllowOriginListRegex: ["^https?://app[.]example$"], accessControlAllowCredentials: true, addVaryHeader: true}}
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
    cors: {headers: {accessControlAllowOriginList: ["https://app.example"], accessControlAllowCredentials: true, addVaryHeader: true}}
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

from auditor.browser import cors_check
from auditor.checks.judging import fail, has_https, made_at, open_backend, promised_redirect, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-insecure-origin", "An http:// origin outside the policy may read an https:// route", Severity.HIGH, "0.1.0"
)
KINDS = {"cors": ("allow_origins",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every refused http:// origin that a browser would let read the answer."""
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin, case.response
        if (
            origin.value is None
            or origin.allowed
            or not (origin.value.startswith("http://") and not origin.residual and has_https(facts, rule))
        ):
            continue
        if response is None or promised_redirect(facts, case):
            yield None
            continue
        reason = undecided(case, "Access-Control-Allow-Origin") or (
            open_backend(case, "Access-Control-Allow-Origin")
            if "Access-Control-Allow-Origin" not in response.headers
            else ""
        )
        if reason:
            yield unknown(CHECK, rule, reason, case=case)
        elif cors_check(origin.value, credentials=False, response=response) is not None:
            yield None
        else:
            secretly = cors_check(origin.value, credentials=True, response=response) is None
            yield fail(
                CHECK,
                rule,
                f"a page at {origin.value} can read {case.probe.method} {case.probe.path}"
                + (" with the user's cookies" if secretly else ""),
                case=case,
                at=made_at(next(iter(response.headers.lines("Access-Control-Allow-Origin")), None)),
                note="accepts a plain-HTTP origin",
                expected="no Access-Control-Allow-Origin for an origin outside the policy",
                observed=shown(response, "Access-Control-Allow-Origin"),
            )
