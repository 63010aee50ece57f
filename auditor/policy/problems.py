"""What pydantic found wrong, said with the path, the place and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from auditor.errors import Problem
from auditor.policy.document import Node, join
from auditor.policy.model import TARGET_MODELS

_FORMS = {
    "^[A-Za-z0-9][A-Za-z0-9_.-]*$": ("is no id", "letters, digits, dots, hyphens and underscores, such as W-14"),
    "^/[!-~]*$": ("is not a path", "it starts with a slash and has no spaces, such as /api/health"),
    r"^[0-9]+\.[0-9]+(\.[0-9]+)?$": ("is not a version", "such as 1.28 or 1.28.0"),
    "^(client_ip|header:[A-Za-z0-9-]+)$": ("is no key of a limit", "client_ip, or header:NAME"),
    "^(unknown:)?[0-9a-f]{8,64}$": ("is not a fingerprint", "copy it from the report of the finding"),
}
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_from_float": "a whole number",
}


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


def explain(error: ValidationError, root: Node, model: type[BaseModel]) -> tuple[Problem, ...]:
    """Return one problem per mistake, in pydantic's order."""
    details = [detail for detail in error.errors(include_url=False) if not _only_follows(detail, root)]
    return tuple(_problem(detail, root, model) for detail in details)


def _only_follows(detail: ErrorDetails, root: Node) -> bool:
    """Whether a list is called too short only because its items are wrong, or a target only goes by its id."""
    node = _walk(root, detail["loc"])[0]
    if detail["type"] == "too_short":
        return bool(node.value)
    return detail["loc"][0] == "targets" and len(detail["loc"]) == 2 and isinstance(node.value, str)


def _walk(root: Node, loc: Sequence[str | int]) -> tuple[Node, str, list[str | int], bool]:
    """Follow pydantic's loc, skipping what is not in the document (union tags, long forms of shorthands)."""
    node, path, seen, is_key = root, "", list[str | int](), False
    for index, step in enumerate(loc):
        if step == "[key]":
            is_key = True
            continue
        if index == 2 and loc[0] == "targets" and step in TARGET_MODELS:
            continue
        if isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        elif isinstance(step, str) and step in node.entries:
            node = node.entries[step]
        else:
            continue
        path = join(path, step)
        seen.append(step)
    return node, path, seen, is_key


def _problem(detail: ErrorDetails, root: Node, model: type[BaseModel]) -> Problem:
    kind, loc = detail["type"], detail["loc"]
    context: dict[str, Any] = detail.get("ctx", {})
    node, path, seen, is_key = _walk(root, loc)
    place = (node.key or node.place) if is_key or kind == "extra_forbidden" else node.place
    if kind == "missing":
        place = node.key or node.place if not seen or isinstance(seen[-1], str) else node.place
        needed = str(loc[-1])
        return Problem(f"{path or 'the policy'} has no {needed!r}", place, f"add {needed}: …", path)
    if kind == "extra_forbidden":
        known = fields_at(model, seen[:-1], root)
        hint = did_you_mean(str(loc[-1]), known) or (
            f"known here: {', '.join(sorted(known))}" if known else "remove it"
        )
        if loc[-1] == "<<":
            hint = "merge keys are not YAML 1.2: repeat the keys, or use extends"
        return Problem(f"unknown key {str(loc[-1])!r}", place, hint, path)
    message, hint = _say(kind, node, context, detail["msg"])
    return Problem(message, place, hint, path)


def _say(kind: str, node: Node, context: dict[str, Any], message: str) -> tuple[str, str]:
    """Return what is wrong with a value, and what to write."""
    value = _brief(node)
    if kind == "policy":
        return str(context["message"]), str(context["hint"])
    if kind == "value_error":
        sentence, _, hint = str(context["error"]).partition(": ")
        return sentence, hint
    if kind in _CHOICES:
        return _say_choice(kind, node, context)
    if kind in _WANTED:
        return f"{value} is not {_WANTED[kind]}", _type_hint(kind, node)
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        form, hint = _FORMS.get(pattern, ("is not written as this key wants it", f"it has to match {pattern}"))
        return f"{value} {form}", hint
    if kind in {"string_too_short", "too_short"}:
        return "empty", "give at least one item" if kind == "too_short" else "write some text, or delete the key"
    return f"{value}: {message[:1].lower()}{message[1:]}", ""


_CHOICES = frozenset({"choice", "literal_error", "union_tag_invalid", "union_tag_not_found"})


def _say_choice(kind: str, node: Node, context: dict[str, Any]) -> tuple[str, str]:
    value = _brief(node)
    if kind == "choice":
        return _choice(value, str(context["value"]), list(context["choices"]))
    if kind == "union_tag_invalid":
        return _choice(repr(context["tag"]), str(context["tag"]), sorted(TARGET_MODELS))
    if kind == "union_tag_not_found":
        return "a target without type", f"add type: one of {', '.join(sorted(TARGET_MODELS))}"
    choices = [text.strip("'") for text in str(context["expected"]).replace(" or ", ", ").split(", ")]
    if isinstance(node.value, str) and choices == ["1"]:
        return f"{value} is text", "write 1, without quotes"
    if not isinstance(node.value, str) and node.text in choices:
        return f"{value} is not text", f'put it in quotes: "{node.text}"'
    return _choice(value, str(node.value), choices)


def _choice(shown: str, value: str, choices: list[str]) -> tuple[str, str]:
    if len(choices) == 1:
        return f"{shown} is not {choices[0]}", f"{choices[0]} is the only value here"
    return f"{shown} is not one of {', '.join(choices)}", did_you_mean(value, choices)


def _brief(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, tuple):
        return "a list"
    text = node.text if node.text and not isinstance(node.value, str) else node.value
    shown = repr(text) if isinstance(node.value, str) else str(text)
    return shown if len(shown) <= 120 else f"{shown[:117]}…"


def _type_hint(kind: str, node: Node) -> str:
    if kind == "string_type" and isinstance(node.value, int | float):
        return f'put it in quotes: "{node.text or node.value}"'
    if kind == "tuple_type":
        return f"write [{node.text}]" if isinstance(node.value, str) else "write [a, b], or one - a line"
    if isinstance(node.value, str) and kind in {"int_type", "float_type", "bool_type"}:
        return "write it without quotes"
    return ""


def fields_at(model: type[BaseModel], steps: Sequence[str | int], root: Node) -> list[str]:
    """Return the keys that the model knows at a place of the document; none where any key will do."""
    kind: Any = model
    node = root
    for step in steps:
        kind = _below(_choose(kind, node), step)
        node = node.items[step] if isinstance(step, int) else node.entries[step]
        if kind is None:
            return []
    found = _choose(kind, node)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return []
    return list(found.model_fields)


def _strip(kind: Any) -> list[Any]:
    """Return the alternatives of a type, without Annotated and None."""
    if get_origin(kind) is Annotated:
        return _strip(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [inner for part in get_args(kind) if part is not type(None) for inner in _strip(part)]
    return [] if get_origin(kind) is Literal else [kind]


def _choose(kind: Any, node: Node) -> Any:
    options = _strip(kind)
    if len(options) > 1:
        tag = node.get("type")
        return TARGET_MODELS.get(str(tag.value)) if tag is not None else None
    return options[0] if options else None


def _below(kind: Any, step: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel) and get_origin(kind) is None:
        field = kind.model_fields.get(str(step))
        return field.annotation if field else None
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return arguments[0]
    return arguments[1] if get_origin(kind) is dict else None
