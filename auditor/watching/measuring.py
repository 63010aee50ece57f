"""Which declared rate limits are asked about, and with which request."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.live.client import Client
from auditor.live.limits import Question, affordable
from auditor.options import LiveOptions
from auditor.plan.facts import Probe
from auditor.policy.load import LoadedPolicy
from auditor.watching.choice import sendable


def questions(loaded: LoadedPolicy, client: Client, probes: Sequence[Probe], options: LiveOptions) -> list[Question]:
    """Return the rate limits to ask about, each with a harmless request of its route."""
    found = []
    for route in loaded.policy.routes if options.measure_limits is not False else ():
        probe = _harmless(probes, route.id, client) if route.rate_limit is not None else None
        if route.rate_limit is not None and probe is not None:
            found.append(Question(route.id, route.rate_limit, probe, thorough=bool(options.measure_limits)))
    return found


def asked(client: Client, wanted: Sequence[Question], options: LiveOptions) -> list[Question]:
    """Return those that the budget has room for, and note why the others are not asked."""
    chosen, reasons = affordable(wanted, client.target.limits.max_requests - client.sent)
    for reason in reasons:
        options.note(reason)
    return chosen


def _harmless(probes: Sequence[Probe], route: str, client: Client) -> Probe | None:
    """Return a GET of the route at an HTTPS entry if there is one, else at any: what a limit is measured with."""
    mine = [
        probe
        for probe in probes
        if probe.route == route
        and probe.purpose == "plain"
        and probe.request.method == "GET"
        and sendable(probe, client.target, client)
    ]
    return next((probe for probe in mine if probe.entry.scheme == "https"), next(iter(mine), None))
