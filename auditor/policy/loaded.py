"""A policy that was read, and its rules: every promise it makes, each with an id and a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.finding import Severity
from auditor.policy.document import Node
from auditor.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Rule:
    """One clause of a policy.

    `kind` is the clause's path without names and indexes ("cors", "headers", "exposure.denied_paths").
    `value` is the clause's model, or the plain value where the clause has none (`served_by`: "api:8000").
    `parts` are the keys that the policy states inside the clause, each with its place: what has to be decided.
    `leaves` are the same down to single values ("hsts.preload", "preflight.on_disallowed.status").
    """

    id: str
    kind: str
    path: str
    location: Location
    route: str | None
    value: Any
    severity: Severity | None = None
    name: str = ""
    parts: tuple[tuple[str, Location], ...] = ()
    leaves: tuple[tuple[str, Location], ...] = ()

    def at(self, part: str) -> Location:
        """Return the place of a key inside the clause, or of the clause."""
        return dict(self.parts).get(part, self.location)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy as it holds in one environment, and where each of its values was written.

    `extends`: name and SHA-256 of every policy laid under this one, in the order they were laid.
    `locate` maps a path such as `routes[0].cors.allow_origins[1]` to the place of its key or item.
    """

    policy: Policy
    file: str
    sha256: str
    extends: tuple[tuple[str, str], ...]
    environment: str
    locate: Callable[[str], Location]
    warnings: tuple[Problem, ...] = ()
    environments: tuple[str, ...] = ()
    tree: Node = field(default_factory=lambda: Node({}, Location("")), repr=False)
    read: dict[str, tuple[Rule, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Its rules and those of its targets, once they were asked for (`policy.rules`)."""

    def folder(self, path: str) -> Path:
        """Return the folder that a file named at this path is relative to: that of the policy file that names it."""
        return Path(self.locate(path).file).parent
