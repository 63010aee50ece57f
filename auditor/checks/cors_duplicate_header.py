r"""A CORS header is sent twice.

## What it checks

Whether an answer carries more than one `Access-Control-Allow-Origin` or `Access-Control-Allow-Credentials` line.

## Why it matters

A browser joins the lines to one value, `https://a, https://a`, which matches no origin: no page can read the answer. It is what happens when a proxy and the application behind it both answer.

## Fails

```yaml
cors: {allow_origins: ["https://app.example"], allow_credentials: true, allow_methods: [GET], allow_headers: []}
```
```nginx
add_header Access-Control-Allow-Origin https://app.example always;
add_header Access-Control-Allow-Origin $http_origin always;
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

Let one layer decide. Behind nginx: `proxy_hide_header Access-Control-Allow-Origin;` for each CORS header, or no CORS middleware in the application.

## References

- [Fetch standard, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)
- [Fetch standard, CORS check](https://fetch.spec.whatwg.org/#concept-cors-check)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.answers import doubled
from auditor.browser.consequence import page_words, refusal_words
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, made_at, open_backend, place_subject, shown, unknown
from auditor.exchange import Response
from auditor.finding import CheckInfo, Finding, Note, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("cors-duplicate-header", "A CORS header is sent twice", Severity.HIGH, "0.1.0")
KINDS = {"cors": ("allow_origins",)}


HEADERS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials")


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that sends one of the headers twice, to an allowed origin where it does so too."""
    asked = [
        (case, case.response, doubled(case.response))
        for case in facts.of(rule.route, "cors", "preflight")
        if case.response is not None and case.probe.origin.value is not None
    ]
    locked_out = {place_subject(case) for case, _, name in asked if name and case.probe.origin.allowed}
    for case, response, name in asked:
        if name is None:
            reason = ""
            if response.further_headers:
                reason = open_backend(case, *(header for header in HEADERS if header in response.headers))
            yield unknown(CHECK, rule, reason, case=case) if reason else None
            continue
        if not case.probe.origin.allowed and place_subject(case) in locked_out:
            continue
        lines = response.headers.lines(name)
        also = tuple(
            Note(line.made_by, f"and {line.layer or 'another layer'} adds it again")
            for line in lines[1:]
            if line.made_by
        )
        layers = sorted({line.layer for line in lines if line.layer})
        yield fail(
            CHECK,
            rule,
            _consequence(case, response, name) + (f" (from {' and '.join(layers)})" if layers else ""),
            case=case,
            at=made_at(lines[0]),
            note="adds the header",
            also=also,
            expected=f"one {name}",
            observed=shown(response, name),
            subject=place_subject(case),
        )


def _consequence(case: Case, response: Response, name: str) -> str:
    """Say what no browser lets the page do."""
    origin, what = case.probe.origin.value or "null", f"{case.probe.method} {case.probe.path}"
    if name == HEADERS[0]:
        return f"no browser can use {what} from {origin}: {refusal_words(Reason.MULTIPLE_ALLOW_ORIGIN, response)}"
    why = refusal_words(Reason.INVALID_ALLOW_CREDENTIALS, response)
    return f"no browser lets {page_words(origin)} read {what} with the user's cookies: two of {why}"
