"""Many verdicts about single exchanges become one list of findings: grouped, confirmed or contradicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from auditor.checks import Check
from auditor.exchange import UNKNOWN_VALUE, Exchange, Response
from auditor.finding import Finding, Severity, Verdict, Witness
from auditor.plan.facts import NORMAL, REPRODUCIBLE, Case, Facts, Probe
from auditor.plan.probes import host_fits
from auditor.plan.redirects import redirected_to
from auditor.policy.load import Rule
from auditor.policy.model import HttpTarget

Places = Mapping[object, frozenset[tuple[str, str]]]
"""The blocks (server, location) that may answer a request, by the request on the wire, as far as they are known."""


def consolidate(
    raw: Sequence[Finding],
    replays: Mapping[object, Exchange] | None = None,
    places: Places | None = None,
    named: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """Merge verdicts that say the same: one finding per check, rule and subject, with its smallest witness.

    A predicted violation is `both` where the running stack shows it too: the same check fails on the same request
    (or names the same subject), or, for checks that only predictions can decide and that a replay can confirm, the
    witness was answered exactly as predicted. It is `contradicted` where the check can see its violation in an answer
    and the very same request was answered otherwise.
    `replays` maps a request on the wire to its observed exchange (None: the running stack was not asked), `places` to
    the blocks that may answer it. What only was observed stands for itself.
    Of two witnesses, one at a path that the policy names (`named`) says more than one at a path made up.
    """
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in raw:
        groups.setdefault((finding.check, finding.rule, finding.verdict.value, finding.subject), []).append(finding)

    def telling(finding: Finding) -> tuple[bool, bool, int, int, bool, str]:
        return _size(finding, named)

    if not replays and all(finding.evidence != "observed" for finding in raw):  # nobody asked the running stack
        best = [min(items, key=telling) if len(items) > 1 else items[0] for items in groups.values()]
        return tuple(sorted(_without_shadowed_passes(best), key=_order))
    seen = _Observations(raw, replays or {}, telling)
    merged: list[Finding] = []
    for items in groups.values():
        predicted = sorted((item for item in items if item.evidence != "observed"), key=telling)
        if predicted and predicted[0].verdict is Verdict.FAIL:
            merged.append(seen.confirm(predicted))
        elif predicted:
            merged.append(predicted[0])
    merged += seen.unpredicted(
        [f for f in raw if f.evidence == "predicted" and f.verdict is Verdict.FAIL], places or {}
    )
    return tuple(sorted(_without_shadowed_passes(merged), key=_order))


class _Observations:
    """What the running stack showed: violations by request and by subject, and which were named by a prediction."""

    def __init__(
        self, raw: Sequence[Finding], replays: Mapping[object, Exchange], telling: Callable[[Finding], Any]
    ) -> None:
        self.replays = replays
        self.telling = telling
        self.observed = [f for f in raw if f.evidence == "observed"]
        self.decided = {(f.check, f.rule) for f in self.observed if f.verdict in {Verdict.FAIL, Verdict.PASS}}
        self.by_request: dict[object, Finding] = {}
        self.by_subject: dict[object, Finding] = {}
        for finding in self.observed:
            if finding.verdict is Verdict.FAIL:
                self.by_subject.setdefault((finding.check, finding.rule, finding.subject), finding)
                if finding.witness is not None:
                    self.by_request.setdefault((finding.check, finding.rule, finding.witness.request.wire), finding)
        self.used: set[int] = set()

    def confirm(self, predicted: Sequence[Finding]) -> Finding:
        """Return the best of these predictions, with what the running stack says of it."""
        first = predicted[0]
        for item in predicted:
            twin = self._twin(item)
            if twin is not None:
                self.used.add(id(twin))
                first = replace(item, exchanges=(*item.exchanges, *twin.exchanges), evidence="both")
                break
        for item in predicted:
            twin = self._twin(item)
            if twin is not None:
                self.used.add(id(twin))
        if first.evidence == "both" or first.witness is None:
            return first
        for item in predicted:
            if self._replayed(item):
                answer = self.replays[_request_key(item)]
                return replace(item, exchanges=(*item.exchanges, answer), evidence="both")
        answer_of_first = self.replays.get(_request_key(first))
        if (first.check, first.rule) in self.decided and answer_of_first is not None and _repeatable(first):
            return replace(first, exchanges=(*first.exchanges, answer_of_first), evidence="contradicted")
        return first

    def _twin(self, item: Finding) -> Finding | None:
        if item.witness is None:
            return self.by_subject.get((item.check, item.rule, item.subject))
        return self.by_request.get((item.check, item.rule, _request_key(item)))

    def _replayed(self, item: Finding) -> bool:
        answer = self.replays.get(_request_key(item))
        visible = item.check in REPLAYED or (item.check, item.rule) in self.decided
        if not visible or answer is None or not item.exchanges:
            return False
        return _same_answer(item.exchanges[0], answer)

    def unpredicted(self, predicted: Sequence[Finding], places: Places) -> list[Finding]:
        """Return what only the running stack showed, one finding per subject, and its passes.

        A violation that was seen where the configuration predicts one of the same check and rule, at the same request or
        at another one that the same block answers, is that one.
        """
        expected: set[object] = set()
        for finding in predicted:
            request = None if finding.witness is None else finding.witness.request.wire
            expected |= {(finding.check, finding.rule, where) for where in (request, *places.get(request, ()))}
        groups: dict[tuple[str, str, str, str], Finding] = {}
        for finding in sorted(self.observed, key=self.telling):
            request = None if finding.witness is None else finding.witness.request.wire
            same = {(finding.check, finding.rule, where) for where in (request, *places.get(request, ()))}
            if id(finding) in self.used or (request is not None and same & expected):
                continue
            key = (finding.check, finding.rule, finding.verdict.value, finding.subject)
            groups.setdefault(key, finding)
        return list(groups.values())


REPLAYED = frozenset(
    {"backend-route-bypasses-proxy", "header-lost-by-inheritance", "rate-limit-missing", "rate-limit-never-applies"}
    | {"route-shadowed", "route-unserved", "route-wrong-upstream"}
)
"""Checks of who answers, which a response alone does not tell: an answer exactly as predicted confirms them."""


def _repeatable(finding: Finding) -> bool:
    return bool(finding.exchanges) and finding.exchanges[0].outcome.when in REPRODUCIBLE


def _same_answer(predicted: Exchange, observed: Exchange) -> bool:
    """Whether the observed answer is the predicted one: status, and every decided header that names its maker."""
    said, got = predicted.response, observed.response
    if said is None or got is None or said.status != got.status:
        return said is None and got is None
    if "Server" in said.headers and _product(said) != _product(got):
        return False
    names = {line.name.lower() for line in said.headers if line.made_by is not None} | {"content-type"}
    for name in names - {"date", "server"}:
        lines = said.headers.all(name)
        if any(UNKNOWN_VALUE in value for value in lines) or said.may_have_more(name):
            continue
        if lines and sorted(lines) != sorted(got.headers.all(name)):
            return False
    return True


def _product(response: Response) -> str:
    """Return the Server header's product without its version (a policy may name a version by its first two numbers)."""
    return (response.headers.get("Server") or "").partition("/")[0]


