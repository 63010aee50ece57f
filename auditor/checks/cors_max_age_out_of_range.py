r"""The preflight cache lives longer or shorter than the policy says.

## What it checks

Whether `Access-Control-Max-Age` of a successful preflight lies in the policy's `max_age` range. A missing header means 5 seconds (Fetch).

## Why it matters

A grant that was withdrawn goes on working in browsers that cached it; one that is too short doubles every request.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [], max_age: {max: 24h}}
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
                add_header Access-Control-Max-Age 864000 always;
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
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: [], max_age: {max: 24h}}
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

Set the header to a value in the range; browsers cap it (Chromium at two hours).

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)

"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import remembered
from auditor.browser.cache import CHROMIUM_CAP
from auditor.browser.consequence import page_words
from auditor.checks.judging import fail, made_at, place_subject, shown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "cors-max-age-out-of-range",
    "The preflight cache lives longer or shorter than the policy says",
    Severity.LOW,
    "0.1.0",
)
KINDS = {"cors": ("max_age",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place whose preflight lives too long or too short."""
    limits = rule.value.max_age
    if limits is None:
        return
    for case in facts.of(rule.route, "preflight"):
        response = case.response
        if response is None or not case.probe.origin.allowed or response.status is None or response.status >= 300:
            continue
        least, most = remembered(response)
        too_long = limits.max is not None and most > limits.max
        if not too_long and (limits.min is None or least >= limits.min):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            _consequence(case, most if too_long else least, too_long=too_long),
            case=case,
            at=made_at(next(iter(response.headers.lines("Access-Control-Max-Age")), None)),
            expected=_range(limits.min, limits.max),
            observed=shown(response, "Access-Control-Max-Age"),
            subject=place_subject(case),
        )


def _consequence(case: Case, seconds: int, *, too_long: bool) -> str:
    """Say what the page may still do, or has to do again."""
    page, what = page_words(case.probe.origin.value or "null"), f"{case.probe.method} {case.probe.path}"
    if too_long:
        capped = f" (Chromium: {CHROMIUM_CAP})" if seconds > CHROMIUM_CAP else ""
        return f"{page} can send {what} for {seconds} seconds after the permission is taken back{capped}"
    return f"a browser asks again before {what} from {case.probe.origin.value} after {seconds} seconds"


def _range(low: float | None, high: float | None) -> str:
    parts = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    return " and ".join(part for part in parts if part) + " seconds"
