"""What changed between two runs of one target, and why: pure functions over what the history keeps.

A violation is `fixed` only where the later run evaluated its rule with the kind of evidence that showed it; else it is
`undecided`. What a new policy or a new version of the auditor brought is never called a drift of the target.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from auditor.dataclass import dataclass
from auditor.finding import Severity, Verdict
from auditor.history.records import Header, Row

Kind = Literal["new", "fixed", "open", "evidence", "accepted", "undecided"]
Cause = Literal["target", "configuration", "policy", "auditor", "waiver"]

KINDS: tuple[Kind, ...] = ("new", "undecided", "evidence", "open", "accepted", "fixed")
NOTABLE: frozenset[Kind] = frozenset({"new", "fixed", "evidence", "accepted", "undecided"})
"""Kinds that are kept with the later run; what is still open is told by the runs themselves."""

SILENT_WHEN_GOOD = frozenset(
    {"audit-failed", "live-differs-from-configuration", "rule-not-evaluated", "target-unreachable", "waiver-unused"}
)
"""Checks of the audit itself, which say nothing where there is nothing to say: their silence in a whole run is a pass."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One run as it is compared."""

    header: Header
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One violation that is not as it was (or, `open`, that is): what happened to it and why.

    `after` None: the later run has no verdict with this fingerprint.
    """

    kind: Kind
    cause: Cause
    before: Row | None
    after: Row | None

    @property
    def row(self) -> Row:
        """The later verdict, or the earlier one where there is none."""
        row = self.after if self.after is not None and self.kind != "fixed" else self.before or self.after
        if row is None:
            raise ValueError("a change without a verdict")
        return row

    @property
    def severity(self) -> Severity:
        """How bad the violation is."""
        return self.row.severity


@dataclass(frozen=True, slots=True)
class Drift:
    """What is different in the later of two runs of one target.

    `reached` and `was_reached`: whether each run got answers from the running stack (or needed none).
    """

    changes: tuple[Change, ...]
    policy_changed: bool = False
    configuration_changed: bool = False
    auditor_changed: bool = False
    reached: bool = True
    was_reached: bool = True
    first: bool = False

    def of(self, kind: Kind, *causes: Cause) -> tuple[Change, ...]:
        """Return the changes of one kind, of these causes where any are given."""
        return tuple(c for c in self.changes if c.kind == kind and (not causes or c.cause in causes))

    @property
    def notable(self) -> tuple[Change, ...]:
        """The changes that are more than "still open"."""
        return tuple(change for change in self.changes if change.kind in NOTABLE)


def first(after: Kept) -> Drift:
    """Return the drift of a target's first run: nothing is known to have changed, what is open is open."""
    changes = (Change("open", "target", None, row) for row in after.rows if row.open)
    return Drift(tuple(_sorted(changes)), reached=after.header.reached, first=True)


def compare(before: Kept, after: Kept) -> Drift:
    """Return what changed between two runs of one target."""
    return _Comparison(before, after).drift()


