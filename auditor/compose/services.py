"""One service of a merged Compose file, from its tree."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from auditor.compose import dockerfile, ports
from auditor.compose.interpolate import Variable, parse_env
from auditor.compose.merge import as_mapping
from auditor.compose.model import Build, Mount, Port, Service
from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Unknown
from auditor.tree import EMPTY, Node


@dataclass(slots=True)
class Builder:
    """Builds services; what is wrong or not decided is collected."""

    project: Path
    variables: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)

    def service(self, name: str, node: Node) -> Service:
        """Build one service."""
        build = self._build(node.get("build"))
        networks = self._networks(node)
        mode = _text(node.get("network_mode"))
        own = [_text(node.get("container_name")), _text(node.get("hostname"))]
        aliases = [alias for _, child in _children(node.get("networks"), "") for alias in _texts(child.get("aliases"))]
        return Service(
            name=name,
            location=node.place,
            image=_text(node.get("image")),
            build=build,
            ports=_distinct(self._ports(node.get("ports"))),
            expose=tuple({port: (port, place) for port, place in self._exposed(node.get("expose"))}.values()),
            networks=networks,
            addresses=tuple(
                text
                for _, child in _children(node.get("networks"), "")
                for key in ("ipv4_address", "ipv6_address")
                if (text := _text(child.get(key)))
            ),
            aliases=tuple(dict.fromkeys(alias for alias in (*own, *aliases) if alias)),
            network_mode=mode,
            network_mode_location=(node.get("network_mode") or node).place if mode else None,
            environment=self._environment(node, build),
            labels=_labels(node),
            mounts=tuple({mount.target: mount for mount in self._mounts(node.get("volumes"))}.values()),
            command=_command(node),
            profiles=tuple(_texts(node.get("profiles"))),
            privileged=_text(node.get("privileged")).lower() == "true",
        )

    def _networks(self, node: Node) -> tuple[tuple[str, Location], ...]:
        if _text(node.get("network_mode")):
            return ()
        listed = tuple((name, child.place) for name, child in _children(node.get("networks"), ""))
        return listed or (("default", node.place),)

    def _ports(self, node: Node | None) -> Iterator[Port]:
        for item in node.sequence() if node is not None else ():
            yield from ports.read(item, self.problems)

    def _exposed(self, node: Node | None) -> Iterator[tuple[int, Location]]:
        for item in node.sequence() if node is not None else ():
            text = item.text.partition("/")[0]
            low, _, high = text.partition("-")
            if low.isdigit() and (high or low).isdigit() and int(high or low) - int(low) < ports.MAX_RANGE:
                yield from ((port, item.location) for port in range(int(low), int(high or low) + 1))
            else:
                self.problems.append(Problem(f"{item.text!r} is not a port", item.location, "write a number"))

    def _build(self, node: Node | None) -> Build | None:
        if node is None or (node.is_scalar and not node.text):
            return None
        context = node.text if node.is_scalar else _text(node.get("context"), ".")
        if "://" in context or context.startswith("git@"):
            return Build(context, "", node.place)
        folder = self.project / context
        written = "" if node.is_scalar else _text(node.get("dockerfile"))
        path = folder / (written or "Dockerfile")
        read = dockerfile.read(path, folder)
        arguments = () if node.is_scalar else tuple(_variables(node.get("args")))
        if read is None:
            return Build(str(folder), str(path), node.place, arguments=arguments)
        return Build(str(folder), str(path), node.place, read.copies, read.exposes, arguments, read.environment)

    def _environment(self, node: Node, build: Build | None) -> dict[str, Variable]:
        found = {variable.name: variable for variable in (build.environment if build else ())}
        files = node.get("env_file")
        items: tuple[Node, ...] = ()
        if files is not None:
            items = (files,) if files.is_scalar else files.sequence()
        for item in items:
            path = _text(item.get("path")) if item.entries is not None else item.text
            optional = item.entries is not None and _text(item.get("required")).lower() == "false"
            found |= self._env_file(self.project / path, path, item.location, optional=optional)
        for variable in _variables(node.get("environment")):
            value = variable.value if variable.value is not None else self.variables.get(variable.name)
            found[variable.name] = Variable(variable.name, value, variable.location)
        return found

    def _env_file(self, path: Path, name: str, place: Location, *, optional: bool) -> dict[str, Variable]:
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            if not optional:
                self.unknown.append(Unknown(f"the env_file {name} is not there, so its variables are not known", place))
            return {}
        variables, problems = parse_env(text, str(path), self.variables)
        self.problems.extend(problems)
        return {variable.name: variable for variable in variables}

    def _mounts(self, node: Node | None) -> Iterator[Mount]:
        for item in node.sequence() if node is not None else ():
            if item.entries is not None:
                kind = _text(item.get("type"), "volume")
                source = _text(item.get("source"))
                made = str(self.project / source) if kind == "bind" and source else source
                read_only = _text(item.get("read_only")).lower() == "true"
                yield Mount(_clean(_text(item.get("target"))), made, item.location, kind, read_only)
            else:
                yield self._short_mount(item)

    def _short_mount(self, item: Node) -> Mount:
        parts = item.text.split(":")
        if len(parts) == 1:
            return Mount(_clean(parts[0]), "", item.location, "volume")
        source, target = parts[0], _clean(parts[1])
        options = parts[2].split(",") if len(parts) > 2 else []
        if source.startswith((".", "/", "~")):
            path = Path(source).expanduser() if source.startswith("~") else self.project / source
            return Mount(target, str(path), item.location, "bind", "ro" in options)
        return Mount(target, source, item.location, "volume", "ro" in options)


def _clean(path: str) -> str:
    return posixpath.normpath(path) if path else path


def _distinct(found: Iterator[Port]) -> tuple[Port, ...]:
    kept: dict[tuple[object, ...], Port] = {}
    for port in found:
        kept.setdefault((port.target, port.published, port.host_ip, port.protocol), port)
    return tuple(kept.values())


def _text(node: Node | None, default: str = "") -> str:
    return node.text if node is not None and node.is_scalar and node.text else default


def _texts(node: Node | None) -> list[str]:
    if node is None:
        return []
    return [item.text for item in node.sequence()] or ([node.text] if node.is_scalar and node.text else [])


def _children(node: Node | None, separator: str) -> list[tuple[str, Node]]:
    return list(as_mapping(node or EMPTY, separator).children())


def _variables(node: Node | None) -> Iterator[Variable]:
    for name, child in _children(node, "="):
        yield Variable(name, None if child.scalar is None and not child.quoted else child.text, child.place)


def _labels(node: Node) -> dict[str, tuple[str, Location]]:
    found: dict[str, tuple[str, Location]] = {}
    for source in (node.get("labels"),):
        found |= {name: (child.text, child.place) for name, child in _children(source, "=")}
    return found


def _command(node: Node) -> tuple[tuple[str, Location], ...]:
    command = node.get("command")
    if command is None:
        return ()
    if command.items is not None:
        return tuple((item.text, item.location) for item in command.sequence())
    try:
        words = shlex.split(command.text)
    except ValueError:
        words = command.text.split()
    return tuple((word, command.location) for word in words)
