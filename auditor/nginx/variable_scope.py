"""Keeps the variables and log formats that an http block defines and uses, and says which are used without being defined.

Sources: ngx_http_variables.c, ngx_http_script.c, ngx_http_log_module.c, ngx_http_map_module.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field

from auditor.dataclass import dataclass
from auditor.nginx import arguments, conditions, entries
from auditor.nginx.known_variables import FIXED, defined_by_nginx
from auditor.nginx.tokens import Directive

Report = Callable[[Directive, int, str, str], None]
"""Keeps a problem: the directive, the index of its argument (-1: its name), message, hint."""

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
_NOT_SEEN = frozenset(
    {"location", "server_name", "if", "gzip_disable", "limit_except", "server", "types", "upstream", "map"}
)


@dataclass(slots=True)
class VariableScope:
    """The variables and formats of one http block; `open`: others may be defined in files that are not here."""

    problem: Report
    open: bool
    defined: set[str] = field(default_factory=set)
    used: list[tuple[str, Directive, int]] = field(default_factory=list)
    formats: set[str] = field(default_factory=lambda: {"combined"})
    settings: dict[str, Directive] = field(default_factory=dict)
    mapped: bool = False

    def enter(self, directive: Directive) -> None:
        """Take note of the variables in a directive's arguments."""
        args = directive.args
        span = EVALUATED.get(directive.name)
        if span is not None:
            for index in range(span[0], min(len(args), span[1] or 99)):
                if "$" in args[index]:
                    self.use(directive, index)
        elif args and directive.name not in _NOT_SEEN:
            for index, arg in enumerate(args):
                if "${" in arg:
                    self.template(directive, index)

    def foreign(self, directive: Directive) -> None:
        """Take note of a directive of a module that nobody here knows: it may define variables."""
        for part in (directive, *(directive.block or ())):
            for arg in (part.name, *part.args):
                if arg.startswith("$"):
                    self.defined.add(arg[1:].lower())

    def define(self, directive: Directive, index: int, name: str) -> None:
        """Take note that a variable is defined."""
        lower = name.lower()
        if lower in FIXED:
            self.problem(directive, index, f'"${name}" is nginx\'s own and cannot be set', "use another name")
        self.defined.add(lower)

    def use(self, directive: Directive, index: int) -> None:
        """Take note of the variables in an argument."""
        if directive.name in _REGEX_ARGUMENTS and directive.args[index].startswith("~"):
            return
        for name in arguments.variables(directive.args[index]):
            if name and (name not in _CAPTURES or directive.name == "log_format"):
                self.used.append((name, directive, index))

    def template(self, directive: Directive, index: int) -> None:
        """Take note of the names that a template left in an argument."""
        for match in _ENVIRONMENT_NAME.finditer(directive.args[index]):
            self.used.append((match[1].lower(), directive, index))

    def regex(self, directive: Directive, index: int, pattern: str, *, caseless: bool) -> None:
        """Check a regular expression; its named groups are variables."""
        reason, names, _groups = arguments.regex(pattern, caseless=caseless)
        if reason:
            self.problem(
                directive,
                index,
                f'"{pattern}" is not a regular expression: {reason}',
                "correct the pattern (PCRE2 syntax)",
            )
        for name in names:
            self.define(directive, index, name)

    def condition(self, directive: Directive) -> None:
        """Check the condition of an `if`."""
        for what, index, text, hint in conditions.read(directive.args):
            if what == "wrong":
                self.problem(directive, index, text, hint)
            elif what in {"regex", "caseless"}:
                self.regex(directive, index, text, caseless=what == "caseless")
            elif what == "variable":
                self.used.append((text.lower(), directive, index))
            else:
                for _i, message, advice in arguments.variable_complaints((text,), 0):
                    self.problem(directive, index, message, advice)
                for name in arguments.variables(text):
                    if name and name not in _CAPTURES:
                        self.used.append((name, directive, index))

    def charset(self, directive: Directive) -> None:
        """Take note of the variable that a charset is; what follows the dollar sign is its name, braces included."""
        if directive.args[0].startswith("$") and len(directive.args[0]) > 1:
            self.used.append((directive.args[0][1:].lower(), directive, 0))

    def rewrite(self, directive: Directive) -> None:
        """Take note of the groups of a rewrite's pattern."""
        for name in arguments.regex(directive.args[0])[1]:
            self.define(directive, 0, name)

    def assignment(self, directive: Directive) -> None:
        """Take note of the variable that a directive's first argument names."""
        index = 1 if directive.name == "keyval" else 0
        if directive.args[index].startswith("$"):
            self.define(directive, index, directive.args[index][1:])

    def table(self, directive: Directive) -> None:
        """Take note of the variable of a map, geo or split_clients, and of those in its entries."""
        if directive.args[-1].startswith("$"):
            self.define(directive, len(directive.args) - 1, directive.args[-1][1:])
        if directive.name == "geo":
            if len(directive.args) == 2:
                self.used.append((directive.args[0].lstrip("$").lower(), directive, 0))
            return
        if directive.name != "map":
            return
        self.mapped = True
        for entry in directive.block or ():
            key = entry.name
            if key.startswith("~"):
                caseless = key.startswith("~*")
                for name in arguments.regex(key[2 if caseless else 1 :], caseless=caseless)[1]:
                    self.define(entry, -1, name)
            elif "map_hash_bucket_size" not in self.settings and entry.args and entries.too_long_for_bucket(key):
                self.problem(
                    entry,
                    -1,
                    f"the key is too long for the map's table ({len(key)} bytes)",
                    "set map_hash_bucket_size 128 before it",
                )
            if entry.args and "$" in entry.args[0]:
                self.use(entry, 0)

    def setting(self, directive: Directive) -> None:
        """Keep a setting of the http block; a map takes those of its tables' sizes from what stands before it."""
        if directive.name.startswith("map_hash") and self.mapped:
            self.problem(
                directive,
                -1,
                f'"{directive.name}" comes after a map, which has set it already',
                "move it before the first map",
            )
        self.settings[directive.name] = directive

    def log_format(self, directive: Directive) -> None:
        """Keep the name of a log format."""
        name = directive.args[0]
        if name in self.formats:
            self.problem(directive, 0, f'there is another log format "{name}"', "rename one of them")
        self.formats.add(name)

    def access_log(self, directive: Directive) -> None:
        """Check that a log's format has been declared before it."""
        if (
            len(directive.args) > 1
            and directive.args[0] != "off"
            and directive.args[1].lower() not in {name.lower() for name in self.formats}
            and not self.open
        ):
            self.problem(
                directive,
                1,
                f'the log format "{directive.args[1]}" is not declared above',
                "declare it with log_format in http",
            )

    def _undefined(self, name: str, directive: Directive, index: int) -> None:
        if name in self.defined or defined_by_nginx(name) or (directive.name == "log_format" and name in _LOG_NAMES):
            return
        argument = directive.args[index] if index >= 0 else directive.name
        if not self.open or any(match[1].lower() == name for match in _ENVIRONMENT_NAME.finditer(argument)):
            self.problem(
                directive,
                index,
                f'nothing defines the variable "${name}"',
                "define it with set or map, or correct the name",
            )

    def finish(self) -> None:
        """Report the variables that nothing defines."""
        for name, directive, index in self.used:
            self._undefined(name, directive, index)
