"""Writes the large nginx configuration that the benchmarks read: servers, locations, maps, limits, headers."""

from __future__ import annotations

_HEAD = """\
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log warn;
pid /run/nginx.pid;
events {
    worker_connections 1024;
}
http {
    types { text/html html htm; text/css css; application/javascript js; application/json json; image/png png; }
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"';
    access_log /var/log/nginx/access.log main;
    sendfile on;
    keepalive_timeout 65;
    gzip on;
    gzip_types text/plain text/css application/json application/javascript;
    server_names_hash_bucket_size 128;
    limit_req_zone $binary_remote_addr zone=api:10m rate=10r/s;
    limit_conn_zone $binary_remote_addr zone=addr:10m;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    map $http_origin $cors_origin {
        default "";
"""

_SERVER = """\
    # tenant {n}
    upstream app{n} {{
        server 127.0.0.1:{port};
        server 127.0.0.1:{next_port} backup;
        keepalive 16;
    }}
    server {{
        listen 80;
        server_name tenant{n}.example.com *.tenant{n}.example.net;
        root /srv/www/tenant{n};
        add_header X-Content-Type-Options nosniff always;
        add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;
        client_max_body_size 10m;
        error_page 502 503 504 /api_error.html;
"""

_LOCATIONS = (
    """\
        location /api/v{k}/ {{
            limit_req zone=api burst=20 nodelay;
            limit_conn addr 10;
            proxy_pass http://app{n}/v{k}/;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 120s;
            add_header Access-Control-Allow-Origin $cors_origin always;
            add_header Vary Origin always;
            if ($request_method = OPTIONS) {{
                add_header Access-Control-Allow-Methods "GET, POST, OPTIONS";
                return 204;
            }}
        }}
""",
    """\
        location ~* ^/assets{k}/.*\\.(?:css|js|png)$ {{
            expires 30d;
            add_header Cache-Control "public, immutable";
            try_files $uri =404;
        }}
""",
    """\
        location = /health{k} {{
            access_log off;
            return 200 "ok {n} {k}\\n";
        }}
""",
    """\
        location ^~ /static{k}/ {{
            alias /srv/static/{n}/{k}/;
            autoindex off;
            rewrite ^/static{k}/old/(.*)$ /static{k}/new/$1 last;
        }}
""",
)


def big_configuration(servers: int = 100, locations: int = 20) -> str:
    """Return a configuration of `servers` servers with `locations` locations each, of four kinds in turn."""
    parts = [_HEAD]
    parts += [f'        "~^https://app{n}\\.example\\.(?:com|org)$" $http_origin;\n' for n in range(servers)]
    parts.append("    }\n")
    for n in range(servers):
        parts.append(_SERVER.format(n=n, port=10000 + 2 * n, next_port=10001 + 2 * n))
        parts += [_LOCATIONS[k % len(_LOCATIONS)].format(n=n, k=k) for k in range(locations)]
        parts.append("    }\n")
    parts.append("}\n")
    return "".join(parts)


_CORS_SERVER = """\
    map $http_origin $allow{n} {{
        default "";
        "https://app.example.com" $http_origin;
        "~^https://([a-z0-9-]+\\.)+preview\\.example\\.com$" $http_origin;
    }}
    map $allow{n} $credentials{n} {{ default true; "" ""; }}
    map $allow{n} $methods{n} {{ default "GET, POST, PUT, DELETE"; "" ""; }}
    map $allow{n} $headers{n} {{ default "authorization, content-type"; "" ""; }}
    map $allow{n} $age{n} {{ default 600; "" ""; }}
    server {{
        listen 80;
        server_name service{n}.example.com;
        root /srv/service{n};
        client_max_body_size 10m;
        location / {{ return 404; }}
"""

_CORS_HEADERS = """\
            add_header Access-Control-Allow-Origin $allow{n} always;
            add_header Access-Control-Allow-Credentials $credentials{n} always;
            add_header Vary Origin always;
"""

_CORS_LOCATION = (
    """\
        location /api{k}/ {{
            limit_req zone=api burst=20 nodelay;
"""
    + _CORS_HEADERS
    + """\
            if ($request_method = OPTIONS) {{
"""
    + _CORS_HEADERS.replace("            ", "                ")
    + """\
                add_header Access-Control-Allow-Methods $methods{n} always;
                add_header Access-Control-Allow-Headers $headers{n} always;
                add_header Access-Control-Max-Age $age{n} always;
                return 204;
            }}
            proxy_pass http://127.0.0.1:{port}/v{k}/;
            proxy_set_header Host $host;
            proxy_hide_header Access-Control-Allow-Origin;
            proxy_hide_header Access-Control-Allow-Credentials;
            proxy_hide_header Access-Control-Expose-Headers;
            proxy_hide_header Vary;
        }}
        location = /api{k} {{ return 404; }}
"""
)

CORS_POLICY = """\
version: 1
name: services
targets:
  - {id: nginx, type: nginx, files: [nginx.conf]}
routes:
  - id: api
    match: [{paths: [%s]}]
    cors:
      allow_origins: ["https://app.example.com", {pattern: "https://*.preview.example.com"}]
      allow_methods: [GET, POST, PUT, DELETE]
      allow_headers: [Authorization, Content-Type]
      expose_headers: []
      allow_credentials: true
      max_age: {max: 24h}
      vary: [Origin]
      null_origin: deny
  - id: rest
    match: [{paths: ["/**"]}]
    cors: {enabled: false}
"""


def cors_configuration(servers: int, locations: int) -> tuple[str, str]:
    """Return a configuration of services that each allow the same origins in their own way, and its policy."""
    parts = [
        "events {}\nhttp {\n    server_names_hash_bucket_size 128;\n    limit_req_zone $binary_remote_addr zone=api:10m rate=10r/s;\n"
    ]
    for n in range(servers):
        parts.append(_CORS_SERVER.format(n=n))
        parts += [_CORS_LOCATION.format(n=n, k=k, port=10000 + n) for k in range(locations)]
        parts.append("    }\n")
    parts.append("}\n")
    globs = ", ".join(f'"/api{k}/**"' for k in range(locations))
    return "".join(parts), CORS_POLICY % globs
