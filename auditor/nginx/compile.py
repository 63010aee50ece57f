"""Turns the directives of a configuration into nodes, listeners and tables: everything that is known before a request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from auditor.errors import Location
from auditor.exchange import Unknown
from auditor.nginx.model import CONTENT_BY, HANDLERS, SCRIPT, Listen, Node, Tree
from auditor.nginx.regex import Regex
from auditor.nginx.tokens import Directive

TABLES = frozenset({"map", "geo", "split_clients"})
GROUPS = {
    "allow": "access rules",
    "deny": "access rules",
    "more_set_headers": "more headers",
    "more_clear_headers": "more headers",
    "more_set_input_headers": "more input headers",
    "more_clear_input_headers": "more input headers",
    "root": "root or alias",
    "alias": "root or alias",
}
"""Directives whose order among each other counts are also kept under one name."""
_MODIFIERS = ("=", "^~", "~*", "~", "@")


class Http:
    """Everything of the `http` blocks: the outermost node, servers, listeners, tables, upstreams, zones."""

    __slots__ = ("listens", "node", "plain", "servers", "tables", "unreadable", "upstreams", "zones")

    def __init__(self) -> None:
        """Make an empty one."""
        self.node = Node("http", None, None)
        self.servers: list[Node] = []
        self.listens: list[Listen] = []
        self.tables: dict[str, Directive] = {}
        self.upstreams: dict[str, Directive] = {}
        self.zones: dict[str, Directive] = {}
        self.unreadable: list[Unknown] = []
        self.plain: set[str] = set()


def compile_http(directives: Iterable[Directive], context: str) -> Http:
    """Build the nodes of a configuration whose top level is `context` (main, http, server, location)."""
    http = Http()
    top = tuple(directives)
    place = top[0].location if top else Location("nginx")
    if context == "location":
        top = (Directive("location", ("/",), place, top),)
    if context in {"location", "server"}:
        top = (Directive("server", (), place, top),)
    if context == "main":
        for directive in top:
            if directive.name == "http" and directive.block is not None:
                _http(http, directive.block)
    else:
        _http(http, top)
    http.plain = plain_variables(top)
    for server in http.servers:
        settle(server.below())
    for server in http.servers:
        _listen(http, server)
    for listen in http.listens:
        listen.index()
    return http


_GROUP = r"\(\?(?:P?<|')([A-Za-z_][A-Za-z0-9_]*)[>']"
_ASSIGNING = frozenset({"set", "auth_request_set", "perl_set", "js_set", "js_var", "set_by_lua_block", "set_by_lua"})


def plain_variables(directives: Iterable[Directive]) -> set[str]:
    """Return the lower-case names of variables that `set` and named groups make anywhere: they are empty until then."""
    found: set[str] = set()
    for directive in directives:
        if directive.name in _ASSIGNING and directive.args:
            found.add(directive.args[0].lstrip("$").lower())
        for word in (directive.name, *directive.args):
            if "(?" in word:
                found.update(name.lower() for name in re.findall(_GROUP, word))
        if directive.block:
            found |= plain_variables(directive.block)
    return found


PROXY_PARAMS = (
    ("Host", "$http_host"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
)
"""The request headers that Debian's `proxy_params` sets."""


def shipped(directives: Iterable[Directive]) -> Iterator[Directive]:
    """Put what a file of nginx's own brings in the place of an include that could not be read here."""
    for directive in directives:
        name = directive.args[0].rsplit("/", 1)[-1] if directive.name == "include" and directive.args else ""
        if name == "mime.types":
            yield Directive("types", (), directive.location, (directive,))
        elif name == "proxy_params":
            for header in PROXY_PARAMS:
                yield Directive("proxy_set_header", header, directive.location)
        else:
            yield directive


def _http(http: Http, directives: Iterable[Directive]) -> None:
    for directive in shipped(directives):
        name = directive.name
        if name == "server" and directive.block is not None:
            node = Node("server", http.node, directive)
            _fill(node, directive.block)
            http.servers.append(node)
        elif name in TABLES and directive.block is not None and directive.args:
            http.tables[directive.args[-1].lstrip("$").lower()] = directive
        elif name == "upstream" and directive.block is not None and directive.args:
            http.upstreams.setdefault(directive.args[0].lower(), directive)
        elif name in {"limit_req_zone", "limit_conn_zone"}:
            for arg in directive.args[1:]:
                if arg.startswith("zone="):
                    http.zones[f"{name}:{arg[5:].split(':', 1)[0]}"] = directive
        else:
            http.node.own.setdefault(name, []).append(directive)
            if name in GROUPS:
                http.node.own.setdefault(GROUPS[name], []).append(directive)


