"""`auditor trace` reads like an nginx expert: what was chosen and why, what was passed over, which lines were lost where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.exchange import Headers, Request
from auditor.nginx import load
from auditor.nginx.story import tell

SHOP = """\
limit_req_zone $binary_remote_addr zone=api:10m rate=10r/s;
upstream app { server 10.0.0.5:8000; }
map $http_origin $cors { default ""; "~^https://.*\\.example\\.com$" $http_origin; }
server {
    listen 80 default_server;
    return 301 https://$host$request_uri;
}
server {
    listen 80;
    server_name shop.example.com *.shop.example.com;
    add_header X-Frame-Options DENY always;
    add_header X-Content-Type-Options nosniff;
    root /srv/www;
    location / { try_files $uri $uri/ /index.html; }
    location /api/ {
        limit_req zone=api burst=20 nodelay;
        if ($request_method = OPTIONS) {
            add_header Access-Control-Allow-Origin $cors;
            return 204;
        }
        add_header Access-Control-Allow-Origin $cors always;
        proxy_pass http://app/v1/;
        proxy_intercept_errors on;
        error_page 502 503 504 = @down;
    }
    location ~* \\.(json|xml)$ { expires 1h; }
    location ^~ /files/ { proxy_set_header X-Real-IP $remote_addr; proxy_pass http://app; }
    location = /files/list.json { return 200 list; }
    location /ifs {
        if ($arg_a) { add_header X-A 1; }
        if ($arg_b) { add_header X-B 2; }
        add_header X-C 3;
        return 200 "\\e[2J$arg_a\\n";
    }
    location /closed { satisfy any; deny all; auth_basic closed; auth_basic_user_file users; }
    location /nest/ {
        location ^~ /nest/in/ { return 200 in; }
        location ~ \\.txt$ { return 200 inner; }
    }
    location ~ \\.(txt|text)$ { return 200 outer; }
    location ~ /re/ { location /re/in { return 200 never; } return 200 regex; }
    location /reads { limit_except GET { deny all; } try_files /none @down; return 200 read; }
    location /moved { add_header X-Moved 1 always; error_page 410 /gone.here; return 410; }
    location /gone { add_header X-Gone 1 always; root /srv/gone; }
    location ~ ^/cap/(\\w+)$ { if ($arg_q ~ never) { return 204; } return 200 "[$1]"; }
    location @down { add_header Retry-After 30 always; return 503 "down\\n"; }
    proxy_set_header Host $host;
}
"""
SHOP = SHOP.replace("\\e", "\x1b")


def line(text: str) -> int:
    """Return the number of the first line of the configuration that holds a text."""
    return next(number for number, content in enumerate(SHOP.splitlines(), 1) if text in content)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A function that tells the story of a request to the shop, with runs of spaces as one."""
    path = tmp_path_factory.mktemp("shop") / "shop.conf"
    path.write_text(SHOP, encoding="utf-8")
    configuration = load([path], context="http")
    assert not configuration.problems

    def story(target: str, *, method: str = "GET", host: str = "shop.example.com", origin: str = "") -> str:
        headers = [("Host", host), *([("Origin", origin)] if origin else [])]
        text = tell(configuration, Request(method, target, Headers.of(headers)))
        return re.sub(" +", " ", text)

    return story


CASES = [
    pytest.param(
        {"target": "/api/x.json", "method": "OPTIONS"},
        [
            "405, nginx's own page, in location ~* \\.(json|xml)$",
            "location ~* \\.(json|xml)$: is chosen: the first regular expression that matches",
            f"shop.conf:{line('location /api/')} location /api/: is not chosen: it is a prefix of /api/x.json, but",
            "the regular expression \\.(json|xml)$ wins over it (^~ would keep it out)",
            "files are only served to GET and HEAD, not OPTIONS",
            f"shop.conf:{line('nosniff')} add_header X-Content-Type-Options: is not sent: 405 needs the word always",
        ],
        id="a regular expression takes a preflight away from the API",
    ),
    pytest.param(
        {"target": "/api/x", "method": "OPTIONS", "origin": "https://a.example.com"},
        [
            "204, by a return, in location /api/",
            "if ($request_method = OPTIONS): is true: its block replaces the location's configuration from here on",
            "limit_req zone=api burst=20 nodelay: is never reached: the rewrite phase has answered before it",
            "proxy_pass http://app/v1/: is never reached: the rewrite phase has answered before it",
            "Access-Control-Allow-Origin: https://a.example.com shop.conf:18",
            "add_header X-Frame-Options DENY always: does not apply here: if ($request_method = OPTIONS) (line 17) has add_header",
        ],
        id="return in an if comes before the limit and loses the headers",
    ),
    pytest.param(
        {"target": "/api/x", "origin": "https://a.example.com"},
        [
            "Up to where four outcomes part:",
            'zone api by $binary_remote_addr ("127.0.0.1"): 10 requests/s, 20 more pass at once, 503 for the next',
            "Outcome 4 of 4, when the client is over the limit: 503, by a return, in location @down",
            "over the limit: 503",
            'return 503 "down\\n": answers 503 in the rewrite phase; nothing later runs',
            "goes on in @down; the status will be the target's own status",
            "The upstream 10.0.0.5:8000 receives:\n GET /v1/x HTTP/1.1\n Host: shop.example.com",
        ],
        id="limits, an upstream that fails, and the error page that stands in",
    ),
    pytest.param(
        {"target": "/", "host": "other"},
        [
            "301, a redirect, in the server of shop.conf:4",
            'no server on *:80 is named "other" (names here: shop.example.com, *.shop.example.com): it is the default_server',
        ],
        id="a name nobody has goes to the default server",
    ),
    pytest.param(
        {"target": "/about", "host": "a.shop.example.com"},
        [
            '"a.shop.example.com" matches its wildcard *.shop.example.com',
            "Outcome 5 of 5, when the file is not there: 500, nginx's own page, in location /",
            "the same again: nine times more",
        ],
        id="a try_files that leads to itself",
    ),
    pytest.param(
        {"target": "/files/../files/%2e%2e/files/a%2fb.json"},
        [
            "the path of the request is read as /files/a/b.json",
            "location ^~ /files/: is chosen: the longest prefix, and ^~ keeps regular expressions out",
            "location ~* \\.(json|xml)$: is not chosen: it matches too, but ^~ of /files/ keeps regular expressions out",
            "proxy_set_header Host $host: does not apply here: location ^~ /files/ (line 27) has proxy_set_header lines of its own",
        ],
        id="a path in disguise, and request headers lost",
    ),
    pytest.param(
        {"target": "/files/list.json"},
        [
            "200, by a return, in location = /files/list.json",
            "is chosen: it is exactly the URI",
            "location ^~ /files/: is not chosen: it is a prefix of /files/list.json too, but an exact location ends the search",
        ],
        id="an exact location before everything else",
    ),
    pytest.param(
        {"target": "/ifs?a=1&b=2"},
        [
            "add_header X-A 1: is lost with its if ($arg_a): a later if of this location is true too, and only the last one counts",
            "add_header X-C 3: does not apply here: if ($arg_b) (line 31) has add_header lines of its own",
            "X-B: 2 shop.conf:31",
            'return 200 "\\x1b[2J$arg_a\\n"',
        ],
        id="two ifs that are true, and text that would clear a terminal",
    ),
    pytest.param(
        {"target": "/closed"},
        [
            "401, refused, in location /closed",
            "deny all: refuses 127.0.0.1",
            "satisfy any: nobody lets the request in: 401",
        ],
        id="satisfy any with nobody satisfied",
    ),
    pytest.param(
        {"target": "/nest/in/x.text"},
        [
            "200, by a return, in location ~ \\.(txt|text)$",
            "location /nest/: is not chosen: it is a prefix of /nest/in/x.text, but the regular expression \\.(txt|text)$ wins",
            "location ^~ /nest/in/: is not chosen: it is the longest prefix inside /nest/, but ~ \\.(txt|text)$ outside wins",
            "wins over it too: its ^~ keeps out only the regular expressions inside /nest/",
            "location /: is not chosen: it is a prefix of /nest/in/x.text, but /nest/ is longer",
        ],
        id="a regular expression outside beats what is nested, ^~ or not",
    ),
    pytest.param(
        {"target": "/re/in"},
        ["location /re/in: is not chosen: inside a regular expression nginx searches for regular expressions only"],
        id="a prefix inside a regular expression",
    ),
    pytest.param(
        {"target": "/nest/in/x.txt"},
        [
            "200, by a return, in location ~ \\.(txt|text)$",
            "location ~ \\.txt$: is not chosen: it matches too, but ^~ of /nest/in/ keeps it out",
        ],
        id="^~ keeps out the regular expressions beside it",
    ),
    pytest.param(
        {"target": "/reads", "method": "POST"},
        [
            "403, refused, in location /reads",
            "limit_except GET: takes over: POST is not listed",
            "return 200 read: does not run: limit_except has taken over",
            "try_files /none @down: does not run: limit_except has taken over",
        ],
        id="what limit_except leaves out",
    ),
    pytest.param(
        {"target": "/moved"},
        [
            "error_page 410 /gone.here: internal redirect to /gone.here; the status will be 410",
            "there is no file /srv/gone/gone.here: 404",
            "X-Gone: 1 shop.conf",
            "add_header X-Moved: is lost: the request has left location /moved",
        ],
        id="headers that an error page leaves behind",
    ),
    pytest.param(
        {"target": "/cap/x?q=z"},
        ["$arg_q ~ never: does not match, and so $1 to $9 are empty from here on", "Content-Length: 2"],
        id="captures that a condition empties",
    ),
    pytest.param(
        {"target": "/files", "method": "DELETE"},
        [
            "301, a redirect, in location ^~ /files/",
            "location ^~ /files/: is chosen: the URI is its name without the final slash",
            "Location: http://shop.example.com/files/ shop.conf:27",
        ],
        id="a slash that is missing",
    ),
]


@pytest.mark.parametrize(("request_", "parts"), CASES)
def test_the_story_says(told: object, request_: dict[str, str], parts: list[str]) -> None:
    """Each nasty case is told with what decided it, and nothing in it can move the cursor."""
    assert callable(told)
    story = told(**request_)
    for part in parts:
        assert part in story, f"{part!r} is not in\n{story}"
    assert story.replace("\n", "").isprintable()


def test_a_story_begins_with_what_nginx_refuses(tmp_path: Path) -> None:
    """A template without its values and a misspelt directive are said before anything else, in words."""
    path = tmp_path / "site.conf"
    path.write_text(
        "server { listen 80; adds_header A b; proxy_set_header X ${NAME}; return 200; }\n", encoding="utf-8"
    )
    story = tell(load([path], context="http"), Request("GET", "/", Headers.of([("Host", "x")])))
    first, second, *_ = story.split("\n\n")[1].splitlines()
    assert first.startswith("nginx would not start with this configuration")
    assert 'site.conf:1  "adds_header" is not a directive of nginx: did you mean "add_header"?' in second
    assert "200, by a return" in story
