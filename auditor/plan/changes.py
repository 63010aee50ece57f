"""One part of a request changed: what the plan varies, one thing at a time or several that decide something together."""

from __future__ import annotations

from dataclasses import replace

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.language import Language

WORDS = {
    "header": "header",
    "cookie": "cookie",
    "arg": "argument",
    "args": "query",
    "method": "method",
    "port": "port",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a request set to a value: a header, a cookie, an argument, the query, the method; or its target as it is written.

    `also` are changes of other parts that are made with it. With a `share`, the value is one by which the hash of a text, put
    together of these parts, lies in it. `at` are the paths where it makes a difference, None for all.
    """

    part: str
    name: str
    value: str
    also: tuple[Change, ...] = ()
    share: tuple[int, int, tuple[str, ...]] | None = None
    at: Language | None = None

    def __call__(self, request: Request) -> Request:
        """Return the request with the part set."""
        changed = self._made(request)
        for change in self.also:
            changed = change(changed)
        return changed

    @property
    def all(self) -> tuple[Change, ...]:
        """Every change that is made of one part."""
        return (self, *self.also)

    def matters(self, path: str) -> bool:
        """Whether it may make a difference at a path."""
        return all(change.at is None or change.at.contains(path) is not False for change in self.all)

    def _made(self, request: Request) -> Request:
        if self.share is not None:
            from auditor.plan.shares import text_of, value_in  # noqa: PLC0415 - only where clients are split

            low, high, parts = self.share
            chosen = replace(self, value=value_in(*text_of(parts, request), low, high), also=(), share=None)
            return chosen(request)
        if self.part == "target":
            return replace(request, target=self.value)
        if self.part == "method":
            return replace(request, method=self.value)
        if self.part == "version":
            return replace(request, version=self.value)
        if self.part == "port":
            return request.with_(Host=f"{request.host.partition(':')[0]}:{self.value}")
        if self.part in {"arg", "args"}:
            mark = "&" if "?" in request.target else "?"
            said = f"{self.name}={self.value}" if self.part == "arg" else self.value
            return replace(request, target=f"{request.target}{mark}{said}")
        if self.part == "cookie":
            before = request.headers.get("Cookie")
            return request.with_(Cookie=f"{before + '; ' if before else ''}{self.name}={self.value}")
        return request.with_(**{self.name.replace("-", "_"): self.value})


def said(change: Change) -> str:
    """Say what a change does."""
    named = f"{WORDS[change.part]} {change.name}".rstrip()
    return f"the {named} to {change.value}"
