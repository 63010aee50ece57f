"""What real configurations say again and again, whole: preflights in an `if`, flags made of `set`, hidden files, SPAs, login."""

from __future__ import annotations

from pathlib import Path

from nginx_cases import parse
from nginx_tree import Node

_BASES = Path(__file__).parent / "nginx_bases"


def _read(name: str) -> tuple[tuple[Node, ...], ...]:
    """Read the idioms of a file, one a line."""
    return tuple(map(parse, (_BASES / name).read_text(encoding="ascii").splitlines()))


IDIOM_PATHS: dict[str, tuple[str, ...]] = {
    r"/\.(?!well-known)": ("/.git/config", "/a/.env", "/.well-known/x", "/.well-known/acme-challenge/t"),
    r"\.(?:js|css|png|ico)$": ("/x.css", "/dir/x.css", "/nope.js", "/favicon.ico"),
    r"^(.+\.php)(/.*)?$": ("/dir/b.php", "/x.php/info", "/index.php"),
    r"^/u/(?<nm>[^/]+)/(?<cap>.*)$": ("/u/ann/x", "/u/b%20c/d%2Fe", "/u/a%0d%0aX: 1/"),
}
"""Paths that the regular expressions above match, or nearly."""
UPGRADE = parse('map $http_upgrade $connection_upgrade { default upgrade; "" close; }')
LOCATION_IDIOMS = _read("location_idioms.txt")
SERVER_IDIOMS = _read("server_idioms.txt")
REPEATABLE = frozenset(
    {
        "set",
        "if",
        "add_header",
        "rewrite",
        "return",
        "proxy_set_header",
        "error_page",
        "location",
        "proxy_hide_header",
        "listen",
        "break",
    }
)


def beside(nodes: list[Node], idiom: tuple[Node, ...]) -> list[Node]:
    """Return the directives of a level with an idiom among them: what may stand there once only is the idiom's."""
    once = {node.name for node in idiom} - REPEATABLE
    if {"deny", "allow"} & once:
        once -= {"deny", "allow"}
    return [*(node for node in nodes if node.name not in once), *idiom]
