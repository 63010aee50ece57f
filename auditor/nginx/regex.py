"""Regular expressions as nginx runs them: PCRE2 on bytes, ASCII letters only where case does not matter."""

from __future__ import annotations

import contextlib

from pcre2 import _cy

_DISABLED = 0x2 | 0x100000
"""The package adds ALT_BSUX and NEVER_BACKSLASH_C, which nginx (src/core/ngx_regex.c) does not use."""
_CASELESS = 0x8
MOST_KEPT = 64
"""Subjects whose result is kept: the ways that one request may go ask the same again."""
_CONTEXT = _cy.create_match_context()
_compile = _cy.compile
_match = _cy.match
_span = _cy.match_substring_span_bynumber


class RegexError(Exception):
    """A pattern that PCRE2 does not compile, or a match that ran out of its limits."""


class Regex:
    """One compiled pattern; compiled at its first use."""

    __slots__ = ("_code", "_known", "caseless", "groups", "names", "pattern")

    def __init__(self, pattern: str, *, caseless: bool = False) -> None:
        """Keep a pattern (one character per byte)."""
        self.pattern = pattern
        self.caseless = caseless
        self._code: object | None = None
        self._known: dict[str, tuple[str, ...] | None] = {}
        self.groups = 0
        self.names: tuple[tuple[str, int], ...] = ()

    def compile(self) -> object:
        """Compile the pattern.

        Raises:
            RegexError: PCRE2 refuses it.
        """
        try:
            code = _compile(
                self.pattern.encode("latin-1"), _CASELESS if self.caseless else 0, disabled_options=_DISABLED
            )
        except Exception as error:
            raise RegexError(str(error)) from error
        self.groups = _cy.pattern_capture_count(code)
        names = _cy.pattern_name_dict(code)
        self.names = tuple(sorted(names.items()))
        self._code = code
        return code

    def named(self) -> tuple[tuple[str, int], ...]:
        """Return the names of its groups with their numbers; none where the pattern does not compile."""
        if self._code is None:
            with contextlib.suppress(RegexError):
                self.compile()
        return self.names

    def match(self, subject: str) -> tuple[str, ...] | None:
        """Return the whole match and its groups up to the last that took part, or None.

        Raises:
            RegexError: the pattern does not compile or the match ran out of its limits.
            UnicodeEncodeError: the subject is not decided (it holds `UNKNOWN_VALUE`).
        """
        if subject in self._known:
            return self._known[subject]
        result = self._match(subject)
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        self._known[subject] = result
        return result

    def _match(self, subject: str) -> tuple[str, ...] | None:
        code = self._code or self.compile()
        octets = subject.encode("latin-1")
        try:
            data = _match(code, octets, len(octets), 0, _CONTEXT)[0]
        except Exception as error:
            raise RegexError(str(error)) from error
        if data is None:
            return None
        if not self.groups:
            return ("",)
        found = []
        last = 0
        for number in range(self.groups + 1):
            start, end = _span(data, octets, number)
            if start < 0:
                found.append("")
            else:
                last = number
                found.append(subject[start:end])
        return tuple(found[: last + 1])

    def search(self, subject: str) -> bool:
        """Whether the pattern occurs in the subject; raises as `match` does."""
        code = self._code or self.compile()
        octets = subject.encode("latin-1")
        try:
            return _match(code, octets, len(octets), 0, _CONTEXT)[0] is not None
        except Exception as error:
            raise RegexError(str(error)) from error
