"""Commands are loaded when they are asked for: the module of one is no burden to another."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of commands, each in a module of its own that is imported when the command is asked for."""

    def __init__(self, *arguments: Any, commands_in: Mapping[str, str], **settings: Any) -> None:
        """Take the table of commands: name of the command, module of this package."""
        super().__init__(*arguments, **settings)
        self.commands_in = commands_in

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, which is the order of use."""
        del ctx
        return list(self.commands_in)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command, or None where there is none of this name."""
        del ctx
        module = self.commands_in.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"auditor.cli.{module}"), cmd_name)
        return command
