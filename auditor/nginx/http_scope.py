"""Keeps what an http block has declared so far, and says where nginx refuses one directive because of another.

Here: locations that repeat or do not fit, roots, buffers, referers; variables, zones and upstreams have scopes of their
own. Sources: ngx_http.c, ngx_http_core_module.c, ngx_http_referer_module.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.nginx import buffers, entries, listening
from auditor.nginx.arguments import regex
from auditor.nginx.tokens import Directive
from auditor.nginx.upstream_scope import UpstreamScope
from auditor.nginx.variable_scope import Report, VariableScope
from auditor.nginx.zone_scope import ZoneScope

_BUFFERED = ("proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(slots=True)
class _Frame:
    """One open block: what kind it is, what it has been told so far, and the locations in it."""

    kind: str
    name: str = ""
    modifier: str = ""
    locations: set[tuple[str, str]] = field(default_factory=set)
    settings: dict[str, Directive] = field(default_factory=dict)
    zones: set[tuple[str, str]] = field(default_factory=set)
    listens: list[Directive] = field(default_factory=list)
    server_names: list[tuple[str, Directive, int]] = field(default_factory=list)
    own_referers: bool = False
    lists: dict[str, bool] = field(default_factory=dict)
    referers: list[list[Directive]] = field(default_factory=list)


_SIZED = frozenset(f"{prefix}_{size}" for prefix in _BUFFERED for size in buffers.SIZES)
_KEPT = _SIZED | frozenset(
    {"root", "alias", "ssl", "ssl_certificate", "ssl_certificate_key", "ssl_reject_handshake", "proxy_pass"}
)  # fmt: skip  # fmt: skip


class HttpScope:
    """What one http block (or a fragment of one) has declared and used."""

    __slots__ = ("_frames", "_problem", "_sized", "complete", "servers", "upstreams", "variables", "zones")

    def __init__(self, problem: Report, *, complete: bool) -> None:
        """Start with nothing declared; `complete`: no declarations are in files that are not here."""
        self._problem = problem
        self.complete = complete
        self._frames: list[_Frame] = [_Frame("http")]
        self.variables = VariableScope(problem, not complete)
        self.zones = ZoneScope(problem, not complete)
        self.upstreams = UpstreamScope(problem, not complete)
        self.servers: list[listening.Server] = []
        self._sized: list[tuple[dict[str, Directive], ...]] = []

    def enter(self, directive: Directive, context: str) -> None:
        """Take note of a directive; its block, where it has one, comes next."""
        name = directive.name
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, directive, context)
        elif name.startswith(("set_", "auth_jwt_")) and directive.args:
            self.variables.assignment(directive)
        self.variables.enter(directive)
        if name in _KEPT:
            self._frames[-1].settings[name] = directive
        if directive.block is not None and name in _FRAMED:
            self._frames.append(_Frame(name, *self._matcher(directive)))

    def leave(self, directive: Directive, context: str) -> None:
        """Close a block."""
        name = directive.name
        if name not in _FRAMED or directive.block is None:
            return
        frame = self._frames.pop()
        if frame.referers and name != "server":
            self._frames[-1].referers += frame.referers
        if name == "server" and context == "http":
            self._referers(frame)
            self.servers.append(
                listening.Server(directive, tuple(frame.listens), tuple(frame.server_names), dict(frame.settings))
            )
        if name == "server" or frame.settings.keys() & _SIZED:
            self._sized.append((frame.settings, *(outer.settings for outer in reversed(self._frames))))

    def _matcher(self, directive: Directive) -> tuple[str, str]:
        if directive.name != "location":
            return "", ""
        modifier, name = split_location(directive.args)
        return name, modifier

    def location(self, directive: Directive, _: str) -> None:
        """Check where a location stands, and that it is the only one of its kind."""
        modifier, name = split_location(directive.args)
        frame = self._frames[-1]
        if len(directive.args) == 2 and modifier not in {"=", "^~", "~", "~*"}:
            self._problem(directive, 0, f'"{modifier}" is not a modifier', "write =, ^~, ~ or ~*, then the path")
            return
        if modifier in {"~", "~*"}:
            self.variables.regex(directive, len(directive.args) - 1, name, caseless=modifier == "~*")
        if frame.kind == "location":
            self._nested(directive, frame, modifier, name)
        kind = "prefix" if modifier in {"", "^~"} else modifier
        if kind in {"prefix", "="}:
            if (kind, name) in frame.locations:
                self._problem(
                    directive, -1, f'there is another location "{" ".join(directive.args)}" here', "join the two"
                )
            frame.locations.add((kind, name))

    def _nested(self, directive: Directive, outer: _Frame, modifier: str, name: str) -> None:
        shown = " ".join(directive.args)
        if outer.modifier == "=":
            self._problem(
                directive, -1, f'location "{shown}" is inside an exact location', "an exact location has none inside"
            )
        elif outer.modifier == "@":
            self._problem(
                directive, -1, f'location "{shown}" is inside a named location', "a named location has none inside"
            )
        elif modifier == "@":
            self._problem(
                directive, -1, f'named location "{shown}" is not directly in a server', "move it to the server"
            )
        elif modifier not in {"~", "~*"} and not name.startswith(outer.name):
            self._problem(
                directive,
                -1,
                f'location "{shown}" is outside the location "{outer.name}" that it is in',
                "begin it with the outer path",
            )

    def listen(self, directive: Directive, _: str) -> None:
        """Keep a listen; the addresses are compared when the file has been read."""
        self._frames[-1].listens.append(directive)

    def server_name(self, directive: Directive, _: str) -> None:
        """Keep the names of a server; those of a regular expression's groups become variables."""
        for index, arg in enumerate(directive.args):
            self._frames[-1].server_names.append((arg, directive, index))
            if arg.startswith("~"):
                for name in regex(arg[1:], caseless=True)[1]:
                    self.variables.define(directive, index, name)
            elif "${" in arg:
                self.variables.template(directive, index)

    def only_off(self, directive: Directive, _: str) -> None:
        """Check that a list that is switched off has no entries in the same block."""
        off = tuple(directive.args) in {("off",), ("false",)}
        before = self._frames[-1].lists.setdefault(directive.name, off)
        if directive is not self._frames[-1].settings.setdefault(f"first {directive.name}", directive) and (
            off or before
        ):
            self._problem(
                directive, -1, f'"{directive.name} off" stands beside others here', "keep either off or the others"
            )

    def redirect(self, directive: Directive, _: str) -> None:
        """Check that `proxy_redirect default` has a proxy_pass to take its values from."""
        self.only_off(directive, _)
        if directive.args[0] != "default" or len(directive.args) > 1:
            return
        passed = self._frames[-1].settings.get("proxy_pass")
        if passed is None:
            self._problem(directive, 0, '"proxy_redirect default" comes before proxy_pass', "move it behind proxy_pass")
        elif "$" in passed.args[0]:
            self._problem(
                directive,
                0,
                '"proxy_redirect default" does not work with variables in proxy_pass',
                "write both arguments",
            )

    def alias(self, directive: Directive, _: str) -> None:
        """Check that a block has a root or an alias, not both, and no alias in a named location."""
        frame = self._frames[-1]
        other = "alias" if directive.name == "root" else "root"
        if other in frame.settings:
            self._problem(directive, -1, f'there is "{other}" here already', 'keep either "root" or "alias"')
        if directive.name == "alias" and frame.modifier == "@":
            self._problem(directive, -1, '"alias" does not work in a named location', "use root")

    def _buffers(self, chain: tuple[dict[str, Directive], ...]) -> None:
        """Compare the sizes of buffers in a block, given its settings and those of the blocks around it, inside out."""
        for prefix in _BUFFERED:
            names = [f"{prefix}_{size}" for size in buffers.SIZES]
            found = [next((settings[name] for settings in chain if name in settings), None) for name in names]
            here = next((one for one in found if one is not None), None)
            if here is None:
                continue
            if problem := buffers.misfit(*(one.args if one else () for one in found)):
                self._problem(here, -1, problem.replace("*", prefix), "make the sizes fit each other")

    def referers(self, directive: Directive, _: str) -> None:
        """Keep the allowed referers; they are compared with the server's names when all are known."""
        groups = self._frames[-1].referers
        if groups and self._frames[-1].own_referers:
            groups[0].append(directive)
        else:
            groups.insert(0, [directive])
            self._frames[-1].own_referers = True

    def _referers(self, server: _Frame) -> None:
        names = [name.lower() for name, _d, _i in server.server_names if name and not name.startswith("~")]
        for group in server.referers:
            seen: set[str] = set()
            directive = group[-1]
            words = [arg for one in group for arg in one.args if not arg.startswith("~")]
            listed = [
                word.lower().partition("/")[0] for word in words if word not in {"none", "blocked", "server_names"}
            ]
            literal = not server.server_names or any(name[:1] != "~" for name, _d, _i in server.server_names)
            if not listed and not ("server_names" in words and literal) and not {"none", "blocked"}.isdisjoint(words):
                self._problem(directive, -1, '"none" and "blocked" are not enough', "name a host whose pages may refer")
            for name in (names if "server_names" in words else []) + listed:
                keys = entries.wildcard_keys(name)
                if entries.wildcard_wrong(name):
                    self._problem(
                        directive,
                        -1,
                        f'"{name}" is not a host name or wildcard',
                        "a star stands for whole labels at one end",
                    )
                elif keys & seen:
                    self._problem(
                        directive, -1, f'"{name}" is named twice', "name it once; server_names names the server's"
                    )
                seen |= keys

    def limit(self, directive: Directive, _: str) -> None:
        """Keep the use of a zone in the innermost block."""
        self.zones.limit(directive, self._frames[-1].zones)

    def passing(self, directive: Directive, context: str) -> None:
        """Check where a request is passed on, and keep the upstream."""
        frame = next((f for f in reversed(self._frames) if f.kind == "location"), None)
        self.upstreams.passing(directive, context, frame.modifier if frame else "")

    def finish(self) -> None:
        """Check what can only be known at the end: names that nothing declares, sockets that contradict each other."""
        for chain in self._sized:
            self._buffers(chain)
        self.variables.finish()
        self.zones.finish()
        self.upstreams.finish()
        listening.compare(self.servers, self._frames[0].settings, self._problem, complete=self.complete)


