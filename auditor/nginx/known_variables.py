"""Names the variables that nginx and the modules of its builds define by themselves.

Found by asking nginx 1.31.3 and Debian's 1.22.1 about every name in their binaries (`set $x $name`, `set $name x`);
the rest, of modules that neither has, are those of nginx.org's index of variables.
"""

from __future__ import annotations

from auditor.nginx.arguments import words

FIXED = words("""
    binary_remote_addr body_bytes_sent bytes_sent connection connection_requests connection_time content_length
    content_type date_gmt date_local document_root document_uri fastcgi_path_info fastcgi_script_name
    grpc_internal_trailers gzip_ratio host hostname http2 http3 http_cookie http_host http_referer http_user_agent
    http_via http_x_forwarded_for https is_args is_request_port limit_conn_status limit_req_status msec nginx_version pid
    pipe proxy_add_x_forwarded_for proxy_internal_body_length proxy_internal_chunked proxy_protocol_addr
    proxy_protocol_port proxy_protocol_server_addr proxy_protocol_server_port query_string realip_remote_addr
    realip_remote_port realpath_root remote_addr remote_port remote_user request request_body request_body_file
    request_completion request_filename request_id request_length request_method request_port request_time request_uri
    scheme secure_link secure_link_expires sent_http_cache_control sent_http_connection sent_http_content_length
    sent_http_content_type sent_http_keep_alive sent_http_last_modified sent_http_link sent_http_location
    sent_http_transfer_encoding server_addr server_name server_port server_protocol status tcpinfo_rcv_space tcpinfo_rtt
    tcpinfo_rttvar tcpinfo_snd_cwnd time_iso8601 time_local uid_got uid_set upstream_addr upstream_bytes_received
    upstream_bytes_sent upstream_cache_etag upstream_cache_last_modified upstream_cache_status upstream_connect_time
    upstream_header_time upstream_response_length upstream_response_time upstream_status uri connections_active
    connections_reading connections_waiting connections_writing slice_range jwt_claims jwt_nowtime quic
    """)
"""Variables that no directive may define again."""

CHANGEABLE = words("""
    ancient_browser args invalid_referer limit_rate modern_browser msie proxy_host proxy_internal_host proxy_port
    ssl_alpn_protocol ssl_cipher ssl_ciphers ssl_client_cert ssl_client_escaped_cert ssl_client_fingerprint
    ssl_client_i_dn ssl_client_i_dn_legacy ssl_client_raw_cert ssl_client_s_dn ssl_client_s_dn_legacy ssl_client_serial
    ssl_client_sigalg ssl_client_v_end ssl_client_v_remain ssl_client_v_start ssl_client_verify ssl_curve ssl_curves
    ssl_early_data ssl_ech_outer_server_name ssl_ech_status ssl_protocol ssl_server_name ssl_session_id
    ssl_session_reused ssl_sigalg ssl_sigalgs uid_reset echo_cacheable_request_uri echo_client_request_headers
    echo_client_request_method echo_incr echo_it echo_request_body echo_request_method echo_request_uri
    echo_response_status echo_timer_elapsed geoip_country_code geoip_country_code3 geoip_country_name
    geoip_city_continent_code geoip_city_country_code geoip_city_country_code3 geoip_city_country_name geoip_region
    geoip_region_name geoip_city geoip_latitude geoip_longitude geoip_dma_code geoip_area_code geoip_postal_code
    geoip_org upstream_queue_time upstream_last_server_name session_log_id session_log_binary_id brotli_ratio
    modsecurity_transaction_id spdy otel_trace_id otel_span_id otel_parent_id otel_parent_sampled upstream_response_sent
    """)
"""Variables that a directive may define again, and those of modules outside nginx's own source."""

PREFIXES = (
    "http_", "sent_http_", "sent_trailer_", "upstream_http_", "upstream_trailer_", "upstream_cookie_", "cookie_", "arg_",
    "proxy_protocol_tlv_", "jwt_claim_", "jwt_header_", "opentracing_", "opentelemetry_", "jwt_", "geoip2_",
)  # fmt: skip
"""Beginnings of the names that nginx (and some modules) make up as they are used."""


def defined_by_nginx(name: str) -> bool:
    """Whether a variable (lower case, without the dollar sign) exists without being defined."""
    return name in FIXED or name in CHANGEABLE or (name.startswith(PREFIXES) and not name.endswith("_" * 2))
