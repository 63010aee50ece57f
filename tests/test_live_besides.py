"""With a configuration too, headers are looked for where another layer may lose them: HEAD, HTTP/2, and its own errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import audit
from auditor.finding import Finding, Run, Verdict
from auditor.options import LiveOptions, Options
from tests.live_field.real_nginx import free_ports, running_nginx
from tests.live_field.serving import head, serving

CONFIGURATION = """
events {}
http {
    add_header X-Content-Type-Options nosniff always;
    server {
        listen 80;
        server_name shop.example;
        client_max_body_size 1m;
        location / { return 200 ok; }
        location ~ no-such { return 404; }
        location /files/ { root /srv; }
    }
}
"""
"""Promises the header on every answer, whatever the running stack really does."""

Loses = Callable[[str, int], bool]
"""Whether the running stack loses the header, by the method and the status of its answer."""


def status_of(method: str, target: str, headers: dict[str, str]) -> int:
    """Return the status by which a server answers, which refuses as RFC 9110 and 6585 have it."""
    size = sum(len(name) + len(value) for name, value in headers.items())
    refused = {
        414: len(target) > 8192,
        431: size > 8192,
        400: "%zz" in target,
        413: int(headers.get("content-length", "0")) > 1 << 20,
        405: method not in {"GET", "HEAD", "POST"},
        404: "no-such" in target,
    }
    return next((status for status, applies in refused.items() if applies), 200)


class Server:
    """A server that loses the promised header on some of its answers; `asked` is what came."""

    def __init__(self, loses: Loses, *, waits: bool = False) -> None:
        """Lose the header so; `waits`: a body is asked for instead of refused."""
        self.loses, self.waits = loses, waits
        self.asked: list[tuple[str, str, int]] = []
        self.received = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of a connection."""
        while True:
            method, target, lines = await head(reader)
            headers = {name.lower(): value for name, value in lines}
            status = status_of(method, target, headers)
            self.asked.append((method, target, status))
            if "expect" in headers and self.waits:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
                self.received += await reader.read()
                return
            kept = "" if self.loses(method, status) else "X-Content-Type-Options: nosniff\r\n"
            body = "" if method == "HEAD" else "ok"
            writer.write(f"HTTP/1.1 {status} X\r\n{kept}Content-Length: 2\r\n\r\n{body}".encode())
            await writer.drain()
            if "expect" in headers:
                self.received += await reader.read()
                return


def written(folder: Path, entrypoint: str, resolve: dict[str, str], configuration: str, **target: Any) -> Path:
    """Write a policy with one promised header, its configuration and its live target."""
    (folder / "nginx.conf").write_text(configuration)
    live = {"id": "live", "type": "http", "entrypoints": {"web": entrypoint}, "resolve": resolve, **target}
    live["limits"] = {"requests_per_second": 1000, "timeout": "5s"}
    route = {"id": "all", "match": [{"paths": ["/**"]}], "headers": {"X-Content-Type-Options": "nosniff"}}
    said = {
        "version": 1,
        "name": "besides",
        "targets": [{"id": "nginx", "type": "nginx", "files": ["nginx.conf"], "version": "1.31.3"}, live],
        "routes": [{**route, "probes": [{"path": "/"}, {"path": "/files/"}, {"path": "/cart"}]}],
    }
    (folder / "policy.yaml").write_text(json.dumps(said))
    return folder / "policy.yaml"


def audited(folder: Path, server: Server, options: LiveOptions | None = None, **target: Any) -> Run:
    """Audit the configuration against a server over plain HTTP."""
    with serving(server) as port:
        policy = written(
            folder, "http://shop.example", {"shop.example:80": f"127.0.0.1:{port}"}, CONFIGURATION, **target
        )
        return audit(Options("audit", policy), options or LiveOptions())


def failing(run: Run) -> list[Finding]:
    """Return what is not a pass."""
    return [f for f in run.findings if f.verdict is not Verdict.PASS and f.check.startswith("header")]


@pytest.mark.parametrize(
    ("check", "method", "status", "loses"),
    [
        ("header-missing", "HEAD", 200, lambda method, _: method == "HEAD"),
        ("header-lost-on-error", "BREW", 405, lambda _, status: status == 405),
        ("header-lost-on-error", "GET", 431, lambda _, status: status == 431),
        ("header-lost-on-error", "GET", 414, lambda _, status: status == 414),
        ("header-lost-on-error", "GET", 400, lambda _, status: status == 400),
        ("header-lost-on-error", "GET", 404, lambda _, status: status == 404),
        ("header-lost-on-error", "POST", 413, lambda _, status: status == 413),
    ],
)
def test_a_header_that_only_the_running_stack_loses_is_found(
    tmp_path: Path, check: str, method: str, status: int, loses: Loses
) -> None:
    """The configuration promises the header everywhere; where the running stack alone loses it, that request shows it."""
    run = audited(tmp_path, Server(loses), allow_unsafe_methods=True)
    (finding,) = failing(run)
    assert (finding.check, finding.evidence) == (check, "observed")
    assert finding.witness is not None
    assert finding.witness.request.method == method
    assert finding.exchanges[-1].response is not None
    assert finding.exchanges[-1].response.status == status


def test_a_stack_that_keeps_the_header_is_not_blamed(tmp_path: Path) -> None:
    """Nothing is lost, so nothing is found, and each of the refusals was really met once."""
    server = Server(lambda _method, _status: False)
    run = audited(tmp_path, server, allow_unsafe_methods=True)
    assert failing(run) == []
    met = sorted(status for _, _, status in server.asked if status != 200)
    assert met == [400, 404, 405, 413, 414, 431]
    assert [method for method, _, _ in server.asked].count("HEAD") == 1


