"""How fast a target is asked: evenly, at most as often as its owner allows, slower where the target asks for it."""

from __future__ import annotations

import asyncio
import time

from auditor.dataclass import dataclass

FUTILE = 3
"""Requests that waiting did not help, after which 429 and 503 are taken for the target's answers."""


@dataclass(slots=True)
class Pace:
    """Spaces requests out: at most `most` a second, counted over all connections.

    `waited`: seconds spent waiting because the target said 429 or 503.
    """

    most: float
    rate: float = 0.0
    next_at: float = 0.0
    waited: float = 0.0
    futile: int = 0

    def __post_init__(self) -> None:
        """Begin at full speed."""
        self.rate = self.most

    @property
    def hopeless(self) -> bool:
        """Whether waiting has never helped so far."""
        return self.futile >= FUTILE

    async def wait(self) -> None:
        """Sleep until the next request may go."""
        now = time.monotonic()
        at = max(now, self.next_at)
        self.next_at = at + 1 / self.rate
        if at > now:
            await asyncio.sleep(at - now)

    def back_off(self, seconds: float) -> None:
        """Send nothing for so long, and half as fast from then on."""
        until = time.monotonic() + seconds
        self.waited += max(until - max(self.next_at, time.monotonic()), 0.0)
        self.next_at = max(self.next_at, until)
        self.rate = max(self.rate / 2, self.most / 16)

    def helped(self) -> None:
        """Note that a request was answered after waiting."""
        self.futile = 0
        self.rate = min(self.rate * 1.2, self.most)

    def in_vain(self) -> None:
        """Note that waiting did not help; where it never does, there is no reason to be slow either."""
        self.futile += 1
        if self.hopeless:
            self.rate = self.most
