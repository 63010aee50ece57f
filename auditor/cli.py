"""Arguments in, exit status out; the only room that prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from auditor import __version__
from auditor.errors import AuditorError, Problem, UsageError

if TYPE_CHECKING:
    from auditor.demo import State
    from auditor.finding import Run
    from auditor.options import LiveOptions, Options

FORMATS = ("table", "json")
SEVERITIES = ("info", "low", "medium", "high", "critical")
POLICY_NAMES = ("auditor.yaml", ".github/auditor.yaml")

Command = TypeVar("Command", bound=Callable[..., Any])


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; nothing a user does shows a traceback."""
    try:
        result = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except AuditorError as error:
        _show_problems(error.problems)
        return _closing(error.exit_status, error.message.splitlines()[0])
    except (KeyboardInterrupt, click.Abort):
        return _closing(130, "interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug becomes exit 4 and a crash log
        return _crash(error)
    return result if isinstance(result, int) else 0


def _closing(status: int, reason: str) -> int:
    click.echo(f"exit {status}: {reason}", err=True)
    return status


def _crash(error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="auditor-crash-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(f"auditor {__version__}, Python {sys.version}\narguments: {sys.argv[1:]}\n\n")
        traceback.print_exception(error, file=log)
    click.echo(f"error: a bug in auditor: {type(error).__name__}. Please report it with {log.name}", err=True)
    return _closing(4, "internal error")


def _show_problems(problems: Sequence[Problem]) -> None:
    from auditor.report.text import source_line, visible, where

    for problem in problems:
        click.echo(f"error: {visible(problem.message)}", err=True)
        if problem.location is not None:
            path = f" ({visible(problem.path)})" if problem.path else ""
            click.echo(f"  --> {where(problem.location)}{path}", err=True)
            line = source_line(problem.location)
            if line:
                click.echo(f"{problem.location.line:>4} | {line}", err=True)
                if problem.location.column:
                    click.echo(f"     | {' ' * (problem.location.column - 1)}^", err=True)
        if problem.hint:
            click.echo(f"   = help: {visible(problem.hint)}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, "-V", "--version", message="auditor %(version)s")
def cli() -> None:
    """Decide whether any request can break your edge's policy: from the configuration, then on the running stack."""


def _pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    result = {}
    for value in values:
        key, separator, rest = value.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE", param=parameter)
        result[key] = rest
    return result


def _selection(function: Command) -> Command:
    """Add the options that say which policy, and which part of it."""
    for decorator in reversed(
        (
            click.argument("policy", required=False, type=click.Path(path_type=Path)),
            click.option("--policy", "policy_option", type=click.Path(path_type=Path), help="The policy file."),
            click.option("--env", "environment", metavar="NAME", help="An environment of the policy."),
            click.option("--var", "variables", multiple=True, callback=_pairs, metavar="K=V", help="Set a variable."),
            click.option("--now", metavar="DATE", help="The date that waivers are held against (YYYY-MM-DD)."),
        )
    ):
        function = decorator(function)
    return function


def _audit_options(function: Command) -> Command:
    """Add the options of the commands that audit."""
    for decorator in reversed(
        (
            click.option("--target", "targets", multiple=True, metavar="ID", help="Only these targets."),
            click.option("--nginx", "nginx_file", type=click.Path(path_type=Path), help="Audit this nginx file."),
            click.option("--nginx-version", metavar="X.Y.Z", help="The nginx version to model (default: latest)."),
            click.option(
                "--profile", "profiles", multiple=True, metavar="NAME", help="Audit against a built-in profile."
            ),
            click.option(
                "-f", "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Format on stdout."
            ),
            click.option("-o", "--output", "outputs", multiple=True, callback=_pairs, metavar="FORMAT=FILE"),
            click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit 1 at this severity and above."),
            click.option("--min-severity", type=click.Choice(SEVERITIES), default="info", help="Show this and above."),
            click.option("--exit-zero", is_flag=True, help="Exit 0 even with findings."),
            click.option("-q", "--quiet", is_flag=True, help="Only the report."),
            click.option("-v", "--verbose", is_flag=True, help="Also what passed."),
        )
    ):
        function = decorator(function)
    return function


def _report_options(function: Command) -> Command:
    """Add the options that say how to report."""
    for decorator in reversed(
        (
            click.option(
                "-f", "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Format on stdout."
            ),
            click.option("-o", "--output", "outputs", multiple=True, callback=_pairs, metavar="FORMAT=FILE"),
            click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit 1 at this severity and above."),
            click.option("--min-severity", type=click.Choice(SEVERITIES), default="info", help="Show this and above."),
            click.option("--exit-zero", is_flag=True, help="Exit 0 even with findings."),
            click.option("-q", "--quiet", is_flag=True, help="Only the report."),
            click.option("-v", "--verbose", is_flag=True, help="Also what passed."),
        )
    ):
        function = decorator(function)
    return function


def _live_options(function: Command) -> Command:
    """Add the options of the commands that send requests."""
    for decorator in reversed(
        (
            click.option("--dry-run", is_flag=True, help="List every request that would be sent, and send none."),
            click.option(
                "--ca-file", type=click.Path(path_type=Path, exists=True), help="Trust these certificates too."
            ),
            click.option("--insecure", is_flag=True, help="Do not verify certificates."),
            click.option("--measure-limits/--no-measure-limits", default=True, help="Send bursts to see rate limits."),
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


def _policy_path(argument: Path | None, option: Path | None) -> Path | None:
    if argument and option:
        raise UsageError("the policy is given twice: as an argument and with --policy")
    chosen = argument or option or (Path(os.environ["AUDITOR_POLICY"]) if os.environ.get("AUDITOR_POLICY") else None)
    return chosen or find_policy(Path.cwd())


def _options(command: str, values: dict[str, Any]) -> Options:
    from auditor.options import Options

    path = _policy_path(values["policy"], values["policy_option"])
    if path is None and not (values.get("nginx_file") and values.get("profiles")):
        raise UsageError(
            "no policy found",
            hint="name one (auditor check POLICY), put auditor.yaml here, or use --nginx FILE --profile NAME",
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
        fail_on=values["fail_on"],
    )


def _finish(result: Run, values: dict[str, Any]) -> int:
    from auditor.audit import exit_status

    _write_reports(result, values)
    status, reason = exit_status(result)
    if values["exit_zero"] and status == 1:
        status = 0
    return _closing(status, reason)


def _write_reports(result: Run, values: dict[str, Any]) -> None:
    from auditor.finding import Severity

    settings = {"minimum": Severity[values["min_severity"].upper()], "verbose": values["verbose"]}
    for name in values["formats"] or (() if values["outputs"] else ("table",)):
        click.echo(_render(name, result, settings), nl=False)
    for name, file in values["outputs"].items():
        if name not in FORMATS:
            raise UsageError(f"no format {name!r}", hint=f"one of {', '.join(FORMATS)}")
        try:
            Path(file).write_text(_render(name, result, settings), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write the {name} report to {file}: {error.strerror}") from error


def _render(name: str, result: Run, settings: dict[str, Any]) -> str:
    from importlib import import_module

    module = import_module(f"auditor.report.{name}")
    text: str = module.render(result, **settings)
    return text


@cli.command()
@_selection
@_audit_options
def check(**values: Any) -> int:
    """Decide the policy from the configuration alone: the gate for CI. No server, no nginx, no network."""
    from auditor.audit import check as audit_check

    options = _options("check", values)
    return _finish(audit_check(options), values)


@cli.command()
@_selection
@_audit_options
@_live_options
def live(**values: Any) -> int:
    """Ask the running stack alone: bounded, polite, never off target."""
    from auditor.audit import live as audit_live

    options = _options("live", values)
    return _live(audit_live, options, values)


@cli.command()
@_selection
@_audit_options
@_live_options
def audit(**values: Any) -> int:
    """Decide the policy from the configuration, then show the same on the running stack, and where the two disagree."""
    from auditor.audit import audit as audit_both

    options = _options("audit", values)
    return _live(audit_both, options, values)


def _live(command: Callable[[Options, LiveOptions], Run], options: Options, values: dict[str, Any]) -> int:
    from auditor.options import LiveOptions

    def progress(done: int, total: int) -> None:
        if not values["quiet"] and sys.stderr.isatty():
            click.echo(f"\r{done}/{total} requests", nl=done == total, err=True)

    live_options = LiveOptions(
        dry_run=values["dry_run"],
        ca_file=values["ca_file"],
        insecure=values["insecure"],
        progress=progress,
        say=click.echo,
        measure_limits=values["measure_limits"],
        browser=values["browser"],
    )
    return _finish(command(options, live_options), values)


@cli.command()
@click.argument("url", metavar="REQUEST", required=False)
@click.option(
    "-c", "--config", "configs", multiple=True, type=click.Path(path_type=Path), required=True, help="The nginx file."
)
@click.option("-X", "--request", "method", metavar="METHOD", default="GET", help="The method.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME: VALUE", help="A request header.")
@click.option(
    "--prefix", type=click.Path(path_type=Path), help="Where relative paths start (default: the file's folder)."
)
@click.option(
    "--mount", "mounts", multiple=True, callback=_pairs, metavar="INSIDE=HERE", help="Where a container path is."
)
@click.option("--var", "variables", multiple=True, callback=_pairs, metavar="K=V", help="A template variable.")
@click.option("--nginx-version", metavar="X.Y.Z", help="The nginx version to model (default: latest).")
@click.option(
    "--requests", "requests_file", type=click.Path(path_type=Path), help="A file of requests, a JSON object a line."
)
@click.option("-f", "--format", "form", type=click.Choice(("text", "json")), default="text")
def trace(url: str | None, **values: Any) -> int:
    """Show what this configuration would answer, and which line made each header."""
    from auditor.tracing import trace_file, trace_one

    if values["requests_file"] is not None:
        for line in trace_file(values["requests_file"], values):
            click.echo(line)
        return 0
    if url is None:
        raise UsageError("name a request, such as http://shop.example/api/x, or a file of them with --requests")
    click.echo(trace_one(url, values))
    return 0


@cli.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--mount", "mounts", multiple=True, callback=_pairs, metavar="INSIDE=HERE", help="Where a container path is."
)
@click.option("--nginx-version", metavar="X.Y.Z", default="1.31.3", help="The nginx version to model.")
def diff(old: Path, new: Path, mounts: dict[str, str], nginx_version: str) -> int:
    """Show which requests get another answer from a new nginx configuration; exit 1 if any does."""
    from auditor.difference import compare
    from auditor.report.difference import render

    changes = compare(old, new, mounts=mounts, version=nginx_version)
    click.echo(render(changes), nl=False)
    return 1 if changes else 0


@cli.group()
def policy() -> None:
    """Validate, print and describe policy files."""


@policy.command("validate")
@_selection
def policy_validate(**values: Any) -> int:
    """Read a policy and say what is wrong with it, all in one go."""
    from auditor.audit import load
    from auditor.options import Options

    path = _policy_path(values["policy"], values["policy_option"])
    if path is None:
        raise UsageError("no policy found", hint="auditor policy validate POLICY")
    loaded = load(Options("policy", path, values["environment"], values["variables"], values["now"]))
    _show_warnings(loaded.warnings)
    number = len(loaded.policy.routes)
    click.echo(
        f"{path}: valid ({loaded.policy.name}, {number} route{'s' if number != 1 else ''}, sha256 {loaded.sha256[:12]})"
    )
    return 0


def _show_warnings(warnings: Sequence[Problem]) -> None:
    from auditor.report.text import visible, where

    for problem in warnings:
        place = f"{where(problem.location)}: " if problem.location else ""
        click.echo(f"warning: {place}{visible(problem.message)}", err=True)


@policy.command("schema")
def policy_schema() -> int:
    """Print the JSON Schema of policy files."""
    import json

    from auditor.policy.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, sort_keys=True))
    return 0


@policy.command("show")
@_selection
def policy_show(**values: Any) -> int:
    """Print the policy as it holds: extended, in its environment, with its variables."""
    from auditor.audit import load
    from auditor.options import Options
    from auditor.policy.show import show

    path = _policy_path(values["policy"], values["policy_option"])
    if path is None:
        raise UsageError("no policy found", hint="auditor policy show POLICY")
    loaded = load(Options("policy", path, values["environment"], values["variables"], values["now"]))
    click.echo(show(loaded), nl=False)
    return 0


@cli.command()
@click.option(
    "--state", type=click.Choice(("as-documented", "hardened")), default="as-documented", help="Which state to run."
)
@click.option("--keep", is_flag=True, help="Keep the stack running until Ctrl-C.")
@click.option(
    "--write", "write_to", type=click.Path(path_type=Path), help="Only write the stack and its policy into a folder."
)
@click.option("--path-binaries", is_flag=True, help="Prefer nginx and traefik found on PATH.")
@_report_options
def demo(state: str, write_to: Path | None, *, keep: bool, path_binaries: bool, **values: Any) -> int:
    """Run the reference stack on loopback and audit it both ways."""
    from auditor.showing import demo as show_demo

    if write_to is not None:
        from auditor.demo import write

        click.echo(f"written: {write(cast('State', state), write_to)}")
        return 0
    return show_demo(
        cast("State", state),
        keep=keep,
        path_binaries=path_binaries,
        fail_on=values["fail_on"],
        say=lambda text: click.echo(text, err=True),
        finish=lambda result: _finish(result, values),
    )


@cli.command()
@click.argument("check_id", metavar="CHECK", required=False)
def explain(check_id: str | None) -> int:
    """Show the page of one check; without one, list them all."""
    from auditor.checks import CHECKS, page
    from auditor.checks.of_the_audit import OF_THE_AUDIT

    if check_id is None:
        for check in CHECKS:
            click.echo(f"{check.CHECK.id:<36} {check.CHECK.severity.word:<9} {check.CHECK.title}")
        for info in OF_THE_AUDIT:
            click.echo(f"{info.id:<36} {info.severity.word:<9} {info.title}")
        return 0
    click.echo(page(check_id))
    return 0
