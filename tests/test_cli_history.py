"""`--record`, `auditor history` and the options of `auditor watch`, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from recorded import fail, made, passed, unreachable

from auditor.cli import run
from auditor.history.store import History

POLICY = """version: 1
name: shop
targets: [{id: nginx, type: nginx, files: [nginx.conf]}]
routes: [{id: all, match: [{paths: ["/**"]}], headers: {X-A: b}}]
"""


def nginx(value: str) -> str:
    """Return a configuration that sends X-A with this value."""
    return (
        f"events {{}}\nhttp {{ server {{ listen 80; location / {{ add_header X-A {value} always; return 204; }} }} }}\n"
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a policy that its configuration keeps, and a history of its own."""
    (tmp_path / "auditor.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "nginx.conf").write_text(nginx("b"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDITOR_HISTORY", str(tmp_path / "history.sqlite"))
    return tmp_path


def test_recorded_runs_are_listed_shown_and_compared(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pass, a violation of a changed configuration, and the way back: each command tells it, with its exit status."""
    assert run(["check", "--record"]) == 0
    assert "recorded: run 1 of shop (the first of its target)" in capsys.readouterr().err
    (shop / "nginx.conf").write_text(nginx("c"), encoding="utf-8")
    assert run(["check", "--record"]) == 1
    assert "recorded: run 2 of shop (1 new, 0 fixed since the last)" in capsys.readouterr().err

    assert run(["history", "diff"]) == 1
    out = capsys.readouterr().out
    assert "configuration changed" in out
    assert "new (the configuration changed): 1" in out
    assert "medium[header-wrong-value]" in out
    assert run(["history", "diff", "2", "1"]) == 0
    assert "fixed (the configuration changed): 1" in capsys.readouterr().out
    assert run(["history", "diff", "-f", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["old"]["run"], said["new"]["run"], said["configuration_changed"], said["policy_changed"]) == (
        1,
        2,
        True,
        False,
    )
    assert [(c["kind"], c["cause"], c["check"]) for c in said["changes"]] == [
        ("new", "configuration", "header-wrong-value")
    ]

    assert run(["history", "list", "-f", "json"]) == 0
    assert [(row["run"], row["verdict"]) for row in json.loads(capsys.readouterr().out)] == [(2, "fail"), (1, "pass")]
    assert run(["history", "list", "--targets"]) == 0
    assert "1 medium" in capsys.readouterr().out
    assert run(["history", "show", "1", "-f", "json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["verdict"] == "pass"
    assert {result["verdict"] for result in first["results"]} == {"pass"}
    assert run(["history", "show"]) == 0
    assert "header-wrong-value" in capsys.readouterr().out
    assert run(["history", "check"]) == 0
    assert run(["history", "prune"]) == 0


def test_a_changed_policy_is_no_drift(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same configuration under another policy: what is new has the policy for its cause."""
    run(["check", "--record"])
    (shop / "auditor.yaml").write_text(POLICY.replace("X-A: b", "X-A: z"), encoding="utf-8")
    run(["check", "--record"])
    capsys.readouterr()
    assert run(["history", "diff"]) == 1
    out = capsys.readouterr().out
    assert "policy changed: what it brought is not a drift of the target" in out
    assert "new (the policy changed): 1" in out


def test_runs_without_record_are_not_kept(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The history is not even made."""
    run(["check"])
    assert not (shop / "history.sqlite").exists()
    assert run(["history", "list"]) == 0
    assert "no runs recorded" in capsys.readouterr().err


def test_reports_made_elsewhere_are_recorded(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON report from a runner without the history is imported under a name of its own."""
    run(["check", "-o", "json=run.json"])
    assert run(["history", "import", "run.json", "--as", "runner"]) == 0
    assert "recorded: run 1 of runner" in capsys.readouterr().err
    (shop / "x.json").write_text("{}", encoding="utf-8")
    assert run(["history", "import", "x.json"]) == 2


def test_metrics_go_to_stdout_or_a_file(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are read by Prometheus' parser; a file that cannot be written is said so."""
    run(["check", "--record", "--as", "front door"])
    capsys.readouterr()
    assert run(["history", "metrics"]) == 0
    text = capsys.readouterr().out
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert ("auditor_success", {"target": "front door"}, 1.0) in [(s.name, s.labels, s.value) for s in samples]
    assert run(["history", "metrics", "-o", "auditor.prom"]) == 0
    assert (shop / "auditor.prom").read_text("utf-8") == text
    assert run(["history", "metrics", "-o", "nowhere/auditor.prom"]) == 2


def test_a_silent_target_is_said_and_nothing_of_it_is_fixed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`history diff` of a run without answers ends with 3."""
    history = History.open(str(shop / "history.sqlite"))
    history.record(made(fail()), target="shop")
    history.record(made(unreachable()), target="shop")
    history.record(made(fail(), passed("header-missing")), target="shop")
    history.close()
    assert run(["history", "diff", "2"]) == 3
    printed = capsys.readouterr()
    assert "target unreachable: 9 of the requests to the running stack got no answer: connection refused" in printed.out
    assert "exit 3: 0 new, 0 fixed" in printed.err
    assert run(["history", "diff", "3"]) == 0
    assert run(["history", "diff", "2", "3"]) == 1
    assert "the target answers again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["history", "show", "7"], "no run 7"),
        (["history", "diff"], "the history is empty"),
        (["history", "diff", "1", "2", "3"], "one run, or an old and a new one"),
        (["history", "list", "--history", "mysql://x/y"], "no history in mysql"),
        (["check", "--record", "--history", "/dev/null/x"], "cannot be made"),
        (["watch", "--every", "soon"], "--every soon"),
        (["watch", "--every", "15m", "--cron", "* * * * *"], "both given"),
        (["watch", "--cron", "* * *"], "no cron expression"),
        (["watch", "--timezone", "Mars/Olympus"], "no time zone"),
        (["watch", "--listen", "nowhere"], "is no address"),
        (["watch", "--listen", "0.0.0.0:0"], "open to everybody"),
        (["watch", "--notify", "carrier-pigeon://x"], "nobody can be told"),
        (["watch", "nowhere.yaml"], "nowhere.yaml"),
        (["watch", "--fleet", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["watch", "auditor.yaml", "--fleet", "nowhere.yaml"], "a policy and a fleet file"),
        (["fleet", "nowhere.yaml"], "cannot read nowhere.yaml"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_mistakes_are_said(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, what is wrong, and no traceback."""
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("exit 2: ")


@pytest.mark.usefixtures("shop")
def test_examples_are_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Every example is there, none is overwritten, and each names commands and metrics that exist."""
    import re

    import yaml

    assert run(["watch", "--write-examples", "examples"]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(files) == 7
    assert run(["watch", "--write-examples", "examples"]) == 2
    text = "".join(file.read_text("utf-8") for file in files)
    run(["history", "metrics"])
    known = set(re.findall(r"^# TYPE (\w+)", capsys.readouterr().out, re.MULTILINE))
    assert set(re.findall(r"\bauditor_[a-z_]+", text)) <= known
    parsed = [yaml.safe_load(file.read_text("utf-8")) for file in files if file.suffix in {".yaml", ".yml", ".json"}]
    assert all(isinstance(value, dict) for value in parsed)
    for file in files:
        for command in re.findall(r"(?:bin/auditor|run: auditor) (\w+(?: metrics)?)", file.read_text("utf-8")):
            assert run([*command.split(), "--help"]) == 0
