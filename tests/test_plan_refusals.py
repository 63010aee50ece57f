"""What is asked at one URL for many: each refusal once, at the URLs with the most room, and nothing is lost for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import load
from auditor.exchange import Headers, Response
from auditor.options import Options
from auditor.plan.blackbox import BlackBox
from auditor.plan.facts import Probe
from auditor.plan.refusals import ESCAPE, HEADER, METHOD, TARGET
from auditor.policy.model import HttpTarget
from tests.live_field.flaws import policy

PROMISING = ("f75", "s75", "f76", "s76", "f77", "s77", "f78", "s78")
"""URLs of the field that promise a header, and the same one."""

ASKED = sorted([ESCAPE, HEADER, METHOD, TARGET])
LAST_DOT = "https://app.partnerxnet"


def answer(probe: Probe) -> Response:
    """Answer as a server without a flaw does: the allowed origin is let in everywhere, and no other is."""
    origin = probe.request.headers.get("Origin")
    lines = [("Access-Control-Allow-Origin", origin)] if origin and probe.origin.allowed else []
    return Response(404 if "no-such" in probe.path else 200, Headers.of([*lines, ("Vary", "Origin")]))


def asked(folder: Path, *only: str, **changed: Any) -> dict[str, list[Probe]]:
    """Return what is asked of these URLs of the field, by route; `changed` are other keys of a route, by its name."""
    said = policy("api.shop.example", {"web": "https://api.shop.example"}, {}, only=only)
    said["routes"] = [
        {k: v for k, v in (route | changed.get(route["id"], {})).items() if v is not None} for route in said["routes"]
    ]
    (folder / "policy.yaml").write_text(json.dumps(said))
    loaded = load(Options("live", folder / "policy.yaml")).policy
    target = loaded.targets[0]
    assert isinstance(target, HttpTarget)
    rounds = BlackBox(loaded, target, {"web": True}).rounds()
    probes, every = next(rounds), list[Probe]()
    while probes:
        every += probes
        try:
            probes = rounds.send([answer(probe) for probe in probes])
        except StopIteration:
            break
    return {name: [probe for probe in every if probe.route == name] for name in only}


def refused(probes: list[Probe]) -> list[str]:
    """Return the refusals that are asked for among these."""
    return sorted(probe.why for probe in probes if probe.why in ASKED)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8])
def test_each_refusal_is_asked_for_once_whatever_the_number_of_urls(tmp_path: Path, count: int) -> None:
    """They are spread as evenly as can be."""
    found = [refused(probes) for probes in asked(tmp_path, *PROMISING[:count]).values()]
    assert sorted(why for whys in found for why in whys) == ASKED
    assert max(map(len, found)) == -(-len(ASKED) // count)


def test_a_lookalike_gives_way_only_where_another_url_is_asked_with_it(tmp_path: Path) -> None:
    """One URL is asked everything; of many, those with a refusal leave the least telling origin to the others."""
    for count in (1, 4):
        everything = asked(tmp_path, *PROMISING[:count]).values()
        assert all(any(probe.origin.value == LAST_DOT for probe in probes) for probes in everything)
    several = asked(tmp_path, *PROMISING).values()
    assert [LAST_DOT in {probe.origin.value for probe in probes} for probes in several] == [False] * 4 + [True] * 4
    assert {len(probes) for probes in several} == {15}


def test_a_url_without_cors_takes_them_all(tmp_path: Path) -> None:
    """A URL of which nothing but headers is promised costs three requests: it has room."""
    found = asked(tmp_path, *PROMISING[:2], s75={"cors": None})
    assert {name: refused(probes) for name, probes in found.items()} == {"f75": [], "s75": ASKED}


def test_what_has_nothing_below_it_is_left_out(tmp_path: Path) -> None:
    """A route of one path has no path below it at which to ask: the next one with the same promise is asked."""
    found = asked(tmp_path, *PROMISING[:2], f75={"match": [{"paths": ["/f75"]}]})
    assert {name: refused(probes) for name, probes in found.items()} == {"f75": [], "s75": ASKED}


def test_only_urls_with_the_same_promises_stand_in_for_each_other(tmp_path: Path) -> None:
    """A header that one route alone promises would not be looked for at the URLs of another."""
    found = asked(tmp_path, *PROMISING[:2], s75={"headers": {"X-Frame-Options": "DENY"}})
    assert {name: refused(probes) for name, probes in found.items()} == {"f75": ASKED, "s75": []}
