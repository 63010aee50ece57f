"""The policy's targets, read: layers that answer, doors that lead to them, and what the files say besides."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from auditor import seen
from auditor.dataclass import dataclass
from auditor.doors.entries import addresses, entries, peer
from auditor.doors.places import Running, names, placed, runs_traefik
from auditor.errors import AuditorError, ConfigurationError, Location, Problem
from auditor.exchange import Layer, Unknown
from auditor.finding import TargetInfo
from auditor.plan.behind import Replacement
from auditor.plan.cells import Matcher
from auditor.plan.facts import ClientVariable, Network, OpenDoor, TlsEntry
from auditor.plan.joint import told_apart
from auditor.plan.steering import Demand, demands
from auditor.plan.views import Selection
from auditor.policy.load import LoadedPolicy
from auditor.policy.model import AsgiTarget, ComposeTarget, EnvTarget, NginxTarget, TraefikTarget
from auditor.stack import Entry, Stack

if TYPE_CHECKING:
    from auditor.compose import Compose, Variable
    from auditor.nginx import Configuration
    from auditor.traefik import Traefik

LATEST_NGINX = "1.31.3"
"""The version of nginx that is modelled where a policy names none."""

ORDER = ("traefik", "nginx", "asgi")
"""How layers follow each other, outermost first, where a policy names none."""


@dataclass(slots=True)
class Assembly:
    """Everything read from the files of a policy's targets; what could not be read is a problem, and the rest goes on."""

    stack: Stack = field(default_factory=lambda: Stack(()))
    entries: tuple[Entry, ...] = ()
    running: tuple[Running, ...] = ()
    composes: tuple[Compose, ...] = ()
    matchers: tuple[Matcher, ...] = ()
    seen: dict[str, tuple[Matcher, ...]] = field(default_factory=dict)
    moves: dict[str, tuple[Replacement, ...]] = field(default_factory=dict)
    selection: Selection | None = None
    steering: tuple[Demand, ...] = ()
    doors: tuple[OpenDoor, ...] | None = None
    networks: tuple[Network, ...] | None = None
    client_variables: tuple[ClientVariable, ...] | None = None
    dashboards: tuple[OpenDoor, ...] | None = None
    tls: tuple[TlsEntry, ...] = ()
    mounts: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    missing: list[tuple[str, Unknown]] = field(default_factory=list)
    targets: list[TargetInfo] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Assembler:
    """Reads the targets of one policy, those named in `only` where any are."""

    loaded: LoadedPolicy
    only: frozenset[str] = frozenset()
    nginx_version: str | None = None

    def assemble(self) -> Assembly:
        """Read every file target of the policy."""
        assembly = Assembly()
        layers: dict[str, tuple[str, Layer]] = {}
        composes: list[Compose] = []
        chosen = [t for t in self.loaded.policy.targets if not self.only or t.id in self.only]
        for target in sorted(chosen, key=lambda t: t.type != "compose"):
            if gone := self._gone(target):
                assembly.failed.add(target.id)
                assembly.targets.append(TargetInfo(target.id, target.type))
                for file in gone:
                    reason = f"there is no file {file}: the target {target.id} was not evaluated"
                    assembly.missing.append((target.id, Unknown(reason, self.loaded.locate(self._path(target.id)))))
                continue
            try:
                layer = self._read(target, assembly, composes)
                if layer is not None:
                    layers[target.id] = (target.type, layer)
            except AuditorError as error:
                assembly.failed.add(target.id)
                assembly.problems += [(target.id, problem) for problem in error.problems]
                assembly.targets.append(TargetInfo(target.id, target.type))
        self._compose_layers(layers, assembly, composes)
        return assembly

    def _read(self, target: Any, assembly: Assembly, composes: list[Compose]) -> Layer | None:
        """Read one target; return its layer if it is one."""
        if isinstance(target, ComposeTarget):
            composes.append(self._compose(target, assembly))
        elif isinstance(target, EnvTarget):
            self._env(target, assembly)
        elif isinstance(target, NginxTarget):
            return self._nginx(target, assembly, composes)
        elif isinstance(target, TraefikTarget):
            return self._traefik(target, assembly, composes)
        elif isinstance(target, AsgiTarget):
            return self._asgi(target, assembly, composes)
        return None

    def _compose_layers(
        self, layers: Mapping[str, tuple[str, Layer]], assembly: Assembly, composes: Sequence[Compose]
    ) -> None:
        policy = self.loaded.policy
        named = [name for name in policy.layers if name in layers]
        order = named or sorted(layers, key=lambda name: ORDER.index(layers[name][0]))
        running = placed({name: layers[name] for name in order}, composes)
        served = [route.served_by for route in policy.routes if route.served_by]
        backends = [*(policy.exposure.backends if policy.exposure else ()), *served]
        assembly.stack = Stack(
            tuple((name, layers[name][1]) for name in order),
            addresses(running, composes, backends),
            {item.id: address for item in running if (address := peer(item, running))},
            {item.id: item.ports for item in running if item.ports},
            names(composes, backends),
        )
        assembly.entries = tuple(entries(assembly.stack, running))
        assembly.running, assembly.composes = running, tuple(composes)
        outermost = layers[order[0]] if order else None
        if outermost and outermost[0] == "traefik" and all(entry.layer == order[0] for entry in assembly.entries):
            traefik = cast("Traefik", outermost[1])
            found = seen.by_router(traefik, assembly.stack, order, assembly.seen, assembly.moves)
            assembly.matchers, assembly.selection = found
        else:
            assembly.matchers = tuple(seen.outermost(order, assembly.seen, assembly.moves))
        assembly.matchers = told_apart(assembly.matchers)
        if [layers[name][0] for name in order] == ["nginx"]:
            from auditor.nginx.selection import Selection as Servers  # noqa: PLC0415 - only where nginx is all there is

            assembly.selection = Servers(cast("Configuration", layers[order[0]][1]))

    def _gone(self, target: Any) -> list[str]:
        """Return the files that a target names and that are not there."""
        if isinstance(target, AsgiTarget) and importable(target):
            return []
        names = [*getattr(target, "files", ()), *((target.static,) if getattr(target, "static", None) else ())]
        return [name for name, path in zip(names, self._paths(target.id, names), strict=True) if not path.is_file()]

    def _path(self, target_id: str) -> str:
        return f"targets[{next(i for i, t in enumerate(self.loaded.policy.targets) if t.id == target_id)}]"

    def _paths(self, target_id: str, names: Sequence[str]) -> list[Path]:
        folder = self.loaded.folder(self._path(target_id))
        return [Path(os.path.normpath(folder / name)) for name in names]

    def _nginx(self, target: NginxTarget, assembly: Assembly, composes: Sequence[Compose]) -> Layer:
        from auditor.nginx import load  # noqa: PLC0415 - only where a policy has an nginx target
        from auditor.nginx.matchers import matchers  # noqa: PLC0415 - as above
        from auditor.nginx.moves import replacements  # noqa: PLC0415 - as above

        files = self._paths(target.id, target.files)
        mounts = {inside: str(self._paths(target.id, [local])[0]) for inside, local in target.mounts.items()}
        if not mounts:
            mounts = _mounts_of(files[0], composes)
        prefix = files[0].parent if target.prefix == "." else self._paths(target.id, [target.prefix])[0]
        version = self.nginx_version or target.version or LATEST_NGINX
        variables = _environment_of(files[0], composes) | {k: str(v) for k, v in target.variables.items()}
        configuration = load(files, prefix=prefix, mounts=mounts, variables=variables, version=version)
        assembly.mounts.update(mounts)
        assembly.problems += [(target.id, problem) for problem in configuration.problems]
        assembly.missing += [(target.id, unknown) for unknown in configuration.missing]
        assembly.targets.append(TargetInfo(target.id, target.type, tuple(configuration.files)))
        assembly.moves[target.id] = tuple(Replacement(*pair) for pair in replacements(configuration))
        assembly.seen[target.id] = tuple(
            Matcher(
                m.subject, m.kind, m.pattern, m.caseless, m.location, m.scope, m.selects, m.table, m.reason, m.parts
            )
            for m in matchers(configuration)
        )
        assembly.tls += tuple(_nginx_tls(target.id, configuration))
        return configuration

    def _traefik(self, target: TraefikTarget, assembly: Assembly, composes: Sequence[Compose]) -> Layer:
        from auditor.traefik import Container, Middleware, load  # noqa: PLC0415 - only where a policy has a traefik target
        from auditor.traefik.rules import conjunctions as router_conjunctions  # noqa: PLC0415 - as above
        from auditor.traefik.selection import replaced, served  # noqa: PLC0415 - as above

        static = self._paths(target.id, [target.static])[0] if target.static else None
        dynamic = [found for path in self._paths(target.id, target.dynamic) for found in _glob(path)]
        flags = () if static is not None else _flags(composes)
        containers = [
            Container(
                f"{service.name}-{compose.project}".strip("-"),
                service.labels,
                service.listening,
                service.name,
                service.location,
            )
            for compose in composes
            for service in compose.services.values()
        ]
        if static is None and not dynamic and not flags:
            place = self.loaded.locate(self._path(target.id))
            reason = f"the target {target.id} names no file, and no Compose file gives Traefik arguments"
            raise ConfigurationError(reason, place, "give static, dynamic or both, or add the Compose file as a target")
        configuration = load(static, dynamic, containers, flags=flags)
        assembly.problems += [(target.id, problem) for problem in configuration.problems]
        assembly.missing += [(target.id, unknown) for unknown in configuration.unknown]
        assembly.targets.append(TargetInfo(target.id, target.type, tuple(configuration.files)))
        assembly.seen[target.id] = tuple(seen.of_traefik(configuration))
        chains = (item for router in served(configuration) for item in configuration.chain(router.middlewares))
        pairs = replaced(item for item in chains if isinstance(item, Middleware))
        assembly.moves[target.id] = tuple(Replacement(*pair) for pair in pairs)
        for router in configuration.routers.values():
            ways = router_conjunctions(router.rule) if router.rule is not None and not router.refused else []
            assembly.steering += tuple(demands(((w.matcher, w.values, w.negated) for w in way) for way in ways))
        assembly.dashboards = tuple(
            OpenDoor(f"the entry point {e.entrypoint}", e.kind, "", e.location, target.id)
            for e in configuration.exposures
            if e.kind in {"api", "dashboard", "rest"} and not e.protected
        )
        assembly.tls += tuple(_traefik_tls(target.id, dynamic))
        return configuration

    def _asgi(self, target: AsgiTarget, assembly: Assembly, composes: Sequence[Compose]) -> Layer:
        from auditor.backend import load  # noqa: PLC0415 - only where a policy has an asgi target

        if importable(target):
            return self._in_process(target, assembly)
        files = self._paths(target.id, target.files)
        environment: dict[str, str] = {}
        for compose in composes:
            for service in compose.services.values():
                if service.build and any(
                    f.resolve().is_relative_to(Path(service.build.context).resolve()) for f in files
                ):
                    values = service.environment.items()
                    environment |= {name: variable.value for name, variable in values if variable.value is not None}
        application = load(files, environment)
        assembly.problems += [(target.id, problem) for problem in application.problems]
        assembly.missing += [(target.id, unknown) for unknown in application.unknown]
        assembly.targets.append(TargetInfo(target.id, target.type, tuple(application.files)))
        assembly.seen[target.id] = tuple(seen.of_application(application))
        return application

    def _in_process(self, target: AsgiTarget, assembly: Assembly) -> Layer:
        """Import an application that the policy names as `module:object`."""
        from auditor.backend.process import InProcess  # noqa: PLC0415 - only where a policy has an asgi target

        place = self.loaded.locate(self._path(target.id))
        application = InProcess(target.files[0], self.loaded.folder(self._path(target.id)))
        try:
            application.load()
        except ConfigurationError as error:
            raise ConfigurationError(error.message, place, error.hint) from None
        assembly.targets.append(TargetInfo(target.id, target.type))
        assembly.seen[target.id] = (
            *(Matcher("origin", kind, text, location=place) for kind, text in application.origins()),
            *(Matcher("method", "exact", text, location=place) for text in application.methods()),
            *(Matcher("path", "regex", text, location=place) for text in application.paths()),
        )
        for name in application.unread():
            reason = f"what {name} of {target.files[0]} tells apart is not known: it is asked, and not read"
            assembly.missing.append((target.id, Unknown(reason, place)))
        return application

    def _compose(self, target: ComposeTarget, assembly: Assembly) -> Compose:
        from auditor.compose import load  # noqa: PLC0415 - only where a policy has a compose target

        env_file = self._paths(target.id, [target.env_file])[0] if target.env_file else None
        compose = load(self._paths(target.id, target.files), target.profiles, env_file)
        assembly.problems += [(target.id, problem) for problem in compose.problems]
        assembly.missing += [(target.id, unknown) for unknown in compose.unknown]
        assembly.targets.append(TargetInfo(target.id, target.type, tuple(compose.files)))
        doors = [
            OpenDoor(door.address, door.leads_to, door.host_ip, door.location, target.id, door.internal, door.dormant)
            for door in compose.doors()
        ]
        assembly.doors = (*(assembly.doors or ()), *doors)
        networks = [
            Network(
                name,
                network.internal,
                network.location,
                {
                    service.name: next((place for n, place in service.networks if n == name), service.location)
                    for service in compose.services.values()
                    if name in compose.attached(service.name)
                },
            )
            for name, network in compose.networks.items()
        ]
        assembly.networks = (*(assembly.networks or ()), *networks)
        built = (
            variable
            for service in compose.services.values()
            for variable in (*(service.build.arguments if service.build else ()), *service.environment.values())
        )
        assembly.client_variables = (*(assembly.client_variables or ()), *_client_variables(built))
        return compose

    def _env(self, target: EnvTarget, assembly: Assembly) -> None:
        from auditor.compose import load_env  # noqa: PLC0415 - only where a policy has an env target

        found = [v for file in self._paths(target.id, target.files) for v in _client_variables(load_env([file]))]
        assembly.client_variables = (*(assembly.client_variables or ()), *found)
        hashes = tuple((str(f), _sha256(f)) for f in self._paths(target.id, target.files))
        assembly.targets.append(TargetInfo(target.id, target.type, hashes))


