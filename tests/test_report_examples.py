"""The example reports in `reports/`: what `auditor check` says of the reference stack's two states, made anew here.

Each format of both is held against its own oracle, too: what is true of a run made by hand has to be true of these.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import pytest
from report_oracles import ORACLES

from auditor import __version__
from auditor.audit import check, exit_status
from auditor.demo import State, write
from auditor.options import Options
from auditor.report.build import report
from auditor.report.formats import FORMATS, render
from auditor.report.model import Report
from auditor.report.view import View

EXAMPLES = Path(__file__).parents[1] / "reports" / "examples"
SHOWN = ("html", "markdown", "table")
SUFFIX = {"html": "html", "markdown": "md", "table": "txt"}
STATES: tuple[State, ...] = ("as-documented", "hardened")
DAY = "2026-11-28"


@pytest.fixture(scope="module", params=STATES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[State, Report, int]:
    """The report on one state of the reference stack, and its exit status, as on one day of November 2026."""
    folder = tmp_path_factory.mktemp("stack")
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SOURCE_DATE_EPOCH", "1795824000")
        patch.delenv("GITHUB_ACTIONS", raising=False)
        policy = write(request.param, Path())
        run = check(Options("check", policy, now=DAY))
        made = report(run)
    assert Path.cwd() == before
    return request.param, made, exit_status(run)[0]


def test_the_examples_are_what_the_program_says(example: tuple[State, Report, int]) -> None:
    """Each example is made anew and compared byte for byte; AUDITOR_WRITE_EXAMPLES=1 writes them."""
    state, made, _ = example
    different = []
    for name in SHOWN:
        file = EXAMPLES / f"{state}.{SUFFIX[name]}"
        text = str(render(name, made, View())).replace(f"auditor {__version__}", "auditor VERSION")
        if os.environ.get("AUDITOR_WRITE_EXAMPLES"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if text != file.read_text(encoding="utf-8"):
            different.append(file.name)
    assert different == []


def test_the_verdict_is_the_exit_status(example: tuple[State, Report, int]) -> None:
    """The stack that follows its documentation fails, the hardened one passes, in the report as on exit."""
    state, made, status = example
    assert (made.verdict, status) == (("fail", 1) if state == "as-documented" else ("pass", 0))


@pytest.mark.parametrize("name", [n if n != "pdf" else pytest.param(n, marks=pytest.mark.slow) for n in ORACLES])
def test_somebody_else_reads_each_format(example: tuple[State, Report, int], name: str, tmp_path: Path) -> None:
    """Schemas, parsers and renderers that are not ours."""
    ORACLES[name](example[1], tmp_path)


def test_every_format_has_its_oracle() -> None:
    """All but the table, which is for people."""
    assert set(ORACLES) | {"table"} == set(FORMATS)


def test_nothing_names_a_machine(example: tuple[State, Report, int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No format holds a path of this machine: where the audit ran, the project, the interpreter, temporary files, home."""
    bases = (tmp_path_factory.getbasetemp(), tempfile.gettempdir(), EXAMPLES.parents[1], sys.prefix, Path.home())
    places = {str(path) for base in bases for path in (Path(base), Path(base).resolve()) if len(path.parts) > 1}
    begins = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(places)))})/")
    assert begins.search(f"in {Path.cwd().resolve()}/x, {tmp_path_factory.getbasetemp()}/stack0/nginx.conf")
    for name in FORMATS:
        if name != "pdf":
            found = begins.search(str(render(name, example[1], View(verbose=True))))
            assert found is None, (name, found)


def test_a_stored_report_is_the_same_report(example: tuple[State, Report, int], tmp_path: Path) -> None:
    """JSON keeps everything that the other formats say."""
    (tmp_path / "run.json").write_text(str(render("json", example[1], View())), encoding="utf-8")
    stored = Report.model_validate_json((tmp_path / "run.json").read_text("utf-8"))
    for name in FORMATS:
        if name != "pdf":
            assert render(name, stored, View()) == render(name, example[1], View())


def test_examples_have_a_page_of_their_own() -> None:
    """The folder says what is in it, and holds nothing else."""
    names = {f"{state}.{SUFFIX[name]}" for state in STATES for name in SHOWN}
    assert {file.name for file in EXAMPLES.iterdir()} == names
    text = (EXAMPLES.parent / "README.md").read_text("utf-8")
    assert all(name in text for name in names)
