"""The story of one request, as an nginx expert would tell it: what was chosen, what ran, which line made what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Outcome, Request, Step
from auditor.nginx.evaluate import Configuration

DENIALS = ("is not ", "does not ", "is never ", "are not ")
"""How the notes begin that say what a line does not do."""
_WHEN = {
    "always": "whatever happens",
    "upstream-success": "when the upstream answers well",
    "upstream-error": "when the upstream answers with an error",
    "upstream-down": "when the upstream does not answer",
    "limited": "when the client is over the limit",
    "file-found": "when the file is there",
    "file-missing": "when the file is not there",
    "directory-found": "when there is a directory",
    "password-right": "with the right password",
    "password-wrong": "with a wrong password",
    "not-modified": "when the client's copy is still good",
}
WIDTH = 34


def tell(configuration: Configuration, request: Request) -> str:
    """Tell what a configuration makes of a request: every outcome, with the lines that made it."""
    outcomes = configuration.answer(request, explain=True)
    lines = [f"{request.method} {request.url}", *(f"  {line.name}: {line.value}" for line in request.headers), ""]
    shared = _shared([outcome.why for outcome in outcomes])
    if len(outcomes) > 1 and shared:
        lines += [f"Up to where {_number(len(outcomes))} outcomes part:", *_steps(shared), ""]
    for number, outcome in enumerate(outcomes, 1):
        rest = outcome.why[len(shared) :] if len(outcomes) > 1 else outcome.why
        heading = f"Outcome {number} of {len(outcomes)}, {_case(outcome.when)}: " if len(outcomes) > 1 else ""
        lines += [f"{heading}{_verdict(outcome)}", *_outcome(outcome, rest), ""]
    return "\n".join(line.replace(UNKNOWN_VALUE, "…") for line in lines).rstrip() + "\n"


def _shared(steps: Sequence[tuple[Step, ...]]) -> tuple[Step, ...]:
    """Return the steps with which every outcome begins."""
    if not steps:
        return ()
    first = steps[0]
    size = 0
    while size < len(first) and all(size < len(other) and other[size] == first[size] for other in steps):
        size += 1
    return first[:size]


def _number(count: int) -> str:
    return ("no", "one", "two", "three", "four", "five", "six")[count] if count < 7 else str(count)


def _case(when: str) -> str:
    return ", ".join(_WHEN.get(word, word) for word in when.split("+"))


def _verdict(outcome: Outcome) -> str:
    """Return the first line of an outcome."""
    response = outcome.response
    if response is None:
        return "the connection is closed without an answer"
    place = f"location {outcome.location}" if outcome.location else "the server block"
    by = {
        "proxy": f"from {outcome.action.upstream}",
        "static": f"from {outcome.action.file}" if outcome.action.file else "from a file",
        "return": "by a return",
        "redirect": "a redirect",
        "deny": "refused",
        "error": "nginx's own page or an error page",
    }.get(outcome.action.kind, outcome.action.kind)
    status = "a status nobody can tell" if response.status is None else str(response.status)
    return f"{status}, {by}, in {place}"


def _outcome(outcome: Outcome, steps: Sequence[Step]) -> Iterator[str]:
    """Tell the rest of one outcome: its steps, its headers, what reached the upstream, what did not apply."""
    yield from _steps([step for step in steps if not step.note.startswith(DENIALS)])
    if outcome.upstream_request is not None:
        asked = outcome.upstream_request
        yield f"  The upstream {asked.listen} receives:"
        yield f"    {asked.method} {asked.target} HTTP/{asked.version}"
        for line in asked.headers:
            yield f"    {line.name}: {line.value}"
    if outcome.response is not None:
        yield "  The client receives:"
        for line in outcome.response.headers:
            yield f"    {_padded(f'{line.name}: {line.value}', 60)}  {_maker(line.made_by, line.layer)}"
        if outcome.response.further_headers:
            yield "    and whatever else the upstream sends" + _absent(outcome)
    if outcome.limits:
        yield "  Counted by:"
        for limit in outcome.limits:
            rate = f"{limit.rate:g} requests/s" if limit.kind == "requests" else "connections"
            dry = ", dry run: never refused" if limit.dry_run else ""
            yield f"    zone {limit.zone} by {limit.key}: {rate}, burst {limit.burst}, else {limit.status}{dry}"
    denied = [step for step in steps if step.note.startswith(DENIALS)]
    if denied:
        yield "  Looks as if it applied, but does not:"
        yield from _steps(denied)
    for unknown in outcome.unknown:
        where = f" ({unknown.location})" if unknown.location else ""
        yield f"  Not decided, {unknown.concerns}: {unknown.reason}{where}"


def _absent(outcome: Outcome) -> str:
    response = outcome.response
    names = sorted(response.absent) if response is not None else []
    return f", except {', '.join(names)}" if names else ""


def _maker(made_by: Location | None, layer: str) -> str:
    if made_by is not None:
        return _place(made_by)
    return "nginx itself" if layer == "nginx" else (layer or "the upstream")


def _place(location: Location | None) -> str:
    if location is None:
        return ""
    return f"{location.file.rsplit('/', 1)[-1]}:{location.line}"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    """Tell steps, a line each: place, directive, what it did."""
    for step in steps:
        text = f"{step.directive}: {step.note}" if step.directive else step.note
        yield f"  {_padded(_place(step.location), WIDTH // 2)}  {text}"


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - len(text))
