"""A hostile server or configuration: every format is executed or rendered, and nothing happens.

What GitHub's runner obeys is modelled on its source (actions/runner, src/Runner.Common/ActionCommand.cs), Markdown is
rendered by GitHub's own cmark-gfm, shells are real, and XML, JSON and SARIF are read by independent readers.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from report_runs import HOSTILE, SITE, hostile_run

from auditor.exchange import Headers, Request
from auditor.report.build import report
from auditor.report.formats import FORMATS, render
from auditor.report.github import summary
from auditor.report.markdown import code, plain
from auditor.report.sarif import plain as sarif_plain
from auditor.report.text import INVISIBLE, curl_line, visible
from auditor.report.view import View

TEXTS = tuple(name for name in FORMATS if name != "pdf")
RUNNER = {"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice"} | {
    "remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"
}  # fmt: skip
"""Commands that a runner knows."""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the run, as the current folder."""
    shutil.copytree(SITE, tmp_path / "site")
    monkeypatch.chdir(tmp_path / "site")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def rendered(name: str) -> str:
    """Return the hostile run in a text format."""
    text = render(name, report(hostile_run()), View(verbose=True, earlier=report(hostile_run())))
    assert isinstance(text, str)
    return text


def obeyed(line: str) -> list[tuple[str, dict[str, str], str]]:
    """Return what GitHub's runner would obey in a line: a command, its properties, its data."""
    found = []
    stripped = line.lstrip()
    if stripped.startswith("::") and (end := stripped.find("::", 2)) >= 0:
        name, _, rest = stripped[2:end].partition(" ")
        if name in RUNNER:
            pairs = dict(item.split("=", 1) for item in rest.split(",") if item.count("="))
            found.append((name, pairs, stripped[end + 2 :]))
    if (start := line.find("##[")) >= 0 and (end := line.find("]", start)) >= 0:
        name = line[start + 3 : end].partition(" ")[0]
        if name in RUNNER:
            found.append((name, {}, line[end + 1 :]))
    return found


def test_the_hostile_text_would_be_obeyed() -> None:
    """The oracle sees the commands where nothing stops them."""
    assert [name for line in HOSTILE.splitlines() for name, _, _ in obeyed(line)] == ["error", "set-output", "error"]


@pytest.mark.parametrize("name", TEXTS)
def test_no_terminal_obeys_a_report(name: str) -> None:
    """No control, bidirectional or zero-width character is in any format, also not after JSON is read."""
    text = rendered(name)
    invisible = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
    assert invisible.findall(text) == []
    if name in {"json", "sarif", "gitlab"}:
        read = json.loads(
            text, object_hook=lambda item: {k: v for k, v in item.items() if k != "subject"}
        )  # an identifier
        assert invisible.findall(json.dumps(read, ensure_ascii=False)) == []


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "github"])
def test_no_report_is_a_workflow_command(name: str) -> None:
    """A report printed in a step of GitHub Actions makes the runner do nothing."""
    assert [found for line in rendered(name).splitlines() for found in obeyed(line)] == []


def test_annotations_are_the_only_commands() -> None:
    """The annotations are those of the findings, and the hostile text is in their data alone."""
    found = [item for line in rendered("github").splitlines() for item in obeyed(line)]
    assert len(found) == len(rendered("github").splitlines())
    assert {name for name, _, _ in found} <= {"error", "warning", "notice"}
    for name, properties, _ in found:
        assert set(properties) <= {"file", "line", "endLine", "col", "endColumn", "title"}, name
        assert properties["title"].startswith(("high", "medium", "low", "unknown", "error", "auditor"))
    assert len(found) == 5


class Page(HTMLParser):
    """The tags, the addresses and the running text (outside code) of a page."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.inside_code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.inside_code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        """Note the end of code."""
        self.inside_code -= tag == "code"

    def handle_data(self, data: str) -> None:
        """Keep text that is not code."""
        if not self.inside_code:
            self.text += data


OURS = {"h1", "h2", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "br"} | {
    "details",
    "summary",
    "em",
}
"""Tags that our Markdown makes."""


def as_github(markdown: str) -> Page:
    """Render as GitHub does, raw HTML included."""
    page = Page()
    page.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE))
    return page


@pytest.mark.parametrize("make", [lambda: rendered("markdown"), lambda: summary(report(hostile_run()), View())])
def test_markdown_renders_to_our_own_tags(make: object) -> None:
    """No link, image, script or mention comes out of GitHub's own renderer, and no table cell is broken."""
    assert callable(make)
    text = make()
    page = as_github(text)
    assert page.tags <= OURS
    assert page.attributes <= {"lang", "class", "align"}
    assert re.findall(r"(?<!\w)@\w+|(?<![\w&])#\d+", page.text) == []
    rows = [line for line in text.splitlines() if line.startswith("| ") and "🟥" in line]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_the_hostile_text_would_render() -> None:
    """The oracle sees links, images and scripts where nothing stops them."""
    page = as_github(HOSTILE)
    assert {"a", "img"} <= page.tags
    assert "@octocat" in page.text


@given(st.text(alphabet=st.sampled_from("ab `*_[]()<>|~!\\&#@$:/.\"'wx;01-+={}\n"), max_size=40))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    """Whatever the text, GitHub's renderer shows exactly it: as text and as code, in a paragraph and in a table."""
    shown = " ".join(text.replace("\n", " ").split())
    page = as_github(f"x {plain(text)} x\n\n| a |\n| - |\n| x {plain(text)} x |\n")
    assert page.tags <= {"p", "table", "thead", "tbody", "tr", "th", "td"}, page.tags
    assert " ".join(page.text.replace("\N{WORD JOINER}", "").split()).count(f"x {shown} x".replace("  ", " ")) == 2
    spans = cmarkgfm.github_flavored_markdown_to_html(
        f"{code(text)}\n\n| a |\n| - |\n| {code(text, in_table=True)} |\n"
    )
    assert spans.count("<code>") == spans.count("</code>") == 2


