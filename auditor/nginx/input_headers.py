"""Changes that headers-more makes to the request's own headers before it is passed on."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from auditor.exchange import Field
from auditor.nginx.state import Run
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine


def more_input(engine: Engine, run: Run, commands: tuple[Directive, ...]) -> None:
    """Run `more_set_input_headers` and `more_clear_input_headers` at the end of the rewrite phase."""
    run.header = dict(run.header)
    for directive in commands:
        words = iter(directive.args)
        only_replace = False
        for word in words:
            if word == "-t":
                next(words, None)
            elif word == "-r":
                only_replace = True
            else:
                name, _, value = word.partition(":")
                clears = directive.name == "more_clear_input_headers"
                text = "" if clears else engine.value(value.strip(" "))(run)
                change(run, name.strip(" "), text, only_replace=only_replace)


def change(run: Run, name: str, text: str, *, only_replace: bool) -> None:
    """Set one request header, or remove it where the text is empty."""
    lower = name.lower()
    key = lower.replace("-", "_")
    present = any(fnmatch.fnmatchcase(line.name.lower(), lower) for line in run.header_lines)
    if only_replace and not present:
        return
    kept = [line for line in run.header_lines if not fnmatch.fnmatchcase(line.name.lower(), lower)]
    if text:
        kept.append(Field(name, text))
        run.header[key] = text
    else:
        run.header.pop(key, None)
    run.header_lines = kept
    run.vars.pop(f"http_{key}", None)
    if lower == "host":
        run.host = text.rsplit(":", 1)[0].lower() or None
        run.vars.pop("host", None)
