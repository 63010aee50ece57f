"""Work that kills its worker: once, or each time it is tried."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from auditor.fleet.entries import Entry


def work(entry: Entry) -> bytes:
    """Return the entry's name; before that, end the process where the entry says so."""
    marker = Path(entry.policy)
    if entry.name == "poison" or (entry.name == "once" and not marker.exists()):
        marker.touch()
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return entry.name.encode()
