"""Answers where a directive may stand and how many arguments it takes, for one version of nginx."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from auditor.dataclass import dataclass
from auditor.nginx.directive_table import FURTHER, STANDARD

ANY_NUMBER = ~0


@dataclass(frozen=True, slots=True)
class Rule:
    """What nginx wants of one directive in one context.

    `arity`: bit n is set where n arguments are allowed. `kind` and `detail` say what the arguments are (`arguments.py`).
    """

    arity: int
    block: bool
    kind: str
    detail: str = ""


_FAMILIES = {
    "core": {"main": "main"},
    "event": {"events": "events"},
    "http": {},
    "stream": {"server": "stream-server", "upstream": "stream-upstream"},
    "mail": {"server": "mail-server"},
}

SINCE = {
    "http2": "1.25.1",
    "http3": "1.25.0",
    "http3_hq": "1.25.0",
    "http3_max_concurrent_streams": "1.25.0",
    "http3_stream_buffer_size": "1.25.0",
    "quic_active_connection_id_limit": "1.25.0",
    "quic_bpf": "1.25.0",
    "quic_gso": "1.25.0",
    "quic_host_key": "1.25.0",
    "quic_retry": "1.25.0",
    "proxy_pass_trailers": "1.27.2",
    "keepalive_min_timeout": "1.27.4",
    "ssl_certificate_cache": "1.27.4",
    "ssl_object_cache_inheritable": "1.27.4",
    "proxy_ssl_certificate_cache": "1.27.4",
    "grpc_ssl_certificate_cache": "1.27.4",
    "uwsgi_ssl_certificate_cache": "1.27.4",
    "early_hints": "1.29.0",
    "ssl_certificate_compression": "1.29.1",
    "add_header_inherit": "1.29.3",
    "add_trailer_inherit": "1.29.3",
    "ssl_ech_file": "1.29.4",
}
"""The first version that has a directive, for those newer than 1.22 (nginx.org, CHANGES)."""

RECENT = r"sticky|least_time|tunnel_\w+|(?:proxy|fastcgi|uwsgi|scgi|grpc)_socket_(?:rcv|snd)buf"
"""Directives of 1.31.3 that 1.26 does not have; in which version between they came is not known here."""

NEWER_VALUES: dict[str, tuple[tuple[str, str], ...]] = {
    "proxy_http_version": (("2", "1.29.4"),),
    "keepalive": (("0", "1.29.7"), ("local", "1.29.7")),
    "server": (("resolve", "1.27.3"), ("service=.*", "1.27.3"), ("route=.*", "1.29.6"), ("drain", "1.29.6")),
}
"""Values (as patterns) that a directive takes since a version (nginx.org, CHANGES)."""

_UPSTREAM_SINCE = frozenset({"resolver", "resolver_timeout"})
"""Directives that an upstream takes since 1.27.3, and other blocks always took."""

UNTIL = {"ssl": "1.25.1"}
"""The first version that no longer has a directive (nginx.org, CHANGES)."""

_FOREIGN = r"""(?x)(?:
      \w+_by_lua\w* | lua_\w+ | brotli\w* | zstd\w* | vhost_traffic_status\w* | modsecurity\w* | geoip2\w* | passenger\w*
    | rails_\w+ | auth_ldap\w* | auth_pam\w* | auth_gss\w* | auth_digest\w* | auth_oidc\w* | auth_require | nchan_\w+
    | push_stream\w* | upload_\w+ | srcache_\w+ | redis2?_\w+ | memc_\w+ | drizzle_\w+ | postgres_\w+ | rds_\w+
    | encrypted_session\w* | set_(?:en|de)crypt_session | array_\w+ | xss_\w+ | iconv_\w+ | set_iconv | form_input\w*
    | set_form_input\w* | fancyindex\w* | dav_ext_\w+ | subs_filter\w* | check | check_\w+ | testcookie\w* | ndk_\w+
    | MainRule | BasicRule | SecRulesEnabled | SecRulesDisabled | LearningMode | CheckRule | DeniedUrl | LibInjection\w+
    | naxsi\w* | opentracing\w* | zipkin\w* | jaeger\w* | opentelemetry\w* | otel_\w+ | NginxModule\w+
    | security_headers\w* | hide_server_tokens | immutable\w* | app_protect\w* | acme_\w+ | mgmt | usage_report
    | status_zone | status | status_format | health_check\w* | match | api | queue | ntlm | state | sticky\w* | zone_sync\w*
    | session_log\w* | f4f\w* | hls\w* | (?:proxy|fastcgi|uwsgi|scgi)_cache_purge | cache_purge\w* | fair | upstream_fair\w*
    | upstream_conf | limit_zone | limit_upstream\w* | dyups\w* | concat\w* | footer\w* | trim\w* | pagespeed\w*
    | slowfs_\w+ | accept_language\w* | set_from_accept_language | rtmp\w* | js_\w+ | auth_jwt\w* | keyval\w*
    | echo\w* | more_\w+ | set_\w+ | ip2location\w* | ssl_ct\w* | ct_\w+ | ssl_dyn_rec\w* | http2_\w+ | spdy_\w+
    | access_by_\w+ | cookie_flag | set_cookie_flag | secure_cookie\w* | bot_verifier\w* | length_hiding\w*
    | sysguard\w* | traffic_accounting\w* | waf\w* | vod\w* | video_\w+ | small_light\w* | eval\w* | replace_filter\w*
    | aws_\w+ | proxy_connect\w* | bodyfilter\w* | log_(?:zmq|json|sqlite|escape)\w* | statsd\w* | graphite\w*
    | pinba\w* | googlepay | google_perftools\w* | real_ip_\w+ | req_status\w* | user_agent | consistent_hash | jdomain
    | healthcheck\w* | drop_\w+ | perl\w* | image_filter\w* | xslt\w* | geoip\w* | memcached_force_ranges | ssl_engine
    | xml_entities | js_include | least_time | server_header | override_\w+ | tfs_\w+ | tengine\w* | sorted_querystring\w*
    )"""


def foreign(name: str) -> bool:
    """Whether a name is one that a module outside nginx's own source is known to define."""
    return re.fullmatch(_FOREIGN, name) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Return a version as numbers that compare, "1.25.1" as (1, 25, 1)."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])