def test_nothing_unsafe_is_sent_unasked(tmp_path: Path) -> None:
    """Without `allow_unsafe_methods` no POST and no unknown method leave."""
    server = Server(lambda _method, _status: False)
    audited(tmp_path, server)
    assert {method for method, _, _ in server.asked} <= {"GET", "HEAD", "OPTIONS"}
    assert 413 not in {status for _, _, status in server.asked}


def test_no_body_is_ever_sent(tmp_path: Path) -> None:
    """The body that was announced stays here, also where the server asks for it; that is no violation, and no gap."""
    for waits in (False, True):
        server = Server(lambda _method, _status: False, waits=waits)
        run = audited(tmp_path, server, allow_unsafe_methods=True)
        assert [method for method, _, _ in server.asked].count("POST") == 1
        assert server.received == b""
        assert [
            f.message for f in run.findings if f.check in {"target-unreachable", "live-differs-from-configuration"}
        ] == []


def test_the_dry_run_lists_them(tmp_path: Path) -> None:
    """Every one of these requests is listed, what is large only by its size, and none is sent."""
    server, said = Server(lambda _method, _status: False), list[str]()
    audited(tmp_path, server, LiveOptions(dry_run=True, say=said.append), allow_unsafe_methods=True)
    assert server.asked == []
    for part in ("HEAD http", "%zz", "X-Large=", "BREW http", "Expect=100-continue", "(400"):
        assert any(part in line for line in said), part
    assert max(map(len, said)) < 1000


def certified(folder: Path) -> str:
    """Write the certificate of the shop and its authority, and return the lines that name it."""
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("shop.example")
    (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;"


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("spoken", [True, False])
def test_a_header_that_is_missing_over_http2_only_is_found(tmp_path: Path, *, lost: bool, spoken: bool) -> None:
    """Real nginx loses the header over HTTP/2 alone; an entrypoint that does not speak it is no gap."""
    (port,) = free_ports(1)
    tls = certified(tmp_path)
    real = (
        f"map $server_protocol $kept {{ default nosniff; HTTP/2.0 '{'' if lost else 'nosniff'}'; }}\n"
        f"server {{ listen 127.0.0.1:{port} ssl; http2 {'on' if spoken else 'off'}; {tls} server_name shop.example;\n"
        "add_header X-Content-Type-Options $kept always; location / { return 200 ok; } }\n"
    )
    told = f"events {{}}\nhttp {{ server {{ listen 443 ssl; http2 on; {tls} server_name shop.example;\n"
    told += "add_header X-Content-Type-Options nosniff always; location / { return 200 ok; } } }\n"
    with running_nginx(real, tmp_path, port):
        (tmp_path / "said").mkdir()
        resolve = {"shop.example:443": f"127.0.0.1:{port}"}
        policy = written(tmp_path / "said", "https://shop.example", resolve, told)
        run = audit(Options("audit", policy), LiveOptions(ca_file=tmp_path / "authority.pem"))
    found = failing(run)
    assert [f.check for f in run.findings if f.check == "target-unreachable"] == []
    assert [(f.check, f.evidence) for f in found] == [("header-missing", "observed")] * (lost and spoken)
    assert [f.witness.request.version for f in found if f.witness] == ["2.0"] * (lost and spoken)


@pytest.mark.parametrize("spoken", [True, False])
def test_what_is_asked_besides_takes_the_place_of_plain_requests(tmp_path: Path, *, spoken: bool) -> None:
    """Where pages ask by GET, HEAD and HTTP/2 each stand for a plain request; what HTTP/2 cannot ask, HTTP/1.1 does."""
    (port,) = free_ports(1)
    tls, log = certified(tmp_path), tmp_path / "requests.log"
    inside = "server_name shop.example; add_header X-Content-Type-Options nosniff always; location / { return 200 ok; }"
    real = f"log_format one '$request_method|$server_protocol|$uri|$http_origin'; access_log {log} one;\n"
    real += f"server {{ listen 127.0.0.1:{port} ssl; http2 {'on' if spoken else 'off'}; {tls} {inside} }}\n"
    told = f"events {{}}\nhttp {{ server {{ listen 443 ssl; http2 on; {tls} {inside} }} }}\n"
    (tmp_path / "said").mkdir()
    policy = written(tmp_path / "said", "https://shop.example", {"shop.example:443": f"127.0.0.1:{port}"}, told)
    said = json.loads(policy.read_text())
    said["routes"][0] |= {
        "cors": {"allow_origins": [], "vary": []},
        "probes": [{"path": path} for path in ("/", "/a", "/b")],
    }
    policy.write_text(json.dumps(said))
    with running_nginx(real, tmp_path, port):
        run = audit(Options("audit", policy), LiveOptions(ca_file=tmp_path / "authority.pem"))
    assert [f.message for f in run.findings if f.verdict is not Verdict.PASS] == []
    asked = [line.split("|") for line in log.read_text().splitlines()]
    plain = sorted(
        (path, method, protocol)
        for method, protocol, path, origin in asked
        if origin == "-" and path in {"/", "/a", "/b"}
    )
    other = ["HTTP/2.0"] if spoken else ["HTTP/1.1", "HTTP/1.1"]  # the first is what became of the one over HTTP/2
    assert plain == [("/", "HEAD", "HTTP/1.1"), *(("/a", "GET", it) for it in other), ("/b", "GET", "HTTP/1.1")]
