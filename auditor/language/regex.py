r"""PCRE2 as nginx compiles it, read into a syntax tree.

Source: pcre2pattern(3) of PCRE2 10.47 and experiments with it. nginx passes no option but PCRE2_CASELESS
(src/core/ngx_regex.c): bytes, no UTF, no UCP, `.` excludes only `\\n`, `$` also matches before a final `\\n`.
What this module does not know is refused (`NotReadable`) or kept as `Opaque`; it is never guessed.
"""

from __future__ import annotations

from typing import Literal

from auditor.language.alphabet import (
    BIT,
    DIGIT,
    FULL,
    HORIZONTAL,
    LOWER,
    NO_NEWLINE,
    SPACE,
    UPPER,
    VERTICAL,
    WORD,
    bytes_mask,
    fold,
    range_mask,
)
from auditor.language.syntax import (
    EMPTY,
    Alt,
    Atomic,
    BackReference,
    Call,
    Chars,
    Concat,
    Guard,
    Look,
    Node,
    Opaque,
    Pattern,
    Repeat,
    RepeatMode,
    alt,
    concat,
)

MAX_REPEAT = 65535
MAX_DEPTH = 80
ANYTHING = Repeat(Chars(FULL), 0, None)

_CLASS_ESCAPES = {
    ord("d"): DIGIT,
    ord("D"): FULL & ~DIGIT,
    ord("w"): WORD,
    ord("W"): FULL & ~WORD,
    ord("s"): SPACE,
    ord("S"): FULL & ~SPACE,
    ord("h"): HORIZONTAL,
    ord("H"): FULL & ~HORIZONTAL,
    ord("v"): VERTICAL,
    ord("V"): FULL & ~VERTICAL,
}
_CHARACTER_ESCAPES = {ord("a"): 7, ord("e"): 27, ord("f"): 12, ord("n"): 10, ord("r"): 13, ord("t"): 9}
_GRAPH = range_mask(0x21, 0x7E)
_POSIX = {
    b"alpha": LOWER | UPPER,
    b"lower": LOWER,
    b"upper": UPPER,
    b"alnum": LOWER | UPPER | DIGIT,
    b"ascii": range_mask(0, 127),
    b"blank": bytes_mask(b" \t"),
    b"cntrl": range_mask(0, 31) | BIT[127],
    b"digit": DIGIT,
    b"graph": _GRAPH,
    b"print": _GRAPH | BIT[32],
    b"punct": _GRAPH & ~(LOWER | UPPER | DIGIT),
    b"space": SPACE,
    b"word": WORD,
    b"xdigit": DIGIT | bytes_mask(b"abcdefABCDEF"),
}
_GUARDS: dict[int, Literal["start", "end", "end-or-newline", "word", "not-word"]] = {
    ord("A"): "start",
    ord("G"): "start",
    ord("z"): "end",
    ord("Z"): "end-or-newline",
    ord("b"): "word",
    ord("B"): "not-word",
}
_HEX = b"0123456789abcdefABCDEF"
_OCTAL = b"01234567"
_DECIMAL = b"0123456789"
_NAME = b"_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class NotReadable(Exception):  # noqa: N818 - an answer of the parser, not a fault of anybody
    """The pattern is refused by PCRE2, or uses something this module does not know; the argument says which."""


class _Flags:
    """The options in force at a place of the pattern."""

    __slots__ = ("caseless", "dotall", "extended", "extended_more", "multiline", "no_capture")

    def __init__(self, *, caseless: bool = False) -> None:
        self.caseless = caseless
        self.multiline = self.dotall = self.extended = self.extended_more = self.no_capture = False

    def copy(self) -> _Flags:
        other = _Flags()
        for name in _Flags.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def set(self, letters: bytes, *, on: bool) -> None:
        for letter in letters:
            if letter == ord("i"):
                self.caseless = on
            elif letter == ord("m"):
                self.multiline = on
            elif letter == ord("s"):
                self.dotall = on
            elif letter == ord("x"):
                self.extended = on
                self.extended_more = on and letters.count(b"xx") > 0
            elif letter == ord("n"):
                self.no_capture = on
            else:
                raise NotReadable(f"the option (?{chr(letter)})")


