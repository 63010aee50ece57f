"""The review report in a real Chromium: as a page, on a phone, on paper, with everything hostile in it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_runs import HOSTILE, SITE, big_run, full_run, hostile_run

from auditor.finding import Run
from auditor.report.build import report
from auditor.report.html import IN_FULL, chapters, section
from auditor.report.html import render as render_html
from auditor.report.matrices import COLUMNS, origin_matrices
from auditor.report.view import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(sys.prefix) / "node_modules/axe-core/axe.min.js"


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the runs, as the current folder."""
    shutil.copytree(SITE, tmp_path / "site")
    monkeypatch.chdir(tmp_path / "site")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that Debian ships."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        missing = "no Chromium is installed (Debian: apt-get install chromium)"
        pytest.fail(missing) if os.environ.get("CI") and shutil.which("apt-get") else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def page_of(run: Run, folder: Path, **settings: Any) -> Path:
    """Write the page of a run and return its file."""
    file = folder / "report.html"
    file.write_text(render_html(report(run), View(**settings)), encoding="utf-8")
    return file


class Watched:
    """A page and everything that it says, asks for or opens."""

    def __init__(self, browser: Browser, **settings: Any) -> None:
        """Open an empty page."""
        self.context = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.stopped: list[tuple[str, str | None]] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.stopped.append((request.url, request.failure)))

    def show(self, file: Path) -> Page:
        """Load a file."""
        self.page.goto(file.as_uri())
        return self.page


SCREENS = [("light", 1200), ("dark", 1200), ("light", 390), ("dark", 390)]


@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_the_page_is_quiet_and_fits(browser: Browser, tmp_path: Path, scheme: Any, width: int) -> None:
    """On a screen and a phone, light and dark: nothing on the console, nothing fetched, nothing to scroll sideways."""
    watched = Watched(browser, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = watched.show(page_of(full_run(), tmp_path, verbose=True, earlier=report(full_run())))
    assert watched.said == []
    assert len(watched.asked) == 1
    assert page.title() == "FAIL: shop"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    assert (colours[0] == "rgb(255, 255, 255)") == (scheme == "light")
    watched.context.close()


@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, scheme: Any, width: int) -> None:
    """axe-core, the accessibility checker, has no serious or critical violation to report."""
    if not AXE.is_file():
        if os.environ.get("CI") and shutil.which("npm"):
            pytest.fail("axe-core is not installed: npm install --prefix .venv axe-core")
        pytest.skip("needs npm install --prefix .venv axe-core")
    settings = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    watched = Watched(browser, bypass_csp=True, **settings)
    page = watched.show(page_of(full_run(), tmp_path, verbose=True, earlier=report(full_run())))
    page.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true })")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    assert [v["id"] for v in found["violations"] if v["impact"] in {"serious", "critical"}] == []
    watched.context.close()


def test_nothing_hostile_happens(browser: Browser, tmp_path: Path) -> None:
    """Scripts, images, links and ends of elements in every text: the page has none of them, and nothing is fetched."""
    watched = Watched(browser)
    page = watched.show(page_of(hostile_run(), tmp_path, verbose=True, earlier=report(full_run())))
    page.wait_for_timeout(200)
    assert watched.said == []
    assert len(watched.asked) == 1
    assert page.title().startswith("FAIL: shop")
    assert page.locator("script, img, iframe, object, embed, form, [onerror], [onload], [style]").count() == 0
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert links
    assert {link for link in links if not link.startswith("#")} == {"https://cwe.mitre.org/data/definitions/942.html"}
    assert "<script>document.title='pwned'</script>" in page.inner_text("body")
    watched.context.close()


def test_scripts_would_not_run_even_if_they_were_there(browser: Browser, tmp_path: Path) -> None:
    """The page's own policy stops a script, a style and an image that somebody managed to put in."""
    file = page_of(full_run(), tmp_path)
    text = file.read_text("utf-8").replace("</main>", f"{HOSTILE}<p style='color:red' id=x>x</p></main>")
    file.write_text(text, encoding="utf-8")
    watched = Watched(browser)
    page = watched.show(file)
    page.wait_for_timeout(200)
    assert page.title() == "FAIL: shop"
    assert [(url, "csp") for url in watched.asked if not url.startswith("file:")] == watched.stopped
    assert any("Content Security Policy" in text for text in watched.said)
    watched.context.close()


def test_the_hostile_page_would_do_something_without_its_policy(browser: Browser, tmp_path: Path) -> None:
    """The oracle sees what happens where neither the escapes nor the policy stand in the way."""
    (tmp_path / "bare.html").write_text(f"<title>t</title><body>{HOSTILE}", encoding="utf-8")
    watched = Watched(browser)
    watched.context.route("http://**", lambda route: route.abort())
    page = watched.show(tmp_path / "bare.html")
    page.wait_for_timeout(200)
    assert page.title() == "pwned"
    assert len(watched.asked) > 1
    watched.context.close()


