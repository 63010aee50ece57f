"""No CORS, WebSocket or cookie check reads a header value by itself: what it means is the browser's judgement."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from examples import example

import auditor.browser
from auditor.audit import load, predict
from auditor.checks import CHECKS, Check
from auditor.exchange import Field, Headers
from auditor.finding import Finding
from auditor.options import Options
from auditor.plan.facts import Case, Facts
from auditor.policy.load import rules

JUDGED = re.compile(r"access-control-.*|set-cookie|vary|upgrade|connection|sec-websocket-.*", re.IGNORECASE)
"""The response headers whose values mean what a browser makes of them."""
OURS = [item for item in CHECKS if item.CHECK.id.startswith(("cors-", "websocket-", "cookie-"))]
SHARED = ("granting", "judging", "reading")
"""What these checks have in common."""
FOLDER = Path(auditor.browser.__file__).parents[1] / "checks"
TOUCHED: list[str] = []


def guarded(name: str) -> Callable[..., Any]:
    """Make a method of `str` that writes down when a check's own code calls it."""
    plain = getattr(str, name)

    def method(self: str, *args: Any, **kwargs: Any) -> Any:
        frame = sys._getframe(1)
        if str(frame.f_globals.get("__name__")).startswith("auditor.checks"):
            TOUCHED.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} calls {name}")
        return plain(self, *args, **kwargs)

    return method


SHOWING = {"__str__", "__repr__", "__format__", "__new__", "__init__", "__getattribute__", "__class__", "__doc__"}
SHOWING |= {"__init_subclass__", "__subclasshook__", "__reduce__", "__reduce_ex__", "__sizeof__", "__dir__"}
SHOWING |= {"__setattr__", "__delattr__", "__getnewargs__", "__getstate__", "maketrans"}
METHODS = {name: guarded(name) for name in dir(str) if name not in SHOWING}
NUMBERS = {"__int__": lambda self: _number(self, int), "__float__": lambda self: _number(self, float)}


def _number(value: str, kind: type) -> Any:
    frame = sys._getframe(2)
    if str(frame.f_globals.get("__name__")).startswith("auditor.checks"):
        TOUCHED.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} calls {kind.__name__}")
    return kind(str.__str__(value))


Sealed = type("Sealed", (str,), METHODS | NUMBERS)
"""A header value that may be handed on and shown; every look into it by a check is written down."""


def sealed(facts: Facts) -> Facts:
    """Seal the judged header values of every answer."""

    def line(field: Field) -> Field:
        return replace(field, value=Sealed(field.value)) if JUDGED.fullmatch(field.name) else field

    def case(plain: Case) -> Case:
        outcome = plain.exchange.outcome
        if outcome.response is None:
            return plain
        response = replace(outcome.response, headers=Headers(tuple(map(line, outcome.response.headers.fields))))
        return replace(plain, exchange=replace(plain.exchange, outcome=replace(outcome, response=response)))

    return replace(facts, cases={key: tuple(map(case, cases)) for key, cases in facts.cases.items()})


def decided(item: Check, facts: Facts) -> list[tuple[str, str, str] | None]:
    """Run one check on every rule of its kinds and keep what it said."""

    def said(finding: Finding | None) -> tuple[str, str, str] | None:
        return None if finding is None else (finding.verdict.value, finding.message, finding.observed)

    return [
        said(found) for rule in rules(facts.policy) if rule.kind in item.KINDS for found in item.decide(rule, facts)
    ]


@pytest.mark.parametrize("heading", ["Fails", "Passes"])
@pytest.mark.parametrize("item", OURS, ids=[item.CHECK.id for item in OURS])
def test_check_leaves_values_to_the_browser(item: Check, heading: str, tmp_path: Path) -> None:
    """A check says the same where it cannot look into the values, and does not try to."""
    options = Options("check", example(item.__doc__ or "", heading).write(tmp_path), now=date(2026, 1, 1).isoformat())
    facts, _ = predict(load(options), options)
    open_verdicts = decided(item, facts)
    TOUCHED.clear()
    assert decided(item, sealed(facts)) == open_verdicts
    assert open_verdicts
    assert not TOUCHED


def test_no_check_looks_into_the_reference_stack() -> None:
    """On every answer of the reference stack too the checks say the same without a look into the values."""
    root = Path(auditor.browser.__file__).parents[2]
    stack = root / "auditor" / "demo" / "stack" / "as-documented"
    options = Options("check", root / "policies" / "qwen-image.yaml", variables={"stack": str(stack)})
    facts, _ = predict(load(options), options)
    closed = sealed(facts)
    TOUCHED.clear()
    said = {item.CHECK.id: decided(item, closed) for item in OURS}
    assert not TOUCHED
    assert said == {item.CHECK.id: decided(item, facts) for item in OURS}
    assert sum(finding is not None for findings in said.values() for finding in findings) > 100


PEEKS = {
    "compares": "value == 'true'",
    "compares with the header on the right": "'true' == value",
    "looks for it in a tuple": "'*' in (value,)",
    "looks it up in a set": "value in {'*', 'null'}",
    "splits": "value.split(',')",
    "looks for a part": "',' in value",
    "lowers": "value.lower()",
    "cuts": "value[:5]",
    "counts": "len(value)",
    "asks whether it is empty": "bool(value)",
    "reads a number": "int(value)",
    "iterates": "list(value)",
}


@pytest.mark.parametrize("code", PEEKS.values(), ids=PEEKS.keys())
def test_a_look_into_a_value_is_noticed(code: str) -> None:
    """The seal of the test above notices every way in which a check could read a value by itself."""
    TOUCHED.clear()
    eval(code, {"__name__": "auditor.checks.sample", "value": Sealed("5")})
    assert TOUCHED
    TOUCHED.clear()
    eval(code, {"__name__": "auditor.browser.sample", "value": Sealed("5")})
    assert not TOUCHED


RAW = {"values", "combined", "list_tokens", "read_max_age"}
"""What the browser's room has to read a field with, for its own judgements."""


@pytest.mark.parametrize("file", [*(Path(str(item.__file__)).stem for item in OURS), *SHARED])  # type: ignore[attr-defined]
def test_check_uses_the_browser_by_its_judgements(file: str) -> None:
    """A check imports the browser's judgements, not what it reads fields with, and no expressions to match values."""
    for node in ast.walk(ast.parse((FOLDER / f"{file}.py").read_text("utf-8"))):
        names = {alias.name for alias in getattr(node, "names", ()) if isinstance(node, ast.Import | ast.ImportFrom)}
        assert "re" not in names
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("auditor.browser"):
            assert not names & RAW
            assert not any(name.startswith("_") for name in names)
