"""The declarative directives a generated configuration may carry: at which levels, how often, and how each is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nginx_tree import Node, block, directive
from nginx_words import CODES, HEADER_NAMES, ODD_CODES, ODD_HEADER_NAMES

if TYPE_CHECKING:
    from nginx_strategies import Writer

Level = Literal["http", "server", "location", "if", "server-if", "limit_except"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One directive, or a few that belong together."""

    name: str
    levels: frozenset[str]
    weight: int
    make: Callable[[Writer, Level], list[Node]]
    since: tuple[int, ...] = ()
    until: tuple[int, ...] = ()

    def usable(self, w: Writer) -> bool:
        """Whether the version knows it and what it needs is declared."""
        if self.since and w.version < self.since:
            return False
        if self.name.startswith("limit_req"):
            return bool(w.zones)
        return bool(w.connection_zones) if self.name == "limit_conn" else True


def _add_header(w: Writer, _: Level) -> list[Node]:
    nodes = []
    for _line in range(1 + w.dice.below(3)):
        name = w.dice.pick(HEADER_NAMES) if w.dice.chance(88) else w.dice.pick(ODD_HEADER_NAMES)
        value = w.value(late=w.dice.chance(25)) if w.dice.chance(92) else ""
        if name == "Access-Control-Allow-Origin":
            value = w.dice.pick(["$http_origin", "*", "https://ok.test", *(f"${own}" for own in w.own)])
        nodes.append(directive("add_header", name, value, *(["always"] if w.dice.chance(40) else [])))
    return nodes


_COMMON = (404, 403, 502, 401, 405, 500, 503, 400, 413, 301, 302, 418, 429)


def _error_page(w: Writer, _: Level) -> list[Node]:
    nodes = []
    for _line in range(1 + w.dice.below(2)):
        pool = _COMMON if w.dice.chance(80) else [c for c in (*CODES, *ODD_CODES) if 300 <= c < 600 and c != 499]
        codes = [str(c) for c in w.dice.some(pool, 3)] or ["404"]
        how = w.dice.weighted(
            [(50, ()), (15, ("=200",)), (12, ("=",)), (5, ("=204",)), (4, ("=404",)), (3, ("=301",)), (2, ("=503",))]
        )
        to = [(50, w.dice.pick(["/e/404.html", "/e/50x.html", "/ok", "/nope", "/p/x", "/fail", "/int/e", "/a.txt"]))]
        to += [(12, w.dice.pick(["/ok?e=1", "/e$uri", "/ok?$args", "$uri", "/p/$v0", "/a/b?u=$request_uri"]))]
        to += [(8, w.dice.pick(["https://other.test/e", "http://$host/e", "$v0"]))]
        if w.named:
            to.append((60, w.dice.pick(w.named)))
        if w.dice.chance(2):
            to.append((20, "@missing"))
        nodes.append(directive("error_page", *codes, *how, w.dice.weighted(to)))
    return nodes


def _proxy_set_header(w: Writer, _: Level) -> list[Node]:
    names = [
        "Host",
        "X-Real-IP",
        "X-A",
        "X-Forwarded-For",
        "Connection",
        "Upgrade",
        "X-Up-Status",
        "Origin",
        "x-b",
        "Accept-Encoding",
        "X-Forwarded-Proto",
        "Cookie",
    ]
    values = {"Host": ["$host", "$http_host", "$proxy_host", "fixed.test", "$server_name"], "Connection": ["", "upgrade", "close", "$http_connection"],
              "X-Up-Status": ["404", "301", "", "$arg_q"], "Upgrade": ["$http_upgrade"], "X-Real-IP": ["$remote_addr"]}  # fmt: skip
    return [
        directive(
            "proxy_set_header", name, w.dice.pick(values[name]) if name in values else w.value(late=w.dice.chance(10))
        )
        for name in (w.dice.pick(names) for _ in range(1 + w.dice.below(2)))
    ]


def _one(name: str, *values: str) -> Callable[[Writer, Level], list[Node]]:
    return lambda w, _: [directive(name, *w.dice.pick(values).split(" "))]


def _several(name: str, *values: str, most: int = 2) -> Callable[[Writer, Level], list[Node]]:
    return lambda w, _: [
        directive(name, *v.split(" "))
        for v in dict.fromkeys(w.dice.pick(values) for _ in range(1 + w.dice.below(most)))
    ]


def _access(w: Writer, _: Level) -> list[Node]:
    rules = ["all", "127.0.0.1", "127.0.0.2", "127.0.0.0/30", "10.0.0.0/8", "127.0.0.0/8", "::1"]
    return [directive(w.dice.pick(["deny", "allow"]), w.dice.pick(rules)) for _ in range(1 + w.dice.below(3))]


def _auth(w: Writer, _: Level) -> list[Node]:
    realm = w.dice.pick(["realm", "r $host", "off", "", "$arg_q"])
    nodes = [directive("auth_basic", realm)]
    if w.dice.chance(90):
        nodes.append(
            directive(
                "auth_basic_user_file", w.dice.pick(["@ROOT@/htpasswd", "@ROOT@/htpasswd", "htpasswd", "missing"])
            )
        )
    return nodes


