"""What the real Traefik once answered otherwise than the model: each disagreement stays as a case."""

from __future__ import annotations

from typing import Any

from traefik_strategies import Group

ORIGIN = ("Origin", "https://app.test")
PUT = ("Access-Control-Request-Method", "PUT")


def _request(target: str = "/", *headers: tuple[str, str], method: str = "GET", up: int = 0, point: str = "plain",
             host: str = "gN.test", tls: bool = False, version: str = "1.1") -> dict[str, Any]:  # fmt: skip
    return {"method": method, "target": target, "host": host, "entrypoint": point, "tls": tls, "headers": list(headers), "up": up,
            "version": version}  # fmt: skip


def _group(
    middlewares: list[dict[str, Any]], *requests: dict[str, Any], rule: str = "HostRegexp(`gN`)", **router: Any
) -> Group:
    made = {
        "rule": rule,
        "service": "up",
        "middlewares": [f"m{index}-gN" for index in range(len(middlewares))],
        **router,
    }
    return Group((made,), tuple(middlewares), requests)


def _cors(**options: Any) -> dict[str, Any]:
    return {"headers": {"accessControlAllowOriginList": ["https://app.test"], **options}}


_ERRORS = {"errors": {"status": ["404", "500-599"], "service": "up", "query": "e?u={url}&s={status}"}}
FOUND: dict[str, Group] = {
    "a star with credentials echoes any origin, and an empty one too": _group(
        [{"headers": {"accessControlAllowOriginList": ["null", "*"], "accessControlAllowCredentials": True}}],
        _request("/", ("Origin", "https://evil.test")), _request(), _request("/", ORIGIN, PUT, method="OPTIONS")),
    "a star of headers or methods with credentials echoes what is asked": _group(
        [_cors(accessControlAllowHeaders=["X", "*"], accessControlAllowMethods=["*"], accessControlAllowCredentials=True)],
        _request("/", ORIGIN, PUT, method="OPTIONS"),
        _request("/", ORIGIN, PUT, ("Access-Control-Request-Headers", "x-a"), method="OPTIONS")),
    "a star of exposed headers with credentials is not sent": _group(
        [_cors(accessControlExposeHeaders=["*", "A"], accessControlAllowCredentials=True)], _request("/", ORIGIN)),
    "a preflight carries the exposed headers, and a maximum age only where one is set": _group(
        [_cors(accessControlExposeHeaders=["A"])], _request("/", ORIGIN, PUT, method="OPTIONS")),
    "a maximum age of 0 is sent": _group([_cors(accessControlMaxAge=0)], _request("/", ORIGIN, PUT, method="OPTIONS")),
    "headers that set nothing are refused, and the router with them": _group(
        [{"headers": {"frameDeny": False, "accessControlAllowHeaders": []}}], _request()),
    "an stsSeconds of 0 sets something": _group([{"headers": {"stsSeconds": 0}}], _request(tls=True), tls={}),
    "statuses joined by a comma in a list are refused": _group(
        [{"errors": {"status": ["404,503"], "service": "up", "query": "/e"}}], _request(up=2)),
    "statuses joined by a comma in a text are read": _group(
        [{"errors": {"status": "404,503", "service": "up", "query": "/e"}}], _request(up=2)),
    "a router whose service is missing is not there": _group([], _request(), service="missing"),
    "an empty value makes a rule refused": _group([], _request("/?a="), rule="Host(`gN.test`) && Query(`a`, ``)"),
    "redirectScheme believes a trusted X-Forwarded-Proto": _group(
        [{"redirectScheme": {"scheme": "https", "permanent": True}}],
        _request("/", ("X-Forwarded-Proto", "https"), point="trusted", method="POST"), _request("/", ("X-Forwarded-Proto", "https"))),
    "redirectRegex sees the port 80 and the URL as sent": _group(
        [{"redirectRegex": {"regex": "/old/(.*)$", "replacement": "/new/$1"}}], _request("/old/a?b;c", host="gN.test:80")),
    "a redirection without a scheme is a bad gateway": _group(
        [{"redirectRegex": {"regex": "^(http)://", "replacement": "$1s://"}}], _request("/x")),
    "a stripped path that is not clean is refused": _group(
        [{"stripPrefix": {"prefixes": ["/api"]}}], _request("/api/./x", point="raw"), _request("/api//x", point="raw"), _request("/api")),
    "a path replaced by nothing is replaced": _group(
        [{"replacePathRegex": {"regex": "^/api", "replacement": ""}}], _request("/api/x"), _request("/x")),
    "a malformed escape in a new path is said": _group(
        [{"replacePathRegex": {"regex": "^/api", "replacement": "$0/%zz"}}], _request("/api/x")),
    "a new path without a slash drops a malformed query": _group(
        [{"replacePathRegex": {"regex": "y*", "replacement": "-"}}], _request("/api?x=%zz"), _request("/api?")),
    "a replaced path is written as it was kept": _group(
        [{"replacePath": {"path": "/r?q=1"}}, {"replacePath": {"path": "/a b"}}], _request("/x")),
    "compression leaves HEAD alone": _group(
        [{"compress": {}}], _request("/", ("Accept-Encoding", "gzip"), method="HEAD"), _request("/", ("Accept-Encoding", "gzip"), up=1)),
    "a buffer does not count what HEAD does not get": _group(
        [{"buffering": {"maxRequestBodyBytes": 9}}, {"basicAuth": {"users": ["u:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"]}}],
        _request(method="HEAD"), _request()),
    "contentType names what Traefik says, but not through a buffer": _group(
        [{"contentType": {}}, {"redirectScheme": {"scheme": "https"}}], _request()),
    "contentType inside a buffer is lost": _group(
        [{"buffering": {"maxRequestBodyBytes": 9}}, {"contentType": {}}], _request(), service="down"),
    "an error page is told the whole URL, as the stages inside left it": _group(
        [_ERRORS, {"stripPrefix": {"prefixes": ["/api"]}}], _request("/api/x?a=1", up=2), _request("/api/x?", up=2),
        _request("/x", ("X-Forwarded-Proto", "https"), point="trusted", up=3), _request("/x", method="HEAD", up=2)),
    "retry hands a copy on": _group([_ERRORS, {"retry": {"attempts": 2}}, {"stripPrefix": {"prefixes": ["/api"]}}], _request("/api/x", up=3)),
    "an error page of an answer without a body has a length": _group(
        [{"errors": {"status": ["503"], "service": "up", "query": ""}}], _request(up=4), service="none"),
    "preservePath joins what is left of the path": _group(
        [{"stripPrefix": {"prefixes": ["/api"]}}], _request("/api"), _request("/api/x"), service="based"),
    "semicolons of a query are kept, replaced or escaped": _group(
        [], _request("/?a=1;b=2"), _request("/?a=1;b=2", point="raw"), _request("/?a=1;b=2", point="redirect")),
    "a path beyond ASCII is compared as its bytes": _group([], _request("/%e4%bd%a0"), rule="Host(`gN.test`) && PathPrefix(`/你`)"),
    "the first value of a query counts in version 2": _group(
        [], _request("/?a=2&a=1"), _request("/?a=1&a=2"), rule="Host(`gN.test`) && Query(`a=1`)", ruleSyntax="v2"),
    "a path that does not parse drops a malformed query, also behind a base": _group(
        [{"replacePathRegex": {"regex": "y*", "replacement": "-"}}], _request("/old?x=%zz"), service="based"),
    "a redirection that leaves the URL takes it apart again": _group(
        [_ERRORS, {"replacePathRegex": {"regex": "y*", "replacement": "-"}}, {"redirectScheme": {"scheme": "http"}}],
        _request("/api/x/?a=1"), _request("/api/?a=1;b=2", up=2)),
    "a noop service has no body": _group([], _request(), service="noop@internal"),
    **{f"a redirection that leaves the URL cannot take a host like {host!r} apart, or can": _group(
        [{"headers": {"customRequestHeaders": {"Host": host}}}, {"redirectRegex": {"regex": "(.*)", "replacement": "$1"}}], _request("/x"))
        for host in ("1; mode", "a;b", "a%b", "a:b", "a:b:c", "a:8", "a:", "a[b", "[::1", "[::1]", "[::1]:80", "[1.2.3.4]", "a]b", "a^b", "a|b",
                     "a'b", "a b", "u@h", "a%C3%A9", "a%41", "a%25")},
    "an error page cannot be asked for under a host that Go cannot take apart": _group(
        [{"errors": {"status": ["404"], "service": "up", "query": ""}}, {"headers": {"customRequestHeaders": {"Host": "1; mode"}}}],
        _request("/old?", method="OPTIONS", up=2), _request("/x", up=2), _request("/x")),
    "a buffer does not count an error page that Traefik makes itself": _group(
        [{"buffering": {"maxRequestBodyBytes": 9}}, {"errors": {"status": ["404"], "service": "none", "query": ""}}],
        _request(method="HEAD", up=2), _request(up=2), _request(method="HEAD")),
    **{f"what comes back through retry with {attempts} attempts replaces lines set before, or not": _group(
        [{"compress": {}}, {"compress": {}}, {"retry": {"attempts": attempts}}],
        _request("/", ("Accept-Encoding", "gzip"), up=2), _request("/", ("Accept-Encoding", "gzip"))) for attempts in (1, 2)},
    "the URL that an error page is told has a slash before a path that has none": _group(
        [_ERRORS, {"replacePathRegex": {"regex": "y*", "replacement": "-"}}], _request("/api/x?x=%zz", method="OPTIONS", up=2)),
    "a buffer counts what came from upstream, whatever headers were added to it": _group(
        [{"buffering": {"maxRequestBodyBytes": 9}}, {"headers": {"frameDeny": True}}], _request(method="HEAD"), _request(method="HEAD", up=7)),
    "a host of a middleware's is sent on": _group([{"headers": {"customRequestHeaders": {"Host": "other.test"}}}], _request()),
}  # fmt: skip