class _Parser:
    """One pass over the pattern; `at` is the offset of the next byte."""

    __slots__ = ("at", "depth", "flags", "groups", "looking", "names", "opened", "pending_names", "text")

    def __init__(self, text: bytes, *, caseless: bool) -> None:
        self.text = text
        self.flags = _Flags(caseless=caseless)
        self.at = self.depth = self.looking = 0
        self.opened = 0  # capturing groups so far
        self.groups: dict[int, tuple[Node, ...]] = {}
        self.names: dict[bytes, int] = {}
        self.pending_names: list[tuple[int, bytes]] = []  # named before they are opened

    # -- reading -----------------------------------------------------------------------------------------------

    def peek(self) -> int:
        return self.text[self.at] if self.at < len(self.text) else -1

    def sees(self, any_of: bytes) -> bool:
        return self.at < len(self.text) and self.text[self.at] in any_of

    def take(self, literal: bytes) -> bool:
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def run(self, allowed: bytes, limit: int = 1 << 30) -> bytes:
        start = self.at
        while self.at < len(self.text) and self.at - start < limit and self.text[self.at] in allowed:
            self.at += 1
        return self.text[start : self.at]

    def until(self, closing: bytes, what: str) -> bytes:
        end = self.text.find(closing, self.at)
        if end < 0:
            raise NotReadable(f"{what} is not closed")
        result = self.text[self.at : end]
        self.at = end + len(closing)
        return result

    def skip_ignored(self) -> None:
        r"""Skip comments, `\\E`, empty `\\Q\\E`, and under (?x) white space and `#` comments."""
        while True:
            if self.take(b"(?#"):
                self.until(b")", "the comment (?#")
            elif self.take(b"\\E") or self.take(b"\\Q\\E"):
                pass
            elif self.flags.extended and self.sees(b" \t\n\v\f\r"):
                self.at += 1
            elif self.flags.extended and self.take(b"#"):
                end = self.text.find(b"\n", self.at)
                self.at = len(self.text) if end < 0 else end + 1
            else:
                return

    # -- structure ---------------------------------------------------------------------------------------------

    def alternatives(self, *, reset_groups: bool = False) -> Node:
        """Read up to `)` or the end; options set inside hold to the end of the group, later alternatives too."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotReadable("groups nested deeper than PCRE2's limit")
        branches: list[Node] = []
        first_group = last_group = self.opened
        while True:
            branches.append(self.branch())
            last_group = max(last_group, self.opened)
            if not self.take(b"|"):
                break
            if reset_groups:
                self.opened = first_group
        self.opened = last_group
        self.depth -= 1
        return alt(branches)

    def branch(self) -> Node:
        items: list[Node] = []
        while True:
            self.skip_ignored()
            if self.peek() in (-1, ord("|"), ord(")")):
                return concat(items)
            if self.take(b"\\Q"):
                end = self.text.find(b"\\E", self.at)
                literal = self.text[self.at :] if end < 0 else self.text[self.at : end]
                self.at = len(self.text) if end < 0 else end + 2
                items.extend(self.literal(b) for b in literal[:-1])
                items.append(self.quantified(self.literal(literal[-1])))
                continue
            node, repeatable = self.atom()
            items.append(self.quantified(node) if repeatable else self.unquantified(node))

    def literal(self, value: int) -> Chars:
        mask = BIT[value]
        return Chars(fold(mask) if self.flags.caseless else mask)

    # -- quantifiers -------------------------------------------------------------------------------------------

    def bounds(self) -> tuple[int, int | None] | None:
        """Read a quantifier and return its bounds, or None where there is none."""
        self.skip_ignored()
        for sign, low, high in ((b"*", 0, None), (b"+", 1, None), (b"?", 0, 1)):
            if self.take(sign):
                return low, high
        if self.peek() != ord("{"):
            return None
        start = self.at
        self.at += 1
        low_text = self.run(_DECIMAL)
        comma = self.take(b",")
        high_text = self.run(_DECIMAL) if comma else b""
        if low_text and self.take(b"}"):
            low = int(low_text[:99])
            high = (int(high_text[:99]) if high_text else None) if comma else low
            if low > MAX_REPEAT or (high is not None and (high > MAX_REPEAT or high < low)):
                raise NotReadable("the bounds in {} are out of order or beyond 65535")
            return low, high
        self.at = start
        end = self.text.find(b"}", start)
        inside = self.text[start + 1 : end] if end > 0 else b"x"
        if any(c in _DECIMAL for c in inside) and all(c in _DECIMAL + b", \t" for c in inside):
            raise NotReadable("{,n} and spaces in {} (literal before PCRE2 10.43, a quantifier since)")
        return None

    def quantified(self, node: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return node
        mode: RepeatMode = "greedy"
        if self.take(b"?"):
            mode = "lazy"
        elif self.take(b"+"):
            mode = "possessive"
        low, high = bounds
        if isinstance(node, Look):  # an assertion repeats at most once (pcre2pattern, "Assertions")
            low, high = min(low, 1), 1 if high is None else min(high, 1)
        result: Node = Repeat(node, low, high, mode)
        if self.bounds() is not None:
            raise NotReadable("a quantifier follows a quantifier")
        return result

    def unquantified(self, node: Node) -> Node:
        if self.bounds() is not None:
            raise NotReadable("a quantifier follows nothing that can repeat")
        return node

    # -- atoms -------------------------------------------------------------------------------------------------

    def atom(self) -> tuple[Node, bool]:
        """Read one item; the second value says whether a quantifier may follow."""
        c = self.peek()
        self.at += 1
        if c == ord("."):
            return Chars(FULL if self.flags.dotall else NO_NEWLINE), True
        if c == ord("^"):
            return Guard("line-start" if self.flags.multiline else "start"), False
        if c == ord("$"):
            return Guard("line-end" if self.flags.multiline else "end-or-newline"), False
        if c == ord("["):
            return Chars(self.char_class()), True
        if c == ord("("):
            return self.group()
        if c == ord("\\"):
            return self.escape()
        if c in b"*+?":
            raise NotReadable("a quantifier follows nothing that can repeat")
        if c == ord("{"):
            self.at -= 1
            if self.bounds() is not None:
                raise NotReadable("a quantifier follows nothing that can repeat")
            self.at += 1
        return self.literal(c), True

    def escape(self) -> tuple[Node, bool]:  # noqa: C901 - one branch an escape
        c = self.peek()
        if c < 0:
            raise NotReadable("\\ ends the pattern")
        if c in _CLASS_ESCAPES:
            self.at += 1
            return Chars(_CLASS_ESCAPES[c]), True
        if c in _GUARDS:
            self.at += 1
            return Guard(_GUARDS[c]), False
        if c == ord("K"):
            self.at += 1
            if self.looking:
                raise NotReadable("\\K in a lookaround")
            return EMPTY, False
        if c == ord("N"):
            self.at += 1
            if self.take(b"{U") or (self.peek() == ord("{") and self.bounds_ahead() is None):
                raise NotReadable("\\N{...}")
            return Chars(NO_NEWLINE), True
        if c == ord("C"):
            self.at += 1
            return Chars(FULL), True
        if c in b"gk":
            self.at += 1
            return self.reference(c)
        if ord("1") <= c <= ord("9"):
            node = self.numeric_reference()
            if node is not None:
                return node, True
        if c in b"RXpP":
            raise NotReadable(f"\\{chr(c)}")
        return self.literal(self.character(in_class=False)), True

    def bounds_ahead(self) -> tuple[int, int | None] | None:
        start = self.at
        result = self.bounds()
        self.at = start
        return result

    def numeric_reference(self) -> Node | None:
        r"""Read `\\1`: a group, unless it has two digits or more and there are not that many groups so far."""
        start = self.at
        digits = self.run(_DECIMAL)
        number = int(digits[:99])
        if number < 10 or digits[0] in b"89" or number <= self.opened:
            return BackReference(number, self.flags.caseless)
        self.at = start
        return None

    def character(self, *, in_class: bool) -> int:  # noqa: C901 - one branch an escape
        """Read what follows a backslash and stands for one byte."""
        c = self.peek()
        self.at += 1
        if c in _CHARACTER_ESCAPES:
            return _CHARACTER_ESCAPES[c]
        if c == ord("b") and in_class:
            return 8
        if c == ord("0"):
            return int(b"0" + self.run(_OCTAL, 2), 8)
        if ord("1") <= c <= ord("7"):
            self.at -= 1
            value = int(self.run(_OCTAL, 3), 8)
            if value > 255:
                raise NotReadable("an octal number beyond \\377")
            return value
        if c in b"89":
            return c
        if c in b"xo":
            return self.coded(c)
        if c == ord("c"):
            value = self.peek()
            if not 0x20 <= value <= 0x7E:
                raise NotReadable("\\c without a printable character")
            self.at += 1
            return (value - 32 if ord("a") <= value <= ord("z") else value) ^ 0x40
        if c < 0x80 and c in _NAME and c != ord("_"):
            raise NotReadable(f"\\{chr(c)}")
        return c

    def coded(self, kind: int) -> int:
        digits, base = (_HEX, 16) if kind == ord("x") else (_OCTAL, 8)
        if self.take(b"{"):
            self.run(b" \t")
            number = self.run(digits)
            self.run(b" \t")
            if not number or not self.take(b"}") or int(number, base) > 255:
                raise NotReadable(f"\\{chr(kind)}{{...}} beyond one byte or not a number")
            return int(number, base)
        number = self.run(digits, 2)
        if kind == ord("o") or not number:
            raise NotReadable(f"\\{chr(kind)} without a number (its meaning changed between versions)")
        return int(number, 16)

    # -- references and groups ---------------------------------------------------------------------------------

    def reference(self, kind: int) -> tuple[Node, bool]:
        r"""Read the rest of `\\g...` or `\\k...`."""
        pairs = {ord("{"): b"}", ord("<"): b">", ord("'"): b"'"}
        opening = self.peek()
        if opening in pairs:
            self.at += 1
            name = self.until(pairs[opening], "the reference").strip(b" \t")
            call = kind == ord("g") and opening != ord("{")
        elif kind == ord("g"):
            name, call = self.run(b"+-", 1) + self.run(_DECIMAL), False
        else:
            raise NotReadable("\\k without a name")
        return self.named(name, call=call), True

    def named(self, name: bytes, *, call: bool) -> Node:
        """Return the reference to, or the call of, the group with this number, relative number or name."""
        digits = name.lstrip(b"+-")
        if digits.isdigit() and len(digits) < 6:
            number = int(digits)
            if name.startswith(b"-"):
                number = self.opened - number + 1
            elif name.startswith(b"+"):
                number += self.opened
            if number < 0 or (number == 0 and not call):
                raise NotReadable("a reference to a group that does not exist")
        elif name in self.names:
            number = self.names[name]
        elif name and all(c in _NAME for c in name):
            self.pending_names.append((-1 - len(self.pending_names), name))
            number = self.pending_names[-1][0]
        else:
            raise NotReadable("a reference to a group that does not exist")
        return Call(number) if call else BackReference(number, self.flags.caseless)

    def capture(self, name: bytes | None) -> Node:
        """Read the body of a capturing group."""
        self.opened += 1
        number = self.opened
        if name is not None:
            if not name or name[0] in _DECIMAL or any(c not in _NAME for c in name):
                raise NotReadable("a group name that PCRE2 refuses")
            if self.names.setdefault(name, number) != number:
                raise NotReadable("two groups with one name")
        self.groups.setdefault(number, ())
        body = self.body()
        self.groups[number] = (*self.groups[number], body)
        return body

    def body(self, *, reset_groups: bool = False) -> Node:
        """Read alternatives and `)`, with the options of the group kept inside it."""
        outer = self.flags.copy()
        node = self.alternatives(reset_groups=reset_groups)
        if not self.take(b")"):
            raise NotReadable("missing closing parenthesis")
        self.flags = outer
        return node

    def group(self) -> tuple[Node, bool]:  # noqa: C901 - one branch a kind of group
        if self.peek() == ord("*"):
            raise NotReadable("(*...) verbs and options")
        if not self.take(b"?"):
            return (self.body() if self.flags.no_capture else self.capture(None)), True
        for opening, ahead, negative in (
            (b"=", True, False),
            (b"!", True, True),
            (b"<=", False, False),
            (b"<!", False, True),
        ):
            if self.take(opening):
                self.looking += 1
                body = self.body()
                self.looking -= 1
                return Look(body, ahead, negative), True
        if self.take(b":"):
            return self.body(), True
        if self.take(b">"):
            return Atomic(self.body()), True
        if self.take(b"|"):
            return self.body(reset_groups=True), True
        for opening, closing in ((b"<", b">"), (b"P<", b">"), (b"'", b"'")):
            if self.take(opening):
                return self.capture(self.until(closing, "the group name")), True
        for opening, call in ((b"P=", False), (b"P>", True), (b"&", True)):
            if self.take(opening):
                return self.named(self.until(b")", "the reference"), call=call), True
        if self.take(b"R)"):
            return Call(0), True
        if self.sees(_DECIMAL) or (self.sees(b"+-") and self.text[self.at + 1 : self.at + 2].isdigit()):
            return self.named(self.until(b")", "the call"), call=True), True
        if self.sees(b"(C"):
            return self.condition(), True
        return self.options()

    def condition(self) -> Node:
        """Read `(?(condition)yes|no)`: one of the two branches."""
        if not self.take(b"("):
            raise NotReadable("(?C) callouts")
        if self.sees(b"?*"):
            raise NotReadable("a condition that is an assertion")
        self.until(b")", "the condition")
        return Opaque(alt([self.body(), EMPTY]), "(?(...)yes|no) conditional group")

    def options(self) -> tuple[Node, bool]:
        """Read `(?i)`, `(?i-m:...)`, `(?^x)`."""
        flags = self.flags.copy()
        if self.take(b"^"):
            flags = _Flags()
        letters = self.run(b"imsxn")
        flags.set(letters, on=True)
        if self.take(b"-"):
            flags.set(self.run(b"imsxn"), on=False)
        if self.take(b")"):
            self.flags = flags
            return EMPTY, False
        if not self.take(b":"):
            raise NotReadable("a group (?... of a kind this tool does not know")
        outer, self.flags = self.flags, flags
        body = self.body()
        self.flags = outer
        return body, True

    # -- classes -----------------------------------------------------------------------------------------------

    def char_class(self) -> int:
        """Read `...]` after `[` and return the set."""
        negated = self.take(b"^")
        mask, first, quoting = 0, True, False
        while True:
            if self.at >= len(self.text):
                raise NotReadable("missing terminating ] for a class")
            if quoting and self.take(b"\\E"):
                quoting = False
                continue
            if not quoting and self.take(b"\\Q"):
                quoting = True
                continue
            if not quoting and self.take(b"\\E"):
                continue
            if not quoting and self.flags.extended_more and self.sees(b" \t"):
                self.at += 1
                continue
            if not quoting and not first and self.take(b"]"):
                break
            first = False
            item, single = self.class_item(quoting=quoting)
            mask |= self.class_range(item, single=single, quoting=quoting)
        if self.flags.caseless:
            mask = fold(mask)
        return FULL & ~mask if negated else mask

    def class_item(self, *, quoting: bool) -> tuple[int, bool]:
        r"""Read one member: (byte, True), or (set, False) for a class such as `\\d` or `[:alpha:]`."""
        c = self.peek()
        self.at += 1
        if quoting:
            return c, True
        if c == ord("[") and self.peek() in (ord(":"), ord("."), ord("=")):
            mask = self.posix()
            if mask is not None:
                return mask, False
        if c != ord("\\"):
            return c, True
        c = self.peek()
        if c in _CLASS_ESCAPES:
            self.at += 1
            return _CLASS_ESCAPES[c], False
        if c < 0 or c in b"BNRXpPkgKAzZGC":
            raise NotReadable("an escape that a class does not allow")
        return self.character(in_class=True), True

    def posix(self) -> int | None:
        """Read `:alpha:]` after `[`, or return None where it is not one."""
        sign = self.peek()
        end = self.text.find(bytes((sign,)) + b"]", self.at + 1)
        name = self.text[self.at + 1 : end] if end > 0 else b""
        negated = name.startswith(b"^")
        name = name[1:] if negated else name
        if end < 0 or not name or any(c in b"]\\" for c in name):
            return None
        if not name.isalpha():
            if sign != ord(":"):
                return None
            raise NotReadable("an unusual name between [: and :]")
        if sign != ord(":") or name not in _POSIX:
            raise NotReadable("a POSIX class that PCRE2 refuses")
        self.at = end + 2
        mask = _POSIX[name]
        if self.flags.caseless and name in (b"lower", b"upper"):
            mask = _POSIX[b"alpha"]
        return FULL & ~mask if negated else mask

    def class_range(self, item: int, *, single: bool, quoting: bool) -> int:
        """Return the set of an item, or of the range that starts with it."""
        follows = self.text[self.at + 1 : self.at + 2]
        if not quoting and self.peek() == ord("-") and follows not in (b"]", b""):
            if self.text.startswith((b"\\E", b"\\Q"), self.at + 1) or (self.flags.extended_more and follows in b" \t"):
                raise NotReadable("a range around \\Q, \\E or a space in a class")
            self.at += 1
            last, last_single = self.class_item(quoting=False)
            if not single or not last_single or last < item:
                raise NotReadable("a range in a class that PCRE2 refuses")
            return range_mask(item, last)
        if not quoting and single and self.text.startswith((b"\\E-", b"\\Q-", b"\\Q\\E-"), self.at):
            raise NotReadable("a range around \\Q, \\E or a space in a class")
        return BIT[item] if single else item


def parse(pattern: bytes, *, caseless: bool = False) -> Pattern:
    """Read a pattern; NotReadable where PCRE2 refuses it or this module does not know a construct."""
    parser = _Parser(pattern, caseless=caseless)
    if pattern.startswith(b"(*"):
        raise NotReadable("(*...) verbs and options")
    tree = parser.alternatives()
    if parser.at < len(pattern):
        raise NotReadable("unmatched closing parenthesis")
    groups = dict(parser.groups)
    for number, name in parser.pending_names:
        if name not in parser.names:
            raise NotReadable("a reference to a group that does not exist")
        groups[number] = groups[parser.names[name]]
    _check_references(tree, groups)
    for bodies in parser.groups.values():
        for body in bodies:
            _check_references(body, groups)
    groups[0] = (tree,)
    return Pattern(tree, groups)


def _check_references(node: Node, groups: dict[int, tuple[Node, ...]]) -> None:
    """Raise NotReadable where a group is named that is not there."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, BackReference | Call):
            if node.group and node.group not in groups:
                raise NotReadable("a reference to a group that does not exist")
        elif isinstance(node, Concat | Alt):
            stack.extend(node.items)
        elif isinstance(node, Repeat | Look | Atomic):
            stack.append(node.item)
        elif isinstance(node, Opaque):
            stack.append(node.most)
