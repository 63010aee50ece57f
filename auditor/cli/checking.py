"""`auditor check`: decide a policy from the configuration alone. It starts often, so it is loaded alone."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.options import asked, audit_options, selection
from auditor.cli.output import finish
from auditor.cli.recorded import keeper, record_options
from auditor.cli.terminal import waiting


@click.command()
@selection
@audit_options
@record_options
def check(**values: Any) -> int:
    """Decide the policy from the configuration alone: the gate for CI. No server, no nginx, no network."""
    from auditor.audit import check as audit_check

    options = asked("check", values)
    keep = keeper(values)
    with waiting("evaluating the configuration", quiet=values["quiet"]):
        result = audit_check(options)
    return finish(result, values, keep)
