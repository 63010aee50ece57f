r"""A WebSocket or stream is buffered.

## What it checks

Whether `proxy_buffering` is off where the policy's `websocket` has `buffering: off`.

## Why it matters

An upgraded connection is never buffered, but its fallbacks (server-sent events, long polling) on the same path are: messages arrive late and in lumps.

## Fails

```yaml
route: {match: [{paths: [/ws], methods: [GET]}], websocket: {allow_origins: ["https://app.example"], missing_origin: deny, on_disallowed: {status: [403]}, buffering: off}}
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

## Passes

```yaml
route: {match: [{paths: [/ws], methods: [GET]}], websocket: {allow_origins: ["https://app.example"], missing_origin: deny, on_disallowed: {status: [403]}, buffering: off}}
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
            proxy_buffering off;
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

`proxy_buffering off;` in the location.

## References

- [nginx, proxy_buffering](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.checks.judging import fail, normal, place_subject
from auditor.finding import CheckInfo, Finding, Severity
from auditor.plan.facts import Facts
from auditor.policy.loaded import Rule

CHECK = CheckInfo("websocket-buffered", "A WebSocket or stream is buffered", Severity.LOW, "0.1.0")
KINDS = {"websocket": ("buffering",)}


def decide(rule: Rule, facts: Facts) -> Iterator[Finding | None]:
    """Yield a finding for every place that buffers."""
    if rule.value.buffering != "off" or facts.kind == "observed":
        return
    for case in facts.of(rule.route, "websocket"):
        if case.exchange.outcome.upstream_request is None or case.exchange.outcome.selected is None or not normal(case):
            continue
        setting = case.exchange.outcome.settings.get("proxy_buffering")
        if setting is not None and setting.args == ("off",):
            yield None
            continue
        yield fail(
            CHECK,
            rule,
            f"answers of {case.probe.path} are buffered",
            case=case,
            at=setting.location if setting else None,
            expected="proxy_buffering off",
            observed=f"proxy_buffering {' '.join(setting.args)}" if setting else "proxy_buffering on (nginx's default)",
            subject=place_subject(case),
        )
