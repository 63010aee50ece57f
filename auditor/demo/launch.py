"""The reference stack, running: Traefik, nginx and uvicorn on loopback, as an ordinary user, until the block ends."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from auditor.dataclass import dataclass
from auditor.demo import programs, substitute
from auditor.demo.children import Child, Children, children
from auditor.demo.files import State, write
from auditor.errors import TargetError

HOST = "qwen.example.com"
_LOOPBACK = "127.0.0.1"
_START_LIMIT = 20.0
"""Seconds that the whole stack may take to become healthy."""
_PAUSE = 0.02
"""Seconds between two looks at a program that is not up yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """One running reference stack.

    `entrypoints`: Traefik's doors as loopback URLs ("web", "websecure"; as documented also "dashboard").
    `ports`: loopback ports of web, websecure, dashboard, nginx, backend; a port named in `closed` is reserved
    and refuses connections, because the state publishes no such door. `backend`: where the application listens.
    `resolve`: for an http target, host:port as in the policy to address:port here. `variables`: the same for the
    policy. `policy`: the policy beside the shipped files in `directory`/stack. `files`: name to the copy that runs.
    `ca_file`: the certificate authority, made for this run, that signed the edge's certificate.
    """

    state: State
    directory: Path
    policy: Path
    entrypoints: Mapping[str, str]
    ports: Mapping[str, int]
    closed: frozenset[str]
    backend: str
    resolve: Mapping[str, str]
    variables: Mapping[str, str]
    files: Mapping[str, Path]
    ca_file: Path
    processes: Mapping[str, int]


@contextlib.contextmanager
def running(state: State, workdir: Path, *, prefer_path_binaries: bool = False) -> Iterator[Running]:
    """Run the reference stack of a state below `workdir` (which must not hold one yet) while the block lasts.

    The programs end with the block, with this process, on Ctrl-C, SIGTERM and SIGHUP, and on Linux even when this
    process is killed (call it from a thread that lives as long as the block: the kernel watches the thread).
    TargetError where a program is missing or the stack does not become healthy; UsageError where `workdir` is in use.
    """
    programs.require_backend()
    nginx = programs.nginx(prefer_path=prefer_path_binaries)
    traefik = programs.traefik(prefer_path=prefer_path_binaries)
    with contextlib.ExitStack() as exits:
        ports = _Ports(state)
        exits.callback(ports.release)
        chain = _Chain(state, workdir.resolve(), ports, _backend_address(state, ports, exits), nginx, traefik)
        policy = write(state, chain.workdir, ports.variables())
        _prepare(chain)
        group = exits.enter_context(children())
        _start(group, chain)
        yield _describe(chain, policy, {child.name: child.process.pid for child in group.started})


class _Ports:
    """Free loopback ports, each bound until its program needs it, or for good where nothing may listen."""

    def __init__(self, state: State) -> None:
        """Reserve one port for each door of the stack."""
        self.closed = frozenset({"backend", "dashboard"} if state == "hardened" else ())
        self._sockets = {name: socket.socket() for name in ("web", "websecure", "dashboard", "nginx", "backend")}
        for held in self._sockets.values():
            held.bind((_LOOPBACK, 0))
        self.numbers = {name: int(held.getsockname()[1]) for name, held in self._sockets.items()}

    def free(self) -> None:
        """Let go of the ports that programs are about to take; a closed one stays bound and never listens."""
        for name, held in self._sockets.items():
            if name not in self.closed:
                held.close()

    def release(self) -> None:
        """Let go of all ports."""
        for held in self._sockets.values():
            held.close()

    def variables(self) -> dict[str, str]:
        """Return the policy's variables that say where the doors are."""
        names = {
            "http_port": "web",
            "https_port": "websecure",
            "backend_port": "backend",
            "dashboard_port": "dashboard",
        }
        return {variable: str(self.numbers[name]) for variable, name in names.items()}


