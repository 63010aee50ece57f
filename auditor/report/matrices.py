"""The matrices of the review report: routes against origins, routes against headers, in tables a page can hold."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.dataclass import dataclass
from auditor.finding import Verdict
from auditor.report.model import HeaderAnswer, OriginAnswer, Report

COLUMNS = 14
"""Columns of one table: what still fits a sheet of paper held upright."""

SYMBOL = {"allowed": "✓", "refused": "✗", "partly": "◐", "unknown": "?", "": ""}
VERDICT = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNKNOWN: "?", Verdict.ERROR: "?"}
QUESTION = {
    "read": "May a page there read the answers?",
    "preflight": "Does its preflight pass?",
    "connect": "May it open the WebSocket?",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what is written in it, how it is coloured ("ok", "bad", "open"), and what it says when pointed at."""

    text: str
    look: str
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the short name at its head, and what it stands for."""

    short: str
    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A table: its caption, its columns, and a row of cells (None: nobody asked) for each route."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def origin_matrices(report: Report) -> list[Matrix]:
    """Return the matrices of routes and origins, one or more per question; routes that know the same origins share one."""
    result = []
    for question, caption in QUESTION.items():
        by_route: dict[str, dict[str, OriginAnswer]] = {}
        for answer in report.coverage.origins:
            if answer.question == question:
                by_route.setdefault(answer.route, {})[answer.origin] = answer
        alike: dict[tuple[str, ...], list[str]] = {}
        for route, answers in by_route.items():
            alike.setdefault(tuple(answers), []).append(route)
        for origins, routes in alike.items():
            for part in _parts(origins):
                named = {o: by_route[routes[0]][o] for o in part}
                columns = tuple(
                    Column(f"{number}", origin, named[origin].kind) for number, origin in enumerate(part, 1)
                )
                rows = tuple((route, tuple(_origin_cell(by_route[route][o]) for o in part)) for route in routes)
                result.append(Matrix(caption, columns, rows))
    return result


def _parts(items: Sequence[str]) -> list[Sequence[str]]:
    """Cut columns into tables of about the same width."""
    number = -(-len(items) // COLUMNS) or 1
    width = -(-len(items) // number) or 1
    return [items[start : start + width] for start in range(0, len(items), width)]


def _origin_cell(answer: OriginAnswer) -> Cell:
    said = [a for a in (answer.predicted, answer.observed) if a]
    wrong = any(a not in {answer.expected, "unknown"} for a in said)
    look = "bad" if wrong else "open" if "unknown" in said or not said else "ok"
    answers = "/".join(SYMBOL[a] for a in said)
    text = answers if look == "ok" else f"{SYMBOL[answer.expected]}→{answers}"
    parts = [f"{answer.route}, {answer.origin}: expected {answer.expected}"]
    parts += [f"predicted {answer.predicted}"] if answer.predicted else []
    parts += [f"observed {answer.observed}"] if answer.observed else []
    return Cell(text, look, "; ".join(parts))


def header_matrices(report: Report) -> list[Matrix]:
    """Return the matrices of routes and headers."""
    names = tuple(dict.fromkeys(answer.header for answer in report.coverage.headers))
    by_route: dict[str, dict[str, HeaderAnswer]] = {}
    for answer in report.coverage.headers:
        by_route.setdefault(answer.route, {})[answer.header] = answer
    result = []
    for part in _parts(names):
        columns = []
        for number, name in enumerate(part, 1):
            wanted = dict.fromkeys(a.expected for a in report.coverage.headers if a.header == name)
            columns.append(Column(f"{number}", name, " · ".join(wanted) if len(wanted) < 3 else "by route"))
        rows = tuple(
            (route, tuple(_header_cell(answers[name]) if name in answers else None for name in part))
            for route, answers in by_route.items()
        )
        if part:
            result.append(Matrix("Do the answers carry the headers that the policy wants?", tuple(columns), rows))
    return result


def _header_cell(answer: HeaderAnswer) -> Cell:
    said = [v for v in (answer.predicted, answer.observed) if v is not None]
    look = "bad" if Verdict.FAIL in said else "ok" if said and set(said) == {Verdict.PASS} else "open"
    text = "/".join(VERDICT[v] for v in said) + ("!" if look == "bad" else "")
    parts = [f"{answer.route}, {answer.header}: expected {answer.expected}"]
    parts += [f"found {' | '.join(answer.found)}"] if answer.found else []
    parts += [f"predicted {answer.predicted.value}"] if answer.predicted else []
    parts += [f"observed {answer.observed.value}"] if answer.observed else []
    return Cell(text, look, "; ".join(parts))