def _flags(composes: Sequence[Compose]) -> tuple[tuple[str, Location], ...]:
    """Return the arguments of the one service that runs Traefik's image."""
    found = [service.command for _, service in runs_traefik(composes)]
    return found[0] if len(found) == 1 else ()


def _client_variables(variables: Iterable[Variable]) -> Iterator[ClientVariable]:
    """Yield the variables that a browser build carries and that hold an address."""
    from auditor.compose import urls  # noqa: PLC0415 - only where a policy has a compose or env target

    for url in urls(variables):
        port = url.port or {"http": 80, "ws": 80}.get(url.scheme, 443)
        yield ClientVariable(url.variable, url.url, url.location, url.host, str(port))


def importable(target: AsgiTarget) -> bool:
    """Whether a target names an application to import (`module:object`) and no files."""
    return len(target.files) == 1 and re.fullmatch(r"[\w.]+:[\w.]+", target.files[0]) is not None


def _glob(path: Path) -> list[Path]:
    if not any(character in path.name for character in "*?["):
        return [path]
    found = sorted(path.parent.glob(path.name))
    if not found:
        raise ConfigurationError(f"no file matches {path}", hint="check the path in the policy's targets")
    return found


def _nginx_tls(target: str, configuration: Any) -> Iterator[TlsEntry]:
    """Yield each TLS listener of nginx with the lowest version that its default server accepts.

    The default is TLSv1.2 and TLSv1.3 since 1.23.4, TLSv1 and above before (ngx_http_ssl_module).
    """
    for listen in configuration.listens:
        if not listen.ssl or listen.default is None:
            continue
        line = listen.default.last("ssl_protocols")
        recent = tuple(int(part) for part in configuration.version.split(".") if part.isdigit()) >= (1, 23, 4)
        words = line.args if line is not None else (("TLSv1.2",) if recent else ("TLSv1",))
        versions = sorted(word.removeprefix("TLSv") for word in words if word.startswith("TLSv"))
        lowest = {"1": "1.0"}.get(versions[0], versions[0]) if versions else "1.0"
        detail = " ".join(words) if line is not None else f"nginx's default: {' '.join(words)} and above"
        name = f"{target} {listen.address}:{listen.port}"
        yield TlsEntry(name, lowest, detail, line.location if line is not None else None)