def test_xml_holds_nothing_but_our_elements() -> None:
    """JUnit's XML is well-formed and has no element that is not ours."""
    from xml.etree import ElementTree as ET

    text = rendered("junit")
    tags = {element.tag for element in ET.fromstring(text).iter()}
    assert tags == {"testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped"}
    assert JUnitXml.fromstring(text.encode()).tests == 8


PLACEHOLDER = re.compile(r"(?<!\{)(?:\{\{)*\{(\d+)\}")
LINK = re.compile(r"(?<!\\)(?:\\\\)*\[(?:[^\\\]]|\\.)*\]\(")


def unescaped(text: str) -> str:
    """Read a plain SARIF message as §3.11.5 and §3.11.6 say."""
    return re.sub(r"\\([\\\[\]])", r"\1", text.replace("{{", "{").replace("}}", "}"))


def messages(value: object) -> list[str]:
    """Return every message text of a SARIF log but the rules' own pages."""
    if isinstance(value, list):
        return [text for item in value for text in messages(item)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    rest = {key: item for key, item in value.items() if key not in {"rules", "snippet"}}
    return [*own, *(text for item in rest.values() for text in messages(item))]


def test_sarif_messages_have_no_placeholder_and_no_link() -> None:
    """A reader that fills placeholders and makes links finds none of either."""
    assert PLACEHOLDER.search(HOSTILE)
    assert LINK.search(HOSTILE)
    said = messages(json.loads(rendered("sarif")))
    assert len(said) > 10
    for text in said:
        assert not PLACEHOLDER.search(text.replace("{{", "").replace("}}", ""))
        assert not LINK.search(text)


@given(st.text(alphabet="ab{}[]()\\01", max_size=30))
def test_sarif_text_is_read_back(text: str) -> None:
    """What a reader of SARIF shows is the text."""
    assert unescaped(sarif_plain(text)) == text
    assert not LINK.search(sarif_plain(text))


STUB = """#!/bin/sh
for argument in "$@"; do printf '%s\\0' "$argument"; done > "$ARGUMENTS"
"""


def run_curl(line: str, shell: str, folder: Path) -> list[bytes]:
    """Let a real shell run the line with a curl that only notes its arguments; return them."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "curl").write_text(STUB)
    (tools / "curl").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "ARGUMENTS": str(folder / "arguments")}
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    subprocess.run([shell, "-c", line], cwd=inside, env=environment, check=True, timeout=20)
    assert list(inside.iterdir()) == [], "the shell did something else"
    return (folder / "arguments").read_bytes().split(b"\0")[:-1]


NASTY = "'$(touch pwned)`touch pwned`\"; touch pwned & touch pwned | touch pwned > pwned \\' * ~ $HOME !x #"


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_curl_line_is_one_command(shell: str, tmp_path: Path) -> None:
    """A shell reads the request back as it is and runs nothing but curl."""
    request = Request("GET", f"/a?{NASTY}", Headers.of([("Host", "shop.example"), ("X-Note", NASTY)]))
    arguments = run_curl(curl_line(request), shell, tmp_path)
    assert arguments == [b"-i", b"-H", f"X-Note: {NASTY}".encode(), f"http://shop.example/a?{NASTY}".encode()]


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_control_characters_in_the_curl_line_run_nothing(shell: str, tmp_path: Path) -> None:
    """Bytes that no shell word holds plainly are written so that also a shell without $'' runs nothing else."""
    value = f"\x1b[31m\n{NASTY}\x00\x80\xff"
    arguments = run_curl(curl_line(Request("GET", "/", Headers.of([("Host", "h"), ("X", value)]))), shell, tmp_path)
    assert len(arguments) == 4
    if shell == "bash":
        assert arguments[2] == b"X: " + value.split("\x00", maxsplit=1)[0].encode("latin-1")


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_value_too_long_to_read_is_made_by_the_shell(shell: str, tmp_path: Path) -> None:
    """A header of thirty thousand letters fits a line, and the shell makes it as long as it was."""
    line = curl_line(Request("GET", "/", Headers.of([("Host", "h"), ("X-Large", "x" * 30_000)])))
    assert len(line) < 200
    assert run_curl(line, shell, tmp_path)[2] == b"X-Large: " + b"x" * 30_000


@settings(max_examples=40)
@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=255), max_size=30))
def test_any_header_value_comes_back_from_bash(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Whatever bytes a header holds, bash hands curl exactly these."""
    request = Request("GET", "/", Headers.of([("Host", "h"), ("X", f"a{value}")]))
    assert run_curl(curl_line(request), "bash", tmp_path_factory.mktemp("curl"))[2] == b"X: a" + value.encode("latin-1")


def test_an_argument_is_no_option(tmp_path: Path) -> None:
    """A host that looks like an option stays inside the URL."""
    arguments = run_curl(curl_line(Request("GET", "/", Headers.of([("Host", "-o/etc/x")]))), "sh", tmp_path)
    assert arguments == [b"-i", b"http://-o/etc/x/"]


def test_no_invisible_character_counts_as_printable() -> None:
    """Text that Python calls printable has none of the characters that are escaped, in all of Unicode."""
    assert [code for code in range(0x110000) if chr(code).isprintable() and INVISIBLE.search(chr(code))] == []


def test_visible_text_stays_what_it_was() -> None:
    """Only what is invisible or a command is escaped."""
    assert visible("déjà vu — ok") == "déjà vu — ok"
    assert visible("a\tb") == "a\\x09b"
    assert visible("x ##[error]y") == "x \\x23#[error]y"
