"""Which server answers under a name, which tables it reads, and which places of a configuration answer alike.

Two places answer alike where the same directives are in force and none of them looks at the path: whatever the
locations are called, a request that differs in its path alone gets the same answer, but for echoes of the path and
for the upstream asked. What is not understood well enough to say so is like nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.exchange import Request
from auditor.nginx.dependence import LOGS, tables_of, words_of
from auditor.nginx.matchers import scope_of
from auditor.nginx.model import PASSES, Node
from auditor.nginx.regex import Regex, RegexError
from auditor.nginx.select import clean_host, find_listen, find_location, find_server
from auditor.nginx.state import Run, Undecided
from auditor.nginx.subjects import Subjects, subject_of
from auditor.nginx.template import split
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.evaluate import Configuration

_SAYS_NOTHING = frozenset(
    {"server_name", "listen", "access_log", "error_log", "log_not_found", "log_subrequest", "root", "root or alias"}
    | {"ssl_certificate", "ssl_certificate_key", "ssl_trusted_certificate"}
)
"""Directives that do not change what an answer says, but for the file or certificate that is used."""

_ECHOES = frozenset(
    {"proxy_set_header", "proxy_cache_key", "fastcgi_param", "uwsgi_param", "scgi_param", "grpc_set_header"}
    | {"return", "alias", "try_files", "error_page", "index", "proxy_redirect", "rewrite"}
)
"""Directives whose text may name the path without their effect depending on it; some are looked at on their own."""

_PATH = frozenset({"path", "request_uri"})
_HOST = frozenset({"host", "header:host", "listen"})
_HOST_NAMES = frozenset({"server_name", "ssl_server_name", "ssl_preread_server_name", "invalid_referer"})
_PLAIN = frozenset(
    {"status", "msec", "pid", "nginx_version", "connection", "connection_requests", "connection_time", "request_id"}
    | {
        "request_time",
        "request_length",
        "bytes_sent",
        "body_bytes_sent",
        "remote_port",
        "hostname",
        "limit_rate",
        "pipe",
    }
    | {"document_root", "realpath_root", "limit_req_status", "limit_conn_status", "time_iso8601", "time_local"}
)
_PLAIN_FAMILIES = (
    "upstream_",
    "sent_http_",
    "sent_trailer_",
    "ssl_",
    "geoip_",
    "geoip2_",
    "proxy_",
    "gzip_",
    "tcpinfo_",
)
"""Variables that neither the path nor the host decides."""
_DEEPEST = 4
"""Error pages of error pages beyond this are not followed."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """What is in force at one node: `text` equal means the same directives. `by_path`: nothing can be said of it.

    `constant`: the `targets` and the `index` are all where a request may go on inside nginx, rewrites aside.
    """

    text: Hashable
    by_path: bool
    constant: bool
    by_host: bool
    rewrites: tuple[Regex, ...]
    targets: tuple[str, ...]
    index: tuple[str, ...]


class Selection:
    """Answers about one configuration; everything is found out once."""

    def __init__(self, configuration: Configuration) -> None:
        """Prepare."""
        self._http = configuration.engine.http
        self._disk = bool(configuration.engine.disk.mounts)
        self._assigned = Subjects(self._http).assigned
        self._zones = [zone.args[0] for zone in self._http.zones.values() if zone.args]
        self._servers: dict[tuple[str, str, str], Node | None] = {}
        self._tables: dict[int, frozenset[str]] = {}
        self._readers: dict[int, frozenset[str]] = {}
        self._signs: dict[int, _Sign] = {}
        self._global = frozenset(tables_of(self._http, self._texts_of((self._http.node,))))
        self._global |= tables_of(self._http, self._zones)

    def scope(self, listen: str, scheme: str, host: str) -> str | None:
        """Name the server that answers; None where nothing listens."""
        server = self._server(listen, scheme, host)
        return None if server is None else scope_of(server)

    def tables(self, listen: str, scheme: str, host: str, path: str | None = None) -> frozenset[str]:
        """Return the maps, geos and split_clients that the answering server can read, for a path or for any.

        For a path all of them count where it is not known which locations take part in the answer.
        """
        server = self._server(listen, scheme, host)
        if server is None:
            return frozenset()
        found: dict[tuple[int, str], Node] = {}
        if path is not None and self._taking_part(server, path, found):
            return self._global.union(*(self._read_by(node) for node in found.values()))
        known = self._tables.get(id(server))
        if known is None:
            known = self._global | frozenset(tables_of(self._http, self._texts_of(server.below())))
            self._tables[id(server)] = known
        return known

    def alike(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:
        """Return something equal for two places that answer alike; None for a place like no other."""
        server = self._server(listen, scheme, host)
        if server is None or self._disk:
            return None
        return self._place(server, host, path, 0)

    def through(self, listen: str, scheme: str, host: str, path: str) -> Hashable | None:  # noqa: ARG002 - a protocol
        """Return None: the blocks that answer say it."""
        return None

    # -- servers and tables ------------------------------------------------------------------------------------

    def _server(self, listen: str, scheme: str, host: str) -> Node | None:
        key = (listen, scheme, host)
        if key not in self._servers:
            self._servers[key] = self._find_server(listen, scheme, host)
        return self._servers[key]

    def _find_server(self, listen: str, scheme: str, host: str) -> Node | None:
        request = Request(scheme=scheme, listen=listen)
        found = find_listen(self._http, request)
        if found is None or found.default is None:
            return None
        name = clean_host(host, strict=True)
        if found.alone or name is None:
            return found.default
        try:
            server, _ = find_server(found, name, Run(request, found, found.default, found.default))
        except Undecided:
            return None
        return server or found.default

    def _texts_of(self, nodes: Iterable[Node]) -> Iterator[str]:
        for node in nodes:
            for name, lines in node.own.items():
                if name not in LOGS:
                    yield from words_of(lines)
            yield from words_of(node.script)

    def _read_by(self, node: Node) -> frozenset[str]:
        """Return the tables that a block and those around it read, with what is inside it and no location."""
        known = self._readers.get(id(node))
        if known is None:
            outer = self._read_by(node.parent) if node.parent is not None else frozenset()
            known = outer | tables_of(self._http, self._texts_of(_within(node)))
            self._readers[id(node)] = known
        return known

    def _taking_part(self, server: Node, path: str, found: dict[tuple[int, str], Node], *, file: bool = False) -> bool:
        """Find the locations in which the answer to a path can be made; False where that is not known.

        `file`: the path is known to name a file, which index has found.
        """
        run = Run(Request(), self._http.listens[0], server, server)
        run.uri = path
        try:
            node, _ = find_location(run, server)
        except Undecided:
            return False
        return self._further(server, node, path, found, file=file)

    def _further(
        self, server: Node, node: Node, path: str, found: dict[tuple[int, str], Node], *, file: bool = False
    ) -> bool:
        sign = self._sign(node)
        if not sign.constant or _rewritten(sign, path):
            return False
        if (id(node), path) in found:
            return True
        found[id(node), path] = node
        for target in sign.targets:
            named = server.named.get(target[1:]) or server.named.get(target) if target.startswith("@") else None
            if named is not None and not self._further(server, named, path, found):
                return False
            if target.startswith("/") and not self._taking_part(server, target, found):
                return False
        folders = [path] if path.endswith("/") else []
        for line in (line for part in _within(node) for line in part.own.get("try_files", ())):
            for tried in (arg for arg in line.args[:-1] if arg.endswith("/")):
                if "$" in tried and tried != "$uri/":
                    return False
                folders += [] if file and "$" in tried else [tried.replace("$uri", path)]
        below = [_below(folder, name) for folder in dict.fromkeys(folders) for name in sign.index]
        return all(self._taking_part(server, each, found, file=True) for each in below)

    # -- places ------------------------------------------------------------------------------------------------

    def _place(self, server: Node, host: str, path: str, depth: int) -> Hashable | None:
        run = Run(Request(), self._http.listens[0], server, server)
        run.uri = path
        try:
            node, how = find_location(run, server)
        except Undecided:
            return None
        return self._node(server, node, how, host, path, depth)

    def _node(self, server: Node, node: Node, how: str, host: str, path: str, depth: int) -> Hashable | None:  # noqa: PLR0917 - one place, in all its parts
        sign = self._sign(node)
        if sign.by_path or depth > _DEEPEST:
            return None
        if _rewritten(sign, path):
            return None
        further: list[Hashable] = []
        for target in (*sign.targets, *(_below(path, name) for name in sign.index)):
            if target.startswith("@"):
                named = server.named.get(target[1:]) or server.named.get(target)
                where = self._node(server, named, "named", host, path, depth + 1) if named else "no such location"
            else:
                where = self._place(server, host, target, depth + 1)
            if where is None:
                return None
            further.append(where)
        return (sign.text, how, host if sign.by_host else "", tuple(further), path.endswith("/") and bool(sign.index))

    def _parts(self, texts: Iterable[str]) -> tuple[bool, bool]:
        """Whether texts depend on the path, and on the host; on both where a variable is not known."""
        by_path = by_host = False
        seen: set[str] = set()
        todo = [(text, False) for text in texts]
        while todo and not (by_path and by_host):
            text, in_table = todo.pop()
            for kind, name in split(text):
                if kind == "capture":
                    by_path |= not in_table
                if kind != "variable" or name in seen:
                    continue
                seen.add(name)
                subject = subject_of(name)
                if name in self._http.tables:
                    table = self._http.tables[name]
                    sources = table.args[:-1] or ("$remote_addr",)
                    todo += [(word, True) for word in (*sources, *words_of(table.block or ())) if "$" in word]
                elif name in self._assigned:
                    todo += [(value, False) for value, _ in self._assigned[name]]
                elif subject is not None or name in _HOST_NAMES:
                    by_path |= subject in _PATH
                    by_host |= subject in _HOST or name in _HOST_NAMES
                elif not _neither(name):
                    return True, True
        return by_path, by_host

    def _sign(self, node: Node) -> _Sign:
        known = self._signs.get(id(node))
        if known is None:
            known = self._signs[id(node)] = self._made(node)
        return known

    def _made(self, node: Node) -> _Sign:
        outer = self._sign(node.parent) if node.parent is not None else None
        lines = [line for name, group in sorted(node.own.items()) if name not in _SAYS_NOTHING for line in group]
        texts = [text for line in (*lines, *node.script) for text in _depends(line)]
        if "limit_req" in node.own or "limit_conn" in node.own:
            texts += self._zones
        by_path, by_host = self._parts(texts)
        static = node.handler is None and not any(line.name == "return" for line in node.script)
        targets, constant = _targets(node)
        index = [word for line in node.find("index") for word in line.args] or ["index.html"]
        constant = constant and not (static and any("$" in word for word in index))
        return _Sign(
            text=(
                outer.text if outer else (),
                tuple(_shape(line) for line in (*lines, *node.script) if line.name != "rewrite"),
            ),
            by_path=by_path or bool(outer and outer.by_path) or not constant,
            constant=constant,
            by_host=by_host or bool(outer and outer.by_host),
            rewrites=(*(outer.rewrites if outer else ()), *_rewrites(node.script)),
            targets=targets,
            index=tuple(index) if static else (),
        )  # fmt: skip


def _rewritten(sign: _Sign, path: str) -> bool:
    """Whether a path is rewritten, or it is not known."""
    try:
        return any(regex.search(path) for regex in sign.rewrites)
    except (RegexError, UnicodeEncodeError):
        return True


def _within(node: Node) -> Iterator[Node]:
    """Yield a block, and what is inside it and no location."""
    yield node
    for child in node.children.values():
        yield from _within(child)


def _neither(name: str) -> bool:
    return name in _PLAIN or name.startswith(_PLAIN_FAMILIES)


def _depends(line: Directive) -> Iterator[str]:
    """Yield the texts on which the effect of a directive depends."""
    if line.name not in _ECHOES:
        yield from (arg for arg in line.args if "$" in arg)
    for inner in line.block or ():
        yield from _depends(inner)


def _shape(line: Directive) -> Hashable:
    """Return a directive without its place, and without the address where it passes requests to a constant one."""
    args = line.args
    if line.name in PASSES and args and "$" not in args[0]:
        scheme, _, rest = args[0].partition("://")
        args = (scheme, "/" if "/" in rest else "")
    elif line.name == "alias":
        args = ()
    block = tuple(_shape(inner) for inner in line.block if inner.name != "rewrite") if line.block is not None else None
    return (line.name, args, block)


def _rewrites(lines: Iterable[Directive]) -> Iterator[Regex]:
    for line in lines:
        if line.name == "rewrite" and line.args:
            yield Regex(line.args[0])
        elif line.block:
            yield from _rewrites(line.block)


def _targets(node: Node) -> tuple[tuple[str, ...], bool]:
    """Return where a request may go on inside nginx, and whether all of that is constant."""
    targets: list[str] = []
    lines = [*node.find("error_page"), *node.own.get("try_files", ())]
    lines += [line for name in ("auth_request", "post_action") for line in node.find(name) if line.args[:1] != ("off",)]
    for child in node.children.values():
        lines += [*child.own.get("error_page", ()), *child.own.get("try_files", ())]
    for line in lines:
        target = line.args[-1].partition("?")[0] if line.args else ""
        if "$" in target:
            return (), False
        if target.startswith(("/", "@")):
            targets.append(target)
    return tuple(targets), True


def _below(path: str, name: str) -> str:
    return name if name.startswith("/") else f"{path.removesuffix('/')}/{name}"
