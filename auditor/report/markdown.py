"""The report as GitHub- and GitLab-flavoured Markdown: for a pull request, a wiki, a job's summary."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from auditor.finding import Verdict
from auditor.report.changes import changes
from auditor.report.diagram import mermaid
from auditor.report.model import Report, Result
from auditor.report.reach import drawn
from auditor.report.table import group_text
from auditor.report.verdict import days_left, headline, what_would_change
from auditor.report.view import ACCEPTED, View, findings, grouped, summary_line, where, word

SYMBOL = {"critical": "🟥", "high": "🟥", "medium": "🟧", "low": "🟨", "info": "🟦", "unknown": "⬜", "error": "⬜"}
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&$]|(?<=\bwww)\.|:(?=//)")
_REFERENCE = re.compile(r"[@#](?=\w)")
_JOINER = "\N{WORD JOINER}"


def plain(text: str) -> str:
    """Write untrusted text so that Markdown shows it as it is: no link, no image, no HTML, no end of a table's cell.

    GitHub and GitLab look for mentions and references after Markdown is rendered, where no escape is left: an
    invisible joiner keeps them apart.
    """
    escaped = _SPECIAL.sub(lambda found: f"\\{found.group()}", text.replace("\n", " "))
    return _REFERENCE.sub(lambda found: f"\\{found.group()}{_JOINER}", escaped)


def code(text: str, *, in_table: bool = False) -> str:
    """Write untrusted text as a code span that it cannot leave (CommonMark §6.1), also in a table's cell (GFM §4.10)."""
    text = text.replace("\n", " ") or " "
    fence = "`" * (_longest(text) + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    inner = text.replace("|", "\\|") if in_table else text
    return f"{fence}{pad}{inner}{pad}{fence}"


def block(text: str, language: str = "text") -> str:
    """Write untrusted text as a fenced block that it cannot leave (CommonMark §4.5)."""
    fence = "`" * max(_longest(text) + 1, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def render(report: Report, view: View) -> str:
    """Return the whole report."""
    head, details, tail = parts(report, view)
    return "\n\n".join((*head, *details, *tail)) + "\n"


def parts(report: Report, view: View) -> tuple[list[str], list[str], list[str]]:
    """Return what comes before the findings in full, each of these, and what comes after."""
    shown = findings(report)
    groups = grouped(shown)
    head = [f"# auditor: {plain(report.run.policy.name or 'built-in profiles')}", f"**{plain(headline(report))}**"]
    head += ["\n".join(f"- {plain(sentence)}" for sentence in what_would_change(report))]
    if groups:
        head += ["## Findings", table(("severity", "check", "where", "what", ""), [_row(group) for group in groups])]
    details = [_detail(group) for group in groups]
    tail = [*_changes(report, view), *_undecided(report), *_reach(report), *_waivers(report), *_limits(report)]
    tail += _scope(report)
    if view.verbose:
        tail += _passes(report)
    return head, details, tail


def _row(group: Sequence[Result]) -> tuple[str, ...]:
    first = group[0]
    number = f"{len(group)} alike" if len(group) > 1 else ""
    state = f"{first.disposition} " if first.disposition in ACCEPTED else ""
    return (
        f"{SYMBOL[word(first)]} {word(first)}",
        code(first.check, in_table=True),
        code(where(first), in_table=True),
        plain(first.message),
        f"{state}{number}".strip(),
    )


def _detail(group: Sequence[Result]) -> str:
    title = f"{SYMBOL[word(group[0])]} {word(group[0])}: <code>{html.escape(group[0].message)}</code>"
    body = block(group_text(group))
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def _changes(report: Report, view: View) -> list[str]:
    if view.earlier is None:
        return []
    found = changes(view.earlier, report)
    lines = [f"Compared with the run of {plain(view.earlier.run.started)}: {plain(found.headline)}."]
    lines += [f"- {kind}: {code(r.check)} {plain(r.message)}" for kind, results in found.lists for r in results]
    return ["## Changes", "\n".join((lines[0], "", *lines[1:])).strip()]


def _undecided(report: Report) -> list[str]:
    if not report.coverage.unknown:
        return []
    return ["## Not evaluated", "\n".join(f"- {plain(text)}" for text in report.coverage.unknown)]


def _reach(report: Report) -> list[str]:
    if report.graph is None:
        return []
    graph = drawn(report.graph)
    ways = "\n".join(f"- {plain(way.drawn)}" for way in graph.wrong)
    return ["## Layers and doors", block(mermaid(graph).rstrip("\n"), "mermaid"), *([ways] if ways else [])]


def _waivers(report: Report) -> list[str]:
    if not report.waivers:
        return []
    rows = [
        (
            code(w.id, in_table=True),
            ", ".join(code(check, in_table=True) for check in w.checks),
            plain(w.reason),
            code(w.owner, in_table=True),
            f"{w.expires} ({days_left(w)})",
            str(w.findings),
        )
        for w in report.waivers
    ]
    return ["## Waivers", table(("waiver", "checks", "reason", "owner", "until", "findings"), rows)]


def _limits(report: Report) -> list[str]:
    limits = report.coverage.limits
    if not limits:
        return []
    rows = [
        (
            code(limit.route, in_table=True),
            plain(limit.declared),
            "<br>".join(plain(text) for text in limit.configured) or "none",
            plain(limit.measured) or "not measured",
        )
        for limit in limits
    ]
    return ["## Rate limits", table(("route", "declared", "configured", "measured"), rows)]


def _scope(report: Report) -> list[str]:
    run = report.run
    lines = [f"- policy: {code(run.policy.file or 'none')} sha256 {code(run.policy.sha256 or '-')}"]
    lines += [f"- extends: {code(item.name)} sha256 {code(item.sha256)}" for item in run.policy.extends]
    for target in run.targets:
        lines.append(f"- target {code(target.id)} ({plain(target.type)})")
        lines += [f"  - {code(file.path)} sha256 {code(file.sha256)}" for file in target.files]
        lines += [f"  - {code(name)}: {code(url)}" for name, url in target.entrypoints.items()]
    if run.git is not None:
        lines.append(f"- commit {code(run.git.commit)}{' with changes' if run.git.dirty else ''}")
    lines.append(f"- auditor {run.tool.version}, {code(f'auditor {run.command}')}, {run.started} to {run.finished}")
    return ["## Scope and provenance", plain(summary_line(report)) + ".", "\n".join(lines)]


def _passes(report: Report) -> list[str]:
    rows = [
        (code(r.check, in_table=True), code(r.rule, in_table=True), plain(r.message))
        for r in report.results
        if r.verdict is Verdict.PASS
    ]
    return ["## Passed checks", table(("check", "rule", "evaluated"), rows)] if rows else []
