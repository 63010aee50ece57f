r"""The WebSocket upgrade does not reach the application.

## What it checks

Whether a proxied handshake still carries `Upgrade: websocket` and `Connection: upgrade` over HTTP/1.1 when it reaches the application.

## Why it matters

nginx drops hop-by-hop headers unless told otherwise: every connection fails with 400, 404 or 426.

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
            if ($allowed = 0) { return 403; }
            proxy_pass http://app:8000;
            proxy_http_version 1.1;
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

`proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`

## References

- [nginx, WebSocket proxying](https://nginx.org/en/docs/http/websocket.html)
- [RFC 6455 §4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.browser.consequence import page_words, refusal_words
from auditor.browser.handshake import may_open
from auditor.checks.judging import fail, normal, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Case, Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo(
    "websocket-upgrade-broken", "The WebSocket upgrade does not reach the application", Severity.HIGH, "0.1.0"
)
KINDS = {"websocket": ("allow_origins",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that passes an allowed handshake on as an ordinary request."""
    for case in facts.of(rule.route, "websocket"):
        if not case.probe.origin.allowed or not normal(case):
            continue
        upstream = case.exchange.outcome.upstream_request
        if facts.kind == "observed":
            refusal = may_open(case.exchange)
            if refusal is None:
                yield None
            elif case.response is not None and case.response.status in {400, 426}:
                yield fail(
                    CHECK,
                    rule,
                    f"no browser opens the WebSocket {case.probe.path} for {_page(case)}: "
                    f"{refusal_words(refusal, case.response)}",
                    case=case,
                    expected="status 101",
                    observed=f"status {case.response.status}",
                )
            continue
        if upstream is None:
            continue
        upgrade = (upstream.headers.get("Upgrade") or "").lower()
        connection = (upstream.headers.get("Connection") or "").lower()
        if upgrade == "websocket" and "upgrade" in connection and upstream.version == "1.1":
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"no browser opens the WebSocket {case.probe.path} for {_page(case)}: "
            f"the handshake loses its Upgrade on the way to {upstream.listen}",
            case=case,
            note="proxies without the upgrade",
            expected="Upgrade: websocket, Connection: upgrade, HTTP/1.1",
            observed=f"Upgrade: {upgrade or '(none)'}, Connection: {connection or '(none)'}, HTTP/{upstream.version}",
            subject=place_subject(case),
        )


def _page(case: Case) -> str:
    return page_words(case.probe.origin.value or "null")
