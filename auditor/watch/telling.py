"""What is said of a run that changed something: one event, in JSON and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from auditor.history.drift import Change
from auditor.history.store import Recorded
from auditor.report.text import visible

MOST = 20
"""Changes that a message spells out; the rest are counted."""


def event(recorded: Recorded) -> dict[str, Any] | None:
    """Return what there is to say of a run: violations that are new or fixed, a target that fell silent or came back.

    None where nothing changed: a target's first run, and every run that found what the one before it had found.
    """
    drift = recorded.drift
    new, fixed = drift.of("new"), drift.of("fixed")
    if not new and not fixed and not recorded.reach_changed:
        return None
    if recorded.compared_with is None and recorded.header.reached:
        return None
    header = recorded.header
    return {
        "target": recorded.target,
        "run": recorded.run,
        "compared_with": recorded.compared_with,
        "finished": datetime.fromtimestamp(header.finished, UTC).isoformat(timespec="seconds"),
        "verdict": header.verdict,
        "reached": header.reached,
        "reach_changed": recorded.reach_changed,
        "reason": visible(header.reason)[:500],
        "policy_changed": drift.policy_changed,
        "configuration_changed": drift.configuration_changed,
        "auditor_changed": drift.auditor_changed,
        "new": [_told(recorded, change) for change in new[:MOST]],
        "fixed": [_told(recorded, change) for change in fixed[:MOST]],
        "new_total": len(new),
        "fixed_total": len(fixed),
    }


def _told(recorded: Recorded, change: Change) -> dict[str, Any]:
    row = change.row
    return {
        "check": row.check,
        "rule": row.rule,
        "route": row.route,
        "severity": row.severity.word,
        "cause": change.cause,
        "fingerprint": row.fingerprint,
        "message": visible(recorded.messages.get(row.document, ""))[:500],
    }


def headline(events: Sequence[Mapping[str, Any]]) -> str:
    """Return one line about one or more events."""
    if len(events) == 1:
        return f"{visible(events[0]['target'])}: {_what(events[0])}"
    new, fixed = (sum(event[f"{kind}_total"] for event in events) for kind in ("new", "fixed"))
    silent = sum(1 for event in events if event["reach_changed"] and not event["reached"])
    parts = [f"{new} new", f"{fixed} fixed"] + ([f"{silent} unreachable"] if silent else [])
    return f"{len(events)} targets changed: {', '.join(parts)}"


def _what(said: Mapping[str, Any]) -> str:
    parts = []
    if said["reach_changed"]:
        parts.append("answers again" if said["reached"] else "could not be audited")
    parts += [f"{said[f'{kind}_total']} {kind}" for kind in ("new", "fixed") if said[f"{kind}_total"]]
    causes = {change["cause"] for kind in ("new", "fixed") for change in said[kind]}
    why = [f"the {word} changed" for word in ("policy", "auditor", "configuration") if word in causes]
    return ", ".join(parts) + (f" ({'; '.join(why)})" if why else "")


def lines(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return events in words, a few lines each, as plain text."""
    text: list[str] = []
    for said in events[:MOST]:
        text.append(f"{visible(said['target'])}: {_what(said)} (run {said['run']})")
        if not said["reached"] and said["reason"]:
            text.append(f"  {said['reason']}")
        for kind in ("new", "fixed"):
            text += [
                f"  {kind}: {change['severity']}[{change['check']}] {visible(change['message'])}"
                for change in said[kind]
            ]
            more = said[f"{kind}_total"] - len(said[kind])
            text += [f"  and {more} more {kind}"] if more > 0 else []
    if len(events) > MOST:
        text.append(f"and {len(events) - MOST} more targets")
    return text
