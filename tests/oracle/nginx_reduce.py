"""Shrinks a configuration and a request while they still disagree: directive by directive, word by word."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

from nginx_live import Sent
from nginx_tree import Node, paths, replaced, without

Fails = Callable[[Node, Sent], bool]
MOST_TRIES = 600


def reduce(tree: Node, request: Sent, fails: Fails) -> tuple[Node, Sent]:
    """Return a smaller pair that still fails; `fails` must be true of the pair given."""
    tries = 0

    def still(node: Node, sent: Sent) -> bool:
        nonlocal tries
        tries += 1
        return tries <= MOST_TRIES and fails(node, sent)

    before: tuple[Node, Sent] | None = None
    while (tree, request) != before and tries <= MOST_TRIES:
        before = (tree, request)
        tree = _smaller_tree(tree, functools.partial(_swapped, still, request))
        request = _smaller_request(request, functools.partial(still, tree))
    return tree, request


def _swapped(fails: Fails, sent: Sent, node: Node) -> bool:
    return fails(node, sent)


def _smaller_tree(tree: Node, fails: Callable[[Node], bool]) -> Node:
    tree = _fewer(tree, (), fails)
    found: Node | None = tree
    while found is not None:
        tree = found
        found = next((simpler for simpler in _simpler(tree) if simpler != tree and fails(simpler)), None)
    return tree


def _node(tree: Node, path: tuple[int, ...]) -> Node:
    for index in path:
        tree = (tree.block or ())[index]
    return tree


def _fewer(tree: Node, path: tuple[int, ...], fails: Callable[[Node], bool]) -> Node:
    """Remove children of the node at `path`, many at once where possible, then go into those that stay."""
    size = max(1, len(_node(tree, path).block or ()) // 2)
    while size:
        index = len(_node(tree, path).block or ())
        while index > 0:
            start = max(0, index - size)
            node = _node(tree, path)
            children = node.block or ()
            candidate = replaced(tree, path, replace(node, block=children[:start] + children[index:]))
            if fails(candidate):
                tree = candidate
            index = start
        size //= 2
    for index, child in enumerate(_node(tree, path).block or ()):
        if child.block:
            tree = _fewer(tree, (*path, index), fails)
    return tree


def _simpler(tree: Node) -> Iterator[Node]:
    for path, node in list(paths(tree)):
        if node.block and node.name in {"if", "limit_except"} and len(path) > 1:
            parent = _node(tree, path[:-1])
            at = path[-1]
            children = (parent.block or ())[:at] + node.block + (parent.block or ())[at + 1 :]
            yield replaced(tree, path[:-1], replace(parent, block=children))
        for number, arg in enumerate(node.args):
            if len(node.args) > 1 and node.name not in {"location", "if"}:
                yield replaced(tree, path, replace(node, args=node.args[:number] + node.args[number + 1 :]))
            for shorter in _shorter(arg):
                yield replaced(tree, path, replace(node, args=(*node.args[:number], shorter, *node.args[number + 1 :])))
        if node.name == "if" and not node.block:
            yield without(tree, path)


def _shorter(arg: str) -> Iterator[str]:
    if "|" in arg:
        yield from arg.split("|")
    if len(arg) > 4 and "$" in arg and arg.count("$") + arg.count("|") == 1 and not arg.startswith("$"):
        yield arg[arg.index("$") :]


def _smaller_request(request: Sent, fails: Callable[[Sent], bool]) -> Sent:
    changed = True
    while changed:
        changed = False
        for candidate in _simpler_requests(request):
            if candidate != request and fails(candidate):
                request = candidate
                changed = True
                break
    return request


def _simpler_requests(request: Sent) -> Iterator[Sent]:
    yield from _simpler_heads(request)
    yield from _simpler_targets(request)


def _simpler_heads(request: Sent) -> Iterator[Sent]:
    for index, (name, _) in enumerate(request.headers):
        rest = request.headers[:index] + request.headers[index + 1 :]
        yield replace(
            request, headers=rest, body="" if name in {"Content-Length", "Transfer-Encoding"} else request.body
        )
    if request.method != "GET" and not request.body:
        yield replace(request, method="GET")
    if request.client != "127.0.0.1":
        yield replace(request, client="127.0.0.1")
    if request.version != "1.1":
        yield replace(request, version="1.1")
    for index, (name, value) in enumerate(request.headers):
        if name == "Host" and value != "a.test":
            yield replace(
                request, headers=(*request.headers[:index], ("Host", "a.test"), *request.headers[index + 1 :])
            )


def _simpler_targets(request: Sent) -> Iterator[Sent]:
    path, mark, query = request.target.partition("?")
    if mark:
        yield replace(request, target=path)
        for pair in query.split("&"):
            if pair != query:
                yield replace(request, target=f"{path}?{pair}")
    if path.startswith("/"):
        parts = path.split("/")
        for index in range(1, len(parts)):
            yield replace(request, target=("/".join(parts[:index] + parts[index + 1 :]) or "/") + mark + query)
