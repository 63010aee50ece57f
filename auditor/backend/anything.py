"""The backend that nobody described: it may succeed or fail with any headers, or not answer at all."""

from __future__ import annotations

from auditor.dataclass import dataclass
from auditor.exchange import Action, Ask, Outcome, Request, Response

LAYER = "backend"


@dataclass(frozen=True, slots=True)
class AnyBackend:
    """A backend of which only the address is known; what it adds is left open (`further_headers`)."""

    name: str = LAYER

    def answer(self, request: Request, ask: Ask | None = None) -> tuple[Outcome, ...]:  # noqa: ARG002
        """Return a success, an error and no answer, each with any headers."""
        url = f"{request.scheme}://{request.listen}{request.target}" if request.listen else None
        action = Action("application", url)
        return (
            Outcome("upstream-success", Response(200, further_headers=True), action, layer=LAYER),
            Outcome("upstream-error", Response(500, further_headers=True), action, layer=LAYER),
            Outcome("upstream-down", None, Action("close"), layer=LAYER),
        )
