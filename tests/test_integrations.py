"""Where auditor runs: the pre-commit hook, the GitHub Action, the GitLab template, shell completion."""

from __future__ import annotations

import os
import re
import shutil
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


def beside(name: str) -> str:
    """Return a program that was installed beside the interpreter."""
    found = shutil.which(name, path=Path(sys.executable).parent)
    if found is None:
        assert not os.environ.get("CI"), f"pip install -e '.[test]' brings {name}"
        pytest.skip(f"no {name}: pip install -e '.[test]'")
    return found


def test_hadolint_has_nothing_to_say_about_the_container_file() -> None:
    """The linter of container files finds nothing, and does find a mistake."""
    hadolint, file = beside("hadolint"), ROOT / ".github" / "Containerfile"
    done = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    bad = subprocess.run([hadolint, "-"], input="FROM python\nRUN cd /x\n", capture_output=True, text=True, check=False)
    assert bad.returncode == 1


def test_gitlabs_script_leaves_the_reports_that_it_declares(tmp_path: Path) -> None:
    """The job's script, run by a shell: the gate's status, and each artifact is there."""
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "auditor.yaml").write_text(POLICY)
    job = yaml.safe_load((ROOT / ".github" / "templates" / "gitlab-ci.yml").read_text())["auditor"]
    (script,) = job["script"]
    assert script.startswith("/opt/auditor/bin/auditor ")
    command = script.replace("/opt/auditor/bin/auditor", f'"{sys.executable}" -m auditor')
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    artifacts = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
    assert len(artifacts) == 3
    assert all((tmp_path / name).stat().st_size for name in artifacts)


@pytest.mark.slow
def test_what_the_container_file_runs_installs_a_gate(tmp_path: Path) -> None:
    """Its RUN line with paths of the test's instead: the installed command audits, without the sources. Asks PyPI."""
    text = (ROOT / ".github" / "Containerfile").read_text()
    (line,) = re.findall(r"^RUN (.*)$", text, re.MULTILINE)
    shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    line = line.replace("/opt/auditor", str(tmp_path / "opt")).replace(" /source", f" {tmp_path / 'source'}")
    subprocess.run(["sh", "-e", "-c", line.replace("python ", f'"{sys.executable}" ', 1)], check=True)
    shutil.rmtree(tmp_path / "source")
    work = tmp_path / "audited"
    work.mkdir()
    (work / "nginx.conf").write_text(NGINX)
    (work / "auditor.yaml").write_text(POLICY)
    done = subprocess.run([tmp_path / "opt" / "bin" / "auditor", "check"], cwd=work, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert b"header-missing" in done.stdout


@pytest.mark.slow
def test_pre_commit_runs_the_hook(tmp_path: Path) -> None:
    """pre-commit itself installs this repository as a hook and runs it: red, then green. Asks PyPI."""
    tool, work = beside("pre-commit"), tmp_path / "work"
    work.mkdir()
    (work / "nginx.conf").write_text(NGINX)
    (work / "auditor.yaml").write_text(POLICY)
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    # what is committed of the project is what a user's pre-commit would clone
    shutil.copytree(
        ROOT, tmp_path / "auditor", ignore=shutil.ignore_patterns(".git", ".venv", ".*cache", "__pycache__")
    )
    for folder in (tmp_path / "auditor", work):
        for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "x"]):
            subprocess.run(["git", *command], cwd=folder, check=True)

    def run() -> subprocess.CompletedProcess[str]:
        command = [tool, "try-repo", str(tmp_path / "auditor"), "auditor", "--all-files", "--verbose"]
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)

    red = run()
    assert red.returncode == 1, red.stdout + red.stderr
    assert "header-missing" in red.stdout
    (work / "nginx.conf").write_text(
        NGINX.replace("return 200 ok;", "add_header X-Content-Type-Options nosniff; return 200 ok;")
    )
    green = run()
    assert green.returncode == 0, green.stdout + green.stderr


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
