"""Predictions, each made once: what was answered without looking at a header's value holds for every value.

A page's origin is tried with every method at every place, and most places never look at it: files are served, and
errors made, whoever asks. So a request is first evaluated with the value sealed. A layer may move a sealed value on,
and anything else that it does with it raises: where nothing did, the answer is the same for all values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import cast

from auditor.dataclass import dataclass
from auditor.exchange import Exchange, Field, Headers, Outcome, Request, amended
from auditor.plan.facts import Probe
from auditor.stack import Entry, Stack

Answered = tuple[Probe, tuple[Exchange, ...]]
"""A probe and its answers: one for each outcome that the configuration allows."""


LONGEST = 256
"""Longer values are not sealed."""

TOO_LONG = frozenset({400, 414, 431, 494})
"""Statuses of requests that do not fit; a shorter value might have fitted."""


class ReadError(BaseException):
    """A layer looked at a sealed value; no handler of ordinary errors may take it for one of its own."""


class Sealed:
    """Stands for a header's value, and is no text: whatever would depend on the value raises.

    It is as long as the longest value that is sealed: a request that fits with it fits with every other.

    Raises:
        ReadError: for every operation but being moved, measured, and stripped of the blanks around it.
    """

    __slots__ = ("header",)

    def __init__(self, header: str) -> None:
        """Seal the value of a header."""
        self.header = header

    def strip(self, *_: object) -> Sealed:
        """Return the same: values are sealed without blanks around them."""
        return self

    def __len__(self) -> int:
        """Return a length that no sealed value exceeds."""
        return LONGEST

    def __eq__(self, other: object) -> bool:
        """Whether this is the same object; no other is known to be equal or not."""
        return other is self or self._read()

    def __ne__(self, other: object) -> bool:
        """Whether this is another object."""
        return other is not self and self._read()

    def __hash__(self) -> int:
        """Refuse: a look into a table is a look at the value."""
        raise ReadError

    def _read(self, *_: object) -> bool:
        raise ReadError

    def __getattr__(self, name: str) -> object:
        """Refuse every other method."""
        raise ReadError(name)

    __bool__ = __iter__ = __contains__ = __getitem__ = __str__ = __repr__ = __format__ = _read  # type: ignore[assignment] # they never return
    __add__ = __radd__ = __mod__ = __rmod__ = __lt__ = __le__ = __gt__ = __ge__ = _read


_SEALED = {name: Sealed(name) for name in ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")}
"""The headers whose values are sealed, as probes spell them."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Predicts the answers of one stack, each once."""

    stack: Stack
    known: dict[tuple[Entry, Request], tuple[Exchange, ...]] = field(default_factory=dict)
    sealed: dict[object, tuple[Exchange, ...] | None] = field(default_factory=dict)
    _read: set[tuple[Entry, str, str]] = field(default_factory=set)

    def __call__(self, probe: Probe) -> tuple[Exchange, ...]:
        """Predict the answers to one probe."""
        key = (probe.entry, probe.request)
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self._unread(probe) or self.stack.predict(probe.request, probe.entry)
        return known

    def all(self, probes: Iterable[Probe]) -> list[Answered]:
        """Predict the answers to all probes."""
        return [(probe, self(probe)) for probe in probes]

    def _unread(self, probe: Probe) -> tuple[Exchange, ...] | None:
        """Predict without looking at some headers; None where a layer does."""
        entry, request = probe.entry, probe.request
        place = (entry, probe.host, request.target)
        if place in self._read:
            return None
        values = {name: line.value for line in request.headers if (name := line.name) in _SEALED}
        count = sum(line.name in _SEALED for line in request.headers)
        if not values or len(values) != count or any(len(value) > LONGEST for value in values.values()):
            return None
        key = (entry, amended(request, headers=_with(request.headers, dict.fromkeys(_SEALED, ""))))
        if key not in self.sealed:
            sealed = amended(request, headers=_with(request.headers, cast("dict[str, str]", _SEALED)))
            try:
                self.sealed[key] = _kept(self.stack.predict(sealed, entry))
            except (ReadError, TypeError, AttributeError):  # what is no text raises these in functions written in C
                self.sealed[key] = None
        known = self.sealed[key]
        if known is None:
            self._read.add(place)
            return None
        return tuple(
            amended(exchange, request=request, outcome=_opened(exchange.outcome, values)) for exchange in known
        )


def _with(headers: Headers, values: dict[str, str]) -> Headers:
    """Return header lines with other values."""
    return Headers(
        tuple(
            Field(line.name, values[line.name], line.made_by, line.layer) if line.name in values else line
            for line in headers
        )
    )


def _kept(exchanges: tuple[Exchange, ...]) -> tuple[Exchange, ...] | None:
    """Return the answers, None where a sealed value came back in one, or its length may have mattered."""
    for outcome in (exchange.outcome for exchange in exchanges):
        if outcome.response is not None and outcome.response.status in TOO_LONG:
            return None
        lines = (*(outcome.response.headers if outcome.response else ()), *outcome.lost)
        texts: list[object] = [line.value for line in lines]
        texts += [limit.value for limit in outcome.limits]
        sent = outcome.upstream_request
        texts += [sent.target, sent.listen] if sent is not None else []
        texts += [outcome.action.upstream, outcome.action.file, outcome.response and outcome.response.body]
        if any(isinstance(text, Sealed) for text in texts):
            return None
    return exchanges


def _opened(outcome: Outcome, values: dict[str, str]) -> Outcome:
    """Return an outcome with the values as they were sent on."""
    sent = outcome.upstream_request
    if sent is None:
        return outcome
    lines = []
    for line in sent.headers:
        value: object = line.value
        lines.append(
            Field(line.name, values[value.header], line.made_by, line.layer) if isinstance(value, Sealed) else line
        )
    return amended(outcome, upstream_request=amended(sent, headers=Headers(tuple(lines))))
