"""The options that several commands share, and which policy they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auditor.errors import UsageError
from auditor.report.formats import FORMATS

if TYPE_CHECKING:
    from auditor.options import Options

SEVERITIES = ("info", "low", "medium", "high", "critical")
POLICY_NAMES = ("auditor.yaml", ".github/auditor.yaml")

Command = TypeVar("Command", bound=Callable[..., Any])


def pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read options of the form NAME=VALUE."""
    result = {}
    for value in values:
        key, separator, rest = value.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE", param=parameter)
        result[key] = rest
    return result


def outputs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read options of the form FORMAT=FILE; a format that does not exist is said before anything is audited."""
    result = pairs(context, parameter, values)
    for name in result:
        if name not in FORMATS:
            raise click.BadParameter(f"no format {name!r}: one of {', '.join(FORMATS)}", param=parameter)
    return result


def selection(function: Command) -> Command:
    """Add the options that say which policy, and which part of it."""
    for decorator in reversed(
        (
            click.argument("policy", required=False, type=click.Path(path_type=Path)),
            click.option("--policy", "policy_option", type=click.Path(path_type=Path), help="The policy file."),
            click.option("--env", "environment", metavar="NAME", help="An environment of the policy."),
            click.option("--var", "variables", multiple=True, callback=pairs, metavar="K=V", help="Set a variable."),
            click.option("--now", metavar="DATE", help="The date that waivers are held against (YYYY-MM-DD)."),
        )
    ):
        function = decorator(function)
    return function


def report_options(function: Command) -> Command:
    """Add the options that say how to report."""
    for decorator in reversed(
        (
            click.option(
                "-f", "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Format on stdout."
            ),
            click.option(
                "-o",
                "--output",
                "outputs",
                multiple=True,
                callback=outputs,
                metavar="FORMAT=FILE",
                help="Write the report to a file too, in as many formats as you like.",
            ),
            click.option(
                "--compare",
                type=click.Path(path_type=Path, exists=True, dir_okay=False),
                metavar="RUN.json",
                help="Say in markdown, html and pdf what changed since this stored run.",
            ),
            click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit 1 at this severity and above."),
            click.option("--min-severity", type=click.Choice(SEVERITIES), default="info", help="Show this and above."),
            click.option("--exit-zero", is_flag=True, help="Exit 0 even with findings."),
            click.option("-q", "--quiet", is_flag=True, help="Only the report."),
            click.option("-v", "--verbose", is_flag=True, help="Also what passed."),
        )
    ):
        function = decorator(function)
    return function


def narrowing(function: Command) -> Command:
    """Add the options that say what of the configuration to audit, and against what without a policy file."""
    for decorator in reversed(
        (
            click.option("--target", "targets", multiple=True, metavar="ID", help="Only these targets."),
            click.option("--nginx", "nginx_file", type=click.Path(path_type=Path), help="Audit this nginx file."),
            click.option("--nginx-version", metavar="X.Y.Z", help="The nginx version to model (default: latest)."),
            click.option(
                "--profile", "profiles", multiple=True, metavar="NAME", help="Audit against a built-in profile."
            ),
        )
    ):
        function = decorator(function)
    return function


def audit_options(function: Command) -> Command:
    """Add the options of the commands that audit."""
    function = report_options(function)
    for decorator in reversed(
        (
            click.option(
                "--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Accept the findings of this file."
            ),
            click.option("--new-since", metavar="REV", help="Count only what was not there at this git revision."),
        )
    ):
        function = decorator(function)
    return narrowing(function)


def live_options(function: Command) -> Command:
    """Add the options of the commands that send requests."""
    for decorator in reversed(
        (
            click.option("--dry-run", is_flag=True, help="List every request that would be sent, and send none."),
            click.option(
                "--ca-file", type=click.Path(path_type=Path, exists=True), help="Trust these certificates too."
            ),
            click.option("--insecure", is_flag=True, help="Do not verify certificates."),
            click.option(
                "--env-proxies", is_flag=True, help="Go through $HTTP_PROXY and its like, which are ignored otherwise."
            ),
            click.option(
                "--measure-limits/--no-measure-limits",
                default=None,
                help="Estimate every declared rate limit, or send no bursts at all. "
                "[default: ask whether it is in force where 100 requests decide it]",
            ),
            click.option(
                "--fuzz",
                type=click.IntRange(min=0),
                default=0,
                metavar="N",
                help="Draw up to N requests beyond the plan, near the policy and the configuration.",
            ),
            click.option("--seed", type=int, default=0, metavar="S", help="Where --fuzz begins (default: 0)."),
            click.option(
                "--replay",
                metavar="WITNESS",
                help="Ask only the witnesses of a JSON report again: REPORT.json, or REPORT.json#FINGERPRINT for one.",
            ),
            click.option("--browser", is_flag=True, help="Replay each CORS and WebSocket witness in Chromium."),
        )
    ):
        function = decorator(function)
    return function


def find_policy(start: Path) -> Path | None:
    """Return the policy found from a folder up to its git root (or that folder alone), never in the home folder."""
    home = Path.home()
    for folder in (start, *start.parents):
        if folder == home and folder != start:
            return None
        for name in POLICY_NAMES:
            if (folder / name).is_file():
                return folder / name
        if (folder / ".git").exists():
            return None
    return None


def policy_path(argument: Path | None, option: Path | None) -> Path | None:
    """Return the policy that is meant: named, in the environment, or found; None where there is none."""
    if argument and option:
        raise UsageError("the policy is given twice: as an argument and with --policy")
    chosen = argument or option or (Path(os.environ["AUDITOR_POLICY"]) if os.environ.get("AUDITOR_POLICY") else None)
    return chosen or find_policy(Path.cwd())


def asked(command: str, values: dict[str, Any]) -> Options:
    """Return what the command line asks of an audit, and say which policy it means."""
    from auditor.options import Options

    path = policy_path(values["policy"], values["policy_option"])
    if path is None and not (values.get("nginx_file") and values.get("profiles")):
        raise UsageError(
            "no policy found",
            hint="name one (auditor check POLICY), let `auditor policy init` write one, or use --nginx FILE --profile NAME",
        )
    if values.get("nginx_file") and values.get("profiles"):
        path = values["policy"] or values["policy_option"]
    if path is not None and not values["quiet"]:
        from auditor.report.text import short_path

        click.echo(f"policy: {short_path(str(path))}", err=True)
    return Options(
        command=command,
        policy=path,
        environment=values["environment"],
        variables=values["variables"],
        now=values["now"],
        targets=values["targets"],
        nginx=values["nginx_file"],
        nginx_version=values["nginx_version"],
        profiles=values["profiles"],
        fail_on=values.get("fail_on"),
        baseline=values.get("baseline"),
        new_since=values.get("new_since"),
    )
