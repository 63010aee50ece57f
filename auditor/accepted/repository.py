"""Git beside an audit: the commit that the files are at, and what was already there at a revision."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from auditor.errors import UsageError
from auditor.finding import Finding

TIMEOUT = 120
"""Seconds that one git command may take."""


def root_of(folder: Path) -> Path | None:
    """Return the nearest folder upwards with a `.git`, without asking git."""
    here = folder.resolve()
    return next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), None)


def state(folder: Path, files: Sequence[str]) -> tuple[str, bool] | None:
    """Return the commit of the repository around a folder, and whether any of these files differs from it.

    None outside a repository, before its first commit, or without git.
    """
    root = root_of(folder)
    if root is None:
        return None
    inside = [str(path) for file in files if (path := Path(file).resolve()).is_relative_to(root)]
    try:
        commit = _git(root, "rev-parse", "--verify", "HEAD")
        changed = (
            _git(root, "status", "--porcelain", "--untracked-files=all", "--ignored", "--", *inside) if inside else ""
        )
    except UsageError:
        return None
    return commit, bool(changed)


def author(folder: Path) -> str:
    """Return the address that git would sign commits with here, "" where it has none or is not there."""
    try:
        return _git(folder, "config", "--get", "user.email")
    except UsageError:
        return ""


@contextmanager
def checkout(revision: str, policies: Sequence[Path], others: Sequence[Path]) -> Iterator[tuple[Path, Path, str]]:
    """Put the files of a revision into a temporary folder; yield the repository, its copy there, and the commit.

    The policy (`policies`: its file and what it extends) is today's: the question is what of today's findings was there
    before. Of `others`, the files that were read, those that git ignores (an `.env`) are in no revision and taken as they
    are. Nothing in the repository or its index is touched.
    Raises UsageError where git, the repository or the revision is not there.
    """
    import shutil  # noqa: PLC0415 - only where a revision is asked for
    import tempfile  # noqa: PLC0415 - as above

    start = (policies or others)[0].resolve().parent
    root = Path(_git(start, "rev-parse", "--show-toplevel"))
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="auditor-since-") as folder:
        tree = Path(folder).resolve() / "tree"
        tree.mkdir()
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_LFS_SKIP_SMUDGE": "1"}
        _git(root, "read-tree", commit, environment=index)
        _git(root, "checkout-index", "--all", "--force", f"--prefix={tree}/", environment=index)
        inside = [path.resolve() for path in others if path.resolve().is_relative_to(root)]
        for path in (*(path.resolve() for path in policies), *_ignored(root, inside)):
            if path.is_relative_to(root):
                target = tree / path.relative_to(root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        yield root, tree, commit


def _ignored(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Return those of the paths that git ignores."""
    if not paths:
        return []
    import subprocess  # noqa: PLC0415 - as in _git

    done = subprocess.run(  # noqa: S603 - as in _git
        ["git", "-C", str(root), "check-ignore", "--stdin", "-z"],  # noqa: S607 - the user's git
        input="\0".join(map(str, paths)), capture_output=True, text=True, check=False, timeout=TIMEOUT,
    )  # fmt: skip
    return [Path(name) for name in done.stdout.split("\0") if name]


def _git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    import subprocess  # noqa: PLC0415 - only in a repository

    try:
        done = subprocess.run(  # noqa: S603 - arguments are passed as such, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's git
            capture_output=True, text=True, check=False, timeout=TIMEOUT, env={**os.environ, **(environment or {})},
        )  # fmt: skip
    except FileNotFoundError:
        raise UsageError("--new-since needs git, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git {arguments[0]} took more than {TIMEOUT} s") from None
    if done.returncode:
        what = done.stderr.strip().removeprefix("fatal: ") or f"git does not know {arguments[-1].split('^')[0]!r}"
        hint = "name a commit, branch or tag that is here (a shallow clone in CI has few: fetch-depth: 0)"
        raise UsageError(f"--new-since: {what}", hint=hint)
    return done.stdout.strip()


def already_there(findings: Sequence[Finding], before: Sequence[Finding], name: str) -> tuple[Finding, ...]:
    """Mark the open findings that were there before too."""
    known = {(f.verdict, f.fingerprint) for f in before}
    return tuple(
        replace(finding, disposition="baselined", waiver=f"already there at {name}")
        if finding.disposition == "open" and (finding.verdict, finding.fingerprint) in known
        else finding
        for finding in findings
    )
