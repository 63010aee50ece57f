"""What our verdicts on an expression of the benchmark claim, held against PCRE2 string by string."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from auditor.language import (
    Included,
    Language,
    Outside,
    accepted_outside,
    decide_included,
    map_lines,
    policy_origins,
    refused_inside,
)

_CASELESS = 0x8
_ALT_BSUX, _NEVER_BACKSLASH_C = 0x2, 0x100000  # the package sets them, nginx does not (\x41 would not mean "A")


class Reference:
    """One pattern as nginx compiles it: bytes, no option but caseless."""

    def __init__(self, pattern: bytes, *, caseless: bool = False) -> None:
        """Compile; raises ValueError where PCRE2 refuses."""
        from pcre2 import _cy

        self._cy = _cy
        self._context = _cy.create_match_context()
        try:
            self._code = _cy.compile(
                pattern, _CASELESS if caseless else 0, disabled_options=_ALT_BSUX | _NEVER_BACKSLASH_C
            )
        except (_cy.PatternError, _cy.LibraryError) as e:
            raise ValueError(str(e)) from e

    def finds(self, subject: bytes) -> bool | None:
        """Whether the pattern is found in the subject; None where PCRE2 gives up (match limit)."""
        try:
            data, _, _ = self._cy.match(self._code, subject, len(subject), 0, self._context, 0)
        except self._cy.LibraryError:
            return None
        return bool(data)


def benchmark() -> Any:
    """Load the benchmark's corpus and policies."""
    path = Path(__file__).parents[1] / "benchmarks" / "language.py"
    spec = importlib.util.spec_from_file_location("language_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def compiles(expression: Any) -> bool:
    """Whether PCRE2 takes an expression of the corpus."""
    try:
        Reference(expression.pattern.encode(), caseless=expression.caseless)
    except ValueError:
        return False
    return True


_HOST_BYTES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!\"$&'()+,-.;=_`{}~*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def may(item: Any, origin: str) -> bool:
    """Whether a policy's entry has an origin, generously; written anew, not with the code under test."""
    low = origin.lower()
    if isinstance(item, str):
        return low == item
    scheme, _, rest = item["pattern"].partition("://")
    if not low.startswith(scheme + "://"):
        return False
    host, colon, port = rest.partition(":")
    actual = low[len(scheme) + 3 :]
    if port == "*":
        actual, _, number = actual.partition(":")
        if number and not (number.isascii() and number.isdigit()):
            return False
    if not host.startswith("*"):
        return actual == host and not (colon and port != "*")
    return actual.endswith(host[1:]) and set(actual) <= _HOST_BYTES


def must(item: Any, origin: str) -> bool:
    """Whether a policy's entry has an origin that a browser sends."""
    if isinstance(item, str):
        return origin == item
    scheme, _, rest = origin.partition("://")
    host, colon, port = rest.partition(":")
    pattern_scheme, _, pattern = item["pattern"].partition("://")
    pattern_host, _, pattern_port = pattern.partition(":")
    if scheme != pattern_scheme or (pattern_port == "*") != bool(colon):
        return False
    if colon and not (re.fullmatch("[1-9][0-9]{0,4}", port) and int(port) <= 65535 and port != "80"):
        return False
    if not pattern_host.startswith("*"):
        return host == pattern_host
    labels = host.removesuffix(pattern_host[1:]).split(".")
    return host.endswith(pattern_host[1:]) and all(_LABEL.fullmatch(label) for label in labels)


def path_glob(pattern: str) -> Any:
    """Return a function that decides a path glob segment by segment, without any automaton."""
    wanted = pattern.split("/")

    def fits(segments: list[str], patterns: list[str]) -> bool:
        if not patterns:
            return not segments
        if patterns[0] == "**":
            return (
                bool(segments)
                if len(patterns) == 1
                else any(fits(segments[i:], patterns[1:]) for i in range(len(segments) + 1))
            )
        if not segments:
            return False
        name = patterns[0]
        one = (
            segments[0] != ""
            if name == "*"
            else bool(re.fullmatch(".*".join(map(re.escape, name.split("*"))), segments[0], re.DOTALL))
        )
        return one and fits(segments[1:], patterns[1:])

    return lambda path: fits(path.split("/"), wanted)


class OriginVerdict:
    """Both verdicts on one origin expression: who is accepted outside its policy, and who of the policy is refused."""

    def __init__(self, expression: Any, items: list[Any]) -> None:
        """Decide; `wrong` has the witnesses that are none."""
        self.key, self.items = expression.key, items
        reference = Reference(expression.pattern.encode(), caseless=expression.caseless)
        policy, lines = policy_origins(items), map_lines([(expression.key, True)])
        outside, inside = accepted_outside(lines, policy), refused_inside(lines, policy)
        self.proven = outside.proven
        self._said = {e.item.text for e in inside.escapes if e.item} | {o.item.text for o in inside.open if o.item}
        self.wrong = [
            f"{self.key}: {escape.witness!r} is no witness"
            for escape in outside.escapes
            if not reference.finds(escape.witness.encode("latin-1")) or any(may(i, escape.witness) for i in items)
        ] + [
            f"{self.key}: {escape.witness!r} is not refused, or not the policy's"
            for escape in inside.escapes
            if reference.finds(escape.witness.encode("latin-1")) or not any(must(i, escape.witness) for i in items)
        ]

    def against(self, subject: bytes, *, found: bool) -> list[str]:
        """Return what a string that PCRE2 finds, or does not find, says against the verdicts."""
        text, wrong = subject.decode("latin-1"), []
        if found:
            sendable = bool(text) and not set(text) & set("\0\r\n") and text.strip(" ") == text
            if self.proven and sendable and not any(may(i, text) for i in self.items):
                wrong.append(f"{self.key}: proven, but {text!r} is accepted")
            return wrong
        for item in self.items:
            name = item if isinstance(item, str) else item["pattern"]
            if name not in self._said and must(item, text):
                wrong.append(f"{self.key}: {text!r} of the policy is refused, nothing said so")
        return wrong


class PathVerdict:
    """Both verdicts on one path expression: is it within its glob, is the glob within it."""

    def __init__(self, expression: Any) -> None:
        """Decide; `wrong` has the witnesses that are none."""
        self.key, self.glob = expression.key, path_glob(expression.intended)
        reference = Reference(expression.pattern.encode(), caseless=expression.caseless)
        self.wanted = Language.glob_path(expression.intended)
        language = Language.regex(expression.pattern, caseless=expression.caseless)
        there = decide_included(language & Language.prefix("/"), self.wanted)
        back = decide_included(self.wanted, language)
        self._within, self._covers = isinstance(there, Included), isinstance(back, Included)
        self.wrong = []
        if isinstance(there, Outside) and (not reference.finds(there.witness) or self.glob(there.text)):
            self.wrong.append(f"{self.key}: {there.text!r} is no witness")
        if isinstance(back, Outside) and (reference.finds(back.witness) or not self.glob(back.text)):
            self.wrong.append(f"{self.key}: {back.text!r} is no witness of the converse")

    def against(self, subject: bytes, *, found: bool) -> list[str]:
        """Return what a string that PCRE2 finds, or does not find, says against the verdicts."""
        text, wrong = subject.decode("latin-1"), []
        wanted = self.glob(text)
        if wanted != self.wanted.contains(text):
            wrong.append(f"{self.key}: the glob has {text!r}: {wanted}")
        if self._within and found and text.startswith("/") and not wanted:
            wrong.append(f"{self.key}: included, but {text!r}")
        if self._covers and not found and wanted:
            wrong.append(f"{self.key}: includes, but not {text!r}")
        return wrong


def verdict(expression: Any, policies: Any) -> OriginVerdict | PathVerdict:
    """Decide one expression of the benchmark both ways."""
    if expression.about == "origin":
        return OriginVerdict(expression, policies[expression.intended])
    return PathVerdict(expression)
