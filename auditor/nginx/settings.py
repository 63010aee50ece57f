"""What applies at one node after inheritance, compiled at its first use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import Field, Unknown
from auditor.nginx.model import Node
from auditor.nginx.state import LAYER
from auditor.nginx.template import Value
from auditor.nginx.tokens import Directive

if TYPE_CHECKING:
    from auditor.nginx.variables import Variables

_TIME = r"(\d+)(ms|[yMwdhms])?"
_SECONDS = {"y": 31536000, "M": 2592000, "w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "": 1, "ms": 0}
_SIZE = {"k": 1024, "m": 1024**2, "g": 1024**3}
DEFAULT_TYPES = {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class AddHeader:
    """One `add_header`; `line` is the finished field where its value holds no variable."""

    name: str
    value: Value
    always: bool
    location: Location
    line: Field | None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class MoreHeaders:
    """One `more_set_headers` or `more_clear_headers` command (headers-more module)."""

    fields: tuple[tuple[str, Value | None], ...]
    statuses: frozenset[int]
    types: frozenset[str]
    append: bool
    location: Location


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """One status of an `error_page`; `overwrite` -1: the original status stays."""

    status: int
    overwrite: int
    value: Value
    args: str
    location: Location
    text: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything of one node that the phases read."""

    headers: tuple[AddHeader, ...]
    lost: tuple[Directive, ...]
    trailers: tuple[AddHeader, ...]
    expires: tuple[str, int, Value | None, Location] | None
    more: tuple[MoreHeaders, ...]
    error_pages: tuple[ErrorPage, ...]
    recursive_error_pages: bool
    server_field: Field
    footer: str
    absolute_redirect: bool
    port_in_redirect: bool
    server_name_in_redirect: bool
    internal: bool
    max_body: int
    keepalive: bool
    keep_alive_field: Field | None
    chunked: bool
    msie_padding: bool
    types: dict[str, str]
    default_type: str
    gzip: bool
    gzip_vary: bool
    gzip_min_length: int
    gzip_types: frozenset[str]
    gzip_versions: frozenset[str]
    gzip_proxied: frozenset[str]
    charset: Value | None
    charset_types: frozenset[str]
    etag: bool
    if_modified: str
    max_ranges: int
    unknowns: tuple[Unknown, ...]


def seconds(text: str) -> int | None:
    """Return a duration in seconds (`1h30m`), None where it is none; milliseconds round down."""
    if not text or not re.fullmatch(r"(?:\d+(?:ms|[yMwdhms])? ?)+", text):
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(_TIME, text))


def size(text: str) -> int | None:
    """Return a size in bytes (`1m`), None where it is none."""
    unit = text[-1:].lower()
    number = text[:-1] if unit in _SIZE else text
    return int(number) * _SIZE.get(unit, 1) if number.isdigit() else None


def flag(node: Node, name: str, *, default: bool) -> bool:
    """Return an on/off directive."""
    found = node.last(name)
    return default if found is None or not found.args else found.args[0] == "on"


def settings_of(node: Node, variables: Variables) -> Settings:
    """Return what applies at a node."""
    if node.settings is None:
        node.settings = _build(node, variables)
    return node.settings


