"""Traefik's headers middleware: CORS answers, security headers, custom request and response headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field, Outcome, Response, Step, Unknown
from auditor.traefik import regex
from auditor.traefik.flow import (
    LAYER,
    Flow,
    Next,
    answer,
    canonical,
    drop_header,
    edited,
    noted,
    set_header,
    text_error,
)
from auditor.traefik.model import Middleware, flag_of, list_of, number_of, option, text_of
from auditor.tree import Node

_CORS = ("accessControlAllowHeaders", "accessControlAllowMethods", "accessControlAllowOriginList",
         "accessControlAllowOriginListRegex", "accessControlExposeHeaders")  # fmt: skip
_SIMPLE = (
    ("contentSecurityPolicy", "Content-Security-Policy"),
    ("contentSecurityPolicyReportOnly", "Content-Security-Policy-Report-Only"),
    ("referrerPolicy", "Referrer-Policy"),
    ("permissionsPolicy", "Permissions-Policy"),
)
_SIMPLE_V2 = (*_SIMPLE, ("featurePolicy", "Feature-Policy"))


def apply(middleware: Middleware, flow: Flow, following: Next, *, version: int) -> tuple[Outcome, ...]:
    """Answer a preflight, or edit the request, ask what follows and edit its answers.

    Source: Traefik's reference "Headers"; measured on 3.7 by tests/oracle/test_traefik_agreement.py.
    """
    options = middleware.options
    step = Step("headers", middleware.location, f"middleware {middleware.name}", LAYER)
    if _has_cors(options) and _is_preflight(flow):
        return _preflight(options, flow, step, version)
    inner = _custom_request(options, flow)
    bad = _bad_host(options, inner, step, version)
    if bad is not None:
        outcomes = bad
    else:
        secure = tuple(_secure(options, inner, version))
        outcomes = edited(following(inner), lambda response: _set_all(response, secure))
    origin = inner.header("Origin")
    outcomes = edited(outcomes, lambda response: _after(options, response, origin, version))
    return noted(_doubt_regex(options, origin, outcomes), step)


def _set_all(response: Response, lines: tuple[Field, ...]) -> Response:
    for line in lines:
        response = set_header(response, line.name, line.value, line.made_by)
    return response


def _has_cors(options: Node) -> bool:
    return (
        flag_of(options.get("accessControlAllowCredentials"))
        or any(list_of(options.get(name)) for name in _CORS)
        or options.get("accessControlMaxAge") is not None
        or flag_of(options.get("addVaryHeader"))
    )


def _is_preflight(flow: Flow) -> bool:
    return flow.method == "OPTIONS" and bool(flow.header("Origin") and flow.header("Access-Control-Request-Method"))


def _joined(node: Node | None) -> str:
    return ",".join(text for text, _ in list_of(node))


def _echoes(options: Node, name: str, version: int) -> bool:
    """Whether a "*" stands for what the request asks: with credentials it would not be a wildcard to a browser."""
    credentials = flag_of(options.get("accessControlAllowCredentials"))
    return version >= 3 and credentials and any(text == "*" for text, _ in list_of(options.get(name)))


def _preflight(options: Node, flow: Flow, step: Step, version: int) -> tuple[Outcome, ...]:
    lines: list[Field] = []
    credentials = options.get("accessControlAllowCredentials")
    if credentials is not None and flag_of(credentials):
        lines.append(Field("Access-Control-Allow-Credentials", "true", credentials.place, LAYER))
    for name, asked in (("Headers", "Access-Control-Request-Headers"), ("Methods", "Access-Control-Request-Method")):
        node = options.get(f"accessControlAllow{name}")
        echoed = _echoes(options, f"accessControlAllow{name}", version)
        value = flow.header(asked) if echoed else _joined(node)
        if node is not None and value:
            lines.append(Field(f"Access-Control-Allow-{name}", value, node.place, LAYER))
    allowed = allowed_origin(options, flow.header("Origin"), version)
    if allowed is not None:
        lines.append(Field("Access-Control-Allow-Origin", allowed[0], allowed[1], LAYER))
    expose = options.get("accessControlExposeHeaders")
    if (
        version >= 3
        and expose is not None
        and _joined(expose)
        and not _echoes(options, "accessControlExposeHeaders", 3)
    ):
        lines.append(Field("Access-Control-Expose-Headers", _joined(expose), expose.place, LAYER))
    age = options.get("accessControlMaxAge")
    if age is not None or version < 3:
        lines.append(Field("Access-Control-Max-Age", str(number_of(age)), age.place if age else step.location, LAYER))
    note = replace(step, note=f"{step.note} answers the preflight")
    return _doubt_regex(
        options, flow.header("Origin"), answer(200, "", tuple(lines), kind="return", flow=flow, steps=(note,))
    )


def allowed_origin(options: Node, origin: str, version: int = 3) -> tuple[str, Location] | None:
    """Return the Access-Control-Allow-Origin for an origin and the item that allows it, or None.

    An exact list comes before expressions; expressions match anywhere unless anchored. With credentials, 3.7 echoes
    the origin where the list has "*": any page may then read what a cookie opens.
    """
    for item, place in list_of(options.get("accessControlAllowOriginList")):
        if item == "*" and _echoes(options, "accessControlAllowOriginList", version):
            return origin, place
        if item in ("*", origin):
            return item, place
    for pattern, place in list_of(options.get("accessControlAllowOriginListRegex")):
        if regex.search(pattern, origin):
            return origin, place
    return None


def _doubt_regex(options: Node, origin: str, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    if any(item in ("*", origin) for item, _ in list_of(options.get("accessControlAllowOriginList"))):
        return outcomes
    for pattern, place in list_of(options.get("accessControlAllowOriginListRegex")):
        if regex.search(pattern, origin) is None:
            reason = f"whether {pattern!r} matches the origin is not decided"
            doubt = Unknown(reason, place, "header:access-control-allow-origin")
            return tuple(replace(outcome, unknown=(*outcome.unknown, doubt)) for outcome in outcomes)
    return outcomes


def _custom_request(options: Node, flow: Flow) -> Flow:
    for name, node in option(options, "customRequestHeaders").children():
        value = node.text
        if value == "":
            if canonical(name) == "X-Forwarded-For":
                flow = replace(flow, no_forwarded_for=True)
            flow = flow.drop(name)
        elif name.lower() == "host":
            flow = replace(flow, host=value)
        else:
            flow = flow.set(name, UNKNOWN_VALUE if "{{" in value else value, node.place)
    return flow


def _bad_host(options: Node, flow: Flow, step: Step, version: int) -> tuple[Outcome, ...] | None:
    if flag_of(options.get("isDevelopment")):
        return None
    host = flow.host
    for name, _ in list_of(options.get("hostsProxyHeaders")):
        if flow.header(name):
            host = flow.header(name)
            break
    allowed = list_of(options.get("allowedHosts"))
    if allowed and all(item.lower() != host.lower() for item, _ in allowed):
        return text_error(500, "Bad Host", flow, (replace(step, note=f"{step.note}: the host is not allowed"),))
    if version < 3 and flag_of(options.get("sslRedirect")) and not _secure_connection(options, flow):
        target = text_of(options.get("sslHost")) or host
        status = 307 if flag_of(options.get("sslTemporaryRedirect")) else 301
        place = option(options, "sslRedirect").place
        location = Field("Location", f"https://{target}{flow.request_uri}", place, LAYER)
        return answer(status, UNKNOWN_VALUE, (location,), kind="redirect", flow=flow, steps=(step,))
    return None


def _secure_connection(options: Node, flow: Flow) -> bool:
    if flow.tls:
        return True
    proxies = option(options, "sslProxyHeaders").children()
    return any(flow.header(name) == node.text for name, node in proxies)


def _secure(options: Node, flow: Flow, version: int) -> Iterator[Field]:
    development = flag_of(options.get("isDevelopment"))
    secure = _secure_connection(options, flow)
    seconds = options.get("stsSeconds")
    forced = flag_of(options.get("forceSTSHeader"))
    if seconds is not None and number_of(seconds) and (secure or forced) and not development:
        value = f"max-age={number_of(seconds)}"
        value += "; includeSubDomains" if flag_of(options.get("stsIncludeSubdomains")) else ""
        value += "; preload" if flag_of(options.get("stsPreload")) else ""
        yield Field("Strict-Transport-Security", value, seconds.place, LAYER)
    yield from _either(options, "X-Frame-Options", "customFrameOptionsValue", "frameDeny", "DENY")
    yield from _either(options, "X-Content-Type-Options", "", "contentTypeNosniff", "nosniff")
    yield from _either(options, "X-Xss-Protection", "customBrowserXSSValue", "browserXssFilter", "1; mode=block")
    key = options.get("publicKey")
    if key is not None and key.text and secure and not development:
        yield Field("Public-Key-Pins", key.text, key.place, LAYER)
    for name, header in _SIMPLE if version >= 3 else _SIMPLE_V2:
        node = options.get(name)
        if node is not None and node.text:
            value = UNKNOWN_VALUE if "$NONCE" in node.text or "{{" in node.text else node.text
            yield Field(header, value, node.place, LAYER)


def _either(options: Node, header: str, custom: str, flag: str, value: str) -> Iterator[Field]:
    node = options.get(custom) if custom else None
    if node is not None and node.text:
        yield Field(header, node.text, node.place, LAYER)
        return
    node = options.get(flag)
    if node is not None and flag_of(node):
        yield Field(header, value, node.place, LAYER)


def _after(options: Node, response: Response, origin: str, version: int) -> Response:
    for name, node in option(options, "customResponseHeaders").children():
        if node.text == "":
            response = drop_header(response, name)
        else:
            response = set_header(response, name, UNKNOWN_VALUE if "{{" in node.text else node.text, node.place)
    allowed = allowed_origin(options, origin, version)
    if allowed is not None:
        response = set_header(response, "Access-Control-Allow-Origin", *allowed)
    credentials = options.get("accessControlAllowCredentials")
    if credentials is not None and flag_of(credentials):
        response = set_header(response, "Access-Control-Allow-Credentials", "true", credentials.place)
    expose = options.get("accessControlExposeHeaders")
    if expose is not None and _joined(expose) and not _echoes(options, "accessControlExposeHeaders", version):
        response = set_header(response, "Access-Control-Expose-Headers", _joined(expose), expose.place)
    vary = options.get("addVaryHeader")
    return _vary(response, vary.place) if vary is not None and flag_of(vary) else response


def _vary(response: Response, place: Location) -> Response:
    lines = response.headers.all("Vary")
    first = lines[0] if lines else ""
    if not lines and response.may_have_more("Vary"):
        first = UNKNOWN_VALUE
    if first == "Origin":
        return response
    return set_header(response, "Vary", f"{first},Origin" if first else "Origin", place)
