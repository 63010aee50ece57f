"""The reference stack's own description, promise by promise: whoever breaks one in the configuration fails the gate.

Doors, networks and what browsers are built with are in `test_doors.py`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor import audit
from auditor.finding import Severity, Verdict
from auditor.options import Options

ROOT = Path(__file__).parents[1]
STACK = ROOT / "auditor" / "demo" / "stack" / "hardened"
POLICY = ROOT / "policies" / "qwen-image.yaml"


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise in the words of the description, an edit (file, old text, new text), the check and the clause."""

    promise: str
    edit: tuple[str, str, str]
    check: str
    rule: str


CONF, CORS, PROXY, SECURITY = "nginx.prod.conf", "nginx-cors.conf", "nginx-proxy.conf", "nginx-security.conf"
WS = "            proxy_set_header       Upgrade $http_upgrade;\n"
BROKEN = (
    Broken("routes /api/* requests to qwen-api:8000", (CONF, "server     qwen-api:8000", "server     qwen-api:9000"), "route-wrong-upstream", "api.served_by"),
    Broken("without the prefix", (CONF, "            proxy_pass  http://qwen_api/;\n", "            proxy_pass  http://qwen_api;\n"), "health-endpoint-broken", "api.probes[0]"),
    Broken("routes /ws connections to qwen-api:8000/ws", (CONF, "http://qwen_api/ws;", "http://qwen_api/socket;"), "websocket-origin-refused", "socket.websocket"),
    Broken("WebSocket upgrade requests", (CONF, WS, ""), "websocket-upgrade-broken", "socket.websocket"),
    Broken("CORS headers enable cross-origin requests", (CORS, '    "https://app.qwen.example.com"  "https://app.qwen.example.com";\n', ""), "cors-origin-refused", "api.cors"),
    Broken("origins are validated by nginx", (CORS, '    default                         "";\n', "    default                         $http_origin;\n"), "cors-any-origin", "api.cors"),
    Broken("GET, POST, PUT, DELETE, OPTIONS, PATCH", (CORS, ", OPTIONS, PATCH", ""), "cors-method-refused", "api.cors"),
    Broken("standard headers plus custom API headers", (CORS, ", X-API-Key", ""), "cors-header-refused", "api.cors"),
    Broken("credentials are enabled", (PROXY, "add_header Access-Control-Allow-Credentials $cors_credentials always;\n", ""), "cors-credentials-missing", "api.cors"),
    Broken("always", (PROXY, "Allow-Origin $cors_origin always", "Allow-Origin $cors_origin"), "cors-lost-on-error", "api.cors"),
    Broken("handles preflight requests", (PROXY, "    return 204;", "    return 403;"), "cors-preflight-fails", "api.cors"),
    Broken("a custom error page when the backend is unavailable", (CONF, "error_page  502 503 504  /api_error.html;", "error_page  503 504  /api_error.html;"), "error-page-missing", "error_pages"),
    Broken("which does not hide the failure", (CONF, "error_page  502 503 504  /", "error_page  502 503 504  =200 /"), "error-page-missing", "error_pages"),
    Broken("retries every 30 seconds", ("html/api_error.html", '<script src="/assets/retry.v1.js"></script>', ""), "error-page-wrong", "error_pages"),
    Broken("a manual retry option", ("html/api_error.html", '<button id="retry">Retry now</button>', ""), "error-page-wrong", "error_pages"),
    Broken("/health", (CONF, 'return 200    "healthy\\n";', "return 503;"), "health-endpoint-broken", "health.probes[0]"),
    Broken("/api/health", ("app/main.py", '@app.get("/health")', '@app.get("/healthy")'), "health-endpoint-broken", "api.probes[0]"),
    Broken("/api/status", ("app/main.py", '@app.get("/status")', '@app.get("/state")'), "health-endpoint-broken", "api.probes[1]"),
    Broken("security headers are added by nginx", (SECURITY, "X-Frame-Options DENY", "X-Frame-Options ALLOWALL"), "header-wrong-value", "api.headers.X-Frame-Options"),
    Broken("of every kind", (SECURITY, "object-src 'none'; ", ""), "csp-missing-directive", "pages.headers.Content-Security-Policy"),
    Broken("API requests are rate-limited", (CONF, "            limit_req   zone=api burst=40 nodelay;\n            proxy_pass  http://qwen_api/;", "            proxy_pass  http://qwen_api/;"), "rate-limit-missing", "api.rate_limit"),
    Broken("each client by itself", (CONF, "    set_real_ip_from  172.28.0.2;\n", ""), "rate-limit-shared", "api.rate_limit"),
    Broken("HTTP/1.1 with keep-alive", (PROXY, "proxy_http_version     1.1", "proxy_http_version     1.0"), "keepalive-missing", "api.keepalive"),
    Broken("compression enabled", (CONF, "gzip             on", "gzip             off"), "compression-missing", "assets.caching"),
    Broken("static assets cached", (CONF, ", immutable", ""), "cache-control-wrong", "assets.caching"),
    Broken("buffering disabled for WebSocket connections", (CONF, "            proxy_buffering        off;\n", ""), "websocket-buffered", "socket.websocket"),
    Broken("timeouts for different request types", (PROXY, "proxy_read_timeout     120s", "proxy_read_timeout     60s"), "timeout-out-of-range", "api.timeouts.read"),
    Broken("the client waits 120 seconds", (CONF, "proxy_read_timeout     3600s", "proxy_read_timeout     60s"), "timeout-out-of-range", "socket.timeouts.read"),
)  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.promise)
def test_a_broken_promise_fails_the_gate(broken: Broken, tmp_path: Path) -> None:
    """One edit, and `auditor check` ends with 1 for the clause that states the promise."""
    folder = tmp_path / "stack"
    shutil.copytree(STACK, folder)
    name, old, new = broken.edit
    text = (folder / name).read_text("utf-8")
    assert old in text, f"{name} has no {old!r}"
    (folder / name).write_text(text.replace(old, new), "utf-8")
    run = audit.check(Options("check", POLICY, variables={"stack": str(folder)}))
    assert audit.exit_status(run)[0] == 1
    found = [(f.check, f.rule) for f in run.findings if f.verdict is Verdict.FAIL and f.severity >= Severity.MEDIUM]
    assert (broken.check, broken.rule) in found, sorted(set(found))
