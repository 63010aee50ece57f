"""Colours and signs of life are for people at terminals, and change no byte of what scripts read."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from auditor.cli.terminal import coloured

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}} | {"TERM": "xterm"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder whose configuration breaks its policy."""
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { server { listen 80; location / { return 200 ok; } } }\n")
    (tmp_path / "auditor.yaml").write_text(
        "version: 1\nname: t\ntargets: [{id: nginx, type: nginx, files: [nginx.conf]}]\n"
        "routes: [{id: all, match: [{paths: ['/**'], methods: [GET]}], headers: {X-Frame-Options: DENY}}]\n"
    )
    return tmp_path


def run(folder: Path, *, terminal: bool, **more: str) -> bytes:
    """Run `auditor check` with stdout on a terminal or a pipe, and return what it wrote there."""
    command = [sys.executable, "-m", "auditor", "check"]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), **more}
    if not terminal:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=subprocess.DEVNULL) as child:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
        child.wait()
    os.close(ours)
    return b"".join(parts).replace(b"\r\n", b"\n")


def test_colours_are_for_terminals(project: Path) -> None:
    """On a terminal there are colours, in a pipe and with NO_COLOR none, with FORCE_COLOR always; the text is the same."""
    plain = run(project, terminal=False)
    assert b"\x1b" not in plain
    shown = run(project, terminal=True)
    assert b"\x1b[" in shown
    assert re.sub(rb"\x1b\[[0-9;]*m", b"", shown) == plain
    assert run(project, terminal=True, NO_COLOR="1") == plain
    assert b"\x1b[" in run(project, terminal=False, FORCE_COLOR="1")


def test_colours_change_no_text() -> None:
    """Whatever stands in a report, without its colours it is the report."""
    text = (
        "high[x-y]: m\n  --> f:1:2\n   1 | a\n     | ^^^ note\n\nseverity  check\nhigh      x\nlow  y\nunlike high x\n"
    )
    assert click.unstyle(coloured(text)) == text
    assert coloured(text).count("\x1b[31m") == 2
