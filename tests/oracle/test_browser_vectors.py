"""The model against 15,000 recorded exchanges of a real Chromium 156."""

from __future__ import annotations

import pytest
from browser_vectors import UNSTABLE, VECTORS, differences, load, topics

from auditor.browser import CHROMIUM, DEVIATIONS, SPEC, Deviation

pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="the recorded exchanges are not beside this checkout")

ELSEWHERE = {
    Deviation.ONE_CACHE_ENTRY: "no recorded sequence asks for two methods that no one preflight listed together",
}
"""Deviations whose evidence is drawn by the recorder (test_chromium_fresh.py)."""


@pytest.mark.parametrize("topic", topics())
def test_chromium_does_what_the_model_says(topic: str) -> None:
    """Requests, origins, cookies, outcome, readable headers and reason agree in every recording."""
    wrong = {
        vector["id"]: found
        for vector in load(topic)
        if vector["id"] not in UNSTABLE and (found := differences(vector, CHROMIUM))
    }
    assert not wrong


@pytest.mark.parametrize("topic", topics())
def test_the_text_differs_only_by_named_deviations(topic: str) -> None:
    """Where the specification's profile disagrees with Chromium, undoing one named deviation of Chromium's does too."""
    unexplained = [
        vector["id"]
        for vector in load(topic)
        if vector["id"] not in UNSTABLE and differences(vector, SPEC) and not culprits(vector)
    ]
    assert not unexplained


def test_every_deviation_has_evidence() -> None:
    """Each named deviation is seen in at least one recording, or says where else."""
    seen: set[Deviation] = set()
    for topic in topics():
        for vector in load(topic):
            if vector["id"] not in UNSTABLE and differences(vector, SPEC):
                seen.update(culprits(vector))
    assert seen | ELSEWHERE.keys() == set(DEVIATIONS) == set(Deviation)


def culprits(vector: dict[str, object]) -> list[Deviation]:
    """Name the deviations without which the model would be wrong about a recording."""
    return [deviation for deviation in Deviation if differences(vector, CHROMIUM.without(deviation))]
