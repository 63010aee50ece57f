"""The README keeps its promises: its table of checks is the registry's, its example prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor.checks import CHECKS
from auditor.cli import run

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def table() -> str:
    """Return the table of checks as the README has to show it."""
    rows = [f"| `{c.CHECK.id}` | {c.CHECK.severity.word} | {c.CHECK.title} |" for c in CHECKS]
    return "\n".join(("| check | severity | |", "|---|---|---|", *rows))


def test_table_of_checks_is_the_registry() -> None:
    """Every check is in the README, with its severity and title."""
    found = re.search(r"<!-- checks: begin -->\n(.*)\n<!-- checks: end -->", README, re.DOTALL)
    assert found
    assert found[1] == table()


def block(language: str, number: int = 0) -> str:
    """Return a fenced block of the README."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[number]


def test_first_example_prints_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy and configuration of the first screen give the finding and the exit line shown there."""
    (tmp_path / "auditor.yaml").write_text(block("yaml"))
    (tmp_path / "nginx.conf").write_text(block("nginx"))
    monkeypatch.chdir(tmp_path)
    status = run(["check"])
    printed = capsys.readouterr()
    shown = block("console").splitlines()
    dots = shown.index("...")
    assert "\n".join(shown[1:dots]) in printed.out
    assert printed.err.splitlines()[-1] == shown[-1]
    assert status == 1


def test_commands_exist() -> None:
    """Each command that the README's table names is there."""
    from auditor.cli import cli

    for name in re.findall(r"^\| `auditor (\w+)", README, re.MULTILINE):
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name
