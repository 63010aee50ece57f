"""The drift demo: the reference stack under `auditor watch`, its nginx reloaded with a loosened map, and with the old one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from auditor.demo import Running, running
from auditor.history.store import History

EXACT = '    "https://app.qwen.example.com"  "https://app.qwen.example.com";\n'
LOOSE = '    "~^https://app.qwen.example.com"  $http_origin;\n'
"""An unescaped dot and no end: https://appxqwen.example.com is let in, and https://app.qwen.example.com.evil.example."""

EVERY = 5
LONGEST = 90.0
"""Seconds for one interval on a busy machine; a quiet one takes a tenth."""


class Watched:
    """`auditor watch` on a stack, with what it says and what it tells a webhook."""

    def __init__(self, stack: Running, folder: Path, hook: str) -> None:
        """Start it."""
        self.said: list[str] = []
        command = [sys.executable, "-m", "auditor", "watch", str(stack.policy), "--every", f"{EVERY}s", "--listen"]
        command += ["127.0.0.1:0", "--ca-file", str(stack.ca_file), "--no-measure-limits", "--notify", hook]
        environment = {**os.environ, "AUDITOR_HISTORY": str(folder / "history.sqlite"), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.said.extend(line.rstrip("\n") for line in lines)

    @property
    def url(self) -> str:
        """Where the dashboard is, "" while it is not."""
        return next((line.partition("dashboard: ")[2] for line in self.said if line.startswith("dashboard: ")), "")

    def runs(self) -> int:
        """How many runs it has said it recorded."""
        return sum(1 for line in self.said if ": run " in line)

    def ended(self) -> int:
        """Ask it to end, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.reader.join(10)
        return status


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the URL of a webhook and the events it gets."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", events
        server.shutdown()


def until(true: Callable[[], object], watch: Watched, longest: float = LONGEST) -> None:
    """Wait for something; fail with what the watch said."""
    deadline = time.monotonic() + longest
    while not true():
        if time.monotonic() > deadline or watch.process.poll() is not None:
            pytest.fail("\n".join(watch.said))
        time.sleep(0.1)


def open_high(url: str) -> float:
    """Return how many high violations the metrics show as open."""
    text = httpx.get(f"{url}metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "auditor_findings"
        and sample.labels["severity"] == "high"
        and sample.labels["status"] == "open"
    )


def reload(stack: Running, old: str, new: str) -> None:
    """Edit nginx's file, as it runs and as it is audited (one file in production), and have nginx read it again."""
    for file in (stack.files["nginx-cors.conf"], stack.policy.parent / "stack" / "nginx-cors.conf"):
        text = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
    os.kill(stack.processes["nginx"], signal.SIGHUP)


def test_a_loosened_map_is_told_once_and_closed_when_it_is_taken_back(
    tmp_path: Path, hook: tuple[str, list[dict[str, Any]]]
) -> None:
    """One notification names the new origin, metrics and dashboard show it; the old file closes it; SIGTERM ends in order."""
    url, events = hook
    with running("hardened", tmp_path / "demo") as stack:
        text = stack.policy.read_text("utf-8")
        stack.policy.write_text(text.replace("requests_per_second: 20", "requests_per_second: 500"), encoding="utf-8")
        watch = Watched(stack, tmp_path, url)
        try:
            until(lambda: watch.runs() >= 1, watch)
            assert open_high(watch.url) == 0
            assert events == []

            reload(stack, EXACT, LOOSE)
            until(lambda: events, watch)
            [event] = events
            told = [change for change in event["new"] if change["check"] == "cors-origin-not-allowed"]
            origins = {origin for change in told for origin in re.findall(r"https://[\w.-]+", change["message"])}
            accepted = [
                o
                for o in origins
                if re.match(r"https://app.qwen.example.com", o) and o != "https://app.qwen.example.com"
            ]
            assert accepted, event
            assert {change["severity"] for change in told} == {"high"}
            assert {change["cause"] for change in told} == {"configuration"}
            assert event["configuration_changed"]
            assert not event["policy_changed"]
            assert open_high(watch.url) >= 1
            page = httpx.get(f"{watch.url}changes?kind=new").text
            assert accepted[0] in page
            assert "cors-origin-not-allowed" in page
            seen = watch.runs()
            until(lambda: watch.runs() > seen, watch)
            assert len(events) == 1

            reload(stack, LOOSE, EXACT)
            opened = {change["fingerprint"] for change in event["new"]}
            # a reload may cut an answer short: what was not asked again in the first run is closed by the next
            until(lambda: opened <= {c["fingerprint"] for later in events[1:] for c in later["fixed"]}, watch)
            assert [later["new"] for later in events[1:]] == [[] for _ in events[1:]]
            assert open_high(watch.url) == 0
            assert "fixed" in httpx.get(f"{watch.url}changes?kind=fixed").text
            assert watch.ended() == 0
            assert watch.said[-1].startswith("stopped")
        finally:
            watch.process.kill()
            watch.process.wait()
    history = History.open(str(tmp_path / "history.sqlite"))
    from auditor.history.keeping import damaged

    assert damaged(history.database) == []
    history.close()
