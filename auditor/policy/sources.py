"""The files of a policy: itself and everything it extends, each read once, laid over each other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.policy.document import MAX_BYTES, Node, join, parse
from auditor.policy.merge import inherited, overlay
from auditor.policy.problems import did_you_mean
from auditor.policy.profiles import PREFIX, profile, profiles

MAX_FILES = 64


@dataclass(slots=True)
class Sources:
    """What was read so far, and what was wrong with it."""

    problems: list[Problem] = field(default_factory=list)
    extends: dict[str, str] = field(default_factory=dict)
    documents: list[Node] = field(default_factory=list)
    sha256: str = ""

    def load(self, path: Path, name: str, extra: Sequence[str] = ()) -> Node | None:
        """Return a policy file with everything it extends laid under it; `extra` profiles come first of all."""
        raw = self.read(path, Location(name), f"no policy file {name}")
        if raw is None:
            return None
        self.sha256 = hashlib.sha256(raw).hexdigest()
        return self.build(raw, name, (_identity(path),), (name,), tuple(f"{PREFIX}{item}" for item in extra))

    def load_text(self, text: str, name: str) -> Node | None:
        """Return a policy given as text, with everything it extends laid under it."""
        raw = text.encode()
        self.sha256 = hashlib.sha256(raw).hexdigest()
        return self.build(raw, name, (name,), (name,))

    def read(self, path: Path, place: Location, missing: str) -> bytes | None:
        """Return the bytes of a regular file of bearable size; None, and a problem, where that cannot be."""
        try:
            if not path.exists():
                self.problems.append(
                    Problem(missing, place, "check the path; auditor policy init writes a first policy")
                )
                return None
            if not path.is_file():
                self.problems.append(Problem(f"{path} is not a file", place, "name the policy file itself"))
                return None
            with path.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self.problems.append(Problem(f"cannot read {path}: {reason}", place, "check the path and its permissions"))
            return None
        if len(raw) > MAX_BYTES:
            self.problems.append(Problem(f"{path} is larger than {MAX_BYTES} bytes", place, "is this the right file?"))
            return None
        return raw

    def build(
        self, raw: bytes, name: str, chain: tuple[str, ...], shown: tuple[str, ...], extra: tuple[str, ...] = ()
    ) -> Node | None:
        """Return one file's tree over the trees it extends."""
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            place = Location(name, raw.count(b"\n", 0, error.start) + 1)
            self.problems.append(Problem("not UTF-8", place, "save the file as UTF-8"))
            return None
        root, problems = parse(text, name)
        self.problems += problems
        if root is None:
            if not problems:
                self.problems.append(Problem("the policy is empty", Location(name, 1, 1), "start with version: 1"))
            return None
        if not isinstance(root.value, dict):
            self.problems.append(Problem("the policy is not a mapping", root.place, "start with version: 1"))
            return None
        self.documents.append(root)
        if len(chain) > 1:
            self._version(root)
        base: Node | None = None
        given = [(Node(item, Location("--profile")), "extends") for item in extra]
        for reference, path in [*given, *self._references(root)]:
            below = self._extended(reference, path, name, chain, shown)
            if below is not None:
                base = overlay(base, inherited(below))
        return overlay(base, root) if base is not None else root

    def _version(self, root: Node) -> None:
        version = root.get("version")
        if version is None:
            self.problems.append(Problem("the policy has no 'version'", root.place, "add version: 1"))
        elif version.value != 1:
            self.problems.append(Problem("the version is not 1", version.place, "write version: 1", "version"))

    def _references(self, root: Node) -> list[tuple[Node, str]]:
        node = root.get("extends")
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, tuple):
            hint = f"write [{node.value}]" if isinstance(node.value, str) else "write [builtin:NAME, file.yaml]"
            self.problems.append(Problem("extends is not a list", node.place, hint, "extends"))
            return []
        return [(item, join("extends", index)) for index, item in enumerate(node.items)]

    def _extended(
        self, node: Node, path: str, name: str, chain: tuple[str, ...], shown: tuple[str, ...]
    ) -> Node | None:
        reference = node.value

        def problem(message: str, hint: str) -> None:
            self.problems.append(Problem(message, node.place, hint, path))

        if not isinstance(reference, str) or not reference:
            problem(f"{reference!r} is no policy", "write builtin:NAME, or a path relative to this file")
            return None
        if reference.startswith(PREFIX):
            return self._profile(reference, chain, shown, problem)
        if "://" in reference or "${" in reference or Path(reference).is_absolute():
            problem(
                f"{reference!r} is not a path relative to this file", "policies extend built-in and local files only"
            )
            return None
        file = os.path.normpath(Path(name).parent / reference)
        if name.startswith(PREFIX):
            problem("a built-in profile extends only built-in profiles", "write builtin:NAME")
            return None
        identity = _identity(Path(file))
        if not self._may_go_on(identity, file, chain, shown, problem):
            return None
        raw = self.read(Path(file), node.place, f"extends a policy that is not there: {file}")
        if raw is None:
            return None
        built = self.build(raw, file, (*chain, identity), (*shown, file))
        self.extends.setdefault(file, hashlib.sha256(raw).hexdigest())
        return built

    def _profile(
        self, reference: str, chain: tuple[str, ...], shown: tuple[str, ...], problem: Callable[[str, str], None]
    ) -> Node | None:
        name, separator, wanted = reference.removeprefix(PREFIX).partition("@")
        found = profile(name)
        if found is None:
            names = [item.name for item in profiles()]
            problem(f"no built-in profile {name!r}", did_you_mean(name, names) or f"known: {', '.join(names)}")
            return None
        if separator and wanted != str(found.version):
            problem(
                f"{PREFIX}{name} is version {found.version} here, not {wanted}",
                "review the profile, then name its version",
            )
            return None
        if not self._may_go_on(f"{PREFIX}{name}", f"{PREFIX}{name}", chain, shown, problem):
            return None
        place = f"{PREFIX}{name}"
        built = self.build(found.path.read_bytes(), place, (*chain, place), (*shown, place))
        self.extends.setdefault(f"{place}@{found.version}", found.sha256)
        return built

    def _may_go_on(
        self,
        identity: str,
        name: str,
        chain: tuple[str, ...],
        shown: tuple[str, ...],
        problem: Callable[[str, str], Any],
    ) -> bool:
        if identity in chain:
            circle = " -> ".join((*shown[chain.index(identity) :], name))
            problem(f"policies extend each other: {circle}", "break the circle")
            return False
        if len(self.documents) >= MAX_FILES:
            problem(f"more than {MAX_FILES} policies are read", "extend fewer files")
            return False
        return True


def _identity(path: Path) -> str:
    return str(path.resolve())
