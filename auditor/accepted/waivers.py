"""Findings meet waivers: accepted until their last day, counted again after it, reported where they accept nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date

from auditor.accepted.inline import InlineWaiver, inline_waivers
from auditor.dataclass import dataclass
from auditor.errors import Location, PolicyError
from auditor.finding import Finding, Note, Severity, TargetInfo, Verdict, WaiverUse
from auditor.policy.loaded import LoadedPolicy
from auditor.policy.model import Waiver


@dataclass(frozen=True, slots=True)
class _Acceptance:
    """One waiver, wherever it is written: what it covers, what to say of it, whether it holds today."""

    name: str
    text: str
    active: bool
    location: Location
    covers: Callable[[Finding], bool]
    inline: bool = False


def waive(
    loaded: LoadedPolicy,
    findings: Sequence[Finding],
    today: date,
    targets: Sequence[TargetInfo] = (),
    checks: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Mark the findings that a waiver of the policy, or a comment in a target's file, accepts on this day.

    Waivers that accept nothing are reported, and comments that the policy forbids.
    Raises PolicyError where a comment means to be a waiver and is none.
    """
    acceptances = list(_of_the_policy(loaded, today))
    comments: tuple[InlineWaiver, ...] = ()
    settings = loaded.policy.settings
    comments, problems = inline_waivers(targets, checks, today, settings.waiver_max_days)
    if settings.inline_waivers == "allow":
        if problems:
            raise PolicyError.of(problems)
        acceptances += [_of_a_comment(comment, today) for comment in comments]
    used: set[int] = set()
    result = [_marked(finding, acceptances, used) for finding in findings]
    if settings.inline_waivers == "forbid":
        result += [
            _forbidden(place) for place in (*(c.location for c in comments), *(p.location for p in problems)) if place
        ]
    if settings.unused_waivers != "ignore":
        severity = Severity.MEDIUM if settings.unused_waivers == "fail" else Severity.INFO
        result += [_unused(item, severity) for index, item in enumerate(acceptances) if index not in used]
    return tuple(result)


def uses(
    loaded: LoadedPolicy,
    findings: Sequence[Finding],
    today: date,
    targets: Sequence[TargetInfo] = (),
    checks: Collection[str] = (),
) -> tuple[WaiverUse, ...]:
    """List every waiver that the policy takes, with the number of findings that name it; those of the policy first."""
    named = Counter(finding.waiver.removeprefix("expired ") for finding in findings if finding.waiver)
    told = [
        WaiverUse(
            waiver.id,
            waiver.checks,
            waiver.routes,
            waiver.reason,
            waiver.owner,
            waiver.expires.isoformat(),
            waiver.ticket or "",
            named[item.text],
        )
        for waiver, item in zip(loaded.policy.waivers, _of_the_policy(loaded, today), strict=True)
    ]
    if loaded.policy.settings.inline_waivers == "allow":
        comments, _ = inline_waivers(targets, checks, today, loaded.policy.settings.waiver_max_days)
        for comment in comments:
            item = _of_a_comment(comment, today)
            name = f"{os.path.basename(comment.location.file)}:{comment.location.line}"  # noqa: PTH119 - a name
            until = comment.expires.isoformat()
            told.append(
                WaiverUse(name, comment.checks, (), comment.reason, comment.owner, until, findings=named[item.text])
            )
    return tuple(told)


def _marked(finding: Finding, acceptances: Sequence[_Acceptance], used: set[int]) -> Finding:
    if finding.verdict is Verdict.PASS:
        return finding
    covering = [index for index, item in enumerate(acceptances) if item.covers(finding)]
    used.update(covering)
    active = next((acceptances[index] for index in covering if acceptances[index].active), None)
    if active is not None:
        return replace(finding, disposition="waived", waiver=active.text)
    expired = f"expired {acceptances[covering[0]].text}" if covering else ""
    return replace(finding, disposition="open", waiver=expired)


def _of_the_policy(loaded: LoadedPolicy, today: date) -> Iterator[_Acceptance]:
    for index, waiver in enumerate(loaded.policy.waivers):
        ticket = f", {waiver.ticket}" if waiver.ticket else ""
        text = f"{waiver.id}: {waiver.reason} ({waiver.owner}{ticket}, until {waiver.expires.isoformat()})"
        yield _Acceptance(
            waiver.id,
            text,
            waiver.active(today),
            loaded.locate(f"waivers[{index}]"),
            lambda finding, waiver=waiver: _covers(waiver, finding),  # type: ignore[misc]
        )


def _covers(waiver: Waiver, finding: Finding) -> bool:
    return (
        finding.check in waiver.checks
        and (not waiver.routes or finding.route in waiver.routes)
        and (not waiver.targets or finding.target in waiver.targets)
        and (not waiver.fingerprints or any(_pins(pin, finding) for pin in waiver.fingerprints))
    )


def _pins(pin: str, finding: Finding) -> bool:
    """Whether a waiver's fingerprint, or the beginning of one, is this finding's; `unknown:` holds while undecided."""
    fingerprint = pin.removeprefix("unknown:")
    return finding.fingerprint.startswith(fingerprint) and (pin == fingerprint or finding.verdict is Verdict.UNKNOWN)


def _of_a_comment(comment: InlineWaiver, today: date) -> _Acceptance:
    file = os.path.realpath(comment.location.file)

    def covers(finding: Finding) -> bool:
        if finding.check not in comment.checks:
            return False
        places = (note.location for note in finding.notes)
        first, last = comment.lines
        return any(first <= place.line <= last and os.path.realpath(place.file) == file for place in places)

    text = f"{comment.reason} ({comment.owner}, until {comment.expires.isoformat()})"
    name = f"{os.path.basename(comment.location.file)}|{','.join(comment.checks)}"  # noqa: PTH119 - a name, not a path
    return _Acceptance(name, text, today <= comment.expires, comment.location, covers, inline=True)


def _unused(item: _Acceptance, severity: Severity) -> Finding:
    return Finding(
        check="waiver-unused",
        rule="waivers" if item.inline else f"waivers.{item.name}",
        verdict=Verdict.FAIL,
        severity=severity,
        message=f"the waiver {item.name} matches no finding: remove it"
        if not item.inline
        else "this waiver matches no finding: remove it",
        subject=item.name,
        notes=(Note(item.location, item.text),) if item.inline else (),
        rule_location=None if item.inline else item.location,
        disposition="open",
    )


def _forbidden(place: Location) -> Finding:
    return Finding(
        check="waiver-forbidden",
        rule="settings.inline_waivers",
        verdict=Verdict.FAIL,
        severity=Severity.MEDIUM,
        message="the policy takes no waivers from comments: this one accepts nothing",
        subject=os.path.basename(place.file),  # noqa: PTH119 - a name, not a path
        notes=(Note(place),),
        expected="waivers in the policy, where their owner signs them",
        disposition="open",
    )
