"""Whether what was observed is among what was predicted, and where not; what the prediction left open is counted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from nginx_live import Observed, Sent
from nginx_tree import Written
from nginx_upstream import Asked

from auditor.exchange import UNKNOWN_VALUE, Headers, Outcome, Request

FRAMING = frozenset({"date", "content-length", "transfer-encoding", "connection", "keep-alive"})
"""Lines that frame the message: what is predicted of them must be there, but not all of them need be predicted."""
FILE_FACTS = frozenset({"etag", "last-modified", "expires", "content-range", *FRAMING})
"""Lines whose value may depend on a file or the clock without making the answer undecided."""

CLOCK = f"max-age={UNKNOWN_VALUE}"
"""A Cache-Control of which only the seconds until a time of day are left to the clock."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was predicted otherwise than observed."""

    what: str
    predicted: str
    observed: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.what}: predicted {self.predicted} observed {self.observed}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result for one pair: the differences of the closest outcome, and whether it was decided in full."""

    differences: tuple[Difference, ...]
    decided: bool
    outcomes: int
    why_open: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether some outcome fits."""
        return not self.differences


def as_request(sent: Sent, fill: dict[str, str]) -> Request:
    """Say to the evaluator what was sent."""

    def filled(text: str) -> str:
        for name, value in fill.items():
            text = text.replace(name, value)
        return text

    headers = Headers.of((name, filled(value)) for name, value in sent.headers)
    chunked = ("Transfer-Encoding", "chunked") in sent.headers
    length = int(sent.body.partition("\r\n")[0] or "0", 16) if chunked else len(sent.body)
    return Request(
        sent.method,
        filled(sent.target),
        headers,
        "http",
        sent.version,
        f"{sent.to}:{filled(sent.port)}",
        sent.client,
        body_length=length,
    )


def compare(outcomes: Sequence[Outcome], seen: Observed, written: Written, answering: AbstractSet[str]) -> Comparison:
    """Compare one prediction with what was observed; `answering` are the addresses where an upstream hears requests."""
    best: Comparison | None = None
    for outcome in outcomes:
        judge = _Judge(seen, written, answering)
        judge.outcome(outcome)
        result = Comparison(tuple(judge.differences), not judge.open, len(outcomes), tuple(judge.open))
        if best is None or (len(result.differences), not result.decided) < (len(best.differences), not best.decided):
            best = result
    return best or Comparison((Difference("outcomes", "none", str(seen.status)),), decided=True, outcomes=0)


class _Judge:
    """Compares one outcome; collects differences and what was left open."""

    def __init__(self, seen: Observed, written: Written, answering: AbstractSet[str]) -> None:
        self.seen, self.written, self.answering = seen, written, answering
        self.differences: list[Difference] = []
        self.open: list[str] = []

    def differ(self, what: str, predicted: object, observed: object) -> None:
        self.differences.append(Difference(what, repr(predicted), repr(observed)))

    def outcome(self, outcome: Outcome) -> None:
        concerns = {unknown.concerns for unknown in outcome.unknown}
        self.open += [f"{unknown.concerns}: {unknown.reason}" for unknown in outcome.unknown]
        if "answer" in concerns:
            return
        response = outcome.response
        if response is None:
            if self.seen.status is not None:
                self.differ("status", None, self.seen.status)
        else:
            if response.status is None:
                self.open.append("status")
            elif response.status != self.seen.status:
                self.differ("status", response.status, self.seen.status)
            if response.further_headers:
                self.open.append("further headers")
            if self.seen.status is not None:
                self.headers(response.headers, concerns, more=response.further_headers)
                if "body" not in concerns:
                    self.body(response.body)
        self.place(outcome)
        if "headers" not in concerns or outcome.upstream_request is not None:
            self.upstream(outcome)

    def headers(self, headers: Headers, concerns: set[str], *, more: bool) -> None:
        if "headers" in concerns:
            return
        predicted, observed = _grouped(headers.pairs()), _grouped(self.seen.headers)
        for name in [name for name in predicted if UNKNOWN_VALUE in name]:
            self.open.append("name of a header line")
            real = next((one for one in observed if one not in predicted and _fits(name, one)), name)
            predicted[real] = predicted.pop(name)
        for name in dict.fromkeys((*predicted, *observed)):
            if f"header:{name}" in concerns:
                continue
            want, got = predicted[name], observed[name]
            if name not in FILE_FACTS and any(UNKNOWN_VALUE in value and value != CLOCK for value in want):
                self.open.append(f"value of {name}")
            fits = _subsequence(want, got) if name in FRAMING or more else _same(want, got)
            if not fits:
                self.differ(f"header {name}", want, got)

    def body(self, body: str | None) -> None:
        if body is None or self.seen.status in {204, 206, 304, 412} or not self.seen.body or _encoded(self.seen):
            return
        if not _fits(body, self.seen.body.decode("latin-1")):
            self.differ("body", body[:200], self.seen.body[:200])

    def place(self, outcome: Outcome) -> None:
        line = self.written.lines.get(self.seen.marker)
        if line is None:
            return
        if outcome.selected is not None:
            if outcome.selected.line != line:
                self.differ(
                    "location",
                    f"{outcome.location} at line {outcome.selected.line}",
                    f"{self.written.headings[self.seen.marker]} at line {line}",
                )
        elif (
            outcome.location is not None
            and " ".join(outcome.location.split()) != self.written.headings[self.seen.marker]
        ):
            self.differ("location", outcome.location, self.written.headings[self.seen.marker])

    def upstream(self, outcome: Outcome) -> None:
        asked = outcome.upstream_request
        if asked is None:
            if self.seen.asked and outcome.action.kind == "proxy":
                self.differ("upstream", None, self.seen.asked[-1].target)
            return
        if asked.listen not in self.answering:
            return
        if not self.seen.asked:
            self.differ("upstream", f"{asked.method} {asked.target} at {asked.listen}", None)
            return
        results = [_upstream_differences(asked, got) for got in self.seen.asked]
        best = min(results, key=len)
        for what, predicted, observed in best:
            self.differ(f"upstream {what}", predicted, observed)


