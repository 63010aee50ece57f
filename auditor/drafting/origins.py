"""Which origins a route lets read today, written as a policy writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from auditor.checks.judging import open_backend, succeeded
from auditor.dataclass import dataclass
from auditor.drafting.writing import Noted, seen_at
from auditor.exchange import UNKNOWN_VALUE, Response
from auditor.plan.facts import Case, OriginCell, Pattern
from auditor.policy import origins

ALLOW_ORIGIN = "Access-Control-Allow-Origin"


@dataclass(slots=True)
class Readers:
    """Who may read: each origin as a policy's item, whether anybody may, what was seen with credentials."""

    items: list[Any] = field(default_factory=list)
    anybody: bool = False
    credentials: bool = False
    dynamic: bool = False
    undecided: str = ""


def readers(cases: Sequence[Case]) -> Readers:
    """Return the origins whose pages may read these answers; `undecided` says why that is not known."""
    readable = [case for case in cases if _may_read(case)]
    found = admitted(readable, cases, sent_to_all=_literals(cases))
    found.credentials = any(_credentials(case.response) for case in readable if case.response)
    found.undecided = next((why for case in cases if not readable and (why := open_backend(case, ALLOW_ORIGIN))), "")
    found.dynamic = any(_echoes(case) for case in readable)
    if any(case.response is not None and "*" in case.response.headers.all(ALLOW_ORIGIN) for case in readable):
        found.anybody, found.items = True, []
    return found


def admitted(passed: Sequence[Case], cases: Sequence[Case], sent_to_all: Sequence[str] = ()) -> Readers:
    """Return the origins of the cases that passed, among all cases; `sent_to_all` are origins that are named whoever asks."""
    found = Readers()
    cells = {id(case.probe.origin): case.probe.origin for case in passed}
    opened = [cell for cell in cells.values() if cell.value not in {None, "null"}]
    answered = {case.probe.origin.value for case in passed}
    closed = _patterns(case.probe.origin for case in cases if case.probe.origin.value not in answered)
    found.anybody = any(cell.residual or (not cell.matched and not cell.allowed) for cell in opened)
    if found.anybody:
        return found
    items: dict[str, Any] = {}
    for text in sent_to_all:
        items.setdefault(text, text)
    for cell in opened:
        for key, item in _items(cell, closed):
            items.setdefault(key, item)
    found.items = [items[key] for key in sorted(items)]
    return found


def _may_read(case: Case) -> bool:
    response, origin = case.response, case.probe.origin.value
    if response is None or origin is None:
        return False
    values = response.headers.all(ALLOW_ORIGIN)
    return values in ((origin,), ("*",))


def _echoes(case: Case) -> bool:
    return case.response is not None and case.response.headers.all(ALLOW_ORIGIN) == (case.probe.origin.value,)


def _credentials(response: Response) -> bool:
    return response.headers.all("Access-Control-Allow-Credentials") == ("true",)


def _literals(cases: Sequence[Case]) -> list[str]:
    """Return the origins that are sent whoever asks: one origin, written out in the configuration."""
    found: list[str] = []
    for case in cases:
        response = case.response
        if response is None or not succeeded(response):
            continue
        for value in response.headers.all(ALLOW_ORIGIN):
            if value in {"*", "null", case.probe.origin.value} or UNKNOWN_VALUE in value:
                continue
            try:
                found.append(origins.exact(value))
            except origins.OriginError:
                continue
    return list(dict.fromkeys(found))


def _patterns(cells: Any) -> frozenset[str]:
    return frozenset(pattern.text for cell in cells for pattern in cell.matched if pattern.is_regex)


def _items(cell: OriginCell, closed: frozenset[str]) -> list[tuple[str, Any]]:
    """Return what of the configuration lets these origins in, as items of a policy's list.

    Nothing where that cannot be written as something that somebody may have meant: a check will say who gets in.
    """
    exact = [pattern for pattern in cell.matched if not pattern.is_regex]
    if exact:
        return [_exact(cell, exact[0])]
    regular = [pattern for pattern in cell.matched if pattern.text not in closed]
    found = [item for pattern in regular if (item := _regex(pattern))]
    return found[:1]


def _exact(cell: OriginCell, pattern: Pattern) -> tuple[str, Any]:
    value = cell.value or ""
    try:
        text = origins.exact(value)
    except origins.OriginError:
        return value, Noted(value)
    return text, Noted(text, seen_at(pattern.location))


def _regex(pattern: Pattern) -> tuple[str, Any] | None:
    """Return an expression as a policy takes it: as it is, or with the anchors and backslashes that it lacks."""
    where = seen_at(pattern.location)
    for text, changed in ((pattern.text, False), (corrected(pattern.text), True)):
        try:
            origins.regex(text)
        except origins.OriginError:
            continue
        note = f"{where} says {pattern.text}, which lets in more" if changed else where
        return text, Noted({"regex": text}, note)
    return None


def corrected(text: str) -> str:
    r"""Return an expression anchored at both ends, with the dots before letters taken as dots: `a.com` as `a\.com`."""
    result: list[str] = []
    inside, index = False, 0
    while index < len(text):
        character = text[index]
        if character == "\\":
            result.append(text[index : index + 2])
            index += 2
            continue
        inside = (character == "[" or inside) and character != "]"
        following = text[index + 1 : index + 2]
        if character == "." and not inside and following not in {"*", "+", "?", "{"}:
            result.append("\\.")
        elif character == "." and not inside:
            result.append("[a-z0-9.-]")
        else:
            result.append(character)
        index += 1
    body = "".join(result).removesuffix("$").removeprefix("^")
    body = f"(?:{body})" if "|" in body and "(" not in body else body
    return f"^{body}$"
