"""The whole command on targets that do everything wrong: it ends in time, stays small, says what happened, exits 3."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.live_field import hostile
from tests.live_field.serving import certificates, head, serving

TIMEOUT = 2.0
"""The target's time limit in seconds."""

ALLOWED_KIB = 200 * 1024
"""The most memory that a run may take, in KiB."""

STARTING = 20.0
"""Seconds that a busy machine may need to start the command, over what the requests take."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run of the command ended."""

    status: int
    seconds: float
    peak_kib: int
    printed: str
    said: str
    report: dict[str, Any]

    def rows(self, verdict: str) -> list[dict[str, Any]]:
        """Return the results with a verdict."""
        return [row for row in self.report["results"] if row["verdict"] == verdict]


def policy(port: int, paths: Sequence[str], scheme: str = "http", more: str = "") -> str:
    """Return a policy with a route of its own for every path."""
    number = 443 if scheme == "https" else 80
    routes = "\n".join(
        f"  - {{id: {path.strip('/').replace('/', '-')}, match: [{{hosts: [shop.example], paths: ['{path}']}}],"
        f" probes: [{{path: '{path}'}}], headers: {{X-Content-Type-Options: nosniff}}}}"
        for path in paths
    )
    return f"""version: 1
name: hostile
targets:
  - {{id: nginx, type: nginx, files: [nginx.conf]}}
  - id: live
    type: http
    entrypoints: {{web: "{scheme}://shop.example"}}
    resolve: {{"shop.example:{number}": "127.0.0.1:{port}"}}
    limits: {{requests_per_second: 100, concurrency: 8, timeout: {TIMEOUT:g}s}}
routes:
{routes}
{more}"""


CONFIGURATION = """events {}
http {
    server {
        listen 80;
        listen 443 ssl;
        server_name shop.example;
        add_header X-Content-Type-Options nosniff always;
        location / { return 200 ok; }
    }
}
"""


LAUNCH = """import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""
"""A small process between: a child's peak memory counts what its parent had when it forked (Linux, getrusage)."""


def live(
    folder: Path, text: str, *arguments: str, environment: Mapping[str, str] | None = None, code: str = ""
) -> Ended:
    """Run `auditor live` in a process of its own, with `code` run first in it; measure its time and its peak memory."""
    (folder / "auditor.yaml").write_text(text)
    (folder / "nginx.conf").write_text(CONFIGURATION)
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    start = f"{code}\nimport sys; sys.argv[0] = 'auditor'; from auditor.__main__ import main; main()"
    measured = folder / "peak"
    command = [sys.executable, "-S", "-c", LAUNCH, str(measured)]
    command += [sys.executable, "-c", start, "live", "-f", "table", "-o", f"json={report}", *arguments]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    begun = time.monotonic()
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env={**kept, **(environment or {})})
        process.wait()
    seconds = time.monotonic() - begun
    printed, said = (folder / "out").read_text(), (folder / "err").read_text()
    for word in ("Traceback", "httpcore", "h11.", "object at 0x", "bytearray"):
        assert word not in printed + said, printed + said
    results = json.loads(report.read_text()) if report.exists() else {"results": []}
    return Ended(process.returncode, seconds, int(measured.read_text()), printed, said, results)


def within_limits(ended: Ended, requests: int) -> None:
    """Assert that a run ended in its time (each request within its own) and in little memory."""
    assert ended.seconds < STARTING + (TIMEOUT + 0.5) * requests, ended.seconds
    assert ended.peak_kib < ALLOWED_KIB, ended.peak_kib


def test_answers_that_are_none_are_rows_and_exit_3(tmp_path: Path) -> None:
    """Every way of not answering becomes a row that says why, and the status is that of an incomplete audit."""
    with serving(hostile.misbehave) as port:
        ended = live(tmp_path, policy(port, list(hostile.NONE)))
    assert ended.status == 3, ended.said
    within_limits(ended, len(hostile.NONE))
    unknown = [row for row in ended.rows("unknown") if row["check"] == "target-unreachable"]
    assert unknown
    assert sum(int(row["message"].split()[0]) for row in unknown) >= len(hostile.NONE)
    assert not ended.rows("error")


def test_answers_whose_headers_arrived_are_judged(tmp_path: Path) -> None:
    """Endless, dripping, broken and enormous bodies, floods and redirect loops keep nobody from judging the headers."""
    paths = [*hostile.LATE, *hostile.FINE]
    with serving(hostile.misbehave) as port:
        ended = live(tmp_path, policy(port, paths))
    within_limits(ended, len(paths))
    assert ended.status == 0, ended.printed + ended.said
    judged = {row["route"] for row in ended.rows("pass") if row["check"] == "header-missing"}
    assert judged >= {path.strip("/").replace("/", "-") for path in paths}
    assert not ended.rows("error")