def _upstream_differences(asked: Request, got: Asked) -> list[tuple[str, object, object]]:
    result: list[tuple[str, object, object]] = []
    asked = _as_read(asked)
    if asked.method != got.method:
        result.append(("method", asked.method, got.method))
    if not _fits(asked.target, got.target):
        result.append(("target", asked.target, got.target))
    if asked.version != got.version:
        result.append(("version", asked.version, got.version))
    predicted, observed = _grouped(asked.headers.pairs()), _grouped(got.headers)
    names = dict.fromkeys((*predicted, *observed))
    result += [
        (f"header {name}", predicted[name], observed[name])
        for name in names
        if not _same(predicted[name], observed[name])
    ]
    return result


def _as_read(asked: Request) -> Request:
    """Return a request as a server reads it: after a line break in its target the header lines begin."""
    if "\n" not in asked.target:
        return asked
    first, *others = re.split(r"\r?\n", f"{asked.method} {asked.target} HTTP/{asked.version}")
    method, _, rest = first.partition(" ")
    target, _, version = rest.rpartition(" HTTP/")
    lines = [(line.partition(": ")[0], line.partition(": ")[2]) for line in others]
    return replace(
        asked, method=method, target=target, version=version, headers=Headers.of([*lines, *asked.headers.pairs()])
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> defaultdict[str, list[str]]:
    """Group values by lower-case name; a line break inside a predicted line starts the line it would start on the wire."""
    result: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        for number, line in enumerate(re.split(r"\r?\n", f"{name}: {value}")):
            if not line and number:
                return result
            key, _, rest = line.partition(":")
            result[key.lower()].append(rest.removeprefix(" "))
    return result


def _fits(predicted: str, observed: str) -> bool:
    if UNKNOWN_VALUE not in predicted:
        return predicted == observed
    return re.fullmatch(".*".join(map(re.escape, predicted.split(UNKNOWN_VALUE))), observed, re.DOTALL) is not None


def _same(predicted: list[str], observed: list[str]) -> bool:
    """Whether the values fit one by one; a value that is wholly unknown may be empty, and then the line is not sent."""
    if not predicted:
        return not observed
    if observed and _fits(predicted[0], observed[0]) and _same(predicted[1:], observed[1:]):
        return True
    return predicted[0].strip(UNKNOWN_VALUE) == "" and UNKNOWN_VALUE in predicted[0] and _same(predicted[1:], observed)


def _subsequence(predicted: list[str], observed: list[str]) -> bool:
    left = iter(observed)
    certain = [want for want in predicted if want.strip(UNKNOWN_VALUE)]
    return all(any(_fits(want, got) for got in left) for want in certain)


def _encoded(seen: Observed) -> bool:
    return any(name.lower() == "content-encoding" for name, _ in seen.headers)
