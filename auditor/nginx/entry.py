"""How a request comes in: connection, request line, header lines, and the server that they choose."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.exchange import Field
from auditor.nginx.model import Node, server_names
from auditor.nginx.request_size import AROUND, buffers_for, too_large
from auditor.nginx.select import clean_host, find_server
from auditor.nginx.state import Run
from auditor.nginx.uri import parse, plausible
from auditor.nginx.user_agent import browsers
from auditor.nginx.variables import PROXY_CREDENTIALS, SINGLE_HEADERS, mapped
from auditor.sealed import longest

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine

_METHOD = re.compile(r"[A-Z_-]+\Z")
_VERSION = re.compile(r"(\d)(?:\.(\d{1,3}))?\Z")
_AUTHORITY = r"([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]):[0-9]*\Z"
_GOOD_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
_USABLE_NAME = re.compile("[^\x00-\x20\x7f:][^\x00-\x20\x7f]*\\Z")
MOST_NAMES = 6
"""Server names that a story lists where none fits."""


@lru_cache(maxsize=4096)
def key_of(name: str) -> tuple[str, str, int]:
    """Return a header name as variables spell it, in lower case, and 0 (good), 1 (to be ignored) or 2 (an error)."""
    lower = name.lower()
    kind = 0 if _GOOD_NAME.match(name) else 1 if _USABLE_NAME.match(name) else 2
    return lower.replace("-", "_"), lower, kind


def flag(node: Node, name: str, *, default: bool) -> bool:
    """Return an on/off directive of a server."""
    line = node.last(name)
    return default if line is None or not line.args else line.args[0] == "on"


def begin(engine: Engine, run: Run) -> int:
    """Read a request as nginx does before any phase; return 0, or the status of an early error."""
    request = run.request
    run.client = mapped(run.listen.address, request.client)
    run.evaluate = engine.value
    run.look = engine.disk.kinds
    run.method = request.method
    run.version = engine.version_text
    return _request_line(engine, run) or _header_lines(engine, run) or _checks(engine, run)


def _request_line(engine: Engine, run: Run) -> int:  # noqa: C901 - follows nginx's own
    request = run.request
    run.uri = run.raw_uri = run.method = ""
    version = _VERSION.match(request.version)
    if not _METHOD.match(request.method):
        return 400
    run.head = request.method == "HEAD"
    if not request.version.startswith(("2", "3")):
        line = len(request.method) + len(request.target) + len(request.version) + 9
        run.buffers = buffers_for(run.server, line, request.headers.fields)
        if run.buffers is not None and not run.buffers.take(line, run.server):
            return too_large(414, request.headers.fields)
    if version is None:
        return 400
    if request.method == "CONNECT" and engine.version >= (1, 31, 0):
        return _tunnel(run)
    if not plausible(request.target):
        return 400
    if request.version in {"2.0", "3.0"} and not run.listen.http2 and request.scheme == "http":
        return 505
    run.http, run.method, run.line_read = framing(request.version), request.method, True
    target = parse(request.target, merge=flag(run.server, "merge_slashes", default=True))
    if target is None:
        return 400
    run.uri, run.args, run.raw_uri = target.path, target.args, target.raw
    run.escaped, run.quoted, run.faithful = target.escaped, target.quoted, target.faithful
    run.breaks = "\n" in target.path
    if run.why is not None and target.path != target.raw.partition("?")[0]:
        run.note("", None, f"the path of the request is read as {target.path}")
    if target.host:
        host = clean_host(target.host, strict=engine.version >= (1, 29, 4))
        if host is None:
            return 400
        run.host = host
        _select(run, host)
    return 0


def framing(version: str) -> str:
    """Return the version whose framing nginx uses: 1.2 is answered as 1.1."""
    return "1.1" if version.startswith("1.") and version != "1.0" else version


def _tunnel(run: Run) -> int:
    """Read the target of CONNECT: only host:port will do."""
    request = run.request
    authority = re.match(_AUTHORITY, request.target)
    if authority is None:
        return 400
    if request.version in {"2.0", "3.0"} and not run.listen.http2:
        return 505
    run.http, run.method, run.line_read = framing(request.version), request.method, True
    run.uri = run.raw_uri = "/"
    host = clean_host(request.target, strict=True)
    if host is None:
        return 400
    run.host = host
    _select(run, host)
    return 0


def _select(run: Run, host: str) -> None:
    """Choose the server for a host (`ngx_http_set_virtual_server`); a server that is alone has no need of its names."""
    server, how = (
        (run.listen.default, f"the only one on {run.listen.key}: it takes every name")
        if run.listen.alone
        else find_server(run.listen, host, run)
    )
    if server is not None:
        run.server = run.node = server
        if run.why is not None:
            run.note(named(server), server.place, how if run.listen.alone else f'"{host}" {how}')
    else:
        fallback = run.listen.default
        if fallback is not None and run.server is not fallback:
            run.server = run.node = fallback
        if run.why is not None:
            run.note(named(run.server), run.server.place, _why_default(run, host))


def named(server: Node) -> str:
    """Return a server with its names, as a story calls it."""
    return " ".join(("server", *(name for name in server_names(server) if name)))


def _why_default(run: Run, host: str) -> str:
    """Say why the default server answers."""
    names = [name for name in run.listen.names if name]
    flagged = "it is the default_server" if run.listen.default_flag else "it is the first one in the file"
    others = (
        f" (names here: {', '.join(names[:MOST_NAMES])}{', …' if len(names) > MOST_NAMES else ''})" if names else ""
    )
    return f'no server on {run.listen.key} is named "{host}"{others}: {flagged}'


def _header_lines(engine: Engine, run: Run) -> int:  # noqa: C901 - follows nginx's own
    """Read the header lines in order; the server may change at Host."""
    header = run.header
    kept: list[Field] = []
    run.header_lines = kept
    joins = engine.version >= (1, 23, 0)
    seen_host = False
    most = _most_headers(run.server)
    buffers = run.buffers
    for line in run.request.headers.fields:
        key, lower, kind = key_of(line.name)
        if buffers is not None and not buffers.take(len(line.name) + longest(line.value) + AROUND, run.server):
            return too_large(494, run.request.headers.fields)
        if kind:
            if kind == 2:
                return 400
            underscores = flag(run.server, "underscores_in_headers", default=False)
            if "_" in line.name and _GOOD_NAME.match(line.name.replace("_", "-")):
                if not underscores and flag(run.server, "ignore_invalid_headers", default=True):
                    continue
            elif flag(run.server, "ignore_invalid_headers", default=True):
                continue
        value = line.value.strip(" ")
        if value != line.value:
            line = Field(line.name, value, line.made_by, line.layer)  # noqa: PLW2901 - as nginx reads it
        known = header.get(key)
        kept.append(line)
        if most and len(kept) > most:
            return 494
        if known is None:
            header[key] = value
        elif lower in SINGLE_HEADERS and (lower != "proxy-authorization" or engine.version >= PROXY_CREDENTIALS):
            return 400
        elif key == "cookie":
            header[key] = f"{known}; {value}"
        elif joins or key == "x_forwarded_for":
            header[key] = f"{known}, {value}"
        if lower == "user-agent" and (joins or known is None):
            run.browsers = browsers(kept)
        if key == "host" and not seen_host:
            seen_host = True
            host = clean_host(value, strict=engine.version >= (1, 29, 4))
            if host is None:
                return 400
            if run.host is None:
                run.host = host
                _select(run, host)
                most = _most_headers(run.server)
    if buffers is not None and not buffers.take(2, run.server):
        return too_large(494, run.request.headers.fields)
    return 0


def _most_headers(server: Node) -> int:
    """Return how many header lines a server accepts; 0 for any number worth thinking of."""
    line = server.last("max_headers")
    return int(line.args[0]) if line is not None and line.args and line.args[0].isdigit() else 0


def _checks(engine: Engine, run: Run) -> int:  # noqa: C901 - follows nginx's own
    """Check what the header lines say together (`ngx_http_process_request_header`)."""
    request = run.request
    header = run.header
    connection = header.get("connection", "").lower()
    if run.host is None:
        server, _ = find_server(run.listen, "", run)
        if server is not None:
            run.server = run.node = server
    if "host" not in header and request.version not in {"1.0", "0.9"}:
        return 400
    length = header.get("content_length")
    if length is not None and not length.isdigit():
        return 400
    run.length = length or ""
    coding = header.get("transfer_encoding")
    if coding is not None:
        if request.version in {"1.0", "0.9"}:
            return 400
        if coding.lower() != "chunked":
            return 501
        if length is not None:
            return 400
        run.chunked = True
    run.announced = int(length) if length else request.body_length
    if request.method == "TRACE" or (request.method == "CONNECT" and engine.version >= (1, 21, 1)):
        return 405
    if run.listen.ssl and request.scheme == "http":
        return 497
    run.keepalive = request.version not in {"1.0", "0.9"}
    for line in run.header_lines if connection else ():
        if line.name.lower() == "connection":
            if "close" in line.value.lower():
                run.keepalive = False
            elif "keep-alive" in line.value.lower():
                run.keepalive = True
    return 0
