"""Targets read together: what one file says changes what another one means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditor import audit
from auditor.finding import Finding, Run, Verdict
from auditor.options import Options

LABELS = """
services:
  edge:
    image: traefik:v3.7
    command:
      - --entrypoints.web.address=:80
      - --entrypoints.side.address=:81
      - --providers.docker.exposedbydefault=false
    ports: ["80:80", "81:81"]
  shop:
    image: shop
    expose: ["3000"]
    labels:
      - traefik.enable=true
      - traefik.http.routers.shop.rule=Host(`shop.example`)
      - traefik.http.routers.shop.entrypoints=web
      - traefik.http.routers.shop.middlewares=slow
      - traefik.http.middlewares.slow.ratelimit.average=5
      - traefik.http.middlewares.slow.ratelimit.burst=10
      - traefik.http.routers.side.rule=Host(`shop.example`)
      - traefik.http.routers.side.entrypoints=side
"""


def run(folder: Path, files: dict[str, str], **policy: Any) -> Run:
    """Write files and a policy, and check it."""
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    route = {"id": "all", "match": [{"hosts": ["shop.example"], "paths": ["/**"], "methods": ["GET"]}]}
    whole = {"version": 1, "name": "shop", **policy, "routes": [{**route, **policy.get("route", {})}]}
    whole.pop("route", None)
    (folder / "policy.yaml").write_text(json.dumps(whole), "utf-8")
    return audit.check(Options("check", folder / "policy.yaml"))


def failing(found: Run, check: str) -> list[Finding]:
    """Return the violations of a check."""
    return [f for f in found.findings if f.check == check and f.verdict is Verdict.FAIL]


def test_traefik_may_be_all_flags_and_labels(tmp_path: Path) -> None:
    """Without any file of its own, Traefik is what the Compose file's arguments and labels make it; limits differ by door."""
    targets = [{"id": "edge", "type": "traefik"}, {"id": "stack", "type": "compose", "files": ["compose.yaml"]}]
    limit = {"rate_limit": {"rate": "5/s", "burst": 10, "status": 429, "key": "client_ip"}}
    found = run(tmp_path, {"compose.yaml": LABELS}, targets=targets, route=limit)
    lacking = failing(found, "rate-limit-missing")
    assert [f.message for f in lacking] == ["GET / is answered without any rate limit at the door side"]
    assert lacking[0].notes[0].location.file.endswith("compose.yaml")
    assert found.graph is not None
    ways = {way.text for way in found.graph.ways}
    assert ways == {
        f"internet → edge:{port} → router {name} → shop:3000" for port, name in ((80, "shop"), (81, "side"))
    }


def test_a_traefik_of_no_file_and_no_service_is_said(tmp_path: Path) -> None:
    """A target that names nothing, beside a Compose file that runs no Traefik, cannot be evaluated."""
    targets = [{"id": "edge", "type": "traefik"}, {"id": "stack", "type": "compose", "files": ["compose.yaml"]}]
    found = run(tmp_path, {"compose.yaml": "services: {shop: {image: shop}}\n"}, targets=targets)
    assert any("names no file" in f.message and f.verdict is not Verdict.PASS for f in found.findings)


APPLICATION = """
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example", "https://{}"], allow_credentials=True)
@app.get("/")
def home(): return {{}}
"""


@pytest.mark.parametrize(("other", "wrong"), [("app.shop.example", False), ("partner.example", True)])
def test_an_application_is_imported_and_asked(other: str, wrong: bool, tmp_path: Path) -> None:
    """`module:object` answers for itself: an origin that only its code knows is found."""
    pytest.importorskip("fastapi")
    module = f"asked_{other.partition('.')[0]}"
    targets = [{"id": "backend", "type": "asgi", "files": [f"{module}:app"]}]
    cors = {"cors": {"allow_origins": ["https://shop.example", "https://app.shop.example"], "allow_credentials": True}}
    found = run(tmp_path, {f"{module}.py": APPLICATION.format(other)}, targets=targets, route=cors)
    messages = [f.message for f in failing(found, "cors-origin-not-allowed")]
    assert [message for message in messages if "https://partner.example" in message] == messages
    assert bool(messages) is wrong


