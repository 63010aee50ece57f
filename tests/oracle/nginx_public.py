"""Other people's configurations run for real: sandboxed with their meaning kept, asked requests made of their own words.

The rewriting of listen addresses, paths, certificates and upstreams is done by the tools beside the shared cases.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from nginx_live import Sandbox, Sent
from nginx_tree import Node, block, directive

from auditor.errors import Problem
from auditor.nginx.syntax import load_tree

sre: Any = importlib.import_module("re._parser")
SHARED = Path(__file__).parents[2].parent / "shared" / "cases"
_BASE_PORT = 18_000
_ECHO_PORT = 17_999
_TLS_ONLY = frozenset({"ssl", "http2", "quic", "http3", "proxy_protocol"})
_DROPPED = frozenset(
    {"http2", "http3", "quic_retry", "access_log", "log_format", "open_log_file_cache", "ssl_reject_handshake"}
)
_DROPPED_TEMP = frozenset(f"{name}_temp_path" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def index() -> list[dict[str, Any]]:
    """Return what is recorded of every public configuration, or nothing where the shared cases are absent."""
    path = SHARED / "public" / "nginx" / "index.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


@functools.cache
def _tools() -> Any:
    sys.path.append(str(SHARED / "tools"))
    return importlib.import_module("prepare")


def sandboxed(identifier: str, sandbox: Sandbox) -> Node:
    """Return a public configuration's http block made runnable in a sandbox; raises `LookupError` where it cannot run."""
    tools = _tools()
    tools.NGINX = sandbox.binary
    folder = sandbox.root / identifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the tool leaves closing its files to the interpreter
        record = tools.prepare(identifier, str(folder), _BASE_PORT, _ECHO_PORT)
    if not record["t_ok"]:
        raise LookupError(record["reason"])
    tree = tools.ngx.parse((folder / "nginx.conf").read_text(encoding="utf-8"))
    https = [node for node in tree if node.name == "http" and node.block is not None]
    if not https:
        raise LookupError("has no http block")
    http = Node("http", (), tuple(_converted(https[0].block, str(folder), ())))
    return http if record["ports"] else Node("http", (), (*(http.block or ()), _plain_server(http)))


def _plain_server(http: Node) -> Node:
    """Write a server for a configuration that has none (those in its conf.d were not published): its http level shows.

    It answers by itself, proxies to each upstream block, serves files, and shows what each map makes of the request.
    """
    lines = [directive("listen", "127.0.0.1:@P1@"), directive("root", "html")]
    lines.append(block("location", "/self/", of=[directive("return", "200", "plain")]))
    lines.append(block("location", "/up/", of=[directive("proxy_pass", "http://@UP@")]))
    lines += [
        block("location", f"/up/{node.args[0]}/", of=[directive("proxy_pass", f"http://{node.args[0]}")])
        for node in http.inside("upstream")
    ]
    lines += [
        block("location", f"/map/{node.args[1][1:]}/", of=[directive("return", "200", f"[{node.args[1]}]")])
        for node in http.inside("map")
    ]
    for number, zone in enumerate(http.inside("limit_req_zone")):
        name = next(arg for arg in zone.args if arg.startswith("zone=")).partition(":")[0]
        lines.append(block("location", f"/limit/{number}/", of=[directive("limit_req", name)]))
    return block("server", of=lines)


def judged(identifier: str, binary: str, folder: Path) -> tuple[str, tuple[Problem, ...]]:
    """Return what nginx says against a public configuration in a sandbox ("": nothing), and our problems with the same text."""
    tools = _tools()
    tools.NGINX = binary
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        record = tools.prepare(identifier, str(folder), _BASE_PORT, _ECHO_PORT)
    main = folder / "nginx.conf"
    if not main.exists():  # the tool itself could not read it
        main = SHARED / "public" / "nginx" / identifier / "nginx.conf"
        return str(record["reason"]), load_tree([main]).problems
    return "" if record["t_ok"] else str(record["reason"]), load_tree([main], prefix=folder, context="main").problems


def _converted(nodes: list[Any], folder: str, inside: tuple[str, ...]) -> Iterator[Node]:
    plain = bool(inside) and inside[-1] in {"map", "geo", "types", "split_clients"}
    for node in nodes:
        if not plain and node.name in _DROPPED | _DROPPED_TEMP:
            continue
        args = tuple(_argument(arg) for arg in node.args)
        if node.name == "listen" and not plain:
            args = tuple(arg for arg in args if arg not in _TLS_ONLY)
        if node.name == "limit_req_zone":
            args = tuple(re.sub(r"^rate=.*", "rate=100000r/s", arg) for arg in args)
        block = None if node.block is None else tuple(_converted(node.block, folder, (*inside, node.name)))
        yield Node(_argument(node.name), args, block)


