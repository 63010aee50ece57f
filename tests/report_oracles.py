"""Each report format, held against somebody else's idea of it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cmarkgfm
import jsonschema
import pytest
from cmarkgfm.cmark import Options as Cmark
from junitparser import JUnitXml

from auditor.report.formats import render
from auditor.report.model import Report
from auditor.report.view import View

SCHEMA = Path(__file__).parent / "oracle" / "sarif-2.1.0.json"
MULTITOOL = Path(sys.prefix) / "node_modules/@microsoft/sarif-multitool-linux/Sarif.Multitool"


def text(name: str, report: Report) -> str:
    """Return a report in a text format."""
    made = render(name, report, View())
    assert isinstance(made, str)
    return made


def json_is_read_back(report: Report, _: Path) -> None:
    """The public model takes the JSON and is the same report."""
    assert Report.model_validate_json(text("json", report)) == report


def sarif_is_valid(report: Report, folder: Path) -> None:
    """OASIS' schema has nothing to say, Microsoft's validator no error; every finding has a fingerprint of its own."""
    log = json.loads(text("sarif", report))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(log)
    results = log["runs"][0]["results"]
    assert len(results) == sum(r.verdict.value != "pass" for r in report.results)
    assert len({r["partialFingerprints"]["primaryLocationLineHash"] for r in results}) == len(results)
    if MULTITOOL.is_file() or (os.environ.get("CI") and shutil.which("npm")):
        assert [r for r in multitool(json.dumps(log), folder) if r.get("level") == "error"] == []


def multitool(log: str, folder: Path) -> list[dict[str, Any]]:
    """Return what sarif-multitool says of a log; the test is skipped where it is not installed, and fails in CI."""
    if not MULTITOOL.is_file():
        if os.environ.get("CI") and shutil.which("npm"):
            pytest.fail("sarif-multitool is not installed: npm install --prefix .venv @microsoft/sarif-multitool-linux")
        pytest.skip("needs npm install --prefix .venv @microsoft/sarif-multitool-linux")
    (folder / "log.sarif").write_text(log, encoding="utf-8")
    MULTITOOL.chmod(0o755)
    command = [MULTITOOL, "validate", folder / "log.sarif", "--rule-kind", "Sarif;Ghas"]
    subprocess.run(
        [*command, "--output", folder / "said.sarif", "--log", "ForceOverwrite"], capture_output=True, check=True
    )
    said: list[dict[str, Any]] = json.loads((folder / "said.sarif").read_text("utf-8-sig"))["runs"][0]["results"]
    return said


def junit_counts_the_same(report: Report, _: Path) -> None:
    """Junitparser counts what the report counts, and no case has the name of another."""
    document = JUnitXml.fromstring(text("junit", report).encode())
    by = report.summary.by_verdict
    assert (document.tests, document.failures) == (len(report.results), by["fail"])
    assert document.errors == by["unknown"] + by["error"]
    names = [(case.classname, case.name) for suite in document for case in suite]
    assert len(set(names)) == len(names)


def gitlab_takes_every_entry(report: Report, _: Path) -> None:
    """Fingerprints are unique, lines positive, and paths relative where the file is in the repository."""
    entries = json.loads(text("gitlab", report))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    for entry in entries:
        assert entry["location"]["lines"]["begin"] >= 1
        assert not Path(entry["location"]["path"]).is_relative_to(Path.cwd())
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}


def github_reads_commands(report: Report, _: Path) -> None:
    """Each annotation is a workflow command of one line with a file and a line."""
    for line in text("github", report).splitlines():
        if line.startswith("::"):
            assert re.match(r"::(error|warning|notice)( [a-zA-Z]+=[^,:]+(,[a-zA-Z]+=[^,:]+)*)?::.", line), line


def markdown_renders(report: Report, _: Path) -> None:
    """GitHub's renderer makes no link of it, and a row of every table has as many cells as its head."""
    html = cmarkgfm.github_flavored_markdown_to_html(text("markdown", report), options=Cmark.CMARK_OPT_UNSAFE)
    assert "<a " not in html
    assert html.count("<details>") == html.count("</details>")
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        rows = [len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
        assert len(set(rows)) == 1


def html_stands_alone(report: Report, _: Path) -> None:
    """The HTML parser of the standard met no error, and nothing in it is a script or comes from elsewhere."""
    from tinyhtml5.parser import HTMLParser

    parser = HTMLParser()
    tree = parser.parse(text("html", report))
    assert parser.errors == []
    for element in tree.iter():
        name = str(element.tag).rpartition("}")[2]
        assert name not in {"script", "iframe", "object", "embed", "base"}
        for attribute in ("src", "href"):
            value = element.get(attribute, "")
            assert not value or value.startswith(("#", "data:", "https://", "http://")), (name, value)
            assert name == "a" or not value.startswith("http"), (name, value)


def pdf_is_read(report: Report, _: Path) -> None:
    """Pypdf finds pages with the policy's name on them."""
    from pypdf import PdfReader

    made = render("pdf", report, View())
    pages = PdfReader(io.BytesIO(made if isinstance(made, bytes) else made.encode())).pages
    assert report.run.policy.name in "".join(page.extract_text() for page in pages)


ORACLES: Mapping[str, Callable[[Report, Path], None]] = {
    "json": json_is_read_back,
    "sarif": sarif_is_valid,
    "junit": junit_counts_the_same,
    "gitlab": gitlab_takes_every_entry,
    "github": github_reads_commands,
    "markdown": markdown_renders,
    "html": html_stands_alone,
    "pdf": pdf_is_read,
}
"""One for each format but `table`, which is for people."""
