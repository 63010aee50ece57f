"""The way to an upstream and back: what nginx asks, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditor.dataclass import dataclass
from auditor.errors import Location
from auditor.exchange import UNKNOWN_VALUE, Field, Headers, Request, Unknown
from auditor.nginx.headers import broken_lines
from auditor.nginx.model import Node
from auditor.nginx.regex import Regex
from auditor.nginx.state import Run, Undecided
from auditor.nginx.template import Value
from auditor.nginx.tokens import Directive
from auditor.nginx.uri import escape

if TYPE_CHECKING:
    from auditor.nginx.engine import Engine

HIDDEN = frozenset(
    {"date", "server", "x-pad", "x-accel-expires", "x-accel-redirect", "x-accel-limit-rate", "x-accel-buffering",
     "x-accel-charset"}
)  # fmt: skip
"""Upstream headers that never pass by default (`ngx_http_proxy_hide_headers`)."""
CACHE_DROPS = ("If-Modified-Since", "If-Unmodified-Since", "If-None-Match", "If-Match", "Range", "If-Range")
"""Request headers that a cached upstream is not sent (`ngx_http_proxy_cache_headers`)."""
HANDLED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "content-type"})
SCHEMES = {"proxy_pass": "http", "fastcgi_pass": "fastcgi", "uwsgi_pass": "uwsgi", "scgi_pass": "scgi",
           "grpc_pass": "grpc", "memcached_pass": "memcached"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Redirection:
    """One `proxy_redirect`: what to look for in an upstream's Location, and what to put there."""

    regex: Regex | None
    prefix: Value
    replacement: Value
    location: Location


@dataclass(frozen=True, slots=True)
class Passing:
    """One `proxy_pass` (or fastcgi_pass …) with everything that goes with it at a node."""

    directive: Directive
    family: str
    url: Value
    scheme: str
    address: str
    uri: str
    location_name: str
    set_headers: tuple[tuple[str, Value], ...]
    dropped: frozenset[str]
    pass_headers: bool
    method: str
    gets: bool
    version: str
    hidden: frozenset[str]
    ignored: frozenset[str]
    intercept: bool
    redirections: tuple[Redirection, ...]
    cookie_domains: tuple[Redirection, ...]
    cookie_paths: tuple[Redirection, ...]
    cookie_flags: tuple[Directive, ...]
    next_upstream: frozenset[str]
    body: Value | None
    buffers: bool
    twice: bool


def source_of(node: Node, name: str) -> Node | None:
    """Return the level whose `proxy_pass` (or another directive of this name) an `if` or `limit_except` goes by.

    That is its own or the one of the location around it, whatever block chose the handler.
    """
    level: Node | None = node
    while level is not None and (level.handler is None or level.handler.name != name):
        level = level.parent if level.kind in {"if", "except"} else None
    return level


