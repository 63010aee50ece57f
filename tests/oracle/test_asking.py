"""Answers made with a value sealed are those made with the value; routers left out of a question change no answer."""

from __future__ import annotations

import json
import random
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

from auditor.asking import Asking, ReadError, Sealed
from auditor.exchange import Field, Headers, Outcome, Request
from auditor.nginx import load
from auditor.plan.facts import Probe
from auditor.stack import Entry, Stack
from auditor.traefik import Traefik
from auditor.traefik import load as load_traefik
from auditor.traefik.selection import Selection

ORIGINS = ("https://app.example.com", "http://evil.example", "null", "https://a.b.example.com:8443", "")
SEALED = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")
NAMES = {f"@{name}@": str(20001 + number) for number, name in enumerate(("P1", "P2", "P3", "UP", "UP2", "DOWN"))}


@pytest.mark.parametrize(
    "look",
    [
        lambda value: value == "x",
        lambda value: value != "x",
        lambda value: value in {"x": 1, "y": 2},
        lambda value: "x" in value,
        bool,
        str,
        list,
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
def test_nothing_looks_at_a_sealed_value(look: Callable[[object], object]) -> None:
    """Whatever would depend on the text raises: an error of our own, or the one that C has for what is no text."""
    with pytest.raises((ReadError, TypeError)):
        look(Sealed("Origin"))


def variants(request: Request) -> list[Request]:
    """Return a request with each origin, and as the preflight of each."""
    base = request.headers.without(*SEALED)
    result = []
    for origin in ORIGINS:
        lines = base.plus(Field("Origin", origin))
        asked = lines.plus(Field(SEALED[1], "PUT"), Field(SEALED[2], "x-a,x-b"))
        result += [replace(request, headers=lines), replace(request, method="OPTIONS", headers=asked)]
    return result


def compared(stack: Stack, entry: Entry, requests: list[Request]) -> tuple[int, int]:
    """Ask with sealed values and without; return how many requests there were, and how many answers were shared."""
    asking = Asking(stack)
    for request in requests:
        probe = Probe("", "plain", request, entry, request.method, request.path, request.host)
        found, known = asking(probe), stack.predict(request, entry)
        assert [e.outcome for e in found] == [e.outcome for e in known], request
        assert found == known, request
    shared = sum(found is not None for found in asking.sealed.values())
    return len(requests), shared


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_sealed_answers_of_nginx_are_the_answers(first: int, tmp_path: Path) -> None:
    """Random configurations answer every origin as they do where the origin was sealed."""
    asked = shared = 0
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
