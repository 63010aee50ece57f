"""Go's regular expressions (RE2 syntax), matched by PCRE2 after translation; what does not translate is not guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import pcre2

MAX_PATTERN = 4096
MAX_SUBJECT = 16_384


class _Match(Protocol):
    def group(self, number: int) -> str | None: ...
    def start(self) -> int: ...
    def end(self) -> int: ...


class GoRegexError(ValueError):
    """The pattern is one that Go's regexp package refuses, or one that is not translated."""


# Escapes that mean the same in RE2 and PCRE2 without UCP (github.com/google/re2/wiki/Syntax).
_ESCAPES = frozenset("aftnrvdDsSwWbBAzpPQExC0123456789")
_FORBIDDEN_GROUPS = ("(?=", "(?!", "(?<=", "(?<!", "(?>", "(?(", "(?#", "(?|", "(?R", "(?&", "(*")


@lru_cache(maxsize=2048)
def compile_go(pattern: str) -> pcre2.Pattern:
    """Compile a Go regular expression; raise GoRegexError where Go would refuse it or the translation is not exact."""
    if len(pattern) > MAX_PATTERN:
        raise GoRegexError(f"longer than {MAX_PATTERN} characters")
    if not pattern.isascii():
        raise GoRegexError("characters beyond ASCII are not translated")
    try:
        # NOTE: no JIT, whose matcher has no step limit; the interpreter stops at PCRE2's match limit.
        return pcre2.compile(_translate(pattern), pcre2.ASCII, jit=False)
    except (pcre2.PatternError, pcre2.LibraryError) as error:
        raise GoRegexError(str(error)) from None


def _translate(pattern: str) -> str:
    out: list[str] = []
    index, in_class = 0, False
    multiline = bool(re.search(r"\(\?[imsU]*m", pattern))
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            token = _escape(pattern, index, in_class=in_class)
            out.append(token)
            index += len(token)
            continue
        if in_class:
            if char == "[" and pattern[index + 1 : index + 2] == ":":
                end = pattern.find(":]", index)
                if end > 0:
                    out.append(pattern[index : end + 2])
                    index = end + 2
                    continue
                out.append("\\[")
            else:
                out.append("\\[" if char == "[" else char)
                in_class = char != "]"
        elif char == "[":
            token = _class_start(pattern, index)
            out.append(token)
            index += len(token)
            in_class = True
            continue
        else:
            out.append(_plain(pattern, index, multiline=multiline))
        index += 1
    return "".join(out)


def _plain(pattern: str, index: int, *, multiline: bool) -> str:
    char = pattern[index]
    if char == "$":
        return "$" if multiline else "\\z"
    if char == "(" and pattern.startswith(_FORBIDDEN_GROUPS, index) and not pattern.startswith("(?P<", index):
        raise GoRegexError("look-around and other constructs that RE2 does not have")
    if char in "*+?}" and pattern[index + 1 : index + 2] == "+" and _is_quantifier(pattern, index):
        raise GoRegexError("invalid nested repetition operator")
    if char == "{" and re.match(r"\{,\d*\}", pattern[index:]):
        return "\\{"
    return char


def _is_quantifier(pattern: str, index: int) -> bool:
    if pattern[index] != "}":
        return True
    start = pattern.rfind("{", 0, index)
    return start >= 0 and re.fullmatch(r"\{\d+(,\d*)?\}", pattern[start : index + 1]) is not None


def _class_start(pattern: str, index: int) -> str:
    token = "[^" if pattern.startswith("[^", index) else "["
    return token + "\\]" if pattern.startswith("]", index + len(token)) else token


def _escape(pattern: str, index: int, *, in_class: bool) -> str:
    following = pattern[index + 1 : index + 2]
    if not following:
        raise GoRegexError("trailing backslash at end of expression")
    if following == "Q":
        raise GoRegexError("\\Q…\\E is not translated")
    if following.isalnum():
        known = following in _ESCAPES and following != "C"
        if not known or (following in "123456789" and not in_class) or (in_class and following in "bBAz"):
            raise GoRegexError(f"invalid escape sequence \\{following}")
    return "\\" + following


def _decoded(subject: str) -> str | None:
    """Turn bytes into characters as Go's matcher does for valid UTF-8; None for anything else, or too much."""
    if len(subject) > MAX_SUBJECT:
        return None
    if subject.isascii():
        return subject
    try:
        return subject.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None


def _encoded(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


def search(pattern: str, subject: str) -> bool | None:
    """Whether the pattern matches somewhere; None where that is not decided (too long, not ASCII, too costly)."""
    found = _first(pattern, subject)
    return found if found is None else bool(found)


def _first(pattern: str, subject: str) -> _Match | bool | None:
    decoded = _decoded(subject)
    if decoded is None:
        return None
    subject = decoded
    try:
        result: _Match | None = compile_go(pattern).search(subject)
    except (GoRegexError, pcre2.LibraryError):
        return None
    return result or False


def first_group(pattern: str, subject: str) -> str | None:
    """Return the text of the first match, "" where there is none; None where not decided."""
    found = _first(pattern, subject)
    if found is None or isinstance(found, bool):
        return None if found is None else ""
    return _encoded(found.group(0) or "")


def replace_all(pattern: str, subject: str, replacement: str) -> str | None:
    """Do what Go's `Regexp.ReplaceAllString` does; None where not decided."""
    decoded = _decoded(subject)
    if decoded is None or not replacement.isascii():
        return None
    subject = decoded
    try:
        compiled = compile_go(pattern)
        names: dict[str, int] = dict(compiled.groupindex)
        count: int = compiled.groups
        expand = _template(replacement, names, count)
        out: list[str] = []
        position, last_end = 0, -1
        for found in compiled.finditer(subject):
            # Go does not replace an empty match that directly follows a match (regexp.go, replaceAll).
            if found.end() == found.start() == last_end:
                continue
            out.extend((subject[position : found.start()], expand(found)))
            position = last_end = found.end()
        return _encoded("".join((*out, subject[position:])))
    except (GoRegexError, pcre2.LibraryError):
        return None


_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")


def _template(text: str, names: dict[str, int], count: int) -> Callable[[_Match], str]:
    """Read a replacement as Go's `Regexp.Expand` does: `$1x` names the group "1x", `$$` is a dollar sign."""

    def one(found: _Match, reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        number = int(name) if name.isdigit() else names.get(name, -1)
        return (found.group(number) or "") if 0 <= number <= count else ""

    return lambda found: _REFERENCE.sub(lambda reference: one(found, reference), text)