@pytest.mark.slow
@pytest.mark.parametrize("path", list(hostile.EVERY))
def test_each_misbehaviour_alone(tmp_path: Path, path: str) -> None:
    """One misbehaviour, one run: in its time, in its memory, and 3 where the answer is none."""
    with serving(hostile.misbehave) as port:
        ended = live(tmp_path, policy(port, [path]))
    within_limits(ended, 4)
    assert ended.status == (3 if path in hostile.NONE else 0), ended.printed + ended.said


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything as the policy wants it."""
    while True:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 0\r\n\r\n")


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    del writer
    while await reader.read(65536):
        pass


async def garbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS handshake with bytes that are none."""
    await reader.read(1024)
    writer.write(b"\x16\x03\x03\xff\xff" + b"\x00" * 70000)
    await writer.drain()


async def alerting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuse every handshake with an alert (handshake_failure)."""
    await reader.read(1024)
    writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
    await writer.drain()


async def goodbyes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak HTTP/2 in GOAWAY frames only."""
    await reader.read(65536)
    writer.write(b"\0\0\0\x04\0\0\0\0\0")
    while True:
        writer.write((b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8) * 100)
        await writer.drain()
        await asyncio.sleep(0.001)


MINIMUM = "tls: {min_version: '1.2'}\n"


@pytest.mark.parametrize("case", ["untrusted", "misnamed", "plain", "silent", "garbling", "alerting", "goodbyes"])
def test_tls_that_fails_is_a_row_and_exit_3(tmp_path: Path, case: str) -> None:
    """Whatever goes wrong before or in TLS and HTTP/2 is said, and counts as not evaluated."""
    context, authority = certificates("shop.example")
    other, other_authority = certificates("other.example")
    context.set_alpn_protocols(["h2"] if case == "goodbyes" else [])
    (tmp_path / "ca.pem").write_bytes(authority + other_authority)
    handler = {"silent": silent, "garbling": garbling, "alerting": alerting, "goodbyes": goodbyes}.get(case, answering)
    tls = {"untrusted": context, "misnamed": other, "goodbyes": context}.get(case)
    trust = [] if case == "untrusted" else ["--ca-file", str(tmp_path / "ca.pem")]
    with serving(handler, tls) as port:
        ended = live(tmp_path, policy(port, ["/a", "/b"], "https", MINIMUM), *trust)
    assert ended.status == 3, ended.printed + ended.said
    within_limits(ended, 10)
    assert any(row["check"] == "target-unreachable" for row in ended.rows("unknown"))


RECORDED = """
import socket, sys
log = open("connections", "a", buffering=1)
real = socket.getaddrinfo
answers = ["127.0.0.1", "127.0.0.66", "10.0.0.1"]
def rebinding(host, port, *more, **named):
    log.write(f"lookup {host}\\n")
    if host == "rebinding.example":
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
    return real(host, port, *more, **named)
socket.getaddrinfo = rebinding
def hook(event, arguments):
    if event == "socket.connect":
        log.write(f"connect {arguments[1][0]} {arguments[1][1]}\\n")
sys.addaudithook(hook)
"""


def test_a_name_that_moves_to_a_private_address_is_not_followed(tmp_path: Path) -> None:
    """The first address of a name stands for the whole run: probes, TLS handshakes and doors."""
    context, authority = certificates("shop.example")
    (tmp_path / "ca.pem").write_bytes(authority)
    with serving(answering, context) as port:
        text = policy(port, ["/a", "/b", "/c"], "https", MINIMUM).replace(
            f"127.0.0.1:{port}", f"rebinding.example:{port}"
        )
        ended = live(tmp_path, text, "--ca-file", str(tmp_path / "ca.pem"), code=RECORDED)
    lines = (tmp_path / "connections").read_text().splitlines()
    assert ended.status == 0, ended.printed + ended.said
    assert [line for line in lines if line.startswith("lookup rebinding")] == ["lookup rebinding.example"]
    assert {line for line in lines if line.startswith("connect")} == {f"connect 127.0.0.1 {port}"}


