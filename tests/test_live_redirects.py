"""Redirects are judged, and never followed: loops end at once, and one that leaves the target is reported."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from auditor.audit import audit, live
from auditor.exchange import Headers, Request, Response
from auditor.finding import Finding, Run, Severity, Verdict
from auditor.options import LiveOptions, Options
from auditor.plan.redirects import redirected_to
from tests.live_field.serving import head, serving

CONFIGURATION = """
events {}
http { server { listen 80; server_name shop.example;
    location / { return 302 http://shop.example/in; }
    location = /in { return 200 in; } } }
"""


class Redirecting:
    """A server that answers every path with a redirect to one place; `asked` are the paths."""

    def __init__(self, location: str) -> None:
        """Redirect to this `Location`."""
        self.location = location
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of a connection."""
        while True:
            _, target, _ = await head(reader)
            self.asked.append(target)
            answer = (
                "HTTP/1.1 200 OK\r\n" if target == "/in" else f"HTTP/1.1 302 Found\r\nLocation: {self.location}\r\n"
            )
            writer.write(f"{answer}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()


def run(folder: Path, server: Redirecting, *, configured: bool = False, expected: int = 302) -> Run:
    """Audit a health endpoint of the server, from outside or with its configuration."""
    (folder / "nginx.conf").write_text(CONFIGURATION)
    with serving(server) as port:
        target = {"id": "live", "type": "http", "entrypoints": {"web": "http://shop.example"}}
        target |= {"resolve": {"shop.example:80": f"127.0.0.1:{port}"}, "limits": {"requests_per_second": 1000}}
        nginx = {"id": "nginx", "type": "nginx", "files": ["nginx.conf"]}
        health = {"path": "/health", "expect_status": expected}
        said = {
            "version": 1,
            "name": "redirects",
            "targets": [target, nginx] if configured else [target],
            "routes": [
                {
                    "id": "health",
                    "match": [{"hosts": ["shop.example", "*.shop.example"], "paths": ["/health", "/in"]}],
                    "probes": [health, {"path": "/in"}],
                }
            ],
        }
        (folder / "policy.yaml").write_text(json.dumps(said))
        options = Options("audit" if configured else "live", folder / "policy.yaml")
        return (audit if configured else live)(options, LiveOptions())


def found(run: Run, check: str) -> list[Finding]:
    """Return what a check found wrong."""
    return [f for f in run.findings if f.check == check and f.verdict is Verdict.FAIL]


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://sso.example/login", "https://sso.example"),
        ("//sso.example/login", "http://sso.example"),
        ("http://sso.example:8080/", "http://sso.example:8080"),
        ("http://shop.example@sso.example/", "http://sso.example"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9"),
        ("shop:open", "shop:"),
        ("https://evilshop.example/", "https://evilshop.example"),
        ("https://www.shop.example/", None),
        ("/in", None),
        ("http://shop.example/in", None),
        ("https://shop.example/in", None),
    ],
)
def test_a_redirect_off_the_target_is_a_finding(tmp_path: Path, location: str, where: str | None) -> None:
    """A foreign host is named in a finding that fails no gate; the target's own host is none."""
    server = Redirecting(location)
    leaving = found(run(tmp_path, server), "redirect-off-target")
    assert [f.subject for f in leaving] == ([] if where is None else [where])
    assert {f.severity for f in leaving} <= {Severity.INFO}
    assert set(server.asked) == {"/health", "/in"}


def test_a_loop_ends_at_its_first_answer(tmp_path: Path) -> None:
    """An endpoint that redirects to itself is asked as often as one that answers, and its status is judged."""
    counts = []
    for location in ("/health", "/in"):
        server = Redirecting(location)
        (broken,) = found(run(tmp_path, server, expected=200), "health-endpoint-broken")
        assert "answered 302, not 200" in broken.message
        counts.append(server.asked.count("/health"))
    assert counts[0] == counts[1]


def test_a_redirect_elsewhere_than_the_configuration_says_is_a_difference(tmp_path: Path) -> None:
    """The same status and another host: both answers are shown side by side, and the right host is no difference."""
    differing = found(
        run(tmp_path, Redirecting("http://old.example/in"), configured=True), "live-differs-from-configuration"
    )
    assert [(f.expected.rpartition(" ")[2], f.observed.rpartition(" ")[2]) for f in differing] == [
        ("http://shop.example/in", "http://old.example/in")
    ]
    same = run(tmp_path, Redirecting("http://shop.example/in"), configured=True)
    assert found(same, "live-differs-from-configuration") == []


@pytest.mark.parametrize("location", ["", "http://[", "\ufffd", "http://a b/"])
def test_what_leads_nowhere_is_no_redirect(location: str) -> None:
    """A Location that is no URL, or not decided, leads nowhere."""
    request = Request("GET", "/", Headers.of([("Host", "shop.example")]))
    assert redirected_to(request, Response(302, Headers.of([("Location", location)]))) is None
    assert redirected_to(request, Response(200, Headers.of([("Location", "https://sso.example/")]))) is None
