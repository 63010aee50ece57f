"""GitLab's code quality report: one entry per finding, with a fingerprint of its own."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from auditor.finding import Verdict
from auditor.report.model import Report
from auditor.report.view import View, findings, is_open, places, repository_paths

SEVERITY = {"critical": "blocker", "high": "critical", "medium": "major", "low": "minor", "info": "info"}


def render(report: Report, view: View) -> str:
    """Return the open findings as GitLab's subset of the Code Climate format."""
    del view
    entries = []
    path_of = repository_paths()
    seen: Counter[str] = Counter()
    for result in findings(report):
        if not is_open(result):
            continue
        span = places(report, result)[0]
        seen[result.fingerprint] += 1
        number = seen[result.fingerprint]
        entries.append(
            {
                "description": _described(result.message, result.expected, result.observed),
                "check_name": f"auditor/{result.check}",
                "fingerprint": result.fingerprint if number == 1 else _numbered(result.fingerprint, number),
                "severity": SEVERITY[result.severity] if result.verdict is Verdict.FAIL else "major",
                "location": {"path": path_of(span.file), "lines": {"begin": max(span.line, 1)}},
            }
        )
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _described(message: str, expected: str, observed: str) -> str:
    parts = [message, f"expected: {expected}" if expected else "", f"found: {observed}" if observed else ""]
    return "; ".join(part for part in parts if part)


def _numbered(fingerprint: str, number: int) -> str:
    """Tell repeated fingerprints apart: of two alike GitLab shows only the first."""
    return hashlib.sha256(f"{fingerprint}\0{number}".encode()).hexdigest()[:32]
