"""A pattern cut into its tokens with their columns: what an explanation points at and a repair replaces."""

from __future__ import annotations

from typing import Literal, NamedTuple

TokenKind = Literal["literal", "escape", "dot", "class", "start", "end", "open", "close", "or", "quantifier"]


class Token(NamedTuple):
    """One token: its text, where it begins (0-based offset), and how many groups it is inside."""

    kind: TokenKind
    text: str
    at: int
    depth: int

    @property
    def end(self) -> int:
        """The offset after the token."""
        return self.at + len(self.text)


def tokens(pattern: str) -> tuple[Token, ...]:
    """Cut a pattern that the parser has accepted; never raises, what is odd becomes literals."""
    result: list[Token] = []
    at = depth = 0
    while at < len(pattern):
        kind, length = _next(pattern, at, result)
        if kind == "close":
            depth = max(0, depth - 1)
        result.append(Token(kind, pattern[at : at + length], at, depth))
        if kind == "open" and not _complete(pattern[at : at + length]):
            depth += 1
        at += length
    return tuple(result)


def _complete(opening: str) -> bool:
    return opening.endswith(")")


def _next(pattern: str, at: int, before: list[Token]) -> tuple[TokenKind, int]:
    c = pattern[at]
    single: dict[str, TokenKind] = {".": "dot", "^": "start", "$": "end", ")": "close", "|": "or"}
    if c in single:
        return single[c], 1
    if c == "\\":
        return _escape(pattern, at)
    if c == "[":
        return "class", _class_length(pattern, at)
    if c == "(":
        return "open", _open_length(pattern, at)
    if c in "*+?{" and before and before[-1].kind not in ("open", "or", "start"):
        length = 1
        if c == "{":
            closing = pattern.find("}", at)
            inside = pattern[at + 1 : closing] if closing > 0 else ""
            if not inside or not all(x.isdigit() or x == "," for x in inside) or inside.startswith(","):
                return "literal", 1
            length = closing - at + 1
        if pattern[at + length : at + length + 1] in ("?", "+"):
            length += 1
        return "quantifier", length
    return "literal", 1


def _escape(pattern: str, at: int) -> tuple[TokenKind, int]:
    after = pattern[at + 1 : at + 2]
    if after in ("A", "G"):
        return "start", 2
    if after in ("z", "Z"):
        return "end", 2
    if after == "Q":
        closing = pattern.find("\\E", at)
        return "escape", (len(pattern) if closing < 0 else closing + 2) - at
    if after and after in "xogkNpP" and pattern[at + 2 : at + 3] in ("{", "<", "'"):
        closing = min((i for i in (pattern.find(e, at + 3) for e in "}>'") if i > 0), default=len(pattern) - 1)
        return "escape", closing - at + 1
    if after == "x":
        length = 2
        while length < 4 and pattern[at + length : at + length + 1] in tuple("0123456789abcdefABCDEF"):
            length += 1
        return "escape", length
    return "escape", min(2, len(pattern) - at)


def _class_length(pattern: str, at: int) -> int:
    i = at + 1
    if pattern[i : i + 1] == "^":
        i += 1
    if pattern[i : i + 1] == "]":
        i += 1
    while i < len(pattern) and pattern[i] != "]":
        if pattern[i] == "\\":
            i += 1
        elif pattern[i : i + 2] == "[:":
            closing = pattern.find(":]", i)
            i = closing + 1 if closing > 0 else i
        i += 1
    return min(i + 1, len(pattern)) - at


def _open_length(pattern: str, at: int) -> int:
    if pattern[at + 1 : at + 2] != "?":
        return 1
    i = at + 2
    if pattern[i : i + 1] == "#":
        closing = pattern.find(")", i)
        return (len(pattern) if closing < 0 else closing + 1) - at
    for opening in ("<=", "<!", "=", "!", ":", ">", "|"):
        if pattern.startswith(opening, i):
            return i + len(opening) - at
    while i < len(pattern) and pattern[i] not in ":)>'(":
        i += 1
        if pattern[i - 1] == "'" and i > at + 3:
            return i - at
    return min(i + 1, len(pattern)) - at


def literal_text(token: Token) -> str | None:
    """Return the character a token stands for, None where it is not one character."""
    if token.kind == "literal":
        return token.text
    if token.kind == "escape" and len(token.text) == 2 and not token.text[1].isalnum():
        return token.text[1]
    return None


def following_text(cut: tuple[Token, ...], index: int) -> str:
    """Return the literal text right after a token, up to the first dot in it."""
    text = ""
    for token in cut[index + 1 :]:
        character = literal_text(token)
        if character is None or (character == "." and text):
            break
        text += character
    return text


def preceding_text(cut: tuple[Token, ...], index: int) -> str:
    """Return the literal text right before a token, from the last dot or slash in it."""
    text = ""
    for token in reversed(cut[:index]):
        character = literal_text(token)
        if character is None or (character in "./" and text):
            break
        text = character + text
    return text