@dataclass(frozen=True, slots=True)
class _Chain:
    """What is about to run: programs, ports, the backend's address, and the folder of the files that run."""

    state: State
    workdir: Path
    ports: _Ports
    backend: str
    nginx: Path
    traefik: Path

    @property
    def run(self) -> Path:
        """The folder of the files that run."""
        return self.workdir / "run"


def _backend_address(state: State, ports: _Ports, exits: contextlib.ExitStack) -> str:
    """Return where the backend listens, as nginx writes it.

    As documented, its port is published: loopback TCP. Hardened, it is on a network that only nginx shares: a Unix
    socket in a folder of its own, which no address leads to (short, because socket paths are limited to about 100
    bytes, and without white space, because nginx's `server` takes it unquoted).
    """
    if state == "as-documented":
        return f"{_LOOPBACK}:{ports.numbers['backend']}"
    place = tempfile.gettempdir()
    if len(place) > 60 or len(place.split()) != 1:
        raise TargetError(f"no socket can be made in {place!r}", hint="set TMPDIR to a short path without white space")
    folder = tempfile.mkdtemp(prefix="auditor-", dir=place)
    exits.callback(shutil.rmtree, folder, ignore_errors=True)
    return f"unix:{folder}/backend.sock"


def _prepare(chain: _Chain) -> None:
    """Make the files that run from the shipped ones beside them."""
    stack, run = chain.workdir / "stack", chain.run
    numbers = chain.ports.numbers
    addresses = substitute.Addresses(
        web=numbers["web"],
        websecure=numbers["websecure"],
        dashboard=numbers["dashboard"],
        nginx=numbers["nginx"],
        backend=chain.backend,
    )
    try:
        for folder in ("log", "tmp", "certs"):
            (run / folder).mkdir(parents=True)
        for folder in ("html", "app"):
            shutil.copytree(stack / folder, run / folder)
        for name in _nginx_files(stack):
            text = (stack / name).read_text(encoding="utf-8")
            (run / name).write_text(substitute.nginx(text, addresses), encoding="utf-8")
        for name in ("traefik.yml", "dynamic.yml"):
            text = (stack / name).read_text(encoding="utf-8")
            (run / name).write_text(substitute.traefik(text, addresses), encoding="utf-8")
    except OSError as error:
        raise TargetError(f"the {chain.state} stack cannot be prepared in {run}: {error.strerror}") from error
    _certificate(run / "certs")


def _nginx_files(stack: Path) -> list[str]:
    return sorted(path.name for path in stack.iterdir() if path.suffix in {".conf", ".types"})


def _certificate(folder: Path) -> None:
    """Write a certificate for the host and its subdomains, its key, and the authority made to sign it."""
    try:
        import trustme  # noqa: PLC0415 - only the demo needs it
    except ImportError as error:
        raise TargetError(
            "the reference stack needs trustme, which is not installed", hint="pip install 'edge-auditor[demo]'"
        ) from error
    authority = trustme.CA()
    issued = authority.issue_cert(HOST, f"*.{HOST}", "localhost", _LOOPBACK)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / f"{HOST}.crt"))
    key = folder / f"{HOST}.key"
    key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(str(key))


