"""Traefik's middlewares that change where a request goes: redirections, prefixes, replaced paths."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import replace

from auditor.exchange import Field, Outcome, Step
from auditor.traefik import regex
from auditor.traefik.flow import (
    LAYER,
    STATUS_TEXT,
    Flow,
    Next,
    answer,
    bad_escape,
    noted,
    set_path,
    text_error,
    undecided,
    unescape_path,
)
from auditor.traefik.model import Middleware, flag_of, list_of, text_of
from auditor.traefik.stage import Context, step_of

_PLAIN_URL = re.compile(
    r"^(?:[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._-]+(?::\d+)?)?(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
)


_URL = re.compile(r"^(https?)://(\[[\w:.]+\]|[\w._-]+)?(:\d+)?(.*)$", re.DOTALL)


def _raw_url(flow: Flow) -> str:
    """Rebuild the URL as the redirections do (pkg/middlewares/redirect, rawURL)."""
    scheme, host, port, uri = "http", *_split_host(flow.host), flow.uri
    found = _URL.match(flow.uri)
    if found:
        scheme, host, port, uri = found[1], found[2] or host, found[3] or port, found[4]
    # A trusted client's X-Forwarded-Proto stands for the connection, ws and wss for http and https.
    scheme = scheme_of(flow)
    if (scheme, port) in (("http", ":80"), ("https", ":443")):
        port = ""
    return f"{scheme}://{host}{port}{uri}"


def scheme_of(flow: Flow) -> str:
    """Return the scheme of a request as its X-Forwarded-Proto has it by now; ws and wss stand for http and https."""
    written = flow.header("X-Forwarded-Proto")
    usual = "https" if flow.tls else "http"
    return {"": usual, "ws": "http", "wss": "https"}.get(written.lower(), written)


def _split_host(host: str) -> tuple[str, str]:
    """Split as Go's net.SplitHostPort does: an address that does not split is all host."""
    head, colon, port = host.rpartition(":")
    if not colon or "]" in port or (":" in head and not (head.startswith("[") and head.endswith("]"))):
        return host, ""
    return (head[1:-1] if head.startswith("[") else head), f":{port}"


def redirect(flow: Flow, location: str, step: Step, *, permanent: bool) -> tuple[Outcome, ...]:
    """Answer with a redirection: 301/302 to GET, 308/307 to every other method."""
    status = (301 if permanent else 302) if flow.method == "GET" else (308 if permanent else 307)
    line = Field("Location", location, step.location, LAYER)
    return answer(status, STATUS_TEXT[status], (line,), kind="redirect", flow=flow, steps=(step,))


def redirect_scheme(
    flow: Flow, following: Next, scheme: str, port: str, step: Step, *, permanent: bool
) -> tuple[Outcome, ...]:
    """Redirect to another scheme and port; a URL that is already so passes.

    Source: pkg/middlewares/redirect/redirect_scheme.go.
    """
    old = _raw_url(flow)
    found = re.match(r"^(https?://)?(\[[\w:.]+\]|[\w._-]+)?(:\d+)?(.*)$", old)
    if found is None or not old.isascii():
        return undecided("the URL is not one that the redirection's expression decides", step.location, (step,))
    shown = f":{port}" if port and (scheme, port) not in (("http", "80"), ("https", "443")) else ""
    new = f"{scheme}://{found[2] or ''}{shown}{found[4] or ''}"
    if unreadable(new):
        # The redirection answers with its error handler, which takes an error of url.Parse for one of the network.
        return answer(502, STATUS_TEXT[502], kind="error", flow=flow, steps=(step,))
    if new == old:
        return following(_reparsed(flow, old))
    return redirect(flow, new, step, permanent=permanent)


_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=\]<>\"-]|[^\x00-\x7f]|%[89A-Fa-f][0-9A-Fa-f]|%25)*")
_USER = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")


def unreadable(url: str) -> bool:
    """Whether Go's url.Parse refuses a URL for its scheme or its authority (net/url: getScheme, parseAuthority, parseHost)."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)", url)
    if found is None:
        return url.startswith(":")
    user, at, host = found[1].rpartition("@")
    if at and not _USER.fullmatch(user):
        return True
    if "[" in host:
        literal = re.fullmatch(r"\[([^\]%]*)\](?::\d*)?", host)
        return literal is None or not _is_ipv6(literal[1])
    name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
    return not (port.isascii() and port.isdigit() if port else True) or not _HOST.fullmatch(name)


def _is_ipv6(text: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _reparsed(flow: Flow, url: str) -> Flow:
    """Take the URL apart again, as a redirection does with one that it leaves as it is."""
    rest = re.sub(r"^[A-Za-z]+://[^/?#]*", "", url).partition("#")[0]
    path, mark, query = rest.partition("?")
    split = set_path(path)
    if split is None:
        return flow
    parsed = replace(flow, path=split[0], raw_path=split[1], query=query, force_query=bool(mark) and not query)
    return replace(parsed, uri=parsed.request_uri)


def to_scheme(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Redirect to a scheme and port."""
    options = middleware.options
    scheme, port = text_of(options.get("scheme")), text_of(options.get("port"))
    permanent = flag_of(options.get("permanent"))
    return redirect_scheme(flow, following, scheme, port, step_of(middleware), permanent=permanent)


