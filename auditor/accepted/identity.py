"""What a finding is called, so that it is the same tomorrow and on another machine: its target, and no path of this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from auditor.finding import Finding, TargetInfo


def placed(findings: Sequence[Finding], targets: Sequence[TargetInfo], folder: Path) -> tuple[Finding, ...]:
    """Name the target of each finding, and make the paths in its subject relative to the policy's folder.

    A finding's target is the one that its primary place is a file of; what only the running stack showed is the live
    target's.
    """
    files = {os.path.realpath(file): target.id for target in targets for file, _ in target.files}
    live = next((target.id for target in targets if target.entrypoints), "")
    local = {str(Path(file)): os.path.relpath(file, folder) for target in targets for file, _ in target.files}
    local[f"{folder.resolve()}{os.sep}"] = ""
    if str(folder) != ".":
        local[f"{folder}{os.sep}"] = ""

    @cache
    def target_of(file: str) -> str:
        return files.get(os.path.realpath(file), "")

    return tuple(_named(finding, target_of, live, local) for finding in findings)


def _named(finding: Finding, target_of: Callable[[str], str], live: str, local: Mapping[str, str]) -> Finding:
    target = finding.target
    if not target and finding.notes:
        target = target_of(finding.notes[0].location.file)
    if not target and finding.evidence == "observed":
        target = live
    subject = finding.subject
    if os.sep in subject:
        for path in sorted(local, key=len, reverse=True):
            subject = subject.replace(path, local[path])
    if not subject.isprintable():
        subject = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in subject)
    return (
        finding
        if (target, subject) == (finding.target, finding.subject)
        else replace(finding, target=target, subject=subject)
    )
