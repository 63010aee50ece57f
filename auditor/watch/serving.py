"""`auditor watch`, running: schedule, postman and dashboard, until somebody says stop."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import field
from typing import Any

import uvicorn

from auditor.dataclass import dataclass
from auditor.errors import UsageError
from auditor.fleet.entries import Entry
from auditor.history.keeping import Retention, prune
from auditor.history.store import History
from auditor.recording import audited
from auditor.watch import telling
from auditor.watch.channels import Channel
from auditor.watch.dashboard import LOOPBACK, application
from auditor.watch.delivery import Postman
from auditor.watch.schedule import Plan, Watch

ENDING = 25.0
"""Seconds that running audits have to end in after SIGTERM; one that does not is made again at the next start."""

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Served:
    """What a watch is asked to do. `listen` None: no dashboard. `token`: needed to read it; must be there off loopback."""

    entries: tuple[Entry, ...]
    plan: Plan
    history_url: str | None = None
    channels: tuple[Channel, ...] = ()
    listen: tuple[str, int] | None = ("127.0.0.1", 9779)
    hosts: frozenset[str] = frozenset()
    token: str = ""
    workers: int = 8
    retention: Retention = field(default_factory=Retention)


def serve(served: Served, say: Say) -> int:
    """Watch until SIGTERM or Ctrl-C, and return the exit status; HistoryError or UsageError where it cannot begin."""
    if served.listen is not None and not served.token and not _loopback(served.listen[0]):
        raise UsageError(
            f"the dashboard would be open to everybody who reaches {served.listen[0]}",
            hint="set $AUDITOR_TOKEN, or listen on 127.0.0.1",
        )
    for entry in served.entries:
        served.plan.trigger(entry.name)
    stop = threading.Event()
    _on_signals(stop, say)
    history = History.open(served.history_url, {channel.name: telling.event for channel in served.channels})
    try:
        with history.database.alone("watch"):
            return _watch(served, history, stop, say)
    finally:
        history.close()


def _watch(served: Served, history: History, stop: threading.Event, say: Say) -> int:
    postman = Postman(history.database, served.channels, say)

    def told(recorded: Any) -> None:
        new, fixed = len(recorded.drift.of("new")), len(recorded.drift.of("fixed"))
        say(f"{recorded.target}: run {recorded.run}: {recorded.header.verdict}, {new} new, {fixed} fixed")
        postman.ring()

    watch = Watch(served.entries, served.plan, history, audited, served.workers, told, say)
    server = _server(served, history) if served.listen is not None else None
    if server is not None:
        say(f"dashboard: {server.url}")
    postman.start()
    watch.start()
    watch.every_day(lambda: prune(history.database, served.retention))
    say(f"watching {len(served.entries)} target{'s' if len(served.entries) != 1 else ''}")
    while not stop.wait(1.0):
        pass
    ended = watch.stop(ENDING)
    postman.stop(5.0)
    if server is not None:
        server.stop()
    say("stopped" if ended else "stopped; audits that had not ended are made again at the next start")
    if not ended:  # their threads cannot be ended, and the interpreter would wait for them
        history.close()
        os._exit(0)
    return 0


def _on_signals(stop: threading.Event, say: Say) -> None:
    """End in order at the first SIGTERM, SIGINT or SIGHUP, and at once at the second."""

    def leave(_number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(130)
        say("stopping: audits that run may end")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)


@dataclass(slots=True)
class _Server:
    """The dashboard's server on a thread of its own."""

    server: uvicorn.Server
    socket: socket.socket
    url: str
    thread: threading.Thread

    def stop(self) -> None:
        """Answer what was asked, and end."""
        self.server.should_exit = True
        self.thread.join(5.0)
        self.socket.close()


def _server(served: Served, history: History) -> _Server:
    host, port = served.listen or ("127.0.0.1", 0)
    hosts = (LOOPBACK | served.hosts | {host}) if _loopback(host) else served.hosts
    app = application(history.database, token=served.token, hosts=hosts)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=3
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        hint = "choose another address with --listen, or --no-dashboard"
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from None
    listening.listen(128)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="dashboard", daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    return _Server(server, listening, f"http://{shown}:{listening.getsockname()[1]}/", thread)


def _loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
