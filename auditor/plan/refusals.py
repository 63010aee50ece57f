"""What servers refuse by themselves: requests that any client can send, and whose answers no route makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from auditor.language import Language
from auditor.plan.facts import Probe
from auditor.plan.places import Place

CHILD = "/auditor-no-such-thing"
"""A path segment that nobody has."""

LARGE = 40_000
"""Bytes of a target or header line: more than most servers take (nginx 8 KiB a line; Go's, such as Traefik, take 1 MiB)."""

OVERSIZE = 2 * 1024**2 + 1
"""Bytes of the body that is announced where a limit is at most 2 MiB; none of it is ever sent."""


ESCAPE = "a bad escape"
TARGET = "a target that is too long"
HEADER = "a header that is too large"
METHOD = "an unknown method"
BODY = "a body that is too large"

REFUSALS = frozenset({ESCAPE, TARGET, HEADER, METHOD, BODY})
"""Why such a probe is sent: who refuses it, and with which status, is the choice of the outermost layer that minds."""


def child(place: Place, tail: str, within: Language) -> Place | None:
    """Return the place whose path has this tail, None where it would not be of the route."""
    base = place.path.rstrip("/")
    path = f"{base or '/index'}{tail}" if not tail.startswith("/") else f"{base}{tail}"
    return replace(place, path=path) if within.contains(path) else None


def refusal(below: Place, why: str) -> Probe:
    """Return the request below a place that is refused for one of `REFUSALS`."""
    if why == METHOD:
        return unknown_method(below)
    if why == BODY:
        return oversize(below)
    if why == HEADER:
        probe = below.probe("plain", "GET")
        return replace(probe, request=probe.request.with_(X_Large="x" * LARGE), why=why)
    tail = "/%zz" if why == ESCAPE else "/" + "x" * LARGE
    return replace(replace(below, path=below.path.removesuffix(CHILD) + tail).probe("plain", "GET"), why=why)


def unknown_method(below: Place, method: str = "BREW") -> Probe:
    """Return a request with a method that nothing there takes (405)."""
    return replace(below.probe("plain", method), why=METHOD)


def oversize(below: Place) -> Probe:
    """Return a POST that announces a body over the limit (413) and waits to be asked for it (RFC 9110 §10.1.1)."""
    probe = below.probe("plain", "POST")
    request = probe.request.with_(Content_Length=str(OVERSIZE), Expect="100-continue")
    return replace(probe, request=replace(request, body_length=OVERSIZE), why=BODY)


def dealt(urls: Sequence[Place], whys: Sequence[str], spent: Callable[[Place], int]) -> dict[Place, list[str]]:
    """Deal out what is asked once, each at the URL that takes the fewest requests so far (`spent` before any of these)."""
    hands: dict[Place, list[str]] = {url: [] for url in urls}
    for why in whys if urls else ():
        hands[min(hands, key=lambda url: spent(url) + len(hands[url]))].append(why)
    return hands
