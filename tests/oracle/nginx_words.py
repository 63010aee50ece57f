"""The small world that generated configurations and requests share, so that they meet: paths, patterns, names, values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dice:
    """Choices made from one function `below(n)` in 0..n-1, be it a random generator's or a Hypothesis draw; 0 is simplest."""

    below: Callable[[int], int]

    def chance(self, percent: int) -> bool:
        """Return True in so many of a hundred cases."""
        return self.below(100) >= 100 - percent

    def pick(self, items: Sequence[T]) -> T:
        """Choose one item."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[int, T]]) -> T:
        """Choose one item of (weight, item) pairs."""
        number = self.below(sum(weight for weight, _ in items))
        for weight, item in items:
            number -= weight
            if number < 0:
                return item
        raise AssertionError("weights are positive")

    def some(self, items: Sequence[T], most: int) -> list[T]:
        """Choose at most so many different items, in the order chosen."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(self.below(most + 1), len(left)))]


PATHS = (
    "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/A", "/a/b/c.php", "/p", "/p/", "/p/q", "/dir/", "/dir", "/img/x.css", "/a.txt",
    "/f", "/index.html", "/e/404.html", "/e/50x.html", "/int/", "/x.php", "/sp ace/", "/ok", "/fail", "/dir/b.php", "/b/c.txt",
    "/x.css", "/empty/", "/a.b/c", "/api/", "/api/v1/u", "/auth", "/a'b", "/nope", "/../f.txt",
)  # fmt: skip
PREFIXES = (
    "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/A/", "/p/", "/p", "/dir/", "/img/", "/e/", "/int/", "/x.php", "/sp ace/", "/ok",
    "/f", "/api/", "/api/v1/", "/index.html", "/a.txt", "/empty/", "/fail", "/a.b/", "/auth", "", "foo", "/a/b/c.php", "/dir",
)  # fmt: skip
PATH_REGEXES: dict[str, tuple[str, ...]] = {
    r"\.php$": ("/x.php", "/a/b/c.php", "/x.php/y", "/x.php%0A"),
    r"^/a/(.*)$": ("/a/b", "/a/", "/a/b/c", "/a/%26x", "/a/b%20c", "/a/c+d"),
    r"^/(\w+)/(\w+)": ("/a/b", "/dir/b.php", "/p/q/r"),
    r"/b": ("/a/b", "/b", "/abc/b"),
    r"^/p$": ("/p", "/p%0A"),
    r"\.(css|js)$": ("/x.css", "/img/x.css", "/x.JS"),
    r"^/a(?!b)": ("/a/x", "/ab", "/a"),
    r"(b)?/c": ("/b/c", "/a/c.txt", "/c"),
    r"^/a\d{1,3}$": ("/a1", "/a1234", "/a12"),
    r"^/(?<nm>[a-z]+)\.txt$": ("/a.txt", "/abc.txt", "/A.txt"),
    r"^/$": ("/", "//"),
    r"": ("/", "/anything"),
    r"^/(.)(.)?": ("/a", "/ab", "/%C3%A9"),
    r"^/(?<nm>a|p)/?(?<cap>.*)$": ("/a/x", "/p", "/a/x/y"),
    r"^/api/v(\d)/(.+)": ("/api/v1/u", "/api/v2/u/w", "/api/v1/a%2Fb"),
    r"(?i)^/A/B": ("/a/b", "/A/B", "/a/bc"),
    r"/x.css": ("/x.css", "/xycss", "/dir/x.css"),
    r"^/e/": ("/e/404.html", "/e/x"),
    r"^/a.b$": ("/a.b", "/axb", "/a%0Ab"),
    r"^/([^/]*)/?$": ("/a", "/dir", "/p/", "/a%0d%0aX-Inj:%201"),
    r"[A-Z]": ("/A", "/a/B", "/abc"),
}
VALUE_REGEXES = (
    r"^https://([a-z]+)\.test$", r"a", r"^$", r"(b)(c)?", r"^(?<cap>\w+)$", r".", r"\.test$", r"^(GET|POST)$", r"^(?:0|1)$",
    r"^/a", r"^[A-Z]", r"(?i)^OK", r"^https?://(?<nm>[^/:]+)(:\d+)?$", r"^(.*)$", r"^127\.0\.0\.[12]$", r"nomatch", r"x|^b", r"^a.test$",
)  # fmt: skip
HOSTS = ("a.test", "b.test", "www.a.test", "x.b.test", "mail.test", "mail.x.y", "sub.c.test", "up.test", "z.rx.test", "other.test", "_",
         "deep.sub.a.test", "a_b.test", "127.0.0.1", "localhost")  # fmt: skip
