"""Which probes of a plan are worth a request, where the configuration already said what they would be answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.exchange import Request
from auditor.finding import Finding
from auditor.live.client import SAFE_METHODS, Client
from auditor.plan.facts import Facts, Probe, Purpose
from auditor.policy.model import HttpTarget

ORDER: tuple[Purpose, ...] = ("websocket", "cors", "preflight", "plain", "denied", "anywhere")


def select(target: HttpTarget, client: Client, predicted: Facts, suspects: Sequence[Finding]) -> list[Probe]:
    """Choose the probes to send, the most telling first.

    First one witness of every predicted violation (violations share witnesses), then for every route, at its concrete
    paths and its first entry over HTTPS: a plain request, an allowed, a foreign and a `null` origin, a preflight.
    """
    known: dict[object, Probe] = {}
    for (_, purpose), cases in predicted.cases.items():
        for case in cases if purpose in ORDER else ():
            key = request_key(case.probe.request)
            if key not in known and sendable(case.probe, target, client):
                known[key] = case.probe
    chosen: dict[object, Probe] = {}
    for finding in suspects:
        key = request_key(finding.witness.request) if finding.witness is not None else None
        if key in known:
            chosen.setdefault(key, known[key])
    for probe in _coverage(known.values(), predicted):
        chosen.setdefault(request_key(probe.request), probe)
    return list(chosen.values())


def _coverage(sendable: Iterable[Probe], predicted: Facts) -> Iterator[Probe]:
    """Yield the fewest probes that look at every route, and every kind of question about it, once."""
    concrete = {r.id: {p.path.partition("?")[0] for p in r.probes} for r in predicted.policy.policy.routes}
    seen: set[object] = set()
    for probe in sorted(sendable, key=lambda probe: probe.entry.scheme != "https"):
        paths = concrete.get(probe.route)
        if paths and probe.path not in paths:
            continue
        origin = probe.origin.kind if probe.origin.allowed or probe.origin.value is None else "refused"
        path = probe.path if paths else ""
        mark = (
            probe.route,
            probe.purpose,
            path,
            origin,
            probe.method if probe.purpose == "plain" else "",
            probe.granted,
        )
        if mark not in seen:
            seen.add(mark)
            yield probe


def sendable(probe: Probe, target: HttpTarget, client: Client) -> bool:
    """Whether a probe may be sent, and has an entrypoint to go to."""
    safe = probe.request.method in SAFE_METHODS or target.allow_unsafe_methods
    return safe and client.scope.address(probe.entry.name, probe.entry.scheme, probe.host) is not None


def request_key(request: Request) -> object:
    """Identify a request as it goes over the wire."""
    return (request.method, request.version, request.scheme, request.target, request.headers.pairs())
