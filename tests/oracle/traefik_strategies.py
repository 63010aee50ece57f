"""Traefik configurations and requests, drawn small and colliding so that rules, priorities and middlewares meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

ORIGINS = ("https://app.test", "https://evil.test", "http://app.test", "null", "https://app.test.evil.test",
           "https://x.app.test", "https://APP.test", "https://app.test:8443")  # fmt: skip
PATHS = ("/", "/api", "/api/", "/api/x", "/api/x/y", "/apix", "/API/x", "/old/a", "/old", "/static/a.js", "/ws", "/api//x",
         "/api/../old", "/api/./x", "/a%20b", "/a%2Fb", "/api/%61", "/%61pi/x", "/api/x%3Fy", "/a;b", "/a+b", "/a!b'(c)*",
         "/api/x/", "//api", "/v1/items/7", "/v1/items/7/", "/a%25b", "/%e4%bd%a0", "/a:b@c", "/api/%2e%2e/old")  # fmt: skip
QUERIES = ("", "?", "?a=1", "?a=1&b=2", "?a=%20x", "?b", "?a=1;b=2", "?a=2&a=1", "?a+b=c", "?x=%zz", "?a=/../b")
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "OPTIONS", "PATCH", "PURGE")
HEADER_NAMES = ("X-Api-Key", "X-Frame-Options", "Vary", "Server", "X-Powered-By", "x-mixed-case", "X-Forwarded-For",
                "Access-Control-Allow-Origin", "Host", "X-Request-Id", "Set-Cookie", "Location")  # fmt: skip
ENTRYPOINTS = ("plain", "trusted", "raw", "secure", "ips", "redirect", "redirect2")


@dataclass(frozen=True)
class Group:
    """Some routers and middlewares that share a host, and requests to it; names carry `N` for the group's number."""

    routers: tuple[dict[str, Any], ...]
    middlewares: tuple[dict[str, Any], ...]
    requests: tuple[dict[str, Any], ...]


def _call(name: str, *values: str) -> str:
    return f"{name}({', '.join(f'`{value}`' for value in values)})"


_path = st.sampled_from(
    ("/", "/api", "/api/", "/api/x", "/old", "/a b", "/static/", "/v1/items/7", "/a%2Fb", "/你", "/a!b'(c)*")
)
_LEAVES = st.one_of(
    st.builds(lambda path: _call("PathPrefix", path), _path),
    st.builds(lambda path: _call("PathPrefix", path), _path),
    st.builds(lambda path: _call("Path", path), _path),
    st.sampled_from(
        (r"^/api", r"/x$", r"^/v[0-9]+/items/\d+$", r"(?i)^/api/", r"\.(js|css)$", r"^/[^/]*$", r"[[:upper:]]")
    ).map(lambda text: _call("PathRegexp", text)),
    st.sampled_from(("GET", "OPTIONS", "POST", "get", "HEAD")).map(lambda text: _call("Method", text)),
    st.sampled_from(("1", "", "2", " x", "/../b")).map(lambda text: _call("Query", "a", text)),
    st.just(_call("Query", "b")),
    st.just(_call("QueryRegexp", "a", "^[0-9]$")),
    st.sampled_from((("X-Api-Key", "k1"), ("x-api-key", "k2"), ("Origin", "https://app.test"), ("Cookie", "a=1"))).map(
        lambda pair: _call("Header", *pair)
    ),
    st.sampled_from((("Origin", r"^https://([a-z]+\.)?app\.test$"), ("X-Api-Key", "k"), ("Origin", "."))).map(
        lambda pair: _call("HeaderRegexp", *pair)
    ),
    st.sampled_from(("127.0.0.1", "10.0.0.0/8", "127.0.0.0/8", "::1")).map(lambda text: _call("ClientIP", text)),
    st.sampled_from(
        (_call("HostRegexp", "^www"), _call("HostRegexp", "gN"), _call("Host", "www.gN.test"), _call("Host", "gN.test"))
    ),
)
_RULES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"{a} && {b}", inner, inner),
        st.builds(lambda a, b: f"{a} || {b}", inner, inner),
        st.builds(lambda a: f"!{a}" if "&&" not in a and "||" not in a else f"!({a})", inner),
        st.builds(lambda a: f"({a})", inner),
    ),
    max_leaves=4,
)
_LEAVES_V2 = st.one_of(
    st.sampled_from((
        _call("PathPrefix", "/api"), _call("PathPrefix", "/old", "/a b"), _call("Path", "/api/x", "/old/a"), _call("PathPrefix", "/{v:v[0-9]+}/items"),
        _call("Path", "/api/{rest}"), _call("Path", "/{any:.*}"), _call("PathPrefix", "/{one}/x"), _call("Method", "GET", "POST"), _call("Method", "get"),
        _call("Headers", "X-Api-Key", "k1"), _call("HeadersRegexp", "Origin", "^https://"), _call("Query", "a=1"), _call("Query", "a=1", "b=2"),
        _call("Query", "a={n:[0-9]}"), _call("Query", "b="), _call("HostHeader", "gN.test"), _call("Host", "www.gN.test", "gN.test"),
        _call("HostRegexp", "{sub:[a-z]+}.gN.test"), _call("HostRegexp", "gN.test", "{x}.gN.test"), _call("ClientIP", "127.0.0.1", "10.0.0.0/8"),
        _call("HostRegexp", "{sub:(www|a)}.gN.test"), _call("PathPrefix", "/{a:[a-z]+}/{b}"),
    )),
)  # fmt: skip
_RULES_V2 = st.recursive(
    _LEAVES_V2,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"{a} && {b}", inner, inner),
        st.builds(lambda a, b: f"({a} || {b})", inner, inner),
        st.builds(lambda a: f"!{a}" if "&&" not in a else f"!({a})", inner),
    ),
    max_leaves=3,
)
_HOSTS_V2 = st.sampled_from(
    ("Host(`gN.test`, `www.gN.test`)", "Host(`gN.test`)", "HostRegexp(`{sub:[a-z.]*}gN.test`)", "HostHeader(`gN.test`)")
)
_HOSTS = st.sampled_from((
    "Host(`gN.test`)", "Host(`gN.test`)", "HostRegexp(`gN`)", "HostRegexp(`gN`)", "HostRegexp(`gN.test`)", "HostRegexp(`gN.`)", "(Host(`gN.test`) || Host(`www.gN.test`))", r"HostRegexp(`^(www\.)?gN\.test$`)", "Host(`GN.test`)",
    r"HostRegexp(`^.+\.gN\.test$`)", "Host(`*.gN.test`)", 'Host("gN.test")', "host(`gN.test`)", "Host(`gN.test.`)",
    "HostRegexp(`gN`)", "!Host(`gN.test`) && HostRegexp(`gN.test`)",
))  # fmt: skip

