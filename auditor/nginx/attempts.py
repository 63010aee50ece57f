"""Requests that only an attacker sends: the tests that make them cells of their own, so that each is tried.

A path that climbs out of what its location leads to, a value that names another host where the request names the
upstream, a line break where the decoded path is written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.errors import Location
from auditor.exchange import CHOSEN, INJECTED
from auditor.nginx.model import Node
from auditor.nginx.proxy import split_address
from auditor.nginx.subjects import Matcher, Subjects
from auditor.nginx.tokens import Directive


def attempts(node: Node, subjects: Subjects) -> Iterator[Matcher]:
    """Yield what one block gives an attacker to try."""
    if node.kind == "location":
        yield from _climbing(node, node.place or Location("nginx"))
    for name in ("add_header", "proxy_set_header", "proxy_pass"):
        for line in node.own.get(name, ()):
            yield from _written(line, subjects)
    for line in node.script:
        if line.name == "return":
            yield from _written(line, subjects)
    if node.handler is not None and node.handler.args and "$" in node.handler.args[0]:
        for subject in subjects.of(authority(node.handler))[0]:
            yield from _chosen(subject, node, node.handler)


def authority(handler: Directive) -> str:
    """Return what a handler says of the host that it passes requests on to."""
    return handler.args[0].partition("://")[2].partition("/")[0] or handler.args[0]


def _climbing(node: Node, place: Location) -> Iterator[Matcher]:
    """Yield the path that climbs out of what a location leads to, where only that ends with a slash."""
    if node.regex is not None or node.modifier in {"=", "@"} or node.name.endswith("/"):
        return
    aliases = [line.args[0] for line in node.own.get("alias", ()) if line.args]
    passed = [
        split_address(line.args[0].partition("://")[2])[1] for line in node.own.get("proxy_pass", ()) if line.args
    ]
    if any(text.endswith("/") for text in (*aliases, *passed)):
        yield Matcher("path", "exact", f"{node.name}../x", caseless=False, location=place)


def _chosen(subject: str, node: Node, line: Directive) -> Iterator[Matcher]:
    """Yield the value that names a host of its own, where a part of the request is the upstream's address."""
    owner = node.enclosing()
    if subject.startswith(("arg:", "header:", "cookie:")) or subject == "host":
        name = "host" if subject == "header:host" else subject
        yield Matcher(name, "exact", CHOSEN, caseless=False, location=line.location)
    elif subject == "path" and owner.regex is not None:
        start = re.match(r"\^(/[\w/-]*)", owner.regex.pattern)
        yield Matcher(
            "path", "exact", f"{start[1] if start else '/'}{CHOSEN}/x", caseless=False, location=line.location
        )


def _written(line: Directive, subjects: Subjects) -> Iterator[Matcher]:
    """Yield what sees a line break in a path, where a line writes the decoded path out."""
    if any("$" in text and "path" in subjects.of(text)[0] for text in line.args[-2:]):
        yield Matcher("request_uri", "exact", INJECTED, caseless=False, location=line.location)
