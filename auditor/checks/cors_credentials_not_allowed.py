r"""Credentials are allowed although the policy forbids them.

## What it checks

Whether an answer to an allowed origin carries `Access-Control-Allow-Credentials: true` on a route whose policy has `allow_credentials: false`.

## Why it matters

With that header a page of the allowed origin acts as the logged-in user.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: false, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "https://app.example" $http_origin;
    }
    map $http_origin $credentials {
        default "";
        "https://app.example" true;
    }
    map $cors $methods {
        default GET;
        "" "";
    }
    map $cors $max_age {
        default 600;
        "" "";
    }
    server {
        listen 80;
        location / {
            add_header Access-Control-Allow-Origin $cors always;
            add_header Access-Control-Allow-Credentials $credentials always;
            add_header Vary Origin always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $cors always;
                add_header Access-Control-Allow-Credentials $credentials always;
                add_header Access-Control-Allow-Methods $methods always;
                add_header Access-Control-Max-Age $max_age always;
                add_header Vary Origin always;
                return 204;
            }
            return 200 ok;
        }
    }
}
```

## Passes

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: false, allow_methods: [GET], allow_headers: []}
```
```nginx
http {
    map $http_origin $cors {
        default "";
        "https://app.example" $http_origin;
    }
    map $http_origin $credentials {
        default "";
        "https://app.example" true;
    }
    map $cors $methods {
        default GET;
        "" "";
    }
    map $cors $max_age {
        default 600;
        "" "";
    }
    server {
        listen 80;
        location / {
            add_header Access-Control-Allow-Origin $cors always;
            add_header Vary Origin always;
            if ($request_method = OPTIONS) {
                add_header Access-Control-Allow-Origin $cors always;
                add_header Access-Control-Allow-Methods $methods always;
                add_header Access-Control-Max-Age $max_age always;
                add_header Vary Origin always;
                return 204;
            }
            return 200 ok;
        }
    }
}
```

## Remediation

Remove the header, or allow credentials in the policy if they are wanted.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.consequence import page_words
from auditor.browser.cors import cors_check
from auditor.browser.reason import Reason
from auditor.checks.granting import refuses
from auditor.checks.judging import fail, made_at, open_backend, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-credentials-not-allowed", "Credentials are allowed although the policy forbids them", Severity.MEDIUM, "0.1.0"
)
KINDS = {"cors": ("allow_credentials",)}
HEADER = "Access-Control-Allow-Credentials"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every answer to an allowed origin that allows credentials against the policy."""
    if rule.value.allow_credentials is not False:
        return
    for case in facts.of(rule.route, "cors", "preflight"):
        origin, response = case.probe.origin.value, case.response
        if response is None or not case.probe.origin.allowed or origin is None:
            continue
        refusal = _refusal(case, origin)
        if refusal is None:
            verb = "send" if case.probe.purpose == "preflight" else "read"
            yield fail(
                CHECK,
                rule,
                f"{page_words(origin)} can {verb} {case.probe.method} {case.probe.path} with the user's cookies",
                case=case,
                at=made_at(next(iter(response.headers.lines(HEADER)), None)),
                expected=f"no {HEADER}",
                observed=shown(response, HEADER),
            )
        elif refusal is Reason.UNDECIDED and (reason := undecided(case, HEADER) or open_backend(case, HEADER)):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield None


def _refusal(case: Case, origin: str) -> Reason | None:
    """Return what keeps the page from using the user's cookies; None where nothing does."""
    if case.response is None:
        return Reason.NO_RESPONSE
    refusal = cors_check(origin, credentials=True, response=case.response)
    if refusal is None and case.probe.purpose == "preflight":
        return refuses(case.response, case.probe.method, credentials=True)
    return refusal
