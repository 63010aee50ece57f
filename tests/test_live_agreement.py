"""Each prediction is confirmed, contradicted, or says why it was not tried; a difference shows both answers and a cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from auditor.agreement import likeliest_cause
from auditor.audit import audit
from auditor.exchange import Headers, Response
from auditor.finding import Finding
from auditor.options import LiveOptions, Options
from tests.live_field.serving import head, serving

TRUSTED = "https://app.partner.net"
CONFIGURATION = """
events {}
http {
    server {
        listen 80;
        server_name shop.example;
        location /api/ {
            add_header Access-Control-Allow-Origin $http_origin always;
            add_header Vary Origin always;
            if ($request_method = POST) { return 201 made; }
            return 200 ok;
        }
    }
}
"""
"""Reflects every origin: what is predicted of the stack, whatever it really does."""

Answer = Callable[[Mapping[str, str]], str]


def reflecting(headers: Mapping[str, str]) -> str:
    """Answer as the configuration says."""
    origin = headers.get("origin")
    return f"Server: nginx/1.31.3\r\nVary: Origin\r\n{f'Access-Control-Allow-Origin: {origin}' if origin else 'X: 1'}"


def mended(headers: Mapping[str, str]) -> str:
    """Answer as a configuration that was corrected since."""
    allowed = headers.get("origin") == TRUSTED
    return f"Server: nginx/1.31.3\r\nVary: Origin\r\n{f'Access-Control-Allow-Origin: {TRUSTED}' if allowed else 'X: 1'}"


def audited(folder: Path, answer: Answer, configuration: str = CONFIGURATION) -> list[Finding]:
    """Audit the configuration against a server that answers so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, _, lines = await head(reader)
            found = {name.lower(): value for name, value in lines}
            writer.write(f"HTTP/1.1 200 OK\r\n{answer(found)}\r\nContent-Length: 2\r\n\r\nok".encode())
            await writer.drain()

    (folder / "nginx.conf").write_text(configuration)
    with serving(serve) as port:
        live = {"id": "live", "type": "http", "entrypoints": {"web": "http://shop.example"}}
        live["resolve"] = {"shop.example:80": f"127.0.0.1:{port}"}
        live["limits"] = {"requests_per_second": 1000}
        cors = {"allow_origins": [TRUSTED], "allow_methods": ["GET", "POST"]}
        match = [{"hosts": ["shop.example"], "paths": ["/api/**"], "methods": ["GET", "POST"]}]
        said = {
            "version": 1,
            "name": "agreement",
            "targets": [{"id": "nginx", "type": "nginx", "files": ["nginx.conf"]}, live],
            "routes": [{"id": "api", "match": match, "cors": cors}],
        }
        (folder / "policy.yaml").write_text(json.dumps(said))
        return list(audit(Options("audit", folder / "policy.yaml"), LiveOptions()).findings)


def test_a_prediction_is_confirmed(tmp_path: Path) -> None:
    """The running stack shows what the configuration predicts."""
    found = audited(tmp_path, reflecting)
    assert {f.agreement for f in found if f.check == "cors-any-origin"} == {"confirmed"}
    assert [f.message for f in found if f.check == "live-differs-from-configuration"] == []


def test_a_prediction_is_contradicted_and_both_answers_are_shown(tmp_path: Path) -> None:
    """The same request is answered otherwise: not reloaded, says the finding, and shows the two answers side by side."""
    found = audited(tmp_path, mended)
    predicted = next(f for f in found if f.check == "cors-any-origin")
    assert predicted.evidence == "contradicted"
    assert predicted.agreement.startswith("contradicted")
    difference = next(f for f in found if f.check == "live-differs-from-configuration")
    assert [exchange.kind for exchange in difference.exchanges] == ["predicted", "observed"]
    assert difference.witness is not None
    origin = difference.witness.request.headers.get("Origin")
    assert difference.expected == f"status 200, Access-Control-Allow-Origin: {origin}"
    assert difference.observed == "status 200, no Access-Control-Allow-Origin"
    assert "not reloaded" in difference.message


ONCE = Response(200, Headers.of([("Server", "nginx/1.31.3"), ("Access-Control-Allow-Origin", TRUSTED)]))


@pytest.mark.parametrize(
    ("status", "lines", "cause"),
    [
        (200, [("Via", "1.1 varnish")], "another layer answers or edits (Via: 1.1 varnish)"),
        (200, [("Server", "cloudflare")], "another layer answers (Server: cloudflare, not nginx/1.31.3)"),
        (502, [("Server", "nginx/1.31.3")], "a layer behind it does not answer"),
        (
            200,
            [
                ("Server", "nginx/1.31.3"),
                ("Access-Control-Allow-Origin", TRUSTED),
                ("Access-Control-Allow-Origin", "*"),
            ],
            "another layer adds the header again",
        ),
        (
            200,
            [("Server", "nginx/1.22.1")],
            "another version runs (nginx/1.22.1, not nginx/1.31.3), or the configuration was not reloaded",
        ),
        (
            200,
            [("Server", "nginx/1.31.3")],
            "the configuration was not reloaded, or another file is loaded than the one that was read",
        ),
    ],
)
def test_the_likeliest_cause_is_read_from_the_answer(status: int, lines: list[tuple[str, str]], cause: str) -> None:
    """Who made an answer, and which version, says why it is another one than predicted."""
    assert likeliest_cause(ONCE, Response(status, Headers.of(lines))) == cause


def test_what_cannot_be_tried_says_why(tmp_path: Path) -> None:
    """A violation that only a POST shows is not testable where nothing unsafe may be sent."""
    nothing = CONFIGURATION.replace("add_header Access-Control-Allow-Origin $http_origin always;", "")
    only_post = "add_header Access-Control-Allow-Origin * always; return 201 made;"
    found = audited(tmp_path, mended, nothing.replace("return 201 made;", only_post))
    reasons = {f.agreement for f in found if f.check == "cors-any-origin"}
    assert reasons == {"not testable: POST may change something, and the policy does not set allow_unsafe_methods"}
