"""`auditor policy`: read, print and describe policies."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.closing import show_warnings
from auditor.cli.options import policy_path, selection
from auditor.errors import UsageError


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
    import json

    from auditor.policy.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, sort_keys=True))
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
