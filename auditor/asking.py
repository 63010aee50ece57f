"""Predictions, each made once: what was answered holds for every request that looks the same.

A page's origin is tried with every method at every place, and most places see little of it: files are served whoever
asks, a `map` lets an origin in or does not. And what two doors lead to differs in what the edge says of the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace

from auditor.dataclass import dataclass
from auditor.exchange import Exchange
from auditor.memory import Memory
from auditor.plan.facts import Probe
from auditor.stack import Stack

Answered = tuple[Probe, tuple[Exchange, ...]]
"""A probe and its answers: one for each outcome that the configuration allows."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Predicts the answers of one stack, each once."""

    stack: Stack
    known: dict[object, tuple[Exchange, ...]] = field(default_factory=dict)
    memories: tuple[Memory, ...] = field(init=False)
    _remembering: Stack = field(init=False)

    def __post_init__(self) -> None:
        """Let the layers remember their answers, but not the last of several: who asks it remembers them too."""
        count = len(self.stack.layers)
        memories = tuple(Memory() for _ in range(max(count - 1, 1)))
        object.__setattr__(self, "memories", memories)
        object.__setattr__(self, "_remembering", replace(self.stack, memories=memories))

    def __call__(self, probe: Probe) -> tuple[Exchange, ...]:
        """Predict the answers to one probe."""
        request = probe.request
        key = (probe.entry, request.wire, request.listen, request.client, request.sni, request.body_length)
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = self._remembering.predict(request, probe.entry)
        return known

    def all(self, probes: Iterable[Probe]) -> list[Answered]:
        """Predict the answers to all probes."""
        return [(probe, self(probe)) for probe in probes]
