"""What a value in a policy may be: text that becomes seconds, rates, dates; hosts, paths, methods, addresses.

Modules with models do without `from __future__ import annotations`: pydantic would evaluate each text, which takes longer
than all else it does with a class.
"""

import re
from datetime import date
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from auditor.finding import Severity
from auditor.policy import values


def mistake(message: str, hint: str = "") -> PydanticCustomError:
    """Return the error of a value that is wrong, and what to write instead."""
    return PydanticCustomError("policy", "{message}", {"message": message, "hint": hint})


def _severity(value: object) -> Severity:
    if isinstance(value, Severity):
        return value
    words = [severity.word for severity in Severity]
    if value not in words:
        raise PydanticCustomError("choice", "", {"value": str(value), "choices": words})
    return Severity[str(value).upper()]


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise mistake(f"{value!r} is not text", f"such as {example}")
    return value


def _duration(value: object) -> float:
    return values.duration(_text(value, "5s or 24h"))


def _rate(value: object) -> float:
    return values.rate(_text(value, "10/s or 60/m"))


def _day(value: object) -> date:
    text = _text(value, "2027-02-01")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise mistake(f"{text!r} is not a date", "year-month-day, such as 2027-02-01")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise mistake(f"{text!r} is not a date: {error}", "year-month-day, such as 2027-02-01") from None


def _address(text: str) -> str:
    values.host_port(text)
    return text


def _service_port(text: str) -> str:
    service, separator, port = text.rpartition(":")
    if not separator or not service or not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
        raise ValueError(f"{text!r} is not service:port, such as edge:443")
    return text


def _base_url(text: str) -> str:
    found = re.fullmatch(r"(https?)://([^/?#@\s]+)/?", text)
    if not found:
        raise ValueError(f"{text!r} is not http://host or https://host, with or without a port")
    values.host_port(found[2] if re.search(r":[0-9]+$", found[2]) else f"{found[2]}:80")
    return text.rstrip("/")


SeverityWord: TypeAlias = Annotated[
    Severity,
    BeforeValidator(_severity),
    WithJsonSchema({"type": "string", "enum": [severity.word for severity in Severity]}),
]
Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$", "examples": ["5s", "24h"]}),
]
Rate: TypeAlias = Annotated[
    float,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?r?/[smhd]$", "examples": ["10/s", "60/m"]}),
]
Day: TypeAlias = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
Id: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]
ServicePort: TypeAlias = Annotated[str, AfterValidator(_service_port)]
BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
Host: TypeAlias = Annotated[str, AfterValidator(values.host)]
Method: TypeAlias = Annotated[str, AfterValidator(values.method)]
HeaderName: TypeAlias = Annotated[str, AfterValidator(values.field_name)]
PathGlob: TypeAlias = Annotated[str, AfterValidator(values.path_glob)]
Regex: TypeAlias = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(values.regular_expression)]
Status: TypeAlias = Annotated[int, Field(ge=100, le=599)]
Statuses: TypeAlias = Annotated[tuple[Status, ...], Field(min_length=1)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000)]
Texts: TypeAlias = tuple[Text, ...]


class Model(BaseModel):
    """Settings of every model: unknown keys are errors, nothing is converted, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Clause(Model):
    """What every promise may say about itself."""

    severity: SeverityWord | None = None
    rationale: Text | None = None
    references: Texts = ()


class DurationRange(Clause):
    """Bounds of a duration in seconds, both inclusive."""

    min: Duration | None = None
    max: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, str):
            raise mistake(f"{value!r} is one duration, not bounds", f"write {{max: {value}}} or {{min: {value}}}")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise mistake("states no bound", "give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise mistake("min is greater than max", "swap them")
        return self