def _build(node: Node, variables: Variables) -> Settings:
    from auditor.nginx.effects import unknown_effects  # noqa: PLC0415 - a table of its own

    headers, lost = add_headers(node, variables)
    version = ".".join(map(str, variables.version))
    tokens = node.last("server_tokens")
    shown = f"nginx/{version}" if tokens is None or tokens.args[:1] == ("on",) else "nginx"
    if tokens is not None and tokens.args[:1] == ("build",):
        shown = f"nginx/{version}"
    timeouts = node.last("keepalive_timeout")
    keepalive = (
        timeouts is None or not timeouts.args or bool(seconds(timeouts.args[0]) or timeouts.args[0].endswith("ms"))
    )
    second = timeouts.args[1] if timeouts is not None and len(timeouts.args) > 1 else None
    body = node.last("client_max_body_size")
    parsed = size(body.args[0]) if body is not None and body.args else None
    default_type = node.last("default_type")
    charset = node.last("charset")
    charset_types = node.find("charset_types")
    gzip_types = node.find("gzip_types")
    gzip_min = node.last("gzip_min_length")
    since = node.last("if_modified_since")
    old = node.last("gzip_http_version")
    ranges = node.last("max_ranges")
    return Settings(
        headers=headers,
        lost=lost,
        trailers=tuple(_compiled(line, variables) for line in inherited_headers(node, "add_trailer")),
        expires=_expires(node, variables),
        more=more_headers(node, variables),
        error_pages=error_pages(node, variables),
        recursive_error_pages=flag(node, "recursive_error_pages", default=False),
        server_field=Field("Server", shown, None, LAYER),
        footer=shown,
        absolute_redirect=flag(node, "absolute_redirect", default=True),
        port_in_redirect=flag(node, "port_in_redirect", default=True),
        server_name_in_redirect=flag(node, "server_name_in_redirect", default=False),
        internal=bool(node.find("internal")),
        max_body=1024**2 if parsed is None else parsed,
        keepalive=keepalive,
        keep_alive_field=Field("Keep-Alive", f"timeout={seconds(second)}", None, LAYER) if second else None,
        chunked=flag(node, "chunked_transfer_encoding", default=True),
        msie_padding=flag(node, "msie_padding", default=True),
        types=_types(node),
        default_type=default_type.args[0] if default_type is not None and default_type.args else "text/plain",
        gzip=flag(node, "gzip", default=False),
        gzip_vary=flag(node, "gzip_vary", default=False),
        gzip_min_length=(size(gzip_min.args[0]) or 0) if gzip_min is not None and gzip_min.args else 20,
        gzip_types=frozenset(arg for item in gzip_types for arg in item.args) | {"text/html"},
        gzip_versions=frozenset({"0.9"} if old is not None and old.args == ("1.0",) else {"0.9", "1.0"}),
        gzip_proxied=frozenset(arg for item in node.find("gzip_proxied") for arg in item.args if arg != "off"),
        charset=None if charset is None or charset.args[:1] in {("off",), ()} else variables.value(charset.args[0]),
        charset_types=frozenset(arg for item in charset_types for arg in item.args) | {"text/html"}
        if charset_types
        else frozenset(
            {
                "text/html",
                "text/xml",
                "text/plain",
                "text/vnd.wap.wml",
                "application/javascript",
                "application/rss+xml",
            }
        ),
        etag=flag(node, "etag", default=True),
        if_modified=since.args[0] if since is not None and since.args else "exact",
        max_ranges=int(ranges.args[0]) if ranges is not None and ranges.args and ranges.args[0].isdigit() else -1,
        unknowns=unknown_effects(node),
    )


def _compiled(directive: Directive, variables: Variables) -> AddHeader:
    name = directive.args[0] if directive.args else ""
    value = variables.value(directive.args[1] if len(directive.args) > 1 else "")
    line = Field(name, value.const, directive.location, LAYER) if value.const else None
    return AddHeader(
        name,
        value,
        directive.args[2:] == ("always",),
        directive.location,
        line,
        name.lower() in {"etag", "last-modified"},
    )


def add_headers(node: Node, variables: Variables) -> tuple[tuple[AddHeader, ...], tuple[Directive, ...]]:
    """Return the `add_header` lines that apply, and those of outer levels that are lost (H2, H3 of the rule book)."""
    kept = [_compiled(directive, variables) for directive in inherited_headers(node)]
    texts = {id(item.location) for item in kept}
    lost: list[Directive] = []
    outer = node
    while outer is not None:
        lost.extend(item for item in outer.own.get("add_header", ()) if id(item.location) not in texts)
        outer = outer.parent  # type: ignore[assignment]
    return tuple(kept), tuple(lost)


def inherited_headers(node: Node, name: str = "add_header") -> list[Directive]:
    """Return the directives of an add_header-like list that apply, after `add_header_inherit`."""
    own = node.own.get(name, [])
    if node.parent is None:
        return list(own)
    mode = node.last(f"{name}_inherit")
    word = mode.args[0] if mode is not None and mode.args else "on"
    if word == "off":
        return list(own)
    if word == "merge":
        return [*own, *_effective_parent(node, name)]
    return list(own) if own else _effective_parent(node, name)


