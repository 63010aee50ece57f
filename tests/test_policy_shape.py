"""Values read by the annotations of a class, against pydantic in its strict mode: both take and refuse the same."""

from dataclasses import field
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.policy.document import Node
from auditor.policy.shape import Form, Judged, Kinds, Length, Model, Range, read


def upper(text: str) -> str:
    """Return text that is in upper case; raises ValueError for other text."""
    if text != text.upper():
        raise ValueError(f"{text!r} is not in upper case: write {text.upper()!r}")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Model):
    """A mapping inside another."""

    on: bool
    word: Literal["a", "b"] = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(Model):
    """One of two kinds."""

    kind: Literal["left"]
    size: Annotated[int, Range(9, least=1)] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Right(Model):
    """The other of two kinds."""

    kind: Literal["right"]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours(Model):
    """Everything that an annotation can say."""

    text: Annotated[str, Length(1, 3)] = "x"
    form: Annotated[str, Form("^[a-c]+$", "is no word", "of a, b, c")] = "a"
    loud: Annotated[str, Judged(upper)] = "A"
    whole: int | None = None
    share: Annotated[float, Range(10, positive=True)] = 1.0
    flag: bool = False
    one: Literal[1] = 1
    yes: Literal[True] | None = None
    items: Annotated[tuple[int, ...], Length(1)] = (1,)
    named: dict[Annotated[str, Judged(upper)], float] = field(default_factory=dict)
    any: str | bool | int | float = ""
    inner: Inner | None = None
    sides: tuple[Annotated[Left | Right, Kinds("kind", "a side")], ...] = ()


class Strict(pydantic.BaseModel):
    """Settings of the same by pydantic."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid")


class TheirInner(Strict):
    """`Inner`."""

    on: bool
    word: Literal["a", "b"] = "a"


class TheirLeft(Strict):
    """`Left`."""

    kind: Literal["left"]
    size: Annotated[int, pydantic.Field(ge=1, le=9)] = 1


class TheirRight(Strict):
    """`Right`."""

    kind: Literal["right"]
    names: tuple[str, ...] = ()


class Theirs(Strict):
    """`Ours`."""

    text: Annotated[str, pydantic.Field(min_length=1, max_length=3)] = "x"
    form: Annotated[str, pydantic.Field(pattern="^[a-c]+$")] = "a"
    loud: Annotated[str, pydantic.AfterValidator(upper)] = "A"
    whole: int | None = None
    share: Annotated[float, pydantic.Field(gt=0, le=10)] = 1.0
    flag: bool = False
    one: Literal[1] = 1
    yes: Literal[True] | None = None
    items: Annotated[tuple[int, ...], pydantic.Field(min_length=1)] = (1,)
    named: dict[Annotated[str, pydantic.AfterValidator(upper)], float] = pydantic.Field(default_factory=dict)
    any: str | bool | int | float = ""
    inner: TheirInner | None = None
    sides: tuple[Annotated[TheirLeft | TheirRight, pydantic.Field(discriminator="kind")], ...] = ()


def tree(value: Any) -> Node:
    """Return plain values as nodes, the places of which are their own."""
    place = Location("p.yaml", 1)
    if isinstance(value, dict):
        return Node({key: tree(item) for key, item in value.items()}, place)
    if isinstance(value, tuple):
        return Node(tuple(tree(item) for item in value), place)
    return Node(value, place, text="" if isinstance(value, str) else str(value))


def plain(value: Any) -> Any:
    """Return what was read without its classes."""
    if isinstance(value, Model):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]
    if isinstance(value, pydantic.BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return tuple(plain(item) for item in value) if isinstance(value, tuple) else (type(value), value)


SCALARS = st.sampled_from(
    ["", "a", "ab", "abcd", "A", "b\n", "left", "right", "é", 0, 1, -1, 9, 10, 11, 0.5, True, False]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["on", "word", "kind", "size", "names", "A", "a", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from([*Theirs.model_fields, "other"]), VALUES, max_size=2)


@given(DOCUMENTS)
@example(
    {"inner": {"on": True, "word": "b"}, "sides": ({"kind": "left", "size": 9}, {"kind": "right", "names": ("a",)})}
)
@example({"one": True})
@example({"yes": 1})
@example({"form": "a\n"})
@example({"share": 1, "named": {"A": 1}})
@settings(max_examples=400)
def test_what_pydantic_takes_is_taken_and_what_it_refuses_refused(document: dict[str, Any]) -> None:
    """The same values come of it, and each mistake has its path."""
    made, problems = read(Ours, tree(document))
    if any(
        document.get(name) == 1 and type(document[name]) is not kind for name, kind in (("one", int), ("yes", bool))
    ):
        assert problems  # to JSON Schema, and so to editors, `true` is not 1; to pydantic it is
        return
    try:
        expected = Theirs.model_validate(document)
    except pydantic.ValidationError as error:
        assert made is None
        places = {str(detail["loc"][0]) for detail in error.errors()}
        assert {problem.path.partition(".")[0].partition("[")[0] for problem in problems} == places
    else:
        assert problems == ()
        assert plain(made) == plain(expected)


@pytest.mark.parametrize(
    ("document", "path", "message", "hint"),
    [
        ({"text": ""}, "text", "empty", "write some text, or delete the key"),
        ({"text": "abcd"}, "text", "'abcd' is longer than 3 characters", ""),
        ({"items": ()}, "items", "empty", "give at least one item"),
        ({"form": "x"}, "form", "'x' is no word", "of a, b, c"),
        ({"loud": "x"}, "loud", "'x' is not in upper case", "write 'X'"),
        ({"share": 0}, "share", "0 is not greater than 0", ""),
        ({"share": 11.0}, "share", "11.0 is not a number to 10", ""),
        ({"any": ()}, "any", "a list is not text, true or false, or a number", ""),
        ({"yes": False}, "yes", "False is not true", "true is the only value here"),
        ({"one": "1"}, "one", "'1' is text", "write 1, without quotes"),
        ({"named": {"a": 1}}, "named.a", "'a' is not in upper case", "write 'A'"),
        ({"inner": {}}, "inner", "inner has no 'on'", "add on: …"),
        ({"sides": (3,)}, "sides[0]", "3 is not a mapping", ""),
        ({"sides": ({},)}, "sides[0]", "a side without kind", "add kind: one of left, right"),
        ({"sides": ({"kind": "lift"},)}, "sides[0]", "'lift' is not one of left, right", "did you mean 'left'?"),
        ({"sides": ({"kind": "left", "size": 10},)}, "sides[0].size", "10 is not a number from 1 to 9", ""),
        ({"txet": 1}, "txet", "unknown key 'txet'", "did you mean 'text'?"),
    ],
)
def test_each_mistake_is_said_in_words(document: dict[str, Any], path: str, message: str, hint: str) -> None:
    """What it is, and what to write."""
    made, (problem,) = read(Ours, tree(document))
    assert made is None
    assert (problem.path, problem.message, problem.hint) == (path, message, hint)
