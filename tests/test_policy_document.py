"""YAML 1.2 with places: against ruamel.yaml, an independent reader of the same version, and against hostile input."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from auditor.policy.document import Node, core_scalar, find, join, parse, steps

TEXTS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Co", "Cn")), max_size=8
)
PLAIN = st.sampled_from(
    [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "True",
        "TRUE",
        "true",
        "False",
        "null",
        "Null",
        "~",
        "NULL",
        "12",
        "+12",
        "-7",
        "0o17",
        "0x1F",
        "0777",
        "1e3",
        "1.5",
        ".5",
        "-.5",
        "1.",
        ".inf",
        "-.INF",
        ".nan",
        "2027-02-01",
        "12:30",
        "1.2.3",
        "a-b",
        "nosniff",
        "10/s",
        "1_0",
        "0b1",
        "0O7",
        "tRue",
        "nuLL",
        "-",
        "a",
    ]
)


def plain(text: str) -> object:
    """Return a document's value, which has to be readable."""
    root, problems = parse(text, "p.yaml")
    assert not problems
    return root.plain() if root else None


def theirs(text: str) -> object:
    """Return the value that ruamel.yaml reads, sequences as tuples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuples(YAML(typ="safe", pure=True).load(text))


def tuples(value: object) -> object:
    """Return the value with tuples for lists."""
    if isinstance(value, dict):
        return {str(key): tuples(item) for key, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"), ("on", "on"), ("off", "off"), ("2027-02-01", "2027-02-01"), ("12:30", "12:30"),
        ("0777", 777), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("0b1", "0b1"), ("1.", 1.0), (".5", 0.5), ("+12", 12),
        ("~", None), ("", None), ("Null", None), ("nUll", "nUll"), ("TRUE", True), ("tRue", "tRue"), ("1e3", 1000.0),
        ("-.INF", -math.inf), ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema(written: str, value: object) -> None:
    """YAML 1.2.2 §10.3.2: only what its table lists is anything but a string."""
    assert core_scalar(written) == value
    assert type(core_scalar(written)) is type(value)


NESTED = st.recursive(
    PLAIN | TEXTS.map(lambda text: "'" + text.replace("'", "''") + "'"),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(st.sampled_from(["a", "b", "c d", "x-y"]), inner, max_size=3).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
        )
    ),
    max_leaves=12,
)


@given(NESTED)
@settings(max_examples=150)
def test_documents_read_as_another_reader_of_yaml_12_reads_them(text: str) -> None:
    """Where ruamel.yaml departs from the specification's table (1_0, 0b1, 0O7, 12:30, dates, 1.), the table holds."""
    departs = ("1_0", "0b1", "0O7", "2027-02-01", "12:30")
    try:
        expected = theirs(text)
    except (YAMLError, ValueError):
        return
    if not any(word in text for word in departs):
        assert repr(plain(text)) == repr(expected)


def test_every_key_and_value_knows_its_place() -> None:
    """Lines and columns are 1-based; the end column is exclusive."""
    root, _ = parse("a:\n  - x: 'é'\n    y: [1, two]\n", "p.yaml")
    assert root is not None
    item = find(root, "a[0].y[1]")
    assert (item.place.line, item.place.column, item.place.end_column) == (3, 12, 15)
    key = find(root, "a[0].y").key
    assert key is not None
    assert (key.line, key.column, key.end_column) == (3, 5, 6)


def test_a_path_that_leads_nowhere_is_the_nearest_thing_above() -> None:
    """So that a default, which nobody wrote, is placed where its clause is."""
    root, _ = parse("a: {b: 1}\n", "p.yaml")
    assert root is not None
    assert find(root, "a.missing.deeper") is root.entries["a"]


@given(st.lists(st.integers(0, 9) | st.text(min_size=1, max_size=6), max_size=5))
def test_paths_come_apart_as_they_were_joined(parts: list[str | int]) -> None:
    """A path is a name for people and for programs."""
    path = ""
    for part in parts:
        path = join(path, part)
    assert list(steps(path)) == parts


def test_a_key_given_twice_is_said_with_both_lines() -> None:
    """A second `cors:` would silently undo the first."""
    _, problems = parse("a: 1\nb: 2\na: 3\n", "p.yaml")
    assert [(p.message, p.location.line) for p in problems if p.location] == [
        ("the key 'a' is given twice (first on line 1)", 3)
    ]


def test_anchors_repeat_values() -> None:
    """An alias is the value, also as a key."""
    assert plain("a: &x [1, {b: 2}]\nc: *x\n&k d: 1\n") == {"a": (1, {"b": 2}), "c": (1, {"b": 2}), "d": 1}


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
DEEP_ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [[[[[*a{n - 1}]]]]]\n" for n in range(1, 5000))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested deeper"),
        ("{" * 5000, "nested deeper"),
        ("{" * 20, "a key is a list or a mapping"),
        (BOMB, "expands to more than"),
        (DEEP_ALIASES, "nested deeper"),
        ("a: *nothing\n", "refers to nothing"),
        ("a: &a [*a]\n", "refers to nothing"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("a: [1\nb: 2\n", "not valid YAML"),
        ("a:\n\t- 1\n", "not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "has no meaning here"),
        ("? [a]\n: 1\n", "a key is a list"),
        ("a: 'unfinished\n", "not valid YAML"),
        ("%YAML 1.1\n%YAML 1.1\n--- a\n", "not valid YAML"),
    ],
)
def test_hostile_and_broken_documents_are_refused_with_a_place(text: str, says: str) -> None:
    """No bomb, no traceback, no object of Python's."""
    _, problems = parse(text, "p.yaml")
    assert says in problems[-1].message or says in problems[0].message
    assert all(p.location is not None and p.location.line >= 1 and p.hint for p in problems)


@given(st.text(max_size=60) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t\\0", max_size=60))
@settings(max_examples=300)
def test_no_text_does_harm(text: str) -> None:
    """Any text is a tree, or problems, or nothing."""
    root, problems = parse(text, "p.yaml")
    assert root is None or isinstance(root, Node)
    assert all(p.location for p in problems)


def test_a_zero_byte_is_refused_where_it_is_written() -> None:
    """As a file name or a header it would only fail later, and elsewhere."""
    root, problems = parse('version: 1\nenv_file: "a\\0b"\n', "auditor.yaml")
    assert root is not None
    assert [(p.location.line, p.location.column, p.message) for p in problems] == [(2, 11, "\\u0000 is in the text")]


def test_half_a_character_is_refused() -> None:
    """No encoding has it."""
    assert parse('version: 1\nenv_file: "a\\ud800b"\n', "auditor.yaml")[1]
