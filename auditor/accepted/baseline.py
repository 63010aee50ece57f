"""A baseline: the findings that were there when a file was written, accepted until they are gone.

The file is JSON, sorted, one entry a finding, without line numbers or texts that change, so that its history reads as
what was accepted when.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.dataclass import dataclass
from auditor.errors import Location, UsageError
from auditor.finding import Finding, Note, Severity, Verdict

FILE = ".auditor-baseline.json"
"""Where a baseline is written unless told otherwise, beside the policy."""


class Entry(BaseModel):
    """One accepted finding: its check, rule and subject, which make its fingerprint, and what could see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    rule: str
    route: str
    subject: str
    verdict: Literal["fail", "unknown", "error"]
    evidence: Literal["predicted", "observed", "both", "contradicted"]
    fingerprint: str

    @property
    def key(self) -> tuple[str, str]:
        """What a finding has to be to be this one: an accepted `unknown` accepts no violation."""
        return (self.verdict, self.fingerprint)


class Baseline(BaseModel):
    """The file, version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    findings: list[Entry]


def write(findings: Sequence[Finding]) -> str:
    """Return the text of a baseline that accepts what is open, or baselined already, among these findings."""
    kept = [f for f in findings if f.disposition in {"open", "baselined"} and f.check not in OF_THE_FILE]
    entries = {
        (f.check, f.rule, f.route, f.subject, f.verdict.value): Entry.model_validate(
            {
                "check": f.check,
                "rule": f.rule,
                "route": f.route,
                "subject": f.subject,
                "verdict": f.verdict.value,
                "evidence": f.evidence,
                "fingerprint": f.fingerprint,
            }
        )
        for f in kept
    }
    document = {"version": 1, "findings": [entry.model_dump() for _, entry in sorted(entries.items())]}
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


OF_THE_FILE = frozenset({"baseline-stale", "waiver-unused", "waiver-forbidden"})
"""Findings about waivers and the baseline itself: never accepted by writing a baseline."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a baseline file accepts, and the line of each entry."""

    file: str
    entries: tuple[Entry, ...]
    lines: tuple[int, ...]


def read(file: Path) -> Accepted:
    """Read a baseline file. Raises UsageError where it cannot be read or is none."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot read the baseline {file}: {reason}", hint="auditor baseline write makes one"
        ) from None
    try:
        baseline = Baseline.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"{file} is no baseline: {f'{place}: ' if place else ''}{first['msg']}",
            Location(str(file)),
            "write it anew with `auditor baseline write`",
        ) from None
    found = [number for number, line in enumerate(text.splitlines(), 1) if '"check":' in line]
    lines = found if len(found) == len(baseline.findings) else [1] * len(baseline.findings)
    return Accepted(str(file), tuple(baseline.findings), tuple(lines))


def apply(accepted: Accepted, findings: Sequence[Finding], *, whole: bool, observed: bool) -> tuple[Finding, ...]:
    """Mark open findings that the baseline accepts, and report its entries that nothing matches.

    `whole`: the whole policy was audited, so that an entry without a finding is stale. `observed`: the running stack was
    asked, so that this holds for what only it shows, too.
    """
    keys = {entry.key for entry in accepted.entries}
    result = [
        replace(finding, disposition="baselined", waiver=f"in the baseline {accepted.file}")
        if finding.disposition == "open" and (finding.verdict.value, finding.fingerprint) in keys
        else finding
        for finding in findings
    ]
    if not whole:
        return tuple(result)
    there = {(f.verdict.value, f.fingerprint) for f in findings if f.verdict is not Verdict.PASS}
    for entry, line in zip(accepted.entries, accepted.lines, strict=True):
        if entry.key not in there and (observed or entry.evidence != "observed"):
            result.append(_stale(entry, Location(accepted.file, line)))
    return tuple(result)


def _stale(entry: Entry, place: Location) -> Finding:
    return Finding(
        check="baseline-stale",
        rule=entry.rule,
        verdict=Verdict.FAIL,
        severity=Severity.INFO,
        message=f"the baseline accepts {entry.check} of {entry.rule}, which is gone: write it anew",
        subject=entry.fingerprint,
        route=entry.route,
        notes=(Note(place),),
        disposition="open",
    )
