"""A real PostgreSQL server for the tests: its own data, its own socket, ended with the test session."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def binaries() -> Path | None:
    """Return the folder of Debian's newest PostgreSQL server, or the one on PATH; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run a server while the block lasts and give the URL of its socket; without one skip, and fail in CI."""
    folder = binaries()
    if folder is None:
        reason = "no PostgreSQL server: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # NOTE: PostgreSQL refuses to run as root; `postgres` is the user that Debian's package makes.
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    home = Path(tempfile.mkdtemp(prefix="auditor-pg-", dir="/tmp"))
    try:
        if who:
            account = pwd.getpwnam("postgres")
            os.chown(home, account.pw_uid, account.pw_gid)
        data = home / "data"
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "auditor", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd=home, **who,
        )  # fmt: skip
        with (home / "log").open("wb") as log:
            settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={home}", "-c", "fsync=off"]
            process = subprocess.Popen(
                [folder / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=home, **who
            )
        try:
            _wait(folder, home, process)
            yield f"postgresql://auditor@/postgres?host={home}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(folder: Path, home: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        ready = subprocess.run([folder / "pg_isready", "-q", "-h", home], check=False)
        if ready.returncode == 0:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"PostgreSQL did not start: {(home / 'log').read_text(errors='replace')[-2000:]}")
