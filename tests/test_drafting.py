"""`auditor policy init`: a stranger's configuration reaches a green gate, and what is broken afterwards is found."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from auditor import cli
from auditor.drafting.found import find
from auditor.drafting.origins import corrected
from auditor.drafting.places import places
from auditor.drafting.writing import Noted, write
from auditor.nginx.syntax import load_tree
from auditor.policy.load import load_text
from auditor.policy.origins import regex

NGINX = r"""events {}
http {
    map $http_origin $cors {
        default "";
        "https://app.shop.example" $http_origin;
        "~^https://[a-z0-9-]+\.preview\.shop\.example$" $http_origin;
    }
    limit_req_zone $binary_remote_addr zone=api:10m rate=10r/s;
    server {
        listen 80;
        server_name shop.example;
        add_header X-Content-Type-Options nosniff always;
        location = /health { return 200 ok; }
        location ~ /\. { deny all; }
        location /api/ {
            limit_req zone=api burst=20 nodelay;
            limit_req_status 429;
            add_header X-Content-Type-Options nosniff always;
            add_header Access-Control-Allow-Origin $cors always;
            add_header Access-Control-Allow-Credentials true always;
            add_header Vary Origin always;
            proxy_pass http://127.0.0.1:8000;
        }
        location / { root /srv; add_header Cache-Control "no-cache"; }
    }
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an nginx configuration, no policy, in the current folder."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "nginx.conf").write_text(NGINX)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_POLICY", raising=False)
    return tmp_path


def init(*arguments: str) -> int:
    """Run `auditor policy init` on a fixed day."""
    return cli.run(["policy", "init", "--owner", "web@example.com", "--now", "2026-06-01", *arguments])


def test_a_draft_is_green_at_once_and_says_what_is_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate passes on it, and it promises origins, headers, limits, doors that the configuration has."""
    assert init() == 0
    assert capsys.readouterr().err.splitlines()[-1].startswith("exit 0: auditor.yaml written; auditor check passes: ")
    assert cli.run(["check", "--now", "2026-06-01"]) == 0
    text = (project / "auditor.yaml").read_text()
    policy = yaml.safe_load(text)
    routes = {route["id"]: route for route in policy["routes"]}
    assert list(routes) == ["without-slash", "health", "dotfiles", "api", "site"]
    assert routes["api"]["cors"]["allow_origins"] == [
        {"regex": r"^https://[a-z0-9-]+\.preview\.shop\.example$"},
        "https://app.shop.example",
    ]
    assert routes["api"]["cors"]["allow_credentials"] is True
    assert routes["api"]["rate_limit"] == {"rate": "10/s", "burst": 20, "status": 429}
    assert routes["api"]["headers"] == {"X-Content-Type-Options": "nosniff"}
    assert routes["health"]["cors"] == {"enabled": False}
    assert policy["exposure"]["denied_paths"] == ["/**/.*", "/**/.*/**"]
    assert "deploy/nginx.conf:5" in text
    assert str(project) not in text


def test_a_rate_that_a_template_leaves_open_is_not_promised(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit whose rate is filled in at deployment gets a remark, and the draft is written all the same."""
    (project / "deploy" / "nginx.conf").write_text(NGINX.replace("rate=10r/s", "rate=${RATE}"))
    assert init() == 1
    assert "${RATE}" in capsys.readouterr().out
    text = (project / "auditor.yaml").read_text()
    assert "# the limit at deploy/nginx.conf:16 has no rate that is known here: state it" in text
    assert all("rate_limit" not in route for route in yaml.safe_load(text)["routes"])


