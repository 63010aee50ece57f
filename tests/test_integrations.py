"""Where auditor runs: the pre-commit hook, the GitHub Action, the GitLab template, shell completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "auditor" / "action.yml"
NGINX = "events {}\nhttp { server { listen 80; location / { return 200 ok; } } }\n"
POLICY = """version: 1
name: test
targets: [{id: nginx, type: nginx, files: [nginx.conf]}]
routes: [{id: all, match: [{paths: ["/**"], methods: [GET]}], headers: {X-Content-Type-Options: nosniff}}]
"""


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-actions", ACTION), ("vendor.gitlab-ci", ROOT / ".github" / "templates" / "gitlab-ci.yml")],
)
def test_files_for_ci_meet_the_schemas_of_their_hosts(schema: str, file: Path) -> None:
    """check-jsonschema knows what GitHub and GitLab accept."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def step() -> dict[str, Any]:
    """Return the step of the action that runs the check."""
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    return next(item for item in steps if item.get("id") == "check")


def test_no_input_is_pasted_into_a_script() -> None:
    """Expressions stand in the environment of a step, never in the text that bash reads; actions are pinned by commit."""
    for item in yaml.safe_load(ACTION.read_text())["runs"]["steps"]:
        assert "${{" not in item.get("run", "")
        if "uses" in item:
            assert re.search(r"@[0-9a-f]{40}$", item["uses"])


@pytest.mark.parametrize(
    ("inputs", "status"),
    [({}, 1), ({"FAIL_ON": "high"}, 0), ({"POLICY": "no such.yaml"}, 2), ({"POLICY": "$(touch injected)"}, 2)],
)
def test_the_actions_script_runs_as_on_a_runner(tmp_path: Path, inputs: dict[str, str], status: int) -> None:
    """Bash runs it with the runner's variables: reports are written, the status is kept, nothing in an input is run."""
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "auditor.yaml").write_text(POLICY)
    binaries = tmp_path / "runner" / "auditor" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "pip").write_text("#!/bin/sh\n")
    (binaries / "auditor").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m auditor "$@"\n')
    (tmp_path / "python").write_text("#!/bin/sh\n")
    for file in (binaries / "pip", binaries / "auditor", tmp_path / "python"):
        file.chmod(0o755)
    output = tmp_path / "output"
    environment = {
        **os.environ,
        **{name: "" for name in step()["env"] if name.startswith("INPUT_")},
        **{f"INPUT_{name}": value for name, value in inputs.items()},
        "AUDITOR_PYTHON": str(tmp_path / "python"),
        "AUDITOR_SOURCE": str(ROOT),
        "RUNNER_TEMP": str(tmp_path / "runner"),
        "GITHUB_OUTPUT": str(output),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("GITHUB_STEP_SUMMARY", None)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step()["run"]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert said["status"] == str(status), done.stderr
    assert ("sarif" in said) is (status != 2)
    assert not (tmp_path / "injected").exists()


HOOK = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]


@pytest.mark.parametrize(
    ("path", "concerned"),
    [
        ("nginx.conf", True),
        ("deploy/nginx/conf.d/site.conf", True),
        ("nginx.conf.template", True),
        ("sites-enabled/shop", True),
        ("docker-compose.prod.yml", True),
        ("compose.yaml", True),
        ("edge/traefik.toml", True),
        ("auditor.yaml", True),
        (".github/auditor.yaml", True),
        ("src/app.ts", False),
        ("README.md", False),
        ("package.json", False),
    ],
)
def test_the_hook_runs_for_the_files_it_is_about(path: str, concerned: bool) -> None:
    """pre-commit searches the pattern in the path."""
    assert bool(re.search(HOOK["files"], path)) is concerned
    assert HOOK["entry"].split()[0] == "auditor"
    assert HOOK["pass_filenames"] is False


@pytest.mark.parametrize(
    ("words", "offered"),
    [("auditor ch", "check"), ("auditor check --fail-on h", "high"), ("auditor explain cors-nul", "cors-null-origin")],
)
def test_bash_completes_commands_values_and_checks(words: str, offered: str) -> None:
    """What the completion script of the shell asks for is answered with what fits."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_AUDITOR_COMPLETE": "bash_complete"}
    environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    code = "import sys; sys.argv = ['auditor']; from auditor.cli import run; run()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert f"plain,{offered}" in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    """Each shell gets a script; bash is here to read its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_AUDITOR_COMPLETE": f"{shell}_source"}
    code = "import sys; sys.argv = ['auditor']; from auditor.cli import run; run()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "auditor_completion" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)
