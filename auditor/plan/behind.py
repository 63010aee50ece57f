"""What a layer further in tells paths apart by, in the words of the request that came in from outside.

A proxy that passes `/api/x` on as `/x` shows the application another path than the client's: a route `/x` of the
application cuts the outer paths at `/api/x`. Each layer says which prefixes it replaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from auditor.dataclass import dataclass
from auditor.plan.cells import Matcher


@dataclass(frozen=True, slots=True)
class Replacement:
    """A prefix of the path as a layer receives it, and what it passes on in its place."""

    outer: str
    inner: str


UNCHANGED = Replacement("", "")


def from_outside(matchers: Iterable[Matcher], replacements: Sequence[Replacement]) -> Iterator[Matcher]:
    """Yield what the tests of an inner layer test of the path outside a layer that replaces these prefixes.

    Paths may pass it unchanged too. A test that cannot be said so is of the kind "other".
    """
    pairs = tuple(dict.fromkeys((UNCHANGED, *replacements)))
    for matcher in matchers:
        if len(pairs) > 1 and any(part.startswith("$path") for part in matcher.parts):
            reason = (
                f"which paths make {matcher.pattern!r} hold is not decided behind a layer that replaces some of them"
            )
            yield replace(matcher, subject="path", kind="other", parts=(), reason=reason)
        elif matcher.subject == "path" or matcher.subject.startswith("gate "):
            yield from dict.fromkeys(found for pair in pairs for found in _before(matcher, pair))
        else:
            yield matcher


def _before(matcher: Matcher, pair: Replacement) -> Iterator[Matcher]:
    pattern, (outer, inner) = matcher.pattern, (pair.outer, pair.inner)
    if outer == inner or matcher.kind in {"suffix", "other"}:
        yield matcher
    elif matcher.kind in {"exact", "prefix"}:
        if pattern.startswith(inner):
            yield replace(matcher, pattern=outer + pattern[len(inner) :])
        elif matcher.kind == "prefix" and inner.startswith(pattern):
            yield replace(matcher, pattern=outer)
        if pattern == "/" and outer:
            yield replace(matcher, pattern=outer, kind="exact")
    elif matcher.kind == "regex":
        yield from _of_regex(matcher, outer, inner)


def _of_regex(matcher: Matcher, outer: str, inner: str) -> Iterator[Matcher]:
    pattern = matcher.pattern
    if not pattern.startswith(("^", r"\A")):
        yield matcher
        return
    rest = pattern[1 if pattern.startswith("^") else 2 :]
    whole = "|" not in re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", rest)
    begins = re.match(_LITERAL, rest)
    literal = re.sub(r"\\(.)", r"\1", begins[0]) if begins is not None else ""
    if whole and not literal.startswith(inner) and not inner.startswith(literal):
        return  # the layer never passes on such a path
    for written in (re.escape(inner), inner):
        if whole and rest.startswith(written):
            yield replace(matcher, pattern=f"^{re.escape(outer)}{rest[len(written) :]}")
            return
    yield replace(matcher, kind="other")


_LITERAL = r"(?:[\w/~-]|\\[^\w])*(?![?*+{])"
