"""From a report (JSON, version 1) to what the history keeps of it: rows, and documents under the hash of what they say."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from auditor.dataclass import dataclass
from auditor.errors import HistoryError
from auditor.finding import Severity, Verdict

VERDICTS = tuple(Verdict)
DISPOSITIONS = (None, "open", "waived", "baselined")
EVIDENCE = ("predicted", "observed", "both", "contradicted")

VOLATILE = frozenset(
    {"age", "cf-ray", "date", "etag", "expires", "last-modified", "server-timing", "set-cookie", "traceparent", "via"}
    | {"x-amz-cf-id", "x-cache", "x-correlation-id", "x-envoy-upstream-service-time", "x-process-time"}
    | {"x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id", "x-response-time", "x-runtime", "x-served-by"}
    | {"x-timer", "x-trace-id"}
)
"""Response headers that differ from one answer to the next though nothing has changed: kept, and not compared."""

_NO_ANSWER = frozenset({"audit-failed", "target-unreachable"})
"""Checks that say that a target was not audited."""


@dataclass(frozen=True, slots=True)
class Document:
    """JSON that is kept once, under the hash of what it says."""

    sha256: str
    value: Any

    @property
    def body(self) -> bytes:
        """The bytes that are stored."""
        return zlib.compress(_text(self.value).encode(), 6)


@dataclass(frozen=True, slots=True)
class Row:
    """One result as it is compared: its identity, its verdict, and the hash of its evidence."""

    fingerprint: str
    check: str
    rule: str
    route: str
    verdict: Verdict
    severity: Severity
    disposition: str | None
    evidence: str
    document: str

    @property
    def open(self) -> bool:
        """Whether it is a violation that nobody has accepted."""
        return self.verdict is Verdict.FAIL and self.disposition not in {"waived", "baselined"}


@dataclass(frozen=True, slots=True)
class Header:
    """What a run says of itself. Times in seconds since 1970 (UTC)."""

    command: str
    started: float
    finished: float
    verdict: str
    reached: bool
    interrupted: bool
    tool_version: str
    policy_name: str
    policy_sha256: str
    environment: str
    configuration_sha256: str
    requests_sent: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One report, taken apart for keeping; `waivers`: id, owner and last day (ISO 8601) of each."""

    header: Header
    rows: tuple[Row, ...]
    head: Document
    checks: Document
    documents: Mapping[str, Document] = field(repr=False)
    waivers: tuple[tuple[str, str, str], ...] = ()

    @property
    def results_sha256(self) -> str:
        """The hash over the results in order."""
        return rows_sha256(self.rows)


def rows_sha256(rows: Iterable[Row]) -> str:
    """Return the hash over results in order: identity, verdict, severity, disposition, evidence."""
    digest = hashlib.sha256()
    for row in rows:
        text = f"{row.fingerprint} {row.verdict.value} {row.severity.word} {row.disposition} {row.evidence} {row.document}\n"
        digest.update(text.encode())
    return digest.hexdigest()


def record_of(report: Mapping[str, Any]) -> Record:
    """Take a report apart; HistoryError where it is not one that this version reads."""
    if report.get("version") != 1:
        raise HistoryError(f"a report of version {report.get('version')!r} cannot be recorded", hint="it has to be 1")
    rest = {key: value for key, value in report.items() if key not in {"results", "checks"}}
    pairs = [(result, _evidence(result)) for result in report["results"]]
    rows = tuple(_row(result, document.sha256) for result, document in pairs)
    return Record(
        header=_header(report, rows),
        rows=rows,
        head=_document(rest),
        checks=_document(report["checks"]),
        documents={document.sha256: document for _, document in pairs},
        waivers=tuple((w["id"], w["owner"], w["expires"]) for w in report.get("waivers", ())),
    )


def _header(report: Mapping[str, Any], rows: Sequence[Row]) -> Header:
    info = report["run"]
    reasons = [r["message"] for r in report["results"] if r["check"] in _NO_ANSWER and r["verdict"] != "pass"]
    answered = any(row.evidence != "predicted" and row.check not in _NO_ANSWER for row in rows)
    reached = answered or not reasons
    failed = any(row.check == "audit-failed" for row in rows)
    return Header(
        command=info["command"],
        started=_seconds(info["started"]),
        finished=_seconds(info["finished"]),
        verdict=report["verdict"] if reached else "error" if failed else "unreachable",
        reached=reached,
        interrupted=info["interrupted"],
        tool_version=info["tool"]["version"],
        policy_name=info["policy"]["name"],
        policy_sha256=info["policy"]["sha256"],
        environment=info["policy"]["environment"],
        configuration_sha256=_configuration(info["targets"]),
        requests_sent=info["requests_sent"],
        reason="" if reached else "; ".join(sorted(set(reasons)))[:2000],
    )


def _configuration(targets: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of every file read, target by target in the order read: where a file lies does not matter."""
    read = [[target["id"], [file["sha256"] for file in target["files"]]] for target in targets]
    return hashlib.sha256(_text(read).encode()).hexdigest()


def _row(result: Mapping[str, Any], document: str) -> Row:
    return Row(
        fingerprint=result["fingerprint"],
        check=result["check"],
        rule=result["rule"],
        route=result["route"],
        verdict=Verdict(result["verdict"]),
        severity=Severity[str(result["severity"]).upper()],
        disposition=result["disposition"],
        evidence=result["evidence"],
        document=document,
    )


def _evidence(result: Mapping[str, Any]) -> Document:
    """Return a result as a document whose hash leaves out what changes from one answer to the next."""
    compared = dict(result)
    if result["exchanges"]:
        compared["exchanges"] = [
            {**e, "headers": [[n, "" if n.lower() in VOLATILE else v] for n, v in e["headers"]]}
            for e in result["exchanges"]
        ]
    return Document(hashlib.sha256(_text(compared).encode()).hexdigest(), dict(result))


def _document(value: Any) -> Document:
    return Document(hashlib.sha256(_text(value).encode()).hexdigest(), value)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def opened(body: bytes) -> Any:
    """Return the JSON value of stored bytes."""
    return json.loads(zlib.decompress(body))


def _seconds(moment: str) -> float:
    """Return an ISO 8601 moment in seconds since 1970; without a zone it is UTC."""
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def report_of(head: Mapping[str, Any], checks: Sequence[Any], results: Sequence[Any]) -> dict[str, Any]:
    """Put a report together again."""
    return {**head, "checks": list(checks), "results": list(results)}
