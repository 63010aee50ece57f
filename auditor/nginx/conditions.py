"""Reads the condition of an `if` into its parts (ngx_http_rewrite_if_condition, ngx_http_rewrite_module.c)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Part = tuple[str, int, str, str]
"""What ("wrong", "variable", "value", "regex", "caseless"), index of the argument, text, hint."""

_OPERATORS = {"=": "value", "!=": "value", "~": "regex", "!~": "regex", "~*": "caseless", "!~*": "caseless"}


def read(args: Sequence[str]) -> Iterator[Part]:  # noqa: C901 - nginx decides in this order
    """Yield the parts of a condition: its variable, its value or its regular expression, or what is wrong with it."""
    words = list(args)
    hint = 'write for example: if ($variable = "value")'
    current, last = 0, len(words) - 1
    if not words[0].startswith("("):
        yield "wrong", 0, "the condition does not begin with (", hint
        return
    if words[0] == "(":
        current = 1
    else:
        words[0] = words[0][1:]
    if not words[last].endswith(")"):
        yield "wrong", last, "the condition does not end with )", hint
        return
    if words[last] == ")":
        last -= 1
    else:
        words[last] = words[last][:-1]
    if current > last:
        yield "wrong", 0, "the condition is empty", hint
        return
    word = words[current]
    if len(word) > 1 and word[0] == "$":
        if last not in {current, current + 2}:
            yield "wrong", current, "the condition is not a variable, or a variable, an operator and a value", hint
            return
        yield "variable", current, word[1:], ""
        if last == current:
            return
        kind = _OPERATORS.get(words[current + 1])
        if kind is None:
            yield "wrong", current + 1, f'"{words[current + 1]}" is not an operator', "write =, !=, ~, ~*, !~ or !~*"
            return
        yield kind, last, words[last], ""
    elif word in {"-f", "-d", "-e", "-x", "!-f", "!-d", "!-e", "!-x"}:
        if last != current + 1:
            yield (
                "wrong",
                current,
                "the condition is not an operator and a file",
                "write for example: if (-f $request_filename)",
            )
            return
        yield "value", last, words[last], ""
    else:
        yield "wrong", current, f'"{word}" begins no condition', hint
