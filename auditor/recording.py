"""One entry audited, as a report that the history takes: whatever goes wrong is a row of it, and no exception."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor import audit, watching
from auditor.checks.of_the_audit import AUDIT_FAILED
from auditor.errors import AuditorError
from auditor.finding import Finding, Note, Run, Severity, Verdict
from auditor.fleet.entries import Entry
from auditor.options import LiveOptions
from auditor.policy.model import HttpTarget
from auditor.report.build import report

_LOADED = watching
"""Loaded here, once: threads that begin together would each wait for it with a request under way."""


def audited(entry: Entry) -> dict[str, Any]:
    """Audit an entry and return its report (JSON, version 1); an audit that cannot be made is one with its reason."""
    started = _now()
    try:
        run = _audit(entry)
    except AuditorError as error:
        problem = error.problems[0]
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        run = failed(entry, f"{problem.message}{more}", started)
        if problem.location is not None:
            finding = replace(run.findings[0], notes=(Note(problem.location),))
            run = replace(run, findings=(finding,))
    except Exception as error:  # noqa: BLE001 - a bug on one target must not hide the others
        run = failed(entry, f"a bug in auditor: {type(error).__name__}: {error}", started)
    return as_json(run)


def as_json(run: Run) -> dict[str, Any]:
    """Return a run's public report as plain JSON values."""
    value: dict[str, Any] = report(run).model_dump(mode="json")
    return value


def _audit(entry: Entry) -> Run:
    command = entry.command
    if not command:
        loaded = audit.load(entry.options)
        command = "audit" if any(isinstance(target, HttpTarget) for target in loaded.policy.targets) else "check"
    options = replace(entry.options, command=command)
    if command == "check":
        return audit.check(options)
    live_options = LiveOptions(
        ca_file=Path(entry.ca_file) if entry.ca_file else None,
        insecure=entry.insecure,
        measure_limits=entry.measure_limits,
    )
    return (audit.live if command == "live" else audit.audit)(options, live_options)


def failed(entry: Entry, reason: str, started: str = "") -> Run:
    """Return the run of an audit that could not be made."""
    finding = Finding(
        check=AUDIT_FAILED.id,
        rule="targets",
        verdict=Verdict.ERROR,
        severity=Severity.HIGH,
        message=reason,
        evidence="observed",
        disposition="open",
    )
    return Run(
        command=entry.command or "audit",
        findings=(finding,),
        checks=(AUDIT_FAILED,),
        policy_file=entry.policy,
        environment=entry.environment or "",
        started=started or _now(),
        finished=_now(),
    )


def packed(entry: Entry) -> bytes:
    """Audit an entry and return its report as bytes that travel between machines."""
    return zlib.compress(json.dumps(audited(entry), separators=(",", ":")).encode(), 1)


def unpacked(entry: Entry, said: bytes) -> Mapping[str, Any]:
    """Return the report of `packed`; where there is none, the worker died each time it was tried."""
    if not said:
        return as_json(failed(entry, "the process that audited this target died each time"))
    value: Mapping[str, Any] = json.loads(zlib.decompress(said))
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
