"""Reads nginx configuration files into one tree, includes in place, and says what `nginx -t` would refuse."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Unknown
from auditor.nginx.directives import rules
from auditor.nginx.includes import Loader
from auditor.nginx.tokens import Directive
from auditor.nginx.validate import CHILDREN, Validator

__all__ = ["CONTEXTS", "Directive", "Tree", "load_tree"]

CONTEXTS = ("main", "http", "server", "location", "stream")
"""What the top level of a file may be; where several fit a fragment, the first is taken."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The configuration as nginx would read it, and what stands in the way.

    An include that was read is replaced by what it brought; one that was not (a file nginx ships, a file of the
    container that is not here) stays in its place as an `include` directive.
    `problems`: what `nginx -t` would refuse, or what cannot be read. `missing`: files that only the container has.
    `files`: the path and the SHA-256 of every file read. `context`: one of `CONTEXTS`, what the top level is.
    """

    directives: tuple[Directive, ...]
    problems: tuple[Problem, ...]
    missing: tuple[Unknown, ...]
    files: tuple[tuple[str, str], ...]
    context: str


def load_tree(
    files: Sequence[Path],
    *,
    prefix: Path | None = None,
    mounts: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    version: str = "1.31.3",
    context: str | None = None,
) -> Tree:
    """Read the main file (the first of `files`) and everything it includes; nothing is raised, see `Tree.problems`.

    Relative includes are relative to `prefix`, which is the main file's folder unless given (nginx's conf prefix).
    `mounts` maps absolute paths of the container (files or folders, the longest wins) to local ones. The further
    `files` are taken for includes of their name that are found nowhere else; to a fragment they are appended.
    `variables` are substituted for `${NAME}` and `$NAME` before reading, as envsubst does.
    `version` is nginx's, for directives that came or went; `context` is found out from the file unless given.
    """
    collecting = gc.isenabled()
    gc.disable()  # a tree is tuples and strings: the collector would only walk them again and again
    try:
        further = tuple(Path(file) for file in files[1:])
        loader = Loader(prefix or Path(files[0]).parent, dict(mounts or {}), dict(variables or {}), further)
        return _load(Path(files[0]), loader, version, context)
    finally:
        if collecting:
            gc.enable()


def _load(main: Path, loader: Loader, version: str, context: str | None) -> Tree:
    """Read and check; see `load_tree`."""
    directives = loader.main(main)
    if directives is None:
        return Tree((), tuple(loader.problems), (), tuple(loader.files.items()), context or "main")
    context = context or context_of(directives, version)
    unknown: list[Unknown] = []
    for path in loader.unread():
        more = loader.main(path) if context != "main" else None
        if more is not None and context_of(more, version) == context:
            directives += more
        elif context == "main":
            unknown.append(Unknown(f"{path} was given, but nothing includes it", Location(str(path))))
    missing = [one for one, parent in loader.missing.values() if parent or context != "main"]
    for directive, local in loader.absent:
        if context == "main":
            message = f"{directive.args[0]} does not exist (looked for {local})"
            loader.problems.append(
                Problem(message, loader.locate(directive, 0), "create the file, or correct the path")
            )
        else:
            missing.append(Unknown(f"{directive.args[0]} is not here (looked for {local})", directive.location))
    validator = Validator(version, loader.locate, open=context != "main" or bool(missing or loader.absent))
    validator.check(directives, context)
    if context == "main" and not directives and not loader.problems:
        hint = "write at least: events { }"
        validator.problems.append(Problem("the file has no directives", Location(str(main), 1, 1, 2), hint))
    problems = tuple(dict.fromkeys((*loader.problems, *validator.problems)))
    return Tree(directives, problems, (*missing, *unknown), tuple(loader.files.items()), context)


def context_of(directives: tuple[Directive, ...], version: str) -> str:
    """Return the context in which the most directives of a file may stand, those in its blocks included."""
    names = {directive.name for directive in directives if directive.block is not None}
    if names & {"http", "events", "stream", "mail"}:
        return "main"
    counts = {context: _fitting(directives, context, version) for context in CONTEXTS}
    return max(CONTEXTS, key=lambda context: counts[context])


def _fitting(directives: tuple[Directive, ...], context: str, version: str) -> int:
    """Count the directives that may stand where they do if the top level is a context."""
    table = rules(version)[context]
    count = 0
    for directive in directives:
        rule = table.get(directive.name)
        if rule is None or rule.block != (directive.block is not None):
            continue
        count += 1
        child = CHILDREN.get((context, directive.name))
        if directive.block and child is not None:
            count += _fitting(directive.block, child, version)
    return count
