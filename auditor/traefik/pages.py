"""Traefik's middlewares that change what comes back: error pages, compression, buffers, content types."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote_plus

from auditor.exchange import UNKNOWN_VALUE, Field, Headers, Outcome, Response, Unknown
from auditor.traefik.flow import (
    LAYER,
    STATUS_TEXT,
    Flow,
    Next,
    answer,
    doubted,
    edited,
    noted,
    prefixed,
    set_path,
    text_error,
    undecided,
)
from auditor.traefik.model import Middleware, list_of, number_of, option, text_of
from auditor.traefik.rewriting import scheme_of, unreadable
from auditor.traefik.stage import Context, step_of
from auditor.tree import Node


def status_ranges(options: Node) -> tuple[tuple[int, int], ...]:
    """Read the `status` option of error pages: "500", "500-599"."""
    ranges = []
    for text, _ in list_of(options.get("status")):
        low, _, high = text.partition("-")
        if low.isdigit() and (high or low).isdigit():
            ranges.append((int(low), int(high or low)))
    return tuple(ranges)


def error_pages(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    """Replace an answer of the listed statuses by what a service says to the page's address."""
    ranges = status_ranges(middleware.options)
    step = step_of(middleware)
    results: list[Outcome] = []
    for outcome in prefixed(following(replace(flow, preset=(), detached=True)), flow.preset):
        response = outcome.response
        status = response.status if response is not None else None
        if response is not None and status is None and ranges:
            reason = "the status is not known, so whether an error page replaces the answer is not decided"
            results.extend(doubted((outcome,), Unknown(reason, middleware.location)))
        elif status is None or not any(low <= status <= high for low, high in ranges):
            results.append(outcome)
        else:
            results.extend(_error_page(middleware, flow, outcome, status, context))
    return noted(tuple(results), step)


def _error_page(
    middleware: Middleware, flow: Flow, outcome: Outcome, status: int, context: Context
) -> tuple[Outcome, ...]:
    inner = context.latest()
    service = text_of(middleware.options.get("service"))
    service = service if "@" in service else f"{service}@{middleware.name.rpartition('@')[2]}"
    query = text_of(middleware.options.get("query"))
    rewritten = _rewritten(middleware.options, status)
    target = ""
    if query:
        base = f"{scheme_of(inner)}://{inner.host}" if context.version >= 3 else ""
        shown = inner.escaped_path + (f"?{inner.query}" if inner.query else "")
        slash = "/" if base and inner.escaped_path and not shown.startswith("/") else ""  # Go's URL.String puts it in
        url = quote_plus(base + slash + shown, safe="-_.~")
        target = "/" + query.removeprefix("/").replace("{status}", str(rewritten))
        target = target.replace("{url}", url).replace("{originalStatus}", str(status))
    if unreadable(f"http://{inner.host}{target}"):
        # The page's request cannot be made (customErrors, newRequest): Traefik says the status in its own words.
        text = STATUS_TEXT.get(rewritten, UNKNOWN_VALUE)
        return tuple(
            replace(
                found,
                upstream_request=outcome.upstream_request,
                when=outcome.when,
                limits=outcome.limits,
                why=outcome.why,
                unknown=outcome.unknown,
            )
            for found in text_error(rewritten, text, flow)
        )
    path, mark, rest = target.partition("?")
    split = set_path(path)
    if split is None:
        return undecided("the address of the error page is malformed", middleware.location)
    page = replace(
        flow, method="GET", host=inner.host, headers=inner.headers, query=rest, force_query=bool(mark) and not rest,
        body_length=0, client="",
    ).with_path(*split)  # fmt: skip
    asked = edited(context.service(service, page), lambda response: _as_page(response, rewritten, flow))
    limits, steps, doubts = outcome.limits, outcome.why, outcome.unknown
    when = outcome.when
    return tuple(
        replace(
            found,
            upstream_request=found.upstream_request or outcome.upstream_request,
            when=when if found.when in (when, "always", "upstream-success") else f"{when}+{found.when}",
            limits=limits,
            why=(*steps, *found.why),
            unknown=(*doubts, *found.unknown),
        )
        for found in asked
    )


