"""Traefik's other middlewares: redirections, paths, limits, access, error pages, compression."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from urllib.parse import quote_plus

from auditor.exchange import UNKNOWN_VALUE, Action, Field, Limit, Outcome, Response, Step, Unknown
from auditor.traefik import headers, regex, rules
from auditor.traefik.flow import (
    LAYER,
    STATUS_TEXT,
    Flow,
    Next,
    answer,
    bad_escape,
    doubted,
    edited,
    noted,
    prefixed,
    set_path,
    text_error,
    undecided,
    unescape_path,
)
from auditor.traefik.model import Middleware, flag_of, list_of, number_of, option, text_of
from auditor.tree import Node

_PLAIN_URL = re.compile(
    r"^(?:[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._-]+(?::\d+)?)?(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
)
_URL = re.compile(r"^(https?)://(\[[\w:.]+\]|[\w._-]+)?(:\d+)?(.*)$", re.DOTALL)


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


def apply(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    """Pass a request through one middleware; what is not modelled says so."""
    if middleware.kind == "headers":
        return headers.apply(middleware, flow, following, version=context.version)
    known = _KINDS.get(middleware.kind)
    if known is not None:
        return known(middleware, flow, following, context)
    reason = f"the middleware {middleware.name} ({middleware.kind or 'empty'}) is not modelled"
    return doubted(following(flow), Unknown(reason, middleware.location))


def _step(middleware: Middleware, note: str = "") -> Step:
    text = f"middleware {middleware.name}" + (f": {note}" if note else "")
    return Step(middleware.kind, middleware.location, text, LAYER)


def _raw_url(flow: Flow) -> str:
    """Rebuild the URL as the redirections do (pkg/middlewares/redirect, rawURL)."""
    scheme, host, port, uri = "http", *_split_host(flow.host), flow.uri
    found = _URL.match(flow.uri)
    if found:
        scheme, host, port, uri = found[1], found[2] or host, found[3] or port, found[4]
    # A trusted client's X-Forwarded-Proto stands for the connection, ws and wss for http and https.
    scheme = _scheme(flow)
    if (scheme, port) in (("http", ":80"), ("https", ":443")):
        port = ""
    return f"{scheme}://{host}{port}{uri}"


def _scheme(flow: Flow) -> str:
    written = flow.header("X-Forwarded-Proto")
    usual = "https" if flow.tls else "http"
    return {"": usual, "ws": "http", "wss": "https"}.get(written.lower(), written)


def _split_host(host: str) -> tuple[str, str]:
    """Split as Go's net.SplitHostPort does: an address that does not split is all host."""
    head, colon, port = host.rpartition(":")
    if not colon or "]" in port or (":" in head and not (head.startswith("[") and head.endswith("]"))):
        return host, ""
    return (head[1:-1] if head.startswith("[") else head), f":{port}"


def redirect(flow: Flow, location: str, step: Step, *, permanent: bool) -> tuple[Outcome, ...]:
    """Answer with a redirection: 301/302 to GET, 308/307 to every other method."""
    status = (301 if permanent else 302) if flow.method == "GET" else (308 if permanent else 307)
    line = Field("Location", location, step.location, LAYER)
    return answer(status, STATUS_TEXT[status], (line,), kind="redirect", flow=flow, steps=(step,))


def redirect_scheme(
    flow: Flow, following: Next, scheme: str, port: str, step: Step, *, permanent: bool
) -> tuple[Outcome, ...]:
    """Redirect to another scheme and port; a URL that is already so passes.

    Source: pkg/middlewares/redirect/redirect_scheme.go.
    """
    old = _raw_url(flow)
    found = re.match(r"^(https?://)?(\[[\w:.]+\]|[\w._-]+)?(:\d+)?(.*)$", old)
    if found is None or not old.isascii():
        return undecided("the URL is not one that the redirection's expression decides", step.location, (step,))
    shown = f":{port}" if port and (scheme, port) not in (("http", "80"), ("https", "443")) else ""
    new = f"{scheme}://{found[2] or ''}{shown}{found[4] or ''}"
    if re.match(r"^[a-z]+://[^/?#]*:[^/?#:]*[^0-9/?#:]", new):
        # Go's url.Parse: "invalid port"; the redirection answers with its error handler.
        return answer(502, STATUS_TEXT[502], kind="error", flow=flow, steps=(step,))
    if new == old:
        return following(_reparsed(flow, old))
    return redirect(flow, new, step, permanent=permanent)


def _reparsed(flow: Flow, url: str) -> Flow:
    """Take the URL apart again, as a redirection does with one that it leaves as it is."""
    rest = re.sub(r"^[A-Za-z]+://[^/?#]*", "", url)
    path, mark, query = rest.partition("?")
    split = set_path(path)
    if split is None:
        return flow
    parsed = replace(flow, path=split[0], raw_path=split[1], query=query, force_query=bool(mark) and not query)
    return replace(parsed, uri=parsed.request_uri)


