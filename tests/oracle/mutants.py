"""A compliant nginx configuration, the policy that it keeps, and ways in which people break it."""

from __future__ import annotations

from dataclasses import dataclass

_CORS = """add_header Access-Control-Allow-Origin $allow_origin always;
            add_header Access-Control-Allow-Credentials $allow_credentials always;
            add_header Access-Control-Expose-Headers $expose always;
            add_header Vary Origin always;
            add_header X-Content-Type-Options nosniff always;"""

CONFIGURATION = f"""\
http {{
    limit_req_zone $binary_remote_addr zone=api:1m rate=1r/s;
    map $http_origin $allow_origin {{
        default "";
        "https://app.example.com" $http_origin;
        "~^https://([a-z0-9-]+\\.)+preview\\.example\\.com$" $http_origin;
    }}
    map $allow_origin $allow_credentials {{ default true; "" ""; }}
    map $allow_origin $expose {{ default "X-Total"; "" ""; }}
    map $allow_origin $allow_methods {{ default "GET, POST, PUT, DELETE"; "" ""; }}
    map $allow_origin $allow_headers {{ default "authorization, content-type"; "" ""; }}
    map $allow_origin $max_age {{ default 600; "" ""; }}
    upstream backend {{ server @UP@; }}
    upstream other {{ server @UP2@; }}
    server {{
        listen 127.0.0.1:@P1@;
        server_name shop.example.com;
        server_tokens off;
        root @ROOT@/html;
        limit_req_status 429;
        add_header X-Content-Type-Options nosniff always;
        location /api/ {{
            limit_req zone=api burst=2 nodelay;
            {_CORS}
            if ($request_method = OPTIONS) {{
                {_CORS.replace("            ", "                ")}
                add_header Access-Control-Allow-Methods $allow_methods always;
                add_header Access-Control-Allow-Headers $allow_headers always;
                add_header Access-Control-Max-Age $max_age always;
                return 204;
            }}
            proxy_pass http://backend;
            proxy_hide_header Access-Control-Allow-Origin;
            proxy_hide_header Access-Control-Allow-Credentials;
            proxy_hide_header Access-Control-Expose-Headers;
            proxy_hide_header Vary;
            proxy_hide_header X-Content-Type-Options;
        }}
        location = /health {{ return 200 "ok"; }}
        location /internal/ {{ return 404; }}
        location / {{ return 404; }}
    }}
}}
"""

