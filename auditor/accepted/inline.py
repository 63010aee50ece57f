"""Waivers in comments: `# auditor: waive[check-id] until=2027-02-01 owner=web -- reason`, on or above what they accept.

At the end of a line the comment is about what begins on that line; on a line of its own, about what begins next. What
has a block (a location, a service) is meant with its whole block.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import yaml

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.finding import TargetInfo

KINDS = frozenset({"nginx", "traefik", "compose"})
"""The types of targets whose files may carry waivers."""

EXAMPLE = "# auditor: waive[check-id] until=YYYY-MM-DD owner=who -- why"

_COMMENT = r"#\s*auditor:\s*(.*?)\s*$"
_WAIVER = r"(?s)waive\[([^\]]*)\]\s*(.*)"
_SETTING = r"(until|owner)=(\S+)\s*"
_QUOTED = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''

Outline = Sequence[tuple[int, int]]
"""What a file consists of, in order: the line where each part begins, and how deep it is nested."""


@dataclass(frozen=True, slots=True)
class InlineWaiver:
    """One waiver in a comment: which checks, what part of its file (lines, both included), until when, whose, why."""

    location: Location
    checks: tuple[str, ...]
    lines: tuple[int, int]
    expires: date
    owner: str
    reason: str


def inline_waivers(
    targets: Sequence[TargetInfo], checks: Collection[str], today: date, max_days: int
) -> tuple[tuple[InlineWaiver, ...], tuple[Problem, ...]]:
    """Read the waivers in the comments of all files of these targets, and say what is wrong with those that are none."""
    waivers: list[InlineWaiver] = []
    problems: list[Problem] = []
    files = {file: target.type for target in targets if target.type in KINDS for file, _ in target.files}
    for file, kind in files.items():
        try:
            text = Path(file).read_bytes().decode("latin-1")
        except OSError:
            continue
        if "auditor:" in text:
            for item in _read(file, kind, text, _Rules(checks, today, max_days)):
                if isinstance(item, Problem):
                    problems.append(item)
                else:
                    waivers.append(item)
    return tuple(waivers), tuple(problems)


@dataclass(frozen=True, slots=True)
class _Rules:
    checks: Collection[str]
    today: date
    max_days: int


def _read(file: str, kind: str, text: str, rules: _Rules) -> Iterator[InlineWaiver | Problem]:
    outline: Outline | None = None
    for number, line in enumerate(text.split("\n"), 1):
        found = re.search(_COMMENT, line)
        if found is None or not _is_comment(line[: found.start()]):
            continue
        place = Location(file, number, found.start() + 1, found.end() + 1)
        read = _waiver(found[1], rules)
        if isinstance(read, str):
            yield Problem(f"this is no waiver: {read}", place, EXAMPLE)
            continue
        outline = _outline(file, kind, text) if outline is None else outline
        lines = _covered(outline, number, after=bool(line[: found.start()].strip()))
        if lines is None:
            yield Problem("this waiver is about nothing", place, "put it on or above what it accepts")
        else:
            yield InlineWaiver(place, read[0], lines, *read[1:])


def _is_comment(before: str) -> bool:
    """Whether a `#` after this text begins a comment: outside quotes, and not inside a word."""
    rest = re.sub(_QUOTED, "", before)
    return '"' not in rest and "'" not in rest and (not rest or rest[-1] in " \t;{}")


def _waiver(text: str, rules: _Rules) -> tuple[tuple[str, ...], date, str, str] | str:
    """Return checks, last day, owner and reason, or what is wrong."""
    found = re.fullmatch(_WAIVER, text)
    if found is None:
        return f"{text.partition('[')[0].strip() or 'nothing'!r} is not `waive[…]`"
    checks = tuple(name.strip() for name in found[1].split(",") if name.strip())
    said, rest = {}, found[2]
    while setting := re.match(_SETTING, rest):
        said[setting[1]] = setting[2]
        rest = rest[setting.end() :]
    reason = rest.removeprefix("--").strip() if rest.startswith("--") else ""
    missing = [name for name in ("until", "owner") if name not in said] + ([] if reason else ["-- reason"])
    if not checks:
        return "it names no check"
    if missing:
        return f"it has no {', no '.join(missing)}"
    for name in checks:
        if name not in rules.checks:
            from difflib import get_close_matches  # noqa: PLC0415 - only where something is misspelt

            near = get_close_matches(name, rules.checks, 1)
            return f"there is no check {name!r}" + (f" (did you mean {near[0]}?)" if near else "")
    try:
        expires = date.fromisoformat(said["until"])
    except ValueError:
        return f"{said['until']} is no date"
    if (expires - rules.today).days > rules.max_days:
        latest = rules.today + timedelta(days=rules.max_days)
        return f"it lasts longer than waiver_max_days: {rules.max_days} ({latest} at the latest)"
    return checks, expires, said["owner"], reason


def _covered(outline: Outline, line: int, *, after: bool) -> tuple[int, int] | None:
    """Return the lines that a comment on this line is about; `after`: it stands after something."""
    if after:
        here = [index for index, (start, _) in enumerate(outline) if start <= line]
        return (min(outline[here[-1]][0], line), max(_end(outline, here[-1]), line)) if here else None
    following = next((index for index, (start, _) in enumerate(outline) if start > line), None)
    return None if following is None else (outline[following][0], _end(outline, following))


def _end(outline: Outline, index: int) -> int:
    """Return the last line before what follows a part and all that is nested in it."""
    start, depth = outline[index]
    following = next((line for line, level in outline[index + 1 :] if level <= depth), None)
    return 1 << 30 if following is None else max(following - 1, start)


def _outline(file: str, kind: str, text: str) -> Outline:
    if kind == "nginx":
        return list(_directives(file, text))
    return list(_toml(text)) if file.endswith(".toml") else list(_yaml(text))


def _directives(file: str, text: str) -> Iterator[tuple[int, int]]:
    from auditor.nginx.tokens import Directive, Source, read  # noqa: PLC0415 - only where a comment waives

    def walk(directives: tuple[Directive, ...], depth: int) -> Iterator[tuple[int, int]]:
        for directive in directives:
            yield directive.location.line, depth
            yield from walk(directive.block or (), depth + 1)

    return walk(read(Source.of(file, text))[0], 0)


def _yaml(text: str) -> Iterator[tuple[int, int]]:
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    seen: set[int] = set()

    def walk(node: yaml.Node, depth: int) -> Iterator[tuple[int, int]]:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield key.start_mark.line + 1, depth
                yield from walk(value, depth + 1)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield item.start_mark.line + 1, depth
                yield from walk(item, depth + 1)

    for document in documents:
        if document is not None:
            yield from walk(document, 0)


def _toml(text: str) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            yield number, 0
        elif stripped and not stripped.startswith("#") and "=" in stripped:
            yield number, 1
