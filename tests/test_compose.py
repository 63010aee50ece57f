"""Compose files: services, doors, networks and variables, each with its place; browser builds that point past the proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.compose import Compose, load, load_env, urls
from auditor.errors import ConfigurationError

SHARED = Path(__file__).parents[1].parent / "shared" / "cases" / "public"
STACK = """\
services:
  edge:
    image: traefik:v3
    ports:
      - "80:80"
      - "443:443"
    networks: [public]
  nginx:
    build: {context: ./web, dockerfile: Dockerfile}
    volumes:
      - ./nginx.conf:/etc/nginx/nginx.conf:ro
    networks: [public, inside]
  qwen-api:
    image: api
    ports:
      - "127.0.0.1:8000:8000"
    environment:
      CORS_ORIGINS: ${CORS:-https://app.example.com}
    networks:
      inside: {aliases: [backend]}
  db:
    image: postgres
    expose: ["5432"]
    networks: [inside]
networks:
  public: {}
  inside: {internal: true}
"""


def _load(folder: Path, text: str = STACK, env: str = "", **others: str) -> Compose:
    (folder / "docker-compose.yml").write_text(text, "utf-8")
    if env:
        (folder / ".env").write_text(env, "utf-8")
    names = ["docker-compose.yml"]
    for name, other in others.items():
        (folder / f"{name}.yml").write_text(other, "utf-8")
        names.append(f"{name}.yml")
    return load([folder / name for name in names])


def test_doors_are_the_published_ports_with_their_lines(tmp_path: Path) -> None:
    """Each published port is a door: where it is dialled, what it leads to, and the line that opens it."""
    text = STACK.replace("    networks:\n      inside: {aliases: [backend]}", "    networks: [public]")
    doors = {door.leads_to: door for door in _load(tmp_path, text).doors()}
    assert sorted(doors) == ["edge:443", "edge:80", "qwen-api:8000"]
    door = doors["qwen-api:8000"]
    assert (door.address, door.protocol, door.internal, door.location.line) == ("127.0.0.1:8000", "tcp", True, 16)
    assert not doors["edge:80"].internal


def test_a_service_on_internal_networks_alone_has_no_door(tmp_path: Path) -> None:
    """Docker publishes nothing for a container whose every network is internal."""
    compose = _load(tmp_path)
    doors = {door.leads_to: door for door in compose.doors()}
    assert doors["qwen-api:8000"].dormant
    assert not doors["edge:443"].dormant
    assert compose.internal("qwen-api")
    assert not compose.internal("nginx")


def test_who_reaches_whom_follows_the_networks(tmp_path: Path) -> None:
    """Services reach each other over a network that both are on."""
    compose = _load(tmp_path)
    assert compose.reaches("edge") == ("nginx",)
    assert set(compose.reaches("nginx")) == {"edge", "qwen-api", "db"}
    found = compose.resolve("backend:8000")
    assert found is not None
    assert found.name == "qwen-api"


def test_the_host_s_network_is_one_door_for_each_port_known(tmp_path: Path) -> None:
    """`network_mode: host` opens what the container listens on; a port that no file names is unknown."""
    text = "services:\n  api:\n    image: x\n    network_mode: host\n    expose: ['8000']\n  other:\n    image: y\n    network_mode: host\n"
    compose = _load(tmp_path, text)
    assert {(door.address, door.location.line) for door in compose.doors()} == {("0.0.0.0:8000", 4), ("0.0.0.0:?", 8)}
    assert any("other" in item.reason for item in compose.unknown)


def test_variables_come_from_env_and_from_outside_but_not_from_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines that read the same files read the same: what nothing sets is listed with its place."""
    monkeypatch.setenv("PORT", "1")
    text = 'services:\n  a:\n    image: x\n    ports: ["${PORT}:80", "${OTHER:-81}:81"]\n    environment: {A: "$$x", B: "${MUST:?set it}"}\n'
    compose = _load(tmp_path, text, env="OTHER=9081\n")
    assert [port.published for port in compose.services["a"].ports] == ["", "9081"]
    assert {(item.name, item.required, item.location.line) for item in compose.unset} == {
        ("PORT", None, 4),
        ("MUST", "set it", 5),
    }
    assert compose.services["a"].environment["A"].value == "$x"
    assert any("set it" in problem.message for problem in compose.problems)
    given = load([tmp_path / "docker-compose.yml"], environment={"PORT": "8080", "MUST": "y"})
    assert given.services["a"].ports[0].published == "8080"
    assert not given.unset
    assert not given.problems


def test_several_files_merge_and_say_where_each_part_is_from(tmp_path: Path) -> None:
    """An override appends ports and replaces values; each port keeps the file and line that wrote it."""
    over = "services:\n  edge:\n    ports: ['8080:8080']\n    image: traefik:v2\n  db:\n    ports: !reset []\n"
    compose = _load(tmp_path, over=over)
    ports = compose.services["edge"].ports
    assert [(port.target, Path(port.location.file).name) for port in ports] == [
        (80, "docker-compose.yml"), (443, "docker-compose.yml"), (8080, "over.yml")
    ]  # fmt: skip
    assert compose.services["edge"].image == "traefik:v2"
    assert len(compose.files) == 2
    assert all(len(digest) == 64 for _, digest in compose.files)


def test_profiles_leave_services_out_until_they_are_asked_for(tmp_path: Path) -> None:
    """A service of a profile is not started by itself."""
    text = "services:\n  a: {image: x}\n  dev: {image: y, profiles: [dev], ports: ['9000:9000']}\n"
    compose = _load(tmp_path, text)
    assert (list(compose.services), compose.disabled) == (["a"], ("dev",))
    assert [door.leads_to for door in load([tmp_path / "docker-compose.yml"], ["dev"]).doors()] == ["dev:9000"]


def test_extends_and_include_bring_in_other_files(tmp_path: Path) -> None:
    """A base in another file, an included file; one that is not there is unknown."""
    (tmp_path / "base.yml").write_text(
        "services:\n  base: {image: b, ports: ['1:1'], environment: {A: '1', B: '1'}}\n", "utf-8"
    )
    (tmp_path / "more.yml").write_text("services:\n  extra: {image: e, ports: ['2:2']}\n", "utf-8")
    text = (
        "include: [more.yml, absent.yml]\nservices:\n  a:\n    extends: {file: base.yml, service: base}\n"
        "    environment: [B=2]\n  loop: {extends: loop, image: x}\n"
    )
    compose = _load(tmp_path, text)
    service = compose.services["a"]
    assert (service.image, {name: variable.value for name, variable in service.environment.items()}) == (
        "b",
        {"A": "1", "B": "2"},
    )
    assert "extra" in compose.services
    assert any("absent.yml" in item.reason for item in compose.unknown)
    assert any("extends itself" in problem.message for problem in compose.problems)


def test_files_inside_a_container_are_found_in_volumes_and_in_the_dockerfile(tmp_path: Path) -> None:
    """What nginx includes by its path in the container leads to a file here; a volume hides what the image has."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "security.conf").write_text("", "utf-8")
    dockerfile = (
        "FROM node AS build\nCOPY . /src\nFROM nginx\nWORKDIR /etc/nginx\nCOPY --chown=nginx security.conf conf.d/\n"
    )
    (tmp_path / "web" / "Dockerfile").write_text(
        dockerfile + 'COPY ["default.conf", "/etc/nginx/nginx.conf"]\nEXPOSE 80/tcp\n', "utf-8"
    )
    compose = _load(tmp_path)
    found = {
        inside: Path(outside).relative_to(tmp_path).as_posix() for inside, outside in compose.files_in("nginx").items()
    }
    assert found == {"/etc/nginx/conf.d/security.conf": "web/security.conf", "/etc/nginx/nginx.conf": "nginx.conf"}
    assert compose.services["nginx"].listening == (80,)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3000", [(3000, "", "")]), ("8000:80", [(80, "8000", "")]), ("127.0.0.1:8000:80", [(80, "8000", "127.0.0.1")]),
        ("[::1]:8000:80", [(80, "8000", "::1")]), ("8000-8001:80-81", [(80, "8000", ""), (81, "8001", "")]),
        ("8000-8005:80", [(80, "8000-8005", "")]), ("127.0.0.1::80", [(80, "", "127.0.0.1")]), ("22:22", [(22, "22", "")]),
    ],
)  # fmt: skip
def test_ports_in_the_short_syntax(text: str, wanted: list[tuple[int, str, str]], tmp_path: Path) -> None:
    """Addresses, ranges and single ports; YAML's sexagesimal numbers do not get in the way."""
    compose = _load(
        tmp_path, f"services:\n  a:\n    image: x\n    ports:\n      - {text if text[0] != '[' else repr(text)}\n"
    )
    assert [(port.target, port.published, port.host_ip) for port in compose.services["a"].ports] == wanted


@pytest.mark.parametrize("text", ["70000:80", "a:b", "80:80:80:80", "1-2:1-3", "1-99999:80", ""])
def test_ports_that_are_none_are_problems(text: str, tmp_path: Path) -> None:
    """A port that Compose would refuse is said with its place."""
    compose = _load(tmp_path, f"services:\n  a:\n    image: x\n    ports: ['{text}']\n")
    assert compose.problems[0].location is not None
    assert compose.problems[0].location.line == 4
    assert not compose.services["a"].ports


def test_a_browser_build_that_points_at_the_backend_is_found(tmp_path: Path) -> None:
    """Addresses in variables that bundlers put into the client, with the line; secrets of the server are not listed."""
    file = tmp_path / ".env.production"
    file.write_text(
        "# build\nREACT_APP_API_URL=http://qwen.example.com:8000/api\nVITE_WS=wss://ws.example.com\nDATABASE_URL=postgres://db\n"
        'NEXT_PUBLIC_NAME="shop"\nVITE_BARE=api.example.com:8000/x\nVITE_RELATIVE=/api\n',
        "utf-8",
    )
    found = {(item.variable, item.scheme, item.host, item.port, item.location.line) for item in urls(load_env([file]))}
    assert found == {
        ("REACT_APP_API_URL", "http", "qwen.example.com", 8000, 2), ("VITE_WS", "wss", "ws.example.com", 0, 3),
        ("VITE_BARE", "", "api.example.com", 8000, 6),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["services: [a]", "services: {a: 3}", "services: {a: {ports: 80}}", "[]", "", "services:\n  a: {environment: 3}", "a: [",
                                  "services: {a: {networks: {x: [1]}, ports: [{target: x}], volumes: [{}], build: {}}}",
                                  "services: {a: {extends: {}}, b: {extends: [1]}}", "include: 3\nservices: {}", "services: {a: {command: \"'\"}}"])  # fmt: skip
def test_no_file_brings_it_down(text: str, tmp_path: Path) -> None:
    """Broken or odd files are errors that a person can read, or problems."""
    try:
        compose = _load(tmp_path, text)
    except ConfigurationError as error:
        assert error.location is not None  # noqa: PT017 - accepting the text is right too
    else:
        compose.doors()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize(
    "path",
    [*sorted(SHARED.glob("compose/*/*.y*ml")), *sorted(SHARED.glob("traefik/*/docker-compose.yml"))],
    ids=lambda p: "/".join(p.parts[-3:-1]),
)
def test_public_files_load(path: Path) -> None:
    """Files as people write them give services and doors with places, or say what is not decided."""
    compose = load([path])
    assert compose.services
    for door in compose.doors():
        assert door.location.line
        compose.reaches(door.service)
    for problem in compose.problems:
        assert problem.location is not None
        assert problem.hint
