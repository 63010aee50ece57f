"""Which server and which location a request gets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.exchange import Request
from auditor.nginx.model import Listen, Node, Tree
from auditor.nginx.state import Run

if TYPE_CHECKING:
    from auditor.nginx.compile import Http

_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::(?P<port>[0-9]*))?\Z")
_OLD_HOST = re.compile(r"(?P<name>\[[^\]]*(?:\]|\Z)|[^:]*)(?::(?P<port>.*))?\Z", re.DOTALL)


def find_listen(http: Http, request: Request) -> Listen | None:
    """Return the listener that takes a connection to `request.listen` ("" is the first that fits the scheme)."""
    if not http.listens:
        return None
    secure = request.scheme == "https"
    if not request.listen:
        return next((one for one in http.listens if one.ssl is secure), http.listens[0])
    if request.listen.startswith("unix:"):
        return next((one for one in http.listens if one.address == request.listen), None)
    host, _, port = request.listen.rpartition(":")
    if not port.isdigit():
        host, port = request.listen, "443" if secure else "80"
    number = int(port)
    same_port = [one for one in http.listens if one.port == number]
    for one in same_port:
        if one.address == host:
            return one
    six = host.startswith("[")
    for one in same_port:
        if one.address == ("[::]" if six else "*"):
            return one
    if six:
        return None
    return next((one for one in same_port if one.address == "[::]"), same_port[0] if same_port else None)


@lru_cache(maxsize=4096)
def clean_host(text: str, *, strict: bool) -> str | None:
    """Return a Host value in lower case without port and final dot; None where nginx refuses it (`ngx_http_validate_host`)."""
    match = (_HOST if strict else _OLD_HOST).match(text)
    if match is None:
        return None
    name = match["name"]
    port = match["port"]
    if strict:
        if port and int(port) > 65535:
            return None
    elif re.search("[\x00-\x20/\x7f]", name):
        return None
    if ".." in name:
        return None
    name = name.removesuffix(".")
    return name.lower() if name else None


def find_server(listen: Listen, host: str, run: Run | None = None) -> tuple[Node | None, str]:  # noqa: C901 - follows nginx's own
    """Return the server with this (clean) name and how it matched; (None, "") where only the default is left."""
    server = listen.exact.get(host)
    if server is not None:
        return server, "is its exact name"
    if host and (listen.heads or listen.tails):
        labels = host.split(".")
        whole = listen.heads.get(host)
        if whole is not None and whole[1]:
            return whole[0], f"is its name .{host}"
        for start in range(1, len(labels)):
            suffix = ".".join(labels[start:])
            found = listen.heads.get(suffix)
            if found is not None:
                return found[0], f"matches its wildcard *.{suffix}"
        for end in range(len(labels) - 1, 0, -1):
            prefix = ".".join(labels[:end])
            tail = listen.tails.get(prefix)
            if tail is not None:
                return tail, f"matches its wildcard {prefix}.*"
    if host:
        for regex, node in listen.regexes:
            if run is None:
                continue
            if run.matches(regex, host, node.place, "the host"):
                return node, f"matches its regular expression ~{regex.pattern}"
    return None, ""


EXACT, REDIRECT, FOUND, NONE = "exact", "redirect", "found", ""


def find_location(run: Run, node: Node) -> tuple[Node, str]:
    """Return the location for `run.uri` below a node, and how it was found (`ngx_http_core_find_location`)."""
    tree: Tree | None = node.tree
    if tree is None:
        return node, NONE
    uri = run.uri
    exact = tree.exact.get(uri)
    if exact is not None:
        return exact, EXACT
    redirect = tree.redirect(uri) if tree.redirects else None
    if redirect is not None:
        return redirect, REDIRECT
    result, how, no_regex = node, NONE, False
    if tree.prefixes:
        prefix = tree.longest(uri)
        if prefix is not None:
            no_regex = prefix.modifier == "^~"
            result, how = find_location(run, prefix)
            if how in {EXACT, REDIRECT}:
                return result, how
            how = NONE
    if not no_regex:
        for candidate in tree.regexes:
            if candidate.regex is not None and run.matches(candidate.regex, uri, candidate.place, "the URI"):
                return find_location(run, candidate)[0], EXACT
    return result, how
