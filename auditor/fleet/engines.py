"""Where the audits of a fleet run: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from auditor.errors import TargetError, UsageError
from auditor.fleet.entries import Entry

Work = Callable[[Entry], bytes]
"""Audits one entry and returns its report, packed; never raises. Dask sends it by name: a module's own function."""

Done = tuple[Entry, bytes]
Groups = Sequence[tuple[Entry, ...]]

SHARD = 6
"""Entries that one task of a cluster holds at most, unless they share a host; a task is one thread's work.

Larger ones, each on threads of its own, made a cluster wait for the slowest target of every shard: three times as long.
"""

RESTARTS = 1
"""Further workers that a shard may take down with it before it is tried target by target."""


def on_threads(groups: Groups, work: Work, workers: int) -> Iterator[Done]:
    """Audit groups on threads of this process, each group one after the other; yield what is done as it is done."""
    waiting: queue.SimpleQueue[tuple[Entry, ...]] = queue.SimpleQueue()
    done: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
    for group in groups:
        waiting.put(group)
    stop = threading.Event()

    def audit() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                for entry in waiting.get_nowait():
                    if stop.is_set():
                        return
                    done.put((entry, work(entry)))

    def run() -> None:
        try:
            audit()
        finally:
            done.put(None)

    number = min(workers, len(groups))
    for _ in range(number):
        threading.Thread(target=run, daemon=True).start()
    try:
        while number:
            item = done.get()
            if item is None:
                number -= 1
            else:
                yield item
    finally:
        stop.set()


def on_dask(
    groups: Groups, work: Work, workers: int, address: str = "", say: Callable[[str], object] = lambda _text: None
) -> Iterator[Done]:
    """Audit groups on a Dask cluster: at an address, or one of processes here; yield what is done as it is done.

    A shard whose worker dies is tried on another, then target by target, then what still died alone on the cluster: so
    the entry that kills workers is the only one without an answer, and is yielded with none (b"").
    Raises UsageError without Dask, TargetError where the cluster does not answer.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError:
        raise UsageError("Dask is not installed", hint="pip install 'edge-auditor[fleet]'") from None
    with _client(distributed, address, workers) as client:
        say(f"Dask dashboard: {client.dashboard_link}")
        pending = {client.submit(_shard, shard, work, pure=False, retries=1): shard for shard in _shards(groups)}
        completed = distributed.as_completed(  # type: ignore[no-untyped-call]
            list(pending), loop=client.loop, raise_errors=False
        )
        suspects: list[Groups] = []
        for future in completed:
            shard = pending.pop(future)
            if future.status == "finished":
                yield from future.result()
            elif len(shard) == 1 and len(shard[0]) == 1:
                suspects.append(shard)
            else:
                say(f"a worker died with {sum(map(len, shard))} targets: they are tried one by one")
                for group in _singly(shard):
                    again = client.submit(_shard, group, work, pure=False)
                    pending[again] = group
                    completed.add(again)  # type: ignore[no-untyped-call]
            future.release()
        for shard in suspects:  # alone on the cluster: what dies now did not die with another
            future = client.submit(_shard, shard, work, pure=False)
            failed = future.exception() is not None
            yield from [(shard[0][0], b"")] if failed else future.result()


@contextlib.contextmanager
def _client(distributed: Any, address: str, workers: int) -> Iterator[Any]:
    import dask  # noqa: PLC0415 - as above

    settings = {
        "distributed.scheduler.allowed-failures": RESTARTS,
        "distributed.admin.low-level-log-length": 0,
        "distributed.worker.daemon": True,
        # NOTE: a cluster here forgets a worker that takes longer than 15 s to begin again, and then has none for ever
        "distributed.deploy.lost-worker-timeout": "1 hour",
    }
    with dask.config.set(settings):
        if address:
            try:
                client = distributed.Client(address, timeout="10s", set_as_default=False)
            except (OSError, ValueError) as error:
                raise TargetError(f"the Dask scheduler at {address} does not answer: {error}") from None
            with client:
                yield client
            return
        number = max(1, min(os.cpu_count() or 1, workers))
        threads = -(-workers // number)  # an audit mostly waits
        cluster = distributed.LocalCluster(
            n_workers=number, threads_per_worker=threads, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
            silence_logs=50, memory_limit=0,
        )  # fmt: skip
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield client


def _shards(groups: Groups) -> list[Groups]:
    """Return the groups in parts of about `SHARD` entries; a group stays whole."""
    shards: list[Groups] = []
    part: list[tuple[Entry, ...]] = []
    for group in groups:
        if part and sum(map(len, part)) + len(group) > SHARD:
            shards.append(part)
            part = []
        part.append(group)
    return [*shards, part] if part else shards


def _singly(shard: Groups) -> list[Groups]:
    """Return each entry of a shard as a shard; a group of entries that share a host stays one until it is alone."""
    return [[(entry,)] for group in shard for entry in group] if len(shard) == 1 else [[group] for group in shard]


def _shard(groups: Groups, work: Work) -> list[Done]:
    """Audit a shard on a worker, one entry after the other."""
    return [(entry, work(entry)) for group in groups for entry in group]
