"""Tests of texts that several parts of a request make up, told apart: what each part has to be, and which go together.

A map over `"$host$uri"` is a test of hosts and one of paths; one over `"$arg_a:$arg_b"` needs two arguments at once. Paths,
hosts, origins and ways in are tried in all combinations anyway; the other parts where something depends on several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.exchange import Unknown
from auditor.language import Language
from auditor.plan.cells import METHODS, Matcher

if TYPE_CHECKING:
    from auditor.language.products import Choice, Part

CROSSING = "crossing"
"""The subject of what says that several parts of a request, named by its pattern, decide something together."""

GATE = "gate "
"""What the subject begins with that says of paths that a condition on a header decides whether a request goes on."""

SHARE = "share"
"""The subject of a share of a hash of a text: its pattern is where the share begins and ends."""

VARIED = ("header:", "cookie:", "arg:", "args", "port")
"""The parts of a request that are varied one at a time unless a crossing names them."""

FINITE = {"method": METHODS, "scheme": ("http", "https"), "version": ("HTTP/1.0", "HTTP/1.1", "HTTP/2.0")}
_DOMAINS = {
    "path": r"/[!-~]*",
    "path>": r"[!-~]*",
    "host": r"[a-z0-9.-]+",
    "port": r"[1-9][0-9]{0,4}",
    "origin": r"(?:https?://[!-~]+|null)?",
    "arg": r"[!$%'-Z^-~]*",
    "args": r"[!$%&'-~]*",
    "cookie": r"[!#-+\--:<-~]*",
    "header": r"(?:[!-~](?:[ -~]*[!-~])?)?",
}
"""What the parts of a request may be: what can be sent as it is, read back unchanged by nginx."""


def together(subjects: Iterable[str]) -> str:
    """Return the pattern of a crossing, "" where the parts are tried in all combinations anyway."""
    found = sorted({s for s in subjects if s == "method" or s.startswith(VARIED)})
    return " ".join(found) if len(found) > 1 else ""


def untold(matcher: Matcher) -> Unknown:
    """Say that requests may not have been told apart by a matcher, and where it stands."""
    what = f"it is not decided which {matcher.subject}s {matcher.pattern!r} matches: not every request was tried"
    return Unknown(matcher.reason or what, matcher.location)


def told_apart(matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """Return the matchers with tests of what each part has to be in the place of those of several parts at once."""
    if not any(m.parts for m in matchers):
        return tuple(matchers)
    return tuple(
        dict.fromkeys(found for m in matchers for found in (_parted(m) if m.parts and m.subject != SHARE else (m,)))
    )


def _parted(matcher: Matcher) -> Iterator[Matcher]:
    rows = _rows(matcher.test, matcher.parts)
    plain = replace(matcher, parts=())
    if rows is None:
        reason = f"which requests {_written(matcher)} is met by is not decided: not every request was tried"
        yield replace(plain, subject="text", kind="other", reason=reason)
        return
    subjects = [part[1:] if part[0] == "$" else "" for part in matcher.parts if part[0] != "="]
    crossed: dict[str, None] = {}
    methods = _methods_matter(rows, subjects)
    for row in rows:
        made = [_chosen(plain, subject, choice) for subject, choice in zip(subjects, row, strict=True)]
        found = [m for m in made if m is not None and (m.subject != "method" or methods)]
        paths = [language for m in found if m.subject == "path" and (language := m.language()) is not None]
        at = Language.intersection(paths) if paths else None
        yield from (replace(m, at=at) if m.subject.startswith(VARIED) else m for m in found)
        crossed[together(m.subject for m in found)] = None
    for pattern in crossed:
        if pattern:
            yield replace(plain, subject=CROSSING, kind="other", pattern=pattern)


def _chosen(plain: Matcher, subject: str, choice: Choice) -> Matcher | None:
    """Return the test of what one part has to be, None where it may be anything or is no part of a request."""
    from auditor.language.products import behind  # noqa: PLC0415 - only where a text of several parts is tested

    if choice is None or not subject:
        return None
    if isinstance(choice, str):
        return replace(plain, subject=subject, kind="exact", pattern=choice, caseless=False)
    if plain.kind == "exact":
        name, _, start = subject.partition(">")
        return replace(plain, subject=name, pattern=start + (choice.shortest() or b"").decode("latin-1"))
    if subject.startswith("path>"):
        return replace(plain, subject="path", kind="given", given=behind(subject[5:].encode("latin-1"), choice))
    within = choice & _domain_of(subject) if subject.startswith(VARIED) else choice
    return replace(plain, subject=subject, kind="given", given=within)


def _methods_matter(rows: Iterable[tuple[Choice, ...]], subjects: Sequence[str]) -> bool:
    """Whether it is not the same for all methods what the other parts have to be."""
    if "method" not in subjects:
        return False
    at = subjects.index("method")
    by_others: dict[tuple[Choice, ...], set[Choice]] = {}
    for row in rows:
        by_others.setdefault((*row[:at], *row[at + 1 :]), set()).add(row[at])
    return any(len(found) < len(METHODS) for found in by_others.values())


def _written(matcher: Matcher) -> str:
    named = dict.fromkeys(part[1:] for part in matcher.parts if part[0] == "$" and part[1:])
    return f"{matcher.pattern!r}, of {' and '.join(named)},"


@lru_cache(maxsize=1024)
def _rows(test: tuple[str, str, bool, Language | None], parts: tuple[str, ...]) -> list[tuple[Choice, ...]] | None:
    from auditor.language.products import products  # noqa: PLC0415 - only where a text of several parts is tested

    kind, pattern, caseless, _ = test
    language = Matcher("text", kind, pattern, caseless).language() if kind != "nonempty" else Language.regex(r"[\s\S]")
    if language is None:
        return None
    return products(language, [_part(part) for part in parts])


def _part(part: str) -> Part:
    """Read a part: "=text" is literal, "?one" or another after newlines a choice, "$subject" a part of a request."""
    mark, rest = part[0], part[1:]
    if mark == "=":
        return rest.encode("latin-1")
    if mark == "?":
        return tuple(rest.split("\n"))
    if rest in FINITE:
        return FINITE[rest]
    return _domain_of(rest)


def _domain_of(subject: str) -> Language:
    name = "path>" if subject.startswith("path>") else subject.partition(":")[0]
    return _domain(_DOMAINS.get(name, r"[ -~]*"))


@lru_cache(maxsize=16)
def _domain(pattern: str) -> Language:
    return Language.regex(pattern, whole=True)
