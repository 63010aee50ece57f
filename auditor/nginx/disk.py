"""Files that a container brings and that are here: what is at a path of the container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ANY_KIND = frozenset({"file", "folder", "nothing"})
_KNOWN = {kind: frozenset({kind}) for kind in ANY_KIND}
MOST_KEPT = 20_000


class Disk:
    """Answers what is at a path below one of the mounts; anything else may be anything."""

    __slots__ = ("kept", "mounts")

    def __init__(self, mounts: Mapping[str, str | Path] | None) -> None:
        """Keep the mounts that are here, the longest first."""
        here = ((name.rstrip("/"), Path(local)) for name, local in (mounts or {}).items())
        self.mounts = sorted(((name, local) for name, local in here if local.exists()), key=lambda one: -len(one[0]))
        self.kept: dict[str, frozenset[str]] = {}

    def kinds(self, path: str) -> frozenset[str]:
        """Return what may be at a path: "file", "folder", "nothing"."""
        if not self.mounts:
            return ANY_KIND
        known = self.kept.get(path)
        if known is None:
            known = self._look(path)
            if len(self.kept) < MOST_KEPT:
                self.kept[path] = known
        return known

    def _look(self, path: str) -> frozenset[str]:
        for name, local in self.mounts:
            if path == name or path.startswith(name + "/"):
                rest = path[len(name) + 1 :]
                if ".." in rest.split("/") or "\0" in rest:
                    return ANY_KIND
                try:
                    # one character is one byte of the path nginx would open
                    target = local / rest.encode("latin-1").decode("utf-8", "surrogateescape") if rest else local
                    kind = "folder" if target.is_dir() else "file" if target.is_file() else "nothing"
                except (OSError, ValueError):
                    return ANY_KIND
                return _KNOWN[kind]
        return ANY_KIND
