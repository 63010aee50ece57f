"""The postman: takes messages from the outbox to their channels until they are taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.errors import AuditorError
from auditor.history import outbox
from auditor.history.database import Database
from auditor.watch.channels import Channel, NotTakenError

PAUSE = 5.0
"""Seconds between two looks into the outbox, when nobody rings."""


@dataclass(slots=True)
class Postman:
    """Delivers messages on a thread of its own."""

    database: Database
    channels: Sequence[Channel]
    say: Callable[[str], object] = lambda _text: None
    clock: Callable[[], float] = time.time
    _bell: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = threading.Thread(target=self._work, name="postman", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Say that there may be something to deliver."""
        self._bell.set()

    def stop(self, patience: float) -> None:
        """Deliver what can be delivered now, and end; what is not taken waits in the outbox for the next start."""
        self._over.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(patience)

    def _work(self) -> None:
        while not self._over.is_set():
            self._bell.wait(PAUSE)
            self._bell.clear()
            try:
                self.deliver()
            except AuditorError as error:
                self.say(f"the outbox: {error.message}")

    def deliver(self) -> int:
        """Try every channel once, and return how many messages were taken."""
        number = 0
        for channel in self.channels:
            while messages := outbox.waiting(self.database, channel.name, self.clock()):
                try:
                    channel.send(messages)
                except NotTakenError as error:
                    outbox.refused(self.database, messages, str(error), self.clock())
                    self.say(f"{channel.name} did not take {len(messages)} messages ({error}); they are tried again")
                    break
                outbox.taken(self.database, messages)
                number += len(messages)
        return number