def to_regex(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Redirect where the whole URL matches an expression."""
    options, step = middleware.options, step_of(middleware)
    pattern = text_of(options.get("regex"))
    old = f"{'https' if flow.tls else 'http'}://{flow.host}{flow.uri}"
    matched = regex.search(pattern, old)
    new = regex.replace_all(pattern, old, text_of(options.get("replacement"))) if matched else None
    if matched is None or (matched and new is None):
        return undecided(f"whether {pattern!r} matches the URL is not decided", middleware.location, (step,))
    if new is None:
        return following(flow)
    if unreadable(new):
        return answer(502, STATUS_TEXT[502], kind="error", flow=flow, steps=(step,))
    if new == old:
        return following(_reparsed(flow, old))
    if not _PLAIN_URL.match(new):
        return undecided("how the new URL is written is not decided", middleware.location, (step,))
    return redirect(flow, new, step, permanent=flag_of(options.get("permanent")))


def strip_prefix(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Take the first prefix that fits off the path, and say so in X-Forwarded-Prefix."""
    force = flag_of(middleware.options.get("forceSlash"))

    def stripped(path: str, prefix: str) -> str:
        rest = path.removeprefix(prefix)
        if force:
            return "/" + rest.removeprefix("/")
        return rest if not rest or rest.startswith("/") else "/" + rest

    for prefix, place in list_of(middleware.options.get("prefixes")):
        if flow.path.startswith(prefix):
            raw = stripped(flow.raw_path, prefix) if flow.raw_path else ""
            changed = flow.add("X-Forwarded-Prefix", prefix.strip(), place).with_path(stripped(flow.path, prefix), raw)
            return _if_clean(changed, following, step_of(middleware, f"{prefix} is stripped"))
    return following(flow)


def strip_prefix_regex(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Take what the first matching expression finds off the front of the path."""
    for pattern, place in list_of(middleware.options.get("regex")):
        prefix = regex.first_group(pattern.strip(), flow.path)
        if prefix is None:
            return undecided(f"whether {pattern!r} matches the path is not decided", place, (step_of(middleware),))
        if not prefix or not flow.path.startswith(prefix):
            continue
        rest = flow.path[len(prefix) :]
        raw = flow.raw_path[len(prefix) :] if flow.raw_path else ""
        slashed = [part if not part or part.startswith("/") else "/" + part for part in (rest, raw)]
        changed = flow.add("X-Forwarded-Prefix", prefix, place).with_path(*slashed)
        return _if_clean(changed, following, step_of(middleware, f"{prefix} is stripped"))
    return following(flow)


def _if_clean(flow: Flow, following: Next, step: Step) -> tuple[Outcome, ...]:
    """Refuse a rewritten path that still has empty or dot segments (measured on 3.7: 400)."""
    path = flow.escaped_path
    clean = posixpath.normpath(re.sub("^//+", "/", path)) if path else path
    if path.endswith("/") and not clean.endswith("/"):
        clean += "/"
    if clean != path:
        return text_error(400, STATUS_TEXT[400], flow, (replace(step, note=f"{step.note}: the new path is not clean"),))
    split = set_path(path)
    return noted(following(flow.with_path(*split) if split else flow), step)


def add_prefix(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Put a prefix in front of the path."""
    prefix = text_of(middleware.options.get("prefix"))
    path = _slashed(prefix + flow.path)
    raw = _slashed(prefix + flow.raw_path) if flow.raw_path else ""
    return noted(following(flow.with_path(path, raw)), step_of(middleware, f"{prefix} is put in front"))


def _slashed(path: str) -> str:
    return path if not path or path.startswith("/") else "/" + path


def replace_path(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Replace the path, and keep the old one in X-Replaced-Path."""
    target = text_of(middleware.options.get("path"))
    old = flow.raw_path or flow.escaped_path
    path = unescape_path(target)
    if path is None:
        return text_error(500, bad_escape(target), flow, (step_of(middleware),))
    changed = flow.add("X-Replaced-Path", old, middleware.location).with_path(path, target)
    return noted(following(changed), step_of(middleware))


def replace_path_regex(middleware: Middleware, flow: Flow, following: Next, _: Context) -> tuple[Outcome, ...]:
    """Replace what matches in the path, and keep the old one in X-Replaced-Path."""
    pattern = text_of(middleware.options.get("regex")).strip()
    replacement = text_of(middleware.options.get("replacement")).strip()
    old = flow.raw_path or flow.escaped_path
    matched = regex.search(pattern, old)
    new = regex.replace_all(pattern, old, replacement) if matched else None
    if matched is None or (matched and new is None):
        return undecided(
            f"whether {pattern!r} matches the path is not decided", middleware.location, (step_of(middleware),)
        )
    if new is None:
        return following(flow)
    path = unescape_path(new)
    if path is None:
        return text_error(500, bad_escape(new), flow, (step_of(middleware),))
    changed = flow.add("X-Replaced-Path", old, middleware.location).with_path(path, new)
    return _if_clean(changed, following, step_of(middleware))