def passing_of(engine: Engine, node: Node, source: Node) -> Passing:
    """Compile what a node passes on; `source` is the level whose directive says where to."""
    directive = source.handler
    if directive is None:
        raise ValueError(node)
    family = directive.name.removesuffix("_pass")
    text = directive.args[0] if directive.args else ""
    url = engine.value(text)
    scheme, address, uri = SCHEMES.get(directive.name, family), text, ""
    if family in {"proxy", "grpc"} and "://" in text:
        scheme, _, rest = text.partition("://")
        scheme = scheme.lower()
        address, uri = split_address(rest)
    owner = source.enclosing()
    plain = source.kind == "if"
    name = "" if plain or owner.regex is not None or owner.modifier == "@" else owner.name
    lines = node.find(f"{family}_set_header")
    sets = [(line.args[0], engine.value(line.args[1])) for line in lines if len(line.args) > 1]
    given = {key.lower() for key, _ in sets}
    defaults = default_headers(engine.version)
    all_sets = sets + [(key, engine.value(value)) for key, value in defaults if key.lower() not in given]
    cache = node.last(f"{family}_cache")
    caches = cache is not None and cache.args != ("off",)
    if caches:
        all_sets += [(key, engine.value("")) for key in CACHE_DROPS if key.lower() not in given]
    converts = node.last(f"{family}_cache_convert_head")
    version = node.last(f"{family}_http_version")
    method = node.last(f"{family}_method")
    forwards = node.last(f"{family}_pass_request_headers")
    buffers = node.last(f"{family}_request_buffering")
    intercepts = node.last(f"{family}_intercept_errors")
    body = node.last("proxy_set_body") if family == "proxy" else None
    return Passing(
        directive=directive,
        family=family,
        url=url,
        scheme=scheme,
        address=address,
        uri=uri,
        location_name=name,
        set_headers=tuple(all_sets),
        dropped=frozenset(key.lower() for key, _ in all_sets),
        pass_headers=forwards is None or forwards.args != ("off",),
        gets=caches and (converts is None or converts.args != ("off",)),
        method=method.args[0] if method is not None and method.args else "",
        version=version.args[0]
        if version is not None and version.args
        else ("1.1" if engine.version >= (1, 29, 7) else "1.0"),
        hidden=hidden_headers(node, family),
        ignored=frozenset(arg.lower() for line in node.find(f"{family}_ignore_headers") for arg in line.args),
        intercept=intercepts is not None and intercepts.args == ("on",),
        redirections=redirections(engine, node) or (),
        cookie_domains=cookie_changes(engine, node, "proxy_cookie_domain"),
        cookie_paths=cookie_changes(engine, node, "proxy_cookie_path"),
        cookie_flags=tuple(node.find("proxy_cookie_flags")),
        next_upstream=next_upstream(node, family),
        twice=engine.variables.moves(tuple(part for _, value in sets for part in value.parts)),
        body=None if body is None or not body.args else engine.value(body.args[0]),
        buffers=buffers is None or buffers.args != ("off",),
    )


def split_address(text: str) -> tuple[str, str]:
    """Split what follows the scheme into address and URI."""
    if text.startswith("unix:"):
        address, colon, uri = text[5:].partition(":")
        return "unix:" + address, uri if colon else ""
    for index, char in enumerate(text):
        if char in "/?":
            return text[:index], text[index:]
    return text, ""