def _start(group: Children, chain: _Chain) -> None:
    """Start the three programs at once and wait until a request passes all of them."""
    chain.ports.free()
    if chain.backend.startswith("unix:"):
        listen = ["--uds", chain.backend.removeprefix("unix:")]
    else:
        listen = ["--host", _LOOPBACK, "--port", str(chain.ports.numbers["backend"])]
    uvicorn = [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", "app", "--lifespan", "off", *listen]
    uvicorn += ["--log-level", "warning", "--no-access-log", "--timeout-graceful-shutdown", "1"]
    run, log = chain.run, chain.run / "log"
    group.start("backend", uvicorn, cwd=run, log=log / "backend.log")
    group.start("traefik", [str(chain.traefik), "--configFile=traefik.yml"], cwd=run, log=log / "traefik.log")
    # NOTE: nginx's workers outlive a master that is killed; asked to end, it takes them along.
    arguments = ["-p", f"{run}/", "-c", "nginx.prod.conf", "-e", "log/error.log", "-g", "daemon off;"]
    group.start("nginx", [str(chain.nginx), *arguments], cwd=run, log=log / "nginx.log", on_orphan=signal.SIGTERM)
    _wait(group, chain)


def _wait(group: Children, chain: _Chain) -> None:
    """Return once each program answers and the chain does; few requests, because nginx counts them."""
    deadline = time.monotonic() + _START_LIMIT
    context = ssl.create_default_context(cafile=str(chain.run / "certs" / "ca.pem"))
    ports = chain.ports.numbers
    _until(lambda: _connects(chain.backend), "the backend does not listen", group, deadline)
    _until(lambda: _connects(f"{_LOOPBACK}:{ports['nginx']}"), "nginx does not listen", group, deadline)
    _until(lambda: _answers(ports["websecure"], "/health", context), "/health is not 200", group, deadline)
    _until(lambda: _answers(ports["websecure"], "/api/health", context), "/api/health is not 200", group, deadline)
    _until(lambda: _connects(f"{_LOOPBACK}:{ports['web']}"), "Traefik does not listen", group, deadline)


def _until(ready: Callable[[], bool], otherwise: str, group: Children, deadline: float) -> None:
    while not ready():
        ended = next((child for child in group.started if not child.running), None)
        if ended is not None:
            raise TargetError(f"{ended.name} of the reference stack ended at once: {_reason(ended)}", hint=_hint(ended))
        if time.monotonic() > deadline:
            raise TargetError(f"the reference stack is not healthy after {_START_LIMIT:.0f} s: {otherwise}")
        time.sleep(_PAUSE)


def _reason(child: Child) -> str:
    return child.tail() or f"exit status {child.process.returncode}"


def _hint(child: Child) -> str:
    return "another program took the port: try again" if "in use" in child.tail() else ""


def _connects(address: str) -> bool:
    """Whether somebody accepts connections at host:port or unix:path."""
    family = socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET
    host, _, port = address.rpartition(":")
    with socket.socket(family) as attempt:
        attempt.settimeout(1.0)
        try:
            attempt.connect(port if family == socket.AF_UNIX else (host, int(port)))
        except OSError:
            return False
    return True


def _answers(port: int, path: str, context: ssl.SSLContext) -> bool:
    """Whether the edge answers a GET of this path with 200."""
    connection = http.client.HTTPSConnection(_LOOPBACK, port, timeout=2.0, context=context)
    try:
        connection.request("GET", path, headers={"Host": HOST})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _describe(chain: _Chain, policy: Path, processes: Mapping[str, int]) -> Running:
    ports, run, numbers = chain.ports, chain.run, chain.ports.numbers
    entrypoints = {
        "web": f"http://{_LOOPBACK}:{numbers['web']}",
        "websecure": f"https://{_LOOPBACK}:{numbers['websecure']}",
    }
    if "dashboard" not in ports.closed:
        entrypoints["dashboard"] = f"http://{_LOOPBACK}:{numbers['dashboard']}"
    doors = {
        f"{HOST}:80": "web",
        f"{HOST}:443": "websecure",
        f"{HOST}:8000": "backend",
        f"{HOST}:8080": "dashboard",
        f"api.{HOST}:443": "websecure",
    }
    names = [*_nginx_files(chain.workdir / "stack"), "traefik.yml", "dynamic.yml", "app/main.py"]
    return Running(
        state=chain.state,
        directory=chain.workdir,
        policy=policy,
        entrypoints=MappingProxyType(entrypoints),
        ports=MappingProxyType(numbers),
        closed=ports.closed,
        backend=chain.backend,
        resolve=MappingProxyType({door: f"{_LOOPBACK}:{numbers[name]}" for door, name in doors.items()}),
        variables=MappingProxyType(ports.variables()),
        files=MappingProxyType({name: run / name for name in names}),
        ca_file=run / "certs" / "ca.pem",
        processes=MappingProxyType(dict(processes)),
    )
