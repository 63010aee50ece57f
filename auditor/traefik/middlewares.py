"""Traefik's middlewares by kind; what is not modelled says so."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditor.exchange import Outcome, Unknown
from auditor.traefik import guarding, headers, pages, rewriting
from auditor.traefik.flow import Flow, Next, doubted
from auditor.traefik.model import Middleware
from auditor.traefik.stage import Apply, Context


def apply(middleware: Middleware, flow: Flow, following: Next, context: Context) -> tuple[Outcome, ...]:
    """Pass a request through one middleware; what is not modelled says so."""
    if middleware.kind == "headers":
        return headers.apply(middleware, flow, following, version=context.version)
    known = _KINDS.get(middleware.kind)
    if known is not None:
        return known(middleware, flow, following, context)
    reason = f"the middleware {middleware.name} ({middleware.kind or 'empty'}) is not modelled"
    return doubted(following(flow), Unknown(reason, middleware.location))


_KINDS: Mapping[str, Apply] = MappingProxyType({
    "addPrefix": rewriting.add_prefix,
    "basicAuth": guarding.basic_auth,
    "buffering": pages.buffering,
    "circuitBreaker": guarding.circuit_breaker,
    "compress": pages.compress,
    "contentType": pages.content_type,
    "digestAuth": guarding.basic_auth,
    "errors": pages.error_pages,
    "forwardAuth": guarding.forward_auth,
    "inFlightReq": guarding.limited,
    "ipAllowList": guarding.allow_list,
    "ipWhiteList": guarding.allow_list,
    "rateLimit": guarding.limited,
    "redirectRegex": rewriting.to_regex,
    "redirectScheme": rewriting.to_scheme,
    "replacePath": rewriting.replace_path,
    "replacePathRegex": rewriting.replace_path_regex,
    "retry": pages.retry,
    "stripPrefix": rewriting.strip_prefix,
    "stripPrefixRegex": rewriting.strip_prefix_regex,
})  # fmt: skip
