"""Whether one set lies within another: proven, refuted by a witness, or not decided and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from auditor.dataclass import dataclass
from auditor.language.automaton import TooLarge
from auditor.language.search import Budget, Clock, OutOfBudget
from auditor.language.sets import Language


@dataclass(frozen=True, slots=True)
class Included:
    """Every member of the one is a member of the other."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A shortest member of the one that is not in the other (or one of a preferred set)."""

    witness: bytes

    @property
    def text(self) -> str:
        """The witness as Latin-1 text."""
        return self.witness.decode("latin-1")


@dataclass(frozen=True, slots=True)
class NotDecided:
    """Neither proven nor refuted, and what made it so."""

    reason: str


Decision: TypeAlias = "Included | Outside | NotDecided"


def decide_included(
    inner: Language, outer: Language, budget: Budget | None = None, *, prefer: Sequence[Language] = ()
) -> Decision:
    """Decide whether `inner` lies within `outer`; the witness is taken from `prefer` in order where that is possible."""
    difference = inner - outer
    clock = (budget or Budget()).clock()
    try:
        found = difference.shortest_within(clock, upper=True)
        if found is None:
            return Included()
        if difference.contains(found) is not True:
            found = difference.shortest_within(clock)
    except (OutOfBudget, TooLarge) as e:
        return NotDecided(str(e) or "an automaton too large")
    if found is None:
        return NotDecided("; ".join(difference.reasons))
    return Outside(_preferred(difference, found, prefer, clock))


def _preferred(difference: Language, found: bytes, prefer: Sequence[Language], clock: Clock) -> bytes:
    """Return a member of the first preferred set that has any, within the rest of the budget."""
    for preferred in prefer:
        if preferred.contains(found):
            return found
        try:
            better = (difference & preferred).shortest_within(clock)
        except (OutOfBudget, TooLarge):
            return found
        if better is not None:
            return better
    return found
