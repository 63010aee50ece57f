"""`auditor watch`: scheduled audits with history, notifications, metrics and a dashboard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli.options import pairs, policy_path
from auditor.cli.recorded import where
from auditor.errors import UsageError

if TYPE_CHECKING:
    from auditor.fleet.entries import Entry


EXAMPLES = {
    "systemd": ("auditor.service", "auditor.timer", "auditor-watch.service"),
    "kubernetes": ("cronjob.yaml",),
    "github": ("github-schedule.yml",),
    "prometheus": ("auditor.rules.yml",),
    "grafana": ("grafana.json",),
}
"""What `--write-examples` writes, for those who prefer their own scheduler."""


def _write_examples(context: click.Context, _parameter: click.Parameter, folder: Path | None) -> None:
    """Write the examples into a folder, each kind into one of its own; nothing that is there is overwritten."""
    if folder is None:
        return
    from importlib.resources import files

    source = files("auditor.watch") / "examples"
    places = [(kind, name, folder / kind / name) for kind, names in EXAMPLES.items() for name in names]
    there = next((place for _, _, place in places if place.exists()), None)
    if there is not None:
        raise UsageError(f"{there} is there already", hint="choose another folder; nothing was written")
    for _, name, place in places:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text((source / name).read_text("utf-8"), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {place}: {error.strerror}") from error
        click.echo(str(place))
    context.exit()


@click.command()
@click.argument("policy", required=False, type=click.Path(path_type=Path))
@click.option("--policy", "policy_option", type=click.Path(path_type=Path), help="The policy file.")
@click.option(
    "--fleet", "fleet_file", type=click.Path(path_type=Path), help="Watch the targets of a fleet file instead."
)
@click.option("--env", "environment", metavar="NAME", help="An environment of the policy.")
@click.option("--var", "variables", multiple=True, callback=pairs, metavar="K=V", help="Set a variable.")
@click.option("--as", "name", metavar="NAME", help="The target's name in the history (default: the policy).")
@click.option("--every", metavar="DURATION", help="Audit so often, such as 15m (the default).")
@click.option("--cron", metavar="EXPRESSION", help="Audit at these times, such as '*/15 * * * *'.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="The zone of --cron.")
@click.option(
    "--spread", metavar="DURATION", help="Spread the targets over so long (default: the interval, 5m for cron)."
)
@click.option(
    "--grace", metavar="DURATION", default="1h", show_default=True, help="Make up for runs missed by so much."
)
@click.option("--workers", default=8, show_default=True, type=click.IntRange(1, 256), help="Audits at the same time.")
@click.option(
    "--notify",
    "receivers",
    multiple=True,
    metavar="URL",
    envvar="AUDITOR_NOTIFY",
    help="Tell of changes: https://… (signed with $AUDITOR_WEBHOOK_SECRET), slack+https://…, smtp://host/?to=…",
)
@click.option("--listen", default="127.0.0.1:9779", show_default=True, metavar="HOST:PORT", help="The dashboard.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name that the dashboard is served under.")
@click.option("--no-dashboard", is_flag=True, help="Serve nothing.")
@click.option("--ca-file", type=click.Path(path_type=Path, exists=True), help="Trust these certificates too.")
@click.option("--insecure", is_flag=True, help="Do not verify certificates.")
@click.option("--measure-limits/--no-measure-limits", default=True, help="Send bursts to see rate limits.")
@click.option(
    "--write-examples", metavar="DIR", type=click.Path(path_type=Path), expose_value=False, is_eager=True,
    callback=_write_examples,
    help="Only write examples: systemd, Kubernetes, GitHub, alert rules, a Grafana dashboard.",
)  # fmt: skip
@where
def watch(**values: Any) -> int:
    """Audit on a schedule: keep each run, tell of changes, serve metrics and a dashboard that only reads.

    Changes are read from the history, so that a restart loses no run and makes none twice. Off loopback the dashboard
    asks for the token in $AUDITOR_TOKEN. SIGTERM ends it in order.
    """
    try:
        from auditor.watch.channels import channel
        from auditor.watch.serving import Served, serve
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed", hint="pip install 'edge-auditor[watch]'") from None

    entries = _entries(values)
    secret = os.environ.get("AUDITOR_WEBHOOK_SECRET", "")
    served = Served(
        entries=entries,
        plan=_plan(values, len(entries)),
        history_url=values["history_url"],
        channels=tuple(channel(url, secret) for url in values["receivers"]),
        listen=None if values["no_dashboard"] else _address(values["listen"]),
        hosts=frozenset(name.lower() for name in values["hosts"]),
        token=os.environ.get("AUDITOR_TOKEN", ""),
        workers=values["workers"],
    )
    return serve(served, lambda text: click.echo(text, err=True))


def _entries(values: dict[str, Any]) -> tuple[Entry, ...]:
    from auditor.audit import load
    from auditor.fleet.entries import Entry, read

    if values["fleet_file"] is not None:
        if values["policy"] or values["policy_option"]:
            raise UsageError("a policy and a fleet file are given", hint="the fleet file names the policies")
        return read(values["fleet_file"])
    path = policy_path(values["policy"], values["policy_option"])
    if path is None:
        raise UsageError("no policy found", hint="auditor watch POLICY, or --fleet FILE")
    entry = Entry(
        name=values["name"] or "",
        policy=str(path),
        environment=values["environment"],
        variables=values["variables"],
        ca_file=str(values["ca_file"]) if values["ca_file"] else None,
        insecure=values["insecure"],
        measure_limits=values["measure_limits"],
    )
    loaded = load(entry.options)
    from dataclasses import replace

    suffix = f"@{loaded.environment}" if loaded.environment else ""
    return (replace(entry, name=entry.name or f"{loaded.policy.name}{suffix}"),)


def _plan(values: dict[str, Any], number: int) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from auditor.watch.schedule import Plan

    if values["every"] and values["cron"]:
        raise UsageError("--every and --cron are both given", hint="one of them")
    try:
        zone = ZoneInfo(values["timezone"])
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"there is no time zone {values['timezone']!r}", hint="such as Europe/Berlin") from None
    every = seconds("--every", values["every"] or "15m")
    if every < 1:
        raise UsageError("--every is less than a second")
    usual = 0.0 if number == 1 else 300.0 if values["cron"] else every
    return Plan(
        every=None if values["cron"] else every,
        cron=values["cron"] or "",
        spread=seconds("--spread", values["spread"]) if values["spread"] else usual,
        grace=seconds("--grace", values["grace"]),
        zone=zone,
    )


def seconds(option: str, text: str) -> float:
    """Return a duration such as 90s, 15m, 6h in seconds; UsageError where it is none."""
    from auditor.policy.values import duration

    try:
        return duration(text)
    except Exception as error:  # noqa: BLE001 - pydantic's own error type, which says what is wrong
        raise UsageError(f"{option} {text}: {error}", hint="such as 90s, 15m or 6h") from None


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535 or not host:
        raise UsageError(f"--listen {text} is no address", hint="such as 127.0.0.1:9779 or [::1]:9779")
    return host.strip("[]"), int(port)
