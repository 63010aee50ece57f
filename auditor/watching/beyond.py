"""Requests beyond the plan: where they may be drawn, near what, and which violations are known already."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor.exchange import Exchange
from auditor.live.client import Client
from auditor.options import LiveOptions
from auditor.plan.blackbox import BlackBox
from auditor.plan.facts import Facts, Pattern, Probe
from auditor.plan.inquiry import passes

Pairs = Iterable[tuple[Probe, Exchange | None]]


def beyond(
    client: Client,
    options: LiveOptions,
    http2: Mapping[str, bool],
    predicted: Facts,
    pairs: Pairs,
) -> list[tuple[Probe, Exchange | None]]:
    """Draw requests near the policy and the configuration, and return what was let in that the plan had not seen."""
    from auditor.live.fuzz import Ground, Hunt, fuzz  # noqa: PLC0415 - Hypothesis takes a while to load

    seen = [(p, e.response) for p, e in pairs if e is not None]
    known = {(p.route, p.purpose, p.origin.kind) for p, got in seen if not p.origin.allowed and passes(p, got)}
    open_to_all = {p.route for p, got in seen if p.origin.residual and passes(p, got)}
    plan = BlackBox(predicted.policy.policy, client.target, http2)
    grounds = [
        Ground(place, route.cors, within, http2.get(place.entry.name, False))
        for place, route, within in plan.grounds()
        if route.cors is not None and route.id not in open_to_all
    ]
    cells = (case.probe.origin for cases in predicted.cases.values() for case in cases)
    patterns: dict[Pattern, None] = dict.fromkeys(pattern for cell in cells for pattern in cell.matched)
    room = min(options.fuzz, client.target.limits.max_requests - client.sent)
    return list(fuzz(client, grounds, patterns, known, Hunt(max(room, 0), options.seed, database())))


def database() -> Path:
    """Return the folder where what was found is kept for the next run."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "auditor" / "fuzz"
