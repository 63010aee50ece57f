"""A run becomes its public report: safe to show, secrets left out, source lines quoted."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import date
from functools import cache

from auditor import __version__
from auditor.errors import Location
from auditor.exchange import Exchange, Request
from auditor.finding import Finding, Note, Run, Severity, Verdict, WaiverUse
from auditor.report.model import (
    Check,
    Coverage,
    DoorInfo,
    ExchangeInfo,
    File,
    Git,
    HeaderAnswer,
    Laid,
    LimitInfo,
    OriginAnswer,
    Policy,
    Report,
    Result,
    RunInfo,
    Span,
    Summary,
    Target,
    Tool,
    WaiverInfo,
    WitnessInfo,
)
from auditor.report.reach import place, told
from auditor.report.text import curl_line, header_value, short_path, source_line, source_lines, where
from auditor.report.verdict import verdict
from auditor.report.view import ACCEPTED


def report(run: Run) -> Report:
    """Build the public report of a run; the lines that findings point at are read from the files now."""
    shared = _Shared()
    failing = [f for f in run.findings if f.verdict is Verdict.FAIL]
    undecided = [f for f in run.findings if f.verdict in {Verdict.UNKNOWN, Verdict.ERROR}]
    return Report(
        version=1,
        verdict=verdict(
            (f.severity for f in failing if f.disposition not in ACCEPTED),
            run.fail_on,
            undecided=run.unknown_fails and any(f.disposition not in ACCEPTED for f in undecided),
            interrupted=run.interrupted,
        ),
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
        coverage=_coverage(run, undecided),
        results=[_result(f, shared) for f in run.findings],
        waivers=[_waiver(item, run.today) for item in run.waivers],
        graph=told(run.graph) if run.graph is not None else None,
    )


def _run_info(run: Run) -> RunInfo:
    return RunInfo(
        started=run.started,
        finished=run.finished,
        today=run.today,
        vantage=run.vantage,
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


def _coverage(run: Run, undecided: Sequence[Finding]) -> Coverage:
    tables = run.tables
    return Coverage(
        routes=list(run.routes),
        cells=run.cells,
        requests_evaluated=run.requests_evaluated,
        unknown=sorted({f.message for f in undecided}),
        origins=[
            OriginAnswer(
                route=a.route,
                question=a.question,
                origin=a.origin,
                kind=a.kind,
                expected=a.expected,
                predicted=a.predicted,
                observed=a.observed,
            )
            for a in tables.origins
        ],
        headers=[
            HeaderAnswer(
                route=a.route,
                header=a.header,
                expected=a.expected,
                found=list(a.found),
                predicted=a.predicted,
                observed=a.observed,
            )
            for a in tables.headers
        ],
        limits=[
            LimitInfo(
                route=a.route,
                declared=a.declared,
                configured=[_noted(note) for note in a.configured],
                measured=a.measured,
            )
            for a in tables.limits
        ],
        doors=[
            DoorInfo(
                address=a.address,
                expected=a.expected,
                configured=[_noted(note) for note in a.configured],
                observed=a.observed,
            )
            for a in tables.doors
        ],
    )


def _noted(note: Note) -> str:
    place = where(note.location)
    return f"{note.text} ({place})" if place else note.text


def _waiver(item: WaiverUse, today: str) -> WaiverInfo:
    left = date.fromisoformat(item.expires) - date.fromisoformat(today)
    return WaiverInfo(
        id=item.id,
        checks=list(item.checks),
        routes=list(item.routes),
        reason=item.reason,
        owner=item.owner,
        ticket=item.ticket,
        expires=item.expires,
        days_left=left.days,
        findings=item.findings,
    )


class _Shared:
    """What many findings of one run have in common, each told once: places, requests, answers, and files read."""

    def __init__(self) -> None:
        """Remember nothing yet; requests and answers are told apart by identity, and live as long as their run."""
        self.place = cache(place)
        self.span = cache(self._span)
        self._where = cache(where)
        self._lines = cache(source_lines)
        self._witnesses: dict[int, WitnessInfo] = {}
        self._exchanges: dict[int, ExchangeInfo] = {}

    def witness(self, request: Request) -> WitnessInfo:
        """Tell the request that shows a violation."""
        told = self._witnesses.get(id(request))
        if told is None:
            told = self._witnesses[id(request)] = WitnessInfo(
                method=request.method,
                url=request.url,
                headers=[(h.name, header_value(h)) for h in request.headers],
                curl=curl_line(request),
            )
        return told

    def exchange(self, exchange: Exchange) -> ExchangeInfo:
        """Tell an answer and what made it."""
        told = self._exchanges.get(id(exchange))
        if told is None:
            response = exchange.response
            told = self._exchanges[id(exchange)] = ExchangeInfo(
                kind=exchange.kind,
                when=exchange.outcome.when,
                status=response.status if response else None,
                headers=[(h.name, header_value(h)) for h in response.headers] if response else [],
                trace=[_step(s.directive, s.note, self._where(s.location)) for s in exchange.outcome.why],
                error=exchange.error,
            )
        return told

    def _span(self, location: Location, note: str, primary: bool) -> Span:
        return Span(
            file=short_path(location.file),
            line=location.line,
            column=location.column,
            end_column=location.end_column,
            note=note,
            primary=primary,
            source=source_line(location, self._lines),
        )


def _result(finding: Finding, shared: _Shared) -> Result:
    return Result(
        check=finding.check,
        rule=finding.rule,
        subject=finding.subject,
        rule_location=shared.place(finding.rule_location),
        target=finding.target,
        route=finding.route,
        verdict=finding.verdict,
        severity=finding.severity.word,
        disposition=finding.disposition,
        evidence=finding.evidence,
        message=finding.message,
        expected=finding.expected,
        observed=finding.observed,
        fingerprint=finding.fingerprint,
        locations=[shared.span(n.location, n.text, i == 0) for i, n in enumerate(finding.notes)],
        witness=shared.witness(finding.witness.request) if finding.witness else None,
        exchanges=[shared.exchange(e) for e in finding.exchanges],
        remediation=finding.remediation,
        waiver=finding.waiver,
        in_browser=finding.in_browser,
        screenshot=b64encode(finding.screenshot).decode(),
        agreement=finding.agreement,
    )


def _step(directive: str, note: str, place: str) -> str:
    return " - ".join(part for part in (place, directive, note) if part)
