"""The fleet file: which targets there are, and how each is audited."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from auditor.audit import load
from auditor.dataclass import dataclass
from auditor.errors import AuditorError, PolicyError, Problem, UsageError
from auditor.live.scope import Scope
from auditor.options import Options
from auditor.policy.document import Node, parse
from auditor.policy.fields import mistake
from auditor.policy.load import LoadedPolicy
from auditor.policy.model import HttpTarget
from auditor.policy.problems import explain

Command = Literal["check", "live", "audit"]


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise mistake(f"{text!r} is no name", "one line of printable characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_one_line)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HowAudited(_Model):
    """How a target is audited; what an entry leaves out is taken from the file's `defaults`."""

    policy: str | None = None
    environment: str | None = None
    variables: dict[str, str | bool | int | float] = Field(default_factory=dict)
    command: Command | None = None
    ca_file: str | None = None
    insecure: bool | None = None
    measure_limits: bool | None = None


class Target(HowAudited):
    """One target of a fleet."""

    name: Name


class FleetFile(_Model):
    """A fleet: its targets, and what they have in common. Paths are relative to the file."""

    version: Literal[1]
    defaults: HowAudited = HowAudited()
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Entry:
    """One target to audit: its name in the history, its policy, and how. `command` "": audit if it is live, else check."""

    name: str
    policy: str
    environment: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    command: Command | Literal[""] = ""
    ca_file: str | None = None
    insecure: bool = False
    measure_limits: bool = True

    @property
    def options(self) -> Options:
        """What is asked of the audit."""
        return Options(self.command, Path(self.policy), self.environment, self.variables)


def read(file: Path) -> tuple[Entry, ...]:
    """Return the entries of a fleet file; raises UsageError or PolicyError with every problem found."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    root, problems = parse(text, str(file))
    if problems or root is None:
        raise PolicyError.of(problems or (Problem(f"{file} is empty", hint="it needs version: 1 and targets"),))
    try:
        fleet = FleetFile.model_validate(root.plain())
    except ValidationError as error:
        raise PolicyError.of(explain(error, root, FleetFile)) from None
    _all_different(fleet.targets, root)
    return tuple(_entry(target, fleet.defaults, file.parent) for target in fleet.targets)


def _all_different(targets: Sequence[Target], root: Node) -> None:
    seen: set[str] = set()
    items = root.entries["targets"].items
    twice = []
    for target, node in zip(targets, items, strict=True):
        if target.name in seen:
            place = node.entries["name"].place
            twice.append(Problem(f"there are two targets named {target.name!r}", place, "each needs its own name"))
        seen.add(target.name)
    if twice:
        raise PolicyError.of(tuple(twice))


def _entry(target: Target, defaults: HowAudited, folder: Path) -> Entry:
    policy = target.policy or defaults.policy
    if policy is None:
        raise UsageError(f"the target {target.name!r} has no policy", hint="give it one, or the file's defaults")
    ca_file = target.ca_file or defaults.ca_file
    measure = defaults.measure_limits if target.measure_limits is None else target.measure_limits
    return Entry(
        name=target.name,
        policy=str(folder / policy),
        environment=target.environment or defaults.environment,
        variables={key: _word(value) for key, value in {**defaults.variables, **target.variables}.items()},
        command=target.command or defaults.command or "",
        ca_file=str(folder / ca_file) if ca_file else None,
        insecure=bool(defaults.insecure if target.insecure is None else target.insecure),
        measure_limits=measure is not False,
    )


def _word(value: str | bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def hosts(loaded: LoadedPolicy) -> frozenset[str]:
    """Return the hosts that a live audit of a policy dials."""
    found: set[str] = set()
    for target in loaded.policy.targets:
        if isinstance(target, HttpTarget):
            scope = Scope(target)
            for url in target.entrypoints.values():
                found.add(_dialled(scope, url))
    return frozenset(found)


def _dialled(scope: Scope, url: str) -> str:
    """Return the host that an entrypoint is dialled at: its own, or where `resolve` sends it."""
    scheme, _, authority = url.partition("://")
    host = authority.partition("/")[0]
    address = next(
        (a for name in scope.target.entrypoints if (a := scope.address(name, scheme, host.rpartition(":")[0] or host))),
        None,
    )
    return address.dial_host if address is not None else host


def grouped(entries: Iterable[Entry]) -> list[tuple[Entry, ...]]:
    """Return the entries in groups that share no host.

    A group is audited one after the other, so that a host that many targets share is asked as often as each policy
    allows, and no more. An entry that cannot be read stands alone, and fails by itself when it is audited.
    """
    owner: dict[str, int] = {}
    groups: dict[int, list[Entry]] = {}
    for index, entry in enumerate(entries):
        try:
            shared = {host.lower() for host in hosts(load(entry.options))} if entry.command != "check" else set()
        except AuditorError:
            shared = set()
        joined = sorted({owner[host] for host in shared if host in owner})
        home = joined[0] if joined else index
        groups.setdefault(home, []).append(entry)
        for other in joined[1:]:
            groups[home] += groups.pop(other)
        moved = set(joined[1:])
        for host in [host for host, at in owner.items() if at in moved] if moved else ():
            owner[host] = home
        for host in shared:
            owner[host] = home
    return [tuple(group) for group in groups.values()]


def sharded(groups: Sequence[tuple[Entry, ...]], index: int, count: int) -> list[tuple[Entry, ...]]:
    """Return part `index` of `count` (1-based) of the groups: every group is in exactly one, by a hash of its first name."""
    return [group for group in groups if _hash(min(entry.name for entry in group)) % count == index - 1]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
