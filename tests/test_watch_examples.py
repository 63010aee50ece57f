"""The ready-made files for other programs, each judged by that program's own checker or its vendor's types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[1] / "auditor" / "watch" / "examples"


def program(name: str, package: str) -> str:
    """Return where a program is; without it the test is skipped, and fails in CI."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"no {name}: apt-get install {package}"
        pytest.skip(f"no {name}: apt-get install {package}")
    return found


def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    """`systemd-analyze verify` takes every unit; the program that they start is replaced by one that is there."""
    verify = [program("systemd-analyze", "systemd"), "verify", "--man=no"]
    there = shutil.which("true")
    units = [file for file in sorted(EXAMPLES.iterdir()) if file.suffix in {".service", ".timer"}]
    assert len(units) == 3
    for unit in units:
        text = unit.read_text("utf-8").replace("/usr/local/bin/auditor", str(there))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run([*verify, *(tmp_path / u.name for u in units)], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "auditor" in line]
    assert (done.returncode, ours) == (0, [])
    (tmp_path / "auditor.timer").write_text("[Timer]\nOnCalendar=*:0/7x\n", encoding="utf-8")
    bad = subprocess.run([*verify, tmp_path / "auditor.timer"], capture_output=True, text=True, check=False)
    assert "calendar spec" in bad.stderr


@pytest.mark.parametrize("version", ["1.28", "1.32"])
def test_kubernetes_takes_the_cron_job(version: str) -> None:
    """It meets the API's schema, and no field of it is unknown there."""
    import kubernetes_validate

    (document,) = yaml.safe_load_all((EXAMPLES / "cronjob.yaml").read_text("utf-8"))
    kubernetes_validate.validate(document, version, strict=True)
    document["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["arguments"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="arguments"):
        kubernetes_validate.validate(document, version, strict=True)


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Yield what is not the same in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs[key], f"{path}.{key}") if key in theirs else [f"{path}.{key}"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif ours != theirs:
        yield path


def test_grafana_knows_every_key_of_the_dashboard() -> None:
    """Read into Grafana's own types and written again, nothing is lost."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    def again(document: Any) -> Any:
        return json.loads(JSONEncoder().encode(Dashboard.from_json(document)))

    ours = json.loads((EXAMPLES / "grafana.json").read_text("utf-8"))
    assert ours["panels"]
    assert list(lost(ours, again(ours))) == []
    ours["panels"][0]["titel"] = "x"
    assert list(lost(ours, again(ours))) == [".panels[0].titel"]


def test_github_takes_the_schedule() -> None:
    """It meets the schema of a workflow."""
    file = EXAMPLES / "github-schedule.yml"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    """`promtool check rules` parses every expression."""
    promtool = program("promtool", "prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", EXAMPLES / "auditor.rules.yml"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