def test_an_application_that_cannot_be_imported_is_a_finding(tmp_path: Path) -> None:
    """What is wrong with it is said at the policy's line, and the rest goes on."""
    targets = [{"id": "backend", "type": "asgi", "files": ["no_such_module_anywhere:app"]}]
    found = run(tmp_path, {}, targets=targets)
    said = [f.message for f in found.findings if f.verdict is not Verdict.PASS]
    assert any("no_such_module_anywhere:app cannot be imported" in message for message in said)


NGINX = """
events {}
http {
    server {
        listen 80;
        server_name shop.example;
        location / {
            proxy_pass http://app:8000;
            add_header Access-Control-Allow-Origin https://shop.example always;
            add_header Vary Origin always;
        }
    }
}
"""


def test_a_backend_that_no_target_describes_is_said_with_what_it_leaves_open(tmp_path: Path) -> None:
    """One finding names the address and the checks that it leaves open; an application in its place closes them."""
    pytest.importorskip("fastapi")
    nginx = {"id": "nginx", "type": "nginx", "files": ["nginx.conf"]}
    cors = {"cors": {"allow_origins": ["https://shop.example"]}}
    files = {"nginx.conf": NGINX, "main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}
    found = run(tmp_path, files, targets=[nginx], route=cors)
    (said,) = [f for f in found.findings if f.check == "backend-undeclared"]
    assert said.message.startswith("no target describes app:8000: ")
    assert "cors-duplicate-header" in said.message
    assert said.notes[0].location.line == 7
    backend = {"id": "backend", "type": "asgi", "files": ["main.py"]}
    described = run(tmp_path, files, targets=[nginx, backend], route=cors)
    assert not [f for f in described.findings if f.check == "backend-undeclared" or f.verdict is Verdict.UNKNOWN]


LAYERED = """
entryPoints: {web: {address: ":80"}, side: {address: ":81"}}
"""
ROUTED = """
http:
  routers:
    web: {rule: "Host(`shop.example`)", service: nginx, entryPoints: [web], middlewares: [strict]}
    side: {rule: "Host(`shop.example`)", service: nginx, entryPoints: [side]}
  middlewares:
    strict: {rateLimit: {average: 5, burst: 100}}
  services:
    nginx: {loadBalancer: {servers: [{url: "http://nginx:80"}]}}
"""
LIMITED = """
events {}
http {
    limit_req_zone $http_x_forwarded_for zone=one:10m rate=50r/s;
    server {
        listen 80;
        server_name shop.example;
        location / {
            limit_req zone=one burst=10 nodelay;
            return 200 ok;
        }
        location /app/ {
            limit_req zone=one burst=10 nodelay;
            proxy_pass http://app:8000;
        }
    }
}
"""


def test_the_limit_of_a_route_is_all_limits_of_its_way_and_differs_by_door(tmp_path: Path) -> None:
    """Traefik's rate and nginx's burst hold together behind one door; behind the other nginx's limit is alone."""
    targets = [
        {"id": "edge", "type": "traefik", "static": "traefik.yml", "dynamic": ["dynamic.yml"]},
        {"id": "nginx", "type": "nginx", "files": ["nginx.conf"]},
    ]
    files = {"traefik.yml": LAYERED, "dynamic.yml": ROUTED, "nginx.conf": LIMITED}
    limit = {
        "match": [{"hosts": ["shop.example"], "paths": ["/app/**"], "methods": ["GET"]}],
        "rate_limit": {"rate": "5/s", "burst": 10, "key": "header:X-Forwarded-For"},
    }
    found = run(tmp_path, files, targets=targets, layers=["edge", "nginx"], route=limit)
    messages = {f.message.partition(" lets ")[2] for f in failing(found, "rate-limit-too-loose")}
    assert messages == {"through 50 requests a second with a burst of 10 at the door side"}