def _limit_req(w: Writer, _: Level) -> list[Node]:
    burst = w.dice.pick([(), (), ("burst=1", "nodelay"), ("burst=3", "nodelay")])
    return [directive("limit_req", f"zone={zone}", *burst) for zone in w.dice.some(w.zones, 2) or w.zones[:1]]


def _types(w: Writer, _: Level) -> list[Node]:
    entries = w.dice.some(
        [
            directive("text/css", "css"),
            directive("text/html", "html", "htm"),
            directive("x/php", "php", "txt"),
            directive("image/gif", "gif"),
        ],
        3,
    )
    return [block("types", of=entries)]


def _gzip(w: Writer, level: Level) -> list[Node]:
    nodes = [directive("gzip", w.dice.pick(["on", "on", "off"]))]
    if level == "if":
        return nodes
    if w.dice.chance(70):
        nodes.append(directive("gzip_vary", "on"))
    if w.dice.chance(40):
        nodes.append(directive("gzip_types", w.dice.pick(["text/plain", "*", "text/css"])))
    if w.dice.chance(20):
        nodes.append(directive("gzip_min_length", "1"))
    return nodes + ([directive("gzip_proxied", "any")] if w.dice.chance(30) else [])


def _realip(w: Writer, _: Level) -> list[Node]:
    nodes = [directive("set_real_ip_from", w.dice.pick(["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8"]))]
    if w.dice.chance(60):
        nodes.append(directive("real_ip_header", w.dice.pick(["X-Forwarded-For", "X-Real-IP", "X-A"])))
    return nodes + ([directive("real_ip_recursive", "on")] if w.dice.chance(30) else [])


def _more(w: Writer, _: Level) -> list[Node]:
    nodes = []
    for _line in range(1 + w.dice.below(2)):
        if w.dice.chance(35):
            nodes.append(directive("more_clear_headers", w.dice.pick(["X-A", "Server", "X-*", "Content-Type", "X-U"])))
        else:
            only = w.dice.weighted([(70, ()), (20, ("-s", "404 502")), (10, ("-t", "text/html"))])
            name = w.dice.pick(["X-A", "X-M", "Server", "Cache-Control", "Content-Type", "X-U"])
            nodes.append(directive("more_set_headers", *only, f"{name}: {w.value(captures=False)}"))
    return nodes


def _on_off(name: str) -> Callable[[Writer, Level], list[Node]]:
    return _one(name, "on", "off")


def _feature(
    name: str, levels: str, weight: int, make: Callable[[Writer, Level], list[Node]], since: tuple[int, ...] = ()
) -> Feature:
    words = {"M": "http", "S": "server", "L": "location", "I": "if", "X": "limit_except"}
    return Feature(name, frozenset(words[letter] for letter in levels), weight, make, since)


