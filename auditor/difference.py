"""Two nginx configurations compared over all cells of both: which requests now get another answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location
from auditor.exchange import Outcome, Request, Unknown
from auditor.memory import Memory
from auditor.nginx import Configuration, load
from auditor.nginx.matchers import matchers
from auditor.nginx.selection import Selection
from auditor.nginx.tokens import Directive
from auditor.plan.cells import Matcher
from auditor.plan.joint import told_apart, untold
from auditor.plan.probes import Planner
from auditor.policy.model import Policy
from auditor.stack import Entry

VOLATILE = frozenset({"date", "content-length", "connection", "etag", "last-modified", "expires"})
"""Headers that say nothing about what the configuration decides."""

EVERYTHING = {"id": "all", "match": [{"paths": ["/**"]}], "cors": {"enabled": False}}
"""The route that makes the planner ask about every path, host, method, origin and header that matters."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two configurations does with a request: a line per outcome, and the block that answered."""

    lines: tuple[str, ...]
    place: Location | None
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Requests of one cell that get another answer: the smallest of them, and both answers.

    `lost` and `gained` are the lines of the old and the new answer that the other does not have; `alike` counts the
    other cells with the same change.
    """

    request: Request
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    old: Location | None
    new: Location | None
    alike: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every change of answer, smallest witness first, and what keeps it open whether there are more."""

    changes: tuple[Difference, ...]
    undecided: tuple[Unknown, ...] = ()


def compare(
    old: Path,
    new: Path,
    *,
    mounts: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    version: str = "1.31.3",
) -> Comparison:
    """Return every change of answer between two configurations, and what is not decided of either.

    `mounts` say where a path inside the container is; a relative one is seen from each of the two files. `variables`
    fill both where they are templates.
    Raises ConfigurationError where nginx would refuse one of them.
    """
    pair = (_load(old, mounts, variables, version), _load(new, mounts, variables, version))
    if _text(pair[0].tree.directives) == _text(pair[1].tree.directives):
        return Comparison(())  # the same, laid out anew: even what nobody can decide is the same
    sides = tuple((configuration, Memory()) for configuration in pair)
    changes: dict[object, Difference] = {}
    open_: dict[tuple[str, Location | None], Unknown] = {}
    planner = _planner(pair)
    for request in _requests(planner):
        before, after = (_side(memory.recall(request, configuration.answer)) for configuration, memory in sides)
        if before.lines == after.lines:
            open_.update(((item.reason, item.location), item) for item in after.unknown)
            continue
        lost = tuple(line for line in before.lines if line not in after.lines)
        gained = tuple(line for line in after.lines if line not in before.lines)
        key = (_neutral(lost, request), _neutral(gained, request))
        known = changes.get(key)
        if known is None:
            changes[key] = Difference(request, lost, gained, before.place, after.place)
        else:
            smallest = min(known.request, request, key=_size)
            kept = known if smallest is known.request else Difference(request, lost, gained, before.place, after.place)
            changes[key] = Difference(kept.request, kept.lost, kept.gained, kept.old, kept.new, known.alike + 1)
    for matcher in planner.undecided():
        open_[matcher.pattern, matcher.location] = untold(matcher)
    return Comparison(tuple(sorted(changes.values(), key=lambda change: _size(change.request))), tuple(open_.values()))


def _text(directives: Iterable[Directive]) -> Hashable:
    """Return directives without their places."""
    return tuple((d.name, d.args, d.raw, None if d.block is None else _text(d.block)) for d in directives)


def _load(
    file: Path, mounts: Mapping[str, str] | None, variables: Mapping[str, str] | None, version: str
) -> Configuration:
    if not file.is_file():
        raise ConfigurationError(f"there is no file {file}")
    here = {inside: str(file.parent / local) for inside, local in (mounts or {}).items()}
    configuration = load([file], prefix=file.parent, mounts=here, variables=variables, version=version)
    if configuration.problems:
        raise ConfigurationError.of(configuration.problems)
    return configuration


