"""Which rate limits of a policy are asked about on the running stack, at what cost, and what the answers say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.live.client import Client, Progress, silent
from auditor.live.estimate import FORGED, Estimate, estimate
from auditor.live.presence import cost, measure
from auditor.live.volley import REFUSALS
from auditor.plan.facts import Measured, Probe
from auditor.policy.clauses import RateLimit

UNASKED = 100
"""Requests up to which a limit is asked about without being told to."""

TOLERANCE = 1.1
"""An estimated rate up to this many times the declared one counts as the declared one."""

SURE = 1.25
"""How many times the declared rate the upper end of the interval may be for that to be a pass: a wide one proves nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """A limit that a route declares, and the request that it is asked with."""

    route: str
    limit: RateLimit
    probe: Probe
    thorough: bool

    @property
    def cost(self) -> int:
        """The most requests it takes: for a yes or no, or for an estimate and five forged headers."""
        if not self.thorough:
            return cost(self.limit.burst)
        return self.cap + (self.limit.burst or 0) + 25 + 6 * len(FORGED)

    @property
    def cap(self) -> int:
        """Requests after which an estimate concludes that there is no limit."""
        return max(128, 2 * (self.limit.burst or 0) + 25)

    def __str__(self) -> str:
        """Describe it for --dry-run."""
        request = self.probe.request
        return f"up to {self.cost} times: {request.method} {request.url}  (rate limit of {self.route})"


def affordable(questions: Sequence[Question], budget: int) -> tuple[list[Question], list[str]]:
    """Return the questions that are asked, and for the others why they are not."""
    asked: list[Question] = []
    why: list[str] = []
    for question in questions:
        if question.cost > UNASKED and not question.thorough:
            reason = f"up to {question.cost} requests, more than {UNASKED}: --measure-limits allows them"
        elif question.cost > budget:
            reason = f"up to {question.cost} requests, and limits.max_requests leaves {max(budget, 0)}"
        else:
            budget -= question.cost
            asked.append(question)
            continue
        why.append(f"the rate limit of route {question.route} is not measured: {reason}")
    return asked, why


def answers(client: Client, questions: Sequence[Question], *, progress: Progress = silent) -> Iterator[Measured]:
    """Ask one after another; they share the client's address, and so perhaps a bucket.

    `progress` is told requests sent of those that it may take.
    """
    begun = client.sent
    whole = sum(question.cost for question in questions)
    for question in questions:
        progress(client.sent - begun, whole)
        if client.interrupted:
            return
        limit, name, request = question.limit, question.probe.entry.name, question.probe.request
        refusals = REFUSALS | ({limit.status} if limit.status else frozenset())
        if not question.thorough:
            found = measure(
                client,
                name,
                request,
                route=question.route,
                rate=limit.rate,
                burst=limit.burst,
                refusals=refusals,
            )
            if not client.interrupted:
                yield found
            continue
        before = client.sent
        forged = FORGED if limit.key == "client_ip" else ()
        settle = min(((limit.burst or 0) + 1) / limit.rate, 10.0) if before else 0.0
        estimated = estimate(
            client,
            name,
            request,
            cap=question.cap,
            expected=limit.burst or 0,
            pace=limit.rate if limit.burst is not None else 0.0,
            settle=settle,
            forged=forged,
            seconds=40.0,
            refusals=refusals,
        )
        if not client.interrupted:
            yield judged(question.route, limit, estimated, request, client.sent - before)


def judged(route: str, limit: RateLimit, found: Estimate | None, request: Request, sent: int) -> Measured:
    """Hold an estimate against what the policy declares: looser for certain, as strict, or not decided."""
    if found is None:
        return Measured(route, sent, None, None, "the requests were refused from the first one on, or failed", request)
    if found.rate is None:
        beyond = found.passed > (limit.burst or 0) + 1 + limit.rate * found.seconds
        held = False if beyond and limit.burst is not None else None
        return Measured(route, sent, held, None, found.detail, request)
    burst_above = limit.burst is not None and found.burst_interval[0] > limit.burst
    burst_fits = limit.burst is None or found.burst_interval[1] <= limit.burst + 1
    held = None
    if found.rate_interval[0] > limit.rate * 1.0001 or burst_above:
        held = False
    elif found.rate <= limit.rate * TOLERANCE and found.rate_interval[1] <= limit.rate * SURE and burst_fits:
        held = True
    return Measured(
        route,
        sent,
        held,
        found.status,
        str(found),
        request,
        found.rate_interval,
        found.burst_interval,
        found.delay,
        found.escapes,
    )
