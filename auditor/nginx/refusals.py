"""Gathers what nginx refuses in the arguments of single directives: each directive's own rule, and what may stand once."""

from __future__ import annotations

from auditor.nginx import request_refusals, upstream_refusals
from auditor.nginx.arguments import Checker, words

OWN: dict[str, Checker] = {**request_refusals.RULES, **upstream_refusals.RULES}
"""The rules of directives that have their own."""

ONCE = words("""worker_processes events http stream mail root alias aio directio keepalive_timeout open_file_cache resolver
    try_files expires auth_request auth_basic_user_file proxy_pass grpc_pass fastcgi_pass uwsgi_pass scgi_pass
    memcached_pass charset source_charset keepalive disable_symlinks real_ip_header use internal tunnel_pass pass
    ssl_alpn proxy_ssl_name proxy_ssl_certificate proxy_ssl_certificate_key ssl_password_file proxy_ssl_password_file
    grpc_ssl_password_file uwsgi_ssl_password_file worker_priority userid_expires userid_mark""") | {
    f"{prefix}_{name}" for prefix in upstream_refusals.PREFIXES for name in ("cache_key", "cache", "store")
}
"""Directives with their own rule that may stand only once in a block."""
