"""Requests to match a configuration: made of its own names, paths and patterns, then bent."""

from __future__ import annotations

from dataclasses import dataclass

from nginx_idioms import IDIOM_PATHS
from nginx_live import Sent
from nginx_tree import Node
from nginx_words import HOSTS, METHODS, ORIGINS, PATH_REGEXES, PATHS, UP_STATUSES, VALUES, Dice

DATES = ("Tue, 14 Nov 2023 22:13:20 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", "Mon, 01 Jan 2035 00:00:00 GMT", "garbage")
UP_HEADERS = (
    "X-U: up", "X-A: from-upstream", "Cache-Control: private", "Set-Cookie: c=1; Domain=up.test; Path=/app/", "Set-Cookie: d=2",
    "Location: /moved", "Location: http://up.test/x", "X-Accel-Redirect: /ok", "X-Accel-Redirect: /int/x", "X-Accel-Redirect: @n",
    "Content-Encoding: gzip", "Vary: Origin", "Access-Control-Allow-Origin: *", "X-Pad: p", 'ETag: "u"', "Expires: 0",
    "WWW-Authenticate: Basic realm=up", "Refresh: 5; url=http://up.test/x", "X-Accel-Charset: koi8-r", "Accept-Ranges: bytes",
    "X-Frame-Options: SAMEORIGIN", "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT", "Link: </x>", "Location: http://@UP@/base/x", "x-u: second",
    "Server: other", "Date: today", "Connection: close", "Keep-Alive: x", "X-Accel-Expires: 5",
)  # fmt: skip
HEADERS = (
    ("X-A", VALUES), ("Origin", ORIGINS), ("Cookie", ("c=1", "C=x; d=2", "d=1;c=b", "c=", "xc=1", "c=a,d=2")), ("X_U", ("1",)), ("X-U", ("u", "")),
    ("Authorization", ("Basic YW5uOm9wZW4=", "basic Ym9iOnNlc2FtZQ==", "Basic YW5uOndyb25n", "Basic ###", "Bearer x")),
    ("Referer", ("http://a.test/a/", "https://ok.test/x", "x", "", "http://evil.test")), ("User-Agent", ("curl/8", "bot", "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "Mozilla/5.0 (X11) Chrome/120 Safari/537.36", "Mozilla/5.0 (Macintosh; Mac OS X) Safari/600")),
    ("If-Modified-Since", DATES), ("If-None-Match", ('"u"', "*", 'W/"x"')), ("If-Match", ('"zzz"', "*")), ("If-Unmodified-Since", DATES),
    ("Range", ("bytes=0-3", "bytes=99999-", "bytes=-2", "x")), ("Accept-Encoding", ("gzip", "gzip;q=0", "br, gzip;q=0.5", "*", "GZIP")),
    ("X-Forwarded-For", ("10.1.2.3", "127.0.0.2", "1.1.1.1, 10.0.0.9", "garbage", "")), ("Upgrade", ("websocket",)),
    ("Connection", ("close", "keep-alive", "upgrade", "X-A")), ("Keep-Alive", ("1",)), ("TE", ("trailers",)), ("Proxy-Connection", ("x",)),
    ("Via", ("1.1 x",)), ("X-Real-IP", ("10.9.9.9", "x")), ("Bad Name", ("x",)), ("Bad\x01Name", ("x",)), ("Content-Type", ("text/x",)),
    ("Access-Control-Request-Method", ("PUT",)), ("Accept", ("text/html",)), ("X-HTTP-Method-Override", ("DELETE",)), ("Trailer", ("x",)),
    ("", ("empty-name",)), ("X-A ", ("spaced",)), ("x-a", ("lower",)), ("Transfer-Encoding", ("gzip",)), ("Proxy-Authorization", ("x",)), ("X.Dot", ("d",)), ("Expect", ("100-continue",)), ("X-Long", ("l" * 300, "l" * 600, "l" * 1200)),
)  # fmt: skip
RARE = frozenset(
    {"Bad Name", "Bad\x01Name", "", "X-A ", "Transfer-Encoding", "If-Match", "Trailer", "Proxy-Authorization"}
)


@dataclass(frozen=True, slots=True)
class Sights:
    """What a configuration looks at: its ports, names and paths.

    `silent`: a request may go unanswered on a connection that stays open, where a body would be read as a request.
    """

    doors: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    paths: tuple[str, ...]
    silent: bool
    protected: bool


def sights(tree: Node) -> Sights:
    """Collect what requests can be aimed at."""
    doors: dict[tuple[str, str], None] = {}
    names: dict[str, None] = {}
    paths: dict[str, None] = {}
    kinds = {node.name for node in tree.walk()}
    silent = any(node.name == "try_files" and node.args[-1] == "=200" for node in tree.walk())
    for server in tree.inside("server"):
        for listen in server.inside("listen"):
            host, _, port = listen.args[0].rpartition(":")
            if port == "@P3@":
                continue
            for to in [host] if host and host not in {"*", "0.0.0.0"} else ["127.0.0.1", "127.0.0.2"]:
                doors[port, to] = None
        for server_name in server.inside("server_name"):
            names.update(dict.fromkeys(server_name.args))
        for node in server.walk():
            if node.name == "location":
                paths.update(dict.fromkeys(_paths_of(node)))
    return Sights(tuple(doors), tuple(names), tuple(paths), silent, "auth_basic" in kinds)


def _paths_of(location: Node) -> tuple[str, ...]:
    name = location.args[-1]
    if name.startswith("@"):
        return ()
    if location.args[0] in {"~", "~*"}:
        return PATH_REGEXES.get(name) or IDIOM_PATHS.get(name, ("/a",))
    path = name if name.startswith("/") else "/" + name
    return (path, path + "x", path.rstrip("/") or "/", path + "/b")


def requests_for(dice: Dice, tree: Node, count: int) -> list[Sent]:
    """Write so many requests for a configuration."""
    seen = sights(tree)
    return [_request(dice, seen) for _ in range(count)]


def _request(dice: Dice, seen: Sights) -> Sent:
    port, to = dice.pick(seen.doors)
    method = dice.pick(METHODS) if dice.chance(36) else "GET"
    if dice.chance(1):
        method = dice.pick(["get", "CONNECT", "G@T"])
    target = _target(dice, seen) if method != "CONNECT" or dice.chance(50) else dice.pick(["a.test:80", "a.test"])
    version = dice.weighted([(90, "1.1"), (8, "1.0"), (1, dice.pick(["1.2", "2.0"]))])
    host = _host(dice, seen, port)
    headers = [] if host is None else [("Host", host)]
    if dice.chance(1):
        headers.append(("Host", host or "x"))
    if dice.chance(4):
        target = f"http://{dice.pick((*HOSTS, 'A.TEST:99'))}{target if target.startswith('/') else '/'}"
    extra = _headers(dice, seen)
    body = ""
    if method not in {"GET", "HEAD"} and dice.chance(40) and not seen.silent:
        body = dice.pick(["x", "hello world", "0123456789ab"])
        if dice.chance(8) and version == "1.1":
            extra.append(("Transfer-Encoding", "chunked"))
            body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
        else:
            extra.append(("Content-Length", str(len(body))))
    elif dice.chance(1):
        extra.append(("Content-Length", dice.pick(["x", "0"])))
    headers = [*extra, *headers] if dice.chance(10) else [*headers, *extra]
    client = dice.weighted([(70, "127.0.0.1"), (20, "127.0.0.2"), (10, "127.0.0.9")])
    return Sent(method, target, version, tuple(headers), body, port, to, client)


def _headers(dice: Dice, seen: Sights) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for _ in range(dice.weighted([(35, 0), (30, 1), (20, 2), (15, 4)])):
        name, values = dice.pick(HEADERS)
        if name not in RARE or dice.chance(8):
            headers.append((name, dice.pick(values)))
    if seen.protected and dice.chance(40):
        headers.append(("Authorization", dice.pick(["Basic YW5uOm9wZW4=", "Basic YW5uOndyb25n"])))
    if dice.chance(35):
        headers.append(("X-Up-Status", str(dice.pick(UP_STATUSES))))
    while dice.chance(25):
        headers.append(("X-Up-Header", dice.pick(UP_HEADERS)))
    if dice.chance(5):
        headers.append(("X-Up-Type", dice.pick(["none", "text/html", "text/html; charset=x", "application/json"])))
    if dice.chance(2):
        headers.append(("X-Up-Fail", "close"))
    return headers


def _host(dice: Dice, seen: Sights, port: str) -> str | None:
    plain = [name.removeprefix("*").removeprefix(".") for name in seen.names if not name.startswith("~") and name]
    pool = [(30, dice.pick(HOSTS))]
    if plain:
        name = dice.pick(plain)
        pool.append((60, name if not name.endswith(".*") else name[:-1] + "org"))
    host = dice.weighted(pool) or "a.test"
    bend = dice.weighted(
        [
            (74, ""),
            (6, "port"),
            (4, "upper"),
            (4, "dot"),
            (4, "sub"),
            (1, "missing"),
            (1, "empty"),
            (2, "odd"),
            (2, "other-port"),
        ]
    )
    if bend == "missing":
        return None
    if bend == "odd":
        return dice.pick(
            [
                "a..test",
                "a b",
                "a.test:x",
                "a.test:70000",
                "a/b",
                "[::1]:80",
                ".a.test",
                "a.test,b",
                "u@a.test",
                "a%20b",
                "a.test:",
                "\xe4.test",
                "[::1",
                "a.test..",
                ":80",
                ".",
            ]
        )
    return {
        "": host,
        "port": f"{host}:{port}",
        "upper": host.upper(),
        "dot": host + ".",
        "sub": "x." + host,
        "empty": "",
        "other-port": host + ":80",
    }[bend]


def _target(dice: Dice, seen: Sights) -> str:
    if dice.chance(1):
        return dice.pick(
            ["*", "foo", "/\x01", "/%zz", "/%00", "/..", "/a b", "", "/%", "?q=1", "http://a.test?q=1", "/\xe9", "/a\t"]
        )
    path = dice.pick(seen.paths) if seen.paths and dice.chance(70) else dice.pick(PATHS)
    if path.find(" ") >= 0:
        path = path.replace(" ", "%20")
    for _ in range(dice.weighted([(66, 0), (26, 1), (8, 2)])):
        path = _bend(dice, path)
    if dice.chance(1):
        path += dice.pick(["y" * 300, "y" * 700])
    if dice.chance(50):
        return path
    pairs = []
    for _ in range(1 + dice.below(2)):
        key = dice.weighted([(55, "q"), (15, "r"), (10, "u"), (5, "Q"), (5, "root"), (5, "h"), (5, "k")])
        value = dice.pick(VALUES).replace(" ", "%20")
        pairs.append({"u": "u=" + dice.pick(["x", "down", "1", "z"]), "h": "h=127.0.0.1"}.get(key, f"{key}={value}"))
    return path + "?" + dice.weighted([(90, "&".join(pairs)), (4, ""), (3, "?" + pairs[0]), (3, "q&r")])


def _bend(dice: Dice, path: str) -> str:
    at = dice.below(len(path) + 1)
    how = dice.weighted(
        [
            (18, "tail"),
            (12, "encode"),
            (10, "slash"),
            (4, "dots"),
            (8, "dot"),
            (8, "upper"),
            (8, "extension"),
            (8, "noslash"),
            (10, "odd"),
            (10, "more"),
        ]
    )
    if how == "tail":
        return path.rstrip("/") if path.endswith("/") and len(path) > 1 else path + "/"
    if (
        how == "encode"
        and at < len(path)
        and path[at] != "%"
        and (at == 0 or "%" not in path[max(0, at - 2) : at])
        and at > 0
    ):
        return path[:at] + f"%{ord(path[at]):02{dice.pick(['x', 'X'])}}" + path[at + 1 :]
    if how == "slash":
        return path.replace("/", "//", 1) if dice.chance(50) else path + "//x"
    if how == "dots":
        return (
            path + dice.pick(["/../", "/..", "/x/../b", "/%2e%2e/a", "..", "/.%2e"])
            if dice.chance(70)
            else "/zz/.." + path
        )
    if how == "dot":
        return path + dice.pick(["/.", "/./b", "/%2e/"]) if dice.chance(70) else "/." + path
    if how == "upper":
        return path.upper()
    if how == "extension":
        return path + dice.pick([".php", ".css", ".txt", ".html", ".JS"])
    if how == "noslash":
        return path[:-1] if len(path) > 1 else "/a"
    if how == "odd":
        return path + dice.pick(
            [
                "%20x",
                "+y",
                "%2By",
                ";z",
                "%3Fq",
                "%23h",
                "#frag",
                "%0A",
                "%2Fw",
                "%25",
                "%C3%A9",
                "\xc3\xa9",
                "\\",
                '"',
                "'",
                "%7f",
                "&",
                "$1",
                "%5c",
                "~",
            ]
        )
    return path + dice.pick(["/b", "b", "/c.txt", "x", "/index.html", "1", "/q/r"])
