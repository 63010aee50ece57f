"""Requests that a router asks for by more than host and path: what they must carry to be taken."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import replace

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.language import Language

MOST = 64
"""Combinations of one rule that are looked at."""

OTHER_METHOD = "PURGE"
"""Stands for every method that a rule excludes none of."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request must carry to be taken: a method, header lines, query arguments, a client's address; "" is any."""

    method: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    client: str = ""

    def __call__(self, request: Request) -> Request:
        """Return a request that carries it."""
        query = "&".join(self.arguments)
        made = replace(
            request,
            method=self.method or request.method,
            target=f"{request.target}?{query}" if query else request.target,
            client=self.client or request.client,
        )
        return made.with_(**{name.replace("-", "_"): value for name, value in self.headers})


def demands(conjunctions: Iterable[Iterable[tuple[str, tuple[str, ...], bool]]]) -> Iterator[Demand]:
    """Yield what each conjunction of Traefik's matchers demands beside host and path: (matcher, values, negated)."""
    for conjunction in conjunctions:
        made = Demand()
        for matcher, values, negated in conjunction:
            made = _with(made, matcher, values, negated=negated)
        if made != Demand():
            yield made


def _with(demand: Demand, matcher: str, values: tuple[str, ...], *, negated: bool) -> Demand:
    if matcher == "Method":
        return replace(demand, method=OTHER_METHOD if negated else values[0])
    if negated:
        return demand
    if matcher in ("Header", "Headers", "HeaderRegexp", "HeadersRegexp") and len(values) == 2:
        value = _sample(values[1]) if matcher.endswith("Regexp") else values[1]
        return demand if value is None else replace(demand, headers=(*demand.headers, (values[0], value)))
    if matcher in ("Query", "QueryRegexp"):
        name, value = (values[0], values[1]) if len(values) == 2 else values[0].partition("=")[::2]
        sample = _sample(value) if matcher.endswith("Regexp") else value
        return demand if sample is None else replace(demand, arguments=(*demand.arguments, f"{name}={sample}"))
    if matcher == "ClientIP":
        network = ipaddress.ip_network(values[0], strict=False)
        return replace(demand, client=str(network[0] if network.num_addresses == 1 else network[1]))
    return demand


def _sample(pattern: str) -> str | None:
    """Return a short text that matches an expression, None where it is not regular."""
    found = Language.regex(pattern).shortest()
    return found.decode("latin-1") if found is not None else None
