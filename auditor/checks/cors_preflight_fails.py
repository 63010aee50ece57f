r"""A preflight from an allowed origin fails.

## What it checks

Whether the preflight for an allowed method and the allowed headers, from an allowed origin, ends as the Fetch standard wants: a 2xx status without redirect or authentication, and CORS headers that match. Where the policy lists `preflight.status`, the status must be one of them too.

## Why it matters

A browser does not send the request at all: the interface is down for that origin.

## Fails

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
                return 301 https://www.example/;
            }
            return 200 ok;
        }
    }
}
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

Answer OPTIONS before authentication and redirects, with status 204 and the CORS headers.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [Fetch standard, CORS-preflight fetch](https://fetch.spec.whatwg.org/#cors-preflight-fetch)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import doubled
from auditor.browser.consequence import page_words, refusal_words
from auditor.browser.cors import preflight_check
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, made_at, normal, open_backend, promised_redirect, shown, undecided, unknown
from auditor.exchange import Response
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-preflight-fails", "A preflight from an allowed origin fails", Severity.HIGH, "0.1.0")
KINDS = {"cors": ("preflight",)}
ALLOW_ORIGIN = "Access-Control-Allow-Origin"


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that fails the preflight of an allowed origin."""
    if not rule.value.enabled:
        return
    statuses = rule.value.preflight.status
    credentials = bool(rule.value.allow_credentials)
    for case in facts.of(rule.route, "preflight"):
        origin, response = case.probe.origin, case.response
        if not origin.allowed or origin.value is None or not case.probe.granted or promised_redirect(facts, case):
            continue
        if response is None or not normal(case):
            continue
        reason = undecided(case, ALLOW_ORIGIN)
        refusal = _refusal(origin.value, response, credentials=credentials)
        if not reason and refusal is Reason.UNDECIDED:
            reason = open_backend(case, ALLOW_ORIGIN)
            reason = reason or (
                "the status of the preflight's answer is not decided" if response.status is None else ""
            )
        if reason:
            yield unknown(CHECK, rule, reason, case=case)
            continue
        if refusal in {None, Reason.UNDECIDED} and response.status in statuses:
            yield None
            continue
        page, what = page_words(origin.value), f"{case.probe.method} {case.probe.path}"
        yield fail(
            CHECK,
            rule,
            f"no browser lets {page} send {what}: {_why(refusal, response)}"
            if refusal not in {None, Reason.UNDECIDED}
            else f"{page} can send {what} after a preflight answered {response.status}, which the policy does not list",
            case=case,
            at=made_at(next(iter(response.headers.lines(ALLOW_ORIGIN)), None)),
            expected=f"a preflight answer with status {' or '.join(map(str, statuses))} that allows {origin.value}",
            observed=f"status {response.status}; {shown(response, ALLOW_ORIGIN)}",
        )


def _refusal(origin: str, response: Response, *, credentials: bool) -> Reason | None:
    """Return why no browser takes this for a permission, whatever is asked for; None where every browser does.

    A header that is there twice is left to cors-duplicate-header.
    """
    asked = None if doubled(response) == ALLOW_ORIGIN else origin
    return preflight_check("GET", (), credentials, response, request_origin=asked)


def _why(refusal: Reason, response: Response) -> str:
    """Say why in the browser's order, and the status too where it would not do either."""
    words = refusal_words(refusal, response)
    failed = response.status is not None and not 200 <= response.status <= 299
    return f"{words} (and status {response.status})" if failed and str(response.status) not in words else words
