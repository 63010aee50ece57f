r"""Error answers cannot be read by allowed origins.

## What it checks

Whether an allowed origin can read the route's error answers too (statuses from 400, made by nginx or passed on), where the policy has `on_error: keep`.

## Why it matters

Without the headers a page sees a network error instead of "429, try again later": `add_header` without `always` is left out of every error answer.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [], on_error: keep}
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
            add_header Access-Control-Allow-Origin $cors;
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
            return 404 gone;
        }
    }
}
```

## Passes

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [], on_error: keep}
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
            return 404 gone;
        }
    }
}
```

## Remediation

Add `always` to every CORS `add_header`, and repeat them where error pages are served.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import doubled
from auditor.browser.consequence import refusal_words
from auditor.browser.cors import cors_check
from auditor.checks.judging import fail, open_backend, place_subject, shown, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-lost-on-error", "Error answers cannot be read by allowed origins", Severity.MEDIUM, "0.1.0")
KINDS = {"cors": ("on_error",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every error answer that an allowed origin cannot read."""
    if rule.value.on_error != "keep":
        return
    for case in facts.of(rule.route, "cors"):
        origin, response = case.probe.origin, case.response
        if not origin.allowed or origin.value is None or response is None or (response.status or 0) < 400:
            continue
        if doubled(response) == "Access-Control-Allow-Origin":
            continue
        refusal = cors_check(origin.value, credentials=bool(rule.value.allow_credentials), response=response)
        if refusal is None:
            yield None
        elif reason := undecided(case, "Access-Control-Allow-Origin") or open_backend(
            case, "Access-Control-Allow-Origin"
        ):
            yield unknown(CHECK, rule, reason, case=case)
        else:
            yield fail(
                CHECK,
                rule,
                f"a page at {origin.value} cannot read the {response.status} of {case.probe.path} "
                f"({case.exchange.outcome.when}): {refusal_words(refusal, response)}",
                case=case,
                expected=f"Access-Control-Allow-Origin: {origin.value} on errors too",
                observed=f"status {response.status}, {shown(response, 'Access-Control-Allow-Origin')}",
                subject=f"{place_subject(case)}|{case.exchange.outcome.when}",
            )
