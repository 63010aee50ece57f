r"""The alphabet: the 256 byte values, ranked by readability, and sets of them as integers.

A set of bytes is an `int` of 256 bits. Bit 0 stands for `a`, the byte a person reads most easily, and the last
bit for `\\n`; so the lowest bit of a set is its most readable member, and witnesses come out readable by themselves.
"""

from __future__ import annotations

_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_PLAIN = _LOWER + _DIGITS + b"-./:_" + _UPPER
_PRINTABLE = bytes(b for b in range(0x21, 0x7F) if b not in _PLAIN)
_ORDER = _PLAIN + _PRINTABLE + b" " + bytes(b for b in range(0x80, 0x100)) + b"\x7f\t"
RANKED = _ORDER + bytes(b for b in range(0x100) if b not in _ORDER and b != 0x0A) + b"\n"
"""The byte of each bit, most readable first."""

_UPPER_SHIFT = RANKED.index(b"A")
FULL = (1 << 256) - 1
"""Every byte."""

BIT: tuple[int, ...] = tuple(1 << RANKED.index(b) for b in range(256))
"""The one-member set of each byte."""


def bytes_mask(members: bytes) -> int:
    """Return the set of these bytes."""
    mask = 0
    for b in members:
        mask |= BIT[b]
    return mask


def range_mask(first: int, last: int) -> int:
    """Return the set of the byte values from first to last, both included."""
    return bytes_mask(bytes(range(first, last + 1)))


def lowest_byte(mask: int) -> int:
    """Return the most readable byte of a non-empty set."""
    return RANKED[(mask & -mask).bit_length() - 1]


def members(mask: int) -> bytes:
    """Return the bytes of a set, most readable first."""
    return bytes(RANKED[i] for i in range(256) if mask >> i & 1)


_RANK = bytes(RANKED.index(b) for b in range(256))


def plainness(text: bytes) -> tuple[int, bytes]:
    """Order strings: shorter first, then the more readable."""
    return len(text), text.translate(_RANK)


LOWER = bytes_mask(_LOWER)
UPPER = bytes_mask(_UPPER)
DIGIT = bytes_mask(_DIGITS)
WORD = LOWER | UPPER | DIGIT | bytes_mask(b"_")
SPACE = bytes_mask(b" \t\n\v\f\r")
NEWLINE = bytes_mask(b"\n")
HORIZONTAL = bytes_mask(b" \t\xa0")
VERTICAL = bytes_mask(b"\n\v\f\r\x85")
NO_NEWLINE = FULL & ~NEWLINE


def fold(mask: int) -> int:
    """Add the other case of each ASCII letter (PCRE2_CASELESS without UTF, in the C locale)."""
    return mask | (mask & LOWER) << _UPPER_SHIFT | (mask & UPPER) >> _UPPER_SHIFT


def to_bytes(text: str | bytes) -> bytes:
    """Return the bytes of a Latin-1 `str`; a character beyond U+00FF is taken as its UTF-8 bytes."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