SERVER_NAMES = (
    "a.test", "b.test", "www.a.test", "*.a.test", ".b.test", "mail.*", r"~^(?<sub>\w+)\.c\.test$", r"~^(.+)\.rx\.test$", "_", "",
    "127.0.0.1", "*.test", r"~^UP\.test$", "A.Test", "*.sub.a.test", "~.", "www.*", "localhost", r"~^(?<nm>[a-z])\.", "b.test",
)  # fmt: skip
VALUES = ("", "0", "1", "a", "b", "B", "ab", "abc", "x", "00", "a.test", "https://ok.test", "https://evil.test", "a b", "GET", "/a",
          "a%20b", "a+b", "127.0.0.2", "no", "example.com", "sub.example.com", "up")  # fmt: skip
ORIGINS = (
    "https://ok.test",
    "https://evil.test",
    "null",
    "http://ok.test:8080",
    "https://a.ok.test",
    "https://ok.test.evil",
    "HTTPS://OK.test",
)
METHODS = (
    "GET",
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "OPTIONS",
    "HEAD",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "PROPFIND",
    "FOO",
    "M-SEARCH",
    "TRACE",
    "MKCOL",
)
HEADER_NAMES = ("X-A", "X-B", "X-C", "Cache-Control", "Vary", "Access-Control-Allow-Origin", "Set-Cookie", "X-Frame-Options", "x-a",
                "Access-Control-Allow-Credentials", "Strict-Transport-Security", "X-Loc")  # fmt: skip
ODD_HEADER_NAMES = ("ETag", "Last-Modified", "Link", "Content-Type", "Server", "Location", "Expires", "Connection", "Date", "WWW-Authenticate",
                    "X_U", "Content-Encoding", "Accept-Ranges", "Allow")  # fmt: skip
EARLY = (
    "host", "http_host", "uri", "document_uri", "request_uri", "args", "query_string", "is_args", "arg_q", "arg_r", "http_origin",
    "http_x_a", "cookie_c", "request_method", "scheme", "server_name", "server_port", "remote_addr", "server_protocol", "http_user_agent",
    "http_referer", "content_length", "content_type", "request", "proxy_add_x_forwarded_for", "remote_user", "http_cookie", "https",
    "server_addr", "http_x_forwarded_for", "arg_Q", "http_x_u", "ssl_protocol", "ssl_server_name", "upstream_cache_status",
    "proxy_protocol_addr", "realip_remote_addr", "http2", "args", "uri", "arg_q", "http_origin", "http_x_a", "invalid_referer",
)  # fmt: skip
LATE = ("status", "sent_http_x_a", "sent_http_content_type", "sent_http_cache_control", "sent_http_location", "upstream_http_x_u",
        "upstream_status", "proxy_host", "proxy_port", "upstream_http_content_type", "upstream_cookie_c", "sent_http_x_b",
        "document_root", "request_filename", "upstream_addr", "limit_req_status", "nginx_version")  # fmt: skip
UNKNOWABLE = ("msec", "request_id", "connection", "time_iso8601", "request_time", "remote_port")
CODES = (200, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 418, 429, 500, 502, 503)
ODD_CODES = (
    201,
    202,
    205,
    206,
    208,
    226,
    300,
    304,
    305,
    402,
    406,
    408,
    412,
    413,
    416,
    421,
    444,
    451,
    494,
    497,
    499,
    501,
    504,
    505,
    507,
    508,
    599,
    600,
    999,
)
UP_STATUSES = (
    200,
    200,
    201,
    202,
    204,
    206,
    301,
    302,
    304,
    307,
    400,
    401,
    403,
    404,
    405,
    410,
    418,
    429,
    500,
    502,
    503,
    504,
    599,
)