def _without_shadowed_passes(findings: Sequence[Finding]) -> list[Finding]:
    """Drop a pass of a check and rule that another witness fails, and join the passes of two witnesses."""
    bad = {(f.check, f.rule) for f in findings if f.verdict is not Verdict.PASS}
    passes: dict[tuple[str, str], Finding] = {}
    result = []
    for finding in findings:
        key = (finding.check, finding.rule)
        if finding.verdict is not Verdict.PASS:
            result.append(finding)
        elif key not in bad:
            earlier = passes.get(key)
            passes[key] = finding if earlier is None else replace(earlier, evidence="both")
    return [*result, *passes.values()]


def _request_key(finding: Finding) -> object:
    if finding.witness is None:
        return None
    return finding.witness.request.wire


def _size(finding: Finding, named: frozenset[str]) -> tuple[bool, bool, int, int, bool, str]:
    if finding.witness is None:
        return (False, False, 0, 0, False, finding.message)
    request = finding.witness.request
    headers = sum([len(f.name) + len(f.value) for f in request.headers.fields])
    ways = [part for exchange in finding.exchanges for part in exchange.outcome.when.split("+")]
    # of one request's answers the plain one says more than that of a broken backend
    wrong = not NORMAL.issuperset(ways)
    return (request.method != "GET", request.path not in named, len(request.target), headers, wrong, finding.message)


def _order(finding: Finding) -> tuple[object, ...]:
    rank = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.UNKNOWN: 2, Verdict.PASS: 3}[finding.verdict]
    place = str(finding.notes[0].location) if finding.notes else ""
    unusual = finding.witness is not None and finding.witness.request.method != "GET"
    return (rank, -finding.severity, finding.check, unusual, finding.rule, place, finding.subject, finding.message)


