"""The dashboard reads, escapes, guards itself, works in a browser, and passes its own audit."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from recorded import START, fail, made, passed, unreachable
from starlette.applications import Starlette

from auditor.audit import exit_status
from auditor.audit import live as audit_live
from auditor.finding import Severity
from auditor.history.store import History
from auditor.options import LiveOptions, Options
from auditor.watch import metrics
from auditor.watch.dashboard import application

NASTY = "<script>alert(1)</script>\x1b[2J"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Give a history of three targets: one with drift and hostile text, one that is silent, one that is good."""
    opened = History.open(str(tmp_path_factory.mktemp("dashboard") / "history.sqlite"))
    opened.record(made(passed(), at=START), target="shop.example/ü?&")
    opened.record(
        made(fail(NASTY), fail("b", severity=Severity.LOW, disposition="waived"), at=START + 900),
        target="shop.example/ü?&",
    )
    opened.record(made(unreachable(), at=START), target=NASTY)
    for number in range(60):
        opened.record(made(passed(), passed("header-missing"), at=START + number), target=f"good-{number:03}")
    yield opened
    opened.close()


@contextlib.contextmanager
def serving(app: Starlette) -> Iterator[int]:
    """Serve an application on a free loopback port and give the port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", server_header=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def served(history: History) -> Iterator[int]:
    """Serve the dashboard of the history and give its port."""
    with serving(application(history.database)) as port:
        yield port


@pytest.fixture(scope="module")
def client(served: int) -> Iterator[httpx.Client]:
    """Give a client of the dashboard."""
    with httpx.Client(base_url=f"http://127.0.0.1:{served}") as made_here:
        yield made_here


PAGES = (
    *("/", "/?verdict=fail", "/?search=good&order=name&page=2", "/?severity=high", "/changes", "/changes?kind=new"),
    *("/runs", "/runs?verdict=unreachable", "/runs/2", "/runs/2?verdict=open&severity=high", "/runs/2?search=cors"),
    *(
        "/runs/3",
        "/diff?new=2",
        "/diff?old=1&new=2",
        "/diff?new=1",
        "/diff?new=3",
        "/target?name=shop.example/%C3%BC%3F%26",
    ),
)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_safe(client: httpx.Client, path: str) -> None:
    """Each page is there, under a strict policy, without scripts, and with everything that servers said escaped."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; object-src 'none'; style-src 'self'"
    )
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    assert "\x1b" not in answer.text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)


GOOD = re.compile(r"good-\d|(/runs/|new=)([5-9]|\d\d)")


def test_links_lead_somewhere(client: httpx.Client) -> None:
    """Every link of every page that is reached from the first answers 200 (those of the many good targets left out)."""
    seen: set[str] = set()
    waiting = ["/"]
    while waiting and len(seen) < 400:
        path = waiting.pop(0)
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code == 200, path
        if "text/html" in answer.headers["content-type"] and "report.html" not in path:
            found = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', answer.text)]
            links = [path.partition("?")[0] + link if link.startswith("?") else link for link in found]
            waiting += [
                link
                for link in links
                if link not in seen and link not in waiting and "report.html" not in link and not GOOD.search(link)
            ]
    assert {"/changes", "/runs", "/runs/2", "/diff?new=2", "/runs/2/report.json", "/style.css"} <= seen


def test_the_worst_come_first(client: httpx.Client) -> None:
    """The silent target, then the one with a violation, then the good ones, fifty a page."""
    text = client.get("/").text
    names = re.findall(r'<td><a href="/target\?name=([^"]+)"', text)
    assert names[0].startswith("%3Cscript")
    assert names[1].startswith("shop.example")
    assert len(names) == 50
    assert "62 in all, page 1 of 2" in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/99999", 404),
        ("/target?name=nobody", 404),
        ("/diff", 400),
        ("/diff?old=1&new=3", 404),
        ("/x", 404),
        ("/?page=abc&severity=x", 200),
    ],
)
def test_what_is_not_there_is_said(client: httpx.Client, path: str, status: int) -> None:
    """Wrong addresses get a page that says so, never a traceback."""
    answer = client.get(path)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_only_reads(client: httpx.Client, method: str) -> None:
    """No page takes anything but GET and HEAD."""
    assert {client.request(method, path).status_code for path in ("/", "/runs/2", "/metrics", "/diff?new=2")} == {405}


def test_it_is_served_under_its_own_name_only(client: httpx.Client) -> None:
    """A page elsewhere whose name was pointed here (DNS rebinding) reads nothing."""
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"Host": "localhost:9779"}).status_code == 200
    assert client.get("/", headers={"Host": "[::1]:9779"}).status_code == 200


