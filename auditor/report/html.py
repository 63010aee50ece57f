"""The review report: one self-contained HTML file without a script, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from auditor.dataclass import dataclass
from auditor.finding import Severity, Verdict
from auditor.report.changes import changes
from auditor.report.diagram import svg
from auditor.report.matrices import header_matrices, origin_matrices
from auditor.report.model import Check, Report, Result
from auditor.report.reach import drawn
from auditor.report.table import carets_of
from auditor.report.verdict import days_left, headline, what_would_change
from auditor.report.view import (
    ACCEPTED,
    EVIDENCE,
    View,
    findings,
    grouped,
    is_open,
    others,
    rule_text,
    severity_of,
    span_text,
    summary_line,
    where,
    word,
)

TEMPLATES = Path(__file__).parent / "templates"

IN_FULL = 5
"""Findings of one check that are shown with all their evidence."""

EVIDENCE_BUDGET = 120
"""Findings of a report that are, the worst first."""

IN_BRIEF = 60
"""Findings of one check that are listed below those."""

ALIKE = 10
"""Further findings at one line that are spelled out."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """The findings of one check: those in full (groups of findings at one line), those in brief, and how many are neither."""

    check: Check
    worst: str
    number: int
    full: tuple[tuple[Result, ...], ...]
    brief: tuple[tuple[Result, ...], ...]
    more: int


def render(report: Report, view: View) -> str:
    """Return the page."""
    style = (TEMPLATES / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown = findings(report)
    told = chapters(report)
    context: dict[str, Any] = {
        "report": report,
        "run": report.run,
        "style": Markup(style),  # noqa: S704 - our own file
        "policy": f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        "headline": headline(report),
        "change": what_would_change(report),
        "tally": tally(report),
        "origin_matrices": origin_matrices(report),
        "header_matrices": header_matrices(report),
        "diagram": Markup(svg(drawn(report.graph))) if report.graph else "",  # noqa: S704 - it escapes every text
        "ways": [way.drawn for way in drawn(report.graph).wrong] if report.graph else [],
        "chapters": told,
        "links": links(told),
        "shown": len(shown),
        "changes": changes(view.earlier, report) if view.earlier is not None else None,
        "earlier": view.earlier,
        "passed": passed(report),
        "summary": summary_line(report),
        "evidence": EVIDENCE,
        "accepted": ACCEPTED,
        "alike": ALIKE,
    }
    return _template().render(context)


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    helpers = (carets_of, days_left, is_open, others, rule_text, section, span_text, where, word)
    environment.globals |= {function.__name__: function for function in helpers}
    return environment.get_template("report.html")


def tally(report: Report) -> list[tuple[str, int, int, int]]:
    """Count the violations of each severity: open, waived, baselined; the worst first."""
    violations = [r for r in report.results if r.verdict is Verdict.FAIL]
    rows = []
    for severity in sorted(Severity, reverse=True):
        of = [r for r in violations if severity_of(r) is severity]
        states = [r.disposition or "open" for r in of]
        rows.append((severity.word, states.count("open"), states.count("waived"), states.count("baselined")))
    return rows


def chapters(report: Report) -> list[Chapter]:
    """Return the findings by check, the worst first, with as much evidence as a page can hold."""
    by_check: dict[str, list[tuple[Result, ...]]] = {}
    for group in grouped(findings(report)):
        by_check.setdefault(group[0].check, []).append(tuple(group))
    known = {check.id: check for check in report.checks}
    result = []
    budget = EVIDENCE_BUDGET
    for name, groups in sorted(by_check.items(), key=lambda item: _order(item[1])):
        take = min(IN_FULL, max(budget, 1))
        budget -= min(take, len(groups))
        check = known.get(name) or Check(id=name, title=name, severity="info", since="", help="")
        full, rest = tuple(groups[:take]), groups[take:]
        brief = tuple(rest[:IN_BRIEF])
        more = sum(len(group) for group in rest[IN_BRIEF:])
        result.append(Chapter(check, word(groups[0][0]), sum(map(len, groups)), full, brief, more))
    return result


def links(told: Sequence[Chapter]) -> dict[tuple[str, str], str]:
    """Return for a route and an origin, or a route and a header, the place on the page that has the evidence.

    For a route and "" the first one about any origin: a finding stands for all origins that are treated alike.
    """
    found: dict[tuple[str, str], str] = {}
    for chapter in told:
        for groups, shown in ((chapter.full, True), (chapter.brief, False)):
            for group in groups:
                target = f"#f-{group[0].fingerprint[:16]}" if shown else f"#c-{chapter.check.id}"
                for result in group:
                    for subject in _subjects(result):
                        found.setdefault((result.route, subject), target)
                        if ".headers." not in result.rule:
                            found.setdefault((result.route, ""), target)
    return found


def _subjects(result: Result) -> list[str]:
    """Return the origin that a finding is about, or the header."""
    _, about_header, header = result.rule.partition(".headers.")
    if about_header:
        return [header]
    if not result.check.startswith(("cors-", "websocket-")) or result.witness is None:
        return []
    return [value for name, value in result.witness.headers if name.lower() == "origin"]


def _order(groups: Sequence[Sequence[Result]]) -> tuple[object, ...]:
    first = min((group[0] for group in groups), key=_rank)
    return (*_rank(first), first.check)


def _rank(result: Result) -> tuple[bool, bool, int]:
    return (not is_open(result), result.verdict is not Verdict.FAIL, -severity_of(result))


def passed(report: Report) -> list[tuple[Check, list[Result]]]:
    """Return the checks that passed, each with the rules that it passed on."""
    by_check: dict[str, list[Result]] = {}
    for result in report.results:
        if result.verdict is Verdict.PASS:
            by_check.setdefault(result.check, []).append(result)
    return [(check, by_check[check.id]) for check in report.checks if check.id in by_check]


_INLINE = re.compile(r"`([^`]+)`|\[([^\]]+)\]\((https://[^)\s]+)\)")


def section(check: Check, heading: str) -> Markup:
    """Return one section of a check's page as HTML: paragraphs, lists, code and links, and nothing else."""
    _, _, body = check.help.partition(f"## {heading}\n")
    body = body.partition("\n## ")[0].strip()
    parts = []
    for block in re.split(r"\n\s*\n", body) if body else []:
        if block.startswith("- "):
            items = [_inline(item) for item in re.split(r"\n- ", block.removeprefix("- "))]
            parts.append(Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(i) for i in items)))
        elif block.startswith("```"):
            code = "\n".join(line for line in block.splitlines() if not line.startswith("```"))
            parts.append(Markup("<pre>{}</pre>").format(code))
        else:
            parts.append(Markup("<p>{}</p>").format(_inline(block)))
    return Markup("\n").join(parts)


def _inline(text: str) -> Markup:
    parts, end = [], 0
    for found in _INLINE.finditer(text):
        parts.append(escape(text[end : found.start()]))
        code, name, address = found.groups()
        if code is not None:
            parts.append(Markup("<code>{}</code>").format(code))
        else:
            parts.append(Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, name))
        end = found.end()
    return Markup("").join((*parts, escape(text[end:])))
