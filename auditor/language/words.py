"""Finite sets of strings and prefixes as machines: nothing is built, a state is a place in a sorted list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from auditor.language.alphabet import BIT, FULL, fold
from auditor.language.automaton import ALL, DEAD, Row

_FIRST = 2


class Words:
    """A finite set of strings, or with `caseless` all strings that equal one of them but for ASCII case."""

    __slots__ = ("_depths", "_highs", "_ids", "_lows", "_members", "_rows", "caseless", "start", "words")

    def __init__(self, words: Iterable[bytes], *, caseless: bool = False) -> None:
        """Sort the words; with `caseless` they are kept in lower case."""
        self.caseless = caseless
        self._members = frozenset(w.lower() for w in words) if caseless else frozenset(words)
        self.words = sorted(self._members)
        self._depths, self._lows, self._highs = [0, 0, 0], [0, 0, 0], [0, 0, len(self.words)]
        self._ids: dict[tuple[int, int, int], int] = {(0, 0, len(self.words)): _FIRST}
        self._rows: dict[int, Row] = {DEAD: (), ALL: ((FULL, ALL),)}
        self.start = _FIRST if self.words else DEAD

    def has(self, text: bytes) -> bool:
        """Whether a string is in the set."""
        return (text.lower() if self.caseless else text) in self._members

    def final(self, state: int) -> bool:
        """Whether the bytes read so far are one of the words."""
        if state < _FIRST:
            return state == ALL
        return len(self.words[self._lows[state]]) == self._depths[state]

    def row(self, state: int) -> Row:
        """Return where the next bytes lead: one state for each byte that goes on in some word."""
        found = self._rows.get(state)
        if found is None:
            depth, at, end = self._depths[state], self._lows[state], self._highs[state]
            if len(self.words[at]) == depth:
                at += 1
            parts = []
            while at < end:
                byte = self.words[at][depth]
                stop = bisect_right(self.words, byte, at, end, key=lambda word: word[depth])
                parts.append((fold(BIT[byte]) if self.caseless else BIT[byte], self._state(depth + 1, at, stop)))
                at = stop
            found = self._rows[state] = tuple(parts)
        return found

    def _state(self, depth: int, low: int, high: int) -> int:
        key = (depth, low, high)
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self._depths)
            self._depths.append(depth)
            self._lows.append(low)
            self._highs.append(high)
        return found

    def starting_with(self, prefix: bytes) -> list[bytes]:
        """Return the words that begin with a prefix (of the same case folding)."""
        at = bisect_left(self.words, prefix)
        result = []
        while at < len(self.words) and self.words[at].startswith(prefix):
            result.append(self.words[at])
            at += 1
        return result


class Prefix:
    """Every string that begins with a text; states count the bytes that were right so far."""

    __slots__ = ("caseless", "start", "text")

    def __init__(self, text: bytes, *, caseless: bool = False) -> None:
        """Keep the text; with `caseless` in lower case."""
        self.text = text.lower() if caseless else text
        self.caseless = caseless
        self.start = _FIRST if text else ALL

    def has(self, text: bytes) -> bool:
        """Whether a string begins with the text."""
        return (text.lower() if self.caseless else text).startswith(self.text)

    def final(self, state: int) -> bool:
        """Whether the whole text has been read."""
        return state == ALL

    def row(self, state: int) -> Row:
        """Return where the next byte of the text leads."""
        if state < _FIRST:
            return ((FULL, ALL),) if state == ALL else ()
        at = state - _FIRST
        mask = BIT[self.text[at]]
        return ((fold(mask) if self.caseless else mask, ALL if at + 1 == len(self.text) else state + 1),)