def _effective_parent(node: Node, name: str) -> list[Directive]:
    return [] if node.parent is None else inherited_headers(node.parent, name)


def more_headers(node: Node, variables: Variables) -> tuple[MoreHeaders, ...]:
    """Return the headers-more commands that apply: outer ones first, then inner ones."""
    chain: list[Node] = []
    outer: Node | None = node
    while outer is not None:
        chain.append(outer)
        outer = outer.parent
    return tuple(
        _more(directive, variables) for level in reversed(chain) for directive in level.own.get("more headers", ())
    )


def _more(directive: Directive, variables: Variables) -> MoreHeaders:
    fields: list[tuple[str, Value | None]] = []
    statuses: set[int] = set()
    types: set[str] = set()
    append = False
    words = iter(directive.args)
    for word in words:
        if word == "-s":
            statuses.update(int(part) for part in next(words, "").split() if part.isdigit())
        elif word == "-t":
            types.update(next(words, "").split())
        elif word == "-a":
            append = True
        elif directive.name == "more_clear_headers":
            fields.append((word.split(":", 1)[0].strip(), None))
        else:
            name, _, value = word.partition(":")
            fields.append((name.strip(), variables.value(value.strip(" ")) if value.strip(" ") else None))
    return MoreHeaders(tuple(fields), frozenset(statuses), frozenset(types), append, directive.location)


def error_pages(node: Node, variables: Variables) -> tuple[ErrorPage, ...]:
    """Return the error pages that apply, in the order nginx looks at them."""
    result = []
    for directive in node.find("error_page"):
        args = directive.args
        if len(args) < 2:
            continue
        overwrite = -1
        statuses = args[:-1]
        if statuses[-1].startswith("="):
            word = statuses[-1][1:]
            overwrite = int(word) if word.isdigit() else 0
            statuses = statuses[:-1]
        text, query = args[-1], ""
        if "$" not in text and text.startswith("/"):
            text, _, query = text.partition("?")
        value = variables.value(text)
        for word in statuses:
            if word.isdigit():
                status = int(word)
                over = 400 if overwrite == -1 and status in {494, 495, 496, 497} else overwrite
                line = " ".join(("error_page", *args))
                result.append(ErrorPage(status, over, value, query, directive.location, line))
    return tuple(result)


def _expires(node: Node, variables: Variables) -> tuple[str, int, Value | None, Location] | None:
    """Return `expires`: (kind, seconds, value with variables, place); None where it is off."""
    directive = node.last("expires")
    if directive is None or not directive.args:
        return None
    word = directive.args[-1]
    modified = directive.args[0] == "modified"
    if "$" in word:
        return ("modified" if modified else "variable", 0, variables.value(word), directive.location)
    parsed = parse_expires(word)
    if parsed is None or parsed[0] == "off":
        return None
    kind, time = parsed
    return ("modified" if modified and kind == "time" else kind, time, None, directive.location)


def parse_expires(word: str) -> tuple[str, int] | None:
    """Read one `expires` word: ("off" | "epoch" | "max" | "daily" | "time", seconds)."""
    if word in {"off", "epoch", "max"}:
        return word, 0
    negative = word.startswith("-")
    text = word.lstrip("+-") if word[:1] in "+-@" else word
    text = text.lstrip("@")
    value = seconds(text)
    if value is None:
        return None
    if word.startswith("@"):
        return "daily", value
    return "time", -value if negative else value


def _types(node: Node) -> dict[str, str]:
    """Return the table of file extensions that applies; one `types` block replaces all outer ones."""
    blocks = node.find("types")
    if not blocks:
        return DEFAULT_TYPES
    table: dict[str, str] = {}
    for block in blocks:
        for line in block.block or ():
            if line.name == "include":
                from auditor.nginx.mime import SHIPPED_TYPES  # noqa: PLC0415 - only where it is used

                table.update(SHIPPED_TYPES)
            for extension in line.args:
                table[extension.lower()] = line.name
    return table
