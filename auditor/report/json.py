"""The JSON report, version 1: its own model, so that internals may change and the report may not; see `stored` to read it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from auditor import __version__
from auditor.exchange import Exchange
from auditor.finding import Finding, Run, Severity, Verdict
from auditor.report.text import curl_line, header_value, short_path, visible

SeverityWord = Literal["info", "low", "medium", "high", "critical"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Model):
    """A file that was read, and its hash."""

    path: str
    sha256: str


class Target(_Model):
    """A target: files read or entrypoints asked."""

    id: str
    type: str
    files: list[File]
    entrypoints: dict[str, str]


class Laid(_Model):
    """A policy or profile laid under the policy, and its hash."""

    name: str
    sha256: str


class Policy(_Model):
    """The policy of the run."""

    name: str
    file: str
    sha256: str
    environment: str
    extends: list[Laid]


class Git(_Model):
    """The commit that the audited files were at."""

    commit: str
    dirty: bool


class Tool(_Model):
    """What made the run."""

    name: str
    version: str


class RunInfo(_Model):
    """When, what and with which policy; the only place with a wall clock."""

    started: str
    finished: str
    tool: Tool
    command: str
    policy: Policy
    targets: list[Target]
    git: Git | None
    requests_sent: int
    interrupted: bool
    fail_on: SeverityWord
    unknown_fails: bool


class Summary(_Model):
    """Counts."""

    by_verdict: dict[str, int]
    by_severity: dict[str, int]
    waived: int
    baselined: int


class Check(_Model):
    """A check of the catalogue."""

    id: str
    title: str
    severity: SeverityWord
    since: str
    help: str


class Coverage(_Model):
    """How much was evaluated, and what was not."""

    routes: list[str]
    cells: int
    requests_evaluated: int
    unknown: list[str]


class Span(_Model):
    """A span in a file, 1-based, `end_column` exclusive; 0: not known."""

    file: str
    line: int
    column: int
    end_column: int
    note: str
    primary: bool


class Place(_Model):
    """A point in a file."""

    file: str
    line: int
    column: int


class WitnessInfo(_Model):
    """The smallest request that shows the violation."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    curl: str


class ExchangeInfo(_Model):
    """A request's answer, predicted or observed."""

    kind: Literal["predicted", "observed"]
    when: str
    status: int | None
    headers: list[tuple[str, str]]
    trace: list[str]


class Result(_Model):
    """One finding, or one check that passed."""

    check: str
    rule: str
    subject: str
    rule_location: Place | None
    target: str
    route: str
    verdict: Verdict
    severity: SeverityWord
    disposition: Literal["open", "waived", "baselined"] | None
    waiver: str
    evidence: Literal["predicted", "observed", "both", "contradicted"]
    in_browser: str
    message: str
    expected: str
    observed: str
    fingerprint: str
    locations: list[Span]
    witness: WitnessInfo | None
    exchanges: list[ExchangeInfo]
    remediation: str


class Report(_Model):
    """The report, version 1."""

    version: Literal[1]
    verdict: Literal["pass", "fail", "incomplete"]
    run: RunInfo
    summary: Summary
    checks: list[Check]
    coverage: Coverage
    results: list[Result]


def report(run: Run) -> Report:
    """Build the public report of a run."""
    failing = [f for f in run.findings if f.verdict is Verdict.FAIL]
    undecided = [f for f in run.findings if f.verdict in {Verdict.UNKNOWN, Verdict.ERROR}]
    is_open = [f for f in failing if f.disposition not in {"waived", "baselined"}]
    return Report(
        version=1,
        verdict="fail" if is_open else "incomplete" if undecided or run.interrupted else "pass",
        run=_run_info(run),
        summary=Summary(
            by_verdict={v.value: sum(1 for f in run.findings if f.verdict is v) for v in Verdict},
            by_severity={s.word: sum(1 for f in failing if f.severity is s) for s in Severity},
            waived=sum(1 for f in run.findings if f.disposition == "waived"),
            baselined=sum(1 for f in run.findings if f.disposition == "baselined"),
        ),
        checks=[
            Check(id=c.id, title=c.title, severity=c.severity.word, since=c.since, help=c.help) for c in run.checks
        ],
        coverage=Coverage(
            routes=list(run.routes),
            cells=run.cells,
            requests_evaluated=run.requests_evaluated,
            unknown=sorted({visible(f.message) for f in undecided}),
        ),
        results=[_result(f) for f in run.findings],
    )


def _run_info(run: Run) -> RunInfo:
    return RunInfo(
        started=run.started,
        finished=run.finished,
        tool=Tool(name="auditor", version=run.tool_version or __version__),
        command=run.command,
        policy=Policy(
            name=run.policy_name,
            file=short_path(run.policy_file),
            sha256=run.policy_sha256,
            environment=run.environment,
            extends=[Laid(name=short_path(name), sha256=sha) for name, sha in run.extends],
        ),
        targets=[
            Target(
                id=t.id,
                type=t.type,
                files=[File(path=short_path(path), sha256=sha) for path, sha in t.files],
                entrypoints=dict(t.entrypoints),
            )
            for t in run.targets
        ],
        git=Git(commit=run.git[0], dirty=run.git[1]) if run.git else None,
        requests_sent=run.requests_sent,
        interrupted=run.interrupted,
        fail_on=run.fail_on.word,
        unknown_fails=run.unknown_fails,
    )


def _result(finding: Finding) -> Result:
    place = finding.rule_location
    witness = finding.witness
    return Result(
        check=finding.check,
        rule=finding.rule,
        subject=finding.subject,
        rule_location=Place(file=short_path(place.file), line=place.line, column=place.column) if place else None,
        target=finding.target,
        route=finding.route,
        verdict=finding.verdict,
        severity=finding.severity.word,
        disposition=finding.disposition,
        waiver=visible(finding.waiver),
        evidence=finding.evidence,
        in_browser=visible(finding.in_browser),
        message=visible(finding.message),
        expected=visible(finding.expected),
        observed=visible(finding.observed),
        fingerprint=finding.fingerprint,
        locations=[
            Span(
                file=short_path(n.location.file),
                line=n.location.line,
                column=n.location.column,
                end_column=n.location.end_column,
                note=visible(n.text),
                primary=i == 0,
            )
            for i, n in enumerate(finding.notes)
        ],
        witness=WitnessInfo(
            method=witness.request.method,
            url=visible(witness.request.url),
            headers=[(h.name, header_value(h)) for h in witness.request.headers],
            curl=curl_line(witness.request),
        )
        if witness
        else None,
        exchanges=[_exchange(e) for e in finding.exchanges],
        remediation=finding.remediation,
    )


def _exchange(exchange: Exchange) -> ExchangeInfo:
    response = exchange.response
    return ExchangeInfo(
        kind=exchange.kind,
        when=exchange.outcome.when,
        status=response.status if response else None,
        headers=[(visible(h.name), header_value(h)) for h in response.headers] if response else [],
        trace=[_step(s.directive, s.note, str(s.location or "")) for s in exchange.outcome.why],
    )


def _step(directive: str, note: str, place: str) -> str:
    return visible(" - ".join(part for part in (place, directive, note) if part))


def render(run: Run, **_: Any) -> str:
    """Return the report as JSON text: sorted, two spaces, a final newline."""
    return report(run).model_dump_json(indent=2) + "\n"
