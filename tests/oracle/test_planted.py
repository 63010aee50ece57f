"""Mistakes as reviewers fear them, planted one at a time: each is found, and a real nginx answers the witness as foretold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nginx_binary import need_nginx, nginx_version
from nginx_live import Observed, Sandbox, Sent

from auditor import audit
from auditor.exchange import CHOSEN, Request
from auditor.finding import Finding, Verdict
from auditor.options import Options

pytestmark = pytest.mark.nginx

HEADERS = """add_header X-Content-Type-Options nosniff always;
            add_header Access-Control-Allow-Origin $cors always;
            add_header Access-Control-Allow-Credentials $credentials always;
            add_header Vary Origin always;"""

CONFIGURATION = f"""\
http {{
    limit_req_zone $binary_remote_addr zone=api:1m rate=1r/s;
    limit_req_status 429;
    map $http_origin $cors {{
        default "";
        "https://app.shop.example" $http_origin;
        "~^https://([a-z0-9-]+\\.)+pre\\.shop\\.example$" $http_origin;
    }}
    map $cors $credentials {{ default true; "" ""; }}
    upstream app {{ server @UP@; keepalive 4; }}
    server {{ listen 127.0.0.1:@P1@ default_server; server_name _; return 444; }}
    server {{
        listen 127.0.0.1:@P1@;
        server_name shop.example;
        root @ROOT@/planted;
        add_header X-Content-Type-Options nosniff always;
        error_page 502 503 504 /sorry;
        location = /sorry {{ internal; {HEADERS} return 503 "retry"; }}
        location = /api {{ return 404; }}
        location = /metrics {{ return 404; }}
        location ^~ /internal/ {{ return 404; }}
        location ^~ /api/ {{
            limit_req zone=api burst=2 nodelay;
            {HEADERS}
            proxy_hide_header Access-Control-Allow-Origin;
            proxy_hide_header Access-Control-Allow-Credentials;
            proxy_hide_header X-Content-Type-Options;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 120s;
            proxy_pass http://app;
        }}
        location / {{ return 404; }}
    }}
}}
"""

POLICY = """\
version: 1
name: planted
settings: {fail_on: info}
targets: [{id: nginx, type: nginx, files: [nginx.conf], version: "@VERSION@"}]
headers: {X-Content-Type-Options: nosniff}
routes:
  - id: closed
    match: [{hosts: [shop.example], paths: [/metrics, /internal/**, /sorry, /api]}]
  - id: api
    match: [{hosts: [shop.example], paths: [/api/**], methods: [GET, HEAD, POST]}]
    served_by: "@UP@"
    cors:
      allow_origins: ["https://app.shop.example", {pattern: "https://*.pre.shop.example"}]
      allow_methods: [GET, HEAD, POST]
      allow_credentials: true
      vary: [Origin]
      null_origin: deny
      on_disallowed_origin: {cors_headers: absent}
      on_error: keep
    rate_limit: {rate: 1/s, burst: 2, status: 429, key: client_ip}
    timeouts: {read: {min: 100s}}
    keepalive: required
  - id: rest
    match: [{hosts: [shop.example], paths: ["/**"]}]
exposure: {denied_paths: [/metrics, /internal/**], unknown_hosts: refuse}
error_pages: {statuses: [502, 503, 504], served_from: /sorry}
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """One mistake: the edits, the check that must speak of it, and what shows it on the running nginx.

    `shown`: "answer" (the witness is answered as predicted), "escape" (the witness, sent often, is never limited, its
    forged value another each time where it chooses the bucket).
    """

    name: str
    edits: tuple[tuple[str, str], ...]
    check: str
    shown: str = "answer"


def _one(name: str, old: str, new: str, check: str, shown: str = "answer") -> Planted:
    return Planted(name, ((old, new),), check, shown)


INTERNAL = "location ^~ /internal/ { return 404; }"
METRICS = "location = /metrics { return 404; }"
ORIGIN = "add_header Access-Control-Allow-Origin $cors always;\n            add_header Access-Control-Allow-Credentials $credentials always;\n            add_header Vary Origin always;\n            proxy_hide"
ZONE = "limit_req_zone $binary_remote_addr"
PASS = "            proxy_pass http://app;\n"


def _echo(condition: str) -> tuple[tuple[str, str], ...]:
    """Let a condition make the answer of the API one for every origin."""
    opened = f"set $o $cors;\n            if ({condition}) {{ set $o $http_origin; }}\n            "
    return ((ORIGIN, opened + ORIGIN.replace("$cors", "$o")),)


MISTAKES = (
    _one("the end of an expression is open", r'\.shop\.example$"', r'\.shop\.example"', "cors-origin-not-allowed"),
    _one("a dot means any character", r"pre\.shop", "pre.shop", "cors-origin-not-allowed"),
    _one("the default of the map echoes", 'default "";\n        "https', 'default $http_origin;\n        "https', "cors-any-origin"),
    Planted("an argument opens the API", _echo("$arg_debug = 1"), "cors-any-origin"),
    Planted("any value of an argument opens the API", _echo('$arg_debug != ""'), "cors-any-origin"),
    Planted("a cookie opens the API", _echo("$cookie_debug = 1"), "cors-any-origin"),
    Planted("an old browser opens the API", _echo("$http_user_agent ~ MSIE"), "cors-any-origin"),
    Planted("a way to write the path opens the API", _echo("$request_uri ~ ^//"), "cors-any-origin"),
    Planted("a method opens the API", _echo("$request_method = POST"), "cors-any-origin"),
    _one("always is gone", ORIGIN, ORIGIN.replace("$cors always", "$cors"), "cors-lost-on-error"),
    _one("an inner location has a header of its own", PASS, "            location ~ csv$ { add_header X-Kind csv; proxy_pass http://app; }\n" + PASS, "header-lost-by-inheritance"),
    _one("an if has a header of its own", PASS, "            if ($http_user_agent ~ curl) { add_header X-Kind curl; }\n" + PASS, "header-lost-by-inheritance"),
    _one("a failure is called a success", "504 /sorry", "504 =200 /sorry", "error-page-missing"),
    Planted("an exact location of the API is elsewhere", ((METRICS, METRICS + " location = /api/export { return 200 all; }"),), "route-wrong-upstream"),
    _one("a rewrite leaves the API", METRICS, METRICS + " rewrite ^/api/legacy/(.*)$ /old/$1;", "route-unserved"),
    _one("another upstream for a part", METRICS, METRICS + " location ^~ /api/v2/ { proxy_pass http://@UP2@; }", "route-wrong-upstream"),
    _one("metrics are shown", METRICS, "location = /metrics { return 200 up; }", "denied-path-served"),
    _one("a regular expression misses some", INTERNAL, "location ~ ^/internal/[a-z]*$ { return 404; } location ~ ^/internal/ { proxy_pass http://app; }", "denied-path-served"),
    Planted("the request line decides, and can be written otherwise",
        ((INTERNAL, ""), ("location / { return 404; }", "location / { if ($request_uri ~ ^/internal/) { return 404; } proxy_pass http://app; }")), "denied-path-served"),
    Planted("two slashes are two slashes", (("limit_req_status", "merge_slashes off; limit_req_status"), ("location / { return 404; }", "location / { proxy_pass http://app; }")), "denied-path-served"),
    _one("one method is denied", INTERNAL, "location ^~ /internal/ { if ($request_method = GET) { return 404; } proxy_pass http://app; }", "denied-path-served"),
    _one("reading is denied", INTERNAL, "location ^~ /internal/ { limit_except POST { deny all; } proxy_pass http://app; }", "denied-path-served"),
    _one("a header opens what is closed", INTERNAL, 'location ^~ /internal/ { if ($http_x_staff = "") { return 404; } proxy_pass http://app; }', "denied-path-served"),
    _one("an argument opens what is closed", INTERNAL, "location ^~ /internal/ { if ($arg_key != open) { return 404; } proxy_pass http://app; }", "denied-path-served"),
    _one("a cookie opens what is closed", INTERNAL, "location ^~ /internal/ { if ($cookie_staff = '') { return 404; } proxy_pass http://app; }", "denied-path-served"),
    Planted("an address is claimed", ((INTERNAL, "location ^~ /internal/ { allow 10.0.0.0/8; deny all; proxy_pass http://app; }"), ("limit_req_status", "set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For; limit_req_status")), "denied-path-served"),
    Planted("a part of it is open", ((INTERNAL, "location ^~ /internal/ { deny all; location ^~ /internal/x/ { allow all; proxy_pass http://app; } }"),), "denied-path-served"),
    _one("any of two is enough", INTERNAL, "location ^~ /internal/ { satisfy any; allow all; deny all; auth_basic x; auth_basic_user_file none; proxy_pass http://app; }", "denied-path-served"),
    _one("the limit is gone", "            limit_req zone=api burst=2 nodelay;\n", "", "rate-limit-missing", "escape"),
    _one("the limit counts by a header", ZONE, "limit_req_zone $http_x_forwarded_for", "rate-limit-never-applies", "escape"),
    _one("the limit counts by a header where there is one", ZONE, 'map $http_x_client $k { default $http_x_client; "" $binary_remote_addr; } limit_req_zone $k', "rate-limit-key-spoofable", "escape"),
    _one("a header frees from the limit", ZONE, 'map $http_x_inside $k { default ""; "" $binary_remote_addr; } limit_req_zone $k', "rate-limit-key-spoofable", "escape"),
    _one("a cookie frees from the limit", ZONE, 'map $cookie_vip $k { default ""; "" $binary_remote_addr; } limit_req_zone $k', "rate-limit-key-spoofable", "escape"),
    _one("the limit counts by an argument too", ZONE, "limit_req_zone $binary_remote_addr$arg_q", "rate-limit-key-spoofable", "escape"),
    _one("an alias ends otherwise than its location", METRICS, METRICS + " location /files { alias @ROOT@/html/; }", "path-escapes-alias"),
    _one("a path is put in the place of another", METRICS, METRICS + " location /v1 { proxy_pass http://app/public/; }", "path-escapes-alias"),
    _one("an argument is the upstream", METRICS, METRICS + " location /fetch { proxy_pass http://$arg_to$request_uri; }", "upstream-chosen-by-client"),
    _one("a header is the upstream", METRICS, METRICS + " location /fetch { proxy_pass http://$http_x_to$request_uri; }", "upstream-chosen-by-client"),
    _one("a part of the path is the upstream", METRICS, METRICS + " location ~ ^/fetch/(.*)$ { proxy_pass http://$1; }", "upstream-chosen-by-client"),
    _one("a redirect writes the decoded path", METRICS, METRICS + " location /old/ { return 301 https://shop.example$uri; }", "header-injected-by-client"),
    _one("a header has what an expression captured", METRICS, METRICS + " location ~ ^/old/([^/]*)$ { add_header X-Old $1 always; return 404; }", "header-injected-by-client"),
    _one("the upstream is asked for the decoded path", METRICS, METRICS + " location /old/ { proxy_pass http://app$uri; }", "header-injected-by-client"),
    Planted("no server is for other hosts",
        (("    server { listen 127.0.0.1:@P1@ default_server; server_name _; return 444; }\n", ""), ("location / { return 404; }", "location / { return 200 shop; }")), "unknown-host-served"),
    _one("the server of other hosts serves", "return 444; }", "location / { proxy_pass http://app; } }", "unknown-host-served"),
    _one("other hosts are sent to themselves", "return 444; }", "return 301 https://$host$request_uri; }", "host-header-trusted"),
    _one("the backend is told any host", "return 444; }", "location / { proxy_set_header Host $http_host; proxy_pass http://app; } }", "host-header-trusted"),
    _one("the backend is told the address that is claimed", PASS, "            proxy_set_header X-Real-IP $http_x_real_ip;\n" + PASS, "forwarded-header-wrong"),
    _one("a dry run", "limit_req_status", "limit_req_dry_run on; limit_req_status", "rate-limit-never-applies", "escape"),
)  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An nginx that is started again for each mistake."""
    with Sandbox(str(need_nginx()), quiet=1.0) as made:
        yield made


def checked(text: str, sandbox: Sandbox, folder: Path) -> tuple[Finding, ...]:
    """Check one configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text("events {}\n" + sandbox.filled(text))
    version = nginx_version(need_nginx())
    (folder / "auditor.yaml").write_text(sandbox.filled(POLICY).replace("@VERSION@", version))
    return audit.check(Options("check", folder / "auditor.yaml")).findings


def started(text: str, sandbox: Sandbox) -> None:
    """Start nginx with a configuration."""
    head = "daemon off; master_process off; pid nginx.pid; error_log logs/error.log crit; events { worker_connections 256; }\n"
    places = "".join(f"{n}_temp_path tmp/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    real = text.replace("http {", "http { access_log off; " + places, 1)
    sandbox.start_text(head + sandbox.filled(real), ("127.0.0.1", int(sandbox.names["@P1@"])))


def sent(request: Request) -> Sent:
    """Make what goes over the wire of a witness."""
    headers = tuple((line.name, line.value) for line in request.headers)
    return Sent(request.method, request.target, request.version, headers)


def passed(observed: Observed, finding: Finding) -> None:
    """Hold an answer against the one that was predicted."""
    outcome = finding.exchanges[0].outcome
    assert outcome.response is not None
    if not {"limited", "upstream-down", "upstream-error"}.isdisjoint(outcome.when.split("+")):
        return  # test_mutants makes the upstream fail
    assert observed.status == outcome.response.status, finding.message
    for name in ("Access-Control-Allow-Origin", "X-Content-Type-Options"):
        real = [value for key, value in observed.headers if key.lower() == name.lower()]
        assert real == [line.value for line in outcome.response.headers.lines(name)], finding.message
    if outcome.action.kind == "proxy" and outcome.when == "upstream-success":
        assert observed.asked, "it reached no upstream"
        told = {(name.lower(), value) for name, value in observed.asked[-1].headers}
        sent_on = outcome.upstream_request
        assert sent_on is not None
        assert {(line.name.lower(), line.value) for line in sent_on.headers if line.decided} <= told


HARMLESS = (
    ("", ""),
    (PASS, "            if ($arg_d) { set $seen 1; }\n" + PASS),
    (ZONE, 'map $http_x_kind $kind { default a; "" b; }\n    limit_req_zone $binary_remote_addr'),
    (INTERNAL, "location ^~ /internal/ { if ($request_method = POST) { return 405; } deny all; }"),
    (INTERNAL, "location ^~ /internal/ { allow 10.0.0.0/8; deny all; }"),
    ("location / { return 404; }", "location / { if ($request_uri ~ ^/old) { return 410; } return 404; }"),
)


@pytest.mark.parametrize("edit", HARMLESS, ids=lambda edit: edit[1][:40] or "none")
def test_nothing_is_found_where_nothing_is_planted(edit: tuple[str, str], sandbox: Sandbox, tmp_path: Path) -> None:
    """The configuration keeps its policy, and so does what changes nothing of what is promised."""
    assert edit[0] in CONFIGURATION
    found = checked(CONFIGURATION.replace(*edit, 1), sandbox, tmp_path)
    assert [f.message for f in found if f.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_found_and_shown(mistake: Planted, sandbox: Sandbox, tmp_path: Path) -> None:
    """The check that speaks of it fails with a request that the running nginx answers as predicted."""
    found_and_shown(mistake, sandbox, tmp_path)


def edited(edits: tuple[tuple[str, str], ...]) -> str:
    """Return the configuration with some texts replaced."""
    text = CONFIGURATION
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def found_and_shown(mistake: Planted, sandbox: Sandbox, folder: Path) -> None:
    """Hold one mistake against the checks, and the witness against the running nginx."""
    text = edited(mistake.edits)
    sandbox._next_ports()
    found = checked(text, sandbox, folder)
    fitting = [f for f in found if f.check == mistake.check and f.verdict is Verdict.FAIL and f.witness is not None]
    assert fitting, [(f.check, f.verdict.value, f.message) for f in found if f.verdict is not Verdict.PASS]
    witness = fitting[0].witness
    assert witness is not None
    (sandbox.root / "x").write_text("above html")
    started(text, sandbox)
    if mistake.check == "upstream-chosen-by-client":
        other = sandbox.names["@UP2@"]
        request = sent(witness.request)
        headers = tuple((name, value.replace(CHOSEN, other)) for name, value in request.headers)
        observed = sandbox.exchange(Sent("GET", request.target.replace(CHOSEN, other), headers=headers))
        assert observed.asked
    elif mistake.shown == "answer":
        passed(sandbox.exchange(sent(witness.request)), fitting[0])
    else:
        plain = [sandbox.exchange(Sent("GET", "/api/a", headers=(("Host", "shop.example"),))).status for _ in range(6)]
        assert mistake.check != "rate-limit-key-spoofable" or plain.count(429) >= 2
        forged = [_numbered(sent(witness.request), number) for number in range(6)]
        assert 429 not in [sandbox.exchange(request).status for request in forged]


def _numbered(request: Sent, number: int) -> Sent:
    """Make the forged value of a request another one."""
    target = f"{request.target}{number}" if "?" in request.target else request.target
    headers = tuple((n, v if n == "Host" else f"{v}{number}") for n, v in request.headers)
    return Sent(request.method, target, headers=headers)


def test_every_mistake_has_a_name() -> None:
    """No two are called the same, and there are many."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) > 30
