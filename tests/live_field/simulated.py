"""nginx's limiter and the way to it on a clock that needs no time: estimates by the thousand, at any noise."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from auditor.exchange import Headers, Request
from auditor.live.volley import Shot


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        """Start at a moment that is no round number."""
        super().__init__()
        self.moment = 1000.123
        below = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None = None) -> Any:
            if timeout:
                self.moment += timeout
            return below(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        """Return the virtual moment."""
        return self.moment


@dataclass(slots=True)
class Way:
    """The way to a server: seconds each way, how much more it may take, and what a request costs the client to send.

    `serving`: seconds that what is behind the limiter takes for a request that it lets through, at most.
    """

    one_way: float
    jitter: float
    sending: float = 0.0007
    serving: float = 0.0


@dataclass(slots=True)
class Limiter:
    """ngx_http_limit_req_lookup and ngx_http_limit_req_account, in thousandths of a request on a clock of milliseconds."""

    rate: float
    burst: int
    delay: int | None = None
    excess: int = 0
    last: int | None = None

    def handle(self, moment: float) -> float | None:
        """Decide a request: seconds that it is held, or None where it is refused."""
        clock = int(moment * 1000)
        if self.last is None:
            value = 0
        else:
            elapsed = max(0, clock - self.last)
            value = max(0, self.excess - int(self.rate * 1000) * elapsed // 1000 + 1000)
        if value > self.burst * 1000:
            return None
        self.excess, self.last = value, clock
        if self.delay is None or value <= self.delay * 1000:
            return 0.0
        return (value - self.delay * 1000) * 1000 // int(self.rate * 1000) / 1000


@dataclass(slots=True)
class SimulatedGun:
    """A Gun whose requests go to a Limiter over a Way; `forged` headers that the limiter's key has get their own bucket."""

    limiter: Limiter | None
    way: Way
    draw: random.Random
    budget: int = 2000
    request: Request = field(default_factory=lambda: Request("GET", "/", Headers.of([("Host", "shop.example")])))
    shots: list[Shot] = field(default_factory=list)
    fired: int = 0
    _free: float = 0.0
    _pending: dict[int, asyncio.Future[None]] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Requests that the budget still allows."""
        return self.budget - self.fired

    def fire(self, count: int = 1, request: Request | None = None) -> list[Shot]:
        """Send some requests one after the other."""
        loop = asyncio.get_running_loop()
        fired = []
        for _ in range(min(count, self.left)):
            self._free = max(self._free, loop.time()) + self.way.sending
            shot = Shot(self._free)
            fired.append(shot)
            self.fired += 1
            if request is None:
                self.shots.append(shot)
            self._pending[id(shot)] = loop.create_future()
            loop.call_at(self._free + self._trip(), self._arrive, shot)
        return fired

    async def load(self, count: int, seconds: float) -> None:
        """Every connection is there already."""

    def _trip(self) -> float:
        return self.way.one_way + self.draw.random() * self.way.jitter

    def _arrive(self, shot: Shot) -> None:
        loop = asyncio.get_running_loop()
        hold = 0.0 if self.limiter is None else self.limiter.handle(loop.time())
        status = 429 if hold is None else 404
        late = 0.0005 + self.draw.random() * 0.001
        late += 0.0 if hold is None else self.way.serving * (0.5 + 0.5 * self.draw.random())
        loop.call_at(loop.time() + (hold or 0.0) + late + self._trip(), self._answer, shot, status)

    def _answer(self, shot: Shot, status: int) -> None:
        shot.done, shot.status = asyncio.get_running_loop().time(), status
        self._pending[id(shot)].set_result(None)

    def waiting(self) -> bool:
        """Whether any answer is still to come."""
        return any(not future.done() for future in self._pending.values())

    def take_back(self) -> None:
        """Every request has left already."""

    async def settle(self, shots: Sequence[Shot], seconds: float) -> None:
        """Wait until these shots are answered, at most so long."""
        waiting = [self._pending[id(shot)] for shot in shots if not self._pending[id(shot)].done()]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    @property
    def client(self) -> Any:
        """What first_shot asks of a client: its time limit."""
        return _Client()


class _Client:
    class target:  # noqa: N801 - stands for a target's limits
        """Its limits."""

        class limits:  # noqa: N801 - as above
            """Its time limit."""

            timeout = 30.0
