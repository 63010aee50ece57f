"""`auditor baseline`: accept what is there today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.closing import closing
from auditor.cli.options import asked, narrowing, policy_path, selection
from auditor.errors import UsageError


@click.group()
def baseline() -> None:
    """Accept the findings of today, so that only new ones fail."""


@baseline.command("write")
@selection
@narrowing
@click.option(
    "--from",
    "stored",
    type=click.Path(path_type=Path),
    metavar="RUN.json",
    help="Accept the findings of this stored run (of `auditor audit -o json=RUN.json`) instead of auditing.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The file (default: .auditor-baseline.json by the policy)."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but the closing line.")
def baseline_write(stored: Path | None, output: Path | None, **values: Any) -> int:
    """Write the findings that are open today into a file for --baseline; waived ones stay with their waivers."""
    from auditor.accepted.baseline import FILE, write
    from auditor.audit import check
    from auditor.report.text import short_path

    if stored is not None:
        from auditor.report.stored import read

        policy, findings = policy_path(values["policy"], values["policy_option"]), read(stored).findings
    else:
        options = asked("baseline", values)
        policy, findings = options.policy, check(options).findings
    file = output or (policy.parent if policy is not None else Path()) / FILE
    text = write(findings)
    try:
        file.write_text(text, encoding="ascii")
    except OSError as error:
        raise UsageError(f"cannot write the baseline {file}: {error.strerror}") from error
    shown = short_path(str(file))
    number = text.count('"check":')
    return closing(0, f"{shown} accepts {number} finding{'s' if number != 1 else ''}: use it with --baseline {shown}")
