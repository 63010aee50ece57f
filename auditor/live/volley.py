"""Requests sent at chosen moments without waiting for one another, and when each was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import field

import httpcore

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.live.client import Client
from auditor.live.scope import bare_host
from auditor.live.wire import Marks, Wire, closed

REFUSALS = frozenset({429, 503})
"""Statuses that a limiter answers with, where nothing else is declared."""


@dataclass(slots=True)
class Shot:
    """One request of a volley: when it left, when its answer's headers were there (monotonic seconds), its status.

    `sent` is written when its first byte goes out, after connecting; `done` None: no answer yet, or none at all.
    """

    sent: float
    done: float | None = None
    status: int | None = None
    error: str = ""

    def refused(self, by: frozenset[int] = REFUSALS) -> bool:
        """Whether a limiter refused it."""
        return self.status in by

    def passed(self, by: frozenset[int] = REFUSALS) -> bool:
        """Whether it was answered, and by no limiter."""
        return self.status is not None and self.status not in by


@dataclass(slots=True)
class Gun:
    """Fires one request at one entrypoint, past the client's pace but within its budget and scope."""

    client: Client
    wire: Wire
    entrypoint: str
    request: Request
    shots: list[Shot] = field(default_factory=list)
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _marks: dict[int, Marks] = field(default_factory=dict)
    _idle: list[httpcore.AsyncHTTPConnection] = field(default_factory=list)
    _opened: list[httpcore.AsyncHTTPConnection] = field(default_factory=list)
    _loaded: list[Shot] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Requests that the budget still allows."""
        return self.client.target.limits.max_requests - self.client.sent + len(self._loaded)

    async def load(self, count: int, seconds: float) -> None:
        """Connect for requests to come, and wait so long at most: they leave at once then, however long TLS takes.

        Nothing is asked yet; what is not fired in the end is closed.
        """
        for _ in range(min(count, self.left) - len(self._loaded) - len(self._idle)):
            shot = Shot(time.monotonic())
            self._loaded.append(shot)
            self._start(shot, self.request, Marks(gate=asyncio.Event()))
        await self._connected(seconds)
        self._loaded.sort(key=lambda shot: not self._marks[id(shot)].connected.is_set())

    async def _connected(self, seconds: float) -> None:
        """Wait until every connection that was opened ahead is there, at most so long."""
        waiting = [asyncio.create_task(self._marks[id(shot)].connected.wait()) for shot in self._loaded]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=seconds)
            for task in late:
                task.cancel()

    def fire(self, count: int = 1, request: Request | None = None) -> list[Shot]:
        """Send some requests now; answers arrive in the shots."""
        fired = []
        for _ in range(min(count, self.left)):
            if request is None and self._loaded:
                shot = self._loaded.pop(0)
                shot.sent = time.monotonic()
                self._marks[id(shot)].open()
            else:
                shot = Shot(time.monotonic())
                self._start(shot, request or self.request, Marks())
            fired.append(shot)
            if request is None:
                self.shots.append(shot)
        return fired

    def _start(self, shot: Shot, request: Request, marks: Marks) -> None:
        self._marks[id(shot)] = marks
        self._tasks[id(shot)] = asyncio.create_task(self._one(shot, request, marks))

    def waiting(self) -> bool:
        """Whether any answer is still to come."""
        return any(not self._tasks[id(shot)].done() for shot in self.shots)

    def take_back(self) -> None:
        """Keep the requests for later that have not left yet, for want of a connection."""
        for shot in list(self.shots):
            task, marks = self._tasks[id(shot)], self._marks[id(shot)]
            if not marks.sent and not task.done():
                marks.gate = asyncio.Event()
                self.shots.remove(shot)
                self._loaded.append(shot)

    async def _one(self, shot: Shot, request: Request, marks: Marks) -> None:
        via = self._connection()
        exchange = await self.client.once(self.wire, self.entrypoint, request, paced=False, marks=marks, via=via)
        if via is not None and via.is_idle():
            self._idle.append(via)
        shot.sent = marks.sent or shot.sent
        if exchange is None or exchange.response is None:
            shot.error = exchange.error if exchange else "not sent"
            return
        shot.done = marks.answered or time.monotonic()
        shot.status = exchange.response.status

    def _connection(self) -> httpcore.AsyncHTTPConnection | None:
        """Return a connection that nothing uses; None where the request may not be sent at all.

        NOTE: a pool of httpcore looks at each of its connections for every request, which takes longer than to send
        it once there are a hundred of them.
        """
        while self._idle:
            if not (known := self._idle.pop()).has_expired():
                return known
        address = self.client.scope.address(self.entrypoint, self.request.scheme, bare_host(self.request.host))
        if address is None:
            return None
        self._opened.append(self.wire.connection(address, self.request))
        return self._opened[-1]

    async def settle(self, shots: Sequence[Shot], seconds: float) -> None:
        """Wait until these shots are answered, at most so long."""
        tasks = [self._tasks[id(shot)] for shot in shots if id(shot) in self._tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def rest(self) -> None:
        """Stop waiting for what is still under way, and close every connection.

        NOTE: httpcore leaves a connection open that is cancelled in its handshake, so that is waited for.
        """
        await self._connected(1.0)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*[closed(connection) for connection in self._opened])