class _Comparison:
    """Two runs, and what the later one evaluated."""

    def __init__(self, before: Kept, after: Kept) -> None:
        self.before, self.after = before, after
        old, new = before.header, after.header
        self.policy_changed = (old.policy_sha256, old.environment) != (new.policy_sha256, new.environment)
        self.auditor_changed = old.tool_version != new.tool_version or old.command != new.command
        self.configuration_changed = old.configuration_sha256 != new.configuration_sha256
        self.evaluated: dict[tuple[str, str], set[str]] = {}
        self.doubtful: set[tuple[str, str]] = set()
        for row in after.rows:
            if row.verdict in {Verdict.PASS, Verdict.FAIL}:
                self.evaluated.setdefault((row.check, row.rule), set()).update(_kinds(row.evidence))
            else:
                self.doubtful.add((row.check, row.rule))
        partly = any(row.check == "target-unreachable" for row in after.rows if row.verdict is not Verdict.PASS)
        self.whole = new.reached and not new.interrupted and not partly

    def drift(self) -> Drift:
        old, new = self.before.header, self.after.header
        return Drift(
            tuple(_sorted(self._changes())),
            policy_changed=self.policy_changed,
            configuration_changed=self.configuration_changed,
            auditor_changed=self.auditor_changed,
            reached=new.reached,
            was_reached=old.reached,
        )

    def _changes(self) -> Iterator[Change]:
        earlier, later = _by_fingerprint(self.before.rows), _by_fingerprint(self.after.rows)
        for key, row in later.items():
            was = earlier.get(key)
            if row.open:
                yield self._of_open(was, row)
            elif row.verdict in {Verdict.UNKNOWN, Verdict.ERROR} and not (was and was.open):
                if row.disposition not in {"waived", "baselined"} and (was is None or was.verdict is not row.verdict):
                    yield Change("undecided", self._cause(row), was, row)
            elif was is not None and was.open and row.verdict is Verdict.FAIL:
                yield Change("accepted", self._rules("waiver"), was, row)
        for key, row in earlier.items():
            now = later.get(key)
            if row.open and (now is None or now.verdict is not Verdict.FAIL):
                yield self._of_gone(row, now)

    def _of_open(self, was: Row | None, row: Row) -> Change:
        if was is None or was.verdict is not Verdict.FAIL:
            return Change("new", self._cause(row), was, row)
        if not was.open:
            return Change("new", self._rules("waiver"), was, row)
        same = was.document == row.document
        return Change("open" if same else "evidence", "target" if same else self._cause(row), was, row)

    def _of_gone(self, row: Row, now: Row | None) -> Change:
        """Tell whether a violation that is no more is fixed, or only was not looked at."""
        pair = (row.check, row.rule)
        seen = self.evaluated.get(pair, set())
        if row.check in SILENT_WHEN_GOOD:
            decided = self.whole
        elif row.evidence == "observed":
            decided = "observed" in seen
        elif row.evidence == "both":
            decided = bool(seen) and self.after.header.reached
        else:
            decided = bool(seen)
        if decided and (now is None or now.verdict is Verdict.PASS) and pair not in self.doubtful:
            return Change("fixed", self._cause(row), row, now)
        if not seen and (self.policy_changed or self.auditor_changed) and pair not in self.doubtful:
            return Change("fixed", self._rules("policy"), row, now)  # the rule is no longer asked
        return Change("undecided", self._cause(row), row, now)

    def _rules(self, otherwise: Cause) -> Cause:
        """Return the cause of a change that the rules made: the auditor or the policy where it changed."""
        return "auditor" if self.auditor_changed else "policy" if self.policy_changed else otherwise

    def _cause(self, row: Row) -> Cause:
        rules = self._rules("target")
        if rules != "target":
            return rules
        return "configuration" if self.configuration_changed and row.evidence != "observed" else "target"


def _kinds(evidence: str) -> set[str]:
    """Return which witnesses a verdict rests on."""
    return {"predicted", "observed"} if evidence in {"both", "contradicted"} else {evidence}


def _by_fingerprint(rows: Sequence[Row]) -> dict[str, Row]:
    """Return one verdict for each fingerprint: the worst (an open violation before an accepted one)."""
    chosen: dict[str, Row] = {}
    for row in rows:
        other = chosen.get(row.fingerprint)
        if other is None or _weight(row) > _weight(other):
            chosen[row.fingerprint] = row
    return chosen


def _weight(row: Row) -> int:
    if row.open:
        return 4
    return {Verdict.FAIL: 3, Verdict.ERROR: 2, Verdict.UNKNOWN: 1, Verdict.PASS: 0}[row.verdict]


def _sorted(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda c: (KINDS.index(c.kind), -c.severity, c.row.check, c.row.rule, c.row.fingerprint))
