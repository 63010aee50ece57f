"""What the directives that are not evaluated can change: an answer, its headers, its body, or nothing."""

from __future__ import annotations

from auditor.exchange import Unknown
from auditor.nginx import directives
from auditor.nginx.model import Node

CHANGES: dict[str, str] = {
    "sub_filter": "body",
    "ssi": "body",
    "addition_types": "body",
    "add_before_body": "body",
    "add_after_body": "body",
    "image_filter": "answer",
    "xslt_stylesheet": "body",
    "random_index": "answer",
    "gzip_static": "headers",
    "brotli_static": "headers",
    "zstd_static": "headers",
    "dav_methods": "answer",
    "secure_link": "answer",
    "secure_link_md5": "answer",
    "userid": "header:set-cookie",
    "perl": "answer",
    "auth_jwt": "answer",
    "auth_oidc": "answer",
    "auth_ldap": "answer",
    "auth_pam": "answer",
    "auth_digest": "answer",
    "js_access": "answer",
    "js_content": "answer",
    "js_header_filter": "headers",
    "js_body_filter": "body",
    "modsecurity": "answer",
    "naxsi": "answer",
    "SecRulesEnabled": "answer",
    "pagespeed": "body",
    "passenger_enabled": "answer",
    "echo": "answer",
    "echo_exec": "answer",
    "echo_location": "answer",
    "lua_need_request_body": "body",
    "set_by_lua": "answer",
    "set_by_lua_block": "answer",
    "set_by_lua_file": "answer",
    "rewrite_by_lua": "answer",
    "rewrite_by_lua_block": "answer",
    "rewrite_by_lua_file": "answer",
    "access_by_lua": "answer",
    "access_by_lua_block": "answer",
    "access_by_lua_file": "answer",
    "content_by_lua": "answer",
    "content_by_lua_block": "answer",
    "content_by_lua_file": "answer",
    "server_rewrite_by_lua_block": "answer",
    "server_rewrite_by_lua_file": "answer",
    "header_filter_by_lua": "headers",
    "header_filter_by_lua_block": "headers",
    "header_filter_by_lua_file": "headers",
    "body_filter_by_lua": "body",
    "body_filter_by_lua_block": "body",
    "body_filter_by_lua_file": "body",
    "balancer_by_lua_block": "answer",
    "set_misc": "answer",
    "testcookie": "answer",
    "limit_traffic": "limits",
    "geoip2": "nothing",
    "vod": "answer",
    "rtmp_stat": "answer",
    "push_stream_publisher": "answer",
    "push_stream_subscriber": "answer",
    "nchan_pubsub": "answer",
    "nchan_publisher": "answer",
    "nchan_subscriber": "answer",
    "mp4": "nothing",
    "flv": "nothing",
    "slice": "nothing",
}
"""What each directive concerns; those that are "off" concern nothing."""

SHIPPED = frozenset(
    {"mime.types", "proxy_params", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "koi-utf",
     "koi-win", "win-utf", "fastcgi-php.conf", "options-ssl-nginx.conf"}
)  # fmt: skip
"""Files that come with nginx or certbot, whose content changes no answer in a way that is not known."""
OFF = frozenset({("off",), ("none",)})


def unknown_effects(node: Node) -> tuple[Unknown, ...]:
    """Return what the directives in force at a node leave undecided."""
    found: dict[str, Unknown] = {}
    level: Node | None = node
    while level is not None:
        for name, lines in level.own.items():
            if name == "include":
                for line in lines:
                    if line.args and line.args[0].rsplit("/", 1)[-1] not in SHIPPED:
                        reason = f"{line.args[0]} is not here, and may say anything"
                        found[line.args[0]] = Unknown(reason, line.location, "answer")
                continue
            concerns = concern(name, lines[-1].args)
            if name not in found and concerns:
                found[name] = Unknown(f"{name} is not evaluated", lines[-1].location, concerns)
            elif name not in found and name in CHANGES:
                found[name] = Unknown("", None, "")
        level = level.parent
    return tuple(unknown for unknown in found.values() if unknown.concerns)


def concern(name: str, args: tuple[str, ...]) -> str:
    """Return what a directive can change in a way that is not evaluated; "" for nothing."""
    if args in OFF or " " in name:
        return ""
    concerns = CHANGES.get(name)
    if concerns is not None:
        return "" if concerns == "nothing" else concerns
    return "" if known(name) else "answer"


def known(name: str) -> bool:
    """Whether a directive is nginx's own, or is known to change no answer."""
    return name in directives.known("1.31.3") or name.startswith(HARMLESS)


HARMLESS = (
    "access_log", "error_log", "log_", "lua_", "init_by_lua", "init_worker_by_lua", "ssl_", "http3", "quic", "aio",
    "vhost_traffic_status", "opentracing", "opentelemetry", "otel_", "brotli", "zstd", "more_", "js_", "geoip", "vts_",
    "headers_", "datadog_", "jaeger_", "zipkin_", "pcre_", "thread_pool", "variables_hash", "stub_status", "perl_",
)  # fmt: skip
"""How the names of third-party directives begin that log, tune or compress but change no answer."""
