"""Paths that the stack cannot tell apart but by their text: one of them stands for all in what is asked further.

A plain request of every path cell shows which blocks of which files take part in its answer. Where the same blocks
answered, and the path satisfies the same of the other tests that the stack makes on paths, another method, origin or
header meets the same directives too: so they are tried at one path of each such group.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from auditor.exchange import Exchange
from auditor.language import Language
from auditor.plan.cells import Matcher, languages


def tests_of_paths(matchers: Sequence[Matcher]) -> list[Language] | None:
    """Return the sets of paths that more than the choice of a block depends on; None where even that is not enough.

    It is not where a block is chosen by something else that is not regular (a rewritten path).
    """
    if any(m.subject == "path" and m.kind == "other" for m in matchers):
        return None
    return languages([m for m in matchers if not m.selects], "path")


_BY_ENTRY = frozenset({"scheme", "listen", "header:x-forwarded-proto", "header:x-forwarded-port", "header:host"})
"""What a configuration has to look at so that two entries with the same blocks behind them differ."""


def entries_differ(matchers: Iterable[Matcher]) -> bool:
    """Whether the stack looks at the way by which a request came in, beyond choosing a block by it."""
    return any(m.subject in _BY_ENTRY for m in matchers)


_UNTOLD = frozenset({"entryPoint", "route"})
"""Steps that say where a request came in or ended, not what was done with it: an application's middlewares do that."""


def answered_by(exchanges: Iterable[Exchange], through: Hashable | None = None) -> object:
    """Return what took part in an answer: blocks, directives and the makers of headers, and nothing of their values.

    `through` stands for the router that took the request, where that is known to be all that it did.
    """
    untold = _UNTOLD if through is None else _UNTOLD | {"router"}
    return through, tuple(
        (
            exchange.outcome.when,
            exchange.outcome.layer,
            exchange.outcome.server if exchange.outcome.selected is not None else None,
            exchange.outcome.selected,
            exchange.outcome.action.kind,
            exchange.response and exchange.response.status,
            tuple((step.directive, step.location) for step in exchange.outcome.why if step.directive not in untold),
            tuple((line.name, line.made_by) for line in exchange.response.headers) if exchange.response else (),
            tuple(exchange.outcome.unknown),
            tuple((name, setting.location) for name, setting in exchange.outcome.settings.items()),
            tuple((limit.location, limit.key) for limit in exchange.outcome.limits),
            exchange.asked[1:],
        )
        for exchange in exchanges
    )
