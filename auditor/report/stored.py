"""A stored JSON report becomes a run again, to be rendered in another format or compared."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

from pydantic import ValidationError

from auditor.errors import Location, UsageError
from auditor.exchange import Action, Exchange, Headers, Outcome, Request, Response, Step
from auditor.finding import (
    CheckInfo,
    DoorAnswer,
    Finding,
    HeaderAnswer,
    LimitAnswer,
    Note,
    OriginAnswer,
    Run,
    Severity,
    Tables,
    TargetInfo,
    WaiverUse,
    Witness,
)
from auditor.report.model import Coverage, ExchangeInfo, Report, Result, WitnessInfo
from auditor.report.reach import drawn

_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def read(file: Path) -> Run:
    """Return the run of a JSON report.

    What the report leaves out stays out: redacted values, bodies, what the configuration had in force.
    Raises UsageError where the file cannot be read or is no report of this version.
    """
    return run(read_report(file))


def read_report(file: Path) -> Report:
    """Return a JSON report; raises UsageError where the file cannot be read or is no report of this version."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}") from None
    try:
        return Report.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = f"{place}: {first['msg']}" if place else first["msg"]
        hint = "give a file written with `-f json` or `-o json=FILE` by this version"
        raise UsageError(f"{file} is no auditor report: {what}", Location(str(file)), hint) from None


def run(report: Report) -> Run:
    """Return the run that a report was made from, as far as the report tells it."""
    info, policy = report.run, report.run.policy
    return Run(
        command=info.command,
        findings=tuple(_finding(result) for result in report.results),
        checks=tuple(CheckInfo(c.id, c.title, Severity[c.severity.upper()], c.since, c.help) for c in report.checks),
        policy_name=policy.name,
        policy_file=policy.file,
        policy_sha256=policy.sha256,
        environment=policy.environment,
        extends=tuple((item.name, item.sha256) for item in policy.extends),
        targets=tuple(
            TargetInfo(t.id, t.type, tuple((f.path, f.sha256) for f in t.files), tuple(t.entrypoints.items()))
            for t in info.targets
        ),
        routes=tuple(report.coverage.routes),
        cells=report.coverage.cells,
        requests_evaluated=report.coverage.requests_evaluated,
        requests_sent=info.requests_sent,
        started=info.started,
        finished=info.finished,
        git=(info.git.commit, info.git.dirty) if info.git else None,
        interrupted=info.interrupted,
        fail_on=Severity[info.fail_on.upper()],
        unknown_fails=info.unknown_fails,
        tool_version=info.tool.version,
        today=info.today,
        vantage=info.vantage,
        graph=drawn(report.graph) if report.graph is not None else None,
        tables=_tables(report.coverage),
        waivers=tuple(
            WaiverUse(w.id, tuple(w.checks), tuple(w.routes), w.reason, w.owner, w.expires, w.ticket, w.findings)
            for w in report.waivers
        ),
    )


def _tables(coverage: Coverage) -> Tables:
    return Tables(
        origins=tuple(OriginAnswer(**dict(item)) for item in coverage.origins),
        headers=tuple(HeaderAnswer(**{**dict(item), "found": tuple(item.found)}) for item in coverage.headers),
        limits=tuple(LimitAnswer(**{**dict(item), "configured": _notes(item.configured)}) for item in coverage.limits),
        doors=tuple(DoorAnswer(**{**dict(item), "configured": _notes(item.configured)}) for item in coverage.doors),
    )


def _notes(texts: list[str]) -> tuple[Note, ...]:
    """Return notes whose place is part of their text."""
    return tuple(Note(Location(""), text) for text in texts)


def _finding(result: Result) -> Finding:
    place = result.rule_location
    request = _request(result.witness) if result.witness else None
    return Finding(
        check=result.check,
        rule=result.rule,
        verdict=result.verdict,
        severity=Severity[result.severity.upper()],
        message=result.message,
        subject=result.subject,
        route=result.route,
        target=result.target,
        rule_location=Location(place.file, place.line, place.column) if place else None,
        notes=tuple(Note(Location(s.file, s.line, s.column, s.end_column), s.note) for s in result.locations),
        expected=result.expected,
        observed=result.observed,
        witness=Witness(request) if request else None,
        exchanges=tuple(_exchange(item, request or Request()) for item in result.exchanges),
        evidence=result.evidence,
        disposition=result.disposition,
        waiver=result.waiver,
        remediation=result.remediation,
        in_browser=result.in_browser,
        screenshot=b64decode(result.screenshot),
        agreement=result.agreement,
    )


def _request(witness: WitnessInfo) -> Request:
    """Return the request of a witness; where its bytes had to be escaped to be shown, they are put back."""
    headers = witness.headers
    if "$'" in witness.curl:
        headers = [(name, _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value)) for name, value in headers]
    scheme, _, rest = witness.url.partition("://")
    slash = rest.find("/")
    target = rest[slash:] if slash >= 0 and scheme in {"http", "https"} else witness.url
    return Request(
        witness.method, target, Headers.of(headers), scheme=scheme if scheme in {"http", "https"} else "http"
    )


def _exchange(item: ExchangeInfo, request: Request) -> Exchange:
    response = Response(item.status, Headers.of(item.headers)) if item.status is not None or item.headers else None
    why = tuple(Step(text) for text in item.trace)
    action = Action("observed" if item.kind == "observed" else "unknown")
    return Exchange(item.kind, request, Outcome(item.when, response, action, why=why))
