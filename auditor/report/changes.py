"""What is different from an earlier run: new, fixed, still there."""

from __future__ import annotations

from auditor.dataclass import dataclass
from auditor.finding import Verdict
from auditor.report.model import Report, Result
from auditor.report.view import findings


@dataclass(frozen=True, slots=True)
class Changes:
    """The findings of two runs compared by fingerprint; `changed` are those whose verdict, severity or evidence moved.

    `policy` says whether the two runs asked the same: where the policy is another one, nothing else compares.
    """

    new: tuple[Result, ...]
    fixed: tuple[Result, ...]
    changed: tuple[Result, ...]
    same: tuple[Result, ...]
    policy: bool

    @property
    def headline(self) -> str:
        """The numbers in one phrase."""
        numbers = f"{len(self.new)} new, {len(self.fixed)} gone, {len(self.changed)} changed, {len(self.same)} the same"
        return f"{numbers}; the policy itself was changed in between" if self.policy else numbers

    @property
    def lists(self) -> tuple[tuple[str, tuple[Result, ...]], ...]:
        """The lists worth reading, each with its name."""
        return (("new", self.new), ("gone", self.fixed), ("changed", self.changed))


def changes(earlier: Report, later: Report) -> Changes:
    """Compare two reports finding by finding."""
    before = {_key(r): r for r in findings(earlier)}
    after = {_key(r): r for r in findings(later)}
    both = [key for key in after if key in before]
    return Changes(
        new=tuple(r for key, r in after.items() if key not in before),
        fixed=tuple(r for key, r in before.items() if key not in after),
        changed=tuple(after[key] for key in both if _state(before[key]) != _state(after[key])),
        same=tuple(after[key] for key in both if _state(before[key]) == _state(after[key])),
        policy=earlier.run.policy.sha256 != later.run.policy.sha256,
    )


def _key(result: Result) -> tuple[str, str]:
    return (result.fingerprint, "fail" if result.verdict is Verdict.FAIL else "undecided")


def _state(result: Result) -> tuple[object, ...]:
    return (result.verdict, result.severity, result.disposition, result.evidence)
