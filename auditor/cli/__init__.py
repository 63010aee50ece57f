"""Arguments in, exit status out; the only room that prints. One module per group of commands, loaded when asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from auditor import __version__
from auditor.cli.closing import closing, show_problems
from auditor.cli.loading import LazyGroup
from auditor.errors import AuditorError

COMMANDS = {
    "check": "checking",
    "live": "audits",
    "audit": "audits",
    "trace": "asking",
    "diff": "asking",
    "explain": "asking",
    "policy": "policies",
    "baseline": "baselines",
    "report": "stored",
    "watch": "watching",
    "history": "keeping",
    "fleet": "fleets",
    "demo": "showing",
}
"""Each command and the module of this package that has it."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; nothing a user does shows a traceback."""
    try:
        result = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return closing(2, error.format_message().splitlines()[0])
    except AuditorError as error:
        show_problems(error.problems)
        return closing(error.exit_status, error.message.splitlines()[0])
    except (KeyboardInterrupt, click.Abort):
        return closing(130, "interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug becomes exit 4 and a crash log
        return _crash(error)
    return result if isinstance(result, int) else 0


def _crash(error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="auditor-crash-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(f"auditor {__version__}, Python {sys.version}\narguments: {sys.argv[1:]}\n\n")
        traceback.print_exception(error, file=log)
    click.echo(f"error: a bug in auditor: {type(error).__name__}. Please report it with {log.name}", err=True)
    return closing(4, "internal error")


@click.command(
    cls=LazyGroup,
    commands_in=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, "-V", "--version", message="auditor %(version)s")
def cli() -> None:
    """Decide whether any request can break your edge's policy: from the configuration, then on the running stack."""
