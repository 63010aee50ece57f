"""Answers given again are those that asking once more would give; routers left out of a question change no answer."""

from __future__ import annotations

import json
import operator
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nginx_compare import as_request
from nginx_strategies import from_seed
from nginx_tree import write
from nginx_upstream import model
from test_traefik_agreement import ask, draw, dynamic, static
from traefik_strategies import ENTRYPOINTS
from traefik_world import written

from auditor.asking import Asking
from auditor.backend.application import Application
from auditor.backend.cors import Cors
from auditor.errors import Location
from auditor.exchange import Field, Headers, Outcome, Request
from auditor.memory import SEALED
from auditor.nginx import load
from auditor.plan.facts import Probe
from auditor.sealed import ReadError, Sealed, longest, look, result_of
from auditor.stack import Entry, Stack
from auditor.traefik import Traefik
from auditor.traefik import load as load_traefik
from auditor.traefik.selection import Selection

ORIGINS = ("https://app.example.com", "http://evil.example", "null", "https://a.b.example.com:8443", "")
PREFLIGHT = ("Access-Control-Request-Method", "Access-Control-Request-Headers")
NAMES = {f"@{name}@": str(20001 + number) for number, name in enumerate(("P1", "P2", "P3", "UP", "UP2", "DOWN"))}


@pytest.mark.parametrize(
    "read",
    [
        lambda value: value in {"x": 1, "y": 2},
        lambda value: value == Sealed("Origin", "x", {}),
        str,
        len,
        list,
        re.compile("x").search,
        lambda value: value.lower(),
        lambda value: value.startswith("x"),
        lambda value: value + "x",
        lambda value: "x" + value,
        lambda value: f"{value}",
        lambda value: f"{value:>4}",
        lambda value: "%s" % value,  # noqa: UP031 - one of the ways to look
        lambda value: str.join(", ", ("x", value)),
        lambda value: sorted([value, "x"]),
        lambda value: value[0],
        lambda value: json.dumps({"a": value}),
    ],
)
def test_nothing_is_made_of_a_sealed_value(read: Callable[[object], object]) -> None:
    """What would make another text of it raises: an error of our own, or the one that C has for what is no text."""
    with pytest.raises((ReadError, TypeError)):
        read(Sealed("Origin", "x", {}))


@pytest.mark.parametrize("text", ["x", "y", "", "xy"])
@pytest.mark.parametrize(
    ("test", "function", "argument"),
    [
        (lambda value: value == "x", operator.eq, "x"),
        (lambda value: value != "x", operator.eq, "x"),
        (lambda value: value in ("z", "y"), operator.eq, "y"),
        (lambda value: "x" in value, operator.contains, "x"),
        (bool, operator.ne, ""),
    ],
)
def test_what_is_tested_of_a_sealed_value_is_kept(
    test: Callable[[object], bool], function: Callable[[object, object], bool], argument: str, text: str
) -> None:
    """A test says of a sealed value what it says of the value, and what it gave can be looked up."""
    results: dict[object, object] = {}
    assert test(Sealed("Origin", text, results)) is test(text)
    assert results["Origin", function, argument] is function(text, argument)


def test_a_seal_may_be_sealed_again() -> None:
    """What a layer tests of a value that was sealed further out is kept there too; a test that raises tells nothing."""
    outer: dict[object, object] = {}
    inner: dict[object, object] = {}
    value = Sealed("X-Origin", Sealed("Origin", "https://a.example", outer), inner)
    assert result_of(str.isascii, value) is True
    assert [(test[0], result) for kept in (outer, inner) for test, result in kept.items()] == [
        ("Origin", True),
        ("X-Origin", True),
    ]
    assert longest(value) == longest(Sealed("Origin", "", outer)) > longest("https://a.example")
    with pytest.raises(ReadError):
        look("x", lambda value, _: int(value), None)


def variants(request: Request) -> list[Request]:
    """Return a request with each origin, and as the preflight of each."""
    base = request.headers.without("Origin", *PREFLIGHT)
    result = []
    for origin in ORIGINS:
        lines = base.plus(Field("Origin", origin))
        asked = lines.plus(Field(PREFLIGHT[0], "PUT"), Field(PREFLIGHT[1], "x-a,x-b"))
        result += [replace(request, headers=lines), replace(request, method="OPTIONS", headers=asked)]
    return result