def test_ctrl_c_reports_what_was_found(tmp_path: Path) -> None:
    """An interrupt in the middle: 130, and a report of what was answered until then."""
    waiting = tmp_path / "waiting"

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, target, _ = await head(reader)
            if target == "/b":
                waiting.touch()
                await asyncio.sleep(60)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    stop = (
        "import os, pathlib, signal, threading, time\n"
        "def interrupt():\n"
        f"    while not pathlib.Path({str(waiting)!r}).exists():\n"
        "        time.sleep(0.05)\n"
        "    time.sleep(1)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()"
    )
    with serving(slowly) as port:
        text = policy(port, ["/a", "/b"]).replace(f"timeout: {TIMEOUT:g}s", "timeout: 60s")
        ended = live(tmp_path, text, code=stop)
    assert ended.status == 130, ended.said
    assert ended.seconds < STARTING
    assert ended.report["run"]["interrupted"] is True
    assert {row["check"] for row in ended.rows("fail")} == {"header-missing"}
    assert "exit 130: interrupted" in ended.said


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send the request's own header lines back in a header, in the body, and in a broken status line."""
    while True:
        _, target, lines = await head(reader)
        told = "; ".join(f"{name}={value}" for name, value in lines).encode("latin-1")
        told += b"; alice:sesame-open; " + quote("sid=c00kie-value", safe="").encode()
        if target == "/b":
            writer.write(b"HTTP/1.1 99999 " + told + b"\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nX-Content-Type-Options: " + told + b"\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(told) + told)


SECRETS = {
    "AUDITOR_HEADER_X_API_KEY": "k3y-of-the-shop",
    "AUDITOR_HEADER_AUTHORIZATION": "Basic YWxpY2U6c2VzYW1lLW9wZW4=",
    "AUDITOR_COOKIE": "sid=c00kie-value",
}
WORDS = ("k3y-of-the-shop", "YWxpY2U6c2VzYW1lLW9wZW4=", "sesame-open", "c00kie-value")


def test_credentials_are_in_no_report(tmp_path: Path) -> None:
    """What the target echoes of them is taken out of every format, of errors, and a dry run shows none either."""
    with serving(echoing) as port:
        for arguments in (["-v"], ["-v", "--dry-run"]):
            ended = live(tmp_path, policy(port, ["/a", "/b"]), *arguments, environment=SECRETS)
            text = ended.printed + ended.said + json.dumps(ended.report)
            assert not [word for word in WORDS if word in text]
            assert ("[redacted]" in text) is ("--dry-run" not in arguments)


def test_proxies_of_the_environment_are_ignored(tmp_path: Path) -> None:
    """Nothing is sent to a proxy that nobody asked for."""
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        asked.append((await reader.read(100)).decode("latin-1"))

    with serving(answering) as port, serving(proxy) as other:
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        proxies = dict.fromkeys(names, f"http://127.0.0.1:{other}")
        ended = live(tmp_path, policy(port, ["/a"]), environment=proxies)
    assert ended.status == 0, ended.said
    assert asked == []


def test_a_dry_run_sends_nothing_and_lists_everything(tmp_path: Path) -> None:
    """Requests, doors, TLS handshakes and rate limits are listed with where they would go."""
    asked: list[str] = []

    async def recording(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        asked.append((await reader.read(100)).decode("latin-1"))

    with serving(recording) as port:
        more = MINIMUM + f"exposure: {{unreachable: ['127.0.0.1:{port}']}}\n"
        text = policy(port, ["/a", "/b"], "https", more).replace(
            "nosniff}}", "nosniff}, rate_limit: {rate: 10/s, burst: 20}}"
        )
        ended = live(tmp_path, text, "--dry-run")
    assert ended.status == 0, ended.said
    assert asked == []
    for line in ("GET https://shop.example/a", "TLS 1.0 handshake", "connect 127.0.0.1", "rate limit of a"):
        assert line in ended.printed, ended.printed
    assert f"-> 127.0.0.1:{port}" in ended.printed


def test_what_is_found_does_not_depend_on_concurrency(tmp_path: Path) -> None:
    """One connection and thirty-two give the same results, byte for byte."""

    async def by_path(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, target, _ = await head(reader)
            await asyncio.sleep(0.002 * (len(target) % 5))
            good = b"X-Content-Type-Options: nosniff\r\n" if target in {"/a", "/ccc"} else b""
            writer.write(b"HTTP/1.1 200 OK\r\n" + good + b"Content-Length: 0\r\n\r\n")

    found = []
    with serving(by_path) as port:
        for number in (1, 32):
            text = policy(port, ["/a", "/bb", "/ccc", "/dddd"]).replace("concurrency: 8", f"concurrency: {number}")
            found.append(json.dumps(live(tmp_path, text).report["results"], sort_keys=True))
    assert '"verdict": "fail"' in found[0]
    assert found[0] == found[1]
