"""What a command says last on stderr: its problems, and why its exit status is what it is."""

from __future__ import annotations

from collections.abc import Sequence

import click

from auditor.errors import Problem


def closing(status: int, reason: str) -> int:
    """Say why, and return the status."""
    click.echo(f"exit {status}: {reason}", err=True)
    return status


def show_problems(problems: Sequence[Problem]) -> None:
    """Print each problem: what, where, the line, what to do."""
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


def show_warnings(warnings: Sequence[Problem]) -> None:
    """Print each warning on one line."""
    from auditor.report.text import visible, where

    for problem in warnings:
        place = f"{where(problem.location)}: " if problem.location else ""
        click.echo(f"warning: {place}{visible(problem.message)}", err=True)
