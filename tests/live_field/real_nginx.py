"""A real nginx on loopback with a given configuration."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.oracle.nginx_binary import need_nginx


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody uses now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]


@contextlib.contextmanager
def running_nginx(http: str, folder: Path, *ports: int) -> Iterator[None]:
    """Run nginx with this http block (it listens on `ports`) while the block lasts."""
    binary = need_nginx()
    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / f"{name}_temp").mkdir(parents=True, exist_ok=True)
    places = "\n".join(
        f"{name}_{'temp_path'} {folder}/{name}_temp;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = (
        f"worker_processes 2; error_log {folder}/error.log warn; pid {folder}/pid;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ {places}\n{http} }}\n"
    )
    (folder / "nginx.conf").write_text(text)
    command = [str(binary), "-p", f"{folder}/", "-c", "nginx.conf", "-e", f"{folder}/error.log", "-g", "daemon off;"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        for port in ports:
            while not _open(port):
                log = folder / "error.log"
                assert process.poll() is None, log.read_text() if log.exists() else "nginx ended at once"
                assert time.monotonic() < until
                time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _open(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