def _rows() -> Iterator[tuple[str, tuple[str, ...], str, str, tuple[str, ...]]]:
    for line in (STANDARD.strip() + FURTHER.rstrip()).replace("\n    ", " ").splitlines():
        family, contexts, arity, kind, names = (part.strip() for part in line.split("|"))
        yield family, tuple(contexts.split()), arity, kind, tuple(names.split())


def _rule(arity: str, kind: str) -> Rule:
    """Return the rule that a row of the table states."""
    bits = 0
    block = "B" in arity
    text = arity.replace("B", "")
    if text == "F":
        bits = 2
    elif text == "*":
        bits = ANY_NUMBER
    elif text.endswith("+"):
        bits = ANY_NUMBER << int(text[0])
    else:
        for digit in text:
            bits |= 1 << int(digit)
    name, _, detail = kind.partition(":")
    return Rule(bits, block, name, detail)


@functools.cache
def rules(version: str) -> dict[str, dict[str, Rule]]:
    """Return, by context and then by name, the directives that a version of nginx has."""
    wanted = version_key(version)
    result: dict[str, dict[str, Rule]] = {}
    for family, contexts, arity, kind, names in _rows():
        rule = _rule(arity, kind)
        for name in names:
            if name in SINCE and version_key(SINCE[name]) > wanted:
                continue
            if wanted < (1, 27) and family == "http" and re.fullmatch(RECENT, name):
                continue
            if name in UNTIL and version_key(UNTIL[name]) <= wanted and family == "http":
                continue
            for context in contexts:
                if family == "http" and context == "upstream" and name in _UPSTREAM_SINCE and wanted < (1, 27, 3):
                    continue
                result.setdefault(_FAMILIES[family].get(context, context), {}).setdefault(name, rule)
    return result


@functools.cache
def known(version: str) -> dict[str, tuple[str, ...]]:
    """Return the contexts of each directive that a version of nginx has."""
    result: dict[str, list[str]] = {}
    for context, names in rules(version).items():
        for name in names:
            result.setdefault(name, []).append(context)
    return {name: tuple(contexts) for name, contexts in result.items()}