def test_two_hundred_routes(browser: Browser, tmp_path: Path) -> None:
    """The page of 200 routes is below 2 MB, takes Chromium less than a second, and loses nothing on paper."""
    from pypdf import PdfReader

    run = big_run(200)
    file = page_of(run, tmp_path)
    assert file.stat().st_size < 2_000_000
    watched = Watched(browser)
    page = watched.page
    session = watched.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # processor time: the machine may be busy
    watched.show(file)
    page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    measured = {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}
    assert 0.01 < measured["TaskDuration"] < 1, measured
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 without its margins, at 96 dpi
    wide = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
        " && !e.closest('svg')).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    paper = squeezed("".join(sheet.extract_text() for sheet in PdfReader(tmp_path / "report.pdf").pages))
    screen = page.evaluate("[...document.querySelectorAll('td, th, li, dd, pre, h4, p')].map(e => e.textContent)")
    assert len(screen) > 5000
    bare = paper  # without the heads that a table repeats on every sheet, in the midst of a cell
    for head in page.evaluate("[...document.querySelectorAll('thead')].map(e => e.textContent)"):
        bare = bare.replace(squeezed(head), "")
    assert [text for text in screen if squeezed(text) not in paper and squeezed(text) not in bare] == []
    assert all(squeezed(name) in paper for name in run.routes)
    watched.context.close()


def squeezed(text: str) -> str:
    """Leave out white space, and take ligatures apart."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def test_weasyprint_prints_every_finding() -> None:
    """The PDF has the findings, what is folded away on the screen, and no other bytes the second time."""
    from pypdf import PdfReader

    from auditor.report.pdf import render

    made = render(report(full_run()), View())
    assert made == render(report(full_run()), View())
    Path("report.pdf").write_bytes(made)
    paper = squeezed("".join(sheet.extract_text() for sheet in PdfReader("report.pdf").pages))
    for finding in full_run().findings:
        assert squeezed(finding.message) in paper
    assert squeezed("longest prefix") in paper


def test_pdf_without_weasyprint_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the error says what to install."""
    from auditor.errors import UsageError
    from auditor.report.pdf import render

    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(UsageError, match="needs WeasyPrint") as raised:
        render(report(full_run()), View())
    assert "edge-auditor[pdf]" in raised.value.hint


# -- what the page is made of ------------------------------------------------------------------------------------------


def test_matrices_hold_every_answer_once() -> None:
    """Each answer is in one cell, and no table is wider than paper."""
    run = big_run(30)
    matrices = origin_matrices(report(run))
    cells = [cell for matrix in matrices for _, row in matrix.rows for cell in row if cell]
    assert len(cells) == len(run.tables.origins)
    assert sum(cell.look == "bad" for cell in cells) == sum(a.predicted == "allowed" for a in run.tables.origins)
    assert all(len(matrix.columns) <= COLUMNS for matrix in matrices)


def test_cells_lead_to_their_evidence(browser: Browser, tmp_path: Path) -> None:
    """Each cell that is not as the policy wants it is a link to a place on the page that is there."""
    watched = Watched(browser)
    page = watched.show(page_of(full_run(), tmp_path))
    cells = page.evaluate("[...document.querySelectorAll('td.bad a')].map(a => [a.innerText, a.getAttribute('href')])")
    assert [text for text, _ in cells] == ["✗→✓/✓", "✓→◐", "✗/✗!", "✗!"]
    assert page.locator("td.bad").count() == len(cells)
    for _, target in cells:
        assert page.locator(f"[id='{target[1:]}']").count() == 1
    watched.context.close()


def test_every_finding_is_counted() -> None:
    """What is shown in full, in brief and only counted adds up to all findings."""
    for run in (full_run(), big_run(200)):
        for chapter in chapters(report(run)):
            shown = sum(len(group) for group in (*chapter.full, *chapter.brief))
            assert shown + chapter.more == chapter.number
            assert len(chapter.full) <= IN_FULL


def test_a_page_of_a_check_becomes_html_and_nothing_else() -> None:
    """Paragraphs, code, links: what looks like more is text."""
    text = "x\n\n## Remediation\n\nUse `a<b` <b>now</b> [x](javascript:alert(1)).\n\n- [y](https://y.test/)\n- z"
    check = report(full_run()).checks[0].model_copy(update={"help": text})
    assert section(check, "Remediation") == (
        "<p>Use <code>a&lt;b</code> &lt;b&gt;now&lt;/b&gt; [x](javascript:alert(1)).</p>\n"
        '<ul><li><a href="https://y.test/" rel="noreferrer">y</a></li><li>z</li></ul>'
    )
    assert section(check, "References") == ""
