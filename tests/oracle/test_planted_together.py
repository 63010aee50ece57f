"""Mistakes that no header or path alone shows, planted one at a time; a real nginx answers each witness as foretold.

A map whose key is put together of several variables, a query, two conditions one after the other, a share of the clients,
a location that a rewrite leads to. The same laid out so that nothing is wrong must stay silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_binary import need_nginx
from nginx_live import Sandbox
from test_planted import INTERNAL, METRICS, ORIGIN, PASS, Planted, checked, edited, found_and_shown

from auditor.finding import Verdict

pytestmark = pytest.mark.nginx

Edits = tuple[tuple[str, str], ...]

BEFORE = "limit_req_status"
"""A place among the lines of the http block."""
SNIFF = "add_header X-Content-Type-Options nosniff always;\n            add_header Access"
ANY = "cors-any-origin"
SOME = "cors-origin-not-allowed"
LOST = "header-lost-by-inheritance"
SERVED = "denied-path-served"


def _tabled(table: str) -> Edits:
    return ((BEFORE, f"{table} {BEFORE}"),)


def _script(name: str, lines: str, check: str = ANY) -> Planted:
    """Let some lines choose $o, the origin that is answered."""
    return Planted(name, ((ORIGIN, f"set $o $cors; {lines}\n            " + ORIGIN.replace("$cors", "$o")),), check)


def _if(name: str, condition: str) -> Planted:
    """Let a condition make the answer of the API one for every origin."""
    return _script(name, f"if ({condition}) {{ set $o $http_origin; }}")


def _opened(name: str, table: str) -> Planted:
    """Let the variable $open do the same where it is 1."""
    return Planted(name, (*_tabled(table), *_if(name, "$open = 1").edits), ANY)


def _echoed(name: str, table: str) -> Planted:
    """Let the variable $o be the origin that is answered."""
    return Planted(name, (*_tabled(table), (ORIGIN, ORIGIN.replace("$cors", "$o"))), SOME)


def _denied(name: str, table: str, test: str = "if ($deny) { return 404; }") -> Planted:
    """Let a variable or some lines decide whether the inside is closed."""
    closed = (INTERNAL, f"location ^~ /internal/ {{ {test} proxy_pass http://app; }}")
    return Planted(name, (*_tabled(table), closed), SERVED)


def _sniffed(name: str, table: str, check: str = LOST) -> Planted:
    """Let the variable $sniff be the header that is promised."""
    return Planted(name, (*_tabled(table), (SNIFF, SNIFF.replace("nosniff", "$sniff"))), check)


QUERIES = (
    _if("a path in the request line", "$request_uri ~ ^/api/pub/"),
    _if("one path in the request line", "$request_uri = /api/pub"),
    _if("a query in the request line", "$request_uri ~ debug=1"),
    _if("a path and a query", "$request_uri = /api/x?debug=1"),
    _if("the query", "$args ~ debug"),
    _if("one query", "$args = debug"),
    _if("the query by its other name", "$query_string ~ ^x=[0-9]+$"),
    _if("that there is a query", "$is_args"),
    _if("the whole request line", '$request ~ "^GET /api/pub"'),
    _opened("a map of the query", "map $args $open { default 0; '~(^|&)debug=1' 1; }"),
    _if("any cookie", "$http_cookie ~ vip"),
    _if("a word in the page's address", "$http_referer ~ shop.example"),
    _denied("a port opens what is closed", "", "if ($http_host != 'shop.example:8080') { return 404; }"),
    _denied("an origin opens what is closed", "", "if ($http_origin != 'https://staff.shop.example') { return 404; }"),
    _denied("an upgrade opens what is closed", "", "if ($http_upgrade != h2c) { return 404; }"),
    _denied("a user opens what is closed", "", "if ($remote_user != admin) { return 404; }"),
    _denied("a method that nobody else names", "", "if ($request_method !~ ^PURGE$) { return 404; }"),
    _denied("a query opens what is closed", "", "if ($args !~ key=1) { return 404; }"),
    _denied("the request line opens what is closed", "", "if ($request_uri !~ ^/internal/open/) { return 404; }"),
)

COMPOSED = (
    _opened("host and path", r'map "$host$uri" $open { default 0; "~^shop\.example/api/pub/" 1; }'),
    _opened("host and one path", 'map "$host$uri" $open { default 0; shop.example/api/export 1; }'),
    _echoed("an origin and a method", r'map "$http_origin:$request_method" $o { default $cors; "~^https://.*\.evil\.example:POST$" $http_origin; }'),
    _echoed("one origin and a method", 'map "$http_origin:$request_method" $o { default $cors; "https://evil.example:POST" $http_origin; }'),
    _echoed("an origin and a path", r'map "$http_origin $uri" $o { default $cors; "~^https://[a-z]+\.other\.example /api/feed$" $http_origin; }'),
    _echoed("an origin and an argument", 'map "$http_origin|$arg_v" $o { default $cors; "https://evil.example|2" $http_origin; }'),
    _echoed("an origin and a cookie", r'map "$cookie_v-$http_origin" $o { default $cors; "~^2-https://.*\.other\.example$" $http_origin; }'),
    _opened("two arguments", 'map "$arg_a:$arg_b" $open { default 0; "1:2" 1; }'),
    _opened("two arguments, an expression", 'map "$arg_a:$arg_b" $open { default 0; "~^[0-9]+:on$" 1; }'),
    _opened("two arguments, nothing between", 'map "$arg_a$arg_b" $open { default 0; "~^debug$" 1; }'),
    _opened("an argument and a cookie", 'map "$arg_a/$cookie_b" $open { default 0; x/y 1; }'),
    _opened("three arguments", 'map "$arg_a$arg_b$arg_c" $open { default 0; 123 1; }'),
    _opened("an argument and a path", r'map "$uri?$arg_a" $open { default 0; "~^/api/x/.*\?1$" 1; }'),
    _opened("an argument and a method", 'map "$request_method $arg_a" $open { default 0; "POST 1" 1; }'),
    _opened("an argument with text around it", 'map "v=$arg_a!" $open { default 0; "v=1!" 1; }'),
    _opened("a browser and a path", 'map "$http_user_agent $uri" $open { default 0; "~MSIE .*/api/old" 1; }'),
    _denied("two headers", 'map "$http_x_a:$http_x_b" $deny { default 1; "1:2" ""; }'),
    _denied("a method and a header", 'map "$request_method:$http_x_a" $deny { default 1; "~^(POST|PUT):staff$" ""; }'),
    _denied("a method and a path", 'map "$request_method:$uri" $deny { default ""; "~^GET:/internal/" 1; "~^[A-Z]+:/internal/[a-z]*$" 1; "~^[^P]" 1; }'),
    _denied("a path and a header", r'map "$uri $http_x_a" $deny { default 1; "~^/internal/x/\S* 1$" ""; }'),
    _denied("a host and a header", 'map "$host $http_x_a" $deny { default 1; "shop.example 1" ""; }'),
    _denied("a scheme and a header", 'map "$scheme-$http_x_a" $deny { default 1; http-1 ""; }'),
    _denied("a header like an argument", "", "set $deny 1; if ($http_x_a = $arg_b) { set $deny 0; } if ($arg_b = '') { set $deny 1; } if ($deny = 1) { return 404; }"),
    _sniffed("a path and an argument", 'map "$uri:$arg_raw" $sniff { default nosniff; "~^/api/raw[^:]*:1$" ""; }'),
    _sniffed("two headers drop a header", 'map "$http_x_a$http_x_b" $sniff { default nosniff; "~^a+b$" ""; }'),
)  # fmt: skip

BOTH = (
    _denied("two gates, a header and an argument", "", "if ($http_x_staff != 1) { return 404; } if ($arg_key != 2) { return 404; }"),
    _denied("two gates, a method and a header", "", "if ($request_method != POST) { return 404; } if ($http_x_staff != 1) { return 404; }"),
    _denied("two gates, an origin and an argument", "", "if ($http_origin != https://a.b) { return 404; } if ($arg_k != 1) { return 404; }"),
    _denied("two gates, an upgrade and a cookie", "", "if ($http_upgrade != h2c) { return 404; } if ($cookie_k != 1) { return 404; }"),
    _denied("two gates, a port and a header", "", "if ($http_host !~ :9000$) { return 404; } if ($http_x_a != 1) { return 404; }"),
    _denied("two gates, a method by rule and a header", "", "limit_except POST { deny all; } if ($http_x_a != 1) { return 404; }"),
    _denied("two gates, an address that is claimed and an argument", "set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;", "allow 10.0.0.0/8; deny all; if ($arg_k != 1) { return 404; }"),
    _denied("an old protocol", "", "if ($server_protocol != HTTP/1.0) { return 404; }"),
    _denied("three gates", "", "if ($http_x_staff != 1) { return 404; } if ($arg_key != 2) { return 404; } if ($cookie_c != 3) { return 404; }"),
    _script("flags are put together", 'set $f ""; if ($arg_a = 1) { set $f A; } if ($cookie_b = 2) { set $f "${f}B"; } if ($f = AB) { set $o $http_origin; }'),
    _script("a flag that is taken back", 'set $f 0; if ($arg_a = 1) { set $f 1; } if ($cookie_b = "") { set $f 0; } if ($f = 1) { set $o $http_origin; }'),
    _script("a flag of a method", "set $f 0; if ($request_method = POST) { set $f 1; } if ($arg_b != 1) { set $f 0; } if ($f = 1) { set $o $http_origin; }"),
    _opened("a map in a map", "map $arg_a $first { default 0; 1 2; } map $cookie_b $open { default 0; 1 $second; } map $first $second { default 0; 2 1; }"),
    _opened("a map of two maps", "map $arg_a $first { default 0; 1 1; } map $cookie_b $second { default 0; 1 1; } map $first$second $open { default 0; 11 1; }"),
    _sniffed("a map of two maps drops a header", 'map $http_x_a $one { default 0; 1 1; } map $arg_b $two { default 0; 1 1; } map $one-$two $sniff { default nosniff; 1-1 ""; }'),
    Planted("a cookie leads to a location with a condition", (*_tabled("map $cookie_area $area { default /api; 1 /beta; }"), (METRICS, METRICS + " rewrite ^/api/go/ $area/x; location ^~ /beta/ { if ($arg_debug) { return 200 all; } proxy_pass http://app; }")), "route-wrong-upstream"),
    Planted("a browser and an argument, and a header of its own", ((PASS, "            if ($http_user_agent ~ curl) { set $k 1; } if ($arg_kind != csv) { set $k 0; } if ($k = 1) { add_header X-Kind csv; }\n" + PASS),), LOST),
)  # fmt: skip

SHARES = (
    _opened("a share of the browsers", 'split_clients "$http_user_agent" $open { 5% 1; * 0; }'),
    _opened("a small share of the cookies", 'split_clients "x$cookie_id" $open { 0.5% 1; * 0; }'),
    _opened("a share of the arguments at a path", 'split_clients "$uri-$arg_id" $open { 2% 1; * 0; }'),
    _denied("a share is not closed", 'split_clients "$arg_id" $deny { 90% 1; * ""; }'),
    _sniffed("a share has no header", 'split_clients "$http_user_agent" $sniff { 10% ""; * nosniff; }'),
    _denied("a share, and a header", "split_clients $cookie_id $share { 3% 1; * 0; }", "if ($http_x_staff != 1) { return 404; } if ($share = 0) { return 404; }"),
)  # fmt: skip

API = "location ^~ /api/ {\n            limit_req"
FILES = (API, "location ^~ /files/ {\n            limit_req")
MOVED = (
    Planted("a rewrite leads to a location of its own", (FILES, (METRICS, METRICS + " location ^~ /api/ { rewrite ^/api/(.*)$ /files/$1 last; } location = /files/feed { internal; return 200 all; }")), "route-wrong-upstream"),
    Planted("a rewrite leads into a part", (FILES, (METRICS, METRICS + " rewrite ^/api/(.*)$ /files/$1; location ^~ /files/raw/ { return 200 all; }")), "route-wrong-upstream"),
    Planted("a rewrite leads to an expression", (("location ^~ /api/ {\n            limit_req", "location /files/ {\n            limit_req"), (METRICS, METRICS + " rewrite ^/api/(.+) /files/$1; location ~ ^/files/.*\\.csv$ { proxy_pass http://@UP2@; }")), "route-shadowed"),
    Planted("a rewrite leads to what is closed", ((INTERNAL, "location ^~ /internal/ { rewrite ^/internal/(.*)$ /$1 last; } location = /open/x { internal; proxy_pass http://app; }"),), SERVED),
    Planted("a condition on what was rewritten", (FILES, (METRICS, METRICS + " location ^~ /api/ { rewrite ^/api/(.*)$ /files/$1; if ($uri ~ ^/files/old) { return 200 all; } }")), "route-wrong-upstream"),
    Planted("a map is the path", (*_tabled("map $cookie_area $area { default api; 1 beta; }"), (METRICS, METRICS + " rewrite ^/api/go/ /$area/x; location ^~ /beta/ { return 200 all; }")), "route-wrong-upstream"),
    Planted("a group with a name, of a map", (*_tabled(r'map $uri $none { default ""; "~^/api/(?<seg>\w+)/" $seg; }'), *_script("", "set $none_of_it $none; if ($seg = debug) { set $o $http_origin; }").edits), ANY),
    Planted("a rewrite with an argument", ((METRICS, METRICS + " rewrite ^/api/go/(.*)$ /$arg_area/$1; location ^~ /beta/ { return 200 all; }"),), "route-unserved"),
    Planted("a file that an argument names", ((METRICS, METRICS + " location ^~ /api/go/ { try_files /none /$arg_area/x; } location ^~ /beta/ { return 200 all; }"),), "route-unserved"),
    Planted("a group with a name", ((METRICS, METRICS + " location ~ ^/internal/(?<area>[a-z]+)/x$ { if ($area != debug) { return 404; } proxy_pass http://app; }"), (INTERNAL, "location /internal/ { return 404; }")), SERVED),
)  # fmt: skip

UNDECIDED = (
    ("a share of addresses", _opened("", 'split_clients "$remote_addr" $open { 10% 1; * 0; }').edits),
    ("a share of addresses and browsers", _opened("", 'split_clients "$remote_addr$http_user_agent" $open { 2% 1; * 0; }').edits),
    ("a share of the paths", _sniffed("", 'split_clients "$uri" $sniff { 10% ""; * nosniff; }').edits),
    ("what a group of a map is mapped to", _opened("", r'map $uri $area { default ""; "~^/api/(?<seg>\w+)/" $seg; } map $area $open { default 0; debug 1; }').edits),
    ("two groups", ((METRICS, METRICS + " rewrite ^/api/(\\w+)/to/(\\w+)$ /$2/$1; location = /a/b { return 200 all; }"),)),
    ("a group in an expression", ((METRICS, METRICS + " location ~ ^/internal/(?<area>[a-z]+)/x$ { if ($area !~ bug) { return 404; } proxy_pass http://app; }"), (INTERNAL, "location /internal/ { return 404; }"))),
    ("an address and a header", _denied("", 'map "$http_x_a$arg_b" $deny { default 1; "~^(.)\\1x$" ""; }').edits),
)  # fmt: skip
"""What cannot be tried for every request, and is told at its directive."""

HARMLESS = (
    ("flags that are put together and taken apart", ((PASS, "            set $f x; if ($arg_a) { set $f ${f}a; } if ($request_method = POST) { set $f ${f}b; } if ($f = xab) { set $seen 1; }\n" + PASS),)),
    ("a host and its port", ((PASS, "            if ($http_host ~ ^www.*:9000$) { set $seen 1; }\n" + PASS),)),
    ("an old protocol", ((PASS, "            if ($server_protocol = HTTP/1.0) { set $seen 1; }\n" + PASS),)),
    ("a share for a log", _tabled("split_clients $remote_addr $share { 10% 1; * 0; } log_format s $share; access_log logs/s s;")),
    ("a share of everything", _tabled("split_clients $remote_addr $share { * 1; } add_header X-Share $share;")),
    ("a rewrite within the API", ((PASS, "            rewrite ^/api/v1/(.*)$ /api/v2/$1 break;\n" + PASS),)),
    ("a rewrite that leads nowhere else", ((METRICS, METRICS + " rewrite ^/api/v1/(.*)$ /api/v2/$1;"),)),
    ("a file, or the path itself", (("location / { return 404; }", "location / { error_page 405 =404 $uri; return 404; }"),)),
    ("two arguments for a log", _tabled('map "$arg_a:$arg_b" $logged { default 0; "1:2" 1; } log_format l "$logged"; access_log logs/x l if=$logged;')),
    ("a key of two that lets in who may", ((BEFORE, f'map "$http_origin:$request_method" $o {{ default $cors; "https://app.shop.example:POST" $http_origin; }} {BEFORE}'), (ORIGIN, ORIGIN.replace("$cors", "$o")))),
    ("a key of two whose lines say the same", ((BEFORE, f'map "$host$uri" $sniff {{ default nosniff; "~^shop.example/api/x" nosniff; }} {BEFORE}'), (SNIFF, SNIFF.replace("nosniff", "$sniff")))),
    ("two gates of which one stays shut", ((INTERNAL, "location ^~ /internal/ { if ($http_x_staff != 1) { return 404; } if ($arg_key != 2) { return 404; } deny all; }"),)),
    ("a query that changes the upstream's answer", ((PASS, '            if ($args ~ "^v=[0-9]+$") { set $seen 1; }\n' + PASS),)),
    ("the request line, where nothing is", (("location / { return 404; }", 'location / { if ($request_uri ~ "^/old\\?id=") { return 410; } return 404; }'),)),
    ("a header that equals another, and nothing follows", ((PASS, "            if ($http_x_a = $arg_b) { set $same 1; }\n" + PASS),)),
)  # fmt: skip

MISTAKES = (*QUERIES, *COMPOSED, *BOTH, *SHARES, *MOVED)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An nginx that is started again for each mistake."""
    with Sandbox(str(need_nginx()), quiet=1.0) as made:
        yield made


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_of_several_parts_is_found_and_shown(mistake: Planted, sandbox: Sandbox, tmp_path: Path) -> None:
    """The check that speaks of it fails with a request that the running nginx answers as predicted."""
    found_and_shown(mistake, sandbox, tmp_path)


@pytest.mark.parametrize("edits", [edits for _, edits in HARMLESS], ids=[name for name, _ in HARMLESS])
def test_several_parts_that_open_nothing_stay_silent(edits: Edits, sandbox: Sandbox, tmp_path: Path) -> None:
    """Neither a violation nor anything undecided is said of them."""
    found = checked(edited(edits), sandbox, tmp_path)
    assert [f.message for f in found if f.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize("edits", [edits for _, edits in UNDECIDED], ids=[name for name, _ in UNDECIDED])
def test_what_cannot_be_tried_is_told_at_its_directive(edits: Edits, sandbox: Sandbox, tmp_path: Path) -> None:
    """A pass means that it was evaluated: what was not is an unknown with the line that made it so."""
    found = checked(edited(edits), sandbox, tmp_path)
    told = [f for f in found if f.check == "pattern-undecided" and f.verdict is Verdict.UNKNOWN]
    assert told
    assert all(f.notes and Path(f.notes[0].location.file).name == "nginx.conf" for f in told)


def test_every_mistake_of_several_parts_has_a_name() -> None:
    """No two are called the same, and there are many."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) > 40
