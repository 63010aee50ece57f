"""Traefik's middlewares that may refuse a request: limits, addresses, passwords, other services, an open circuit."""

from __future__ import annotations

import re
from dataclasses import replace

from auditor.exchange import UNKNOWN_VALUE, Action, Field, Limit, Outcome, Response, Unknown, amended
from auditor.traefik import matching
from auditor.traefik.flow import LAYER, STATUS_TEXT, Flow, Next, answer, doubted, noted
from auditor.traefik.model import Middleware, flag_of, list_of, number_of, option, text_of
from auditor.traefik.stage import Context, step_of
from auditor.tree import Node

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str, default: float) -> float:
    """Read a Go duration ("1m30s"), or a bare number of seconds; the default where it is neither."""
    if re.fullmatch(r"\d+", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return default
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def source_key(options: Node, default: str) -> str:
    """Say in words what names the bucket of a limit (the source criterion)."""
    criterion = option(options, "sourceCriterion")
    header = text_of(criterion.get("requestHeaderName"))
    if header:
        return f"header {header}"
    if flag_of(criterion.get("requestHost")):
        return "host"
    strategy = criterion.get("ipStrategy")
    if strategy is None:
        return default
    depth = number_of(strategy.get("depth"))
    if depth > 0:
        return f"X-Forwarded-For depth {depth}"
    excluded = list_of(strategy.get("excludedIPs"))
    return "X-Forwarded-For excluding " + ",".join(text for text, _ in excluded) if excluded else "client_ip"


def limit_of(middleware: Middleware) -> Limit | None:
    """Return the limit that a rateLimit or inFlightReq middleware sets, None where it sets none."""
    options, place = middleware.options, middleware.location
    if middleware.kind == "inFlightReq":
        amount = number_of(options.get("amount"))
        key = source_key(options, "host")
        return Limit(middleware.name, 0.0, amount, 429, key, kind="connections", layer=LAYER, location=place)
    average = number_of(options.get("average"))
    if average <= 0:
        return None
    period = seconds(text_of(options.get("period")), 1.0) or 1.0
    burst = max(number_of(options.get("burst"), 1), 1)
    key = source_key(options, "client_ip")
    return Limit(middleware.name, average / period, burst, 429, key, layer=LAYER, location=place)


def bucket_of(middleware: Middleware, flow: Flow) -> str:
    """Return what names a request's bucket; a missing header is a bucket too, one for all that lack it."""
    criterion = option(middleware.options, "sourceCriterion")
    header = text_of(criterion.get("requestHeaderName"))
    by_host = flag_of(criterion.get("requestHost")) or (
        middleware.kind == "inFlightReq" and criterion.get("ipStrategy") is None
    )
    value = flow.header(header) if header else flow.host if by_host else _ip_of(criterion, flow)
    return value or "(none)"


def limited(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Let a request through, or refuse it with 429 where its bucket is empty."""
    limit = limit_of(middleware)
    if limit is None:
        return following(flow)
    limit = replace(limit, value=bucket_of(middleware, flow))
    step = step_of(middleware)
    passed = tuple(amended(outcome, limits=(limit, *outcome.limits)) for outcome in following(flow))
    lines: tuple[Field, ...] = ()
    if middleware.kind == "rateLimit":
        lines = tuple(Field(name, UNKNOWN_VALUE, limit.location, LAYER) for name in ("Retry-After", "X-Retry-In"))
    text = STATUS_TEXT[429] if middleware.kind == "rateLimit" else f"max connections reached: {limit.burst}"
    refused = answer(429, text, lines, kind="deny", flow=flow, steps=(step,), when="limited", limits=(limit,))
    return (*noted(passed, step), *refused)


def _ip_of(options: Node, flow: Flow) -> str | None:
    """Return the address an IP strategy looks at ("" where there is none); None where it is not decided."""
    strategy = option(options, "ipStrategy")
    depth = number_of(strategy.get("depth"))
    forwarded = [part.strip() for part in (flow.header("X-Forwarded-For")).split(",")]
    if depth > 0:
        return forwarded[-depth] if len(forwarded) >= depth else ""
    if list_of(strategy.get("excludedIPs")):
        excluded = tuple(text for text, _ in list_of(strategy.get("excludedIPs")))
        for address in reversed(forwarded):
            if address and not matching.in_networks(address, excluded):
                return address
        return ""
    return flow.client


def allow_list(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Refuse an address that is in none of the allowed ranges."""
    networks = tuple(text for text, _ in list_of(middleware.options.get("sourceRange")))
    address = _ip_of(middleware.options, flow)
    if address and matching.in_networks(address, networks):
        return noted(following(flow), step_of(middleware))
    status = number_of(middleware.options.get("rejectStatusCode")) or 403
    text = STATUS_TEXT.get(status, UNKNOWN_VALUE)
    note = f"{address or 'no address'} is not in the allowed ranges"
    return answer(status, text, kind="deny", flow=flow, steps=(step_of(middleware, note),))


def basic_auth(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Ask for a password; whether one that is given is right is not decided."""
    options, step = middleware.options, step_of(middleware)
    realm = text_of(options.get("realm"), "traefik")
    challenge = Field("Www-Authenticate", f'Basic realm="{realm}"', middleware.location, LAYER)
    kind = Field("Content-Type", "text/plain", middleware.location, LAYER)
    refused = answer(401, "401 Unauthorized\n", (challenge, kind), kind="deny", flow=flow, steps=(step,))
    if middleware.kind == "digestAuth":
        challenge = Field("Www-Authenticate", UNKNOWN_VALUE, middleware.location, LAYER)
        refused = answer(401, "401 Unauthorized\n", (challenge, kind), kind="deny", flow=flow, steps=(step,))
    if not re.match(
        r"(?i)basic ." if middleware.kind == "basicAuth" else r"(?i)digest .", flow.header("Authorization")
    ):
        return refused
    doubt = Unknown("whether the credentials are right is not decided", middleware.location, "status")
    inner = flow.drop("Authorization") if flag_of(options.get("removeHeader")) else flow
    field_name = text_of(options.get("headerField"))
    inner = inner.set(field_name, UNKNOWN_VALUE, middleware.location) if field_name else inner
    return (*doubted(noted(following(inner), step), doubt), *doubted(refused, doubt))


def forward_auth(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Leave it to another service whether the request passes."""
    step = step_of(middleware)
    address = text_of(middleware.options.get("address"))
    doubt = Unknown(f"{address} decides whether the request passes", middleware.location, "answer")
    inner = flow
    for name, place in list_of(middleware.options.get("authResponseHeaders")):
        inner = inner.set(name, UNKNOWN_VALUE, place)
    refusal = Outcome(
        "always", Response(None, further_headers=True), Action("deny"), layer=LAYER, why=(step,), unknown=(doubt,)
    )
    return (*doubted(noted(following(inner), step), doubt), refusal)


def circuit_breaker(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Let a request through while the circuit is closed, and answer for the upstream while it is open."""
    status = number_of(middleware.options.get("responseCode"), 503)
    step = step_of(middleware, "the circuit may be open")
    opened = answer(status, STATUS_TEXT.get(status, ""), kind="error", flow=flow, steps=(step,), when="limited")
    return (*noted(following(flow), step_of(middleware)), *opened)
