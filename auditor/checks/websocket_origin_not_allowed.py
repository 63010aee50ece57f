r"""A page at an origin outside the policy can open the WebSocket.

## What it checks

Whether a handshake with an Origin that the policy does not allow, or with none where `missing_origin: deny`, is accepted (101), or handed to an application that accepts it.

## Why it matters

The same-origin policy does not cover WebSockets: a browser opens them to anywhere, with the user's cookies. Only the server's check of the Origin stops another site's page.

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
            proxy_read_timeout 60s;
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

Refuse the handshake unless the Origin is on the list: a `map` on `$http_origin` and `if ($allowed = 0) { return 403; }`.

## References

- [RFC 6455 §10.2](https://www.rfc-editor.org/rfc/rfc6455#section-10.2)
- [CWE-1385](https://cwe.mitre.org/data/definitions/1385.html)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.consequence import page_words
from auditor.browser.handshake import may_open
from auditor.browser.reason import Reason
from auditor.checks.judging import fail, normal, promised_redirect, undecided, unknown
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "websocket-origin-not-allowed",
    "A page at an origin outside the policy can open the WebSocket",
    Severity.HIGH,
    "0.1.0",
)
KINDS = {"websocket": ("allow_origins", "missing_origin", "null_origin", "on_disallowed")}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every refused origin whose handshake is accepted."""
    for case in facts.of(rule.route, "websocket"):
        origin = case.probe.origin
        if origin.allowed or (origin.value is None and rule.value.missing_origin != "deny"):
            continue
        refusal = may_open(case.exchange)
        if refusal is None:
            yield fail(
                CHECK,
                rule,
                f"{_who(case)} can open the WebSocket {case.probe.path}{_with_cookies(case)} and read and write on it",
                case=case,
                note="passes the handshake on whatever its Origin",
                expected=f"status {' or '.join(map(str, rule.value.on_disallowed.status or (403,)))}",
                observed="status 101: the handshake is accepted",
            )
        else:
            yield _refused(rule, facts, case, refusal)


def _refused(rule: Rule, facts: Facts, case: Case, refusal: Reason) -> Finding | None:
    """Judge a handshake that opened nothing: who decided so, and whether with the status that the policy wants."""
    response, wanted = case.response, rule.value.on_disallowed.status
    if response is None:
        return None
    if refusal is Reason.UNDECIDED or (response.status is not None and response.status < 300):
        if response.further_headers or refusal is Reason.UNDECIDED:
            decides = f"{case.exchange.outcome.action.upstream or 'the backend'} decides on the handshake"
            return unknown(CHECK, rule, undecided(case) or decides, case=case)
        return None
    if not wanted or response.status in wanted or not normal(case) or promised_redirect(facts, case):
        return None
    return fail(
        CHECK,
        rule,
        f"{_who(case)} cannot open the WebSocket {case.probe.path}, and is refused with status {response.status}",
        case=case,
        expected=f"status {' or '.join(map(str, wanted))}",
        observed=f"status {response.status}",
        subject=f"refusal|{response.status}",
    )


def _who(case: Case) -> str:
    origin = case.probe.origin.value
    return "a client that sends no Origin" if origin is None else page_words(origin)


def _with_cookies(case: Case) -> str:
    """Say that the user's cookies go along: a page's handshake carries them, as far as SameSite lets them."""
    return "" if case.probe.origin.value is None else " with the user's cookies"
