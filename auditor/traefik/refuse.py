"""What makes Traefik refuse a middleware when it builds it: the routers that name it are then left out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from auditor.errors import Location
from auditor.traefik import regex
from auditor.traefik.model import flag_of, list_of, number_of, text_of
from auditor.tree import Node

_STATUS = re.compile(r"^\d+(-\d+)?$")
_HEADER_LISTS = ("accessControlAllowHeaders", "accessControlAllowMethods", "accessControlAllowOriginList",
                 "accessControlAllowOriginListRegex", "accessControlExposeHeaders", "allowedHosts",
                 "hostsProxyHeaders")  # fmt: skip
_HEADER_FLAGS = ("accessControlAllowCredentials", "addVaryHeader", "stsIncludeSubdomains", "stsPreload",
                 "forceSTSHeader", "frameDeny", "contentTypeNosniff", "browserXssFilter", "isDevelopment",
                 "sslRedirect", "sslTemporaryRedirect", "sslForceHost")  # fmt: skip
_HEADER_TEXTS = ("customFrameOptionsValue", "customBrowserXSSValue", "contentSecurityPolicy",
                 "contentSecurityPolicyReportOnly", "publicKey", "referrerPolicy", "permissionsPolicy",
                 "sslHost", "featurePolicy")  # fmt: skip
_HEADER_NUMBERS = ("accessControlMaxAge", "stsSeconds")
_HEADER_MAPS = ("customRequestHeaders", "customResponseHeaders", "sslProxyHeaders")
EMPTY_ALLOWED = frozenset(("compress", "contentType", "encodedCharacters", "plugin"))


def refusal(kind: str, options: Node) -> str:
    """Return why Traefik would refuse to build a middleware, "" where it would build it.

    Source: the constructors in pkg/middlewares; measured on 3.7.
    """
    if kind == "headers":
        return "" if _has_headers(options) else "its headers options set nothing"
    needed = {"redirectScheme": "scheme", "addPrefix": "prefix"}.get(kind)
    if needed and not text_of(options.get(needed)):
        return f"it has no {needed}"
    if kind in ("ipAllowList", "ipWhiteList"):
        return _bad_networks(options)
    if kind == "errors":
        bad = [text for text, _ in list_of(options.get("status")) if not _STATUS.match(text)]
        return f"{bad[0]!r} is not a status or a range of them" if bad else ""
    if kind in ("basicAuth", "digestAuth"):
        return _bad_users(kind, options)
    if kind == "retry" and number_of(options.get("attempts")) <= 0:
        return "its attempts are not above zero"
    if kind == "rateLimit" and text_of(options.get("period")).startswith("-"):
        return "its period is negative"
    return next(
        (f"{pattern!r} is not a regular expression" for pattern, _ in _patterns(kind, options) if _bad(pattern)), ""
    )


def _bad(pattern: str) -> bool:
    """Whether Go surely refuses a pattern (what is merely not translated is no reason)."""
    try:
        regex.compile_go(pattern)
    except regex.GoRegexError as error:
        return "invalid" in str(error) or "missing" in str(error)
    return False


def _patterns(kind: str, options: Node) -> Iterator[tuple[str, Location]]:
    if kind in ("redirectRegex", "replacePathRegex", "stripPrefixRegex"):
        yield from (
            list_of(options.get("regex"))
            if kind == "stripPrefixRegex"
            else ((text_of(options.get("regex")), options.location),)
        )


def _has_headers(options: Node) -> bool:
    return (
        any(list_of(options.get(name)) for name in _HEADER_LISTS)
        or any(flag_of(options.get(name)) for name in _HEADER_FLAGS)
        or any(text_of(options.get(name)) for name in _HEADER_TEXTS)
        or any(options.get(name) is not None for name in _HEADER_NUMBERS)
        or any((node := options.get(name)) is not None and node.entries for name in _HEADER_MAPS)
    )


def _bad_networks(options: Node) -> str:
    networks = list_of(options.get("sourceRange"))
    if not networks:
        return "its sourceRange is empty"
    for text, _ in networks:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            return f"{text!r} is not an address or a range"
    return ""


def _bad_users(kind: str, options: Node) -> str:
    parts = 2 if kind == "basicAuth" else 3
    for text, _ in list_of(options.get("users")):
        if len(text.split(":")) != parts:
            return "a user is not written as name:hash" if parts == 2 else "a user is not written as name:realm:hash"
    return ""
