"""Programs that we start and that must never be left behind: own process groups, ended in every way we can end."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path
from types import FrameType

from auditor.dataclass import dataclass

_GUARD = Path(__file__).with_name("guard.py")
_PATIENCE = 0.5
"""Seconds between asking the programs to end and killing their process groups: they have nothing to lose."""


@dataclass(frozen=True, slots=True)
class Child:
    """One program that was started: its name, its process (leader of a group of its own), its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def tail(self, lines: int = 5) -> str:
        """Return the last lines that it wrote."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        return "\n".join(text.splitlines()[-lines:])


@dataclass(slots=True)
class Children:
    """The programs of one run."""

    started: list[Child] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str], *, cwd: Path, log: Path, on_orphan: int = signal.SIGKILL
    ) -> Child:
        """Start a program in a session of its own; `on_orphan` is the signal it gets when we die without stopping it."""
        guarded = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(int(on_orphan)), *command]
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                guarded, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        child = Child(name, process, log)
        self.started.append(child)
        return child

    def stop(self) -> None:
        """End all programs: ask, wait, kill what is left of their groups; safe to call again."""
        children, deadline = tuple(self.started), time.monotonic() + _PATIENCE
        try:
            for child in children:
                if child.running:
                    child.process.terminate()
            for child in children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            self.kill()
        self.started.clear()

    def kill(self) -> None:
        """End all programs and whatever they started, now."""
        for child in self.started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()


@contextlib.contextmanager
def children() -> Iterator[Children]:
    """Give a place to start programs in; on the way out, by whatever way, they are stopped."""
    programs = Children()
    atexit.register(programs.kill)
    try:
        with _terminated_in_order():
            try:
                yield programs
            finally:
                programs.stop()
    finally:
        atexit.unregister(programs.kill)


@contextlib.contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the stack as Ctrl-C does, unless the process handles them already."""

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        raise SystemExit(128 + number)

    ours: list[signal.Signals] = []
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not the main thread: the kernel's word must do
                signal.signal(number, leave)
                ours.append(number)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
