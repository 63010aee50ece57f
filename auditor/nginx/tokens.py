"""Reads the text of one configuration file into directives, token by token as nginx's own reader does.

The rules are those of `ngx_conf_read_token` (nginx, src/core/ngx_conf_file.c): quotes, escapes, `${`, comments, the
4096-byte limit on a token. Text is Latin-1: one character is one byte of the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem

LONGEST_TOKEN = 4096
"""A token must fit nginx's read buffer (NGX_CONF_BUFFER), its end included."""

MOST_PROBLEMS = 1000
"""So many problems of one file are kept: nobody reads more, and a hostile file has one at every byte."""

DEEPEST_BLOCK = 200
"""Blocks nested deeper than this are not read: no configuration needs it, and every reader of the tree recurses."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: its name, its arguments as nginx sees them, and its block where it has one.

    `raw` is the text between the braces of a Lua block, which is not nginx's language; its `block` is empty.
    """

    name: str
    args: tuple[str, ...]
    location: Location
    block: tuple[Directive, ...] | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file, and where its lines begin.

    `moved` maps offsets in `text` back to the file's own where variables were substituted: pairs of
    (offset in `text`, how much further on the same byte is in the file), in order.
    """

    file: str
    text: str
    first_line: int = 1
    line_ends: tuple[int, ...] = ()
    moved: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, file: str, text: str, variables: Mapping[str, str] | None = None, first_line: int = 1) -> Source:
        """Index the lines of a text, then substitute variables in it as envsubst does."""
        ends = tuple(m.start() for m in re.finditer("\n", text))
        if not variables:
            return cls(file, text, first_line, ends)
        parts: list[str] = []
        moved: list[tuple[int, int]] = []
        done = length = 0
        names = "|".join(sorted(map(re.escape, variables), key=len, reverse=True))
        for match in re.finditer(rf"\$(?:\{{({names})\}}|({names})\b)", text):
            value = variables[match[1] or match[2]].encode().decode("latin-1")
            parts += [text[done : match.start()], value]
            length += match.start() - done
            moved.append((length, match.start() - length))
            length += len(value)
            done = match.end()
            moved.append((length, done - length))
        return cls(file, "".join([*parts, text[done:]]), first_line, ends, tuple(moved))

    def location(self, start: int, end: int) -> Location:
        """Return the place of the text between two offsets."""
        if self.moved:
            start, end = self._original(start), self._original(end)
        line = bisect_right(self.line_ends, start - 1) if start else 0
        column = start - (self.line_ends[line - 1] if line else -1)
        return Location(self.file, line + self.first_line, column, column + (end - start or 1))

    def _original(self, offset: int) -> int:
        """Return where a byte of the text is in the file, before variables were substituted."""
        index = bisect_right(self.moved, (offset, 1 << 62)) - 1
        if index < 0:
            return offset
        begin, shift = self.moved[index]
        return begin + shift if index % 2 == 0 else offset + shift

    def holds(self, line: int) -> bool:
        """Whether a line of the file is in this text."""
        return self.first_line <= line <= self.first_line + len(self.line_ends)

    def offset(self, location: Location) -> int:
        """Return the offset in the text of the beginning of a place."""
        line = location.line - self.first_line
        original = (self.line_ends[line - 1] + 1 if line else 0) + location.column - 1
        result = original
        for begin, shift in self.moved:
            if begin + shift > original:
                break
            result = original - shift if begin + shift <= original else result
        return result


_TOKEN = re.compile(
    r"""[ \t\r\n]*+(?:\#[^\n]*+[ \t\r\n]*+)*+
    (?:
      ((?:[^ \t\r\n;{}\#"'\\$]|\\.|\$\{*+)(?:[^ \t\r\n;{\\$]++|\\.|\$\{*+)*+)   # 1 a word
    | ([;{}])                                                                  # 2 an end
    | "((?:[^"\\]++|\\.)*+)"                                                   # 3 a word in double quotes
    | '((?:[^'\\]++|\\.)*+)'                                                   # 4 a word in single quotes
    | (["'\\].*)                                                               # 5 a word that never ends
    | \Z
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
_AFTER_QUOTE = frozenset({" ", "\t", "\r", "\n", ";", "{", ")", ""})
_QUOTE_WHOLE = "separate the words with a space, or quote the whole word"


def unescape(word: str) -> str:
    """Return a token without its backslashes, as nginx stores it."""
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), word)


@dataclass(slots=True)
class _Open:
    """A block that is being read: the directive that opened it, and what it has so far."""

    name: str
    args: tuple[str, ...]
    location: Location
    inside: list[Directive]


