"""The JSON Schema, judged by validators that are not ours; every policy in the repository has to meet it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError
from ruamel.yaml import YAML

from auditor.errors import AuditorError, PolicyError
from auditor.policy.document import parse
from auditor.policy.help import KEYS
from auditor.policy.load import load_policy, rules
from auditor.policy.problems import _FORMS, explain
from auditor.policy.schema import SCHEMA_FILE, json_schema, schema_text

ROOT = Path(__file__).parents[1]
FULL = ROOT / "tests" / "cases" / "policy" / "full.yaml"
POLICIES = [*sorted((ROOT / "policies").glob("*.yaml")), FULL]
VALIDATOR = Draft202012Validator(json_schema())


@cache
def read(path: Path) -> Any:
    """Return a policy as another YAML 1.2 reader sees it."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(path), default=str))


def test_the_schema_is_a_schema() -> None:
    """Draft 2020-12, and the same text each time."""
    Draft202012Validator.check_schema(json_schema())
    assert schema_text() == schema_text()


def test_the_schema_in_the_repository_is_the_one_of_the_models() -> None:
    """`auditor policy schema > policies/policy.schema.json` makes it anew."""
    assert (ROOT / "policies" / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_policy_meets_the_schema_and_names_it(path: Path) -> None:
    """Before anything is expanded, as an editor sees it."""
    assert [error.message for error in VALIDATOR.iter_errors(read(path))] == []
    first = path.read_text(encoding="utf-8").splitlines()[0]
    head, _, named = first.partition("$schema=")
    assert head == "# yaml-language-server: "
    assert (path.parent / named).resolve() == ROOT / "policies" / SCHEMA_FILE


def test_check_jsonschema_agrees() -> None:
    """The command that others run in CI."""
    files = [str(path) for path in POLICIES]
    schema = str(ROOT / "policies" / SCHEMA_FILE)
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", schema, *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def mappings(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every mapping whose keys are fixed."""
    free = {
        "variables",
        "environments",
        "mounts",
        "entrypoints",
        "resolve",
        "headers",
        "cookies",
        "networks",
        "checks",
        "require",
        "forbid",
    }
    if isinstance(value, dict):
        if not path or path[-1] not in free:
            yield path
        for key, item in value.items():
            yield from mappings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from mappings(item, (*path, index))


@pytest.mark.parametrize("path", list(mappings(read(FULL))), ids=str)
def test_a_misspelt_key_is_refused_by_both(path: tuple[Any, ...], tmp_path: Path) -> None:
    """Everywhere in a policy, by the schema and by the loader."""
    document = copy.deepcopy(read(FULL))
    place = document
    for step in path:
        place = place[step]
    place["misspelt"] = 1
    assert not VALIDATOR.is_valid(document)
    file = tmp_path / "p.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(PolicyError) as error:
        load_policy(file, now=date(2026, 11, 24))
    assert any("'misspelt'" in problem.message for problem in error.value.problems)


def scalars(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every scalar."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, (*path, index))
    elif value is not None:
        yield path


SCALARS = [
    path for path in scalars(read(FULL)) if path[0] not in {"version", "extends", "variables"} and "type" not in path
]


@given(
    st.sampled_from(SCALARS),
    st.sampled_from([None, True, 7, -1, "", "x", "5s", "*", ["x"], {"x": 1}, 2.5, "${host}", "GET", 404]),
)
@settings(max_examples=150)
def test_what_the_schema_refuses_the_loader_refuses(tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    """An editor never marks as wrong what loads."""
    document = copy.deepcopy(read(FULL))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if VALIDATOR.is_valid(document):
        return
    file = tmp_path / "p.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(PolicyError):
        load_policy(file, now=date(2026, 11, 24), environment="dev" if path[:2] == ("environments", "dev") else None)


def everything(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value."""
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from everything(item, (*path, key))


ODD = [None, {"x": 1}, ["x"], [{"x": {"y": [1]}}], "", 7, True, "${nope}", [None], {"id": {"a": 1}}, [[["a"]]]]


@given(st.sampled_from(list(everything(read(FULL)))), st.sampled_from(ODD), st.sampled_from([None, "dev", "prod"]))
@example(("layers", 0), {"x": 1}, None)
@example(("targets", 3, "id"), {"x": 1}, None)
@settings(max_examples=150)
def test_no_value_in_the_wrong_place_does_harm(
    tmp_path: Path, path: tuple[Any, ...], value: Any, environment: str | None
) -> None:
    """Whatever stands where, it is a policy or a refusal in words."""
    document = copy.deepcopy(read(FULL))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    file = tmp_path / "p.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    try:
        loaded = load_policy(file, now=date(2026, 11, 24), environment=environment)
    except AuditorError as error:
        said = [problem.message for problem in error.problems]
    else:
        said = [rule.id for rule in rules(loaded)]
    assert all(said)


@pytest.mark.parametrize("path", SCALARS, ids=str)
def test_a_variable_may_stand_for_any_scalar(path: tuple[Any, ...]) -> None:
    """Editors see the file before it is expanded."""
    document = copy.deepcopy(read(FULL))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "${host}"
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


def test_every_pattern_of_the_schema_has_words_for_it() -> None:
    """Ours are said in words; the few that only the schema needs are checked by functions of their own."""
    found = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            found.update([value["pattern"]] if isinstance(value.get("pattern"), str) else [])
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    collect(json_schema())
    by_function = {
        r"\$\{",
        r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$",
        r"^[0-9]+(\.[0-9]+)?r?/[smhd]$",
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    }
    assert found - by_function <= set(_FORMS)


def test_a_form_without_a_sentence_of_its_own_is_still_said() -> None:
    """A pattern that the table of forms lacks is named, and is no error of the program."""

    class Model(BaseModel):
        name: Annotated[str, Field(pattern="^x+$")]

    root, _ = parse("name: y", "p.yaml")
    assert root is not None
    with pytest.raises(ValidationError) as caught:
        Model(name="y")
    (problem,) = explain(caught.value, root, Model)
    assert (problem.message, problem.hint) == (
        "'y' is not written as this key wants it",
        "it has to match ^x+$",
    )


def test_every_key_has_a_sentence_for_editors() -> None:
    """And no sentence is about a key that is gone."""
    schema = json_schema()
    told = {"Policy": schema, **schema["$defs"]}
    keys = {}
    for name, definition in told.items():
        properties = definition.get("properties") or definition["anyOf"][1]["properties"]
        assert [key for key, value in properties.items() if not value["description"].endswith(".")] == [], name
        keys[name] = set(properties)
    keys["Promises"] = keys["Route"] & keys["Policy"]
    keys["ValueRule"] = keys["HeaderRule"]
    assert [(name, key) for name, sentences in KEYS.items() for key in sentences if key not in keys[name]] == []
