"""The command line: exit statuses, bad input, and that no user ever sees a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import auditor
from auditor import __version__, cli
from auditor.cli import checking
from auditor.cli.options import find_policy
from auditor.errors import AuditorError, Location
from auditor.report.formats import FORMATS

NGINX = """events {}
http {
    server {
        listen 80;
        location / { add_header X-Content-Type-Options nosniff always; return 200 ok; }
    }
}
"""

POLICY = """version: 1
name: test
targets:
  - {id: nginx, type: nginx, files: [nginx.conf]}
routes:
  - id: all
    match: [{paths: ["/**"], methods: [GET]}]
    headers: {X-Content-Type-Options: nosniff}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy and a configuration that keeps it."""
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "auditor.yaml").write_text(POLICY)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_POLICY", raising=False)
    return tmp_path


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line of stderr."""
    return capsys.readouterr().err.splitlines()[-1]


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_pass_is_exit_0(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything evaluated and kept: 0."""
    assert project
    assert cli.run(["check"]) == 0
    assert last_line(capsys).startswith("exit 0: 0 open findings at or above medium")


def test_finding_is_exit_1(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An open finding at or above the threshold: 1, and 0 with --exit-zero or a higher threshold."""
    edit(project / "nginx.conf", " always", "")
    edit(project / "nginx.conf", "nosniff;", "none;")
    assert cli.run(["check"]) == 1
    assert last_line(capsys).startswith("exit 1: 1 open findings at or above medium (1 medium)")
    assert cli.run(["check", "--exit-zero"]) == 0
    assert cli.run(["check", "--fail-on", "high"]) == 0


@pytest.mark.parametrize("form", FORMATS)
def test_format_does_not_change_the_exit_status(
    project: Path, form: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The exit status is the run's, whatever the format."""
    edit(project / "nginx.conf", "nosniff", "none")
    assert cli.run(["check", "-f", form]) == 1
    assert capsysbinary.readouterr().out


def test_policy_error_is_exit_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt key: 2, with file:line:column, the line, and what it should be."""
    edit(project / "auditor.yaml", "headers:", "heders:")
    assert cli.run(["check"]) == 2
    text = capsys.readouterr().err
    assert "auditor.yaml:8:5 (routes[0].heders)" in text
    assert "did you mean 'headers'?" in text
    assert "Traceback" not in text


def test_yaml_error_is_exit_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """YAML that does not parse: 2, with its line."""
    (project / "auditor.yaml").write_text("version: 1\nroutes: [\n")
    assert cli.run(["check"]) == 2
    assert "auditor.yaml:3:1" in capsys.readouterr().err


def test_no_policy_is_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No policy to be found: 2, and what to do."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_POLICY", raising=False)
    assert cli.run(["check"]) == 2
    assert "--profile" in capsys.readouterr().err


def test_unknown_option_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt option: 2."""
    assert cli.run(["check", "--fail-onn", "high"]) == 2
    text = capsys.readouterr().err
    assert "No such option" in text
    assert text.splitlines()[-1].startswith("exit 2: No such option")


def test_missing_file_is_exit_3(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target's file that is not there: 3, and what could be evaluated still is."""
    (project / "nginx.conf").unlink()
    assert cli.run(["check"]) == 3
    printed = capsys.readouterr()
    assert "there is no file nginx.conf" in printed.out
    assert "auditor.yaml:4" in printed.out
    assert "Traceback" not in printed.err


def test_missing_include_is_exit_3(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An include that only the container has: 3, with its line."""
    edit(project / "nginx.conf", "listen 80;", "listen 80; include /etc/nginx/snippets/x.conf;")
    assert cli.run(["check"]) == 3
    assert "nginx.conf:4:20" in capsys.readouterr().out


def test_include_that_matches_nothing_is_no_error(project: Path) -> None:
    """A glob without a match is what nginx allows."""
    edit(project / "nginx.conf", "listen 80;", "listen 80; include conf.d/*.conf;")
    assert cli.run(["check"]) == 0


def test_syntax_error_is_a_finding_with_its_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing semicolon: the line, in words, and the rest is evaluated."""
    edit(project / "nginx.conf", "listen 80;", "listen 80")
    assert cli.run(["check"]) == 1
    out = capsys.readouterr().out
    assert "configuration-refused" in out
    assert "nginx.conf:4" in out


def test_syntax_error_on_line_900(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The place of an error does not depend on how far down it is."""
    filler = "".join(f"        # {number}\n" for number in range(900 - 5))
    edit(project / "nginx.conf", "        location", f"{filler}        bogus_directive on;\n        location")
    assert cli.run(["check"]) == 1
    assert "nginx.conf:900:9" in capsys.readouterr().out


def test_target_that_is_down_is_exit_3(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A live target that does not answer: 3, in words, not a pass."""
    edit(
        project / "auditor.yaml",
        "routes:",
        "  - {id: live, type: http, entrypoints: {web: 'http://127.0.0.1:9'}, limits: {timeout: 2s}}\nroutes:",
    )
    assert cli.run(["audit"]) == 3
    printed = capsys.readouterr()
    assert "target-unreachable" in printed.out
    assert "Traceback" not in printed.err


def test_unknown_target_is_exit_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--target with an id that the policy does not have: 2."""
    assert project
    assert cli.run(["check", "--target", "nope"]) == 2
    assert "no target 'nope'" in capsys.readouterr().err


def test_bug_is_exit_4_with_a_crash_log(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception nobody foresaw: 4, the path of a log, and no traceback on the screen."""
    assert project
    monkeypatch.setattr("auditor.audit.facts_of", lambda *_: 1 / 0)
    assert cli.run(["check"]) == 4
    text = capsys.readouterr().err
    assert "Traceback" not in text
    log = Path(text.split("Please report it with ")[1].splitlines()[0])
    assert "ZeroDivisionError" in log.read_text()
    log.unlink()


def test_raising_check_is_verdict_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check that raises does not stop the others; the run is incomplete."""
    from auditor.checks import header_missing

    assert project
    monkeypatch.setattr(header_missing, "decide", lambda *_: iter([1 / 0]))
    assert cli.run(["check", "-f", "json"]) == 3
    report = json.loads(capsys.readouterr().out)
    errors = [result for result in report["results"] if result["verdict"] == "error"]
    assert [result["check"] for result in errors] == ["header-missing"]
    assert any(result["verdict"] == "pass" and result["check"] == "header-wrong-value" for result in report["results"])


def test_errors_of_every_kind_are_shown_alike(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error prints its message, its place and its hint."""

    def fails(**_: object) -> None:
        raise AuditorError("what happened", Location("file.yaml", 3, 1), "what to do")

    monkeypatch.setattr(checking.check, "callback", fails)
    assert cli.run(["check"]) == 2
    text = capsys.readouterr().err
    assert "error: what happened" in text
    assert "--> file.yaml:3:1" in text
    assert "help: what to do" in text
    assert text.splitlines()[-1] == "exit 2: what happened"


def test_waiver_accepts_until_its_day(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A waived finding does not fail the gate up to the last day of its waiver, and does after it."""
    edit(project / "nginx.conf", "nosniff", "none")
    with (project / "auditor.yaml").open("a") as policy:
        policy.write(
            "waivers:\n  - {id: W-1, checks: [header-wrong-value], reason: r, owner: o@example.com, expires: 2026-12-31}\n"
        )
    assert cli.run(["check", "--now", "2026-12-31"]) == 0
    assert "1 waived" in last_line(capsys)
    assert cli.run(["check", "--now", "2027-01-01"]) == 1


def test_output_files(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-o writes a report to a file and leaves stdout alone."""
    assert cli.run(["check", "-o", "json=report.json"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((project / "report.json").read_text())["verdict"] == "pass"
    assert cli.run(["check", "-o", "json=/nonexistent/report.json"]) == 2
    assert cli.run(["check", "-o", "nope=report.json"]) == 2


def test_profile_without_policy(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--nginx FILE --profile NAME needs no policy file."""
    (project / "auditor.yaml").unlink()
    assert cli.run(["check", "--nginx", "nginx.conf", "--profile", "owasp-secure-headers"]) == 1
    assert "header-missing" in capsys.readouterr().out


def test_two_runs_print_the_same_bytes(project: Path) -> None:
    """Nothing in a report depends on hash seeds."""
    edit(project / "nginx.conf", "nosniff", "none")
    outputs = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "auditor", "check", *(word for name in FORMATS for word in ("-f", name))]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(auditor.__file__).parents[1])}
        environment["SOURCE_DATE_EPOCH"] = "1790000000"
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False)
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_version_is_quick() -> None:
    """`auditor --version` loads nothing that it does not need."""
    code = "import sys; sys.argv = ['auditor', '--version']; from auditor.__main__ import main; main(); print(len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version == f"auditor {__version__}"
    assert int(modules) < 120


NOT_FOR_A_CHECK = [
    "httpx",
    "httpcore",
    "hypothesis",
    "websockets",
    "fastapi",
    "rich",
    "sqlalchemy",
    "jinja2",
    "dask",
    "idna",
    "html",
    "difflib",
    "tomllib",
    "subprocess",
    "asyncio",
    "concurrent.futures",
    "xml.etree.ElementTree",
    "auditor.live",
    "auditor.history",
    "auditor.watch",
    "auditor.watching",
    "auditor.fleet",
    "auditor.demo",
    "auditor.drafting",
    "auditor.traefik",
    "auditor.compose",
    "auditor.backend",
    "auditor.tree",
    "auditor.tracing",
    "auditor.difference",
    "auditor.report.html",
    "auditor.report.sarif",
    "auditor.browser.fetching",
    "auditor.browser.elements",
    "auditor.browser.cookies",
    "auditor.accepted.baseline",
    "auditor.cli.audits",
    "auditor.cli.keeping",
    "auditor.nginx.story",
]
"""What the check of an nginx file by a policy has no use for: each of them would be loaded before anything is decided."""


def test_a_check_loads_only_what_it_needs(tmp_path: Path) -> None:
    """`auditor check` that finds nothing imports no HTTP client, no other kind of target, no other report, no history."""
    tmp_path.joinpath("nginx.conf").write_text("events {} http { server { listen 80; location / { return 204; } } }")
    tmp_path.joinpath("auditor.yaml").write_text(
        "version: 1\ntargets: [{id: nginx, type: nginx, files: [nginx.conf]}]\n"
        "routes: [{id: all, match: [{paths: [/**]}], cors: {enabled: false}}]\n"
    )
    code = (
        "import atexit, sys; from auditor.__main__ import main; sys.argv = ['auditor', 'check'];"
        f"atexit.register(lambda: print(sorted(set({NOT_FOR_A_CHECK!r}) & set(sys.modules)))); main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(auditor.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_interrupt_is_exit_130(project: Path) -> None:
    """Ctrl-C while a target is silent: 130, what was found so far, a closing line, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        edit(
            project / "auditor.yaml",
            "routes:",
            f"  - {{id: live, type: http, entrypoints: {{web: 'http://127.0.0.1:{port}'}}, limits: {{timeout: 30s}}}}\nroutes:",
        )
        edit(project / "nginx.conf", "nosniff", "none")
        environment = {**os.environ, "PYTHONPATH": str(Path(auditor.__file__).parents[1])}
        command = [sys.executable, "-m", "auditor", "audit"]
        with subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            silent.settimeout(30)
            connection, _ = silent.accept()
            with connection:
                time.sleep(0.2)
                child.send_signal(signal.SIGINT)
                out, error = child.communicate(timeout=30)
    assert "Traceback" not in error
    assert child.returncode == 130, error
    assert error.splitlines()[-1].startswith("exit 130: ")
    assert "header-wrong-value" in out


def test_explain_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """`explain` prints a check's page, lists them all, and corrects a misspelt id."""
    assert cli.run(["explain", "cors-any-origin"]) == 0
    assert "## Why it matters" in capsys.readouterr().out
    assert cli.run(["explain"]) == 0
    assert "rule-not-evaluated" in capsys.readouterr().out
    assert cli.run(["explain", "cors-any-orign"]) == 2
    assert "did you mean cors-any-origin?" in capsys.readouterr().err


def test_policy_commands(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`policy validate`, `show` and `schema` say what they are asked."""
    assert project
    assert cli.run(["policy", "validate"]) == 0
    assert "valid (test, 1 route" in capsys.readouterr().out
    assert cli.run(["policy", "show"]) == 0
    assert "X-Content-Type-Options" in capsys.readouterr().out
    assert cli.run(["policy", "schema"]) == 0
    assert capsys.readouterr().out == Path(__file__).parents[1].joinpath("policies/policy.schema.json").read_text(
        "utf-8"
    )


def test_policy_is_found_up_to_the_git_root_and_never_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovery goes up to the git root, and does not take one from the home folder."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / "auditor.yaml").write_text(POLICY)
    inner = tmp_path / "repo" / "deep"
    inner.mkdir(parents=True)
    assert find_policy(inner) is None
    (tmp_path / "repo" / ".git").mkdir()
    (tmp_path / "repo" / ".github").mkdir()
    (tmp_path / "repo" / ".github" / "auditor.yaml").write_text(POLICY)
    assert find_policy(inner) == tmp_path / "repo" / ".github" / "auditor.yaml"
