"""What is wrong with a value, in words: what it is, what it is not, the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.policy.document import Node


class Mistake(ValueError):  # noqa: N818 - of the person who wrote the file, in the words of its reader
    """A value that is wrong, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the sentence and the hint apart."""
        super().__init__(message)
        self.hint = hint


def said(error: ValueError) -> tuple[str, str]:
    """Return the sentence and the hint of an error; in the text of one that is no Mistake a colon parts them."""
    if isinstance(error, Mistake):
        return str(error), error.hint
    sentence, _, hint = str(error).partition(": ")
    return sentence, hint


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the closest known word, or ""."""
    import difflib  # noqa: PLC0415 - only where something is misspelt

    words = list(known) if len(word) <= 100 else []
    close = difflib.get_close_matches(word, words, 1, 0.6) or [
        other for other in words if _letters(other) == _letters(word)
    ]
    return f"did you mean {close[0]!r}?" if close else ""


def _letters(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def brief(node: Node) -> str:
    """Return a value as a sentence names it."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, tuple):
        return "a list"
    text = node.text if node.text and not isinstance(node.value, str) else node.value
    shown = repr(text) if isinstance(node.value, str) else str(text)
    return shown if len(shown) <= 120 else f"{shown[:117]}…"


def not_text(node: Node) -> Mistake:
    """Return what to say of a value that should be text."""
    number = isinstance(node.value, int | float)
    return Mistake(f"{brief(node)} is not text", f'put it in quotes: "{node.text or node.value}"' if number else "")


def not_plain(node: Node, wanted: str) -> Mistake:
    """Return what to say of a value that should be a number, or true or false."""
    hint = "write it without quotes" if isinstance(node.value, str) else ""
    return Mistake(f"{brief(node)} is not {wanted}", hint)


def not_a_list(node: Node) -> Mistake:
    """Return what to say of a value that should be a list."""
    hint = f"write [{node.text}]" if isinstance(node.value, str) else "write [a, b], or one - a line"
    return Mistake(f"{brief(node)} is not a list", hint)


def not_one_of(node: Node, choices: Sequence[str]) -> Mistake:
    """Return what to say of a value that should be one of a few words, or a number where that is the only choice."""
    shown, is_text = brief(node), isinstance(node.value, str)
    if is_text and list(choices) == ["1"]:
        return Mistake(f"{shown} is text", "write 1, without quotes")
    if not is_text and node.text in choices:
        return Mistake(f"{shown} is not text", f'put it in quotes: "{node.text}"')
    if len(choices) == 1:
        return Mistake(f"{shown} is not {choices[0]}", f"{choices[0]} is the only value here")
    return Mistake(f"{shown} is not one of {', '.join(choices)}", did_you_mean(node.word, choices))


def unknown_key(name: str, known: Iterable[str]) -> Mistake:
    """Return what to say of a key that nothing is known about."""
    if name == "<<":
        return Mistake(f"unknown key {name!r}", "merge keys are not YAML 1.2: repeat the keys, or use extends")
    return Mistake(f"unknown key {name!r}", did_you_mean(name, known) or f"known here: {', '.join(sorted(known))}")
