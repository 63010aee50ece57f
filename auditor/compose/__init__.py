"""Compose: the services of a stack, the doors that lead into them, and the networks between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from auditor.compose.browser import PREFIXES, ClientUrl, load_env, urls
from auditor.compose.interpolate import Interpolator, Unset, Variable, parse_env
from auditor.compose.merge import merge
from auditor.compose.model import Build, Compose, Door, Mount, Network, Port, Service
from auditor.compose.services import Builder
from auditor.dataclass import dataclass
from auditor.errors import ConfigurationError, Location, Problem
from auditor.exchange import Unknown
from auditor.tree import EMPTY, Document, Node, read

MAX_EXTENDS = 32


def load(
    files: Sequence[Path],
    profiles: Iterable[str] = (),
    env_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Compose:
    """Read Compose files as `docker compose -f … --profile … --env-file …` would.

    Variables come from `environment` (nothing is taken from the process), then from `env_file`, which is `.env`
    beside the first file where none is given. A variable without a value becomes "", and is listed in `unset`.
    Raises ConfigurationError where a file cannot be read or is not YAML.
    """
    if not files:
        raise ConfigurationError("no Compose file is named", None, "list files in the target")
    project = files[0].parent
    loader = _Loader(project)
    loader.variables = loader.read_env(env_file, dict(environment or {}))
    loader.variables.setdefault("COMPOSE_PROJECT_NAME", _project_name(files))
    root = loader.merged(files)
    builder = Builder(project, loader.variables, loader.problems, loader.unknown)
    wanted = frozenset(profiles)
    section = root.get("services")
    services = {name: builder.service(name, node) for name, node in (section.children() if section else ())}
    if not services:
        loader.problems.append(Problem("the files declare no services", root.location, "is this a Compose file?"))
    loader.problems.extend(_missing(item) for item in loader.unset if item.required is not None)
    enabled = {name: found for name, found in services.items() if _enabled(found, wanted)}
    idle = {place for name, node in (section.children() if section else ()) for place in _idle(services[name], node)}
    networks = _networks(root, enabled)
    _check(enabled, networks, builder)
    return Compose(
        services=enabled,
        networks=networks,
        disabled=tuple(name for name in services if name not in enabled),
        problems=tuple(loader.problems),
        unknown=(*builder.unknown, *(_unknown(item) for item in loader.unset if item.location not in idle)),
        unset=tuple(loader.unset),
        files=tuple((document.path, document.sha256) for document in loader.documents.values()),
        project=loader.variables["COMPOSE_PROJECT_NAME"],
    )


_READ = re.compile(r"nginx|openresty|traefik", re.IGNORECASE)
"""Images whose configuration is read here, and may come from their environment."""


def _idle(service: Service, node: Node) -> Iterator[Location]:
    """Yield the lines of an environment that decides nothing here: a database's password, say.

    What is built here may be an application or a front end that is read; other images are not looked into.
    """
    values = node.get("environment")
    if values is None or service.build is not None or not service.image or _READ.search(service.image):
        return
    named = values.children() if values.entries is not None else [(item.text, item) for item in values.sequence()]
    yield from (value.location for name, value in named if not name.startswith(PREFIXES))


def _project_name(files: Sequence[Path]) -> str:
    """Return the project's name as Compose makes it: `name`, else the folder's, in lower case."""
    for path in files:
        named = read(path).root.get("name")
        if named is not None and named.is_scalar and "$" not in named.text:
            return named.text
    return re.sub(r"[^a-z0-9_-]", "", files[0].resolve().parent.name.lower()).lstrip("_-")


def _missing(item: Unset) -> Problem:
    message = f"Compose refuses to start without the variable {item.name}: {item.required}"
    return Problem(message, item.location, "set it in the env_file, or in the environment given")


def _unknown(item: Unset) -> Unknown:
    return Unknown(f"the variable {item.name} has no value in these files", item.location)


def _enabled(service: Service, wanted: frozenset[str]) -> bool:
    return not service.profiles or "*" in wanted or bool(wanted & set(service.profiles))


def _networks(root: Node, services: Mapping[str, Service]) -> dict[str, Network]:
    found: dict[str, Network] = {}
    section = root.get("networks")
    for name, node in section.children() if section else ():
        internal, external = node.get("internal"), node.get("external")
        driver = node.get("driver")
        found[name] = Network(
            name,
            node.place,
            internal is not None and internal.text.lower() == "true",
            external is not None and (external.entries is not None or external.text.lower() == "true"),
            driver.text if driver else "",
        )
    if any(name == "default" for service in services.values() for name, _ in service.networks):
        found.setdefault("default", Network("default", root.location))
    return found


def _check(services: Mapping[str, Service], networks: Mapping[str, Network], builder: Builder) -> None:
    for service in services.values():
        for name, place in service.networks:
            if name not in networks:
                message = f"the service {service.name} is on the network {name}, which is not declared"
                builder.problems.append(Problem(message, place, "declare it under networks"))
        if service.network_mode == "host" and not service.listening:
            reason = f"{service.name} shares the host's network, and which ports it opens is not in these files"
            builder.unknown.append(Unknown(reason, service.network_mode_location))


@dataclass(slots=True)
class _Loader:
    """Reads, interpolates, extends, includes and merges."""

    project: Path
    variables: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    trees: dict[str, Node] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    unset: list[Unset] = field(default_factory=list)

    def read_env(self, path: Path | None, outer: dict[str, str]) -> dict[str, str]:
        """Read the `.env` file under what is given from outside."""
        chosen = path or self.project / ".env"
        try:
            text = chosen.read_text("utf-8", "replace")
        except OSError:
            if path is not None:
                self.problems.append(
                    Problem(f"the env_file {path} is not there", Location(str(path)), "check the path")
                )
            return outer
        variables, problems = parse_env(text, str(chosen), outer)
        self.problems.extend(problems)
        return {item.name: item.value for item in variables if item.value is not None} | outer

    def tree(self, path: Path) -> Node:
        """Return a file's tree with its variables filled in."""
        key = str(path)
        if key not in self.trees:
            document = read(path)
            self.documents[key] = document
            interpolator = Interpolator(self.variables, self.unset, self.problems)
            root = document.root
            if root.entries is None:
                self.problems.append(Problem("this is not a mapping", root.location, "is this a Compose file?"))
                root = EMPTY
            self.trees[key] = interpolator.tree(root)
        return self.trees[key]

    def merged(self, files: Sequence[Path], depth: int = 0) -> Node:
        """Return several files merged, their includes first, each service with what it extends."""
        result: Node | None = None
        for path in files:
            root = self._extended(self.tree(path), path)
            for included in self._includes(root, path, depth):
                result = included if result is None else merge(result, included)
            result = root if result is None else merge(result, root)
        return result or EMPTY

    def _includes(self, root: Node, path: Path, depth: int) -> list[Node]:
        section = root.get("include")
        found: list[Node] = []
        for item in section.sequence() if section else ():
            listed = item if item.is_scalar else item.get("path") or EMPTY
            names = [part.text for part in listed.sequence()] or [listed.text]
            paths = [path.parent / name for name in names if name]
            missing = [inner for inner in paths if not inner.is_file()]
            if missing or depth > MAX_EXTENDS:
                reason = f"the included file {missing[0] if missing else path} is not there"
                self.unknown.append(Unknown(reason, item.location))
                continue
            found.append(self.merged(paths, depth + 1))
        return found

    def _extended(self, root: Node, path: Path) -> Node:
        section = root.get("services")
        if section is None or section.entries is None or root.entries is None:
            return root
        services = {name: self._with_base(name, node, root, path, ()) for name, node in section.children()}
        return replace(root, entries={**root.entries, "services": replace(section, entries=services)})

    def _with_base(self, name: str, node: Node, root: Node, path: Path, seen: tuple[tuple[str, str], ...]) -> Node:
        extends = node.get("extends")
        if extends is None or node.entries is None:
            return node
        own = replace(node, entries={key: child for key, child in node.entries.items() if key != "extends"})
        service = extends.text if extends.is_scalar else (extends.get("service") or EMPTY).text
        file = "" if extends.is_scalar else (extends.get("file") or EMPTY).text
        other = path.parent / file if file else path
        here = (str(path), name)
        if here in seen or len(seen) > MAX_EXTENDS:
            self.problems.append(Problem(f"{name} extends itself", extends.place, "break the circle"))
            return own
        if file and not other.is_file():
            self.unknown.append(Unknown(f"the file {file} that {name} extends is not there", extends.place))
            return own
        other_root = self.tree(other) if file else root
        base = other_root.get("services", service)
        if base is None:
            self.problems.append(
                Problem(f"{name} extends {service}, which does not exist", extends.place, "check the name")
            )
            return own
        base = self._with_base(service, base, other_root, other, (*seen, here))
        return merge(base, own, ("services", name))


__all__ = [
    "Build",
    "ClientUrl",
    "Compose",
    "Door",
    "Mount",
    "Network",
    "Port",
    "Service",
    "Unset",
    "Variable",
    "load",
    "load_env",
    "urls",
]