def _argument(text: str) -> str:
    text = text.encode("utf-8").decode("latin-1")
    text = re.sub(rf"127\.0\.0\.1:{_ECHO_PORT}\b", "@UP@", text)
    return re.sub(r"127\.0\.0\.1:(18\d\d\d)\b", lambda m: f"127.0.0.1:@P{int(m[1]) - _BASE_PORT + 1}@", text)


def requests_to(http: Node, identifier: str, count: int = 24) -> list[Sent]:
    """Make requests of the configuration's own server names, locations, methods and origins."""
    dice = Random(zlib.crc32(identifier.encode()))
    doors = []
    for server in http.inside("server"):
        names = [name for node in server.inside("server_name") for name in node.args]
        paths = [path for node in server.walk() if node.name == "location" for path in _paths(node)]
        ports = [node.args[0].rpartition(":")[2] for node in server.inside("listen")]
        doors += [(port, [_host(name) for name in names] or ["other.test"], paths or ["/"]) for port in ports]
    words = " ".join(arg for node in http.walk() for arg in (node.name, *node.args))
    origins = sorted(set(re.findall(r"https?://[a-z0-9.-]+(?::\d+)?", words.replace("\\.", "."))))
    origins = [*dice.sample(origins, min(4, len(origins))), "https://evil.example", "null"]
    result = []
    for number in range(count):
        port, hosts, paths = doors[number % len(doors)]
        path = dice.choice(paths) if number % 4 else paths[number // 4 % len(paths)]
        headers = [("Host", dice.choice(hosts) if dice.random() < 0.85 else "unknown.test")]
        method = dice.choice(["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE"])
        if dice.random() < 0.6:
            headers.append(("Origin", dice.choice(origins)))
        if method == "OPTIONS":
            headers.append(("Access-Control-Request-Method", "PUT"))
        if dice.random() < 0.35:
            headers.append(("X-Up-Status", dice.choice(["201", "301", "404", "403", "500", "502", "503"])))
        if dice.random() < 0.2:
            headers.append(
                (
                    "X-Up-Header",
                    dice.choice(
                        ["Access-Control-Allow-Origin: *", "X-Frame-Options: DENY", "Vary: Origin", "Set-Cookie: a=b"]
                    ),
                )
            )
        if dice.random() < 0.15:
            headers.append(
                dice.choice(
                    [
                        ("Upgrade", "websocket"),
                        ("Cookie", "session=1; theme=x"),
                        ("User-Agent", "Googlebot curl"),
                        ("Accept-Encoding", "gzip"),
                    ]
                )
            )
        query = dice.choice(["", "", "", "?a=1", "?v=2&debug=1"])
        result.append(Sent(method, path + query, "1.1", tuple(headers), port=port))
    return result


def _host(name: str) -> str:
    if name.startswith("~"):
        return sample(name[1:]) or "other.test"
    name = name.strip(".")
    return name.replace("*", "sub") if "*" in name else name or "other.test"


def _paths(location: Node) -> list[str]:
    name = location.args[-1]
    if name.startswith("@"):
        return []
    if location.args[0] in {"~", "~*"}:
        text = sample(name)
        found = text if text.startswith("/") else "/x" + text
        return [_escaped(found)]
    path = _escaped(name if name.startswith("/") else "/" + name)
    return [path, path.rstrip("/") + "/sub/page.html", path + "x", path.rstrip("/") or "/"]


def _escaped(path: str) -> str:
    return "".join(
        char
        if "!" <= char <= "~" and char not in '%"<>?#'
        else "".join(f"%{byte:02x}" for byte in char.encode("latin-1", "replace"))
        for char in path
    )


def sample(pattern: str) -> str:
    """Write a short text that a regex probably matches."""
    try:
        return "".join(
            _sampled(sre.parse(pattern.replace("(?<", "(?P<").replace("(?P<!", "(?<!").replace("(?P<=", "(?<=")))
        )
    except (re.error, OverflowError, ValueError):
        return "/"


def _sampled(items: Any) -> Iterator[str]:
    for kind, value in items:
        if kind is sre.LITERAL:
            yield chr(value)
        elif kind in {sre.ANY, sre.NOT_LITERAL}:
            yield "z"
        elif kind is sre.IN:
            yield _member(value)
        elif kind is sre.BRANCH:
            yield from _sampled(value[1][0])
        elif kind is sre.SUBPATTERN:
            yield from _sampled(value[3])
        elif kind in {sre.MAX_REPEAT, sre.MIN_REPEAT} or str(kind) == "POSSESSIVE_REPEAT":
            low, high, inner = value
            for _ in range(max(low, min(int(high), 1))):
                yield from _sampled(inner)


def _member(choices: Any) -> str:
    if choices[0][0] is sre.NEGATE:
        return "z"
    kind, value = choices[0]
    if kind is sre.LITERAL:
        return chr(value)
    if kind is sre.RANGE:
        return chr(value[0])
    return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(value), "a")
