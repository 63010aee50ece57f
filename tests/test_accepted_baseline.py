"""Baselines and --new-since: what was there is accepted, what is new is not; git is the oracle for "was there"."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import cli
from auditor.audit import check, exit_status
from auditor.finding import Run, Verdict
from auditor.options import Options

DAY = "2026-06-30"
POLICY = """version: 1
name: test
targets:
  - {id: web, type: nginx, files: [edge/nginx.conf]}
routes:
  - {id: api, match: [{paths: ["/api/**"], methods: [GET]}], headers: {X-Content-Type-Options: nosniff}}
  - {id: rest, match: [{paths: ["/**"], methods: [GET]}], headers: {X-Content-Type-Options: nosniff, Referrer-Policy: no-referrer}}
"""
NOSNIFF = "add_header X-Content-Type-Options nosniff always;"
REFERRER = "add_header Referrer-Policy no-referrer always;"


def nginx(api: str, rest: str, above: str = "") -> str:
    """Return a configuration with these directives in its two locations."""
    return (
        f"events {{}}\nhttp {{\n{above}    server {{\n        listen 80;\n"
        f"        location /api/ {{ {api} return 200 a; }}\n        location / {{ {rest} return 200 r; }}\n    }}\n}}\n"
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, text: str, policy: str | None = None) -> str:
    """Write the configuration (and the policy), commit, and return the commit."""
    (folder / "edge").mkdir(exist_ok=True)
    (folder / "edge" / "nginx.conf").write_text(text)
    if policy is not None:
        (folder / "auditor.yaml").write_text(policy)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository in the current folder whose configuration breaks the policy on /api/."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, nginx("", f"{NOSNIFF} {REFERRER}"), POLICY)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("AUDITOR_POLICY", raising=False)
    return folder


def last(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line of stderr."""
    return capsys.readouterr().err.splitlines()[-1]


def failing(run: Run) -> set[str]:
    """Return the fingerprints of everything that is not a pass."""
    return {f.fingerprint for f in run.findings if f.verdict is not Verdict.PASS}