def _redirect_scheme(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    options = middleware.options
    scheme, port = text_of(options.get("scheme")), text_of(options.get("port"))
    permanent = flag_of(options.get("permanent"))
    return redirect_scheme(flow, following, scheme, port, _step(middleware), permanent=permanent)


def _redirect_regex(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    options, step = middleware.options, _step(middleware)
    pattern = text_of(options.get("regex"))
    old = f"{'https' if flow.tls else 'http'}://{flow.host}{flow.uri}"
    matched = regex.search(pattern, old)
    new = regex.replace_all(pattern, old, text_of(options.get("replacement"))) if matched else None
    if matched is None or (matched and new is None):
        return undecided(f"whether {pattern!r} matches the URL is not decided", middleware.location, (step,))
    if new is None:
        return following(flow)
    if new == old:
        return following(_reparsed(flow, old))
    if new.startswith(":"):
        # Go's url.Parse: "missing protocol scheme"; the redirection answers with its error handler.
        return answer(502, STATUS_TEXT[502], kind="error", flow=flow, steps=(step,))
    if not _PLAIN_URL.match(new):
        return undecided("how the new URL is written is not decided", middleware.location, (step,))
    return redirect(flow, new, step, permanent=flag_of(options.get("permanent")))


def _strip_prefix(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    force = flag_of(middleware.options.get("forceSlash"))

    def stripped(path: str, prefix: str) -> str:
        rest = path.removeprefix(prefix)
        if force:
            return "/" + rest.removeprefix("/")
        return rest if not rest or rest.startswith("/") else "/" + rest

    for prefix, place in list_of(middleware.options.get("prefixes")):
        if flow.path.startswith(prefix):
            raw = stripped(flow.raw_path, prefix) if flow.raw_path else ""
            changed = flow.add("X-Forwarded-Prefix", prefix.strip(), place).with_path(stripped(flow.path, prefix), raw)
            return _if_clean(changed, following, _step(middleware, f"{prefix} is stripped"))
    return following(flow)


def _strip_prefix_regex(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    for pattern, place in list_of(middleware.options.get("regex")):
        prefix = regex.first_group(pattern.strip(), flow.path)
        if prefix is None:
            return undecided(f"whether {pattern!r} matches the path is not decided", place, (_step(middleware),))
        if not prefix or not flow.path.startswith(prefix):
            continue
        rest = flow.path[len(prefix) :]
        raw = flow.raw_path[len(prefix) :] if flow.raw_path else ""
        slashed = [part if not part or part.startswith("/") else "/" + part for part in (rest, raw)]
        changed = flow.add("X-Forwarded-Prefix", prefix, place).with_path(*slashed)
        return _if_clean(changed, following, _step(middleware, f"{prefix} is stripped"))
    return following(flow)


def _if_clean(flow: Flow, following: Next, step: Step) -> tuple[Outcome, ...]:
    """Refuse a rewritten path that still has empty or dot segments (measured on 3.7: 400)."""
    path = flow.escaped_path
    clean = posixpath.normpath(re.sub("^//+", "/", path)) if path else path
    if path.endswith("/") and not clean.endswith("/"):
        clean += "/"
    if clean != path:
        return text_error(400, STATUS_TEXT[400], flow, (replace(step, note=f"{step.note}: the new path is not clean"),))
    split = set_path(path)
    return noted(following(flow.with_path(*split) if split else flow), step)


def _add_prefix(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    prefix = text_of(middleware.options.get("prefix"))
    path = _slashed(prefix + flow.path)
    raw = _slashed(prefix + flow.raw_path) if flow.raw_path else ""
    return noted(following(flow.with_path(path, raw)), _step(middleware, f"{prefix} is put in front"))


def _slashed(path: str) -> str:
    return path if not path or path.startswith("/") else "/" + path


def _replace_path(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    target = text_of(middleware.options.get("path"))
    old = flow.raw_path or flow.escaped_path
    path = unescape_path(target)
    if path is None:
        return text_error(500, bad_escape(target), flow, (_step(middleware),))
    changed = flow.add("X-Replaced-Path", old, middleware.location).with_path(path, target)
    return noted(following(changed), _step(middleware))


def _replace_path_regex(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    pattern = text_of(middleware.options.get("regex")).strip()
    replacement = text_of(middleware.options.get("replacement")).strip()
    old = flow.raw_path or flow.escaped_path
    matched = regex.search(pattern, old)
    new = regex.replace_all(pattern, old, replacement) if matched else None
    if matched is None or (matched and new is None):
        return undecided(
            f"whether {pattern!r} matches the path is not decided", middleware.location, (_step(middleware),)
        )
    if new is None:
        return following(flow)
    path = unescape_path(new)
    if path is None:
        return text_error(500, bad_escape(new), flow, (_step(middleware),))
    changed = flow.add("X-Replaced-Path", old, middleware.location).with_path(path, new)
    return _if_clean(changed, following, _step(middleware))


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


def _limited(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    limit = limit_of(middleware)
    if limit is None:
        return following(flow)
    step = _step(middleware)
    passed = tuple(replace(outcome, limits=(limit, *outcome.limits)) for outcome in following(flow))
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
            if address and not rules.in_networks(address, excluded):
                return address
        return ""
    return flow.client


def _allow_list(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    networks = tuple(text for text, _ in list_of(middleware.options.get("sourceRange")))
    address = _ip_of(middleware.options, flow)
    if address and rules.in_networks(address, networks):
        return noted(following(flow), _step(middleware))
    status = number_of(middleware.options.get("rejectStatusCode")) or 403
    text = STATUS_TEXT.get(status, UNKNOWN_VALUE)
    note = f"{address or 'no address'} is not in the allowed ranges"
    return answer(status, text, kind="deny", flow=flow, steps=(_step(middleware, note),))


def _basic_auth(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    options, step = middleware.options, _step(middleware)
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


def _forward_auth(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    step = _step(middleware)
    address = text_of(middleware.options.get("address"))
    doubt = Unknown(f"{address} decides whether the request passes", middleware.location, "answer")
    inner = flow
    for name, place in list_of(middleware.options.get("authResponseHeaders")):
        inner = inner.set(name, UNKNOWN_VALUE, place)
    refusal = Outcome(
        "always", Response(None, further_headers=True), Action("deny"), layer=LAYER, why=(step,), unknown=(doubt,)
    )
    return (*doubted(noted(following(inner), step), doubt), refusal)


def status_ranges(options: Node) -> tuple[tuple[int, int], ...]:
    """Read the `status` option of error pages: "500", "500-599"."""
    ranges = []
    for text, _ in list_of(options.get("status")):
        low, _, high = text.partition("-")
        if low.isdigit() and (high or low).isdigit():
            ranges.append((int(low), int(high or low)))
    return tuple(ranges)


def _errors(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    ranges = status_ranges(middleware.options)
    step = _step(middleware)
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
        base = f"{_scheme(inner)}://{inner.host}" if context.version >= 3 else ""
        shown = inner.escaped_path + (f"?{inner.query}" if inner.query else "")
        url = quote_plus(base + shown, safe="-_.~")
        target = "/" + query.removeprefix("/").replace("{status}", str(rewritten))
        target = target.replace("{url}", url).replace("{originalStatus}", str(status))
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


def _compress(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    step = _step(middleware)
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


def _buffering(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    most = number_of(middleware.options.get("maxRequestBodyBytes"))
    if most and flow.body_length > most:
        return answer(413, STATUS_TEXT[413], kind="deny", flow=flow, steps=(_step(middleware, "the body is too long"),))
    outcomes = prefixed(following(replace(flow, preset=(), detached=True)), flow.preset)
    context.settle(flow)
    if flow.method == "HEAD":
        outcomes = tuple(_uncounted(outcome) for outcome in outcomes)
    if number_of(middleware.options.get("maxResponseBodyBytes")):
        doubt = Unknown("an answer longer than maxResponseBodyBytes becomes a 500", middleware.location, "status")
        outcomes = doubted(outcomes, doubt)
    return noted(outcomes, _step(middleware))


def _uncounted(outcome: Outcome) -> Outcome:
    """Drop the length of an answer to HEAD that Traefik makes itself: the buffer passes no body on to be counted."""
    if outcome.response is None or (outcome.upstream_request is not None and outcome.when != "upstream-down"):
        return outcome
    return replace(
        outcome, response=replace(outcome.response, headers=outcome.response.headers.without("Content-Length"))
    )


def _content_type(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
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
    return noted(outcomes if flow.detached else tuple(map(sniffed, outcomes)), _step(middleware))


def _circuit_breaker(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    status = number_of(middleware.options.get("responseCode"), 503)
    step = _step(middleware, "the circuit may be open")
    opened = answer(status, STATUS_TEXT.get(status, ""), kind="error", flow=flow, steps=(step,), when="limited")
    return (*noted(following(flow), _step(middleware)), *opened)


def _retry(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    outcomes = following(flow)
    context.settle(flow)
    return noted(outcomes, _step(middleware))


_KINDS: Mapping[str, Apply] = MappingProxyType({
    "addPrefix": _add_prefix,
    "basicAuth": _basic_auth,
    "buffering": _buffering,
    "circuitBreaker": _circuit_breaker,
    "compress": _compress,
    "contentType": _content_type,
    "digestAuth": _basic_auth,
    "errors": _errors,
    "forwardAuth": _forward_auth,
    "inFlightReq": _limited,
    "ipAllowList": _allow_list,
    "ipWhiteList": _allow_list,
    "rateLimit": _limited,
    "redirectRegex": _redirect_regex,
    "redirectScheme": _redirect_scheme,
    "replacePath": _replace_path,
    "replacePathRegex": _replace_path_regex,
    "retry": _retry,
    "stripPrefix": _strip_prefix,
    "stripPrefixRegex": _strip_prefix_regex,
})  # fmt: skip