def _as_page(response: Response, status: int, flow: Flow) -> Response:
    """Give a page the status of the error it stands for."""
    head = flow.method == "HEAD"
    counted = response.status not in (204, 304) or "Content-Length" in response.headers
    if not counted and not head and status not in (204, 304):
        response = replace(response, headers=response.headers.plus(Field("Content-Length", "0", None, LAYER)))
    return replace(response, status=status, body="" if head else response.body)


def _rewritten(options: Node, status: int) -> int:
    for text, node in option(options, "statusRewrites").children():
        low, _, high = text.partition("-")
        if low.isdigit() and (high or low).isdigit() and int(low) <= status <= int(high or low):
            return number_of(node, status)
    return status


def compress(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Say that the answer varies with Accept-Encoding; how long it is, and so whether it is compressed, is not decided."""
    step = step_of(middleware)
    place = middleware.location
    tokens = (token.replace(" ", "").lower() for token in flow.header("Accept-Encoding").split(","))
    # Answers to HEAD pass as they are: they have no body to compress.
    if flow.method == "HEAD" or not any(
        re.fullmatch(r"(gzip|br|zstd|\*)(;q=(?!0(\.0*)?$)[0-9.]+)?", token) for token in tokens
    ):
        return noted(following(flow), step)
    doubts = (
        Unknown("whether the answer is long enough to be compressed is not decided", place, "header:content-encoding"),
        Unknown("compression may remove Content-Length", place, "header:content-length"),
    )
    vary = Field("Vary", "Accept-Encoding", place, LAYER)
    return noted(doubted(following(replace(flow, preset=(vary, *flow.preset))), *doubts), step)


def buffering(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    """Refuse a body that is too long, and hand the whole answer on at once."""
    most = number_of(middleware.options.get("maxRequestBodyBytes"))
    if most and flow.body_length > most:
        return answer(
            413, STATUS_TEXT[413], kind="deny", flow=flow, steps=(step_of(middleware, "the body is too long"),)
        )
    outcomes = prefixed(following(replace(flow, preset=(), detached=True)), flow.preset)
    context.settle(flow)
    if flow.method == "HEAD":
        outcomes = tuple(_uncounted(outcome) for outcome in outcomes)
    if number_of(middleware.options.get("maxResponseBodyBytes")):
        doubt = Unknown("an answer longer than maxResponseBodyBytes becomes a 500", middleware.location, "status")
        outcomes = doubted(outcomes, doubt)
    return noted(outcomes, step_of(middleware))


def _uncounted(outcome: Outcome) -> Outcome:
    """Drop the length of an answer to HEAD that Traefik makes itself: the buffer passes no body on to be counted."""
    passed_on = outcome.upstream_request is not None and outcome.when != "upstream-down"
    if outcome.response is None or (passed_on and outcome.action.kind not in ("error", "deny")):
        return outcome
    return replace(
        outcome, response=replace(outcome.response, headers=outcome.response.headers.without("Content-Length"))
    )


def content_type(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Let Go guess the type of an answer that has none."""

    def sniffed(outcome: Outcome) -> Outcome:
        response = outcome.response
        if response is None or "Content-Type" in response.headers or response.status in (None, 204, 304):
            return outcome
        if outcome.upstream_request is None or outcome.when == "upstream-down":
            if not response.headers.get("Content-Length") or response.headers.get("Content-Length") == "0":
                return outcome
            line = Field("Content-Type", "text/plain; charset=utf-8", middleware.location, LAYER)
            return replace(outcome, response=replace(response, headers=response.headers.plus(line)))
        doubt = Unknown("Content-Type is guessed from the body", middleware.location, "header:content-type")
        return replace(outcome, unknown=(*outcome.unknown, doubt))

    outcomes = following(flow)
    return noted(outcomes if flow.detached else tuple(map(sniffed, outcomes)), step_of(middleware))


def retry(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    """Ask again where the upstream cannot be reached; the request is a copy each time.

    What comes back replaces lines of its names that were set before (retry.go, responseWriter.WriteHeader).
    """
    if number_of(middleware.options.get("attempts")) == 1:
        return noted(following(flow), step_of(middleware))

    def replaced(response: Response) -> Response:
        kept = tuple(line for line in flow.preset if line.name not in response.headers)
        return replace(response, headers=Headers((*kept, *response.headers)))

    outcomes = edited(following(replace(flow, preset=())), replaced)
    context.settle(flow)
    return noted(outcomes, step_of(middleware))