def test_a_baseline_accepts_what_was_there_and_nothing_new(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Green after writing it, red on a new violation, green again on the old one."""
    assert cli.run(["check"]) == 1
    assert cli.run(["baseline", "write"]) == 0
    assert last(capsys).startswith("exit 0: .auditor-baseline.json accepts 1 finding: ")
    accept = ["check", "--baseline", ".auditor-baseline.json"]
    assert cli.run(accept) == 0
    assert "0 waived; 1 baselined; 0 unknown" in last(capsys)
    (repository / "edge" / "nginx.conf").write_text(nginx("", NOSNIFF))
    assert cli.run(accept) == 1
    printed = capsys.readouterr()
    assert "(1 medium)" in printed.err
    assert "without Referrer-Policy" in printed.out
    assert cli.run(["check"]) == 1


def test_a_baseline_does_not_change_where_only_lines_move(repository: Path) -> None:
    """Git sees no change in the file after comments and blank lines were added above what it accepts."""
    assert cli.run(["baseline", "write"]) == 0
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "baseline")
    (repository / "edge" / "nginx.conf").write_text(nginx("", f"{NOSNIFF} {REFERRER}", "# more\n\n\n# lines\n"))
    (repository / "auditor.yaml").write_text("# a comment\n\n" + POLICY)
    assert cli.run(["baseline", "write"]) == 0
    assert git(repository, "status", "--porcelain", ".auditor-baseline.json") == ""
    assert cli.run(["check", "--baseline", ".auditor-baseline.json"]) == 0


def test_a_baseline_is_sorted_and_says_nothing_that_moves(repository: Path) -> None:
    """The entries are in order, and hold neither lines nor folders."""
    (repository / "edge" / "nginx.conf").write_text(nginx("", "include /etc/nginx/x.conf;"))
    assert cli.run(["baseline", "write"]) == 0
    entries = json.loads(Path(".auditor-baseline.json").read_text())["findings"]
    assert len(entries) > 3
    keys = [(e["check"], e["rule"], e["route"], e["subject"], e["verdict"]) for e in entries]
    assert keys == sorted(keys)
    assert str(repository) not in Path(".auditor-baseline.json").read_text()
    assert set(entries[0]) == {"check", "rule", "route", "subject", "verdict", "evidence", "fingerprint"}


def test_stale_entries_are_reported_with_their_line(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is gone is said to be, at its line of the file, and does not fail; writing anew drops it."""
    assert cli.run(["baseline", "write"]) == 0
    (repository / "edge" / "nginx.conf").write_text(nginx(NOSNIFF, f"{NOSNIFF} {REFERRER}"))
    assert cli.run(["check", "--baseline", ".auditor-baseline.json"]) == 0
    out = capsys.readouterr().out
    assert "info[baseline-stale]: the baseline accepts header-missing of api.headers.X-Content-Type-Options" in out
    line = next(n for n, t in enumerate(Path(".auditor-baseline.json").read_text().splitlines(), 1) if '"check"' in t)
    assert f"--> .auditor-baseline.json:{line}" in out
    assert cli.run(["baseline", "write"]) == 0
    assert json.loads(Path(".auditor-baseline.json").read_text()) == {"version": 1, "findings": []}


def test_an_accepted_unknown_accepts_no_violation(repository: Path) -> None:
    """What was not decided when the baseline was written fails once it is decided and wrong."""
    undecided = "add_header X-Content-Type-Options $upstream_http_x always;"
    (repository / "edge" / "nginx.conf").write_text(nginx(undecided, f"{NOSNIFF} {REFERRER}"))
    assert cli.run(["check"]) in {1, 3}
    assert cli.run(["baseline", "write"]) == 0
    assert cli.run(["check", "--baseline", ".auditor-baseline.json"]) == 0
    (repository / "edge" / "nginx.conf").write_text(
        nginx("add_header X-Content-Type-Options none always;", f"{NOSNIFF} {REFERRER}")
    )
    assert cli.run(["check", "--baseline", ".auditor-baseline.json"]) == 1


@pytest.mark.parametrize("text", [None, "", "{}", '{"version": 2, "findings": []}', '{"version": 1, "findings": [{}]}'])
def test_a_broken_baseline_is_exit_2(repository: Path, text: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline that is missing or is none is an error, not an empty one."""
    file = repository / "b.json"
    if text is not None:
        file.write_text(text)
    assert cli.run(["check", "--baseline", "b.json"]) == 2
    error = capsys.readouterr().err
    assert "baseline" in error.splitlines()[-1]
    assert "Traceback" not in error


def test_a_baseline_from_a_stored_run(repository: Path) -> None:
    """`--from RUN.json` writes what auditing would."""
    assert repository
    assert cli.run(["check", "-o", "json=run.json"]) == 1
    assert cli.run(["baseline", "write"]) == 0
    assert cli.run(["baseline", "write", "--from", "run.json", "-o", "other.json"]) == 0
    assert Path("other.json").read_text() == Path(".auditor-baseline.json").read_text()


def test_new_since_counts_only_what_is_new(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against HEAD the old violation is accepted and the new one fails; the index and the tree are left alone."""
    assert cli.run(["check", "--new-since", "HEAD"]) == 0
    assert "1 baselined" in last(capsys)
    (repository / "edge" / "nginx.conf").write_text(nginx("", NOSNIFF))
    before = git(repository, "status", "--porcelain=v2"), (repository / ".git" / "index").read_bytes()
    assert cli.run(["check", "--new-since", "HEAD"]) == 1
    out = capsys.readouterr().out
    assert "baselined: already there at HEAD (" in out
    assert "without Referrer-Policy" in out
    assert (git(repository, "status", "--porcelain=v2"), (repository / ".git" / "index").read_bytes()) == before
    assert git(repository, "worktree", "list").count("\n") == 0


def test_new_since_holds_todays_policy_against_the_old_files(repository: Path) -> None:
    """A rule that is new itself does not make old violations new."""
    (repository / "auditor.yaml").write_text(POLICY.replace("Options: nosniff}}", "Options: nosniff, X-New: a}}", 1))
    assert cli.run(["check"]) == 1
    assert cli.run(["check", "--new-since", "HEAD"]) == 0


def test_new_since_from_another_folder_and_without_a_policy(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are the repository's wherever the command is run; --nginx FILE needs no policy."""
    monkeypatch.chdir(repository / "edge")
    assert cli.run(["check", "--new-since", "HEAD"]) == 0
    assert cli.run(["check", "--nginx", "nginx.conf", "--profile", "owasp-secure-headers", "--new-since", "HEAD"]) == 0


def test_new_since_takes_ignored_files_as_they_are(repository: Path) -> None:
    """A file that git ignores, such as a local include, is in no revision: today's stands in for it."""
    (repository / ".gitignore").write_text("local.conf\n")
    text = nginx("include local.conf;", f"{NOSNIFF} {REFERRER}")
    (repository / "edge" / "local.conf").write_text("add_header X-Content-Type-Options none always;\n")
    commit(repository, text)
    assert cli.run(["check"]) == 1
    assert cli.run(["check", "--new-since", "HEAD"]) == 0


@pytest.mark.parametrize("revision", ["nothing", "--help", "HEAD~9", ""])
def test_an_unknown_revision_is_exit_2(repository: Path, revision: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A revision that is not there is an error in words."""
    assert repository
    assert cli.run(["check", "--new-since", revision]) == 2
    assert "--new-since" in last(capsys)


def test_new_since_outside_a_repository_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a repository there is nothing to compare with."""
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "nginx.conf").write_text(nginx("", ""))
    (tmp_path / "auditor.yaml").write_text(POLICY)
    assert cli.run(["check", str(tmp_path / "auditor.yaml"), "--new-since", "HEAD"]) == 2
    assert "not a git repository" in last(capsys)


BLOCKS = st.sampled_from(["", NOSNIFF, REFERRER, f"{NOSNIFF} {REFERRER}", "add_header X-Content-Type-Options no;"])
TEXTS = st.builds(nginx, BLOCKS, BLOCKS, st.sampled_from(["", "# above\n\n"]))


@settings(max_examples=10)
@given(history=st.lists(TEXTS, min_size=1, max_size=3), now=TEXTS, back=st.integers(0, 2))
def test_new_is_what_a_clone_at_that_commit_does_not_show(
    history: list[str], now: str, back: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For any history, the findings counted are today's without those of a clone checked out at the revision."""
    folder = tmp_path_factory.mktemp("history")
    git(folder, "init", "-q")
    commits = [commit(folder, text, POLICY) for text in history]
    then = commits[-1 - min(back, len(commits) - 1)]
    (folder / "edge" / "nginx.conf").write_text(now)
    run = check(Options("check", folder / "auditor.yaml", now=DAY, new_since=then))
    clone = tmp_path_factory.mktemp("clone")
    git(folder, "clone", "-q", str(folder), str(clone))
    git(clone, "checkout", "-q", then)
    old = failing(check(Options("check", clone / "auditor.yaml", now=DAY)))
    counted = {f.fingerprint for f in run.findings if f.disposition == "open"}
    assert counted == failing(run) - old
    assert (exit_status(run)[0] == 0) == (not counted)


def test_the_commit_is_in_the_report(repository: Path) -> None:
    """A run names the commit its files are at, and whether they differ from it."""
    head = git(repository, "rev-parse", "HEAD")
    options = Options("check", Path("auditor.yaml"), now=DAY)
    assert check(options).git == (head, False)
    (repository / "unrelated").write_text("x")
    assert check(options).git == (head, False)
    (repository / "edge" / "nginx.conf").write_text(nginx("", ""))
    assert check(options).git == (head, True)
