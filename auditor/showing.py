"""`auditor demo`: the reference stack on loopback, audited both ways."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from auditor.audit import audit
from auditor.demo import State, running
from auditor.finding import Run
from auditor.options import LiveOptions, Options


def demo(
    state: State,
    *,
    keep: bool,
    path_binaries: bool,
    browser: bool,
    fail_on: str | None,
    say: Callable[[str], object],
    finish: Callable[[Run], int],
) -> int:
    """Start the stack, audit it, report with `finish`, and stop it; with `keep` wait for Ctrl-C first."""
    with (
        tempfile.TemporaryDirectory(prefix="auditor-demo-") as folder,
        running(state, Path(folder) / "demo", prefer_path_binaries=path_binaries) as stack,
    ):
        entrypoints = ", ".join(f"{name} on port {stack.ports[name]}" for name in stack.ports)
        say(f"the reference stack ({state}) is running: {entrypoints}")
        options = Options("demo", stack.policy, fail_on=fail_on)
        status = finish(audit(options, LiveOptions(ca_file=stack.ca_file, browser=browser, note=say)))
        if keep:
            say(f"policy: {stack.policy}; press Ctrl-C to stop")
            while True:
                time.sleep(3600)
    return status
