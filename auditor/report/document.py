"""The report as text and as plain values, written and read by pydantic: the only door of a report that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from auditor.report.model import Report


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def text(report: Report) -> str:
    """Return a report as JSON, indented by two spaces."""
    return _adapter().dump_json(report, indent=2).decode()


def values(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON values."""
    made: dict[str, Any] = _adapter().dump_python(report, mode="json")
    return made


def parsed(text: str) -> Report:
    """Return the report of a JSON text; raises pydantic's ValidationError where it is none."""
    return _adapter().validate_json(text)


def made_of(values: Mapping[str, Any] | None) -> Report:
    """Return the report of plain JSON values; raises pydantic's ValidationError where they are none."""
    return _adapter().validate_python(values)
