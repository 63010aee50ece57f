"""Checks the values of arguments as nginx's own readers of numbers, sizes, times and flags do.

A checker takes the arguments of one directive and yields complaints: (index of the argument, message, hint).
Sources: ngx_conf_set_*_slot (src/core/ngx_conf_file.c), ngx_parse.c, ngx_string.c.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence

from auditor.nginx.regex import Regex, RegexError

Complaint = tuple[int, str, str]
Checker = Callable[[Sequence[str], str], Iterator[Complaint]]

_LARGEST = 2**63 - 1
_SECONDS = {"y": 31536000, "M": 2592000, "w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
_TIME_PART = re.compile(r"(\d*)(ms|[yMwdhms]|(?<=\d) |$)\s*")
_ORDER = ("y", "M", "w", "d", "h", "m", "s", "ms")


def number(text: str) -> int | None:
    """Read a number as ngx_atoi does; None where it is not one."""
    if (
        not text.isascii()
        or not text.isdigit()
        or (len(text) > 18 and int(text[:20]) * 10 ** max(len(text) - 20, 0) > _LARGEST)
    ):
        return None
    return int(text)


def size(text: str, units: str = "kKmM") -> int | None:
    """Read a size in bytes as ngx_parse_size does (ngx_parse_offset with units "kKmMgG")."""
    scale = 1
    if text and text[-1] in units:
        scale = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[text[-1].lower()]
        text = text[:-1]
    value = number(text)
    return None if value is None or value > _LARGEST // scale else value * scale


def seconds(text: str, *, whole: bool) -> float | None:
    """Read a time as ngx_parse_time does, in seconds; `whole`: milliseconds are refused, years and months allowed."""
    position = 0
    step = -1 if whole else _ORDER.index("M")
    total = 0.0
    digits = False
    while position < len(text):
        match = _TIME_PART.match(text, position)
        if match is None or match.end() == position:
            return None
        amount, unit = match[1], match[2].strip()
        digits = digits or bool(amount)
        if len(amount) > 18:
            return None
        if match[2]:
            rank = _ORDER.index(unit or "s") if unit or match[2] == " " else 0
            if rank <= step or (unit == "ms" and whole):
                return None
            step = rank if unit else len(_ORDER)
        total += int(amount or 0) * (0.001 if unit == "ms" else _SECONDS[unit])
        position = match.end()
    return total if digits and total * (1 if whole else 1000) <= _LARGEST else None


def _flag(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    if args[0].partition("\0")[0].lower() not in {"on", "off"}:
        yield 0, f'"{args[0]}" is neither "on" nor "off"', 'write "on" or "off"'


def _number(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    value = number(args[0])
    if value is None:
        yield 0, f'"{args[0]}" is not a number', "write digits only"
    elif detail:
        low, high = (int(n) for n in detail.split("-"))
        if not low <= value <= high:
            yield 0, f"{value} is out of range", f"write a number from {low} to {high}"


def _size(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    if size(args[0]) is None:
        yield 0, f'"{args[0]}" is not a size', 'write bytes, or a number with "k" or "m"'


def _offset(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    if size(args[0], "kKmMgG") is None:
        yield 0, f'"{args[0]}" is not a size', 'write bytes, or a number with "k", "m" or "g"'


def _milliseconds(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    if seconds(args[0], whole=False) is None:
        yield 0, f'"{args[0]}" is not a time', 'write seconds, or numbers with "ms", "s", "m", "h", "d" or "w"'


def _seconds(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    if seconds(args[0], whole=True) is None:
        yield 0, f'"{args[0]}" is not a time in whole seconds', 'write seconds, or numbers with "s", "m", "h", "d" …'


def _buffers(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    if not number(args[0]):
        yield 0, f'"{args[0]}" is not a number of buffers', "write a positive number, then the size of one"
    if not size(args[1]):
        yield 1, f'"{args[1]}" is not a size', 'write bytes, or a number with "k" or "m"'


def _one(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    if args[0].lower() not in _words(detail):
        yield 0, f'"{args[0]}" is not one of its values', "write one of: " + detail.replace(",", ", ")


def _set(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    words = _words(detail)
    for index, arg in enumerate(args):
        if arg.lower() not in words:
            yield index, f'"{arg}" is not one of its values', "write some of: " + detail.replace(",", ", ")


def _values(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    for index in range(len(args)):
        yield from variable_complaints(args, index)


def _amount(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    yield from _values(args, detail) if "$" in args[0] else _size(args, detail)


def _pool(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    yield from _size(args, detail)
    value = size(args[0])
    if value is not None and (value % 16 or value < _SMALLEST_POOL):
        yield 0, f'"{args[0]}" is not a size for a pool', "write a multiple of 16, at least 112"


def _power(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    value = size(args[0])
    if value is None or value not in [512 << n for n in range(int(detail))]:
        yield (
            0,
            f'"{args[0]}" is not a power of two in its range',
            f"write 512, 1k, 2k, … {512 << (int(detail) - 1):,} bytes",
        )


def _positive(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    if not size(args[0]):
        yield 0, f'"{args[0]}" is not a positive size', f"write bytes, or a number with k or m{detail}"


_SMALLEST_POOL = 112


def _access(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    for index, arg in enumerate(args):
        if re.fullmatch(r"(?:user|group):rw?|(?:all:)?rw?|(?:user|group|all):rw?", arg) is None:
            yield index, f'"{arg}" is not an access right', 'write for example "user:rw"'


def _path(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del detail
    levels = [number(arg) for arg in args[1:]]
    for index, level in enumerate(levels, 1):
        if not level:
            yield index, f'"{args[index]}" is not a number of characters', "write 1, 2 or 3 for each level"
    if None not in levels and sum(n for n in levels if n) + len(levels) > _LONGEST_LEVELS:
        yield 1, "the levels are too long", "the levels together have at most 12 characters"


_LONGEST_LEVELS = 12


@functools.cache
def _words(detail: str) -> frozenset[str]:
    return frozenset(detail.lower().split(","))


def _nothing(args: Sequence[str], detail: str) -> Iterator[Complaint]:
    del args, detail
    return iter(())


KINDS: dict[str, Checker] = {
    "flag": _flag,
    "num": _number,
    "size": _size,
    "offset": _offset,
    "msec": _milliseconds,
    "sec": _seconds,
    "buffers": _buffers,
    "one": _one,
    "set": _set,
    "value": _values,
    "values": _values,
    "amount": _amount,
    "pool": _pool,
    "power": _power,
    "positive": _positive,
    "access": _access,
    "path": _path,
}
"""How the arguments of each kind are checked; of kinds not named here nothing is known that nginx would refuse."""

ONCE = frozenset(
    {
        "flag",
        "num",
        "size",
        "offset",
        "msec",
        "sec",
        "buffers",
        "one",
        "value",
        "amount",
        "pool",
        "power",
        "positive",
        "string",
        "access",
        "path",
        "bind",
    }
)
"""Kinds that may stand only once in a block."""

_VARIABLE = re.compile(r"\$(?:([1-9])|\{([A-Za-z0-9_]*+)(\}?)|([A-Za-z0-9_]*+))")


def variables(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a value, lower case as nginx looks them up; captures as "1" to "9"."""
    if "$" not in text:
        return ()
    return tuple((m[1] or m[2] or m[4] or "").lower() for m in _VARIABLE.finditer(text))