def test_an_upstream_that_is_no_address_is_not_promised(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A placeholder for the backend's address is what nginx refuses, and no reason to write no policy."""
    (project / "deploy" / "nginx.conf").write_text(NGINX.replace("http://127.0.0.1:8000", "http://host:port"))
    assert init() == 1
    out = capsys.readouterr().out
    assert "Not waived, because the program would not start" in out
    assert "host:port" in out
    assert "served_by" not in (project / "auditor.yaml").read_text()


def test_what_looks_wrong_is_waived_by_name_and_ends(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A header lost in a location is listed and waived until its day; after it, the gate fails."""
    assert init() == 0
    assert "X-Content-Type-Options is set further out and lost" in capsys.readouterr().out
    waivers = yaml.safe_load((project / "auditor.yaml").read_text())["waivers"]
    assert {w["owner"] for w in waivers} == {"web@example.com"}
    assert {str(w["expires"]) for w in waivers} == {"2026-08-30"}
    assert all(w["fingerprints"] for w in waivers)
    assert cli.run(["check", "--now", "2026-08-30"]) == 0
    assert cli.run(["check", "--now", "2026-08-31"]) == 1


BREAKS = {
    "another origin": (r"\.preview\.shop\.example$", r".preview.shop.example", "cors-origin-not-allowed"),
    "a header gone": (
        "limit_req_status 429;\n            add_header X-Content-Type-Options nosniff always;",
        "limit_req_status 429;",
        "header-lost-by-inheritance",
    ),
    "a looser limit": ("rate=10r/s", "rate=100r/s", "rate-limit-too-loose"),
    "dotfiles served": (r"location ~ /\. { deny all; }", "", "denied-path-served"),
    "no Vary": ("add_header Vary Origin always;", "", "cors-vary-origin-missing"),
    "CORS on the pages": ('Cache-Control "no-cache";', 'Access-Control-Allow-Origin "*";', "cors-any-origin"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_afterwards_is_found(project: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After init, each way of breaking the configuration fails the gate with the check that is about it."""
    old, new, check_id = BREAKS[name]
    assert old in NGINX
    assert init() == 0
    (project / "deploy" / "nginx.conf").write_text(NGINX.replace(old, new))
    capsys.readouterr()
    assert cli.run(["check", "--now", "2026-06-01"]) == 1
    out = capsys.readouterr().out
    open_findings = [part for part in out.split("\n\n") if f"[{check_id}]" in part and "= waived" not in part]
    assert open_findings


PROXY = r"""events {}
http {
    map $http_origin $allowed { default 0; "https://app.shop.example" 1; "~^https://[a-z0-9-]+\.shop\.example$" 1; }
    proxy_connect_timeout 5s;
    server {
        listen 80;
        server_name shop.example;
        error_page 502 503 504 /sorry.html;
        location = /sorry.html { root /srv/errors; internal; }
        location /ws {
            if ($allowed = 0) { return 403; }
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_buffering off;
            proxy_read_timeout 1h;
            proxy_pass http://127.0.0.1:8000;
        }
        location /chat {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_pass http://127.0.0.1:8000;
        }
        location /api/ { proxy_read_timeout 120; proxy_send_timeout 1m30s; proxy_pass http://127.0.0.1:8000; }
        location / { root /srv; }
    }
}
"""
SOCKETS = """from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.websocket("/{path:path}")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
"""


def test_sockets_timeouts_and_error_pages_are_promised(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who may open a WebSocket, how long the proxy waits and which page a failure has, each as it is today."""
    (project / "deploy" / "nginx.conf").write_text(PROXY)
    assert init() == 0
    policy = YAML(typ="safe", pure=True).load(project / "auditor.yaml")  # YAML 1.2: off is a word
    routes = {route["id"]: route for route in policy["routes"]}
    assert routes["ws"]["websocket"] == {
        "allow_origins": [{"regex": r"^https://[a-z0-9-]+\.shop\.example$"}, "https://app.shop.example"],
        "on_disallowed": {"status": [403]},
        "buffering": "off",
    }
    assert routes["ws"]["timeouts"] == {"read": {"min": "3600s"}, "connect": {"max": "5s"}}
    assert routes["api"]["timeouts"] == {"read": {"min": "120s"}, "send": {"min": "90s"}, "connect": {"max": "5s"}}
    assert "websocket" not in routes["chat"]
    assert "a WebSocket passes whatever its Origin" in (project / "auditor.yaml").read_text()
    assert policy["error_pages"] == {"statuses": [502], "served_from": "/sorry.html"}
    assert cli.run(["check", "--now", "2026-06-01"]) == 0
    assert capsys.readouterr()


def test_a_socket_that_any_page_can_open_is_waived_and_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The application accepts every handshake: the draft promises no origin, and the finding is there to be read."""
    (project / "deploy" / "nginx.conf").write_text(PROXY)
    (project / "main.py").write_text(SOCKETS)
    assert init() == 0
    assert "can open the WebSocket" in capsys.readouterr().out
    policy = yaml.safe_load((project / "auditor.yaml").read_text())
    chat = next(route for route in policy["routes"] if route["id"] == "chat")
    assert chat["websocket"]["allow_origins"] == []
    assert any("websocket-origin-not-allowed" in waiver["checks"] for waiver in policy["waivers"])
    assert cli.run(["check", "--now", "2026-06-01"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "check_id"),
    [
        ("if ($allowed = 0) { return 403; }", "", "backend-undeclared|websocket-origin-not-allowed"),
        (r"\.shop\.example$", r"\.shop\.example", "websocket-origin-not-allowed"),
        ("proxy_http_version 1.1;", "proxy_http_version 1.0;", "websocket-upgrade-broken"),
        ("proxy_read_timeout 120;", "proxy_read_timeout 30;", "timeout-out-of-range"),
        ("error_page 502 503 504 /sorry.html;", "", "error-page-missing"),
    ],
)  # fmt: skip
def test_what_is_broken_in_the_proxy_afterwards_is_found(
    project: Path, old: str, new: str, check_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After init, a looser handshake, a lost upgrade, a shorter timeout and a lost error page are each found."""
    assert old in PROXY
    (project / "deploy" / "nginx.conf").write_text(PROXY)
    assert init() == 0
    (project / "deploy" / "nginx.conf").write_text(PROXY.replace(old, new))
    capsys.readouterr()
    assert cli.run(["check", "--now", "2026-06-01", "--fail-on", "low"]) in {1, 3}
    out = capsys.readouterr().out
    shown = [part for part in out.split("\n\n") if "= waived" not in part]
    assert any(f"[{one}]" in part for part in shown for one in check_id.split("|"))


def test_a_policy_is_not_written_over(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays, unless --force says otherwise."""
    (project / "auditor.yaml").write_text("mine\n")
    assert init() == 2
    assert (project / "auditor.yaml").read_text() == "mine\n"
    assert "--force" in capsys.readouterr().err
    assert init("--force") == 0
    assert (project / "auditor.yaml").read_text() != "mine\n"


def test_nothing_to_draft_from_is_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No configuration, or one that serves nothing: an error that says what to name."""
    monkeypatch.chdir(tmp_path)
    assert init() == 2
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { include /etc/nginx/conf.d/*.conf; }\n")
    assert init() == 2
    assert capsys.readouterr().err.count("--nginx FILE") == 2
    assert init("--nginx", "nothing.conf") == 2
    assert not (tmp_path / "auditor.yaml").exists()


def test_the_main_file_is_chosen_and_the_others_named(tmp_path: Path) -> None:
    """nginx.conf before a dev one; what it includes is no other; Apache's and vendored files are none."""
    files = {
        "deploy/nginx.conf": "events {}\nhttp { include sites/*.conf; }\n",
        "deploy/sites/shop.conf": "server { listen 80; return 200; }\n",
        "deploy/nginx.dev.conf": "events {}\nhttp { server { listen 80; } }\n",
        "apache/site.conf": "<VirtualHost *:80>\nserver {\n}\n</VirtualHost>\n",
        "node_modules/x/nginx.conf": "events {}\nhttp { server { listen 81; } }\n",
        "compose.yaml": "services: {web: {image: nginx}}\n",
        "edge/traefik.yml": "entryPoints: {web: {address: ':80'}}\n",
        "edge/dynamic.yml": "http: {routers: {a: {rule: 'Path(`/`)', service: s}}}\n",
        "app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = find(tmp_path)

    def short(paths: tuple[Path, ...]) -> list[str]:
        return [str(path.relative_to(tmp_path)) for path in paths]

    assert short(found.nginx) == ["deploy/nginx.conf"]
    assert [(kind, path.name) for kind, path in found.others] == [("nginx", "nginx.dev.conf")]
    assert short(found.compose) == ["compose.yaml"]
    assert found.traefik_static == tmp_path / "edge" / "traefik.yml"
    assert short(found.traefik_dynamic) == ["edge/dynamic.yml"]
    assert short(found.asgi) == ["app/main.py"]


def test_routes_are_tried_as_nginx_decides(tmp_path: Path) -> None:
    """Exact paths, then ^~, then expressions, then the longest prefix; a server that only redirects has none."""
    (tmp_path / "nginx.conf").write_text(
        "events {}\nhttp { server { listen 80; return 301 https://$host$request_uri; }\n"
        "server { listen 81; location / { } location /a/ { } location /a/b/ { } location ^~ /static/ { }\n"
        r"location ~* \.(js|woff2?)$ { } location = /x { } location ~ ^/v[0-9]+/ { } } }"
    )
    found = places([load_tree([tmp_path / "nginx.conf"])])
    assert [place.paths for place in found] == [
        ("/x",),
        ("/static/**",),
        ("/**/*.js", "/**/*.woff", "/**/*.woff2"),
        ("/a/b/**",),
        ("/a/**",),
        ("/**",),
    ]


@pytest.mark.parametrize(
    ("loose", "tight"),
    [
        (r"^https://.*\.example\.com", r"^https://[a-z0-9.-]*\.example\.com$"),
        (r"https?://(a|b).example.com$", r"^https?://(a|b)\.example\.com$"),
        (r"^https://[a-z.]+\.example\.com$", r"^https://[a-z.]+\.example\.com$"),
        (r"a\.example|b\.example", r"^(?:a\.example|b\.example)$"),
    ],
)
def test_expressions_get_the_anchors_and_backslashes_that_they_lack(loose: str, tight: str) -> None:
    """What is loose by accident is written as it was meant, so that a policy takes it."""
    assert corrected(loose) == tight
    assert regex(tight) == tight


def test_any_text_survives_being_written() -> None:
    """Quotes, colons, comments, variables and control characters in values and comments stay what they are."""
    values = ["a: b", "# x", "${y}", "'\"\\", "\x1b[31m", "1.0", "true", "", "é", "- a", "\n", "{a}", "*", "2026-01-01"]
    text = write(
        ("head\n# injected: true",),
        {"k": Noted({"list": values, "deep": {"x": Noted("y", "note\nz: 1")}}, above=("a\nb: 2",))},
    )
    assert yaml.safe_load(text) == {"k": {"list": [v.replace("${", "$${") for v in values], "deep": {"x": "y"}}}


SHARED = Path(__file__).parents[1].parent / "shared" / "cases" / "public" / "nginx"
SOME = ("004", "005", "006", "007", "010", "021", "071", "089", "115", "231")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public configurations are not here")
@pytest.mark.parametrize("name", SOME)
def test_strangers_configurations_reach_a_green_gate(name: str, tmp_path: Path) -> None:
    """A repository's own nginx configuration, no policy, one command: the gate passes, and does again when run."""
    shutil.copytree(SHARED / name, tmp_path / "repository")
    folder = str(tmp_path / "repository")
    assert cli.run(["policy", "init", folder, "--owner", "o@example.com", "--now", "2026-06-01"]) == 0
    policy = Path(folder, "auditor.yaml")
    assert cli.run(["check", str(policy), "--now", "2026-06-01", "-q"]) == 0
    loaded = load_text(policy.read_text(), str(policy), now=date(2026, 6, 1))
    assert loaded.policy.routes
    assert os.path.commonpath([folder, policy]) == folder


TEMPLATE = "server { listen ${PORT}; location / { proxy_pass http://${API}; } }\n"


def test_a_template_is_filled(project: Path) -> None:
    """What envsubst will fill in is given with --var, and stands in the policy."""
    (project / "deploy" / "nginx.conf").unlink()
    (project / "default.conf.template").write_text(TEMPLATE)
    variables = ["--var", "PORT=80", "--var", "API=127.0.0.1:8000"]
    assert cli.run(["policy", "init", "--owner", "web@example.com", "--now", "2026-06-01", *variables]) == 0
    (target,) = yaml.safe_load((project / "auditor.yaml").read_text())["targets"]
    assert target["variables"] == {"PORT": "80", "API": "127.0.0.1:8000"}


def test_a_template_is_filled_from_compose(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The environment of the container that is given the template fills it; what it lacks is said with its name."""
    (project / "deploy" / "nginx.conf").unlink()
    (project / "templates").mkdir()
    (project / "templates" / "default.conf.template").write_text(TEMPLATE)
    compose = (
        "services:\n  web:\n    image: nginx\n    volumes: ['./templates:/etc/nginx/templates:ro']\n"
        "    environment: {PORT: 80, API: 'api:8000'}\n    ports: ['80:80']\n  api: {image: api}\n"
    )
    (project / "compose.yaml").write_text(compose)
    assert init() == 0
    (project / "compose.yaml").write_text(compose.replace("PORT: 80, ", ""))
    assert cli.run(["check", "--now", "2026-06-01"]) == 1
    out = capsys.readouterr().out
    assert '"${PORT}" is not substituted' in out
    assert "set it in the target's variables" in out


def test_the_folder_that_becomes_the_nginx_folder_is_recognised(project: Path) -> None:
    """Files beside the main file, which it includes as /etc/nginx/…, are read, and the policy says from where."""
    (project / "deploy" / "conf.d").mkdir()
    (project / "deploy" / "nginx.conf").write_text(
        "events {}\nhttp {\n  include /etc/nginx/mime.types;\n  include /etc/nginx/conf.d/*.conf;\n}\n"
    )
    (project / "deploy" / "conf.d" / "shop.conf").write_text(
        "server { listen 80; location /api/ { add_header X-A b always; return 200; } }\n"
    )
    assert init() == 0
    policy = yaml.safe_load((project / "auditor.yaml").read_text())
    assert policy["targets"][0]["mounts"] == {"/etc/nginx": "deploy"}
    assert [route["id"] for route in policy["routes"]] == ["api", "site"]


def test_a_compose_file_alone_is_enough(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its open doors are the policy, and a password without a value decides none of them."""
    (project / "deploy" / "nginx.conf").unlink()
    compose = "services:\n  web: {image: shop, ports: ['80:80']}\n  db: {image: postgres, environment: {POSTGRES_PASSWORD: '${PW}'}}\n"
    (project / "compose.yaml").write_text(compose)
    assert init() == 0
    assert "unknown" not in capsys.readouterr().out
    policy = yaml.safe_load((project / "auditor.yaml").read_text())
    assert policy["exposure"]["published_ports"] == {"allow": ["web:80"]}
    (project / "compose.yaml").write_text(compose.replace("image: postgres", "image: postgres, ports: ['5432:5432']"))
    assert cli.run(["check", "--now", "2026-06-01"]) == 1


def test_names_that_a_template_leaves_open_are_no_hosts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The draft is written, and says what to fill in."""
    text = NGINX.replace("server_name shop.example", "server_name www.${DOMAIN}")
    (project / "deploy" / "nginx.conf").write_text(text)
    assert init() == 1
    assert '"${DOMAIN}" is not substituted' in capsys.readouterr().out


def test_what_certbot_includes_decides_no_answer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its file of TLS settings is not here, which is said once; what is answered stays decided."""
    text = NGINX.replace("listen 80;", "listen 80; include /etc/letsencrypt/options-ssl-nginx.conf;")
    (project / "deploy" / "nginx.conf").write_text(text.replace("proxy_pass http://127.0.0.1:8000;", "return 200 ok;"))
    assert init() == 0
    out = capsys.readouterr().out
    assert "may say anything" not in out
    assert "options-ssl-nginx.conf is not among the files given" in out


def test_a_service_on_the_hosts_network_is_waived(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which ports it opens no file says: the draft is written, and that one thing waits for an answer."""
    (project / "deploy" / "nginx.conf").unlink()
    compose = "services:\n  web: {image: shop, ports: ['80:80']}\n  guard: {image: guard, network_mode: host}\n"
    (project / "compose.yaml").write_text(compose)
    assert init() == 0
    assert "guard" in capsys.readouterr().out
    policy = yaml.safe_load((project / "auditor.yaml").read_text())
    assert policy["exposure"]["published_ports"] == {"allow": ["web:80"]}
