"""No packet leaves the target: every one of a whole audit is recorded in a network namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live_field.namespace import DOOR, HTTP_PORT, NOWHERE, TLS_PORT

POLICY = f"""version: 1
name: packets
targets:
  - {{id: nginx, type: nginx, files: [nginx.conf]}}
  - id: live
    type: http
    entrypoints: {{web: "http://shop.example:{HTTP_PORT}", websecure: "https://shop.example:{TLS_PORT}"}}
    limits: {{requests_per_second: 200, concurrency: 8, timeout: 2s}}
    allow_unsafe_methods: true
routes:
  - id: api
    match: [{{hosts: [shop.example], paths: ["/api/**"]}}]
    probes: [{{path: /api/x}}]
    cors: {{allow_origins: ["https://app.shop.example"], allow_methods: [GET, POST], allow_credentials: true}}
    headers: {{X-Content-Type-Options: nosniff}}
    rate_limit: {{rate: 10/s, burst: 5, status: 429, key: client_ip}}
  - id: socket
    match: [{{hosts: [shop.example], paths: [/ws]}}]
    websocket: {{allow_origins: ["https://app.shop.example"]}}
error_pages: {{statuses: [404], not_contain: [nginx/]}}
exposure: {{unreachable: ["127.0.0.1:{DOOR}"], denied_paths: [/docs, "/**/.*"], direct_routes: forbid}}
tls: {{redirect: required, min_version: "1.2"}}
"""
CONFIGURATION = f"""events {{}}
http {{
    server {{
        listen {HTTP_PORT};
        listen {TLS_PORT} ssl;
        server_name shop.example;
        location / {{ return 307 http://203.0.113.9/; }}
    }}
}}
"""


def recorded(folder: Path, *arguments: str, policy: str = POLICY) -> dict[str, Any]:
    """Run the command in a namespace of its own and return what was recorded."""
    (folder / "auditor.yaml").write_text(policy)
    (folder / "nginx.conf").write_text(CONFIGURATION)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    isolated = ["unshare", "--map-root-user", "--net", "--mount"]
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"), "http://198.51.100.1:3128")
    command = [sys.executable, "-m", "auditor", *arguments, "--ca-file", "ca.pem", "--measure-limits"]
    run = subprocess.run(
        [*isolated, sys.executable, "-m", "tests.live_field.namespace", str(folder), *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **proxies},
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module", autouse=True)
def _able() -> None:
    """Network namespaces are needed; where there are none, say so."""
    try:
        probe = ["unshare", "--map-root-user", "--net", "--mount", "ip", "link", "set", "lo", "up"]
        able = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    if not able and os.environ.get("CI"):
        pytest.fail("no network namespaces here (unshare --map-root-user --net --mount): allow them in CI")
    if not able:
        pytest.skip("no network namespaces here (needs unshare, ip and the right to make them)")


KNOWN = "  - {id: nginx, type: nginx, files: [nginx.conf]}\n"


@pytest.mark.parametrize(
    ("command", "policy"), [("live", POLICY), ("audit", POLICY), ("live", POLICY.replace(KNOWN, ""))]
)
def test_no_packet_leaves_the_target(tmp_path: Path, command: str, policy: str) -> None:
    """Probes, redirects, proxies of the environment, doors, handshakes, limits, names: nothing goes anywhere else."""
    found = recorded(tmp_path, command, policy=policy)
    assert ["udp", *NOWHERE] in found["control"], "a packet to the outside would not have been seen"
    assert found["status"] in {1, 3}, found["output"]
    allowed = {("tcp", "127.0.0.1", HTTP_PORT), ("tcp", "127.0.0.1", TLS_PORT), ("tcp", "127.0.0.1", DOOR)}
    assert {tuple(item) for item in found["packets"]} == {*allowed, ("udp", "127.0.0.1", 53)}
    assert found["names"] == ["shop.example"]


def test_a_dry_run_sends_no_packet(tmp_path: Path) -> None:
    """Not even a name is asked for."""
    found = recorded(tmp_path, "live", "--dry-run")
    assert found["status"] == 0, found["output"]
    assert (found["packets"], found["names"]) == ([], [])
