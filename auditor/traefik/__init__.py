"""The Traefik layer: its files, flags and Docker labels, and what it answers to a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from auditor.errors import ConfigurationError, Location, Problem
from auditor.exchange import Unknown
from auditor.traefik import docker, static
from auditor.traefik.dynamic import Reader
from auditor.traefik.layer import Traefik, exposures
from auditor.traefik.model import (
    Container,
    Entrypoint,
    Exposure,
    Matcher,
    Middleware,
    Parts,
    Router,
    Server,
    Service,
    flag_of,
    text_of,
)
from auditor.tree import EMPTY, Document, Node, read

_SUFFIXES = (".yml", ".yaml", ".toml")


def load(
    static_file: Path | None,
    dynamic: Sequence[Path] = (),
    containers: Iterable[Container] = (),
    version: str = "3.x",
    flags: Iterable[tuple[str, Location]] = (),
) -> Traefik:
    """Read a Traefik configuration: the static file or the flags, dynamic files or folders of them, Docker labels.

    `flags` are command-line arguments with their places (from a Compose file's `command`). Containers count where the
    Docker provider is on, and those with labels also where nothing says which providers are.
    Raises ConfigurationError where the static file cannot be read; a dynamic file that cannot be is a problem
    and makes answers unknown.
    """
    given = tuple(flags)
    major = 2 if version.lstrip("v").startswith("2") else 3
    parts = Parts()
    reader = Reader(parts, "v2" if major == 2 else "v3")
    documents: list[Document] = []
    root = EMPTY
    if static_file is not None:
        documents.append(read(static_file))
        root = documents[0].root
    else:
        root, problems = static.from_flags(given)
        reader.problems.extend(problems)
    if text_of(root.get("core", "defaultRuleSyntax")).lower() == "v2":
        reader.syntax = "v2"
    points, problems = static.entrypoints(root)
    reader.problems.extend(problems)
    for path in _files(dynamic, reader):
        document = _read(path, reader)
        if document is not None:
            documents.append(document)
            reader.read(_dynamic(document.root, reader), "file")
    provider = root.get("providers", "docker")
    listed = tuple(containers)
    if provider is None:
        unsaid = static_file is None and not given
        listed = tuple(c for c in listed if unsaid and any(label.startswith("traefik.") for label in c.labels))
    if listed:
        docker.read(reader, listed, provider)
    return _finished(root, points, reader, documents, major)


def _files(dynamic: Sequence[Path], reader: Reader) -> list[Path]:
    found: list[Path] = []
    for path in dynamic:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.suffix in _SUFFIXES and item.is_file())
            found.extend(inside)
            if not inside:
                reader.problems.append(
                    Problem("the folder holds no Traefik file", Location(str(path)), "check the path")
                )
        else:
            found.append(path)
    return found


def _read(path: Path, reader: Reader) -> Document | None:
    try:
        return read(path)
    except ConfigurationError as error:
        reader.problems.extend(error.problems)
        reader.unknown.append(Unknown(f"{path} could not be read: {error.message}", error.location))
        return None


def _dynamic(root: Node, reader: Reader) -> Node:
    """Take Kubernetes resources for what they are: not a dynamic file."""
    if root.get("apiVersion") is not None and root.get("kind") is not None:
        reason = f"a Kubernetes {text_of(root.get('kind'))} is not read by the file provider"
        reader.problems.append(Problem(reason, root.location, "give the file that Traefik's file provider reads"))
        reader.unknown.append(Unknown(reason, root.location))
        return EMPTY
    return root


def _finished(
    root: Node, points: tuple[Entrypoint, ...], reader: Reader, documents: list[Document], major: int
) -> Traefik:
    names = {point.name for point in points}
    for router in reader.parts.routers.values():
        for point in router.entrypoints:
            if point not in names:
                message = f"the router {router.name} names the entrypoint {point}, which does not exist"
                reader.problems.append(Problem(message, router.location, "name one of: " + ", ".join(sorted(names))))
    plugins = root.get("experimental", "plugins")
    if plugins is not None:
        reader.unknown.append(Unknown("plugins are loaded", plugins.place, "plugins"))
    traefik = Traefik(
        entrypoints=points,
        routers=dict(reader.parts.routers),
        middlewares=dict(reader.parts.middlewares),
        services=dict(reader.parts.services),
        streams=tuple(reader.parts.streams),
        problems=tuple(reader.problems),
        unknown=tuple(item for item in reader.unknown if item.concerns != "plugins"),
        files=tuple((document.path, document.sha256) for document in documents),
        version=major,
    )
    return replace(traefik, exposures=exposures(traefik, _always(root)))


def _always(root: Node) -> tuple[tuple[str, str, Location], ...]:
    found: list[tuple[str, str, Location]] = []
    api = root.get("api")
    insecure = root.get("api", "insecure")
    if api is not None and insecure is not None and flag_of(insecure):
        found.append(("api", "traefik", insecure.place))
        if flag_of(api.get("dashboard"), default=True):
            found.append(("dashboard", "traefik", insecure.place))
    for kind, path in (("ping", ("ping",)), ("metrics", ("metrics", "prometheus"))):
        node = root.get(*path)
        if node is not None and not flag_of(node.get("manualRouting")):
            found.append((kind, text_of(node.get("entryPoint"), "traefik"), node.place))
    return tuple(found)


__all__ = [
    "Container",
    "Entrypoint",
    "Exposure",
    "Matcher",
    "Middleware",
    "Router",
    "Server",
    "Service",
    "Traefik",
    "load",
]
