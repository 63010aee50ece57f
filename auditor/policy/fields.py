"""What a value in a policy may be: text that becomes seconds, rates, dates; hosts, paths, methods, addresses.

Modules with models do without `from __future__ import annotations`: what their fields may be is read from the annotations.
"""

import re
from datetime import date
from typing import Annotated, TypeAlias

from auditor.dataclass import dataclass
from auditor.finding import SEVERITY_WORDS, Severity
from auditor.policy import values
from auditor.policy.document import Node
from auditor.policy.problems import Mistake, brief
from auditor.policy.shape import Form, Judged, Length, Model, Range, Word, Written


def _severity(word: str) -> Severity:
    return Severity[word.upper()]


def _day(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise Mistake(f"{text!r} is not a date", "year-month-day, such as 2027-02-01")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Mistake(f"{text!r} is not a date: {error}", "year-month-day, such as 2027-02-01") from None


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


SeverityWord: TypeAlias = Annotated[Severity, Word(SEVERITY_WORDS, _severity)]
Duration: TypeAlias = Annotated[
    float,
    Written(
        values.duration,
        "5s or 24h",
        {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$", "examples": ["5s", "24h"]},
    ),
]
Rate: TypeAlias = Annotated[
    float,
    Written(
        values.rate,
        "10/s or 60/m",
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?r?/[smhd]$", "examples": ["10/s", "60/m"]},
    ),
]
Day: TypeAlias = Annotated[
    date, Written(_day, "2027-02-01", {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
]
Text: TypeAlias = Annotated[str, Length(1)]
Id: TypeAlias = Annotated[
    str,
    Form(
        r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        "is no id",
        "letters, digits, dots, hyphens and underscores, such as W-14",
    ),
    Length(most=100),
]
Path: TypeAlias = Annotated[
    str, Form(r"^/[!-~]*$", "is not a path", "it starts with a slash and has no spaces, such as /api/health")
]
Address: TypeAlias = Annotated[str, Judged(_address)]
ServicePort: TypeAlias = Annotated[str, Judged(_service_port)]
BaseUrl: TypeAlias = Annotated[str, Judged(_base_url)]
Host: TypeAlias = Annotated[str, Judged(values.host)]
Method: TypeAlias = Annotated[str, Judged(values.method)]
HeaderName: TypeAlias = Annotated[str, Judged(values.field_name)]
PathGlob: TypeAlias = Annotated[str, Judged(values.path_glob)]
Regex: TypeAlias = Annotated[str, Length(1, 4096), Judged(values.regular_expression)]
Status: TypeAlias = Annotated[int, Range(599, least=100)]
Statuses: TypeAlias = Annotated[tuple[Status, ...], Length(1)]
Count: TypeAlias = Annotated[int, Range(1_000_000_000, least=0)]
Texts: TypeAlias = tuple[Text, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause(Model):
    """What every promise may say about itself."""

    severity: SeverityWord | None = None
    rationale: Text | None = None
    references: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationRange(Clause):
    """Bounds of a duration in seconds, both inclusive."""

    min: Duration | None = None
    max: Duration | None = None

    @classmethod
    def spelt_out(cls, node: Node) -> Node:
        """Refuse a duration alone: it could be either bound."""
        if isinstance(node.value, str):
            hint = f"write {{max: {node.value}}} or {{min: {node.value}}}"
            raise Mistake(f"{brief(node)} is one duration, not bounds", hint)
        return node

    def verify(self) -> None:
        """There is a bound, and room between two."""
        if self.min is None and self.max is None:
            raise Mistake("states no bound", "give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise Mistake("min is greater than max", "swap them")
