"""What only a person at a terminal sees: colours on the table, and a sign of life on stderr after a second."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import click

COLOURS = {"critical": "bright_red", "high": "red", "medium": "yellow", "low": "cyan", "info": "blue"}
COLOURS |= {"unknown": "magenta", "error": "magenta"}

_HEAD = rf"(?m)^({'|'.join(COLOURS)})(\[[a-z0-9-]+\]:?)"
_ROW = rf"(?m)^({'|'.join(COLOURS)})(?= {{2,}})"
_CARET = r"(?m)^( +\| +)([\^-]+)"
_PLACE = r"(?m)^( +(?:-->|:::) )(.*)$"


def wants_colour() -> bool:
    """Whether stdout shows colours: a terminal, unless NO_COLOR; always with FORCE_COLOR (no-color.org, force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def coloured(text: str) -> str:
    """Return the table report with its severities, places and carets in colour; the text itself is as it was."""
    text = re.sub(_HEAD, lambda m: click.style(m[1] + m[2], fg=COLOURS[m[1]], bold=True), text)
    text = re.sub(_ROW, lambda m: click.style(m[1], fg=COLOURS[m[1]]), text)
    text = re.sub(_PLACE, lambda m: m[1] + click.style(m[2], bold=True), text)
    return re.sub(_CARET, lambda m: m[1] + click.style(m[2], fg="green", bold=True), text)


@contextlib.contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on stderr that something goes on, once it has taken a second and where a person watches."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    shown: list[Any] = []

    def show() -> None:
        from rich.console import Console

        status = Console(stderr=True).status(what)
        status.start()
        shown.append(status)

    timer = threading.Timer(1.0, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for status in shown:
            status.stop()