def default_headers(version: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    """Return the headers nginx sets unless told otherwise (`ngx_http_proxy_headers`)."""
    connection = "" if version >= (1, 29, 7) else "close"
    base = [("Host", "$proxy_host"), ("Connection", connection), ("Content-Length", "$proxy internal length")]
    base.append(("Transfer-Encoding", "$proxy internal chunked"))
    base += [(name, "") for name in ("TE", "Keep-Alive", "Expect", "Upgrade")]
    if version >= (1, 31, 0):
        base.append(("Proxy-Connection", ""))
    return tuple(base)


def next_upstream(node: Node, family: str) -> frozenset[str]:
    """Return in which cases nginx asks the next server."""
    lines = node.find(f"{family}_next_upstream")
    return frozenset(arg for line in lines for arg in line.args) if lines else frozenset({"error", "timeout"})


def hidden_headers(node: Node, family: str) -> frozenset[str]:
    """Return the lower-case names of upstream headers that do not pass."""
    hide = {arg.lower() for line in node.find(f"{family}_hide_header") for arg in line.args}
    passed = {arg.lower() for line in node.find(f"{family}_pass_header") for arg in line.args}
    return frozenset((HIDDEN | hide) - passed)


def redirections(engine: Engine, node: Node | None) -> tuple[Redirection, ...] | None:
    """Compile `proxy_redirect` as it applies at a level; None where it is off.

    A level without any has those of the level around it, the one that a `proxy_pass` there makes by default included
    (`ngx_http_proxy_merge_loc_conf`).
    """
    if node is None:
        return ()
    result: list[Redirection] = []
    lines = node.own.get("proxy_redirect", ())
    for line in lines:
        first = line.args[0] if line.args else ""
        if first == "off":
            return None
        if len(line.args) == 1:
            result.extend(_default_redirection(engine, node))
        elif first.startswith("~"):
            caseless = first.startswith("~*")
            regex = Regex(first[2 if caseless else 1 :], caseless=caseless)
            result.append(Redirection(regex, engine.value(""), engine.value(line.args[1]), line.location))
        else:
            result.append(Redirection(None, engine.value(first), engine.value(line.args[1]), line.location))
    if lines:
        return tuple(result)
    around = redirections(engine, node.parent)
    return around if around is None or around else tuple(_default_redirection(engine, node))


def _default_redirection(engine: Engine, node: Node) -> list[Redirection]:
    """Return what a level's own `proxy_pass` makes of `proxy_redirect default`."""
    handler = node.handler
    if handler is None or handler.name != "proxy_pass" or not handler.args or "$" in handler.args[0]:
        return []
    url = handler.args[0]
    _, uri = split_address(url.partition("://")[2])
    owner = node.enclosing()
    name = owner.name if node.kind == "location" and owner.regex is None and owner.modifier != "@" else ""
    prefix, replacement = (url, name) if uri else (url + "/", "/")
    return [Redirection(None, engine.value(prefix), engine.value(replacement), handler.location)]


def cookie_changes(engine: Engine, node: Node, name: str) -> tuple[Redirection, ...]:
    """Compile `proxy_cookie_domain` or `proxy_cookie_path`."""
    result = []
    for line in node.find(name):
        if len(line.args) < 2:
            return ()
        first = line.args[0]
        regex = None
        if first.startswith("~"):
            caseless = first.startswith("~*")
            regex = Regex(first[2 if caseless else 1 :], caseless=caseless)
        result.append(
            Redirection(regex, engine.value("" if regex else first), engine.value(line.args[1]), line.location)
        )
    return tuple(result)


def build_uri(run: Run, passing: Passing, evaluated: str | None, uri: str) -> str:
    """Return the request target that goes upstream (`ngx_http_proxy_create_request`)."""
    if evaluated is not None and uri:
        return uri if not uri.startswith("?") else "/" + uri
    if not uri and run.faithful:
        return run.raw_uri
    escaping = run.quoted or run.internal
    if uri and run.valid_location:
        rest = run.uri[len(passing.location_name) :]
        path = ("/" + uri if uri.startswith("?") else uri) + (escape(rest) if escaping else rest)
    else:
        path = escape(run.uri) if escaping else run.uri
    return path + (f"?{run.args}" if run.args else "")


def build_headers(run: Run, passing: Passing, host: str) -> Headers:
    """Return the header lines that go upstream, in order."""
    lines: list[Field] = []
    room = _room(run, passing) if passing.twice else 0
    for name, value in passing.set_headers:
        if value.text == "$proxy internal length":
            text = run.length
            if passing.body is not None:
                text = _length_of(passing.body(run))
            elif run.chunked and not _streams(run, passing):
                text = run.received or str(run.request.body_length)
        elif value.text == "$proxy internal chunked":
            text = "chunked" if _streams(run, passing) else ""
        elif value.text == "$proxy_host":
            text = host
        else:
            text = value(run)
            room -= len(text) if passing.twice else 0
        if text:
            lines.append(Field(name, text, None, "nginx"))
    if passing.twice and room < 0:
        raise Undecided(Unknown("the header lines are longer than nginx measured", passing.directive.location))
    if passing.pass_headers:
        lines.extend(line for line in run.header_lines if line.name.lower() not in passing.dropped)
    return Headers(tuple(broken_lines(lines) if run.breaks else lines))


def _room(run: Run, passing: Passing) -> int:
    """Measure the values of the header lines before they are written: a regex in between may make them longer."""
    internal = {"$proxy internal length", "$proxy internal chunked", "$proxy_host"}
    return sum(len(value(run)) for _, value in passing.set_headers if value.text not in internal)


def _streams(run: Run, passing: Passing) -> bool:
    """Whether a chunked body goes on in chunks: it is not waited for, and its end is not here yet."""
    if not run.chunked or passing.buffers or passing.body is not None or run.received or passing.version != "1.1":
        return False
    streams = run.choose(("body", "to come"), 2) == 1
    if streams and "body-to-come" not in run.when:
        run.when += ("body-to-come",)
    return streams


def _length_of(text: str) -> str:
    """Return the length of a body, as text."""
    return UNKNOWN_VALUE if UNKNOWN_VALUE in text else str(len(text))


def rewrite_location(run: Run, passing: Passing, value: str) -> str | None:
    """Return an upstream's Location as `proxy_redirect` changes it, None where no line applies."""
    for change in passing.redirections:
        if change.regex is None:
            prefix = change.prefix(run)
            if value.startswith(prefix):
                return change.replacement(run) + value[len(prefix) :]
        elif run.matches(change.regex, value, change.location, "the upstream's Location"):
            return change.replacement(run)
    return None


def rewrite_cookie(run: Run, passing: Passing, value: str) -> str:
    """Return an upstream's Set-Cookie as proxy_cookie_domain, _path and _flags change it."""
    if not (passing.cookie_domains or passing.cookie_paths or passing.cookie_flags) or UNKNOWN_VALUE in value:
        return value
    first, *attributes = [part.strip(" ") for part in value.split(";")]
    for index, attribute in enumerate(attributes):
        name, equals, text = attribute.partition("=")
        if not equals:
            continue
        if name.lower() == "domain":
            attributes[index] = f"{name}={_changed(run, passing.cookie_domains, text, _domain)}"
        elif name.lower() == "path":
            attributes[index] = f"{name}={_changed(run, passing.cookie_paths, text, _path)}"
    cookie = first.partition("=")[0]
    for line in passing.cookie_flags:
        if len(line.args) > 1 and _names(run, line, cookie):
            attributes = _flagged(attributes, line.args[1:])
            break
    return "; ".join((first, *attributes))


def _changed(
    run: Run, changes: tuple[Redirection, ...], text: str, simple: Callable[[str, str, str], str | None]
) -> str:
    for change in changes:
        if change.regex is not None:
            if run.matches(change.regex, text, change.location, "a cookie"):
                return change.replacement(run)
            continue
        result = simple(text, change.prefix(run), change.replacement(run))
        if result is not None:
            return result
    return text


def _domain(text: str, old: str, new: str) -> str | None:
    bare, wanted = text.removeprefix("."), old.removeprefix(".")
    return new if bare.lower() == wanted.lower() else None


def _path(text: str, old: str, new: str) -> str | None:
    return new + text[len(old) :] if text.startswith(old) else None


def _names(run: Run, line: Directive, cookie: str) -> bool:
    name = line.args[0]
    if name.startswith("~"):
        return run.matches(Regex(name[1:], caseless=True), cookie, line.location, "a cookie's name")
    return name.lower() == cookie.lower()


def _flagged(attributes: list[str], flags: tuple[str, ...]) -> list[str]:
    """Apply the flags of one `proxy_cookie_flags` line."""
    result = list(attributes)
    spelled = {"secure": "Secure", "httponly": "HttpOnly"}
    for flag in flags:
        word = flag.lower()
        if word.startswith("samesite="):
            result = [part for part in result if not part.lower().startswith("samesite")]
            result.append("SameSite=" + {"strict": "Strict", "lax": "Lax", "none": "None"}.get(word[9:], word[9:]))
        elif word == "nosamesite":
            result = [part for part in result if not part.lower().startswith("samesite")]
        elif word.startswith("no"):
            result = [part for part in result if part.lower() != word[2:]]
        elif word in spelled and not any(part.lower() == word for part in result):
            result.append(spelled[word])
    return result


def request_for(run: Run, passing: Passing, scheme: str, address: str, target: str, host: str) -> Request:  # noqa: PLR0917 - follows nginx's own
    """Return the request as the upstream receives it."""
    default = {"http": ":80", "https": ":443", "grpc": ":80", "grpcs": ":443"}.get(scheme, "")
    listen = address if ":" in address.rsplit("]", 1)[-1] or address.startswith("unix:") else address + default
    return Request(
        method=passing.method or ("GET" if passing.gets and run.method == "HEAD" else run.method),
        target=target,
        headers=build_headers(run, passing, host),
        scheme="https" if scheme in {"https", "grpcs"} else "http",
        version=passing.version,
        listen=listen,
        client="",
        body_length=run.request.body_length,
    )