def _traefik_tls(target: str, dynamic: Sequence[Path]) -> Iterator[TlsEntry]:
    """Yield the TLS options of Traefik; the default ones accept 1.2 and above (Traefik, TLS options)."""
    from auditor.tree import read  # noqa: PLC0415 - only where a policy has a traefik target

    default = TlsEntry(f"{target} (default options)", "1.2", "Traefik's default: VersionTLS12")
    for file in dynamic:
        try:
            options = read(file).root.get("tls", "options")
        except AuditorError:
            continue
        for name, node in options.children() if options else ():
            lowest = node.get("minVersion")
            text = lowest.text if lowest is not None else "VersionTLS12"
            version = {"VersionTLS10": "1.0", "VersionTLS11": "1.1", "VersionTLS12": "1.2", "VersionTLS13": "1.3"}.get(
                text
            )
            entry = TlsEntry(
                f"{target} (options {name})", version, text, lowest.location if lowest is not None else node.location
            )
            if name == "default":
                default = entry
            else:
                yield entry
    yield default


def _mounts_of(main: Path, composes: Sequence[Any]) -> dict[str, str]:
    """Return what the container that runs this nginx file has mounted, where a Compose file says so."""
    for compose in composes:
        for service in compose.services:
            files = compose.files_in(service)
            if any(Path(source).resolve() == main.resolve() for source in files.values()):
                return dict(files)
    return {}


def _environment_of(main: Path, composes: Sequence[Compose]) -> dict[str, str]:
    """Return what the container that is given this nginx file as a template fills it with, where a Compose file says so."""
    file = main.resolve()
    for compose in composes:
        for name, service in compose.services.items():
            sources = (Path(source).resolve() for to, source in compose.files_in(name).items() if "template" in to)
            if any(source in (file, *file.parents) for source in sources):
                return {key: item.value for key, item in service.environment.items() if item.value is not None}
    return {}


def _sha256(file: Path) -> str:
    import hashlib  # noqa: PLC0415 - only for env files

    return hashlib.sha256(file.read_bytes()).hexdigest()
