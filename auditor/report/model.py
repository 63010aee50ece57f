"""The report, version 1: a model of its own, so that internals may change and what users read may not.

Every renderer reads this and nothing else, so that a stored run renders as the run itself did.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from auditor.finding import Verdict
from auditor.graph import NodeKind
from auditor.report.text import visible

Text = Annotated[str, AfterValidator(visible)]
"""One line that a server, a configuration or a stored report may have written: nothing in it is invisible."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


SeverityWord = Literal["info", "low", "medium", "high", "critical"]


class File(_Model):
    """A file that was read, and its hash."""

    path: Text
    sha256: Text


class Target(_Model):
    """A target: files read or entrypoints asked."""

    id: Text
    type: Text
    files: list[File]
    entrypoints: dict[Text, Text]


class Laid(_Model):
    """A policy or profile laid under the policy, and its hash."""

    name: Text
    sha256: Text


class Policy(_Model):
    """The policy of the run."""

    name: Text
    file: Text
    sha256: Text
    environment: Text
    extends: list[Laid]


class Git(_Model):
    """The commit that the audited files were at."""

    commit: Text
    dirty: bool


class Tool(_Model):
    """What made the run."""

    name: Text
    version: Text


class RunInfo(_Model):
    """When, what and with which policy; the only place with a wall clock.

    `today` is the day that waivers were held against; `vantage` names the machine that sent requests, "" where none did.
    `fail_on` and `unknown_fails` are what the exit status depended on.
    """

    started: Text
    finished: Text
    today: Text = ""
    vantage: Text = ""
    tool: Tool
    command: Text
    policy: Policy
    targets: list[Target]
    git: Git | None
    requests_sent: int
    interrupted: bool
    fail_on: SeverityWord = "medium"
    unknown_fails: bool = True


class Summary(_Model):
    """Counts; `hidden` violations are counted here and left out of `results`."""

    by_verdict: dict[Text, int]
    by_severity: dict[Text, int]
    waived: int
    baselined: int
    hidden: int = 0


class Check(_Model):
    """A check of the catalogue."""

    id: Text
    title: Text
    severity: SeverityWord
    since: Text
    help: str


Answer = Literal["allowed", "refused", "partly", "unknown", ""]
"""What a route says to an origin: "partly" where its cells differ, "" where nobody asked."""


class OriginAnswer(_Model):
    """One cell of the matrix of routes and origins: may a page there read, ask by preflight, or connect?"""

    route: Text
    question: Literal["read", "preflight", "connect"]
    origin: Text
    kind: Text
    expected: Answer
    predicted: Answer
    observed: Answer


class HeaderAnswer(_Model):
    """One cell of the matrix of routes and headers: what is expected, what was found, and what the checks say of it."""

    route: Text
    header: Text
    expected: Text
    found: list[Text]
    predicted: Verdict | None
    observed: Verdict | None


class LimitInfo(_Model):
    """The rate limit of a route: declared by the policy, configured, measured."""

    route: Text
    declared: Text
    configured: list[Text]
    measured: Text


class DoorInfo(_Model):
    """An address that must not answer or may be published: what the files open, and what answered."""

    address: Text
    expected: Text
    configured: list[Text]
    observed: Text


class WaiverInfo(_Model):
    """A waiver: what it accepts, why, whose it is, its last day, days left (negative: expired), findings it accepts."""

    id: Text
    checks: list[Text]
    routes: list[Text]
    reason: Text
    owner: Text
    ticket: Text
    expires: Text
    days_left: int
    findings: int


class Coverage(_Model):
    """How much was evaluated, and what was not."""

    routes: list[Text]
    cells: int
    requests_evaluated: int
    unknown: list[Text]
    origins: list[OriginAnswer] = []
    headers: list[HeaderAnswer] = []
    limits: list[LimitInfo] = []
    doors: list[DoorInfo] = []


class Place(_Model):
    """A point in a file."""

    file: Text
    line: int
    column: int


class NodeInfo(_Model):
    """A place that connections come from or lead to."""

    id: Text
    kind: NodeKind
    label: Text
    place: Place | None
    networks: list[Text]


class EdgeInfo(_Model):
    """A connection that the configuration makes; `blocked` says why nothing passes all the same."""

    source: Text
    target: Text
    by: Text
    address: Text
    place: Place | None
    blocked: Text


class NetworkInfo(_Model):
    """A network between containers."""

    name: Text
    internal: bool
    place: Place | None


class WayInfo(_Model):
    """One way from outside to where it ends: positions in the list of edges, and what is wrong with it."""

    edges: list[int]
    text: Text
    avoids: list[Text]
    offends: Text


class GraphInfo(_Model):
    """Who can reach what, as far as the files say."""

    nodes: list[NodeInfo]
    edges: list[EdgeInfo]
    networks: list[NetworkInfo]
    ways: list[WayInfo]


class Span(_Model):
    """A span in a file, 1-based, `end_column` exclusive; 0: not known. `source` is the line as it was."""

    file: Text
    line: int
    column: int
    end_column: int
    note: Text
    primary: bool
    source: Text = ""


class WitnessInfo(_Model):
    """The smallest request that shows the violation."""

    method: Text
    url: Text
    headers: list[tuple[Text, Text]]
    curl: Text


class ExchangeInfo(_Model):
    """A request's answer, predicted or observed; `error` says why there is none."""

    kind: Literal["predicted", "observed"]
    when: Text
    status: int | None
    headers: list[tuple[Text, Text]]
    trace: list[Text]
    error: Text = ""


class Result(_Model):
    """One finding, or one check that passed."""

    check: Text
    rule: Text
    subject: str
    rule_location: Place | None
    target: Text
    route: Text
    verdict: Verdict
    severity: SeverityWord
    disposition: Literal["open", "waived", "baselined"] | None
    evidence: Literal["predicted", "observed", "both", "contradicted"]
    message: Text
    expected: Text
    observed: Text
    fingerprint: Text
    locations: list[Span]
    witness: WitnessInfo | None
    exchanges: list[ExchangeInfo]
    remediation: Text
    waiver: Text = ""
    in_browser: Text = ""
    screenshot: str = ""
    agreement: Text = ""


class Report(_Model):
    """The report, version 1."""

    version: Literal[1]
    verdict: Literal["pass", "fail", "incomplete"]
    run: RunInfo
    summary: Summary
    checks: list[Check]
    coverage: Coverage
    results: list[Result]
    waivers: list[WaiverInfo] = []
    graph: GraphInfo | None = None
