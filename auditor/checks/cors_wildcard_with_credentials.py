r"""`*` is sent together with Access-Control-Allow-Credentials.

## What it checks

Whether an answer carries `Access-Control-Allow-Origin: *` and `Access-Control-Allow-Credentials: true` at once.

## Why it matters

No browser accepts that for a request with cookies: the page breaks. It leaks nothing by itself, but it shows that the author meant any origin, and the next fix is usually to echo the origin.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
add_header Access-Control-Allow-Origin * always;
add_header Access-Control-Allow-Credentials true always;
return 200;
```

## Passes

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
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

## Remediation

Send the allowed origin itself with credentials, or `*` without them.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.consequence import refusal_words
from auditor.browser.cors import cors_check, credentials_check
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, made_at, open_backend, place_subject, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-wildcard-with-credentials",
    "`*` is sent together with Access-Control-Allow-Credentials",
    Severity.MEDIUM,
    "0.1.0",
)
KINDS = {"cors": ("allow_credentials",)}
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
CREDENTIALS = "Access-Control-Allow-Credentials"
NOBODY = "https://somebody-else.invalid"
"""An origin that no answer is made for: what is refused to it for being `*` is refused to everybody."""


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every answer that has both."""
    for case in facts.of(rule.route, "cors", "preflight"):
        response = case.response
        if response is None:
            continue
        credentials = CREDENTIALS in response.headers or response.may_have_more(CREDENTIALS)
        if ALLOW_ORIGIN not in response.headers or not credentials:
            yield None
            continue
        refusal = cors_check(NOBODY, credentials=True, response=response)
        allowed = credentials_check(response) if refusal is Reason.WILDCARD_WITH_CREDENTIALS else refusal
        if refusal is Reason.WILDCARD_WITH_CREDENTIALS and (
            allowed is None or (allowed is Reason.UNDECIDED and CREDENTIALS in response.headers)
        ):
            yield fail(
                CHECK,
                rule,
                f"no browser lets any page read {case.probe.method} {case.probe.path} with the user's cookies: "
                f"{refusal_words(refusal, response)}",
                case=case,
                at=made_at(next(iter(response.headers.lines(ALLOW_ORIGIN)), None)),
                expected="the allowed origin itself, or no Access-Control-Allow-Credentials",
                observed=shown(response, ALLOW_ORIGIN),
                subject=place_subject(case),
            )
        elif (
            refusal is Reason.WILDCARD_WITH_CREDENTIALS
            and allowed is Reason.UNDECIDED
            and (reason := undecided(case, CREDENTIALS) or open_backend(case, CREDENTIALS))
        ):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield None
