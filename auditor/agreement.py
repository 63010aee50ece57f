"""Where the running stack and its configuration agree: each prediction confirmed, contradicted, or why it was not tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from auditor.exchange import UNKNOWN_VALUE, Request, Response
from auditor.finding import Finding, Note, Severity, Verdict, Witness
from auditor.plan.facts import REPRODUCIBLE, Case, Facts
from auditor.plan.redirects import redirected_to
from auditor.plan.refusals import REFUSALS
from auditor.policy.model import HttpTarget

ALLOW_ORIGIN = "Access-Control-Allow-Origin"

MIDDLEMEN = ("Via", "CF-Ray", "X-Amz-Cf-Id", "X-Served-By", "X-Cache", "X-Azure-Ref", "Fly-Request-Id", "Age")
"""Headers that a proxy or a content network adds to what passes it."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def with_agreement(findings: Sequence[Finding], observed: Facts, target: HttpTarget) -> tuple[Finding, ...]:
    """Return the findings, each predicted violation with what the running stack says of it."""
    seen = {case.probe.request.wire for cases in observed.cases.values() for case in cases}
    failed = {probe.request.wire: reason for probe, reason in observed.failed}
    return tuple(
        replace(finding, agreement=_agreement(finding, seen, failed, target))
        if finding.verdict is Verdict.FAIL and finding.evidence != "observed"
        else finding
        for finding in findings
    )


def _agreement(finding: Finding, seen: set[object], failed: dict[object, str], target: HttpTarget) -> str:
    if finding.evidence == "both":
        return "confirmed"
    if finding.evidence == "contradicted":
        return "contradicted: the same request was answered otherwise"
    request = None if finding.witness is None else finding.witness.request
    return f"not testable: {_why_not(finding, request, seen, failed, target)}"


def _why_not(
    finding: Finding, request: Request | None, seen: set[object], failed: dict[object, str], target: HttpTarget
) -> str:
    """Say why a prediction was neither confirmed nor contradicted."""
    if request is None:
        return "no request shows it"
    if request.wire in failed:
        return failed[request.wire]
    when = finding.exchanges[0].outcome.when if finding.exchanges else "always"
    rare = [word for word in WHEN if word in when]
    if rare:
        return WHEN[rare[0]]
    if request.wire in seen:
        return "its request was answered, and the answer does not tell"
    if request.method not in SAFE and not target.allow_unsafe_methods:
        return f"{request.method} may change something, and the policy does not set allow_unsafe_methods"
    if request.client not in {"127.0.0.1", ""}:
        return f"it takes another client ({request.client})"
    return "no entrypoint of the live target leads there"


WHEN = {
    "upstream-down": "it takes a backend that is down",
    "upstream-error": "it takes a backend that fails",
    "limited": "it takes a client that used up its rate",
    "file-missing": "it depends on a file of the server",
    "file-found": "it depends on a file of the server",
}


def differences(predicted: Facts, observed: Facts) -> Iterator[Finding]:
    """Yield a finding for every request whose answer no outcome of the configuration allows, both side by side.

    Which layer is the first to refuse a request that is too large or unknown to all of them is no difference.
    """
    answers = {case.probe.request.wire: case for cases in observed.cases.values() for case in cases}
    allowed: dict[object, list[Case]] = {}
    for cases in predicted.cases.values():
        for case in cases:
            allowed.setdefault(case.probe.request.wire, []).append(case)
    for key, case in answers.items():
        difference = _difference(allowed.get(key, []), case) if case.probe.why not in REFUSALS else None
        if difference is not None:
            yield difference


def _difference(expected: Sequence[Case], observed: Case) -> Finding | None:
    """Return the finding of a request whose answer no outcome allows."""
    response = observed.response
    if not expected or response is None or any(_fits(case, observed) for case in expected):
        return None
    first = min(expected, key=lambda case: case.exchange.outcome.when not in REPRODUCIBLE)
    return Finding(
        check="live-differs-from-configuration",
        rule=f"routes.{observed.probe.route}" if observed.probe.route else "routes",
        verdict=Verdict.FAIL,
        severity=Severity.MEDIUM,
        message=f"{observed.probe.request.method} {observed.probe.path} is answered with {_answer(response)} live, and the "
        f"configuration says {_answer(first.response)}: {likeliest_cause(first.response, response)}",
        subject=f"{first.exchange.outcome.server}|{first.exchange.outcome.location}|{response.status}",
        route=observed.probe.route,
        notes=(Note(first.place, f"would answer {_answer(first.response)}"),) if first.place else (),
        expected=_answer(first.response),
        observed=_answer(response),
        witness=Witness(observed.probe.request),
        exchanges=(first.exchange, observed.exchange),
        evidence="observed",
    )


def _answer(response: Response | None) -> str:
    """Tell an answer by what is compared: its status and who may read it."""
    if response is None:
        return "a closed connection"
    values = response.headers.all(ALLOW_ORIGIN)
    said = " and ".join(f"{ALLOW_ORIGIN}: {value}" for value in values) or f"no {ALLOW_ORIGIN}"
    location = response.headers.get("Location")
    return f"status {response.status}, {said}" + (f", Location: {location}" if location else "")


def likeliest_cause(predicted: Response | None, observed: Response) -> str:
    """Say why the running stack may answer otherwise, judged by what its answer says of who made it."""
    said = predicted.headers if predicted is not None else Response(None).headers
    between = [name for name in MIDDLEMEN if name in observed.headers and name not in said]
    if between:
        return f"another layer answers or edits ({between[0]}: {observed.headers.get(between[0])})"
    wanted, got = said.get("Server") or "", observed.headers.get("Server") or ""
    if wanted and UNKNOWN_VALUE not in wanted and got and wanted.partition("/")[0] != got.partition("/")[0]:
        return f"another layer answers (Server: {got}, not {wanted})"
    if observed.status in {502, 503, 504}:
        return "a layer behind it does not answer"
    lines = observed.headers.all(ALLOW_ORIGIN)
    if (
        len(lines) > len(said.all(ALLOW_ORIGIN))
        and set(said.all(ALLOW_ORIGIN)) <= set(lines)
        and said.all(ALLOW_ORIGIN)
    ):
        return "another layer adds the header again"
    if wanted.partition("/")[2] and got.partition("/")[2] and UNKNOWN_VALUE not in wanted and wanted != got:
        return f"another version runs ({got}, not {wanted}), or the configuration was not reloaded"
    return "the configuration was not reloaded, or another file is loaded than the one that was read"


def _fits(case: Case, observed: Case) -> bool:
    """Whether an outcome allows the observed status, CORS headers, and host that a redirect leads to."""
    predicted, response = case.response, observed.response
    if predicted is None or response is None:
        return predicted is None and response is None
    if case.exchange.outcome.unknown or predicted.status is None:
        return True
    if predicted.further_headers:
        return True
    if predicted.status != response.status:
        return case.exchange.outcome.action.kind == "application" and case.exchange.outcome.when != "always"
    request = observed.probe.request
    ways = (redirected_to(request, predicted), redirected_to(request, response))
    if ways[0] is not None and ways[1] is not None and ways[0].host != ways[1].host:
        return False
    said = predicted.headers.all(ALLOW_ORIGIN)
    return any(UNKNOWN_VALUE in value for value in said) or sorted(said) == sorted(response.headers.all(ALLOW_ORIGIN))