@dataclass(slots=True)
class _Reader:
    """Reads one source; `top` collects the directives outside every block."""

    source: Source
    problems: list[Problem]
    top: list[Directive]
    open: list[_Open]

    def problem(self, message: str, start: int, end: int, hint: str) -> None:
        """Keep a problem at a span of the text."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(message, self.source.location(start, end), hint))

    def read(self) -> None:
        """Read the whole text."""
        position: int | None = 0
        while position is not None:
            position = self._read_from(position)

    def _read_from(self, position: int) -> int | None:  # noqa: C901, PLR0915 - one loop over all tokens is fast
        """Read until the end (None), or until a place from which reading must start anew (its offset)."""
        text = self.source.text
        locate = self.source.location
        current = self.open[-1].inside if self.open else self.top
        words: list[str] = []
        first = (0, 0)
        for match in _TOKEN.finditer(text, position):
            kind = match.lastindex
            if match.end() - match.start() >= LONGEST_TOKEN:
                self._oversize(match)
            if kind == 1:
                word = match[1]
                if not words:
                    first = match.span(1)
                words.append(unescape(word) if "\\" in word else word)
            elif kind == 2:
                end = match[2]
                if end == ";":
                    if words:
                        current.append(Directive(words[0], tuple(words[1:]), locate(*first)))
                        words = []
                    else:
                        self.problem('unexpected ";"', *match.span(2), "remove it")
                elif end == "{":
                    if words and words[0].endswith("_by_lua_block"):
                        return self._lua(words, first, match.end())
                    if not self._block(words, first, match.start(2)):
                        return None
                    current = self.open[-1].inside
                    words = []
                else:
                    if words:
                        self.problem(f'"{words[0]}" is not ended before "}}"', *first, 'end it with ";"')
                        current.append(Directive(words[0], tuple(words[1:]), locate(*first)))
                        words = []
                    current = self._close(current, match.start(2))
            elif kind is None:
                break
            elif kind == 5:
                start = match.start(5)
                hint = f"close it with {text[start]}"
                self.problem(f"the quote {text[start]} is never closed", start, start + 1, hint)
                words = []
                break
            else:
                word = match[kind]
                start, end_ = match.start(kind) - 1, match.end()
                if not words:
                    first = (start, end_)
                words.append(unescape(word) if "\\" in word else word)
                if text[end_ : end_ + 1] not in _AFTER_QUOTE:
                    self.problem(f'unexpected "{text[end_]}" after a closing quote', end_, end_ + 1, _QUOTE_WHOLE)
        if words:
            self.problem("the file ends in the middle of a directive", *first, 'end it with ";"')
        self._end()
        return None

    def _oversize(self, match: re.Match[str]) -> None:
        """Complain about a word or a comment that does not fit nginx's buffer."""
        kind = match.lastindex
        start = match.start(kind) if kind else match.end()
        if kind and match.end(kind) - start + (kind in {3, 4}) >= LONGEST_TOKEN:
            hint = "split it, or close a quote that is still open"
            self.problem("too long a word: nginx reads at most 4095 bytes", start, start + 10, hint)
        for comment in re.finditer(rf"#[^\n]{{{LONGEST_TOKEN - 1},}}", self.source.text[match.start() : start]):
            at = match.start() + comment.start()
            self.problem("too long a comment: nginx reads at most 4095 bytes", at, at + 1, "split it")

    def _block(self, words: list[str], first: tuple[int, int], start: int) -> bool:
        """Open a block; False where it is nested too deep to be read."""
        if not words:
            self.problem('unexpected "{"', start, start + 1, "a block needs the name of a directive before it")
            first = (start, start + 1)
        if len(self.open) >= DEEPEST_BLOCK:
            self.problem(f"blocks are nested more than {DEEPEST_BLOCK} deep", start, start + 1, "flatten them")
            self.open.clear()
            return False
        self.open.append(_Open(words[0] if words else "", tuple(words[1:]), self.source.location(*first), []))
        return True

    def _close(self, current: list[Directive], start: int) -> list[Directive]:
        """Close the innermost block; return the list that its directive went into."""
        if not self.open:
            self.problem('unexpected "}"', start, start + 1, "no block is open here: remove it, or open one")
            return current
        done = self.open.pop()
        outer = self.open[-1].inside if self.open else self.top
        if done.name:
            outer.append(Directive(done.name, done.args, done.location, tuple(done.inside)))
        return outer

    def _lua(self, words: list[str], first: tuple[int, int], start: int) -> int | None:
        """Take the body of a Lua block as it is; return where reading goes on."""
        end = lua_block_end(self.source.text, start)
        if end is None:
            self.problem(f'the block of "{words[0]}" is never closed', *first, 'close it with "}"')
            self._end()
            return None
        current = self.open[-1].inside if self.open else self.top
        body = self.source.text[start:end]
        current.append(Directive(words[0], tuple(words[1:]), self.source.location(*first), (), body))
        return end + 1

    def _end(self) -> None:
        """Close what is still open at the end of the file."""
        while self.open:
            opened = self.open[-1]
            name = f'the block of "{opened.name}"' if opened.name else "a block"
            self.problems.append(Problem(f"{name} is never closed", opened.location, 'close it with "}"'))
            self._close([], 0)


_LUA = re.compile(r"--\[(=*)\[|--[^\n]*|\[(=*)\[|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[{}]", re.DOTALL)


def lua_block_end(text: str, start: int) -> int | None:
    """Return the offset of the brace that closes a Lua block whose text begins at `start`, or None.

    Braces in Lua strings, long brackets and comments do not count (Lua 5.1 manual, §2.1).
    """
    depth = 1
    position = start
    while match := _LUA.search(text, position):
        position = match.end()
        level = match[1] if match[1] is not None else match[2]
        if level is not None:
            closing = text.find(f"]{level}]", position)
            if closing < 0:
                return None
            position = closing + len(level) + 2
        elif match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if not depth:
                return match.start()
    return None


def read(source: Source) -> tuple[tuple[Directive, ...], tuple[Problem, ...]]:
    """Read one text into directives, in order, and say what is wrong with it; what can be read is kept."""
    reader = _Reader(source, [], [], [])
    reader.read()
    return tuple(reader.top), tuple(reader.problems)


def argument_location(source: Source, location: Location, index: int) -> Location:
    """Return the place of an argument, found again from the place of its directive's name."""
    for number, match in enumerate(_TOKEN.finditer(source.text, source.offset(location))):
        kind = match.lastindex
        if kind == 2 or kind is None:
            break
        if number == index + 1:
            start, end = match.span(kind)
            quote = kind in {3, 4}
            return source.location(start - quote, end + quote)
    return location
