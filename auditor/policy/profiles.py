"""The built-in profiles: policies that others extend, shipped with the program, versioned and hashed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from auditor.dataclass import dataclass

PREFIX = "builtin:"
_VERSION = r"(?m)^# profile version: ([0-9]+)\s*$"
_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"


@dataclass(frozen=True, slots=True)
class Profile:
    """One built-in profile: name, version, SHA-256 of its file, the file."""

    name: str
    version: int
    sha256: str
    path: Path


def folder() -> Path:
    """Return where the profiles are: inside the installed package, or beside it in the source tree."""
    installed = Path(__file__).parent.parent / "builtin_policies"
    return installed if installed.is_dir() else Path(__file__).parent.parent.parent / "policies"


def profile(name: str) -> Profile | None:
    """Return the profile with this name, or None; policies that carry no profile version are no profiles."""
    path = folder() / f"{name}.yaml"
    if not re.fullmatch(_NAME, name) or not path.is_file():
        return None
    raw = path.read_bytes()
    found = re.search(_VERSION, raw.decode("utf-8", "replace"))
    return Profile(name, int(found[1]), hashlib.sha256(raw).hexdigest(), path) if found else None


def profiles() -> tuple[Profile, ...]:
    """Return every built-in profile, by name."""
    found = (profile(path.stem) for path in sorted(folder().glob("*.yaml")))
    return tuple(item for item in found if item is not None)


def source(file: str) -> Path:
    """Return the file that a location names: `builtin:NAME` is the profile's, anything else is a path."""
    found = profile(file.removeprefix(PREFIX)) if file.startswith(PREFIX) else None
    return found.path if found else Path(file)
