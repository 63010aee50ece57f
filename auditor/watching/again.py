"""Witnesses of an earlier run, asked again: what they were is read from its JSON report, what they are now is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from auditor.errors import UsageError
from auditor.exchange import Exchange, Headers, Request
from auditor.live.client import Client
from auditor.options import LiveOptions
from auditor.plan.blackbox import BlackBox
from auditor.plan.cells import origin_kind, origin_policy
from auditor.plan.facts import NO_ORIGIN, Facts, OriginCell, Probe
from auditor.plan.near import STRANGER, named
from auditor.plan.places import Place
from auditor.plan.probes import Planner
from auditor.policy.model import Origin, Route


def again(wanted: str, predicted: Facts, client: Client, options: LiveOptions) -> list[tuple[Probe, Exchange | None]]:
    """Ask the witnesses of a report, and beside each what it is compared with: no Origin, and an allowed one."""
    probes: dict[object, Probe] = {}
    for request in witnesses(wanted):
        for probe in _probes(request, predicted, client):
            probes.setdefault(probe.request.wire, probe)
    if not probes:
        raise UsageError(f"no witness of {wanted} belongs to this target", hint="its entrypoints have other hosts")
    if options.dry_run:
        for line in client.dry_run([(probe.entry.name, probe.request) for probe in probes.values()]):
            options.say(line)
        return []
    sent = client.send([(p.entry.name, p.request) for p in probes.values()], progress=options.progress)
    return list(zip(probes.values(), sent, strict=True))


def witnesses(wanted: str) -> list[Request]:
    """Read the witnesses of `REPORT.json`, or of the finding that `REPORT.json#FINGERPRINT` names (its beginning will do).

    Raises UsageError where the file is no report or has no such witness.
    """
    name, _, fingerprint = wanted.partition("#")
    try:
        report = json.loads(Path(name).read_text("utf-8"))
        results = report["results"]
        found = [
            _request(result["witness"])
            for result in results
            if result["witness"] is not None and result["fingerprint"].startswith(fingerprint)
        ]
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{name} is no JSON report of an audit", hint="auditor live -o json=REPORT.json writes one"
        ) from None
    if not found:
        raise UsageError(
            f"no finding of {name} has a witness"
            + (f" and a fingerprint that begins with {fingerprint}" if fingerprint else "")
        )
    return found


def _request(witness: dict[str, object]) -> Request:
    """Return the request that a report's witness describes."""
    parts = urlsplit(str(witness["url"]))
    pairs = [(str(name), str(value)) for name, value in witness["headers"]]  # type: ignore[attr-defined]
    if all(name.lower() != "host" for name, _ in pairs):
        pairs.insert(0, ("Host", parts.netloc))
    target = str(witness["url"]).partition("://")[2].removeprefix(parts.netloc) or "/"
    secure = parts.scheme == "https"
    version = "2.0" if " --http2 " in str(witness.get("curl", "")) else "1.1"
    return Request(
        str(witness["method"]),
        target,
        Headers.of(pairs),
        scheme=parts.scheme,
        version=version,
        sni=parts.hostname if secure else None,
    )


def _probes(request: Request, predicted: Facts, client: Client) -> Iterator[Probe]:
    """Yield the witness as a probe of its route, and the requests that its answer is compared with."""
    policy = predicted.policy.policy
    entries = BlackBox(policy, client.target, {}).entries()
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    entry = next((e for e in entries if e.scheme == request.scheme and e.host == host), None)
    entry = entry or next((e for e in entries if e.scheme == request.scheme), None)
    if entry is None:
        return
    asked = request.headers.get("Access-Control-Request-Method")
    method = asked if asked is not None and request.method == "OPTIONS" else request.method
    route = policy.route(Planner(policy, entries, ()).owner(host, request.path, method) or "")
    place = Place(route.id if route else "", entry, host, request.path, request.host if request.host != host else "")
    cell = _cell(request, route)
    if (request.headers.get("Upgrade") or "").lower() == "websocket":
        probe = place.upgrade(cell)
    elif asked is not None and request.method == "OPTIONS":
        names = tuple(n.strip() for n in (request.headers.get("Access-Control-Request-Headers") or "").split(",") if n)
        probe = place.preflight(method, names, cell, granted=_granted(route, method, names))
    else:
        probe = place.probe("plain" if cell.value is None else "cors", method, cell)
    yield replace(probe, request=request)
    if route is not None and route.cors is not None and cell.value is not None and asked is None:
        yield place.probe("plain", "GET")
        for value in named(route.cors.allow_origins)[:1] if route.cors.enabled else ():
            yield place.probe("cors", "GET", OriginCell(value, allowed=True, kind="allowed"))


def _cell(request: Request, route: Route | None) -> OriginCell:
    """Return who asks, as the route's policy sees them."""
    value = request.headers.get("Origin")
    if value is None:
        return NO_ORIGIN
    clause = (route.websocket or route.cors) if route is not None else None
    allowed: tuple[Origin, ...] = ()
    if clause is not None and (clause is route.websocket or route.cors.enabled):  # type: ignore[union-attr]
        allowed = clause.allow_origins
    if value == "null":
        return OriginCell(value, allowed=clause is not None and clause.null_origin == "allow", kind="null")
    if origin_policy(allowed).most.contains(value):
        return OriginCell(value, allowed=True, kind="allowed")
    return OriginCell(value, allowed=False, kind=origin_kind(value, named(allowed)), residual=value == STRANGER.value)


def _granted(route: Route | None, method: str, names: tuple[str, ...]) -> bool:
    """Whether the policy allows what a preflight asks for."""
    cors = route.cors if route is not None else None
    if cors is None:
        return False
    listed = {name.lower() for name in cors.allow_headers or names}
    return method in (cors.allow_methods or (method,)) and ("*" in listed or {n.lower() for n in names} <= listed)
