"""What each layer tells requests apart by, in the words of the request that came in from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auditor.plan.behind import Replacement, from_outside
from auditor.plan.cells import Matcher
from auditor.plan.views import Selection
from auditor.stack import Stack

if TYPE_CHECKING:
    from auditor.traefik import Traefik

Seen = Mapping[str, tuple[Matcher, ...]]
"""What each layer sees, by its id, in the words of the request that it receives."""

Moves = Mapping[str, tuple[Replacement, ...]]
"""The prefixes of paths that each layer replaces, by its id."""

TRAEFIK_KINDS = {
    "host": ("host", "exact", True),
    "host-regex": ("host", "regex", False),
    "path": ("path", "exact", False),
    "path-prefix": ("path", "prefix", False),
    "path-regex": ("path", "regex", False),
    "method": ("method", "exact", False),
    "origin": ("origin", "exact", False),
    "origin-regex": ("origin", "regex", False),
    "query": ("query", "other", False),
    "query-regex": ("query", "other", False),
    "client": ("client", "other", False),
}
"""How a Traefik matcher sees a request: subject, kind, caseless."""


def outermost(order: Sequence[str], seen: Seen, moves: Moves) -> Iterator[Matcher]:
    """Yield what any layer can see of a request, in the words of the request that came in from outside."""
    for index, name in enumerate(order):
        found: tuple[Matcher, ...] = seen.get(name, ())
        for outer in reversed(order[:index]):
            found = tuple(from_outside(found, moves.get(outer, ())))
        yield from found


def by_router(
    traefik: Traefik, stack: Stack, order: Sequence[str], seen: Seen, moves: Moves
) -> tuple[tuple[Matcher, ...], Selection]:
    """Return what each router can see, and what is behind it, and which routers take the requests to a host.

    Routers with the same behind them, reached by the same paths, share what is there.
    """
    from auditor.traefik.selection import Selection as Routers  # noqa: PLC0415 - only where a policy has a traefik target
    from auditor.traefik.selection import behind, served  # noqa: PLC0415 - as above

    found = [*seen.get(order[0], ())]
    ways: dict[str, set[str]] = {}
    known: set[str] = set()
    for router in served(traefik):
        inner = behind(traefik, router, lambda address: stack.layer_at(order[0], address))
        first = min((order.index(name) for name in inner.layers), default=len(order))
        way = f"{' '.join(order[first:])} {inner.replaced}"
        ways.setdefault(router.name, set()).add(way)  # middlewares of an entrypoint make another of it
        if way not in known:
            known.add(way)
            replaced = [Replacement(*pair) for pair in inner.replaced]
            found += [replace(m, scope=way) for m in from_outside(outermost(order[first:], seen, moves), replaced)]
    return tuple(found), Routers.of(traefik, ways)


def of_traefik(traefik: Traefik) -> Iterator[Matcher]:
    """Yield what Traefik's rules and middlewares see; routers that look at nothing but hosts and paths only select."""
    from auditor.traefik.selection import matchers, served  # noqa: PLC0415 - only where a policy has a traefik target

    found = [
        replace(matcher, scope=router.name)
        for router in served(traefik)
        for m in matchers(traefik, router)
        if (matcher := _traefik_matcher(m)) is not None
    ]
    by_path = all(matcher.subject in {"host", "path", "origin"} for matcher in found)
    yield from (replace(matcher, selects=by_path and matcher.subject == "path") for matcher in found)


def _traefik_matcher(found: Any) -> Matcher | None:
    kind, separator, name = found.kind.partition(":")
    if separator:
        return Matcher(
            f"header:{name}", "regex" if kind.endswith("regex") else "exact", found.text, location=found.location
        )
    if kind not in TRAEFIK_KINDS:
        return None
    subject, how, caseless = TRAEFIK_KINDS[kind]
    return Matcher(subject, how, found.text, caseless, found.location)


def of_application(application: Any) -> Iterator[Matcher]:
    """Yield what an application can tell apart: methods and paths of its routes, origins of its CORS middleware."""
    for route in application.routes:
        if (pattern := route.expression()) is not None:
            yield Matcher("path", "regex", f"^{pattern}\\z", location=route.location, selects=True)
    for method in sorted({method for route in application.routes for method in route.methods if method != "*"}):
        yield Matcher("method", "exact", method, location=application.location)
    for cors in application.cors:
        for origin in cors.allow_origins:
            if origin != "*":
                yield Matcher("origin", "exact", origin, location=cors.location)
        if cors.allow_origin_regex:
            yield Matcher("origin", "regex", f"^(?:{cors.allow_origin_regex})\\z", location=cors.location)
