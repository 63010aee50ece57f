"""SARIF 2.1.0 (OASIS): every check is a rule, fired or not, and every finding has a physical location.

What GitHub wants of it beyond the standard is in its documentation ("SARIF support for code scanning").
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

from auditor import __version__
from auditor.finding import Severity, Verdict
from auditor.report.model import Check, ExchangeInfo, Report, Result, Span
from auditor.report.view import ACCEPTED, View, findings, is_open, places, repository_paths, severity_of

Artifact = Callable[[str], dict[str, Any]]
"""Names a file, by its path in the report, as SARIF does."""

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"
LEVEL = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
SECURITY_SEVERITY = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.5"}
"""GitHub's scale: a string, over 9.0 critical, from 7.0 high, from 4.0 medium."""

LONGEST = 1024
"""Characters of a rule's descriptions that GitHub takes."""


def render(report: Report, view: View) -> str:
    """Return the SARIF log."""
    del view
    shown = [r for r in findings(report) if is_open(r) or not _on_github()]
    rules = {check.id: index for index, check in enumerate(report.checks)}
    artifact = _artifacts()
    run: dict[str, Any] = {
        "tool": {"driver": _driver(report)},
        "automationDetails": {"id": _category(report)},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(report)],
        "artifacts": [
            {"location": artifact(file.path), "hashes": {"sha-256": file.sha256}, "roles": ["analysisTarget"]}
            for file in {file.path: file for target in report.run.targets for file in target.files}.values()
        ],
        "results": [_result(report, r, rules[r.check], artifact) for r in shown if r.check in rules],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _on_github() -> bool:
    """Whether the log is for GitHub, which takes a suppressed result for an open one (github/codeql-action#1230)."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _category(report: Report) -> str:
    """Name the analysis, so that several policies of one repository do not replace each other's results."""
    how = "static" if report.run.command == "check" else "live"
    parts = ["auditor", how, report.run.policy.name or "profiles", report.run.policy.environment]
    return "".join(f"{quote(part, safe='')}/" for part in parts if part)


def _driver(report: Report) -> dict[str, Any]:
    worst: dict[str, Severity] = {}
    for result in findings(report):
        worst[result.check] = max(worst.get(result.check, Severity.INFO), severity_of(result))
    return {
        "name": "auditor",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(check, worst.get(check.id, Severity[check.severity.upper()]).word) for check in report.checks],
    }


def _rule(check: Check, severity: str) -> dict[str, Any]:
    _, _, body = check.help.partition("## What it checks")
    full = body.partition("\n## ")[0].strip() or check.title
    weaknesses = sorted(set(re.findall(r"CWE-(\d+)", check.help)), key=int)
    return {
        "id": f"auditor/{check.id}",
        "name": "".join(part.capitalize() for part in check.id.split("-")),
        "shortDescription": {"text": _sentence(check.title)},
        "fullDescription": {"text": _sentence(full)},
        "help": {"text": check.help, "markdown": check.help},
        "defaultConfiguration": {"level": LEVEL[severity]},
        "properties": {
            "precision": "very-high",
            "security-severity": SECURITY_SEVERITY[severity],
            "since": check.since,
            "tags": ["security", check.id.partition("-")[0], *(f"external/cwe/cwe-{number}" for number in weaknesses)],
        },
    }


def _sentence(text: str) -> str:
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return text if text.endswith((".", "\N{HORIZONTAL ELLIPSIS}")) else f"{text}."


def _invocation(report: Report) -> dict[str, Any]:
    run = report.run
    undecided = [r for r in report.results if r.verdict in {Verdict.UNKNOWN, Verdict.ERROR}]
    invocation: dict[str, Any] = {
        "executionSuccessful": not run.interrupted and not any(r.verdict is Verdict.ERROR for r in undecided),
        "toolExecutionNotifications": [
            {
                "level": "error" if r.verdict is Verdict.ERROR else "warning",
                "message": {"text": plain(r.message)},
                "associatedRule": {"id": f"auditor/{r.check}"},
            }
            for r in undecided
        ],
        "properties": {
            "policy": run.policy.model_dump(),
            "git": run.git.model_dump() if run.git else None,
            "requestsEvaluated": report.coverage.requests_evaluated,
            "requestsSent": run.requests_sent,
        },
    }
    for key, value in (("startTimeUtc", run.started), ("endTimeUtc", run.finished)):
        if value:
            invocation[key] = value.replace("+00:00", "Z")
    return invocation


def plain(text: str) -> str:
    r"""Write untrusted text as a plain SARIF message: no embedded link (§3.11.6), no placeholder (§3.11.5)."""
    escaped = text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return escaped.replace("{", "{{").replace("}", "}}")


