r"""A page at an allowed origin cannot open the WebSocket.

## What it checks

Whether a handshake from an allowed origin is accepted in the normal case.

## Why it matters

The promise does not hold: the page's connection fails.

## Fails

```yaml
route: {match: [{paths: [/ws], methods: [GET]}], websocket: {allow_origins: ["https://app.example"], missing_origin: deny, on_disallowed: {status: [403]}}}
```
```nginx
http {
    map $http_origin $allowed {
        default 0;
        "https://app.example" 1;
    }
    server {
        listen 80;
        location /ws {
            if ($allowed = 1) { return 403; }
            proxy_pass http://app:8000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}
```
```python
from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
```

## Passes

```yaml
route: {match: [{paths: [/ws], methods: [GET]}], websocket: {allow_origins: ["https://app.example"], missing_origin: deny, on_disallowed: {status: [403]}}}
```
```nginx
http {
    map $http_origin $allowed {
        default 0;
        "https://app.example" 1;
    }
    server {
        listen 80;
        location /ws {
            if ($allowed = 0) { return 403; }
            proxy_pass http://app:8000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}
```
```python
from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
```

## Remediation

Let the origin through exactly as a browser writes it.

## References

- [RFC 6455 §10.2](https://www.rfc-editor.org/rfc/rfc6455#section-10.2)
- [CWE-1385](https://cwe.mitre.org/data/definitions/1385.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.consequence import page_words, refusal_words
from auditor.browser.handshake import may_open
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, normal, promised_redirect, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "websocket-origin-refused", "A page at an allowed origin cannot open the WebSocket", Severity.MEDIUM, "0.1.0"
)
KINDS = {"websocket": ("allow_origins",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every allowed origin whose handshake is refused."""
    for case in facts.of(rule.route, "websocket"):
        response = case.response
        if not case.probe.origin.allowed or response is None or not normal(case) or promised_redirect(facts, case):
            continue
        refusal = may_open(case.exchange)
        if refusal is None:
            yield None
        elif refusal is Reason.UNDECIDED and (reason := undecided(case)):
            yield unknown(CHECK, rule, reason, case=case)
        elif refusal is Reason.UNDECIDED or (response.further_headers and response.status == 200):
            upstream = case.exchange.outcome.action.upstream
            yield unknown(CHECK, rule, f"{upstream} is not described by any target: it decides", case=case)
        elif response.status not in {426, 400}:
            yield fail(
                CHECK,
                rule,
                f"no browser opens the WebSocket {case.probe.path} for {page_words(case.probe.origin.value or 'null')}: "
                f"{refusal_words(refusal, response)}",
                case=case,
                expected="status 101",
                observed=f"status {response.status}",
            )
