"""What Compose files say: services, the ports they publish, the networks they share, what is mounted where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from auditor.compose.interpolate import Unset, Variable
from auditor.dataclass import dataclass
from auditor.errors import Location, Problem
from auditor.exchange import Unknown


@dataclass(frozen=True, slots=True)
class Port:
    """One published port: `published` is "8000", "8000-8010" (any one of them) or "" (chosen at start).

    `host_ip` "" stands for every address of the host.
    """

    target: int
    published: str
    location: Location
    host_ip: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Mount:
    """One path inside a container and what is there: `source` a path of the host, or a volume's name."""

    target: str
    source: str
    location: Location
    kind: str = "bind"
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """How an image is built: context and Dockerfile as paths of the host; `copies` are its COPY and ADD lines."""

    context: str
    dockerfile: str
    location: Location
    copies: tuple[Mount, ...] = ()
    exposes: tuple[int, ...] = ()
    arguments: tuple[Variable, ...] = ()
    environment: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """One service; `networks` are names as declared, `aliases` every name other services reach it by.

    `addresses` are the fixed ones (`ipv4_address`, `ipv6_address`).
    """

    name: str
    location: Location
    image: str = ""
    build: Build | None = None
    ports: tuple[Port, ...] = ()
    expose: tuple[tuple[int, Location], ...] = ()
    networks: tuple[tuple[str, Location], ...] = ()
    aliases: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    network_mode: str = ""
    network_mode_location: Location | None = None
    environment: Mapping[str, Variable] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, Location]] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    command: tuple[tuple[str, Location], ...] = ()
    profiles: tuple[str, ...] = ()
    privileged: bool = False

    @property
    def listening(self) -> tuple[int, ...]:
        """The container ports that the files name: published, exposed, or EXPOSEd by the Dockerfile."""
        found = [port.target for port in self.ports] + [port for port, _ in self.expose]
        found.extend(self.build.exposes if self.build else ())
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Network:
    """One network; `internal` has no way out or in, `external` is made elsewhere."""

    name: str
    location: Location
    internal: bool = False
    external: bool = False
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """An address of the host that leads into a service's port.

    `address` is "0.0.0.0:8000" as a client would dial it; `port` 0 where only the running host knows.
    `internal`: reachable from the host itself only (bound to loopback).
    `dormant`: Docker opens it only once the service is on a network that is not internal.
    """

    address: str
    protocol: str
    service: str
    port: int
    location: Location
    host_ip: str = ""
    internal: bool = False
    published: str = ""
    dormant: bool = False

    @property
    def leads_to(self) -> str:
        """The upstream address inside: "qwen-api:8000"."""
        return f"{self.service}:{self.port}"


@dataclass(frozen=True, slots=True)
class Compose:
    """A whole Compose project after merging and interpolation; `project` is its name."""

    services: Mapping[str, Service] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    disabled: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    unset: tuple[Unset, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    project: str = ""
    name: str = "compose"

    def doors(self) -> tuple[Door, ...]:
        """Return every address of the host that leads into a service, in the order of the files."""
        return tuple(door for service in self.services.values() for door in _doors(self, service))

    def reaches(self, service: str) -> tuple[str, ...]:
        """Return the services that a service can open connections to: those that share a network with it."""
        mine = self.attached(service)
        return tuple(other for other in self.services if other != service and mine & self.attached(other))

    def attached(self, service: str) -> frozenset[str]:
        """Return the networks that a service is on; the network of another service where it shares that one's."""
        found = self.services.get(service)
        seen: set[str] = set()
        while found is not None and found.network_mode.startswith("service:") and found.name not in seen:
            seen.add(found.name)
            found = self.services.get(found.network_mode.removeprefix("service:"))
        if found is None or found.network_mode in ("host", "none"):
            return frozenset({"\0host"} if found is not None and found.network_mode == "host" else ())
        return frozenset(name for name, _ in found.networks)

    def resolve(self, host: str) -> Service | None:
        """Return the service that a host name inside the networks stands for, None where it is none of them."""
        name = host.rsplit(":", 1)[0] if ":" in host else host
        direct = self.services.get(name)
        return direct or next((service for service in self.services.values() if name in service.aliases), None)

    def internal(self, service: str) -> bool:
        """Whether every network of a service is internal, so that nothing outside Docker reaches it or is reached."""
        attached = self.attached(service)
        known = [self.networks.get(name) for name in attached]
        return bool(attached) and all(network is not None and network.internal for network in known)

    def files_in(self, service: str) -> Mapping[str, str]:
        """Return container path → host path for what is mounted into a service or copied into its image."""
        found = self.services.get(service)
        if found is None:
            return {}
        copied = {mount.target: mount.source for mount in (found.build.copies if found.build else ())}
        return copied | {mount.target: mount.source for mount in found.mounts if mount.kind == "bind"}


def _doors(compose: Compose, service: Service) -> list[Door]:
    if service.network_mode == "host":
        place = service.network_mode_location or service.location
        ports = service.listening or (0,)
        return [
            Door(f"0.0.0.0:{port or '?'}", "tcp", service.name, port, place, "", published=str(port or ""))
            for port in ports
        ]
    doors = []
    for port in service.ports:
        host = port.host_ip or "0.0.0.0"  # noqa: S104 - what Docker binds, not what we bind
        shown = f"[{host}]" if ":" in host else host
        number = port.published or "?"
        loopback = host.startswith("127.") or host in ("::1", "localhost")
        doors.append(
            Door(
                f"{shown}:{number}",
                port.protocol,
                service.name,
                port.target,
                port.location,
                port.host_ip,
                loopback,
                port.published,
                compose.internal(service.name),
            )
        )
    return doors
