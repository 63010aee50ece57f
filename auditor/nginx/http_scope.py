"""Keeps what an http block has declared so far, and says where nginx refuses one directive because of another.

Locations that repeat or do not fit, zones, formats, upstreams and variables that are not declared, listen sockets
that contradict each other. Sources: ngx_http.c, ngx_http_core_module.c, ngx_http_upstream.c, ngx_http_variables.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from auditor.nginx import arguments, buffers, conditions, entries, listening
from auditor.nginx.known_variables import FIXED, defined_by_nginx
from auditor.nginx.tokens import Directive

Report = Callable[[Directive, int, str, str], None]

_ENVIRONMENT_NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
_ALL = (0, None)
_VALUE = (1, None)
_FIRST = (0, 1)
_CACHING = ("proxy", "fastcgi", "uwsgi", "scgi")
_EVALUATED_WHOLLY = arguments.words("""index try_files access_log proxy_cookie_flags hash auth_basic_user_file
    root alias proxy_pass grpc_pass fastcgi_pass uwsgi_pass scgi_pass memcached_pass tunnel_pass expires
    proxy_cookie_domain proxy_cookie_path proxy_redirect return auth_basic limit_rate limit_rate_after proxy_method
    proxy_set_body secure_link secure_link_md5 proxy_ssl_name grpc_ssl_name uwsgi_ssl_name early_hints proxy_ssl_certificate
    proxy_ssl_certificate_key grpc_ssl_certificate grpc_ssl_certificate_key uwsgi_ssl_certificate uwsgi_ssl_certificate_key
    proxy_bind fastcgi_bind uwsgi_bind scgi_bind grpc_bind memcached_bind tunnel_bind disable_symlinks""")
EVALUATED: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(_EVALUATED_WHOLLY, _ALL),
    **{f"{p}_{name}": _ALL for p in _CACHING for name in ("cache", "cache_key", "cache_bypass", "no_cache", "store", "limit_rate")},
    **dict.fromkeys(("add_header", "add_trailer", "set", "auth_request_set", "fastcgi_param", "uwsgi_param", "scgi_param",
                     "proxy_set_header", "grpc_set_header", "log_format", "sub_filter"), _VALUE),
    "rewrite": (1, 2),
    "limit_req_zone": _FIRST,
    "limit_conn_zone": _FIRST,
    "map": _FIRST,
    "split_clients": _FIRST,
}  # fmt: skip
"""Which arguments nginx evaluates for variables, by the directive: from, to."""

_CAPTURES = frozenset("123456789")
_LOG_NAMES = frozenset(
    {
        "pipe",
        "time_local",
        "time_iso8601",
        "msec",
        "request_time",
        "status",
        "bytes_sent",
        "body_bytes_sent",
        "request_length",
    }
)
_REGEX_ARGUMENTS = frozenset({"proxy_cookie_domain", "proxy_cookie_path", "proxy_redirect", "proxy_cookie_flags"})
_NEED_PORT = frozenset({"grpc_pass", "tunnel_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"})
_BUFFERED = ("proxy", "fastcgi", "uwsgi", "scgi")
_NOT_SEEN = frozenset(
    {"location", "server_name", "if", "gzip_disable", "limit_except", "server", "types", "upstream", "map"}
)


@dataclass(slots=True)
class _Frame:
    """One open block: what kind it is, what it has been told so far, and the locations in it."""

    kind: str
    name: str = ""
    modifier: str = ""
    locations: set[tuple[str, str]] = field(default_factory=set)
    names: dict[str, Directive] = field(default_factory=dict)
    settings: dict[str, Directive] = field(default_factory=dict)
    zones: set[tuple[str, str]] = field(default_factory=set)
    listens: list[Directive] = field(default_factory=list)
    server_names: list[tuple[str, Directive, int]] = field(default_factory=list)
    own_referers: bool = False
    lists: dict[str, bool] = field(default_factory=dict)
    referers: list[list[Directive]] = field(default_factory=list)


_KEPT = frozenset(
    {"root", "alias", "ssl", "ssl_certificate", "ssl_certificate_key", "ssl_reject_handshake", "proxy_pass",
     *(f"{p}_{d}" for p in _BUFFERED for d in buffers.SIZES)}
)  # fmt: skip


class HttpScope:
    """What one http block (or a fragment of one) has declared and used."""

    __slots__ = (
        "_caches",
        "_defined",
        "_formats",
        "_frames",
        "_mapped",
        "_problem",
        "_upstream_uses",
        "_upstreams",
        "_used",
        "_zone_uses",
        "_zones",
        "foreign_blocks",
        "open",
        "servers",
        "settings",
        "version",
    )  # fmt: skip

    def __init__(self, problem: Report, version: str, open_: bool) -> None:
        """Start with nothing declared; `open_`: declarations may be in files that are not here."""
        self._problem = problem
        self.version = version
        self.open = open_
        self._frames: list[_Frame] = [_Frame("http")]
        self._defined: set[str] = set()
        self._used: list[tuple[str, Directive, int]] = []
        self._formats: set[str] = {"combined"}
        self._zones: dict[str, tuple[str, str]] = {}
        self._zone_uses: list[tuple[str, str, Directive, int]] = []
        self._caches: list[tuple[str, Directive]] = []
        self._upstreams: dict[str, Directive] = {}
        self._upstream_uses: list[tuple[str, Directive]] = []
        self.servers: list[listening.Server] = []
        self.settings: dict[str, Directive] = {}
        self.foreign_blocks = False
        self._mapped = False

    def enter(self, directive: Directive, context: str) -> None:  # noqa: C901 - every directive passes here: no calls for nothing
        """Take note of a directive; its block, where it has one, comes next."""
        name = directive.name
        handler = _HANDLERS.get(name)
        if handler is None and name.startswith(("set_", "js_set", "auth_jwt_")) and directive.args:
            handler = HttpScope.assignment
        if handler is not None:
            handler(self, directive, context)
        span = EVALUATED.get(name)
        if span is not None:
            for index in range(span[0], min(len(directive.args), span[1] or 99)):
                if "$" in directive.args[index]:
                    self.use(directive, index)
        elif directive.args and name not in _NOT_SEEN:
            for index, arg in enumerate(directive.args):
                if "${" in arg:
                    self._template(directive, index)
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
        if any(setting.startswith(_BUFFERED) for setting in frame.settings):
            self._buffers(frame)

    def foreign(self, directive: Directive) -> None:
        """Take note of a directive of a module that nobody here knows: it may define variables."""
        for part in (directive, *(directive.block or ())):
            for arg in (part.name, *part.args):
                if arg.startswith("$"):
                    self._defined.add(arg[1:].lower())
        self.foreign_blocks = True

    def define(self, directive: Directive, index: int, name: str) -> None:
        """Take note that a variable is defined."""
        lower = name.lower()
        if lower in FIXED:
            self._problem(directive, index, f'"${name}" is nginx\'s own and cannot be set', "use another name")
        self._defined.add(lower)

    def use(self, directive: Directive, index: int) -> None:
        """Take note of the variables in an argument."""
        if directive.name in _REGEX_ARGUMENTS and directive.args[index].startswith("~"):
            return
        for name in arguments.variables(directive.args[index]):
            if name and (name not in _CAPTURES or directive.name == "log_format"):
                self._used.append((name, directive, index))

    def _template(self, directive: Directive, index: int) -> None:
        for match in _ENVIRONMENT_NAME.finditer(directive.args[index]):
            self._used.append((match[1].lower(), directive, index))

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
            self._regex(directive, len(directive.args) - 1, name, caseless=modifier == "~*")
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

    def _regex(self, directive: Directive, index: int, pattern: str, *, caseless: bool) -> None:
        reason, names, _groups = arguments.regex(pattern, caseless=caseless)
        if reason:
            self._problem(
                directive,
                index,
                f'"{pattern}" is not a regular expression: {reason}',
                "correct the pattern (PCRE2 syntax)",
            )
        for name in names:
            self.define(directive, index, name)

    def condition(self, directive: Directive, _: str) -> None:
        """Check the condition of an `if`."""
        for what, index, text, hint in conditions.read(directive.args):
            if what == "wrong":
                self._problem(directive, index, text, hint)
            elif what in {"regex", "caseless"}:
                self._regex(directive, index, text, caseless=what == "caseless")
            elif what == "variable":
                self._used.append((text.lower(), directive, index))
            else:
                for _i, message, advice in arguments.variable_complaints((text,), 0):
                    self._problem(directive, index, message, advice)
                for name in arguments.variables(text):
                    if name and name not in _CAPTURES:
                        self._used.append((name, directive, index))

    def listen(self, directive: Directive, _: str) -> None:
        """Keep a listen; the addresses are compared when the file has been read."""
        self._frames[-1].listens.append(directive)

    def server_name(self, directive: Directive, _: str) -> None:
        """Keep the names of a server; those of a regular expression's groups become variables."""
        for index, arg in enumerate(directive.args):
            self._frames[-1].server_names.append((arg, directive, index))
            if arg.startswith("~"):
                for name in arguments.regex(arg[1:], caseless=True)[1]:
                    self.define(directive, index, name)
            elif "${" in arg:
                self._template(directive, index)

    def charset(self, directive: Directive, _: str) -> None:
        """Take note of the variable that a charset is; what follows the dollar sign is its name, braces included."""
        if directive.args[0].startswith("$") and len(directive.args[0]) > 1:
            self._used.append((directive.args[0][1:].lower(), directive, 0))

    def rewrite(self, directive: Directive, _: str) -> None:
        """Take note of the groups of a rewrite's pattern."""
        for name in arguments.regex(directive.args[0])[1]:
            self.define(directive, 0, name)

    def assignment(self, directive: Directive, _: str) -> None:
        """Take note of the variable that a directive's first argument names."""
        index = 1 if directive.name == "keyval" else 0
        if directive.args[index].startswith("$"):
            self.define(directive, index, directive.args[index][1:])

    def table(self, directive: Directive, _: str) -> None:
        """Take note of the variable of a map, geo or split_clients, and of those in its entries."""
        if directive.args[-1].startswith("$"):
            self.define(directive, len(directive.args) - 1, directive.args[-1][1:])
        if directive.name == "geo":
            if len(directive.args) == 2:
                self._used.append((directive.args[0].lstrip("$").lower(), directive, 0))
            return
        if directive.name != "map":
            return
        self._mapped = True
        for entry in directive.block or ():
            key = entry.name
            if key.startswith("~"):
                caseless = key.startswith("~*")
                for name in arguments.regex(key[2 if caseless else 1 :], caseless=caseless)[1]:
                    self.define(entry, -1, name)
            elif "map_hash_bucket_size" not in self.settings and entry.args and entries.too_long_for_bucket(key):
                self._problem(
                    entry,
                    -1,
                    f"the key is too long for the map's table ({len(key)} bytes)",
                    "set map_hash_bucket_size 128 before it",
                )
            if entry.args and "$" in entry.args[0]:
                self.use(entry, 0)

    def setting(self, directive: Directive, _: str) -> None:
        """Keep a setting of the http block; a map takes those of its tables' sizes from what stands before it."""
        if directive.name.startswith("map_hash") and self._mapped:
            self._problem(
                directive,
                -1,
                f'"{directive.name}" comes after a map, which has set it already',
                "move it before the first map",
            )
        self.settings[directive.name] = directive

    def log_format(self, directive: Directive, _: str) -> None:
        """Keep the name of a log format."""
        name = directive.args[0].lower()
        if name in self._formats:
            self._problem(directive, 0, f'there is another log format "{name}"', "rename one of them")
        self._formats.add(name)

    def access_log(self, directive: Directive, _: str) -> None:
        """Check that a log's format has been declared before it."""
        if (
            len(directive.args) > 1
            and directive.args[0] != "off"
            and directive.args[1].lower() not in self._formats
            and not self.open
        ):
            self._problem(
                directive,
                1,
                f'the log format "{directive.args[1]}" is not declared above',
                "declare it with log_format in http",
            )

    def zone(self, directive: Directive, _: str) -> None:
        """Keep the shared memory zone that a directive declares."""
        parameter = {"limit_req_zone": "zone=", "limit_conn_zone": "zone="}.get(directive.name, "keys_zone=")
        for index, arg in reversed(list(enumerate(directive.args))):
            if arg.startswith(parameter):
                name, _colon, amount = arg[len(parameter) :].rpartition(":")
                self._declare(directive, index, name, directive.name, amount, once=True)
                break

    def upstream_zone(self, directive: Directive, _: str) -> None:
        """Keep the shared memory zone of an upstream."""
        if len(directive.args) == 2:
            self._declare(directive, 0, directive.args[0], "zone", directive.args[1], once=False)
        else:
            self._zone_uses.append((directive.args[0], "zone", directive, 0))

    def session_cache(self, directive: Directive, _: str) -> None:
        """Keep the shared memory zone of a session cache."""
        for index, arg in enumerate(directive.args):
            if arg.startswith("shared:"):
                name, _colon, amount = arg[7:].rpartition(":")
                self._declare(directive, index, name, "ssl_session_cache", amount, once=False)

    def _declare(self, directive: Directive, index: int, name: str, kind: str, amount: str, *, once: bool) -> None:
        before = self._zones.get(name)
        if before is None:
            self._zones[name] = (kind, amount)
        elif before[0] != kind:
            self._problem(directive, index, f'the zone "{name}" is declared by {before[0]} too', "use another name")
        elif once:
            self._problem(directive, index, f'the zone "{name}" is declared twice', "keep one of them, or rename it")
        elif arguments.size(before[1]) != arguments.size(amount):
            self._problem(directive, index, f'the zone "{name}" is declared with another size too', "use one size")

    def limit(self, directive: Directive, _: str) -> None:
        """Keep the use of a zone, once in a block."""
        index = 0
        name = directive.args[0]
        if directive.name == "limit_req":
            index = next((i for i, arg in enumerate(directive.args) if arg.startswith("zone=")), -1)
            if index < 0:
                return
            name = directive.args[index][5:]
        key = (directive.name, name)
        if key in self._frames[-1].zones:
            self._problem(
                directive, index, f'the zone "{name}" is used twice by {directive.name} here', "keep one of them"
            )
        self._frames[-1].zones.add(key)
        self._zone_uses.append((name, f"{directive.name}_zone", directive, index))

    def cache(self, directive: Directive, _: str) -> None:
        """Keep the use of a cache."""
        name = directive.args[0]
        if name != "off" and "$" not in name:
            self._zone_uses.append((name, f"{directive.name}_path", directive, 0))

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

    def upstream(self, directive: Directive, _: str) -> None:
        """Keep an upstream."""
        reserve = True
        for inner in directive.block or ():
            reserve = reserve and inner.name not in {"ip_hash", "hash", "random"}
            if not reserve and inner.name == "server" and "backup" in inner.args[1:]:
                self._problem(
                    inner,
                    inner.args.index("backup"),
                    "the balancing method has no backup servers",
                    "drop backup, or use another method",
                )
        name = directive.args[0].lower()
        if name in self._upstreams:
            self._problem(directive, 0, f'there is another upstream "{directive.args[0]}"', "rename one of them")
        self._upstreams[name] = directive
        if listening.no_server(directive):
            self._problem(
                directive, -1, f'the upstream "{directive.args[0]}" has no server', "add a server that is not a backup"
            )

    def passing(self, directive: Directive, context: str) -> None:
        """Check where a proxy_pass stands, and keep the upstream it names."""
        target = directive.args[0] if directive.args else "$"
        if "$" in target:
            return
        rest = (
            target.partition("://")[2] if directive.name in {"proxy_pass", "grpc_pass"} and "://" in target else target
        )
        host, slash, _uri = rest.partition("/")
        if not rest.startswith(("unix:", "[")):
            self._upstream_uses.append((host.partition("?")[0].lower(), directive))
        if directive.name != "proxy_pass":
            return
        if rest.startswith("unix:"):
            slash = rest[5:].partition(":")[1]
        if not (slash or "?" in host):
            return
        frame = next((f for f in reversed(self._frames) if f.kind == "location"), None)
        modifier = frame.modifier if frame else ""
        where = {
            "~": "a location given by a regular expression",
            "~*": "a location given by a regular expression",
            "@": "a named location",
        }.get(modifier, "")
        if context in {"if-location", "limit_except"}:
            where = "an if" if context == "if-location" else "a limit_except"
        if where:
            self._problem(
                directive,
                0,
                f"proxy_pass cannot have a URI in {where}",
                "leave out the part after the host, or use a variable",
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

    def _buffers(self, frame: _Frame) -> None:
        """Compare the sizes of buffers with each other, those of outer blocks included (ngx_http_proxy_merge_loc_conf)."""
        for prefix in _BUFFERED:
            found = {d: self._inherited(frame, f"{prefix}_{d}") for d in buffers.SIZES}
            here = next((frame.settings[f"{prefix}_{d}"] for d in found if f"{prefix}_{d}" in frame.settings), None)
            if here is None:
                continue
            if problem := buffers.misfit(*(found[d].args if found[d] else () for d in found)):  # type: ignore[union-attr]
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

    def _inherited(self, frame: _Frame, name: str) -> Directive | None:
        for one in (frame, *reversed(self._frames)):
            if name in one.settings:
                return one.settings[name]
        return None

    def finish(self) -> None:
        """Check what can only be known at the end: names that nothing declares, sockets that contradict each other."""
        if self.servers:
            self._buffers(self._frames[0])
        for name, directive, index in self._used:
            self._undefined(name, directive, index)
        for name, kind, directive, index in self._zone_uses:
            declared = self._zones.get(name)
            if declared is None:
                if not self.open:
                    self._problem(
                        directive,
                        index,
                        f'the zone "{name}" is not declared',
                        f"declare it with {kind} and a size in http",
                    )
            elif declared[0] != kind:
                self._problem(
                    directive,
                    index,
                    f'the zone "{name}" is declared by {declared[0]}, not by {kind}',
                    f"declare one with {kind}",
                )
        for host, directive in self._upstream_uses:
            name, colon, _port = host.partition(":")
            if colon and name in self._upstreams:
                self._problem(
                    directive,
                    0,
                    f'the upstream "{name}" is named with a port',
                    "leave the port out: the upstream's servers have theirs",
                )
            elif not colon and directive.name in _NEED_PORT and name not in self._upstreams and not self.open:
                self._problem(directive, 0, f'"{host}" has no port and is no upstream', "write HOST:PORT")
        listening.compare(self.servers, self._frames[0].settings, self._problem, complete=not self.open)

    def _undefined(self, name: str, directive: Directive, index: int) -> None:
        if name in self._defined or defined_by_nginx(name) or (directive.name == "log_format" and name in _LOG_NAMES):
            return
        argument = directive.args[index] if index >= 0 else directive.name
        if not self.open or any(match[1].lower() == name for match in _ENVIRONMENT_NAME.finditer(argument)):
            self._problem(
                directive,
                index,
                f'nothing defines the variable "${name}"',
                "define it with set or map, or correct the name",
            )


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
    "if": HttpScope.condition,
    "listen": HttpScope.listen,
    "server_name": HttpScope.server_name,
    "rewrite": HttpScope.rewrite,
    "log_format": HttpScope.log_format,
    "access_log": HttpScope.access_log,
    "upstream": HttpScope.upstream,
    "proxy_redirect": HttpScope.redirect,
    "valid_referers": HttpScope.referers,
    **dict.fromkeys(("proxy_cookie_path", "proxy_cookie_domain", "proxy_cookie_flags"), HttpScope.only_off),
    "zone": HttpScope.upstream_zone,
    "ssl_session_cache": HttpScope.session_cache,
    **dict.fromkeys(("set", "auth_request_set", "js_set", "js_var", "perl_set", "keyval"), HttpScope.assignment),
    **dict.fromkeys(("map", "geo", "split_clients"), HttpScope.table),
    **dict.fromkeys(("map_hash_bucket_size", "map_hash_max_size", "server_names_hash_bucket_size"), HttpScope.setting),
    **dict.fromkeys(
        (
            "limit_req_zone",
            "limit_conn_zone",
            "proxy_cache_path",
            "fastcgi_cache_path",
            "uwsgi_cache_path",
            "scgi_cache_path",
        ),
        HttpScope.zone,
    ),
    **dict.fromkeys(("limit_req", "limit_conn"), HttpScope.limit),
    **dict.fromkeys(("proxy_cache", "fastcgi_cache", "uwsgi_cache", "scgi_cache"), HttpScope.cache),
    **dict.fromkeys(
        ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"), HttpScope.passing
    ),
    **dict.fromkeys(("root", "alias"), HttpScope.alias),
    **dict.fromkeys(("charset", "source_charset"), HttpScope.charset),
}
