"""The answers of one layer, given again to requests that look the same to it.

The values of some headers are sealed before the layer sees them, and its answer is kept with the tests that it made of
them: it holds for all values that pass and fail the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import cast

from auditor.dataclass import dataclass
from auditor.exchange import Field, Headers, Outcome, Request, amended
from auditor.sealed import LONGEST, ReadError, Sealed, Test, is_sealed, look

SEALED = frozenset(
    {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
    | {"X-Forwarded-Proto", "X-Forwarded-Port"}
)
"""The headers whose values are sealed, as probes and proxies spell them."""

Answer = Callable[[Request], tuple[Outcome, ...]]
"""How the layer answers."""

Moves = tuple[tuple[int, int, bool], ...]
"""Which header lines of a message come from the request: (position, position in the request, the line as a whole)."""


@dataclass(slots=True)
class Kept:
    """The answers to a request with sealed values.

    Each stands with what it has of the request's header lines: in what was sent on, and in what came back.
    """

    outcomes: tuple[tuple[Outcome, Moves, Moves], ...]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], lines: tuple[Field, ...]) -> Kept | None:
        """Keep answers; None where one has a sealed value, or a line's maker, in a place that is not opened."""
        where = {id(line): index for index, line in enumerate(lines)}
        sealed = {line.name: index for index, line in enumerate(lines) if is_sealed(line.value)}
        makers = {id(line.made_by) for line in lines if line.made_by is not None}
        found: dict[int, Moves | None] = {}

        def moves(headers: Headers) -> Moves | None:
            made = []
            for position, line in enumerate(headers.fields):
                index, value = where.get(id(line)), cast("object", line.value)
                if index is not None:
                    made.append((position, index, True))
                elif makers and id(line.made_by) in makers:
                    return None
                elif isinstance(value, Sealed):
                    made.append((position, sealed[value.header], False))
            return tuple(made)

        kept = []
        for outcome in outcomes:
            response, sent = outcome.response, outcome.upstream_request
            if sent is not None and id(sent) not in found:
                found[id(sent)] = moves(sent.headers)
            on = found[id(sent)] if sent is not None else ()
            back = moves(response.headers) if response is not None else ()
            if on is None or back is None or _elsewhere(outcome):
                return None
            kept.append((outcome, on, back))
        return cls(tuple(kept))

    def opened(self, lines: tuple[Field, ...]) -> tuple[Outcome, ...]:
        """Return the answers to the request with these header lines."""
        made: dict[int, Request] = {}
        result = []
        for outcome, on, back in self.outcomes:
            sent, response = outcome.upstream_request, outcome.response
            if on and sent is not None:
                if id(sent) not in made:
                    made[id(sent)] = amended(sent, headers=_opened(sent.headers, on, lines))
                sent = made[id(sent)]
            if back and response is not None:
                response = amended(response, headers=_opened(response.headers, back, lines))
            result.append(amended(outcome, upstream_request=sent, response=response) if on or back else outcome)
        return tuple(result)


def _elsewhere(outcome: Outcome) -> bool:
    """Whether an answer has a sealed value in a place that is not opened."""
    response, sent, action = outcome.response, outcome.upstream_request, outcome.action
    return (
        is_sealed(action.upstream)
        or is_sealed(action.file)
        or is_sealed(response and response.body)
        or (sent is not None and (is_sealed(sent.target) or is_sealed(sent.listen)))
        or True in [is_sealed(line.value) for line in outcome.lost]
        or True in [is_sealed(limit.value) for limit in outcome.limits]
    )


def _opened(headers: Headers, moves: Moves, lines: tuple[Field, ...]) -> Headers:
    """Return header lines with what these lines have in the place of what came from others."""
    fields = list(headers.fields)
    for position, index, whole in moves:
        old, new = fields[position], lines[index]
        fields[position] = new if whole else Field(old.name, new.value, old.made_by, old.layer)
    return Headers(tuple(fields))


@dataclass(slots=True)
class Looked:
    """A test of a sealed value, and by what it gave: the next test or the answers, None where they are not to be had."""

    test: Test
    ways: dict[object, Looked | Kept | None] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What one layer has answered, by everything in a request but the sealed values, and by how it looked at those."""

    known: dict[object, Looked | Kept | None] = field(default_factory=dict)
    given: int = 0
    _read: set[object] = field(default_factory=set)

    def recall(self, request: Request, answer: Answer) -> tuple[Outcome, ...]:
        """Return the answers to a request, asking for them where none holds for it yet."""
        place = (request.listen, request.scheme, request.method, request.target)
        values: dict[str, str] = {}
        key: list[object] = [place, request.version, request.client, request.sni, request.body_length]
        for line in request.headers.fields:
            name, value = line.name, line.value
            key.append(name)
            sealed = is_sealed(value)
            if name not in SEALED and not sealed:
                key.append(value)
            elif name in values or not (sealed or (len(value) <= LONGEST and value.strip(" \t") == value)):
                return answer(request)
            else:
                values[name] = value
        if values and place not in self._read:
            outcomes = self._recalled(tuple(key), values, request, answer)
            if outcomes is not None:
                return outcomes
            self._read.add(place)
        return answer(request)

    def _recalled(
        self, key: object, values: dict[str, str], request: Request, answer: Answer
    ) -> tuple[Outcome, ...] | None:
        """Return the answers that were or are made with the values sealed, None where they are not to be had so."""
        lines = request.headers.fields
        results: dict[Test, object] = {}
        try:
            ways, way = self.known, key
            while way in ways:
                known = ways[way]
                if not isinstance(known, Looked):
                    self.given += 1
                    return None if known is None else known.opened(lines)
                header, function, argument = known.test
                ways, way = known.ways, look(values[header], function, argument)
            sealed = tuple([_sealed(line, results) if line.name in values else line for line in lines])
            kept = Kept.of(answer(amended(request, headers=Headers(sealed))), sealed)
        except (ReadError, TypeError, AttributeError):  # what is no text raises these in functions written in C
            kept = None
        ways, way = self.known, key
        for test, result in results.items():
            looked = ways.setdefault(way, Looked(test))
            if not isinstance(looked, Looked) or looked.test != test:  # it has looked in another order this time
                return None
            ways, way = looked.ways, result
        ways[way] = kept
        return None if kept is None else kept.opened(lines)


def _sealed(line: Field, results: dict[Test, object]) -> Field:
    return Field(line.name, cast("str", Sealed(line.name, line.value, results)), line.made_by, line.layer)