_EXPIRES = ("off", "epoch", "max", "1h", "-1", "0", "30s", "modified 5m", "$arg_q", "@15h", "1d")
FEATURES = (
    _feature("add_header", "MSLI", 34, _add_header),
    _feature("add_header_inherit", "MSL", 7, _one("add_header_inherit", "on", "off", "merge"), since=(1, 29, 3)),
    _feature("error_page", "MSLI", 18, _error_page),
    _feature("recursive_error_pages", "MSL", 5, _on_off("recursive_error_pages")),
    _feature("proxy_intercept_errors", "MSL", 7, _on_off("proxy_intercept_errors")),
    _feature("proxy_set_header", "MSL", 10, _proxy_set_header),
    _feature("proxy_hide_header", "MSL", 5, _several("proxy_hide_header", "X-U", "Content-Type", "Set-Cookie", "x-frame-options", "Cache-Control", "Location")),
    _feature("proxy_pass_header", "MSL", 4, _several("proxy_pass_header", "Server", "Date", "X-U", "X-Pad", "X-Accel-Redirect")),
    _feature("proxy_redirect", "MSL", 4, _several("proxy_redirect", "http://up.test/ /front/", "/ /x/", "http://$host/ /h/", "~^http://up\\.test/(.*)$ https://pub.test/$1", "~*^/A(.*) /z$1", "http://up.test http://$server_name")),
    _feature("proxy_redirect", "MSL", 1, _one("proxy_redirect", "off")),
    _feature("proxy_cookie_domain", "MSL", 2, _several("proxy_cookie_domain", "up.test $host", ".up.test $server_name", "~\\.?up\\.test$ .pub.test")),
    _feature("proxy_cookie_path", "MSL", 2, _several("proxy_cookie_path", "/ /front/", "/app/ /", "~^/a(.*)$ /z$1")),
    _feature("proxy_cookie_flags", "MSL", 2, _several("proxy_cookie_flags", "c secure httponly", "~ samesite=strict", "c nosecure"), since=(1, 19, 3)),
    _feature("proxy_ignore_headers", "MSL", 1, _several("proxy_ignore_headers", "X-Accel-Redirect", "Vary", "Cache-Control")),
    _feature("proxy_http_version", "MSL", 2, _one("proxy_http_version", "1.0", "1.1")),
    _feature("proxy_method", "MSL", 1, _one("proxy_method", "POST", "GET")),
    _feature("proxy_pass_request_headers", "MSL", 1, _on_off("proxy_pass_request_headers")),
    _feature("proxy_pass_request_body", "MSL", 1, _on_off("proxy_pass_request_body")),
    _feature("access", "MSLX", 7, _access),
    _feature("satisfy", "MSL", 3, _one("satisfy", "any", "all")),
    _feature("auth_basic", "MSLX", 5, _auth),
    _feature("auth_request", "MSL", 4, _one("auth_request", "/auth", "/ok", "off", "/p/auth")),
    _feature("auth_request_set", "MSL", 1, _one("auth_request_set", "$v0 $upstream_http_x_u", "$v1 $upstream_status")),
    _feature("large_headers", "MS", 2, _one("large_client_header_buffers", "1 512", "2 512", "3 1k")),
    _feature("proxy_set_body", "MSL", 1, _one("proxy_set_body", "fixed", "$arg_q")),
    _feature("server_tokens", "MSL", 5, _on_off("server_tokens")),
    _feature("default_type", "MSL", 5, _one("default_type", "text/html", "application/json", "x/y")),
    _feature("types", "MSL", 3, _types),
    _feature("root", "I", 3, _one("root", "alt", "html", "secret")),
    _feature("etag", "MSL", 1, _on_off("etag")),
    _feature("if_modified_since", "MSL", 1, _one("if_modified_since", "off", "exact", "before")),
    _feature("merge_slashes", "MS", 5, _on_off("merge_slashes")),
    _feature("underscores_in_headers", "MS", 4, _on_off("underscores_in_headers")),
    _feature("ignore_invalid_headers", "MS", 4, _on_off("ignore_invalid_headers")),
    _feature("client_max_body_size", "MSL", 4, _one("client_max_body_size", "0", "1", "10", "1m")),
    _feature("absolute_redirect", "MSL", 3, _on_off("absolute_redirect")),
    _feature("port_in_redirect", "MSL", 2, _on_off("port_in_redirect")),
    _feature("server_name_in_redirect", "MSL", 2, _on_off("server_name_in_redirect")),
    _feature("expires", "MSLI", 7, _one("expires", *_EXPIRES)),
    _feature("limit_req", "MSL", 10, _limit_req),
    _feature("limit_req_status", "MSL", 4, _one("limit_req_status", "429", "503", "444", "404")),
    _feature("limit_req_dry_run", "MSL", 2, _on_off("limit_req_dry_run")),
    _feature("limit_conn", "MSL", 2, _one("limit_conn", "c0 1", "c0 5")),
    _feature("index", "MSL", 3, _one("index", "index.htm index.html", "nope.html /ok", "x.css", "/ok", "index.$arg_q")),
    _feature("autoindex", "MSL", 2, _on_off("autoindex")),
    _feature("gzip", "MSLI", 3, _gzip),
    _feature("charset", "MSLI", 1, _one("charset", "utf-8", "off", "$arg_q")),
    _feature("max_ranges", "MSL", 1, _one("max_ranges", "0", "1")),
    _feature("realip", "MSL", 2, _realip),
    _feature("more_headers", "MSLI", 4, _more, since=(1, 31)),
    _feature("add_trailer", "MSLI", 1, _one("add_trailer", "X-T v", "X-T $arg_q always")),
    _feature("keepalive", "MSL", 2, _one("keepalive_timeout", "0", "10s", "5s 4s")),
    _feature("keepalive_requests", "MSL", 1, _one("keepalive_requests", "0", "1", "2", "100")),
    _feature("keepalive_disable", "MSL", 1, _one("keepalive_disable", "none", "safari", "msie6")),
    _feature("msie_padding", "MSL", 1, _on_off("msie_padding")),
    _feature("proxy_next_upstream", "MSL", 2, _one("proxy_next_upstream", "off", "error http_503", "http_404 http_500 non_idempotent", "error timeout http_502")),
    _feature("log_not_found", "MSL", 1, _one("log_not_found", "off")),
    _feature("max_headers", "MS", 1, _one("max_headers", "3", "100"), since=(1, 29, 8)),
    _feature("valid_referers", "SL", 2, _several("valid_referers", "none blocked *.test", "~ok\\.test server_names", "*.test", "none a.test/a/", most=1)),
    _feature("tuning", "MSL", 2, _one("proxy_read_timeout", "7s")),
    _feature("tuning2", "MSL", 2, _one("sendfile", "on", "off")),
    _feature("chunked", "MSL", 1, _one("chunked_transfer_encoding", "off", "on")),
)  # fmt: skip
