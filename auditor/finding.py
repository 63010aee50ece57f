"""What a check says, and what one audit is: verdicts, severities, findings, runs."""

from __future__ import annotations

import hashlib
from dataclasses import field
from enum import Enum, IntEnum
from typing import Literal

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import Exchange, Request
from auditor.graph import Graph


class Verdict(str, Enum):
    """The closed set of answers a check gives."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    ERROR = "error"


class Severity(IntEnum):
    """How bad a finding is, ordered; renderers map it to other scales."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The lower-case word used in policies and reports."""
        return self.name.lower()


Evidence = Literal["predicted", "observed", "both", "contradicted"]
Disposition = Literal["open", "waived", "baselined"]


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """One check as reports name it: id, one-line title, default severity, the version it appeared in, its page."""

    id: str
    title: str
    severity: Severity
    since: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A place in a file and what there is to say about it."""

    location: Location
    text: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """The smallest request that shows a violation; `credentials`: what a page does with it works with its user's cookies."""

    request: Request
    credentials: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict of one check about one rule of the policy.

    `notes[0]` is the primary location. `subject` tells findings of one check and rule apart
    (server, location, method, origin class); `in_browser` is what a real browser did with the witness, `agreement` what the running stack says of a prediction,
    `screenshot` a PNG of the page for which it succeeded; the fingerprint is made of the subject and never of line numbers.
    """

    check: str
    rule: str
    verdict: Verdict
    severity: Severity
    message: str
    subject: str = ""
    route: str = ""
    target: str = ""
    rule_location: Location | None = None
    notes: tuple[Note, ...] = ()
    expected: str = ""
    observed: str = ""
    witness: Witness | None = None
    exchanges: tuple[Exchange, ...] = ()
    evidence: Evidence = "predicted"
    disposition: Disposition | None = None
    waiver: str = ""
    remediation: str = ""
    in_browser: str = ""
    screenshot: bytes = b""
    agreement: str = ""

    @property
    def fingerprint(self) -> str:
        """Identify the violation across runs: check, rule and subject, never lines or rendered text."""
        text = f"{self.check}\0{self.rule}\0{self.route}\0{self.subject}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


Answer = Literal["allowed", "refused", "partly", "unknown", ""]
"""What a route says to an origin: "partly" where its cells differ, "" where nobody asked."""


@dataclass(frozen=True, slots=True)
class OriginAnswer:
    """What a route answers to the origins of one cell: may a page there read, ask by preflight, or connect?"""

    route: str
    question: Literal["read", "preflight", "connect"]
    origin: str
    kind: str
    expected: Answer
    predicted: Answer = ""
    observed: Answer = ""


@dataclass(frozen=True, slots=True)
class HeaderAnswer:
    """A header that the policy speaks of on a route: what is expected, the values found, what the checks say of it."""

    route: str
    header: str
    expected: str
    found: tuple[str, ...] = ()
    predicted: Verdict | None = None
    observed: Verdict | None = None


@dataclass(frozen=True, slots=True)
class LimitAnswer:
    """The rate limit of a route: declared by the policy, configured (each limit and its place), measured."""

    route: str
    declared: str
    configured: tuple[Note, ...] = ()
    measured: str = ""


@dataclass(frozen=True, slots=True)
class DoorAnswer:
    """An address that the policy speaks of, or that the files open: expected, configured, observed."""

    address: str
    expected: str
    configured: tuple[Note, ...] = ()
    observed: str = ""


@dataclass(frozen=True, slots=True)
class Tables:
    """What was asked and what was answered, in tables: the proof of coverage beside the findings."""

    origins: tuple[OriginAnswer, ...] = ()
    headers: tuple[HeaderAnswer, ...] = ()
    limits: tuple[LimitAnswer, ...] = ()
    doors: tuple[DoorAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """A waiver of the policy and how many findings it covers; `expires` is its last day (ISO 8601)."""

    id: str
    checks: tuple[str, ...]
    routes: tuple[str, ...]
    reason: str
    owner: str
    expires: str
    ticket: str = ""
    findings: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One audit: immutable, versioned. See `auditor.report.model` for its public form.

    `fail_on` and `unknown_fails` are what the exit status depends on, whatever the format.
    `graph` is who can reach what, as far as the files of the targets say; None where they say nothing about it.
    `tool_version` is the version that made a stored run, "" for one that was just made.
    `today` is the day (ISO 8601) that waivers were held against, `vantage` the machine that requests were sent from.
    """

    command: str
    findings: tuple[Finding, ...]
    checks: tuple[CheckInfo, ...]
    policy_name: str = ""
    policy_file: str = ""
    policy_sha256: str = ""
    environment: str = ""
    extends: tuple[tuple[str, str], ...] = ()
    targets: tuple[TargetInfo, ...] = ()
    routes: tuple[str, ...] = ()
    cells: int = 0
    requests_evaluated: int = 0
    requests_sent: int = 0
    started: str = ""
    finished: str = ""
    git: tuple[str, bool] | None = None
    interrupted: bool = False
    fail_on: Severity = Severity.MEDIUM
    unknown_fails: bool = True
    graph: Graph | None = None
    tool_version: str = ""
    today: str = ""
    vantage: str = ""
    tables: Tables = Tables()
    waivers: tuple[WaiverUse, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """One target as a report names it: the files read with their hashes, or the entrypoints asked."""

    id: str
    type: str
    files: tuple[tuple[str, str], ...] = ()
    entrypoints: tuple[tuple[str, str], ...] = ()
    layers: tuple[str, ...] = field(default=())
