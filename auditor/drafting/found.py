"""What a folder has that an audit can read: nginx, Traefik, Compose, FastAPI and browser builds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from auditor.dataclass import dataclass
from auditor.errors import AuditorError, UsageError

MAX_FILES = 50_000
MAX_DEPTH = 8
MAX_BYTES = 1_000_000

SKIPPED = frozenset(
    {"node_modules", "vendor", "venv", "env", "site-packages", "__pycache__", "dist", "build", "target", "coverage"}
)
"""Folders that hold other people's files or made ones."""

_NGINX_NAME = re.compile(
    r"(\.conf|\.nginx|\.vhost|nginx[^/]*\.(template|tmpl))$|\.conf\.(template|tmpl|dist)$", re.IGNORECASE
)
_NGINX_TEXT = re.compile(r"^\s*(server|http|location\s[^{};]*|upstream\s+\S+)\s*\{", re.MULTILINE)
_NGINX_WORD = re.compile(
    r"\b(listen|proxy_pass|add_header|server_name|root|return|fastcgi_pass)\s(?:[^;{}]|\$\{\w+\})*;"
)
_COMPOSE_NAME = re.compile(r"^(docker-)?compose\.ya?ml$")
_APPLICATION = re.compile(r"^\s*\w+(?::\s*\w+)?\s*=\s*(?:\w+\.)?(FastAPI|Starlette)\(", re.MULTILINE)
_BROWSER_BUILD = re.compile(
    r"^\s*(REACT_APP|VITE|NEXT_PUBLIC|VUE_APP|NUXT_PUBLIC|PUBLIC)_\w+\s*=\s*\S*://", re.MULTILINE
)
_LESS_LIKELY = re.compile(r"dev|local|test|example|sample|old|backup|bak", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """The files of each kind that one policy can be about, main file first; `others`: found too, and not taken."""

    nginx: tuple[Path, ...] = ()
    traefik_static: Path | None = None
    traefik_dynamic: tuple[Path, ...] = ()
    compose: tuple[Path, ...] = ()
    asgi: tuple[Path, ...] = ()
    env: tuple[Path, ...] = ()
    others: tuple[tuple[str, Path], ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that answers requests or opens a door."""
        return not (self.nginx or self.traefik_static or self.traefik_dynamic or self.compose or self.asgi)


def find(folder: Path, nginx: Sequence[Path] = ()) -> Found:
    """Look through a folder and the folders in it; `nginx` names the nginx files instead of looking for them.

    Raises UsageError where a named file is not there.
    """
    for file in nginx:
        if not file.is_file():
            raise UsageError(f"there is no file {file}", hint="name the nginx file to write a policy for")
    files = sorted(_walk(folder), key=_likely)
    others: list[tuple[str, Path]] = []
    mains = tuple(nginx) or _nginx([f for f in files if _NGINX_NAME.search(f.name) and _is_nginx(f)], others)
    static, dynamic = _traefik([f for f in files if f.suffix in {".yml", ".yaml", ".toml"}], others)
    compose = [f for f in files if _COMPOSE_NAME.match(f.name)]
    asgi = [f for f in files if f.suffix == ".py" and _APPLICATION.search(_text(f))]
    env = [f for f in files if f.name in {".env.production", ".env"} and _BROWSER_BUILD.search(_text(f))]
    others += [("compose", f) for f in compose[1:]] + [("asgi", f) for f in asgi[1:]]
    return Found(mains, static, dynamic, tuple(compose[:1]), tuple(asgi[:1]), tuple(env[:1]), tuple(others))


def _walk(folder: Path) -> Iterator[Path]:
    count = 0
    for top, folders, names in os.walk(folder):
        depth = len(Path(top).relative_to(folder).parts)
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED
            and not name.startswith(".")
            and depth < MAX_DEPTH
            and not Path(top, name).is_symlink()
        )
        for name in names:
            count += 1
            if count > MAX_FILES:
                return
            yield Path(top, name)


def _likely(file: Path) -> tuple[bool, bool, int, str]:
    """Put the file that runs in production first: not called dev or test, the nearest, `nginx.conf` before others."""
    words = "/".join(file.parts[-3:])
    unlikely = bool(_LESS_LIKELY.search(words))
    return (unlikely and "prod" not in words.lower(), file.name != "nginx.conf", len(file.parts), str(file))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES or not file.is_file():
            return ""
        return file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _is_nginx(file: Path) -> bool:
    text = _text(file)
    blocks = {found[1].split()[0] for found in _NGINX_TEXT.finditer(text)}
    return "<VirtualHost" not in text and ("http" in blocks or bool(blocks and _NGINX_WORD.search(text)))


def _nginx(files: Sequence[Path], others: list[tuple[str, Path]]) -> tuple[Path, ...]:
    """Choose the main file, or the files of servers that some main file elsewhere includes."""
    from auditor.nginx.syntax import load_tree  # noqa: PLC0415 - only where there is such a file

    trees = {file: load_tree([file]) for file in files}
    included = {Path(name).resolve() for file, tree in trees.items() for name, _ in tree.files if Path(name) != file}
    mains = [file for file in files if trees[file].context == "main"]
    if mains:
        chosen = mains[:1]
        used = {Path(name).resolve() for name, _ in trees[mains[0]].files}
        others += [("nginx", file) for file in mains[1:] if file.resolve() not in used]
        return tuple(chosen)
    for context in ("http", "server", "location"):
        fitting = [file for file in files if trees[file].context == context and file.resolve() not in included]
        if fitting:
            beside = (
                [file for file in fitting if file.parent == fitting[0].parent] if context == "http" else fitting[:1]
            )
            others += [("nginx", file) for file in fitting if file not in beside]
            return tuple(beside)
    return ()


_INSTALLED = re.compile(r"^\s*include\s+[\"']?(/etc/nginx|/usr/local/nginx/conf)/([^;\"'\s]+)", re.MULTILINE)


def installed(files: Sequence[Path]) -> dict[str, Path]:
    """Return where nginx's folder is here, when the main file includes by absolute paths what is beside it."""
    for file in files[:1]:
        for match in _INSTALLED.finditer(_text(file)):
            if not Path(match[1], match[2]).exists() and any(file.parent.glob(match[2])):
                return {match[1]: file.parent}
    return {}


def _traefik(files: Sequence[Path], others: list[tuple[str, Path]]) -> tuple[Path | None, tuple[Path, ...]]:
    from auditor.tree import read  # noqa: PLC0415 - as above

    static: list[Path] = []
    dynamic: list[Path] = []
    for file in files:
        text = _text(file)
        if "entryPoints" not in text and "entrypoints" not in text.lower() and "routers" not in text:
            continue
        try:
            root = read(file).root
        except AuditorError:
            continue
        if root.get("entryPoints") is not None and root.get("services") is None:
            static.append(file)
        elif root.get("http", "routers") is not None or root.get("http", "middlewares") is not None:
            dynamic.append(file)
    others += [("traefik", file) for file in static[1:]]
    folder = static[0].parent if static else (dynamic[0].parent if dynamic else None)
    near = [file for file in dynamic if folder is not None and (folder == file.parent or folder in file.parents)]
    return (static[0] if static else None), tuple(near)