def split_location(args: Sequence[str]) -> tuple[str, str]:
    """Return a location's modifier ("@": named) and its name, as ngx_http_core_location reads them."""
    if len(args) == 2:
        return args[0], args[1]
    word = args[0]
    for modifier in ("=", "^~", "~*", "~", "@"):
        if word.startswith(modifier):
            return modifier, word if modifier == "@" else word[len(modifier) :]
    return "", word


_FRAMED = frozenset({"server", "location", "if", "limit_except", "http"})
_HANDLERS: dict[str, Callable[[HttpScope, Directive, str], None]] = {
    "location": HttpScope.location,
    "if": lambda scope, directive, _: scope.variables.condition(directive),
    "listen": HttpScope.listen,
    "server_name": HttpScope.server_name,
    "rewrite": lambda scope, directive, _: scope.variables.rewrite(directive),
    "log_format": lambda scope, directive, _: scope.variables.log_format(directive),
    "access_log": lambda scope, directive, _: scope.variables.access_log(directive),
    "upstream": lambda scope, directive, _: scope.upstreams.upstream(directive),
    "proxy_redirect": HttpScope.redirect,
    "valid_referers": HttpScope.referers,
    **dict.fromkeys(("proxy_cookie_path", "proxy_cookie_domain", "proxy_cookie_flags"), HttpScope.only_off),
    "zone": lambda scope, directive, _: scope.zones.upstream_zone(directive),
    "ssl_session_cache": lambda scope, directive, _: scope.zones.session_cache(directive),
    **dict.fromkeys(
        ("set", "auth_request_set", "js_set", "js_var", "perl_set", "keyval"),
        lambda scope, directive, _: scope.variables.assignment(directive),
    ),
    **dict.fromkeys(("map", "geo", "split_clients"), lambda scope, directive, _: scope.variables.table(directive)),
    **dict.fromkeys(
        ("map_hash_bucket_size", "map_hash_max_size", "server_names_hash_bucket_size"),
        lambda scope, directive, _: scope.variables.setting(directive),
    ),
    **dict.fromkeys(
        (
            "limit_req_zone",
            "limit_conn_zone",
            "proxy_cache_path",
            "fastcgi_cache_path",
            "uwsgi_cache_path",
            "scgi_cache_path",
        ),
        lambda scope, directive, _: scope.zones.zone(directive),
    ),
    **dict.fromkeys(("limit_req", "limit_conn"), HttpScope.limit),
    **dict.fromkeys(
        ("proxy_cache", "fastcgi_cache", "uwsgi_cache", "scgi_cache"),
        lambda scope, directive, _: scope.zones.cache(directive),
    ),
    **dict.fromkeys(
        ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "tunnel_pass"),
        HttpScope.passing,
    ),
    **dict.fromkeys(("root", "alias"), HttpScope.alias),
    **dict.fromkeys(("charset", "source_charset"), lambda scope, directive, _: scope.variables.charset(directive)),
}
