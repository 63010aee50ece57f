"""Where layers run, and what the names and addresses of containers stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.dataclass import dataclass

if TYPE_CHECKING:
    from auditor.compose import Compose, Service

_IMAGES = {"traefik": ("traefik",), "nginx": ("nginx", "openresty", "angie", "freenginx"), "asgi": ()}


@dataclass(frozen=True, slots=True)
class Running:
    """One layer of a policy, and the Compose service that runs it where the files say so."""

    id: str
    kind: str
    layer: Any
    compose: Compose | None = None
    service: str = ""

    @property
    def ports(self) -> frozenset[int]:
        """The TCP ports that the layer answers HTTP on."""
        if self.kind == "traefik":
            return frozenset(point.port for point in self.layer.entrypoints if point.protocol == "tcp")
        if self.kind == "nginx":
            return frozenset(listen.port for listen in self.layer.listens)
        return frozenset()


def placed(layers: Mapping[str, tuple[str, Any]], composes: Sequence[Compose]) -> tuple[Running, ...]:
    """Find the service that runs each layer: the one that has the layer's files mounted or built in, or Traefik's image."""
    return tuple(_placed(name, kind, layer, composes) for name, (kind, layer) in layers.items())


def _placed(name: str, kind: str, layer: Any, composes: Sequence[Compose]) -> Running:
    files = [Path(file).resolve() for file, _ in layer.files]
    best: tuple[int, Compose | None, str] = (0, None, "")
    rivals = 0
    for compose in composes:
        for service in compose.services.values():
            score = _score(kind, files, compose, service)
            if score > best[0]:
                best, rivals = (score, compose, service.name), 0
            elif score and score == best[0]:
                rivals += 1
    if not best[0] or (rivals and best[0] <= _ONLY_IMAGE):
        return Running(name, kind, layer)
    return Running(name, kind, layer, best[1], best[2])


_ONLY_IMAGE = 1


def _score(kind: str, files: Sequence[Path], compose: Compose, service: Service) -> int:
    """Say how surely a service runs a layer: 0 not at all, 1 by its image alone, more by the files it has."""
    right_image = image_of(service) in _IMAGES[kind]
    if kind == "asgi":
        built = service.build
        return 2 if built and any(file.is_relative_to(Path(built.context).resolve()) for file in files) else 0
    sources = [Path(source).resolve() for source in compose.files_in(service.name).values()]
    exact = any(file in sources for file in files)
    inside = any(file.is_relative_to(source) for file in files for source in sources)
    only_image = _ONLY_IMAGE if right_image and kind == "traefik" else 0
    return max(only_image, 4 + right_image if exact else 2 + right_image if inside else 0)


def image_of(service: Service) -> str:
    """Return the last part of a service's image without tag: "nginx" of "docker.io/library/nginx:1.31-alpine"."""
    return re.split(r"[:@]", service.image.rpartition("/")[2])[0].lower()


def runs_traefik(composes: Iterable[Compose]) -> Iterator[tuple[Compose, Service]]:
    """Yield the services that run Traefik's own image."""
    for compose in composes:
        yield from ((compose, service) for service in compose.services.values() if image_of(service) == "traefik")


def names(composes: Iterable[Compose], backends: Iterable[str]) -> dict[str, str]:
    """Map every name and fixed address of a container to its service, and each backend's address to how the policy has it.

    A service that shares another one's network (`network_mode: service:X`) answers at X's names too.
    """
    same: dict[str, str] = {}
    shared: dict[str, list[str]] = {}
    for compose in composes:
        for service in compose.services.values():
            for name in (*service.aliases, *service.addresses):
                if name not in compose.services:
                    same[name] = service.name
            mode = service.network_mode
            if mode.startswith("service:"):
                shared.setdefault(service.name, []).append(mode.removeprefix("service:"))
    for backend in backends:
        host, port = split(backend)
        service_name = same.get(host, host)
        for home in (service_name, *shared.get(service_name, ())):
            if f"{home}:{port}" != backend:
                same[f"{home}:{port}"] = backend
    return same


def split(address: str) -> tuple[str, str]:
    """Split "host:port"; brackets of an IPv6 address are taken off, and the port is "" where there is none."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
        host, port = address, ""
    return host.strip("[]"), port