POLICY = """\
version: 1
name: mutants
settings: {fail_on: info}
targets: [{id: nginx, type: nginx, files: [nginx.conf], version: "@VERSION@"}]
routes:
  - id: api
    match: [{paths: ["/api/**"], methods: [GET, POST, PUT, DELETE]}]
    served_by: "@UP@"
    cors:
      allow_origins: ["https://app.example.com", {pattern: "https://*.preview.example.com"}]
      allow_methods: [GET, POST, PUT, DELETE]
      allow_headers: [Authorization, Content-Type]
      expose_headers: [X-Total]
      allow_credentials: true
      max_age: {max: 1h}
      vary: [Origin]
      null_origin: deny
      on_disallowed_origin: {cors_headers: absent}
      on_error: keep
    headers: &headers
      X-Content-Type-Options: nosniff
      Server: {not_regex: "[0-9]"}
    rate_limit: {rate: 1/s, burst: 2, status: 429, key: client_ip}
  - id: rest
    match: [{paths: ["/**"]}]
    headers: *headers
exposure: {denied_paths: ["/internal/**"]}
"""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to change the configuration: texts replaced, the first occurrence of each or (`all_`) every one."""

    name: str
    changes: tuple[tuple[str, str], ...]
    all_: bool = False

    def applied(self, text: str) -> str | None:
        """Return the changed configuration; None where there is nothing left to change."""
        result = text
        for old, new in self.changes:
            if old not in result:
                return None
            result = result.replace(old, new) if self.all_ else result.replace(old, new, 1)
        return result


def _one(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, ((old, new),))


def _every(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, ((old, new),), all_=True)


_APP = '"https://app.example.com" $http_origin;'
_PATTERN = r'"~^https://([a-z0-9-]+\.)+preview\.example\.com$" $http_origin;'
_LOCATION = "        location /api/ {"
_HEALTH = "        location = /health"

MUTANTS = (
    # the origins that are accepted
    _one("drop the end anchor", r'\.com$" $http_origin', r'\.com" $http_origin'),
    _one("drop the start anchor", '"~^https://(', '"~https://('),
    _one("drop both anchors", _PATTERN, r'"~https://([a-z0-9-]+\.)+preview\.example\.com" $http_origin;'),
    _one("unescape the last dot", r"preview\.example\.com", r"preview\.example.com"),
    _one("unescape the inner dot", r"preview\.example", r"preview.example"),
    _one("unescape the dot of the labels", r"[a-z0-9-]+\.)+", r"[a-z0-9-]+.)+"),
    _one("make the labels optional", r"([a-z0-9-]+\.)+preview", r"([a-z0-9-]+\.)*preview"),
    _one("any characters for labels", r"([a-z0-9-]+\.)+preview", r".+\.preview"),
    _one("any characters and no dot", r"([a-z0-9-]+\.)+preview", r".*preview"),
    _one("one label only", r"([a-z0-9-]+\.)+preview", r"[a-z0-9-]+\.preview"),
    _one("letters only", r"([a-z0-9-]+\.)+preview", r"([a-z-]+\.)+preview"),
    _one("short labels only", r"([a-z0-9-]+\.)+preview", r"([a-z0-9-]{1,8}\.)+preview"),
    _one("plain http too", "~^https://(", "~^https?://("),
    _one("any scheme", "~^https://(", "~^[a-z]+://("),
    _one("any port", r"\.com$" + '" $http_origin', r"\.com(:[0-9]+)?$" + '" $http_origin'),
    _one("any case", '"~^https', '"~*^https'),
    _one("another top-level domain", r"example\.com$", r"example\.(com|org)$"),
    _one("an alternative", r"preview\.example\.com$", r"(preview|staging)\.example\.com$"),
    _one("an alternative outside the group", r"preview\.example\.com$", r"preview\.example\.com|evil\.example$"),
    _one("one more exact origin", _APP, _APP + ' "https://partner.example.net" $http_origin;'),
    _one("the null origin", _APP, _APP + " null $http_origin;"),
    _one("plain http of the exact origin", _APP, _APP + ' "http://app.example.com" $http_origin;'),
    _one("default echoes", 'default "";', "default $http_origin;"),
    _one("default is a star", 'default "";', 'default "*";'),
    _one("drop the exact origin", _APP, ""),
    _one("drop the pattern", _PATTERN, ""),
    _one("misspell the exact origin", "https://app.example.com", "https://app.exmaple.com"),
    _one("http instead of https", '"https://app', '"http://app'),
    _one("a final slash", 'app.example.com" $http', 'app.example.com/" $http'),
    _one("another pattern denies first", _PATTERN, '"~^https://a[.]" ""; ' + _PATTERN),
    _one("a constant origin", _PATTERN, _PATTERN.replace("$http_origin", "https://app.example.com")),
    _one("echo without a map", "Access-Control-Allow-Origin $allow_origin", "Access-Control-Allow-Origin $http_origin"),
    _every("echo everywhere", "Access-Control-Allow-Origin $allow_origin", "Access-Control-Allow-Origin $http_origin"),
    _every("a star everywhere", "Access-Control-Allow-Origin $allow_origin", "Access-Control-Allow-Origin *"),
    _every("one fixed origin", "Access-Control-Allow-Origin $allow_origin", "Access-Control-Allow-Origin https://app.example.com"),
    _one("the referer decides", "map $http_origin $allow_origin", "map $http_referer $allow_origin"),
    # what else the answer grants
    _every("no credentials", "            add_header Access-Control-Allow-Credentials $allow_credentials always;\n", ""),
    _one("credentials in capitals", "{ default true;", "{ default True;"),
    _one("credentials for all", '{ default true; "" ""; }', "{ default true; }"),
    _one("one method more", "GET, POST, PUT, DELETE", "GET, POST, PUT, DELETE, PATCH"),
    _one("one method less", "GET, POST, PUT, DELETE", "GET, POST, PUT"),
    _one("any method", '"GET, POST, PUT, DELETE"', '"*"'),
    _one("one header more", "authorization, content-type", "authorization, content-type, x-admin"),
    _one("one header less", "authorization, content-type", "content-type"),
    _one("methods for all origins", '"GET, POST, PUT, DELETE"; "" "";', '"GET, POST, PUT, DELETE";'),
    _one("cached for a day", "default 600;", "default 86400;"),
    _one("exposes more", 'default "X-Total";', 'default "X-Total, X-Secret";'),
    _one("no preflight answer", "return 204;", ""),
    _one("preflight refused", "return 204;", "return 403;"),
    _one("preflight redirected", "return 204;", "return 302 /;"),
    _one("preflight of another method", "$request_method = OPTIONS", "$request_method = HEAD"),
    # what caches may do
    _every("no Vary", "            add_header Vary Origin always;\n", ""),
    _one("no Vary on answers", "            add_header Vary Origin always;\n", ""),
    _every("Vary by another header", "Vary Origin", "Vary Accept-Encoding"),
    # lost in some cases
    _every("no always on the origin", "$allow_origin always", "$allow_origin"),
    _every("no always on Vary", "Vary Origin always", "Vary Origin"),
    _every("no always on nosniff", "nosniff always", "nosniff"),
    _one("an inner header drops the outer ones", 'return 200 "ok";', 'add_header X-Kind health; return 200 "ok";'),
    _one("a header in the location", "location / {", "location / { add_header X-Kind rest always;"),
    _one("the backend may add", "            proxy_hide_header Access-Control-Allow-Origin;\n", ""),
    _one("headers twice", _LOCATION, _LOCATION + "\n            add_header Access-Control-Allow-Origin $allow_origin always;"),
    _one("no nosniff in the location", "            add_header X-Content-Type-Options nosniff always;\n            if", "            if"),
    _one("no nosniff outside", "        add_header X-Content-Type-Options nosniff always;\n", ""),
    _one("another value", "nosniff always", "sniff always"),
    _one("the version is shown", "server_tokens off;", ""),
    # limits
    _one("no limit", "            limit_req zone=api burst=2 nodelay;\n", ""),
    _one("a faster limit", "rate=1r/s", "rate=50r/s"),
    _one("a larger burst", "burst=2", "burst=40"),
    _one("a slower limit", "rate=1r/s", "rate=30r/m"),
    _one("another status", "limit_req_status 429;", "limit_req_status 503;"),
    _one("a dry run", "limit_req_status 429;", "limit_req_status 429; limit_req_dry_run on;"),
    _one("a key that clients choose", "limit_req_zone $binary_remote_addr", "limit_req_zone $http_x_forwarded_for"),
    _one("an empty key", "limit_req_zone $binary_remote_addr", "limit_req_zone $http_x_api_key"),
    _one("a key for all", "limit_req_zone $binary_remote_addr", "limit_req_zone $server_name"),
    _one("returned before it counts", "proxy_pass http://backend;", "proxy_pass http://backend; if ($http_x_skip) { return 200; }"),
    # who answers
    _one("a regex location for JSON", _HEALTH, r'        location ~ \.json$ { return 200 "{}"; }' + "\n" + _HEALTH),
    _one("a regex location for scripts", _HEALTH, r"        location ~* \.(js|css)$ { expires 1d; }" + "\n" + _HEALTH),
    _one("a regex location below", _HEALTH, r"        location ~ ^/api/v[0-9]+/ { proxy_pass http://backend; }" + "\n" + _HEALTH),
    _one("a longer prefix", _HEALTH, "        location /api/v1/ { proxy_pass http://backend; }\n" + _HEALTH),
    _one("an exact location", _HEALTH, "        location = /api/ping { return 200 pong; }\n" + _HEALTH),
    _one("another upstream", "proxy_pass http://backend;", "proxy_pass http://other;"),
    _one("another upstream in part", _LOCATION, "        location ^~ /api/admin/ { proxy_pass http://other; }\n" + _LOCATION),
    _one("a shorter prefix wins less", "location /api/ {", "location /api/v2/ {"),
    _one("the denied path is served", "location /internal/ { return 404; }", 'location /internal/ { return 200 "secret"; }'),
    _one("the denied path is proxied", "location /internal/ { return 404; }", "location /internal/ { proxy_pass http://other; }"),
    _one("the denied path in part", "location /internal/ {", "location ~ ^/internal/[a-z]+$ {"),
    _one("a rewrite out of the route", _LOCATION, "        rewrite ^/api/old/(.*)$ /old/$1;\n" + _LOCATION),
    # nothing changes
    _one("a comment", _LOCATION, "        # the interface\n" + _LOCATION),
    _one("another order", _HEALTH, "        location /unused/ { return 404; }\n" + _HEALTH),
    _one("a capturing group", r"([a-z0-9-]+\.)+preview", r"((?:[a-z0-9-]+\.)+)preview"),
    _one("the end as \\z", r"example\.com$", r"example\.com\z"),
    _one("digits written as \\d", "[a-z0-9-]", r"[a-z\d-]"),
)  # fmt: skip
"""Ways to break the configuration, and a few that change nothing: a study without those would not see false alarms."""