class _Servers:
    """Which server of each of two configurations answers, and what it sees; names tell the two apart."""

    def __init__(self, pair: Sequence[Configuration]) -> None:
        """Prepare."""
        self.selections = [Selection(configuration) for configuration in pair]

    def scope(self, listen: str, scheme: str, host: str) -> str | None:
        """Name the servers that answer; None where neither does."""
        found = [_side_of(i, name) for i, name in enumerate(self._scopes(listen, scheme, host)) if name is not None]
        return " ".join(found) if found else None

    def tables(self, listen: str, scheme: str, host: str, path: str | None = None) -> frozenset[str]:
        """Return the names of the servers, and of the tables that they read."""
        scopes = self._scopes(listen, scheme, host)
        read = [
            _side_of(index, name)
            for index, selection in enumerate(self.selections)
            for name in selection.tables(listen, scheme, host, path)
        ]
        return frozenset((*read, *(_side_of(i, name) for i, name in enumerate(scopes) if name is not None)))

    def _scopes(self, listen: str, scheme: str, host: str) -> list[str | None]:
        return [selection.scope(listen, scheme, host) for selection in self.selections]

    def alike(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:  # noqa: ARG002 - a protocol
        """Return None: every place is asked."""
        return None

    def through(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:  # noqa: ARG002 - a protocol
        """Return None: the blocks that answer say it."""
        return None


def _side_of(index: int, name: str) -> str:
    return f"{'new' if index else 'old'} {name}" if name else ""


def _planner(pair: Sequence[Configuration]) -> Planner:
    """Return what asks about everything that either configuration can see."""
    seen = [
        Matcher(
            m.subject,
            m.kind,
            m.pattern,
            m.caseless,
            m.location,
            _side_of(index, m.scope),
            table=_side_of(index, m.table),
            reason=m.reason,
            parts=m.parts,
        )
        for index, configuration in enumerate(pair)
        for m in matchers(configuration)
    ]
    listens = {(f"{listen.address}:{listen.port}", listen.ssl) for item in pair for listen in item.listens}
    entries = tuple(Entry(at, "https" if ssl else "http", "nginx", at) for at, ssl in sorted(listens))
    return Planner(Policy.model_validate_json(_policy()), entries, told_apart(seen), selection=_Servers(pair))


def _requests(planner: Planner) -> Iterator[Request]:
    sent: set[object] = set()
    for probe in planner.probes():
        request = replace(probe.request, listen=probe.entry.listen)
        key = (request.listen, request.method, request.target, request.headers.pairs())
        if key not in sent:
            sent.add(key)
            yield request


def _policy() -> str:
    import json  # noqa: PLC0415 - strict models take tuples from JSON only

    return json.dumps({"version": 1, "name": "diff", "routes": [EVERYTHING]})


def _side(outcomes: Sequence[Outcome]) -> Side:
    lines = tuple(sorted({line for outcome in outcomes for line in _lines(outcome)}))
    unknown = tuple(item for outcome in outcomes for item in outcome.unknown)
    return Side(lines, outcomes[0].selected if outcomes else None, unknown)


def _lines(outcome: Outcome) -> Iterator[str]:
    """Yield what can differ about one outcome, a line each; never where in a file it stands."""
    response, when = outcome.response, outcome.when
    if response is None:
        yield f"{when}: the connection is closed"
        return
    yield f"{when}: status {response.status}"
    for line in response.headers:
        if line.name.lower() not in VOLATILE:
            yield f"{when}: {line.name}: {line.value}"
    if response.body is not None and outcome.action.kind == "return":
        yield f"{when}: body {response.body[:200]!r}"
    if outcome.action.file:
        yield f"{when}: the file {outcome.action.file}"
    upstream = outcome.upstream_request
    if upstream is not None:
        yield f"{when}: asks {upstream.listen} for {upstream.method} {upstream.target}"
        for line in upstream.headers:
            yield f"{when}: tells the upstream {line.name}: {line.value}"
    for limit in outcome.limits:
        dry = ", dry run" if limit.dry_run else ""
        yield f"{when}: limited to {limit.rate:g} a second, burst {limit.burst}, by {limit.key}{dry}"
    for item in outcome.unknown:
        yield f"{when}: not decided: {item.reason}"


def _neutral(lines: Sequence[str], request: Request) -> tuple[str, ...]:
    """Take the request's own values out of the lines, so that the same change of two cells reads the same."""
    values = {line.value for line in request.headers} | {request.target}
    long = sorted((value for value in values if len(value) > 1), key=lambda value: (-len(value), value))
    result = []
    for line in lines:
        text = line
        for value in long:
            text = text.replace(value, "\0")
        result.append(text)
    return tuple(result)


def _size(request: Request) -> tuple[int, int, str]:
    return (
        sum(len(line.name) + len(line.value) for line in request.headers),
        len(request.target),
        request.method,
    )
