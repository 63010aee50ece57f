"""Predicted against observed over many seeds: counts, distinct disagreements, each shrunk to a small case."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nginx_compare import Comparison, Difference, as_request, compare
from nginx_live import DiedError, HangError, Observed, RefusedError, Sandbox, Sent
from nginx_reduce import reduce
from nginx_strategies import from_seed
from nginx_tree import Node
from nginx_upstream import model

from auditor.errors import AuditorError
from auditor.exchange import Action, Outcome, Request

ASKED_AGAIN = 3
"""How often a configuration that disagrees is asked again; what never shows again is reported, and is no disagreement."""
Answers = Callable[[Request], tuple[Outcome, ...]]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One pair where prediction and observation differ."""

    seed: int
    http: Node
    request: Sent
    comparison: Comparison
    observed: Observed | None

    @property
    def kind(self) -> str:
        """What differs, in words that are equal for equal causes more often than not."""
        return "; ".join(sorted({_kind(d) for d in self.comparison.differences}))


def _kind(difference: Difference) -> str:
    if difference.what in {"status", "crash"}:
        return f"{difference.what} {difference.predicted}->{difference.observed}"
    return difference.what


@dataclass(slots=True)
class Tally:
    """What a run counted."""

    pairs: int = 0
    agreed: int = 0
    decided: int = 0
    single: int = 0
    refused: int = 0
    hung: int = 0
    configurations: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    directives: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    open_because: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)
    ghosts: list[Disagreement] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    evaluating: float = 0.0
    slowest: tuple[float, str] = (0.0, "")

    def add(self, other: Tally) -> None:
        """Add another run's counts."""
        for name in ("pairs", "agreed", "decided", "single", "refused", "hung", "configurations", "evaluating"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("statuses", "directives", "endings", "open_because", "refusals"):
            getattr(self, name).update(getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        self.disagreements += other.disagreements
        self.ghosts += other.ghosts

    def table(self) -> str:
        """Say what was hit, so that the generator is known to be nasty."""
        share = 100 * self.decided / max(1, self.pairs)
        single = 100 * self.single / max(1, self.pairs)
        lines = [
            f"{self.pairs} pairs in {self.configurations} configurations ({self.refused} refused by nginx, {self.hung} hung), {self.seconds:.1f} s",
            f"agreed {self.agreed}, disagreed {self.pairs - self.agreed}; decided {share:.2f} %, one single outcome {single:.2f} %; evaluator {self.evaluating:.1f} s, slowest {self.slowest[0]:.3f} s ({self.slowest[1]})",
            "statuses   " + ", ".join(f"{key} {count}" for key, count in sorted(self.statuses.items())),
            "endings    " + ", ".join(f"{key} {count}" for key, count in self.endings.most_common()),
            "directives " + ", ".join(f"{key} {count}" for key, count in self.directives.most_common()),
        ]
        lines += [f"seen once and not again: seed {one.seed}, {one.kind}: {one.request}" for one in self.ghosts]
        lines += [f"open {count} x {why}" for why, count in self.open_because.most_common(25)]
        lines += [f"refused {count} x {why}" for why, count in self.refusals.most_common(10)]
        return "\n".join(lines)


def answers_for(sandbox: Sandbox, version: str, answering: frozenset[str]) -> Answers:
    """Load the configuration that the sandbox runs and return the evaluator's answers.

    `answering`: addresses and names of upstream blocks that reach the upstream; any other refuses connections.
    """
    from auditor.nginx import load

    configuration = load([sandbox.root / "nginx.conf"], prefix=sandbox.root, version=version)

    def ask(request: Request) -> tuple[Outcome, ...]:
        if request.listen not in answering:
            return (Outcome("always", None, Action("application"), layer="upstream"),)
        return model(request)

    return lambda request: configuration.answer(request, ask)


def check(
    sandbox: Sandbox, http: Node, requests: Iterable[Sent], version: str, *, seed: int = 0, tally: Tally | None = None
) -> list[Disagreement]:
    """Run one configuration and compare every request; raises `RefusedError` where nginx does not take it."""
    tally = tally if tally is not None else Tally()
    written = sandbox.start(http)
    answering = _answering(sandbox, http)
    tally.configurations += 1
    tally.directives.update(node.name for node in http.walk())
    started = time.perf_counter()
    try:
        answers = answers_for(sandbox, version, answering)
    except Exception as error:  # noqa: BLE001 - any way of failing to load what nginx accepts is a disagreement
        return [_crash(seed, http, Sent(), error, None)]
    finally:
        tally.evaluating += time.perf_counter() - started
    found = []
    for sent in requests:
        try:
            seen = sandbox.exchange(sent)
        except HangError as error:
            tally.hung += 1
            tally.refusals[f"hung: seed {seed}: {error}"[:200]] += 1
            if isinstance(error, DiedError) and not _doubted(answers(as_request(sent, sandbox.names))):
                found.append(_crash(seed, http, sent, error, None))
            written = sandbox.start(http)  # on other ports
            answering = _answering(sandbox, http)
            answers = answers_for(sandbox, version, answering)
            continue
        tally.pairs += 1
        _note(tally, seen, written.headings)
        started = time.perf_counter()
        try:
            outcomes = answers(as_request(sent, sandbox.names))
        except Exception as error:  # noqa: BLE001 - as above
            found.append(_crash(seed, http, sent, error, seen))
            continue
        finally:
            spent = time.perf_counter() - started
            tally.evaluating += spent
            if spent > tally.slowest[0]:
                tally.slowest = (spent, f"seed {seed} {sent.method} {sent.target}")
        result = compare(outcomes, seen, written, answering)
        tally.agreed += result.agrees
        tally.decided += result.decided
        tally.single += result.decided and result.outcomes == 1
        tally.open_because.update(result.why_open[:1])
        if not result.agrees:
            found.append(Disagreement(seed, http, sent, result, seen))
    return found


def _doubted(outcomes: tuple[Outcome, ...]) -> bool:
    """Whether some outcome says that nothing is known of the answer, as has to be where nginx dies."""
    return any(unknown.concerns == "answer" for outcome in outcomes for unknown in outcome.unknown)


def _answering(sandbox: Sandbox, http: Node) -> frozenset[str]:
    """Return the addresses, and names of upstream blocks, where the upstream answers."""
    names = [
        node.args[0]
        for node in http.inside("upstream")
        if any(server.args[0] in {"@UP@", "@UP2@"} for server in node.inside("server"))
    ]
    return frozenset((*sandbox.upstream.addresses, *names, *map(str.lower, names)))


def _note(tally: Tally, seen: Observed, headings: dict[str, str]) -> None:
    tally.statuses[str(seen.status)] += 1
    heading = headings.get(seen.marker, "?")
    kind = (
        "server level"
        if not heading
        else heading.split(" ")[0]
        if " " in heading
        else "@"
        if heading.startswith("@")
        else "prefix"
    )
    tally.endings[kind if kind in {"server level", "=", "~", "~*", "^~", "@"} else "prefix"] += 1
    tally.endings["proxied"] += bool(seen.asked)


def _crash(seed: int, http: Node, sent: Sent, error: Exception, seen: Observed | None) -> Disagreement:
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error) if isinstance(error, AuditorError) else f"{type(error).__name__} in {where.name}: {error}"
    return Disagreement(
        seed, http, sent, Comparison((Difference("crash", text, "accepted"),), decided=False, outcomes=0), seen
    )


def run(
    sandbox: Sandbox, seeds: Iterable[int], version: tuple[int, ...], requests: int = 40, stop_after: int = 1_000_000
) -> Tally:
    """Compare every seed's configuration and requests; stop early after so many disagreements."""
    tally = Tally()
    started = time.monotonic()
    text = ".".join(map(str, version))
    for seed in seeds:
        tree, sent = from_seed(seed, requests, version)
        try:
            found = check(sandbox, tree, sent, text, seed=seed, tally=tally)
            if found and _again(sandbox, tree, sent, text):
                tally.disagreements += found
            else:
                tally.ghosts += found
        except RefusedError as error:
            tally.refused += 1
            said = [
                line.split("] ", 1)[-1].split(": ", 1)[-1].split(" in ")[0]
                for line in str(error).splitlines()
                if "[emerg]" in line
            ]
            tally.refusals[said[0] if said else str(error)[:80]] += 1
        if len(tally.disagreements) >= stop_after:
            break
    tally.seconds = time.monotonic() - started
    return tally


def _again(sandbox: Sandbox, tree: Node, sent: list[Sent], version: str) -> bool:
    """Whether a configuration disagrees again: on a starved machine an answer may be another request's or come too late."""
    return any(check(sandbox, tree, sent, version) for _ in range(ASKED_AGAIN))


def shrink(sandbox: Sandbox, found: Disagreement, version: str) -> Disagreement:
    """Shrink one disagreement while the same thing differs."""
    wanted, first = found.kind, found.comparison.differences[0].what
    lead = _kind(found.comparison.differences[0])
    last = found

    def fails(tree: Node, sent: Sent) -> bool:
        nonlocal last
        if not all(server.inside("listen") for server in tree.inside("server")):
            return False  # it would listen on port 80, and nginx waits for a port that is taken
        try:
            again = check(sandbox, tree, [sent], version, seed=found.seed)
        except (RefusedError, HangError, IndexError):
            return False
        for one in again:
            if (
                one.kind == wanted
                or one.comparison.differences[0].what == first != "status"
                or _kind(one.comparison.differences[0]) == lead
            ):
                last = Disagreement(found.seed, tree, sent, one.comparison, one.observed)
                return True
        return False

    tree, sent = reduce(found.http, found.request, fails)
    fails(tree, sent)
    return last
