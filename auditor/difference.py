"""Two nginx configurations compared over all cells of both: which requests now get another answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location
from auditor.exchange import Outcome, Request
from auditor.memory import Memory
from auditor.nginx import Configuration, load
from auditor.nginx.matchers import matchers
from auditor.plan.cells import Matcher
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


def compare(
    old: Path,
    new: Path,
    *,
    mounts: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    version: str = "1.31.3",
) -> list[Difference]:
    """Return every change of answer between two configurations, smallest witness first.

    `mounts` say where a path inside the container is; a relative one is seen from each of the two files. `variables`
    fill both where they are templates.
    Raises ConfigurationError where nginx would refuse one of them.
    """
    pair = (_load(old, mounts, variables, version), _load(new, mounts, variables, version))
    sides = tuple((configuration, Memory()) for configuration in pair)
    changes: dict[object, Difference] = {}
    for request in _requests(pair):
        before, after = (_side(memory.recall(request, configuration.answer)) for configuration, memory in sides)
        if before.lines == after.lines:
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
    return sorted(changes.values(), key=lambda change: _size(change.request))


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


def _requests(pair: Sequence[Configuration]) -> Iterator[Request]:
    seen = [
        Matcher(m.subject, m.kind, m.pattern, m.caseless, m.location)
        for configuration in pair
        for m in matchers(configuration)
    ]
    listens = {(f"{listen.address}:{listen.port}", listen.ssl) for item in pair for listen in item.listens}
    entries = tuple(Entry(at, "https" if ssl else "http", "nginx", at) for at, ssl in sorted(listens))
    policy = Policy.model_validate_json(_policy())
    sent: set[object] = set()
    for probe in Planner(policy, entries, tuple(seen)).probes():
        request = Request(
            probe.request.method,
            probe.request.target,
            probe.request.headers,
            scheme=probe.request.scheme,
            listen=probe.entry.listen,
            sni=probe.request.sni,
        )
        key = (request.listen, request.method, request.target, request.headers.pairs())
        if key not in sent:
            sent.add(key)
            yield request


def _policy() -> str:
    import json  # noqa: PLC0415 - strict models take tuples from JSON only

    return json.dumps({"version": 1, "name": "diff", "routes": [EVERYTHING]})


def _side(outcomes: Sequence[Outcome]) -> Side:
    lines = tuple(sorted({line for outcome in outcomes for line in _lines(outcome)}))
    return Side(lines, outcomes[0].selected if outcomes else None)


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
