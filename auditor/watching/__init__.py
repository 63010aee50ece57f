"""From a plan to observations: which probes are sent to the running stack, and the facts they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.dataclass import dataclass
from auditor.exchange import Exchange
from auditor.finding import Finding
from auditor.live.client import Client
from auditor.live.doors import knock, tls_versions
from auditor.live.doors import planned as doors_planned
from auditor.live.limits import Question, affordable, answers
from auditor.options import LiveOptions
from auditor.plan.facts import Facts, Probe, Reach, TlsEntry, cases_by_route
from auditor.plan.probes import Ask
from auditor.policy.load import LoadedPolicy
from auditor.policy.model import HttpTarget
from auditor.watching.again import again
from auditor.watching.besides import Besides, besides, foretold, tells, without_http2
from auditor.watching.beyond import beyond
from auditor.watching.choice import askable, telling, witnesses
from auditor.watching.measuring import asked, questions
from auditor.watching.outside import explore, http2_of, planned

Pairs = list[tuple[Probe, Exchange | None]]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a live audit saw: the facts, how many requests it took, and whether it was cut short."""

    facts: Facts
    sent: int
    interrupted: bool = False


def observe(
    loaded: LoadedPolicy,
    target: HttpTarget,
    predicted: Facts,
    suspects: Sequence[Finding],
    options: LiveOptions,
    *,
    ask: Ask,
) -> Observed:
    """Ask the running stack: with a configuration its plan, witnesses of predicted violations first; without, in rounds.

    `ask` predicts what the plan did not; the `said` of the facts is `predicted` with that.
    """
    exposure = loaded.policy.exposure
    doors = exposure.unreachable if exposure else ()
    client = Client(target, options.ca_file, options.insecure, doors=doors, env_proxies=options.env_proxies)
    if options.replay is not None:
        pairs = again(options.replay, predicted, client, options)
        return Observed(_facts(loaded, target, predicted, pairs, client), client.sent, interrupted=client.interrupted)
    known = bool(predicted.cases)
    every = [c.probe for cases in predicted.cases.values() for c in cases] if known else list(planned(loaded, client))
    probes, beside = _chosen(client, predicted, suspects, ask) if known else (every, [])
    predicted = foretold(predicted, [probe for probe, _ in beside], ask) if known else predicted
    wanted = questions(loaded, client, every, options)
    budget = target.limits.max_requests - min(sum(q.cost for q in wanted), target.limits.max_requests // 2)
    if options.dry_run:
        _describe(client, [*probes, *without_http2(beside)][:budget], wanted, options)
        return Observed(replace(predicted, kind="observed", cases={}, problems=(), missing=()), 0)
    http2 = dict(http2_of(loaded, client)) if options.fuzz or not known else {}
    if known:
        pairs = _told(probes, beside, client, options, budget)
    else:
        pairs = explore(loaded, client, options, http2, budget=budget)
    if options.fuzz and not client.interrupted:
        pairs += beyond(client, options, http2, predicted, pairs)
    facts = replace(_facts(loaded, target, predicted, pairs, client), reaches=_reaches(client))
    if facts.cases:
        facts = replace(facts, tls=_tls(client))
        limits = answers(client, asked(client, wanted, options), progress=options.progress)
        facts = replace(facts, measured=tuple(limits))
    return Observed(facts, client.sent, interrupted=client.interrupted)


def _chosen(client: Client, predicted: Facts, suspects: Sequence[Finding], ask: Ask) -> tuple[list[Probe], Besides]:
    """Choose what to send, the most telling first, and say what of it is beside the plan."""
    known, own = askable(client.target, client, predicted), client.scope.hosts()
    first = witnesses(known, suspects, own)
    more = telling(known, predicted, first, own)
    beside = besides(client, predicted, ask, first, more)
    spared = {plain.request.wire for _, plain in beside if plain is not None}
    return [*first, *(p for p in more if p.request.wire not in spared), *(probe for probe, _ in beside)], beside


def _reaches(client: Client) -> tuple[Reach, ...]:
    return () if client.interrupted else knock(client, client.doors)


def _tls(client: Client) -> tuple[TlsEntry, ...]:
    return () if client.interrupted else tls_versions(client)


def _describe(client: Client, probes: Sequence[Probe], wanted: Sequence[Question], options: LiveOptions) -> None:
    """Say everything that would be sent, and where to."""
    for line in client.dry_run([(probe.entry.name, probe.request) for probe in probes]):
        options.say(line)
    for line in doors_planned(client.scope, client.doors):
        options.say(line)
    for question in affordable(wanted, client.target.limits.max_requests - len(probes))[0]:
        options.say(str(question))


def _replay(probes: Sequence[Probe], client: Client, options: LiveOptions, budget: int) -> Pairs:
    sent = client.send([(probe.entry.name, probe.request) for probe in probes[:budget]], progress=options.progress)
    return list(zip(probes, [*sent, *([None] * (len(probes) - len(sent)))], strict=True))


def _told(probes: Sequence[Probe], beside: Besides, client: Client, options: LiveOptions, budget: int) -> Pairs:
    """Send what is planned and what is beside it, and return what met what it looks for; None for what was not sent."""
    pairs = _replay(probes, client, options, budget)
    unspoken = {probe.request.wire for probe, exchange in pairs if not tells(probe, exchange)}
    plainly = list(without_http2((probe, plain) for probe, plain in beside if probe.request.wire in unspoken))
    if plainly and not client.interrupted:
        pairs += _replay(plainly, client, options, max(budget - len(probes), 0))
    return [pair for pair in pairs if tells(*pair)]


def _facts(loaded: LoadedPolicy, target: HttpTarget, predicted: Facts, pairs: Pairs, client: Client) -> Facts:
    """Make the facts of what was answered; what was not asked or not answered is named among them."""
    closed = _closed(predicted)
    answered = [(p, (e,)) for p, e in pairs if e is not None and e.response is not None]
    failed = [
        (p, e.error or "the connection was closed")
        for p, e in pairs
        if e is not None and e.response is None and p.request.wire not in closed
    ]
    if not client.interrupted:
        reason = f"not sent: limits.max_requests ({target.limits.max_requests}) is used up"
        failed += [(p, reason) for p, e in pairs if e is None]
    return Facts(
        "observed",
        loaded,
        cases_by_route(_everywhere(answered, predicted) if predicted.cases else answered),
        backends=predicted.backends,
        layers=predicted.layers,
        failed=tuple(failed),
        said=predicted,
    )


def _closed(predicted: Facts) -> set[object]:
    """Return the requests that the configuration closes without an answer."""
    return {
        case.probe.request.wire
        for cases in predicted.cases.values()
        for case in cases
        if case.response is None and case.exchange.outcome.action.kind == "close"
    }


def _everywhere(
    answered: Sequence[tuple[Probe, tuple[Exchange, ...]]], predicted: Facts
) -> list[tuple[Probe, tuple[Exchange, ...]]]:
    """Give each answer to every probe of the plan that is the same request on the wire."""
    by_key = {probe.request.wire: exchanges for probe, exchanges in answered}
    result = []
    seen: set[tuple[str, str, object]] = set()
    for cases in predicted.cases.values():
        for case in cases:
            key = case.probe.request.wire
            mark = (case.probe.route, case.probe.purpose, key)
            if key in by_key and mark not in seen:
                seen.add(mark)
                result.append((case.probe, by_key[key]))
    planned_keys = {key for _, _, key in seen}
    return result + [(probe, exchanges) for probe, exchanges in answered if probe.request.wire not in planned_keys]
