"""The configuration as nginx keeps it: servers, locations, ifs, each a node that inherits from the one around it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from auditor.errors import Location
from auditor.nginx.regex import Regex, RegexError
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.settings import Settings

Kind = Literal["http", "server", "location", "if", "except"]
SCRIPT = frozenset({"set", "if", "rewrite", "return", "break"})
"""The rewrite module's directives: one program per level, run in the order of the file."""
PASSES = frozenset({"proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"})
HANDLERS = PASSES | {"empty_gif", "stub_status", "flv", "mp4", "perl", "api", "hls", "f4f", "status", "upstream_conf"}
CONTENT_BY = frozenset({"content_by_lua_block", "content_by_lua_file", "content_by_lua", "js_content", "echo"})


class Node:
    """One block whose directives apply to a request: http, a server, a location, an `if`, a `limit_except`."""

    __slots__ = (
        "children", "directive", "gate", "handler", "kind", "locations", "modifier", "name", "named", "own", "parent", "place",
        "program", "regex", "rooted", "script", "server", "settings", "stays", "tree",
    )  # fmt: skip

    def __init__(self, kind: Kind, parent: Node | None, directive: Directive | None) -> None:
        """Make an empty node."""
        self.kind = kind
        self.parent = parent
        self.directive = directive
        self.place: Location | None = directive.location if directive else None
        self.server: Node | None = self if kind == "server" else (parent.server if parent else None)
        self.own: dict[str, list[Directive]] = {}
        self.stays = True
        self.script: list[Directive] = []
        self.children: dict[int, Node] = {}
        self.tree: Tree | None = None
        self.locations: list[Node] = []
        self.named: dict[str, Node] = {}
        self.modifier = ""
        self.name = ""
        self.regex: Regex | None = None
        self.handler: Directive | None = None
        self.settings: Settings | None = None
        self.gate: Any = None
        self.program: Any = None
        self.rooted: Any = None

    @property
    def label(self) -> str:
        """The block's head as a person would write it."""
        if self.directive is None:
            return self.kind
        return " ".join((self.directive.name, *self.directive.args))

    @property
    def pattern(self) -> str:
        """A location's modifier and name as written."""
        return " ".join(self.directive.args) if self.directive else ""

    def below(self) -> Iterator[Node]:
        """Yield this node and every node inside it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())
            stack.extend(node.locations)

    def find(self, name: str) -> list[Directive]:
        """Return the directives of this name that apply: those of the nearest level that has any."""
        node: Node | None = self
        while node is not None:
            found = node.own.get(name)
            if found:
                return found
            node = node.parent
        return []

    def last(self, name: str) -> Directive | None:
        """Return the last directive of this name that applies."""
        found = self.find(name)
        return found[-1] if found else None

    def enclosing(self) -> Node:
        """Return the location (or server) an `if` or `limit_except` belongs to; itself for every other node."""
        node = self
        while node.kind in {"if", "except"} and node.parent is not None:
            node = node.parent
        return node


class Tree:
    """The locations of one level, ready to be searched (`ngx_http_init_static_location_trees`)."""

    __slots__ = ("around", "exact", "nodes", "prefixes", "redirects", "regexes")

    def __init__(self, locations: Sequence[Node], *, only_regexes: bool) -> None:
        """Sort the locations of one level."""
        self.regexes = tuple(node for node in locations if node.regex is not None)
        self.exact: dict[str, Node] = {}
        self.redirects: dict[str, Node] = {}
        self.prefixes: list[str] = []
        self.nodes: list[Node] = []
        self.around: list[int] = []
        if only_regexes:
            return
        inclusive: dict[str, Node] = {}
        for node in locations:
            if node.regex is None and node.modifier != "@":
                table = self.exact if node.modifier == "=" else inclusive
                table.setdefault(node.name, node)
        for name, node in (*inclusive.items(), *self.exact.items()):
            if name.endswith("/") and auto_redirects(node):
                self.redirects[name[:-1]] = self.exact.get(name, node)
        self.prefixes = sorted(inclusive)
        self.nodes = [inclusive[name] for name in self.prefixes]
        stack: list[int] = []
        for index, name in enumerate(self.prefixes):
            while stack and not name.startswith(self.prefixes[stack[-1]]):
                stack.pop()
            self.around.append(stack[-1] if stack else -1)
            stack.append(index)

    def longest(self, uri: str) -> Node | None:
        """Return the location with the longest name that the URI begins with."""
        index = bisect_right(self.prefixes, uri) - 1
        while index >= 0:
            if uri.startswith(self.prefixes[index]):
                return self.nodes[index]
            index = self.around[index]
        return None

    def redirect(self, uri: str) -> Node | None:
        """Return the location that sends a URI without its final slash on to the one with it."""
        node = self.redirects.get(uri)
        if node is None or uri in self.exact:
            return None
        longest = self.longest(uri)
        return None if longest is not None and longest.name == uri else node


def auto_redirects(node: Node) -> bool:
    """Whether nginx adds the missing final slash for this location."""
    return any(name in node.own for name in PASSES)


class Listen:
    """One address and port that servers share: who is the default, which names lead where."""

    __slots__ = (
        "address", "alone", "default", "default_flag", "exact", "heads", "http2", "names", "port", "proxy_protocol",
        "regexes", "servers", "ssl", "tails", "taken",
    )  # fmt: skip

    def __init__(self, address: str, port: int) -> None:
        """Make an address nobody listens on yet."""
        self.address = address
        self.port = port
        self.servers: list[Node] = []
        self.default_flag = False
        self.default: Node | None = None
        self.alone = False
        self.ssl = self.http2 = self.proxy_protocol = False
        self.exact: dict[str, Node] = {}
        self.heads: dict[str, tuple[Node, bool]] = {}
        self.tails: dict[str, Node] = {}
        self.regexes: list[tuple[Regex, Node]] = []
        self.taken: set[str] = set()
        self.names: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The address as `address:port`."""
        return f"{self.address}:{self.port}" if self.port else self.address

    def add(self, server: Node, *, default: bool) -> None:
        """Let one more server listen here."""
        if server not in self.servers:
            self.servers.append(server)
        if default and not self.default_flag:
            self.default_flag = True
            self.default = server
        if self.default is None:
            self.default = server

    def index(self) -> None:
        """Put the servers' names into the tables that `find` reads (`ngx_http_server_names`)."""
        for server in self.servers:
            for name in server_names(server):
                self._name(name, server)
        patterns = [name for name in server_names(self.servers[-1]) if name.startswith("~")]
        self.alone = len(self.servers) == 1 and not (patterns and captures(patterns[-1][1:]))
        self.names = tuple(dict.fromkeys(name for server in self.servers for name in server_names(server)))

    def _name(self, name: str, server: Node) -> None:
        lower = name.lower()
        if name.startswith("~"):
            pattern = name[1:]
            self.regexes.append((Regex(pattern, caseless=any("A" <= char <= "Z" for char in pattern)), server))
        elif lower.startswith("*."):
            self.heads.setdefault(lower[2:], (server, False))
        elif lower.startswith(".") and len(lower) > 1:
            base = lower[1:]
            if base not in self.exact and base not in self.taken and base not in self.heads:
                self.heads[base] = (server, True)
                self.taken.add(base)
        elif lower.endswith(".*"):
            self.tails.setdefault(lower[:-2], server)
        elif lower not in self.taken:
            self.exact.setdefault(lower, server)


def captures(pattern: str) -> bool:
    """Whether a pattern has groups; False for one that does not compile."""
    regex = Regex(pattern)
    try:
        regex.compile()
    except RegexError:
        return False
    return regex.groups > 0


def server_names(server: Node) -> tuple[str, ...]:
    """Return a server's names as written; a server without any has the name ""."""
    names = tuple(name for directive in server.own.get("server_name", ()) for name in directive.args)
    return names or ("",)
