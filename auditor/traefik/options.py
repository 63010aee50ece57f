"""The options that Traefik's middlewares, routers and services know, so that none is silently ignored."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.errors import Location
from auditor.tree import Node

_IP_STRATEGY = "depth excludedIPs ipv6Subnet"
_SOURCE = "ipStrategy requestHeaderName requestHost"

# Source: Traefik's reference of the dynamic configuration (file provider), versions 2.11 and 3.x.
MIDDLEWARES: dict[str, str] = {
    "addPrefix": "prefix",
    "basicAuth": "users usersFile realm removeHeader headerField",
    "buffering": "maxRequestBodyBytes memRequestBodyBytes maxResponseBodyBytes memResponseBodyBytes retryExpression "
    "disableRequestBuffer disableResponseBuffer",
    "chain": "middlewares",
    "circuitBreaker": "expression checkPeriod fallbackDuration recoveryDuration responseCode",
    "compress": "excludedContentTypes includedContentTypes minResponseBodyBytes encodings defaultEncoding",
    "contentType": "autoDetect",
    "digestAuth": "users usersFile removeHeader realm headerField",
    "errors": "status statusRewrites service query",
    "forwardAuth": "address tls trustForwardHeader authResponseHeaders authResponseHeadersRegex authRequestHeaders "
    "addAuthCookiesToResponse headerField forwardBody maxBodySize maxResponseBodySize preserveLocationHeader "
    "preserveRequestMethod authSigninURL",
    "grpcWeb": "allowOrigins",
    "headers": "customRequestHeaders customResponseHeaders accessControlAllowCredentials accessControlAllowHeaders "
    "accessControlAllowMethods accessControlAllowOriginList accessControlAllowOriginListRegex "
    "accessControlExposeHeaders accessControlMaxAge addVaryHeader allowedHosts hostsProxyHeaders sslProxyHeaders "
    "stsSeconds stsIncludeSubdomains stsPreload forceSTSHeader frameDeny customFrameOptionsValue contentTypeNosniff "
    "browserXssFilter customBrowserXSSValue contentSecurityPolicy contentSecurityPolicyReportOnly publicKey "
    "referrerPolicy permissionsPolicy isDevelopment featurePolicy sslRedirect sslTemporaryRedirect sslHost sslForceHost",
    "inFlightReq": f"amount sourceCriterion {_SOURCE}",
    "ipAllowList": f"sourceRange ipStrategy rejectStatusCode {_IP_STRATEGY}",
    "ipWhiteList": f"sourceRange ipStrategy {_IP_STRATEGY}",
    "passTLSClientCert": "pem info",
    "rateLimit": f"average period burst sourceCriterion redis {_SOURCE}",
    "redirectRegex": "regex replacement permanent",
    "redirectScheme": "scheme port permanent",
    "replacePath": "path",
    "replacePathRegex": "regex replacement",
    "retry": "attempts initialInterval timeout maxRequestBodyBytes status disableRetryOnNetworkError "
    "retryNonIdempotentMethod",
    "stripPrefix": "prefixes forceSlash",
    "stripPrefixRegex": "regex",
    "encodedCharacters": "allowEncodedSlash allowEncodedBackSlash allowEncodedNullCharacter allowEncodedSemicolon "
    "allowEncodedPercent allowEncodedQuestionMark allowEncodedHash",
    "plugin": "",
}
KINDS = {name.lower(): name for name in MIDDLEWARES}
_KNOWN = {name: frozenset(options.lower().split()) for name, options in MIDDLEWARES.items()}

ROUTER = frozenset(
    ("entrypoints", "middlewares", "service", "rule", "rulesyntax", "priority", "tls", "observability", "parentrefs")
)
LOAD_BALANCER = frozenset(
    (
        "servers", "sticky", "healthcheck", "passivehealthcheck", "passhostheader", "responseforwarding",
        "serverstransport", "strategy", "server", "middlewares",
    )
)  # fmt: skip


def unknown_options(kind: str, options: Node) -> Iterator[tuple[str, Location]]:
    """Yield the options of a middleware that Traefik does not know; such a file is refused as a whole."""
    known = _KNOWN.get(kind, frozenset())
    if kind != "plugin":
        yield from ((name, node.place) for name, node in options.children() if name.lower() not in known)
