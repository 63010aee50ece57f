"""What a report shows: which results, in what groups, and where each one is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.finding import Severity, Verdict
from auditor.report.model import Report, Result, Span
from auditor.report.text import visible

ACCEPTED = frozenset({"waived", "baselined"})
"""Dispositions that do not count against the gate."""

EVIDENCE = {
    "predicted": "predicted",
    "observed": "observed",
    "both": "predicted and observed",
    "contradicted": "predicted, contradicted live",
}


@dataclass(frozen=True, slots=True)
class View:
    """How a report is shown: `minimum` severity of violations, passed checks too, compared with an earlier report."""

    minimum: Severity = Severity.INFO
    verbose: bool = False
    earlier: Report | None = None


def narrowed(report: Report, minimum: Severity) -> Report:
    """Return the report without violations below a severity; they stay counted, and nothing undecided is hidden."""
    kept = [r for r in report.results if r.verdict is not Verdict.FAIL or severity_of(r) >= minimum]
    hidden = len(report.results) - len(kept)
    if not hidden:
        return report
    summary = report.summary.model_copy(update={"hidden": hidden})
    return report.model_copy(update={"results": kept, "summary": summary})


def severity_of(result: Result) -> Severity:
    """Return the severity of a result."""
    return Severity[result.severity.upper()]


def findings(report: Report) -> list[Result]:
    """Return every result that is not a pass."""
    return [r for r in report.results if r.verdict is not Verdict.PASS]


def is_open(result: Result) -> bool:
    """Whether a finding is accepted by nobody."""
    return result.verdict is not Verdict.PASS and result.disposition not in ACCEPTED


def grouped(results: Iterable[Result]) -> list[list[Result]]:
    """Put findings of one check that point at one line together, in the order of the first of each."""
    groups: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in results:
        place = span_text(result.locations[0]) if result.locations else result.fingerprint
        key = (result.verdict.value, result.check, place, result.disposition or "")
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def word(result: Result) -> str:
    """Return the severity of a violation, or the verdict of what is none."""
    return result.severity if result.verdict is Verdict.FAIL else result.verdict.value


def span_text(span: Span) -> str:
    """Return `file:line:column` without the parts that are not known."""
    return place_text(span.file, span.line, span.column)


def place_text(file: str, line: int, column: int) -> str:
    """Return `file:line:column` without the parts that are not known (0)."""
    parts = [file, *([str(line)] if line else []), *([str(column)] if line and column else [])]
    return ":".join(parts)


def rule_text(result: Result) -> str:
    """Return where the rule stands in the policy, or ""."""
    place = result.rule_location
    return place_text(place.file, place.line, place.column) if place else ""


def where(result: Result) -> str:
    """Return the place of a result: in the configuration, or else its rule's in the policy."""
    return span_text(result.locations[0]) if result.locations else rule_text(result)


def places(report: Report, result: Result) -> list[Span]:
    """Return the spans of a result, at least one: live findings have none of their own, and get their rule's."""
    if result.locations:
        return list(result.locations)
    place = result.rule_location
    if place is not None:
        return [
            Span(file=place.file, line=place.line, column=place.column, end_column=0, note="the rule", primary=True)
        ]
    files = [report.run.policy.file, *(file.path for target in report.run.targets for file in target.files)]
    file = next((file for file in files if file), "auditor.yaml")
    return [Span(file=file, line=1, column=1, end_column=0, note="", primary=True)]


def others(group: Sequence[Result]) -> list[str]:
    """Return what the further findings of a group say, each once."""
    return list(dict.fromkeys(r.message for r in group[1:] if r.message != group[0].message))


def counts(report: Report) -> dict[str, int]:
    """Count the open violations by severity, the worst first; those that were hidden are not among them."""
    violations = [r for r in report.results if r.verdict is Verdict.FAIL and is_open(r)]
    return {s.word: sum(1 for r in violations if r.severity == s.word) for s in sorted(Severity, reverse=True)}


def summary_line(report: Report) -> str:
    """Return the line that says how much was evaluated."""
    by = report.summary.by_verdict
    sent = f", {report.run.requests_sent} requests sent" if report.run.requests_sent else ""
    hidden = f" ({report.summary.hidden} not shown)" if report.summary.hidden else ""
    return (
        f"{by['fail']} violations{hidden}, {by['unknown']} unknown, {by['error']} errors, {by['pass']} checks passed; "
        f"{report.coverage.requests_evaluated} requests evaluated in {report.coverage.cells} cells{sent}"
    )


def repository_paths() -> Callable[[str], str]:
    """Return what makes of a path the one that the hosts of repositories want, looking for each file once.

    It is from the repository's root, with forward slashes; links are resolved. Outside a repository it is relative to
    the current folder, and outside that absolute.
    """
    here = Path.cwd().resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)

    @cache
    def repository_path(file: str) -> str:
        if file.startswith("builtin:"):
            return file
        path = Path(os.path.realpath(here / file))
        return visible(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix())

    return repository_path