def variable_complaints(args: Sequence[str], index: int) -> Iterator[Complaint]:
    """Complain about a "$" that begins no variable (ngx_http_script_compile)."""
    text = args[index]
    if "$" not in text:
        return
    for match in _VARIABLE.finditer(text):
        if match[2] is not None and not match[3]:
            yield index, f'the brace of "{match[0]}" is not closed', 'write "${name}"'
        elif not (match[1] or match[2] or match[4]):
            yield (
                index,
                f'a "$" without a name in "{text}"',
                'name a variable; for a dollar sign, define one with geo: geo $dollar { default "$"; }',
            )


@functools.lru_cache(maxsize=4096)
def regex(pattern: str, *, caseless: bool = False) -> tuple[str, tuple[str, ...], int]:
    """Compile a pattern; return why PCRE2 refuses it, or "", the names of its groups, and how many groups it has."""
    compiled = Regex(pattern, caseless=caseless)
    try:
        compiled.compile()
    except (RegexError, UnicodeError) as error:
        return str(error) or "it does not compile", (), 0
    names = tuple(part for pair in compiled.names for part in pair if isinstance(part, str))
    return "", names, compiled.groups


def regex_complaints(index: int, pattern: str, *, caseless: bool = False) -> Iterator[Complaint]:
    """Complain about a pattern that PCRE2 does not compile."""
    if reason := regex(pattern, caseless=caseless)[0]:
        yield index, f'"{pattern}" is not a regular expression: {reason}', "correct the pattern (PCRE2 syntax)"


def parameter(args: Sequence[str], index: int, known: str) -> Complaint:
    """Return the complaint that a directive has no such parameter."""
    return index, f'"{args[index]}" is not one of its parameters', f"it takes {known}"


def all_values(args: Sequence[str], _: str) -> Iterator[Complaint]:
    """Complain about variables in all arguments."""
    for index in range(len(args)):
        yield from variable_complaints(args, index)


def last_value(args: Sequence[str], _: str) -> Iterator[Complaint]:
    """Complain about variables in the last argument."""
    yield from variable_complaints(args, len(args) - 1)


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())
