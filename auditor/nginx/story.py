"""The story of one request, as an nginx expert would tell it: what was chosen, what ran, which line made what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Limit, Outcome, Request, Step
from auditor.nginx.evaluate import Configuration

DENIALS = ("is not ", "does not ", "is never ", "are not ", "is lost")
"""How the notes begin that say what a line does not do."""
PASSED_OVER = "is not chosen"
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
    "allowed": "when auth_request is answered with yes",
    "refused-401": "when auth_request is answered with 401",
    "refused-403": "when auth_request is answered with 403",
    "authorization-failed": "when auth_request fails",
    "file-small": "when the file is too small to be compressed",
    "file-executable": "when the file may be executed",
    "file-not-executable": "when the file may not be executed",
    "range-found": "when the file has the range",
    "range-missing": "when the file ends before the range",
    "body-to-come": "when the end of a chunked body is still to come",
    "range-ignored": "when the range is not looked at",
}
WIDTH = 34
MOST_PROBLEMS = 5
"""Problems of the configuration that a story begins with."""
LONGEST_ROUND = 8
"""Steps of a loop that is recognised as one."""


def tell(configuration: Configuration, request: Request) -> str:
    """Tell what a configuration makes of a request: every outcome, with the lines that made it."""
    outcomes = configuration.answer(request, explain=True)
    lines = [f"{request.method} {request.url}", *(f"  {line.name}: {line.value}" for line in request.headers), ""]
    lines += _refused(configuration)
    shared = _shared([outcome.why for outcome in outcomes])
    if len(outcomes) > 1 and shared:
        heading = f"Up to where {_number(len(outcomes))} outcomes part:"
        lines += [heading, *_steps(_happened(shared)), *_denied(shared), ""]
    for number, outcome in enumerate(outcomes, 1):
        rest = outcome.why[len(shared) :] if len(outcomes) > 1 else outcome.why
        heading = f"Outcome {number} of {len(outcomes)}, {_case(outcome.when)}: " if len(outcomes) > 1 else ""
        lines += [f"{heading}{_verdict(outcome)}", *_outcome(outcome, rest), ""]
    return "\n".join(printable(line) for line in lines).rstrip() + "\n"


def _refused(configuration: Configuration) -> list[str]:
    """Tell why nginx would not start, where it would not."""
    problems = configuration.problems
    if not problems:
        return []
    lines = ["nginx would not start with this configuration; what follows is what the rest of it says:"]
    lines += [f"  {_place(one.location)}  {one.message}: {one.hint}" for one in problems[:MOST_PROBLEMS]]
    more = len(problems) - MOST_PROBLEMS
    return [*lines, *([f"  and {more} more"] if more > 0 else []), ""]


def printable(text: str) -> str:
    """Return a text on one line: control characters (C0, DEL, C1) as escapes, what is not decided as an ellipsis."""
    return re.sub(_CONTROL, _escaped, text).replace(UNKNOWN_VALUE, "…")


def _escaped(match: re.Match[str]) -> str:
    return _NAMED.get(match[0]) or f"\\x{ord(match[0]):02x}"


_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


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
    return (
        ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")[count]
        if count < 11
        else str(count)
    )


def _case(when: str) -> str:
    return " and then ".join(_WHEN.get(word, word) for word in when.split("+"))


def _verdict(outcome: Outcome) -> str:
    """Return the first line of an outcome."""
    response = outcome.response
    if response is None:
        return "the connection is closed without an answer"
    place = f"location {outcome.location}" if outcome.location else _server(outcome)
    by = {
        "proxy": f"from {outcome.action.upstream}",
        "static": f"from {outcome.action.file}" if outcome.action.file else "from a file",
        "return": "by a return",
        "redirect": "a redirect",
        "deny": "refused",
        "error": "nginx's own page",
    }.get(outcome.action.kind, outcome.action.kind)
    status = "a status nobody can tell" if response.status is None else str(response.status)
    return f"{status}, {by}, in {place}"


def _server(outcome: Outcome) -> str:
    return f"server {outcome.server}" if outcome.server else f"the server of {_place(outcome.selected)}"


def _outcome(outcome: Outcome, steps: Sequence[Step]) -> Iterator[str]:
    """Tell the rest of one outcome: its steps, its headers, what reached the upstream, what did not apply."""
    yield from _steps(_happened(steps))
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
    yield from _limits(outcome)
    yield from _denied(steps)
    for unknown in outcome.unknown:
        where = f" ({unknown.location})" if unknown.location else ""
        yield f"  Not decided, {unknown.concerns}: {unknown.reason}{where}"


def _limits(outcome: Outcome) -> Iterator[str]:
    if outcome.limits:
        yield "  Counted by:"
    for limit in outcome.limits:
        rate = f"{limit.rate:g} requests/s" if limit.kind == "requests" else "requests in progress"
        yield f"    zone {limit.zone} by {limit.key}{_bucket(limit)}: {rate}, {_burst(limit)}"


def _denied(steps: Sequence[Step]) -> Iterator[str]:
    """Tell what was passed over and what only looks as if it applied."""
    denied = [step for step in steps if step.note.startswith(DENIALS)]
    passed = [step for step in denied if step.note.startswith(PASSED_OVER)]
    if passed:
        yield "  Other locations that fit, and why they do not answer:"
        yield from _steps(passed)
    if len(denied) > len(passed):
        yield "  Looks as if it applied, but does not:"
        yield from _steps([step for step in denied if not step.note.startswith(PASSED_OVER)])


def _happened(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if not step.note.startswith(DENIALS)]


def _bucket(limit: Limit) -> str:
    return f' ("{limit.value}")' if limit.value else " (empty: not counted)"


def _burst(limit: Limit) -> str:
    """Say what a limit does with those who are above it."""
    if limit.kind != "requests":
        text = f"at most {limit.burst} at a time, {limit.status} for more"
    elif not limit.burst:
        text = f"no burst, {limit.status} above"
    elif limit.delay is None:
        text = f"{limit.burst} more pass at once, {limit.status} for the next"
    else:
        text = f"{limit.burst} more wait{f' after the first {limit.delay}' if limit.delay else ''}, {limit.status} for the next"
    return text + (", but only counted (dry run)" if limit.dry_run else "")


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
    """Tell steps, a line each: place, directive, what it did; what comes round again is told once."""
    told = [f"  {_padded(_place(step.location), WIDTH // 2)}  {_sentence(step)}" for step in steps]
    position = 0
    while position < len(told):
        size, times = _round(told, position)
        yield from told[position : position + size]
        if times > 1:
            yield f"  {' ' * (WIDTH // 2)}  the same again: {_count(times - 1)} more"
        position += size * times


def _sentence(step: Step) -> str:
    return f"{step.directive}: {step.note}" if step.directive else step.note


def _count(times: int) -> str:
    return "once" if times == 1 else "twice" if times == 2 else f"{_number(times)} times"


def _round(told: Sequence[str], start: int) -> tuple[int, int]:
    """Return how many lines from here on come round again, and how often they are told; (1, 1) where none do."""
    for size in range(1, LONGEST_ROUND + 1):
        lines = told[start : start + size]
        times = 1
        while len(lines) == size and told[start + size * times : start + size * (times + 1)] == lines:
            times += 1
        if times > 2:
            return size, times
    return 1, 1


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - len(text))
