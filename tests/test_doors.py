"""The doors of the reference stack: one policy, and each way of breaking it that we can think of is caught by name."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor import audit
from auditor.finding import Finding, Run, Verdict
from auditor.options import Options

ROOT = Path(__file__).parents[1]
POLICY = ROOT / "policies" / "qwen-doors.yaml"
STACK = ROOT / "auditor" / "demo" / "stack" / "hardened"

API = "    container_name: qwen-api\n"
FRONT = "    container_name: qwen-frontend\n"
ON_INTERNAL = "      timeout: 3s\n    networks: [qwen-network]\n\nnetworks:"
ON_BOTH = "      timeout: 3s\n    networks: [qwen-network, public]\n\nnetworks:"
FRONT_INTERNAL = "    depends_on: [qwen-api]\n    networks: [qwen-network]"
FRONT_BOTH = "    depends_on: [qwen-api]\n    networks: [qwen-network, public]"
SITE = "    # everything, the API included, passes nginx\n"
SERVICES = "  services:\n    qwen-frontend:\n"
TO_API = '    direct: {loadBalancer: {servers: [{url: "http://qwen-api:8000"}]}}\n'


@dataclass(frozen=True)
class Mutation:
    """One way of breaking the doors: texts replaced in files of the stack, and the finding that must name it."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    check: str
    message: str
    verdict: Verdict = Verdict.FAIL


def compose(old: str, new: str) -> tuple[str, str, str]:
    """Edit the Compose file."""
    return ("docker-compose.yml", old, new)


def router(
    rule: str, service: str = "direct", more: str = "", middlewares: str = "", services: str = ""
) -> tuple[tuple[str, str, str], ...]:
    """Add a router over HTTPS, with a service that leads straight to the backend."""
    line = f'    bypass: {{entryPoints: [websecure], rule: "{rule}", service: {service}, tls: {{}}{more}}}\n\n'
    edits = [
        ("dynamic.yml", SITE, line + SITE),
        ("dynamic.yml", SERVICES, SERVICES.replace("    q", f"{TO_API}{services}    q")),
    ]
    if middlewares:
        edits.append(("dynamic.yml", "  middlewares:\n", f"  middlewares:\n{middlewares}"))
    return tuple(edits)


BYPASS, PUBLISHED = "backend-route-bypasses-proxy", "backend-port-published"
PUBLIC = compose(ON_INTERNAL, ON_BOTH)
FRONT_PUBLIC = compose(FRONT_INTERNAL, FRONT_BOTH)
AVOIDS_BOTH = r"internet → qwen-api:8000 \(avoids edge and nginx"


def ports(text: str) -> tuple[str, str, str]:
    """Publish a port of the backend."""
    return compose(API, f"{API}    ports: [{text}]\n")


