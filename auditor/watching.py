"""From a plan to observations: which probes are sent to the running stack, and the facts they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from auditor.exchange import Exchange, Request
from auditor.finding import Finding
from auditor.live.client import SAFE_METHODS, Client
from auditor.live.doors import knock, planned, tls_versions
from auditor.live.limits import Question, affordable, answers
from auditor.options import LiveOptions
from auditor.plan.facts import Case, Facts, Probe, Purpose, Reach, TlsEntry, cases_by_route
from auditor.policy.load import LoadedPolicy
from auditor.policy.model import HttpTarget

ORDER: tuple[Purpose, ...] = ("websocket", "cors", "preflight", "plain", "denied", "anywhere")


@dataclass(frozen=True, slots=True)
class Observed:
    """What a live audit saw: the facts, how many requests it took, and whether it was cut short."""

    facts: Facts
    sent: int
    interrupted: bool = False


def observe(
    loaded: LoadedPolicy, target: HttpTarget, predicted: Facts, suspects: Sequence[Finding], options: LiveOptions
) -> Observed:
    """Send the plan's probes to the running stack, witnesses of predicted violations first."""
    exposure = loaded.policy.exposure
    client = Client(target, options.ca_file, options.insecure, doors=exposure.unreachable if exposure else ())
    questions = _questions(loaded, client, predicted, options)
    reserve = min(sum(question.cost for question in questions), target.limits.max_requests // 2)
    probes = select(target, client, predicted, suspects, budget=target.limits.max_requests - reserve)
    if options.dry_run:
        _describe(client, probes, questions, options)
        return Observed(replace(predicted, kind="observed", cases={}, problems=(), missing=()), 0)
    requests = [(probe.entry.name, probe.request) for probe in probes]
    exchanges = client.send(requests, progress=options.progress)
    pairs = [(probe, exchange) for probe, exchange in zip(probes, exchanges, strict=True) if exchange is not None]
    answered = [(probe, (exchange,)) for probe, exchange in pairs if exchange.response is not None]
    closed = _closed(predicted)
    failed = tuple(
        (p, e.error or "the connection was closed")
        for p, e in pairs
        if e.response is None and _key(p.request) not in closed
    )
    facts = Facts(
        "observed",
        loaded,
        cases_by_route(_everywhere(answered, predicted)),
        backends=predicted.backends,
        layers=predicted.layers,
        failed=failed,
    )
    facts = replace(facts, reaches=_reaches(client))
    if answered:
        facts = replace(facts, tls=_tls(client))
        asked = _asked(client, questions, options)
        facts = replace(facts, measured=tuple(answers(client, asked, progress=options.progress)))
    return Observed(facts, client.sent, interrupted=client.interrupted)


def select(
    target: HttpTarget, client: Client, predicted: Facts, suspects: Sequence[Finding], *, budget: int
) -> list[Probe]:
    """Choose the probes to send within the budget.

    First one witness of every predicted violation (violations share witnesses), then for every route, at its concrete
    paths and its first entry over HTTPS: a plain request, an allowed, a foreign and a `null` origin, a preflight.
    """
    sendable: dict[object, Probe] = {}
    for (_, purpose), cases in predicted.cases.items():
        for case in cases if purpose in ORDER else ():
            key = _key(case.probe.request)
            if key not in sendable and _sendable(case.probe, target, client):
                sendable[key] = case.probe
    chosen: dict[object, Probe] = {}
    for finding in suspects:
        key = _key(finding.witness.request) if finding.witness is not None else None
        if key in sendable:
            chosen.setdefault(key, sendable[key])
    for probe in _coverage(sendable.values(), predicted):
        chosen.setdefault(_key(probe.request), probe)
    return list(chosen.values())[: max(budget, 0)]


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


def _sendable(probe: Probe, target: HttpTarget, client: Client) -> bool:
    safe = probe.request.method in SAFE_METHODS or target.allow_unsafe_methods
    return safe and client.scope.address(probe.entry.name, probe.entry.scheme, probe.host) is not None


def _closed(predicted: Facts) -> set[object]:
    """Return the requests that the configuration closes without an answer."""
    return {
        _key(case.probe.request)
        for cases in predicted.cases.values()
        for case in cases
        if case.response is None and case.exchange.outcome.action.kind == "close"
    }


def _everywhere(
    answered: Sequence[tuple[Probe, tuple[Exchange, ...]]], predicted: Facts
) -> list[tuple[Probe, tuple[Exchange, ...]]]:
    """Give each answer to every probe of the plan that is the same request on the wire."""
    by_key = {_key(probe.request): exchanges for probe, exchanges in answered}
    result = []
    seen: set[tuple[str, str, object]] = set()
    for cases in predicted.cases.values():
        for case in cases:
            key = _key(case.probe.request)
            mark = (case.probe.route, case.probe.purpose, key)
            if key in by_key and mark not in seen:
                seen.add(mark)
                result.append((case.probe, by_key[key]))
    return result


def _key(request: Request) -> object:
    return (request.method, request.scheme, request.target, request.headers.pairs())


def _questions(loaded: LoadedPolicy, client: Client, predicted: Facts, options: LiveOptions) -> list[Question]:
    """Return the rate limits to ask about, each with a harmless request of its route."""
    found = []
    for route in loaded.policy.routes if options.measure_limits is not False else ():
        case = _harmless(predicted, route.id, client) if route.rate_limit is not None else None
        if route.rate_limit is not None and case is not None:
            found.append(Question(route.id, route.rate_limit, case.probe, thorough=bool(options.measure_limits)))
    return found


def _asked(client: Client, questions: Sequence[Question], options: LiveOptions) -> list[Question]:
    asked, reasons = affordable(questions, client.target.limits.max_requests - client.sent)
    for reason in reasons:
        options.note(reason)
    return asked


def _reaches(client: Client) -> tuple[Reach, ...]:
    return () if client.interrupted else knock(client, client.doors)


def _tls(client: Client) -> tuple[TlsEntry, ...]:
    return () if client.interrupted else tls_versions(client)


def _describe(client: Client, probes: Sequence[Probe], questions: Sequence[Question], options: LiveOptions) -> None:
    """Say everything that would be sent, and where to."""
    for line in client.dry_run([(probe.entry.name, probe.request) for probe in probes]):
        options.say(line)
    for line in planned(client.scope, client.doors):
        options.say(line)
    for question in affordable(questions, client.target.limits.max_requests - len(probes))[0]:
        options.say(str(question))


def _harmless(predicted: Facts, route: str, client: Client) -> Case | None:
    """Return a GET of the route at an HTTPS entry if there is one, else at any: what a limit is measured with."""
    cases = [
        case
        for case in predicted.of(route, "plain")
        if case.probe.request.method == "GET" and _sendable(case.probe, client.target, client)
    ]
    return next((case for case in cases if case.probe.entry.scheme == "https"), next(iter(cases), None))
