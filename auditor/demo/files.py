"""Where the shipped files of the reference stack are, and how they get into a directory of their own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from auditor.errors import UsageError

State = Literal["as-documented", "hardened"]
"""The two states: what the description's own snippets amount to, and what keeps its promises."""

POLICY = "qwen-image.yaml"
_HERE = Path(__file__).resolve().parent
_VARIABLE = re.compile(r"^  (?P<name>\w+): (?P<value>\"[^\"]*\"|[^\s#]+)")


def shipped(state: str) -> Path:
    """Return the folder of the shipped files of a state; UsageError for a state that does not exist."""
    if state not in get_args(State):
        raise UsageError(f"the reference stack has no state {state!r}", hint=f"one of {', '.join(get_args(State))}")
    return _HERE / "stack" / state


def policy_file() -> Path:
    """Return the shipped policy: beside the package in a clone, inside it when installed."""
    for folder in (_HERE.parent / "builtin_policies", _HERE.parents[1] / "policies"):
        if (folder / POLICY).is_file():
            return folder / POLICY
    raise UsageError(f"{POLICY} is not there", hint="the installation is incomplete: install edge-auditor again")


def write(state: State, directory: Path, variables: Mapping[str, str] | None = None) -> Path:
    """Write the stack of a state to `directory`/stack, the policy beside it, and return the policy's path.

    The files are the shipped ones, byte for byte; in the policy only the values of `variables` (and where the
    stack is) are replaced, each on its own line. UsageError where something of that name is there already.
    """
    source = shipped(state)
    policy = directory / POLICY
    for path in (directory / "stack", policy):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="choose an empty directory; nothing was written")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, directory / "stack", ignore=shutil.ignore_patterns("__pycache__"))
        text = policy_file().read_text(encoding="utf-8")
        policy.write_text(with_variables(text, {"stack": "stack", **(variables or {})}), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be written: {error.strerror}", hint="choose a directory you may write"
        ) from error
    return policy


def with_variables(text: str, values: Mapping[str, str]) -> str:
    """Return the policy's text with other values in its top-level `variables` block; every line stays where it is."""
    lines = text.splitlines(keepends=True)
    missing = set(values)
    inside = False
    for number, line in enumerate(lines):
        if not line.startswith((" ", "#", "\n")):
            inside = line.startswith("variables:")
        match = _VARIABLE.match(line) if inside else None
        if match and match["name"] in values:
            lines[number] = f'  {match["name"]}: "{values[match["name"]]}"{line[match.end() :]}'
            missing.discard(match["name"])
    if missing:
        raise UsageError(f"{POLICY} has no variable {', '.join(sorted(missing))}")
    return "".join(lines)