MUTATIONS = (
    Mutation("the backend's port is published, and only its network keeps it closed", (ports('"8000:8000"'),), PUBLISHED,
             r"qwen-api:8000 is published on 0\.0\.0\.0:8000, as soon as"),
    Mutation("the backend's port is published", (ports('"8000:8000"'), PUBLIC), BYPASS, AVOIDS_BOTH),
    Mutation("it is open where the policy says closed", (ports('"8000:8000"'), PUBLIC), "backend-reachable", r"qwen\.example\.com:8000 is open"),
    Mutation("under another number", (ports('"18000:8000"'), PUBLIC), BYPASS, AVOIDS_BOTH),
    Mutation("in the long syntax", (ports('{target: 8000, published: "9000"}'), PUBLIC), PUBLISHED, r"qwen-api:8000 is published on 0\.0\.0\.0:9000"),
    Mutation("within a range", (ports('"7999-8001:7999-8001"'), PUBLIC), BYPASS, AVOIDS_BOTH),
    Mutation("on one address of the host", (ports('"192.0.2.7:8000:8000"'), PUBLIC), BYPASS, AVOIDS_BOTH),
    Mutation("on IPv6 alone", (ports('"[::]:8000:8000"'), PUBLIC), BYPASS, AVOIDS_BOTH),
    Mutation("on the loopback, which the policy does not list", (ports('"127.0.0.1:8000:8000"'), PUBLIC), PUBLISHED, r"127\.0\.0\.1:8000"),
    Mutation("on a port that Docker chooses", (ports('"8000"'), PUBLIC), BYPASS, AVOIDS_BOTH),
    Mutation("through a variable of the env file", (ports('"${BACKEND_DOOR:-127.0.0.1:8000}:8000"'), PUBLIC,
             (".env.production", "REACT_APP_CONTAINER_MODE=true\n", "REACT_APP_CONTAINER_MODE=true\nBACKEND_DOOR=8000\n")), BYPASS, AVOIDS_BOTH),
    Mutation("through a service that it extends", (compose(API, f"{API}    extends: {{file: base.yml, service: api}}\n"), PUBLIC,
             ("base.yml", "", "services: {api: {ports: ['8000:8000']}}\n")), BYPASS, AVOIDS_BOTH),
    Mutation("through an included file", (compose("services:\n  edge:", "include: [more.yml]\nservices:\n  edge:"),
             ("more.yml", "", "services: {tunnel: {image: alpine/socat, ports: ['9000:9000']}}\n")), PUBLISHED, "tunnel:9000"),
    Mutation("the backend is on the host's network", (compose(API, f"{API}    network_mode: host\n"),
             compose("      timeout: 3s\n    networks: [qwen-network]\n\nnetworks:", "      timeout: 3s\n\nnetworks:")), BYPASS, AVOIDS_BOTH),
    Mutation("the backend shares the edge's network, which publishes its port", (compose(API, f'{API}    network_mode: "service:edge"\n'),
             compose(ON_INTERNAL, "      timeout: 3s\n\nnetworks:"), compose('      - "443:443"\n', '      - "443:443"\n      - "8000:8000"\n')), BYPASS, AVOIDS_BOTH),
    Mutation("another service is published", (compose("  qwen-api:\n", "  db:\n    image: postgres\n    ports: ['5432:5432']\n  qwen-api:\n"),),
             PUBLISHED, "db:5432"),
    Mutation("the backend's network is not internal", (compose("    internal: true\n", ""),), "backend-network-not-internal", "qwen-network is not internal"),
    Mutation("the backend is on a second network, which is not internal", (PUBLIC,), "backend-network-not-internal", "qwen-api:8000 is also on the network public"),
    Mutation("nginx is published beside the edge", (compose(FRONT, f'{FRONT}    ports: ["8081:80"]\n'), FRONT_PUBLIC), BYPASS,
             r"internet → nginx:80 → location \^~ /api/ → qwen-api:8000 \(avoids edge"),
    Mutation("nginx is on the host's network", (compose(FRONT, f"{FRONT}    network_mode: host\n"), compose(FRONT_INTERNAL, "    depends_on: [qwen-api]")),
             BYPASS, r"internet → nginx:80 → .* → qwen-api:8000 \(avoids edge"),
    Mutation("nginx passes a stream on", (compose(FRONT, f'{FRONT}    ports: ["9000:9000"]\n'), FRONT_PUBLIC,
             ("nginx.prod.conf", "http {\n", "stream {\n    server {\n        listen 9000;\n        proxy_pass qwen-api:8000;\n    }\n}\nhttp {\n")), BYPASS,
             r"internet → nginx:9000 \(stream\) → stream proxy_pass → qwen-api:8000 \(avoids edge and nginx"),
    Mutation("nginx passes a stream on by its TLS name", (compose(FRONT, f'{FRONT}    ports: ["9000:9000"]\n'), FRONT_PUBLIC,
             ("nginx.prod.conf", "http {\n", ("stream {\n    upstream api { server qwen-api:8000; }\n    map $ssl_preread_server_name $to { default api; }\n    server {\n"
              "        listen 9000;\n        ssl_preread on;\n        proxy_pass $to;\n    }\n}\nhttp {\n"))), BYPASS, r"stream proxy_pass → qwen-api:8000 \(avoids edge and nginx"),
    Mutation("a second server of nginx has no limit, and a door of its own", (compose(FRONT, f'{FRONT}    ports: ["8082:8082"]\n'), FRONT_PUBLIC,
             ("nginx.prod.conf", "    # Any other Host: no answer\n",
              "    server {\n        listen 8082;\n        server_name qwen.example.com;\n        location / { proxy_pass http://qwen-api:8000; }\n    }\n")),
             "rate-limit-missing", r"/api/.* without any rate limit"),
    Mutation("a location goes elsewhere", (("nginx.prod.conf", "            proxy_pass  http://qwen_api/;", "            proxy_pass  http://other:9000/;"),),
             "route-wrong-upstream", r"does not reach qwen-api:8000"),
    Mutation("the limit is gone", (("nginx.prod.conf", "            limit_req   zone=api burst=40 nodelay;\n            proxy_pass  http://qwen_api/;",
                                    "            proxy_pass  http://qwen_api/;"),), "rate-limit-missing", "without any rate limit"),
    Mutation("a router for another host", router("Host(`api.qwen.example.com`)"), BYPASS,
             r"internet → edge:443 → router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for a path", router("Host(`qwen.example.com`) && PathPrefix(`/api/v2`)"), BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for any host", router("HostRegexp(`^.+$`)", more=", priority: 1"), BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for a header", router("Host(`qwen.example.com`) && Header(`X-Debug`, `1`)"), BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for a header's pattern and a method", router("HeaderRegexp(`User-Agent`, `^cli/[0-9]+$`) && Method(`PUT`)", more=", priority: 900"), BYPASS,
             r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for all methods but one", router("Host(`qwen.example.com`) && !Method(`GET`)"), BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for a query", router("Host(`qwen.example.com`) && Query(`direct`, `1`)"), BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router for some clients", router("Host(`qwen.example.com`) && ClientIP(`203.0.113.0/24`)"), BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a router that a provider outside the files may complete", router("Host(`api.qwen.example.com`)", middlewares="    gate: {forwardAuth: {address: 'http://qwen-api:8000/auth'}}\n",
             more=", middlewares: [gate]", service="qwen-frontend"), BYPASS, r"router bypass, middleware gate → qwen-api:8000 \(avoids nginx\)", Verdict.UNKNOWN),
    Mutation("a weighted service", (router("Host(`api.qwen.example.com`)", service="both", services="    both: {weighted: {services: [{name: qwen-frontend, weight: 99}, {name: direct, weight: 1}]}}\n")),
             BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a mirror", (router("Host(`api.qwen.example.com`)", service="both", services="    both: {mirroring: {service: qwen-frontend, mirrors: [{name: direct, percent: 10}]}}\n")),
             BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)", Verdict.UNKNOWN),
    Mutation("a failover", (router("Host(`api.qwen.example.com`)", service="both", services="    both: {failover: {service: qwen-frontend, fallback: direct}}\n")),
             BYPASS, r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("an error page from the backend", router("Host(`api.qwen.example.com`)", service="qwen-frontend", more=", middlewares: [sorry]",
             middlewares="    sorry: {errors: {status: ['500-599'], service: direct, query: '/{status}'}}\n"), BYPASS, r"middleware sorry → qwen-api:8000 \(avoids nginx\)"),
    Mutation("the backend by its fixed address", (*router("Host(`api.qwen.example.com`)", service="by-ip", services='    by-ip: {loadBalancer: {servers: [{url: "http://172.28.0.9:8000"}]}}\n'),
             compose(ON_INTERNAL, "      timeout: 3s\n    networks: {qwen-network: {ipv4_address: 172.28.0.9}}\n\nnetworks:")), BYPASS,
             r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("the backend by an alias", (*router("Host(`api.qwen.example.com`)", service="by-alias", services='    by-alias: {loadBalancer: {servers: [{url: "http://images:8000"}]}}\n'),
             compose(ON_INTERNAL, "      timeout: 3s\n    networks: {qwen-network: {aliases: [images]}}\n\nnetworks:")), BYPASS,
             r"router bypass → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a TCP router", (("dynamic.yml", "tls:\n  certificates:", ('tcp:\n  routers:\n    raw: {entryPoints: [websecure], rule: "HostSNI(`*`)", service: raw, tls: {}}\n'
             '  services:\n    raw: {loadBalancer: {servers: [{address: "qwen-api:8000"}]}}\n\ntls:\n  certificates:')),), BYPASS,
             r"internet → edge:443 → tcp router raw → qwen-api:8000 \(avoids nginx\)"),
    Mutation("an entrypoint of its own", (*router("Host(`qwen.example.com`) && PathPrefix(`/`)"), ("dynamic.yml", "bypass: {entryPoints: [websecure]", "bypass: {entryPoints: [direct]"),
             ("traefik.yml", 'address: ":443"\n', 'address: ":443"\n  direct:\n    address: ":9000"\n'), compose('      - "443:443"\n', '      - "443:443"\n      - "9000:9000"\n')), BYPASS,
             r"internet → edge:9000 → router bypass → qwen-api:8000 \(avoids nginx; not a door that the policy allows\)"),
    Mutation("labels on the backend", (("traefik.yml", "providers:\n", "providers:\n  docker: {exposedByDefault: false}\n"),
             compose(API, f"{API}    labels: ['traefik.enable=true', 'traefik.http.routers.api.rule=Host(`api.qwen.example.com`)', 'traefik.http.routers.api.tls=true',\n"
                     "             'traefik.http.services.api.loadbalancer.server.port=8000']\n")), BYPASS, r"internet → edge:443 → router api → qwen-api:8000 \(avoids nginx\)"),
    Mutation("a Docker provider that exposes every container", (("traefik.yml", "providers:\n", "providers:\n  docker: {}\n"), compose(API, f"{API}    expose: ['8000']\n")), BYPASS,
             r"internet → edge:\d+ → router qwen-api-\w+ → qwen-api:8000 \(avoids nginx\)"),
    Mutation("the API of Traefik without authentication", (("traefik.yml", "providers:\n", "api: {insecure: true}\n\nproviders:\n"),
             compose('      - "443:443"\n', '      - "443:443"\n      - "8080:8080"\n')), "dashboard-exposed", r"internet → edge:8080 → api\.insecure → edge dashboard"),
    Mutation("the API of Traefik, closed to the outside", (("traefik.yml", "providers:\n", "api: {insecure: true}\n\nproviders:\n"),), "dashboard-exposed", "to every container"),
    Mutation("a router to the dashboard", (("traefik.yml", "providers:\n", "api: {dashboard: true}\n\nproviders:\n"),
             *router("Host(`traefik.example.com`)", service="api@internal")), "dashboard-exposed", r"internet → edge:443 → bypass@file → edge dashboard"),
    Mutation("plain HTTP is served", (("dynamic.yml", "      middlewares: [to-https]\n      service: noop@internal", "      service: qwen-frontend"),),
             "https-redirect-missing", "http"),
    Mutation("old TLS", (("dynamic.yml", "VersionTLS12", "VersionTLS10"),), "tls-version-too-old", r"1\.0"),
    Mutation("a browser build that names the container", ((".env.development", "REACT_APP_API_URL=/api", "REACT_APP_API_URL=http://qwen-api:8000/api"),),
             "backend-url-in-client", r"REACT_APP_API_URL sends browsers to http://qwen-api:8000/api"),
    Mutation("a browser build that names the backend's port", ((".env.production", "REACT_APP_API_URL=/api", "REACT_APP_API_URL=http://qwen.example.com:8000"),),
             "backend-url-in-client", r"past the proxy to qwen-api:8000"),
    Mutation("a browser build that names the published port", (ports('"18000:8000"'), PUBLIC,
             (".env.production", "REACT_APP_API_URL=/api", "VITE_API=https://qwen.example.com:18000")), "backend-url-in-client", r"VITE_API .* past the proxy to qwen-api:8000"),
    Mutation("a socket of a browser build", ((".env.production", "REACT_APP_WS_URL=/ws", "NEXT_PUBLIC_WS=ws://qwen-api:8000/ws"),), "backend-url-in-client", "NEXT_PUBLIC_WS"),
    Mutation("a build argument of the Compose file", (compose(FRONT, f"{FRONT}    build: {{context: html, args: {{VITE_API_URL: 'http://qwen-api:8000'}}}}\n"),),
             "backend-url-in-client", "VITE_API_URL"),
    Mutation("an environment of the Compose file", (compose(FRONT, f"{FRONT}    environment: [REACT_APP_API_URL=http://qwen-api:8000]\n"),), "backend-url-in-client", "REACT_APP_API_URL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the hardened stack."""
    folder = tmp_path_factory.mktemp("doors") / "stack"
    shutil.copytree(STACK, folder)
    return folder


def checked(folder: Path) -> Run:
    """Check the policy of the doors against a stack."""
    return audit.check(Options("check", POLICY, variables={"stack": str(folder)}))


def broken(findings: tuple[Finding, ...], verdict: Verdict = Verdict.FAIL) -> set[tuple[str, str, str]]:
    """Name every violation."""
    return {(f.check, f.rule, f.subject) for f in findings if f.verdict is verdict}


def test_the_doors_hold(original: Path) -> None:
    """The hardened stack has two doors, and one way to the backend: nothing is wrong, nothing unknown."""
    run = checked(original)
    assert {f.verdict for f in run.findings} == {Verdict.PASS}
    assert run.graph is not None
    assert not run.graph.wrong
    doors = {(edge.address, edge.target) for edge in run.graph.edges if edge.source == "internet"}
    assert doors == {("0.0.0.0:80", "edge:80"), ("0.0.0.0:443", "edge:443")}
    ends = {way.text for way in run.graph.ways if way.edges[-1].target == "qwen-api:8000"}
    assert all(text.startswith("internet → edge:443 → router qwen-https → nginx:80 → location ") for text in ends)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_way_of_breaking_them_is_caught(mutation: Mutation, original: Path, tmp_path: Path) -> None:
    """The finding of this mutation is new, names what was done, and stands at a line of the stack's files."""
    folder = tmp_path / "stack"
    shutil.copytree(original, folder)
    for name, old, new in mutation.edits:
        file = folder / name
        text = file.read_text("utf-8") if file.exists() else ""
        assert old in text, f"{name} has no {old!r}"
        file.write_text(text.replace(old, new, 1) if old else new, "utf-8")
    found = [f for f in checked(folder).findings if f.check == mutation.check and f.verdict is mutation.verdict]
    said = [f.message for f in found]
    fitting = [f for f in found if re.search(mutation.message, f.message)]
    assert fitting, said
    assert all(f.notes and Path(f.notes[0].location.file).is_relative_to(folder) for f in fitting), fitting
    assert all(f.notes[0].location.line for f in fitting)


def test_there_are_enough_of_them() -> None:
    """Each mutation has a name of its own."""
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25