_text = st.sampled_from(("", "a", "1; mode", "https://app.test", "x, y", "DENY"))
_custom = st.dictionaries(st.sampled_from(HEADER_NAMES), _text, min_size=1, max_size=3)
_flag = st.booleans()
_HEADERS = st.fixed_dictionaries({}, optional={
    "customRequestHeaders": _custom,
    "customResponseHeaders": _custom,
    "accessControlAllowCredentials": _flag,
    "accessControlAllowHeaders": st.lists(st.sampled_from(("Content-Type", "*", "X-Api-Key")), max_size=2),
    "accessControlAllowMethods": st.one_of(st.lists(st.sampled_from(("GET", "PUT", "*")), max_size=3), st.just("GET, PUT")),
    "accessControlAllowOriginList": st.lists(st.sampled_from((*ORIGINS[:4], "*")), max_size=2),
    "accessControlAllowOriginListRegex": st.lists(
        st.sampled_from((r"^https://.*\.app\.test$", "app.test", r"^https?://app\.test", ".*", r"^https://app\.test(:\d+)?$", "^$")), max_size=2),
    "accessControlExposeHeaders": st.lists(st.sampled_from(("X-A", "X-B", "*")), max_size=2),
    "accessControlMaxAge": st.sampled_from((0, 1, 600, -1)),
    "addVaryHeader": _flag,
    "allowedHosts": st.lists(st.sampled_from(("gN.test", "GN.TEST", "www.gN.test")), min_size=1, max_size=1),
    "hostsProxyHeaders": st.just(["X-Forwarded-Host"]),
    "sslProxyHeaders": st.just({"X-Forwarded-Proto": "https"}),
    "stsSeconds": st.sampled_from((0, 1, 31536000)),
    "stsIncludeSubdomains": _flag, "stsPreload": _flag, "forceSTSHeader": _flag, "frameDeny": _flag,
    "customFrameOptionsValue": st.sampled_from(("", "SAMEORIGIN")), "contentTypeNosniff": _flag, "browserXssFilter": _flag,
    "customBrowserXSSValue": st.sampled_from(("", "0")), "contentSecurityPolicy": st.sampled_from(("", "default-src 'self'")),
    "contentSecurityPolicyReportOnly": st.just("default-src 'none'"), "referrerPolicy": st.just("no-referrer"),
    "permissionsPolicy": st.just("camera=()"), "isDevelopment": _flag, "publicKey": st.just("pin"),
    "sslRedirect": _flag, "sslHost": st.just("ssl.test"), "featurePolicy": st.just("camera 'none'"),
})  # fmt: skip
_HEADERS = _HEADERS.filter(bool)
_PREFIXES = st.lists(st.sampled_from(("/api", "/api/", "/", "/old", "/a", "api", "/API")), min_size=1, max_size=2)
_STRATEGY = st.one_of(
    st.none(), st.fixed_dictionaries({"depth": st.sampled_from((1, 2, 5))}),
    st.fixed_dictionaries({"excludedIPs": st.lists(st.sampled_from(("10.0.0.0/8", "127.0.0.1/32")), min_size=1, max_size=2)}),
)  # fmt: skip
_REDIRECT_REGEX = st.sampled_from((
    {"regex": "^http://www\\.(.+)", "replacement": "http://${1}", "permanent": True},
    {"regex": "^https?://([^/]+)/old(.*)", "replacement": "https://$1/new$2"},
    {"regex": "/api/(?P<rest>.*)$", "replacement": "/v2/${rest}"},
    {"regex": "x", "replacement": "$1x", "permanent": False},
    {"regex": "(.*)", "replacement": "$1"},
    {"regex": "^(http)://", "replacement": "$1s://", "permanent": True},
))  # fmt: skip
_REPLACE_REGEX = st.sampled_from((
    {"regex": "^/api/(.*)", "replacement": "/$1"}, {"regex": "^/old", "replacement": "/new"},
    {"regex": "^/(.*)$", "replacement": "/v1/$1"}, {"regex": "x", "replacement": ""}, {"regex": "/x", "replacement": "/a b"},
    {"regex": "[aeiou]", "replacement": "%41"}, {"regex": "y*", "replacement": "-"}, {"regex": "^/api", "replacement": "$0/%zz"},
))  # fmt: skip
_REST = st.one_of(
    st.fixed_dictionaries({"redirectScheme": st.fixed_dictionaries(
        {"scheme": st.sampled_from(("https", "http"))},
        optional={"port": st.sampled_from(("443", "80", "8443")), "permanent": _flag})}),
    st.fixed_dictionaries({"redirectRegex": _REDIRECT_REGEX}),
    st.fixed_dictionaries({"stripPrefix": st.fixed_dictionaries({"prefixes": _PREFIXES}, optional={"forceSlash": _flag})}),
    st.fixed_dictionaries({"stripPrefixRegex": st.fixed_dictionaries(
        {"regex": st.lists(st.sampled_from(("^/api/", "/[a-z]+", "^/v[0-9]+", "/x")), min_size=1, max_size=2)})}),
    st.fixed_dictionaries({"addPrefix": st.fixed_dictionaries({"prefix": st.sampled_from(("/p", "p", "/p/", "/a b"))})}),
    st.fixed_dictionaries({"replacePath": st.fixed_dictionaries({"path": st.sampled_from(("/r", "/r/%20", "/r?q=1", "/a b"))})}),
    st.fixed_dictionaries({"replacePathRegex": _REPLACE_REGEX}),
    st.fixed_dictionaries({"ipAllowList": st.fixed_dictionaries(
        {"sourceRange": st.lists(st.sampled_from(("127.0.0.1", "10.0.0.0/8", "9.9.9.9/32")), min_size=1, max_size=2)},
        optional={"ipStrategy": _STRATEGY.filter(lambda value: value is not None), "rejectStatusCode": st.just(404)})}),
    st.fixed_dictionaries({"rateLimit": st.fixed_dictionaries(
        {"average": st.just(100000), "burst": st.just(100000)},
        optional={"sourceCriterion": st.sampled_from(({"requestHost": True}, {"requestHeaderName": "X-Api-Key"}))})}),
    st.fixed_dictionaries({"inFlightReq": st.fixed_dictionaries({"amount": st.just(1000)})}),
    st.fixed_dictionaries({"basicAuth": st.fixed_dictionaries(
        {"users": st.just(["u:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"])},
        optional={"realm": st.just("here"), "removeHeader": _flag})}),
    st.fixed_dictionaries({"errors": st.fixed_dictionaries(
        {"status": st.sampled_from((["500-599"], ["404"], ["404"], ["503", "404"], ["404,503"], ["301", "400-499"])), "service": st.sampled_from(("up", "none")),
         "query": st.sampled_from(("/e/{status}", "", "e?u={url}&s={status}"))})}),
    st.just({"compress": {}}),
    st.just({"retry": {"attempts": 2}}),
    st.just({"buffering": {"maxRequestBodyBytes": 1000}}),
    st.just({"contentType": {}}),
)  # fmt: skip
_MIDDLEWARES = st.one_of(
    st.fixed_dictionaries({"headers": _HEADERS}), st.fixed_dictionaries({"headers": _HEADERS}), _REST, _REST
)


