"""Asking a running stack of which nothing is known but its policy: rounds of probes, each chosen by the last answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from auditor.exchange import Exchange, Headers, Request
from auditor.live.client import Client
from auditor.options import LiveOptions
from auditor.plan.blackbox import BlackBox, settled
from auditor.plan.facts import Probe
from auditor.plan.places import HTTP2
from auditor.policy.load import LoadedPolicy


def explore(
    loaded: LoadedPolicy, client: Client, options: LiveOptions, http2: Mapping[str, bool], *, budget: int
) -> list[tuple[Probe, Exchange | None]]:
    """Ask every URL of the policy in rounds; None for what was not sent any more."""
    plan = BlackBox(loaded.policy, client.target, http2)
    rounds = plan.rounds()
    probes = next(rounds, None)
    found: list[tuple[Probe, Exchange | None]] = []
    while probes:
        room = max(budget - client.sent, 0)
        sent = client.send([(probe.entry.name, probe.request) for probe in probes[:room]], progress=options.progress)
        exchanges = [*sent, *([None] * (len(probes) - len(sent)))]
        found += zip(probes, exchanges, strict=True)
        if client.interrupted or room < len(probes):
            break
        try:
            probes = rounds.send([exchange.response if exchange else None for exchange in exchanges])
        except StopIteration:
            break
    marked = settled([(probe, exchange.response if exchange else None) for probe, exchange in found])
    return [(probe, exchange) for probe, (_, exchange) in zip(marked, found, strict=True)]


def planned(loaded: LoadedPolicy, client: Client) -> Iterator[Probe]:
    """Yield every probe that may be sent, whatever the answers: nothing is sent."""
    rounds = BlackBox(loaded.policy, client.target, {}).rounds()
    probes = next(rounds, None)
    while probes:
        yield from probes
        try:
            probes = rounds.send([None] * len(probes))
        except StopIteration:
            return


def http2_of(loaded: LoadedPolicy, client: Client) -> Iterator[tuple[str, bool]]:
    """Say of each https entrypoint whether it speaks HTTP/2: one request each, where a route promises anything."""
    if not any(route.cors or route.headers for route in loaded.policy.routes):
        return
    for name, url in client.target.entrypoints.items():
        parts = urlsplit(url)
        if parts.scheme == "https":
            request = Request(
                "GET", "/", Headers.of([("Host", parts.netloc)]), scheme="https", version=HTTP2, sni=parts.hostname
            )
            (exchange,) = client.send([(name, request)])
            yield name, exchange is not None and exchange.response is not None
