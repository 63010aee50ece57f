"""What the contract says of the command that no other test is about: options, where output goes, which status wins."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import cli

NGINX = """events {}
http { server { listen 80; location / { add_header X-Content-Type-Options none always; return 200 ok; } } }
"""
POLICY = """version: 1
name: shop
variables: {value: nosniff}
environments:
  dev: {checks: {header-wrong-value: {severity: low}}}
targets:
  - {id: nginx, type: nginx, files: [nginx.conf]}
  - {id: other, type: nginx, files: [other.conf]}
layers: [nginx]
routes:
  - id: all
    match: [{paths: ["/**"], methods: [GET]}]
    headers: {X-Content-Type-Options: "${value}"}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy that its configuration breaks once, at medium."""
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "other.conf").write_text(NGINX)
    (tmp_path / "auditor.yaml").write_text(POLICY)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_POLICY", raising=False)
    return tmp_path


def python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code with the package on its path."""
    environment = {**os.environ, "PYTHONPATH": str(Path(auditor.__file__).parents[1]), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


OFFLINE = """
import sys
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.fork")):
        print("DID", event, arguments[:1], file=sys.stderr)
sys.addaudithook(watch)
from auditor.cli import run
sys.exit(run(sys.argv[1:] or ["check"]))
"""


def test_check_needs_no_network_and_no_program(project: Path) -> None:
    """With an empty PATH, the gate opens no socket and starts nothing (but git, for the commit in the report)."""
    done = python(OFFLINE, project, PATH="")
    assert done.returncode == 1
    did = [line for line in done.stderr.splitlines() if line.startswith("DID") and "'git'" not in line]
    assert did == []


def test_the_policy_that_is_used_is_printed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument, then `--policy`, then `$AUDITOR_POLICY`, then the folder and `.github`: stderr names which."""
    for name in ("one", "two", "three"):
        (project / f"{name}.yaml").write_text(POLICY)
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    (project / ".github").mkdir()
    asked: list[tuple[list[str], str]] = [
        (["check"], "auditor.yaml"),
        (["check", "--policy", "../two.yaml"], "two.yaml"),
        (["check", "../three.yaml"], "three.yaml"),
    ]
    for command, name in asked:
        cli.run(command)
        assert Path(capsys.readouterr().err.splitlines()[0].removeprefix("policy: ")).resolve() == project / name
    (project / "auditor.yaml").rename(project / ".github" / "auditor.yaml")
    cli.run(["check"])
    assert capsys.readouterr().err.splitlines()[0].endswith("/.github/auditor.yaml")
    monkeypatch.setenv("AUDITOR_POLICY", str(project / "one.yaml"))
    cli.run(["check"])
    assert capsys.readouterr().err.splitlines()[0].endswith("/one.yaml")


def targets(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the ids of the targets that a check was about."""
    cli.run(["check", "-f", "json", *arguments])
    return [target["id"] for target in json.loads(capsys.readouterr().out)["run"]["targets"]]


def test_environment_target_and_variable_are_chosen(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--env` picks, `--target` narrows, `--var` overrides."""
    assert project
    assert cli.run(["check"]) == 1
    assert cli.run(["check", "--env", "dev"]) == 0
    assert cli.run(["check", "--env", "nope"]) == 2
    assert cli.run(["check", "--var", "value=none"]) == 0
    capsys.readouterr()
    assert targets(capsys) == ["nginx", "other"]
    assert targets(capsys, "--target", "nginx") == ["nginx"]


def test_thresholds_decide_one_thing_each(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--fail-on` only the exit status, `--min-severity` only what is shown; the format neither."""
    assert project
    shown = {}
    for fail_on in ("low", "critical"):
        for least in ("low", "critical"):
            for form in ("table", "markdown", "json"):
                status = cli.run(["check", "--fail-on", fail_on, "--min-severity", least, "-f", form])
                assert status == (1 if fail_on == "low" else 0)
                out = capsys.readouterr().out
                if form == "table":
                    shown[fail_on, least] = "[header-wrong-value]" in out
    assert shown == {(f, least): least == "low" for f in ("low", "critical") for least in ("low", "critical")}


def test_reports_go_to_stdout_and_files_and_the_rest_to_stderr(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several `-o` in one call; the verdict line and the name of the policy are never in a report."""
    assert cli.run(["check", "-f", "json", "-o", "sarif=a.sarif", "-o", "junit=b.xml", "-o", "html=c.html"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"] == "fail"
    assert printed.err.startswith("policy: auditor.yaml\n")
    assert printed.err.splitlines()[-1].startswith("exit 1: ")
    assert json.loads((project / "a.sarif").read_text())["version"] == "2.1.0"
    assert (project / "b.xml").read_text().startswith("<?xml")
    assert (project / "c.html").read_text().lower().startswith("<!doctype html>")


def test_a_finding_goes_before_what_is_undecided(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 before 3: a broken promise is told although a file is missing; without it, 3."""
    (project / "other.conf").unlink()
    assert cli.run(["check"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("(1 medium); 0 waived; 1 unknown")
    (project / "nginx.conf").write_text(NGINX.replace("none", "nosniff"))
    assert cli.run(["check"]) == 3
    assert capsys.readouterr().err.splitlines()[-1].startswith("exit 3: 0 open findings")


def test_a_mistake_in_the_policy_goes_before_a_finding(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """2 before 1."""
    (project / "auditor.yaml").write_text(POLICY + "nonsense: 1\n")
    assert cli.run(["check"]) == 2
    assert capsys.readouterr().out == ""


def test_a_bug_goes_before_everything(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 before 1: findings of a run that broke off are not the gate's word."""
    monkeypatch.setattr("auditor.audit.exit_status", lambda *_: 1 / 0)
    assert project
    assert cli.run(["check"]) == 4
    said = capsys.readouterr().err
    log = Path(said.split("Please report it with ")[1].splitlines()[0])
    assert "ZeroDivisionError" in log.read_text()
    log.unlink()


def test_nothing_to_audit_is_exit_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy without a target of the kind that the command is about."""
    text = POLICY.replace("  - {id: nginx, type: nginx, files: [nginx.conf]}\n", "").replace("layers: [nginx]\n", "")
    text = text.replace("  - {id: other, type: nginx, files: [other.conf]}\n", "").replace("targets:\n", "")
    (project / "auditor.yaml").write_text(text)
    for command in ("check", "live", "audit"):
        assert cli.run([command]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith("exit 2: ")


def test_an_interrupted_audit_is_stored(project: Path) -> None:
    """Ctrl-C with `--record`: 130, and the history has what was found, as an interrupted run."""
    pytest.importorskip("sqlalchemy")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = (
            f"  - {{id: live, type: http, entrypoints: {{web: 'http://127.0.0.1:{port}'}}, limits: {{timeout: 60s}}}}\n"
        )
        (project / "auditor.yaml").write_text(POLICY.replace("layers:", f"{target}layers:"))
        command = [sys.executable, "-m", "auditor", "audit", "--record", "--history", "history.sqlite"]
        environment = {**os.environ, "PYTHONPATH": str(Path(auditor.__file__).parents[1])}
        with subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                time.sleep(0.2)
                child.send_signal(signal.SIGINT)
                out, error = child.communicate(timeout=60)
    assert child.returncode == 130, error
    assert "header-wrong-value" in out
    shown = python(
        "from auditor.cli import run; run(['history', 'list', '--history', 'history.sqlite', '-f', 'json'])", project
    )
    runs: list[Any] = json.loads(shown.stdout)
    assert len(runs) == 1, shown.stderr


def test_the_demo_is_written_for_reading(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`auditor demo --write DIR` starts nothing: a folder with a policy that `auditor check` can be tried on."""
    assert project
    for state, status in (("as-documented", 1), ("hardened", 0)):
        assert cli.run(["demo", "--state", state, "--write", state]) == 0
        policy = next(Path(state).glob("*.yaml"))
        capsys.readouterr()
        assert cli.run(["check", str(policy), "-q"]) == status


def test_keep_leaves_the_demo_running_until_it_is_interrupted(project: Path) -> None:
    """`auditor demo --keep` audits, says where the stack listens, and ends with Ctrl-C."""
    pytest.importorskip("trustme")
    command = [sys.executable, "-m", "auditor", "demo", "--state", "hardened", "--keep"]
    environment = {**os.environ, "PYTHONPATH": str(Path(auditor.__file__).parents[1])}
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        said = ""
        while "Ctrl-C" not in said:
            line = child.stderr.readline()
            assert line, said
            said += line
        child.send_signal(signal.SIGINT)
        said += child.stderr.read()
        child.wait(timeout=60)
    assert child.returncode in {0, 130}, said
    assert "Traceback" not in said