_SERVICES = st.sampled_from(
    (*("up",) * 20, "down", "none", "nohost", "nohost", "based", "based", "missing", "noop@internal")
)


@st.composite
def _router(draw: st.DrawFn, middlewares: int) -> dict[str, Any]:
    old = draw(st.integers(0, 5)) == 5
    rule = draw(_HOSTS_V2 if old else _HOSTS)
    if draw(st.integers(0, 3)) > 1:
        extra = draw(_RULES_V2 if old else _RULES)
        rule = f"{rule} && ({extra})" if "||" in extra else f"{rule} && {extra}"
    made: dict[str, Any] = {"rule": rule, "service": draw(_SERVICES)}
    if old:
        made["ruleSyntax"] = "v2"
    if draw(st.integers(0, 2)) == 2:
        made["priority"] = draw(st.sampled_from((1, 5, 50, 1000)))
    if draw(st.integers(0, 5)) == 5:
        made["entryPoints"] = draw(st.lists(st.sampled_from(ENTRYPOINTS), min_size=3, max_size=5, unique=True))
    if draw(st.integers(0, 9)) == 9:
        made["tls"] = {}
    made["middlewares"] = [
        f"m{index}-gN"
        for index in draw(st.lists(st.integers(0, middlewares), min_size=min(1, middlewares), max_size=3))
        if index < middlewares
    ]
    if draw(st.integers(0, 30)) == 30:
        made["middlewares"].append("absent-gN")
    return made