def compared(stack: Stack, entry: Entry, requests: list[Request], asking: Asking | None = None) -> tuple[int, int]:
    """Ask with memory and without; return how many requests there were, and how many answers were given again."""
    asking = asking or Asking(stack)
    before = sum(memory.given for memory in asking.memories)
    for request in requests:
        probe = Probe("", "plain", request, entry, request.method, request.path, request.host)
        found, known = asking(probe), stack.predict(request, entry)
        assert [e.outcome for e in found] == [e.outcome for e in known], request
        assert found == known, request
    return len(requests), sum(memory.given for memory in asking.memories) - before


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_sealed_answers_of_nginx_are_the_answers(first: int, tmp_path: Path) -> None:
    """Random configurations answer every origin as they do where the origin was sealed."""
    asked = shared = 0
    assert {"Origin", *PREFLIGHT} <= SEALED
    for seed in range(first, first + 20):
        http, requests = from_seed(seed, 4)
        text = write(http, "events {}").text
        for name, value in NAMES.items():
            text = text.replace(name, value)
        (tmp_path / "nginx.conf").write_text(text, "utf-8")
        configuration = load([tmp_path / "nginx.conf"], prefix=tmp_path)

        class Upstream:
            name = "backend"

            @staticmethod
            def answer(request: Request, _ask: object = None) -> tuple[Outcome, ...]:
                return model(request)

        stack = Stack((("nginx", configuration), ("backend", Upstream())))
        for sent in requests:
            request = as_request(sent, NAMES)
            entry = Entry("in", "http", "nginx", request.listen)
            counts = compared(stack, entry, variants(request))
            asked, shared = asked + counts[0], shared + counts[1]
    assert shared > asked / 30, (asked, shared)


def traefik(folder: Path, number: int, count: int) -> tuple[Traefik, list[Request]]:
    """Draw a configuration of many routers, and requests to its hosts."""
    drawn = draw(count, number)
    ports = {name: 21001 + index for index, name in enumerate(ENTRYPOINTS)}
    file = written(folder / "dynamic.yml", dynamic(drawn, 22001, 22002))
    configuration = load_traefik(written(folder / "traefik.yml", static(ports, file)), [file])
    requests = []
    for index, group in enumerate(drawn):
        for sent in json.loads(json.dumps(group.requests).replace("gN", f"g{index:04}")):
            headers = Headers.of([("Host", sent["host"]), *map(tuple, sent["headers"])])
            scheme, listen = "https" if sent["tls"] else "http", f"127.0.0.1:{ports[sent['entrypoint']]}"
            requests.append(Request(sent["method"], sent["target"], headers, scheme, sent["version"], listen=listen))
    return configuration, requests


def test_sealed_answers_of_traefik_are_the_answers(tmp_path: Path) -> None:
    """Random routers and middlewares answer every origin as they do where the origin was sealed."""
    configuration, requests = traefik(tmp_path, 7, 30)

    class Upstream:
        name = "backend"

        @staticmethod
        def answer(request: Request, _ask: object = None) -> tuple[Outcome, ...]:
            return ask(request)

    stack = Stack((("edge", configuration), ("backend", Upstream())))
    asked = shared = 0
    for request in requests:
        counts = compared(stack, Entry("in", request.scheme, "edge", request.listen), variants(request))
        asked, shared = asked + counts[0], shared + counts[1]
    assert shared > asked / 30, (asked, shared)


def test_routers_of_other_hosts_change_no_answer(tmp_path: Path) -> None:
    """Without the routers that cannot take a host's requests, Traefik answers them as before; some are left out."""
    configuration, requests = traefik(tmp_path, 11, 40)
    selection = Selection.of(configuration, {})
    generator = random.Random(11)
    hosts = sorted({request.host for request in requests})
    left = 0
    for request in requests:
        for host in (request.host, generator.choice(hosts)):
            there = replace(request, headers=Headers.of([("Host", host), *request.headers.without("Host").pairs()]))
            names = selection.tables(request.listen, request.scheme, host)
            fewer = {name: router for name, router in configuration.routers.items() if name in names}
            left += len(configuration.routers) - len(fewer)
            alone = replace(configuration, routers=fewer)
            assert alone.answer(there, ask) == configuration.answer(there, ask), there
    assert left > len(requests)