def _result(report: Report, result: Result, index: int, artifact: Artifact) -> dict[str, Any]:
    spans = places(report, result)
    failed = result.verdict is Verdict.FAIL
    location = _location(spans[0], artifact)
    if result.witness is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": result.witness.url, "kind": "resource"}]
    made: dict[str, Any] = {
        "ruleId": f"auditor/{result.check}",
        "ruleIndex": index,
        "kind": "fail" if failed else "open",
        "level": LEVEL[result.severity] if failed else "none",
        "message": {"text": plain(_message(result))},
        "locations": [location],
        "partialFingerprints": {
            "primaryLocationLineHash": f"{result.fingerprint}:1",
            "auditorFingerprint/v1": result.fingerprint,
        },
        "properties": {
            "verdict": result.verdict.value,
            "severity": result.severity,
            "evidence": result.evidence,
            "route": result.route,
            "rule": result.rule,
            "expected": result.expected,
            "observed": result.observed,
        },
    }
    related = [_location(span, artifact, number) for number, span in enumerate(_related(result, spans), 1)]
    if related:
        made["relatedLocations"] = related
    _add_disposition(made, result)
    _add_exchange(made, result)
    return made


def _message(result: Result) -> str:
    lines = [result.message]
    if result.expected:
        lines.append(f"Expected: {result.expected}")
    if result.observed:
        lines.append(f"Found: {result.observed}")
    if result.remediation:
        lines.append(f"Why: {result.remediation}")
    if result.witness is not None:
        lines.append(f"Reproduce: {result.witness.curl}")
    return "\n".join(lines)


def _related(result: Result, spans: list[Span]) -> list[Span]:
    rule = result.rule_location
    more = list(spans[1:])
    if result.locations and rule is not None:
        note = f"the rule {result.rule}"
        more.append(Span(file=rule.file, line=rule.line, column=rule.column, end_column=0, note=note, primary=False))
    return more


def _location(span: Span, artifact: Artifact, number: int | None = None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": artifact(span.file)}
    if span.line:
        region: dict[str, Any] = {"startLine": span.line}
        if span.column:
            region["startColumn"] = span.column
        if span.column and span.end_column > span.column:
            region |= {"endLine": span.line, "endColumn": span.end_column}
        if span.source:
            region["snippet"] = {"text": span.source}
        physical["region"] = region
    location: dict[str, Any] = {"physicalLocation": physical}
    if number is not None:
        location["id"] = number
    if span.note:
        location["message"] = {"text": plain(span.note)}
    return location


def _artifacts() -> Artifact:
    """Return what names a file as SARIF does, each looked for once."""
    path_of = repository_paths()

    @cache
    def artifact(file: str) -> dict[str, Any]:
        path = path_of(file)
        if path.startswith("builtin:"):
            return {"uri": quote(path, safe=":@")}
        if path.startswith("/"):
            return {"uri": f"file://{quote(path)}"}
        return {"uri": quote(path), "uriBaseId": ROOT}

    return artifact


def _add_disposition(made: dict[str, Any], result: Result) -> None:
    if result.disposition in ACCEPTED:
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": plain(result.waiver)}]
    if result.disposition == "baselined":
        made["baselineState"] = "unchanged"


def _add_exchange(made: dict[str, Any], result: Result) -> None:
    """Add the witness and its answer: the observed one where there is one, else the predicted one (see `evidence`)."""
    witness = result.witness
    if witness is None:
        return
    made["webRequest"] = {
        "protocol": "HTTP",
        "version": "1.1",
        "method": witness.method,
        "target": witness.url,
        "headers": _headers(witness.headers),
    }
    answers = sorted(result.exchanges, key=lambda exchange: exchange.kind != "observed")
    if answers:
        made["webResponse"] = _response(answers[0])


def _response(exchange: ExchangeInfo) -> dict[str, Any]:
    if exchange.status is None:
        return {"noResponseReceived": True, "properties": {"kind": exchange.kind, "error": exchange.error}}
    return {
        "protocol": "HTTP",
        "version": "1.1",
        "statusCode": exchange.status,
        "headers": _headers(exchange.headers),
        "properties": {"kind": exchange.kind, "when": exchange.when},
    }


def _headers(lines: list[tuple[str, str]]) -> dict[str, str]:
    """Join repeated lines as RFC 9110 §5.3 does."""
    joined: dict[str, str] = {}
    for name, value in lines:
        same = next((known for known in joined if known.lower() == name.lower()), name)
        joined[same] = f"{joined[same]}, {value}" if same in joined else value
    return joined