def test_with_a_token_nothing_is_read_without_it(history: History) -> None:
    """Bearer and Basic carry it; everything else is 401, on every path."""
    paths = ("/", "/metrics", "/style.css", "/runs/1/report.json", "/nowhere")
    secret = "sésame"
    basic = "Basic " + base64.b64encode(f"any:{secret}".encode()).decode()
    with (
        serving(application(history.database, token=secret, hosts=frozenset())) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert {client.get(path).status_code for path in paths} == {401}
        for wrong in ("Bearer x", "Basic !", "Basic eDp5", "Digest a", "Bearer", "Basic " + "A" * 9):
            assert client.get("/", headers={"Authorization": wrong}).status_code == 401
        assert "Basic" in client.get("/").headers["www-authenticate"]
        assert client.get("/healthz", headers={"Authorization": basic}).json() == {"targets": 62}
        bearer = {"Authorization": b"Bearer " + secret.encode()}
        assert client.get("/", headers=bearer).status_code == 200


def test_metrics_say_what_the_history_says(client: httpx.Client) -> None:
    """Prometheus' own parser reads them; names and labels are those that are documented."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [s for family in text_string_to_metric_families(answer.text) for s in family.samples]
    values = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}

    def of(metric: str, **labels: str) -> float:
        return values[metric, tuple(sorted(labels.items()))]

    shop = "shop.example/ü?&"
    assert of("auditor_success", target=shop) == 1
    assert of("auditor_success", target=NASTY) == 0
    assert of("auditor_findings", target=shop, severity="high", status="open") == 1
    assert of("auditor_findings", target=shop, severity="low", status="waived") == 1
    assert of("auditor_findings", target=shop, severity="low", status="open") == 0
    assert of("auditor_checks_not_evaluated", target=NASTY) == 1
    assert of("auditor_last_run_timestamp_seconds", target=shop) == START + 900
    assert of("auditor_duration_seconds", target=shop) == 0
    assert of("auditor_policy_info", name="shop", sha256="a" * 64) == 1


def test_promtool_finds_nothing_to_say(history: History) -> None:
    """`promtool check metrics` accepts the text format and the names."""
    promtool = shutil.which("promtool")
    if promtool is None:
        reason = "no promtool: apt-get install prometheus"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    said = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.text(history.database), capture_output=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, b"")


def test_the_textfile_is_written_at_once(history: History, tmp_path: Path) -> None:
    """The file is complete, and nothing else is left beside it."""
    file = tmp_path / "auditor.prom"
    metrics.write(history.database, file)
    assert file.read_bytes() == metrics.text(history.database)
    assert [path.name for path in tmp_path.iterdir()] == ["auditor.prom"]


def test_it_works_in_a_browser(served: int, tmp_path: Path) -> None:
    """Chromium draws every page under the dashboard's own policy and reports nothing; links and filters work."""
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "no Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    base = f"http://127.0.0.1:{served}"
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(base)
        assert page.evaluate("getComputedStyle(document.querySelector('.tag')).backgroundColor") != "rgba(0, 0, 0, 0)"
        page.screenshot(path=tmp_path / "targets.png")
        page.fill("input[name=search]", "shop")
        page.click("button")
        page.click("tbody a >> nth=0")
        assert "shop.example/ü?&" in page.inner_text("h1")
        bars = page.locator("svg.trend rect")
        assert bars.count() == 2
        box = bars.nth(1).bounding_box()
        assert box is not None
        assert box["height"] > 50
        page.screenshot(path=tmp_path / "target.png", full_page=True)
        page.click("text=run 2")
        page.click("details >> nth=0")
        assert "curl" in page.inner_text("details[open] pre >> nth=0")
        page.screenshot(path=tmp_path / "run.png", full_page=True)
        page.click("a[href='/diff?new=2']")
        assert "new 1" in page.inner_text("main").replace("\n", " ")
        page.screenshot(path=tmp_path / "diff.png", full_page=True)
        page.go_back()
        page.click("text=review report")
        assert "cors-origin-not-allowed" in page.inner_text("body")
        assert page.evaluate("document.styleSheets.length") == 1
        page.screenshot(path=tmp_path / "report.png", full_page=True)
        browser.close()
    assert said == []


def test_it_passes_its_own_audit(served: int, tmp_path: Path) -> None:
    """A live audit of the dashboard against the built-in profiles finds nothing at or above low."""
    policy = tmp_path / "auditor.yaml"
    policy.write_text(
        "version: 1\n"
        "name: dashboard\n"
        "extends: [builtin:owasp-secure-headers, builtin:no-cross-origin]\n"
        "headers: {Strict-Transport-Security: {absent: true, severity: info}}\n"
        "targets:\n"
        f"  - {{id: live, type: http, entrypoints: {{web: 'http://127.0.0.1:{served}'}}}}\n"
        "routes:\n"
        "  - id: pages\n"
        "    match: [{paths: ['/**']}]\n"
        "    probes: [{path: /}, {path: /runs}, {path: /metrics}, {path: /style.css}, {path: /nowhere, expect_status: 404}]\n",
        encoding="utf-8",
    )
    run = audit_live(Options("live", policy, fail_on="low"), LiveOptions())
    assert exit_status(run) == (0, "0 open findings at or above low; 0 waived; 0 unknown"), [
        (f.check, f.message) for f in run.findings if f.verdict.value != "pass"
    ]
    assert run.requests_sent > 5