def test_a_router_that_traefik_leaves_out_hides_no_other(tmp_path: Path) -> None:
    """A router whose middleware is not there takes nothing: the one after it is what a host's requests see."""
    routers = {
        "lost": {"rule": "Host(`a.test`)", "service": "up", "middlewares": ["gone"], "priority": 9},
        "there": {"rule": "Host(`a.test`) && PathPrefix(`/api`)", "service": "up", "priority": 5},
        "other": {"rule": "Host(`b.test`)", "service": "up", "priority": 5},
    }
    services = {"up": {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:22001"}]}}}
    file = written(tmp_path / "dynamic.yml", {"http": {"routers": routers, "services": services}})
    points = {"entryPoints": {"web": {"address": ":80"}}, "providers": {"file": {"filename": str(file)}}}
    selection = Selection.of(load_traefik(written(tmp_path / "traefik.yml", points), [file]), {})
    assert selection.tables(":80", "http", "a.test") == {"there@file"}
    assert selection.through(":80", "http", "a.test", "/api") == ("up@file", ())
    assert selection.through(":80", "http", "a.test", "/") == "none takes it"


WORDS = ("$http_origin", "$http_x_forwarded_proto", "$http_x_forwarded_port", "$http_access_control_request_method",
         "$http_access_control_request_headers", "$m1", "$m2", "$m3", "$host", "$scheme", "", "yes", "$1")  # fmt: skip
PATTERNS = (r"~^https://[a-z.]+\.example\.com$", r"~^https?://(.+)\.example", "~*APP", "~b", "https", "http", "443",
            "https://app.example.com", "null", "PUT", '""', r"~^(?<seen>[a-z]+):", "default", "default")  # fmt: skip


def looking(dice: random.Random, folder: Path) -> Path:
    """Write an nginx configuration that looks at what is sealed in every way it can, and passes some of it on."""
    maps = "".join(
        f"map {dice.choice(WORDS[:5] + WORDS[5 : 4 + number])} $m{number} {{"
        + "".join(f'\n "{key.strip(chr(34))}" "{dice.choice(WORDS)}";' for key in {*dice.sample(PATTERNS, 4)})
        + "}\n"
        for number in (1, 2, 3)
    )
    locations = ""
    for path in ("/", "/a", "/b", "/c"):
        lines = [f'add_header X-{number} "{dice.choice(WORDS[:-1])}" always;' for number in range(dice.randrange(3))]
        lines += [f"add_header Access-Control-Allow-Origin {dice.choice(WORDS[:8])};"] * dice.randrange(2)
        for _ in range(dice.randrange(3)):
            subject, pattern = dice.choice(WORDS[:8]), dice.choice(PATTERNS[:4])
            condition = dice.choice((subject, f'{subject} ~ "{pattern.lstrip("~*")}"', f"{subject} = https"))
            doing = dice.choice(("return 403;", f'add_header X-If "{dice.choice(WORDS)}";', 'set $m1 "a$http_origin";'))
            lines.append(f"if ({condition}) {{ {doing} }}")
        passing = f"proxy_set_header X-Seen {dice.choice(WORDS[:8])}; proxy_pass http://127.0.0.1:22001;"
        lines.append(
            dice.choice((passing, passing, 'return 200 "$m2";', "return 301 $http_x_forwarded_proto://$host/;"))
        )
        locations += f"location {path} {{\n {' '.join(lines)} }}\n"
    buffers = dice.choice(("", "", "large_client_header_buffers 2 300;"))
    file = folder / "nginx.conf"
    file.write_text(f"events {{}} http {{ {buffers}\n{maps} server {{ listen 20001;\n{locations} }} }}", "utf-8")
    return file


def edge(dice: random.Random, folder: Path) -> Traefik:
    """Write a Traefik configuration with two doors to nginx; some look at the origin too."""
    options = {"accessControlAllowOriginList": ["https://app.example.com"], "addVaryHeader": True}
    middlewares = {"cors": {"headers": options}, "none": {"headers": {"customResponseHeaders": {"X-E": "e"}}}}
    used = [dice.choice(("cors", "none", "none"))]
    router = {"rule": "PathPrefix(`/`)", "service": "nginx", "middlewares": used}
    routers = {"plain": router | {"entryPoints": ["web"]}, "tls": router | {"entryPoints": ["secure"], "tls": {}}}
    services = {"nginx": {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:20001"}]}}}
    file = written(
        folder / "dynamic.yml", {"http": {"routers": routers, "services": services, "middlewares": middlewares}}
    )
    points = {"web": {"address": ":80"}, "secure": {"address": ":443"}}
    static_file = {"entryPoints": points, "providers": {"file": {"filename": str(file)}}}
    return load_traefik(written(folder / "traefik.yml", static_file), [file])


def application(dice: random.Random) -> Application:
    """Return an application that answers CORS by itself."""
    origins = dice.choice((("*",), ORIGINS[:2], ()))
    names = dice.choice((("*",), ("X-A", "X-B"), ("X-A",)))
    regex = dice.choice((None, r"https://[a-z]\.b\.example\.com:\d+"))
    cors = Cors(Location("main.py", 1), origins, ("GET", "PUT"), names, dice.random() < 0.5, regex)
    return Application((cors,))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_answers_of_a_chain_are_given_again_only_where_they_hold(first: int, tmp_path: Path) -> None:
    """Two doors, an nginx that looks at what a proxy and a page say, an application: all answers are the right ones."""
    asked = shared = 0
    for seed in range(first, first + 20):
        dice = random.Random(seed)
        layers = (
            ("edge", edge(dice, tmp_path)),
            ("nginx", load([looking(dice, tmp_path)])),
            ("app", application(dice)),
        )
        asking = Asking(Stack(layers))
        for path in ("/", "/a", "/b", "/c"):
            for entry in (Entry("web", "http", "edge", ":80"), Entry("secure", "https", "edge", ":443")):
                headers = Headers.of([("Host", "www.example.com")])
                requests = variants(Request("GET", path, headers, entry.scheme))
                counts = compared(asking.stack, entry, requests, asking)
                asked, shared = asked + counts[0], shared + counts[1]
    assert shared > asked / 3, (asked, shared)
