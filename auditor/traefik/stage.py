"""What every stage of Traefik shares: what it is given besides the request, and how it names itself."""

from __future__ import annotations

from collections.abc import Callable

from auditor.dataclass import dataclass
from auditor.exchange import Outcome, Step
from auditor.traefik.flow import LAYER, Flow, Next
from auditor.traefik.model import Middleware


@dataclass(frozen=True, slots=True)
class Context:
    """What a middleware may need of the rest: the version, how to ask a named service, and the request as it became.

    `latest` is the request as the innermost stage so far saw it: Traefik's stages edit one request in place, but
    some hand a copy on, and `settle` says so.
    """

    version: int
    service: Callable[[str, Flow], tuple[Outcome, ...]]
    latest: Callable[[], Flow]
    settle: Callable[[Flow], None]


Apply = Callable[[Middleware, Flow, Next, Context], tuple[Outcome, ...]]


def step_of(middleware: Middleware, note: str = "") -> Step:
    """Name a middleware as a step of the story."""
    text = f"middleware {middleware.name}" + (f": {note}" if note else "")
    return Step(middleware.kind, middleware.location, text, LAYER)
