"""`auditor policy`: read, print and describe policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.closing import closing, show_warnings
from auditor.cli.options import pairs, policy_path, selection
from auditor.cli.terminal import waiting
from auditor.errors import Location, UsageError

if TYPE_CHECKING:
    from auditor.drafting import Draft


@click.group()
def policy() -> None:
    """Validate, print and describe policy files."""


@policy.command("validate")
@selection
def policy_validate(**values: Any) -> int:
    """Read a policy and say what is wrong with it, all in one go."""
    from auditor.audit import load
    from auditor.options import Options

    path = policy_path(values["policy"], values["policy_option"])
    if path is None:
        raise UsageError("no policy found", hint="auditor policy validate POLICY")
    loaded = load(Options("policy", path, values["environment"], values["variables"], values["now"]))
    show_warnings(loaded.warnings)
    number = len(loaded.policy.routes)
    click.echo(
        f"{path}: valid ({loaded.policy.name}, {number} route{'s' if number != 1 else ''}, sha256 {loaded.sha256[:12]})"
    )
    return 0


@policy.command("schema")
def policy_schema() -> int:
    """Print the JSON Schema of policy files."""
    from auditor.policy.schema import schema_text

    click.echo(schema_text(), nl=False)
    return 0


@policy.command("show")
@selection
def policy_show(**values: Any) -> int:
    """Print the policy as it holds: extended, in its environment, with its variables."""
    from auditor.audit import load
    from auditor.options import Options
    from auditor.policy.show import show

    path = policy_path(values["policy"], values["policy_option"])
    if path is None:
        raise UsageError("no policy found", hint="auditor policy show POLICY")
    loaded = load(Options("policy", path, values["environment"], values["variables"], values["now"]))
    click.echo(show(loaded), nl=False)
    return 0


@policy.command("init")
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--nginx", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="The nginx file (default: look)."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The policy file (default: auditor.yaml in the folder)."
)
@click.option("--var", "variables", multiple=True, callback=pairs, metavar="K=V", help="What fills an nginx template.")
@click.option("--owner", metavar="WHO", help="Who answers for what is waived (default: git's user.email).")
@click.option("--now", metavar="DATE", help="The day of the draft (YYYY-MM-DD).")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def policy_init(folder: Path, output: Path | None, owner: str | None, now: str | None, **values: Any) -> int:
    """Write a first policy from what the configuration does today.

    `auditor check` passes with it at once. What looks wrong is waived for a while, and listed here.
    """
    from auditor.accepted.repository import author
    from auditor.drafting import Author, draft
    from auditor.drafting.found import find
    from auditor.options import Options
    from auditor.report.text import short_path, visible

    file = output or folder / "auditor.yaml"
    if file.exists() and not values["force"]:
        raise UsageError(f"{short_path(str(file))} is there already", hint="--force writes over it, -o FILE beside it")
    who = Author.of(file, owner or author(folder) or "unassigned", Options("policy", now=now).today)
    with waiting("asking the configuration what it does"):
        found = find(folder, values["nginx"])
        drafted = draft(found, who, values["variables"])
    for kind, path in found.others:
        click.echo(f"note: also found, and left out: {visible(short_path(str(path)))} ({kind})", err=True)
    try:
        file.write_text(drafted.text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    return _drafted(drafted, short_path(str(file)))


def _drafted(drafted: Draft, file: str) -> int:
    """Say what was written and what looks wrong, and return the status that `auditor check` has now."""
    from auditor.audit import exit_status
    from auditor.finding import Verdict
    from auditor.report.text import visible, where

    names = ", ".join(
        f"{t.id} ({visible(where(Location(t.files[0][0])))})" if t.files else t.id for t in drafted.run.targets
    )
    click.echo(f"{visible(file)}: {drafted.routes} route{'s' if drafted.routes != 1 else ''}, from {names}")
    for group in drafted.waived:
        first = group[0]
        word = first.severity.word if first.verdict is Verdict.FAIL else first.verdict.value
        more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
        place = f"  {where(first.notes[0].location)}" if first.notes else ""
        click.echo(f"  {word:<8} {visible(first.message)}{more}{place}")
    status, reason = exit_status(drafted.run)
    if drafted.waived:
        click.echo(
            "The above is waived in the policy for now, each by its fingerprint: correct it, or confirm it there."
        )
    refused = [f for f in drafted.run.findings if f.check == "configuration-refused" and f.disposition == "open"]
    if refused:
        click.echo("Not waived, because the program would not start: correct it, then run `auditor check`.")
    for finding in refused:
        hint = f": {visible(finding.notes[0].text)}" if finding.notes and finding.notes[0].text else ""
        place = f"  {where(finding.notes[0].location)}" if finding.notes else ""
        click.echo(f"  {finding.severity.word:<8} {visible(finding.message)}{hint}{place}")
    click.echo("Next: read the policy, then put `auditor check` into CI; `auditor check -v` shows what was evaluated.")
    return closing(status, reason if status else f"{file} written; auditor check passes: {reason}")


@policy.command("import")
@click.option(
    "--from",
    "kind",
    type=click.Choice(("gateway-api", "traefik", "starlette", "drheader")),
    required=True,
    help="What the file is written for.",
)
@click.argument("file", type=click.Path(path_type=Path))
def policy_import(kind: str, file: Path) -> int:
    """Print the policy that says what another program's rules say."""
    from auditor.drafting.importing import import_policy

    click.echo(import_policy(kind, file), nl=False)
    return 0