_headers = st.lists(
    st.one_of(
        st.sampled_from(ORIGINS).map(lambda value: ("Origin", value)),
        st.sampled_from(ORIGINS).map(lambda value: ("Origin", value)),
        st.sampled_from(("GET", "PUT", "")).map(lambda value: ("Access-Control-Request-Method", value)),
        st.sampled_from((
            ("Access-Control-Request-Headers", "x-a,content-type"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c"),
            ("Connection", "keep-alive, Upgrade"), ("X-Api-Key", "k1"), ("X-API-KEY", "k2"), ("Cookie", "a=1"), ("Accept-Encoding", "gzip"), ("Authorization", "Basic eDp5"),
            ("X-Forwarded-For", "10.1.2.3"), ("X-Forwarded-For", "9.9.9.9, 10.0.0.1"), ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "gN.test"), ("X-Real-Ip", "8.8.8.8"), ("Connection", "close"), ("Connection", "X-Api-Key"),
            ("Te", "trailers"), ("X-Forwarded-Prefix", "/q"), ("X_Forwarded_Proto", "https"), ("User-Agent", "t"), ("Forwarded", "for=1.1.1.1"),
            ("X-Forwarded-Port", "99"), ("x-mixed-case", "  v  "), ("Proxy-Authorization", "p"), ("X-Replaced-Path", "/z"),
        )),
    ),
    max_size=4,
)  # fmt: skip
_REQUEST = st.fixed_dictionaries({
    "method": st.sampled_from(METHODS),
    "target": st.builds(lambda path, query: path + query, st.sampled_from(PATHS), st.sampled_from(QUERIES)),
    "host": st.sampled_from(("gN.test", "gN.test", "gN.test", "www.gN.test", "GN.test", "gN.test:8080", "a.b.gN.test", "gN.test.", "gN.test:80")),
    "entrypoint": st.sampled_from(("plain", "plain", "plain", *ENTRYPOINTS[:5], *ENTRYPOINTS)),
    "tls": st.integers(0, 9).map(lambda value: value == 9),
    "headers": _headers,
    "up": st.integers(0, 7),
    "version": st.sampled_from(("1.1", "1.1", "1.1", "1.1", "1.0")),
})  # fmt: skip


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """Draw one group: one to four routers, up to four middlewares, eight requests."""
    middlewares = draw(st.lists(_MIDDLEWARES, min_size=2, max_size=4))
    routers = draw(st.lists(_router(len(middlewares)), min_size=1, max_size=4))
    requests = draw(st.lists(_REQUEST, min_size=8, max_size=8))
    return Group(tuple(routers), tuple(middlewares), tuple(requests))