def unanswered(observed: Facts) -> Iterator[Finding]:
    """Yield an unknown for every way in which requests to the running stack got no answer."""
    failures: dict[str, list[Probe]] = {}
    for probe, error in observed.failed:
        failures.setdefault(error, []).append(probe)
    for error, probes in failures.items():
        yield Finding(
            check="target-unreachable",
            rule="targets",
            verdict=Verdict.UNKNOWN,
            severity=Severity.HIGH,
            message=f"{len(probes)} of the requests to the running stack got no answer: {error}",
            subject=error,
            observed=error,
            witness=Witness(probes[0].request),
            evidence="observed",
        )


def leaving(observed: Facts, target: HttpTarget) -> Iterator[Finding]:
    """Yield a finding for every host that answers are redirected to and neither target nor route names: it was not asked."""
    named = [host for route in observed.policy.policy.routes for item in route.match for host in (item.hosts or ())]
    own = [*named, *(urlsplit(url).hostname or "" for url in target.entrypoints.values())]
    own += [address.rpartition(":")[0].strip("[]") for address in target.resolve]
    gone: dict[str, list[Case]] = {}
    for case in (case for cases in observed.cases.values() for case in cases):
        to = redirected_to(case.probe.request, case.response)
        if to is not None and not any(host_fits(to.host.strip("[]"), glob) for glob in (case.probe.host, *own)):
            gone.setdefault(to.origin.serialise() if to.special else f"{to.scheme}:", []).append(case)
    for where, cases in gone.items():
        probe = cases[0].probe
        yield Finding(
            check="redirect-off-target",
            rule="targets",
            verdict=Verdict.FAIL,
            severity=Severity.INFO,
            message=f"{probe.request.method} {probe.path} is redirected off the target, to {where}: it was not followed "
            f"({len(cases)} of the requests)",
            subject=where,
            expected="a host of the target",
            observed=where,
            witness=Witness(probe.request),
            exchanges=(cases[0].exchange,),
            evidence="observed",
        )


def unevaluated(every: Sequence[Rule], raw: Sequence[Finding], checks: Sequence[Check]) -> Iterable[Finding]:
    """Yield an unknown for every rule that no check looked at, and for every key of a rule that no check decides."""
    seen = {finding.rule for finding in raw}
    for rule in every:
        if rule.kind == "match":
            continue
        readers = [check for check in checks if rule.kind in check.KINDS]
        decided = {key for check in readers for key in check.KINDS[rule.kind]}
        for part, place in rule.parts:
            if decided and part not in decided:
                yield replace(_unknown(rule, f"no check decides `{part}` yet", part), rule_location=place)
        if rule.id not in seen and rule.kind != "targets":
            reason = (
                "no check reads this clause yet" if not readers else "no probe reached this rule: nothing was evaluated"
            )
            yield _unknown(rule, reason, "")


def _unknown(rule: Rule, reason: str, subject: str) -> Finding:
    return Finding(
        check="rule-not-evaluated",
        rule=rule.id,
        verdict=Verdict.UNKNOWN,
        severity=Severity.MEDIUM,
        message=f"{rule.id}: {reason}",
        subject=subject,
        route=rule.route or "",
        rule_location=rule.location,
    )


def undescribed(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield, for every upstream that no target describes, what is left open because of it and nobody has accepted."""
    open_: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.verdict is not Verdict.UNKNOWN or finding.disposition != "open" or not finding.exchanges:
            continue
        exchange = finding.exchanges[0]
        mark, _, address = exchange.asked[-1].partition("@") if exchange.asked else ("", "", "")
        if mark == "?" and address and exchange.response is not None and exchange.response.further_headers:
            open_.setdefault(address, []).append(finding)
    for address, items in sorted(open_.items()):
        checks = sorted({item.check for item in items})
        yield Finding(
            check="backend-undeclared",
            rule="targets",
            verdict=Verdict.UNKNOWN,
            severity=Severity.INFO,
            message=f"no target describes {address}: it may answer anything and add any header, which leaves open "
            + ", ".join(checks),
            subject=address,
            notes=next((item.notes[:1] for item in items if item.notes), ()),
            expected="a target that describes it, such as {type: asgi, files: [app/main.py]}",
            observed=f"{len(items)} verdicts are open",
            disposition="open",
        )