def _fill(node: Node, directives: Iterable[Directive]) -> None:  # noqa: C901 - follows nginx's own
    """Sort the directives of one block into its node."""
    locations: list[Node] = []
    for directive in shipped(directives):
        name = directive.name
        if name in SCRIPT:
            node.script.append(directive)
            if name == "if" and directive.block is not None and node.kind != "server":
                child = Node("if", node, directive)
                child.modifier, child.name = node.modifier, node.name
                _fill_if(child, directive.block)
                node.children[id(directive)] = child
        elif name == "location" and directive.block is not None:
            locations.append(_location(node, directive))
        elif name == "limit_except" and directive.block is not None:
            child = Node("except", node, directive)
            child.modifier, child.name = node.modifier, node.name
            _fill_if(child, directive.block)
            node.children[id(directive)] = child
            node.own.setdefault(name, []).append(directive)
        else:
            if name in HANDLERS or name in CONTENT_BY:
                node.handler = directive
            node.own.setdefault(name, []).append(directive)
            if name in GROUPS:
                node.own.setdefault(GROUPS[name], []).append(directive)
    node.locations = locations
    node.tree = Tree(locations, only_regexes=node.regex is not None)
    server = node.server
    if server is not None:
        for location in locations:
            if location.modifier == "@":
                server.named.setdefault(location.name, location)


def settle(nodes: Iterable[Node]) -> None:
    """Note for each node whether connections stay open where it applies (`keepalive_timeout`)."""
    for node in nodes:
        line = node.last("keepalive_timeout")
        node.stays = line is None or not line.args or re.fullmatch(r"0+(ms|[smhdwMy])?", line.args[0]) is None
        most = node.last("keepalive_requests")
        if most is not None and most.args[:1] and most.args[0].isdigit() and int(most.args[0]) <= 1:
            node.stays = False  # a request is taken for the first of its connection


def _fill_if(node: Node, directives: Iterable[Directive]) -> None:
    for directive in directives:
        if directive.name in SCRIPT:
            node.script.append(directive)
        else:
            if directive.name in HANDLERS or directive.name in CONTENT_BY:
                node.handler = directive
            node.own.setdefault(directive.name, []).append(directive)
            if directive.name in GROUPS:
                node.own.setdefault(GROUPS[directive.name], []).append(directive)


def _location(parent: Node, directive: Directive) -> Node:
    """Build a location from its modifier and name; both may be one word (`=/x`, `~*x`)."""
    node = Node("location", parent, directive)
    args = directive.args
    if len(args) >= 2:
        node.modifier, node.name = args[0], args[1]
    elif args:
        word = args[0]
        for modifier in _MODIFIERS:
            if word.startswith(modifier):
                node.modifier = modifier
                node.name = word if modifier == "@" else word[len(modifier) :]
                break
        else:
            node.name = word
    if node.modifier in {"~", "~*"}:
        node.regex = Regex(node.name, caseless=node.modifier == "~*")
    _fill(node, directive.block or ())
    return node


_LISTEN = re.compile(r"(?:(?P<six>\[[^\]]*\])|(?P<host>[^:\[\]]*))(?::(?P<port>\d+))?\Z")


def parse_listen(text: str) -> tuple[str, int] | None:
    """Return (address, port) of a `listen` argument; "*" stands for every address, None for what cannot be read."""
    if text.startswith("unix:"):
        return text, 0
    match = _LISTEN.match(text)
    if match is None:
        return None
    host = match["six"] or match["host"] or ""
    if match["port"] is None:
        if host.isdigit():
            return "*", int(host)
        return _address(host), 80
    return _address(host), int(match["port"])


def _address(host: str) -> str:
    host = host.lower()
    if host in {"", "*", "0.0.0.0"}:  # noqa: S104 - how nginx spells every address
        return "*"
    return "127.0.0.1" if host == "localhost" else host


def _listen(http: Http, server: Node) -> None:
    """Enter a server at every address it listens on."""
    place = server.place or Location("nginx")
    listens = server.own.get("listen") or [Directive("listen", ("80",), place)]
    for directive in listens:
        if not directive.args:
            continue
        first = directive.args[0]
        ports = re.fullmatch(r"(.*?)(\d+)-(\d+)", first)
        texts = [first]
        if ports and (not ports[1] or ports[1].endswith(":")):
            texts = [f"{ports[1]}{port}" for port in range(int(ports[2]), min(int(ports[3]), int(ports[2]) + 1000) + 1)]
        for text in texts:
            address = parse_listen(text)
            if address is None:
                http.unreadable.append(Unknown(f"listen {text} cannot be read", directive.location))
                continue
            _enter(http, server, address, replace(directive, args=(text, *directive.args[1:])))


def _enter(http: Http, server: Node, address: tuple[str, int], directive: Directive) -> None:
    for listen in http.listens:
        if (listen.address, listen.port) == address:
            break
    else:
        listen = Listen(*address)
        http.listens.append(listen)
    options = directive.args[1:]
    listen.add(server, default="default_server" in options or "default" in options)
    listen.ssl |= "ssl" in options
    listen.http2 |= "http2" in options or (server.find("http2")[-1:] != [] and server.find("http2")[-1].args == ("on",))
    listen.proxy_protocol |= "proxy_protocol" in options
