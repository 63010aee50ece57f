"""The model against 15,000 recorded exchanges of a real Chromium 156, and every case in which it was once wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser_vectors import UNSTABLE, VECTORS, Vector, differences, load, topics

from auditor.browser.profile import CHROMIUM, DEVIATIONS, SPEC, Deviation, Profile

OURS = "our own cases"
RECORDED = topics() if VECTORS.is_dir() else []
recorded = pytest.mark.skipif(not RECORDED, reason="the recorded exchanges are not beside this checkout")


def vectors(topic: str) -> list[Vector]:
    """Read a recorded file, or the cases that the recorder found (`chromium_recorder.py`)."""
    if topic == OURS:
        text = Path(__file__).with_name("chromium_cases.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    return [vector for vector in load(topic) if vector["id"] not in UNSTABLE]


def needed(vector: Vector) -> frozenset[Deviation]:
    """Return a smallest set of deviations with which the text agrees with the recording; none can be left out."""
    if not differences(vector, SPEC):
        return frozenset()
    kept = CHROMIUM.deviations
    for deviation in Deviation:
        fewer = kept - {deviation}
        if not differences(vector, Profile("fewer", fewer)):
            kept = fewer
    return kept


@recorded
def test_all_recordings_are_there() -> None:
    """The recordings are complete: 40 files, 15,423 exchanges."""
    assert len(RECORDED) >= 40
    assert sum(len(load(topic)) for topic in RECORDED) >= 15_423


@pytest.mark.parametrize("topic", [OURS, *RECORDED])
def test_chromium_does_what_the_model_says(topic: str) -> None:
    """Requests, origins, cookies, outcome, readable headers and reason agree in every recording."""
    wrong = {vector["id"]: found for vector in vectors(topic) if (found := differences(vector, CHROMIUM))}
    assert not wrong


@recorded
def test_the_text_differs_exactly_by_the_named_deviations() -> None:
    """A handful of named deviations explains each disagreement of the text, and every one of them is needed somewhere."""
    sets = [needed(vector) for topic in [OURS, *RECORDED] for vector in vectors(topic)]
    assert max(map(len, sets)) <= 2
    assert frozenset().union(*sets) == set(DEVIATIONS) == set(Deviation)
