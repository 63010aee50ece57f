"""One policy laid over another: mappings merge, lists replace, null removes.

Two clauses are more than mappings. What a header has to be is one statement: a new matcher replaces the inherited
ones (`severity`, `rationale`, `references` are kept). `cors: {enabled: false}` replaces the whole clause, and an
inherited `enabled: false` ends where origins are allowed. Header names compare without case (RFC 9110 §5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce

from auditor.errors import Location, Problem
from auditor.policy.document import Node, join
from auditor.policy.model import ROUTE_CLAUSES

NOT_INHERITED = frozenset({"version", "name", "extends"})
EVERYTHING_ELSE = "everything-else"
_ABOUT_A_RULE = frozenset({"severity", "rationale", "references", "optional"})


def overlay(base: Node | None, over: Node, *, inside: str = "") -> Node:
    """Return `over` laid over `base`; `inside` is the key that both stand under ("" at the top).

    Nulls of `over` that removed nothing stay, so that they can be reported.
    """
    if not isinstance(over.value, dict):
        return over
    below: Mapping[str, Node] = base.entries if base is not None else {}
    if inside == "cors":
        below = _cors(below, over.entries)
    elif inside in {"header", "cache_control"}:
        below = _header(below, over.entries)
    merged = dict(below)
    for key, node in over.entries.items():
        name = _same_header(below, key) if inside == "headers" else key
        old = merged.get(name)
        if node.value is None and old is not None and old.value is not None:
            del merged[name]
        elif node.value is not None or old is None:
            if name != key:
                merged = {(key if present == name else present): value for present, value in merged.items()}
            if inside == "headers":
                merged[key] = overlay(_long(old) if old is not None else None, _long(node), inside="header")
            else:
                merged[key] = overlay(old, node, inside=key)
    return Node(merged, over.place, over.key)


def _long(rule: Node) -> Node:
    """Return a header rule in its long form, so that `{severity: high}` and `nosniff` can be laid over each other."""
    if not isinstance(rule.value, str):
        return rule
    return Node({"exact": replace(rule, key=rule.key or rule.place)}, rule.place, rule.key)


def _same_header(entries: Mapping[str, Node], name: str) -> str:
    lower = name.lower()
    return next((present for present in entries if present.lower() == lower), name)


def _cors(base: Mapping[str, Node], over: Mapping[str, Node]) -> Mapping[str, Node]:
    enabled = over.get("enabled")
    if enabled is not None and enabled.value is False:
        return {}
    inherited = base.get("enabled")
    if enabled is None and "allow_origins" in over and inherited is not None and inherited.value is False:
        return {key: node for key, node in base.items() if key != "enabled"}
    return base


def _header(base: Mapping[str, Node], over: Mapping[str, Node]) -> Mapping[str, Node]:
    stated = over.keys() - _ABOUT_A_RULE
    if not stated:
        return base
    return {key: node for key, node in base.items() if key in stated or key in _ABOUT_A_RULE}


def inherited(document: Node) -> Node:
    """Return what a policy hands on to one that extends it: all but its version, name and own `extends`."""
    return Node({key: node for key, node in document.entries.items() if key not in NOT_INHERITED}, document.place)


def in_environment(policy: Node, environment: Node) -> Node:
    """Return the policy with one environment laid over it; targets named by id are taken from the policy.

    Layers that the environment leaves out of its targets are left out of `layers` too.
    """
    declared = policy.get("targets")
    known = {_id(item): item for item in (declared.items if declared else ())}
    chosen = environment.get("targets")
    result = overlay(policy, environment)
    if chosen is None or not isinstance(chosen.value, tuple):
        return result
    targets = tuple(known.get(item.word, item) if item.word else item for item in chosen.items)
    entries = {**result.entries, "targets": Node(targets, chosen.place, chosen.key)}
    left_out = known.keys() - {_id(item) for item in targets}
    layers = result.get("layers")
    if layers is not None and environment.get("layers") is None and isinstance(layers.value, tuple):
        entries["layers"] = replace(layers, value=tuple(item for item in layers.items if item.word not in left_out))
    return Node(entries, result.place, result.key)


def _id(item: Node) -> str:
    node = item.get("id")
    return node.word if node is not None else ""


def with_defaults(policy: Node) -> Node:
    """Return the policy with the top-level clauses laid under every route's own.

    Requests that no route matches get a route of their own, `everything-else`, so that a clause at the top holds
    for every request to the hosts that the policy is about.
    """
    shared = {key: node for key, node in policy.entries.items() if key in ROUTE_CLAUSES and node.value is not None}
    routes = policy.get("routes")
    if routes is not None and not isinstance(routes.value, tuple):
        return policy
    base = Node(dict(shared), policy.place)
    items = [overlay(base, item) if isinstance(item.value, dict) else item for item in (routes.items if routes else ())]
    if shared and not any(_holds_everything(item, items) for item in items):
        items.append(_everything_else(policy, base, items))
    entries = {key: node for key, node in policy.entries.items() if key not in shared}
    place = routes or policy
    return Node({**entries, "routes": Node(tuple(items), place.place, place.key)}, policy.place)


def _matches(route: Node) -> tuple[Node, ...]:
    match = route.get("match")
    return match.items if match is not None else ()


def _texts(node: Node | None) -> frozenset[str]:
    return frozenset(item.word for item in node.items if item.word) if node is not None else frozenset()


def _hosts(routes: list[Node]) -> frozenset[str] | None:
    """Return every host that the routes name; None where one of them is about any host."""
    matches = [match for route in routes for match in _matches(route)]
    if not matches or any(match.get("hosts") is None for match in matches):
        return None
    return frozenset().union(*(_texts(match.get("hosts")) for match in matches))


def _holds_everything(route: Node, routes: list[Node]) -> bool:
    for match in _matches(route):
        paths, hosts = match.get("paths"), match.get("hosts")
        if match.get("methods") is not None or (paths is not None and "/**" not in _texts(paths)):
            continue
        named = _hosts(routes)
        if hosts is None or (named is not None and named <= _texts(hosts)):
            return True
    return False


def _everything_else(policy: Node, base: Node, routes: list[Node]) -> Node:
    place = next(iter(base.entries.values())).key or policy.place

    def made(value: str) -> Node:
        return Node(value, place, place, value)

    match = {"paths": Node((made("/**"),), place, place)}
    hosts = _hosts(routes)
    if hosts:
        match["hosts"] = Node(tuple(made(host) for host in sorted(hosts)), place, place)
    name = made(EVERYTHING_ELSE if routes else "everything")
    entries = {**base.entries, "id": name, "match": Node((Node(match, place),), place, place)}
    return Node(entries, place)


def dangling(node: Node, steps: tuple[str | int, ...] = ()) -> list[tuple[str, Node]]:
    """Return the nulls that removed nothing, each with its path."""
    below: Iterable[tuple[str | int, Node]] = node.entries.items() if node.entries else enumerate(node.items)
    found = []
    for step, child in below:
        if child.value is None:
            found.append((reduce(join, (*steps, step), ""), child))
        elif child.value.__class__ in {dict, tuple}:
            found += dangling(child, (*steps, step))
    return found


def without_nulls(node: Node, *, lists: bool = True) -> Node:
    """Return the tree without entries and items that are null; without `lists`, those inside lists stay."""
    if isinstance(node.value, dict):
        kept = {key: without_nulls(child, lists=lists) for key, child in node.value.items() if child.value is not None}
        return node.holding(kept)
    if isinstance(node.value, tuple) and lists:
        return node.holding(tuple(without_nulls(child) for child in node.value if child.value is not None))
    return node


def null_problem(path: str, node: Node, *, list_item: bool) -> Problem:
    """Say that a null removes nothing."""
    why = "in a list, which replaces as a whole" if list_item else "nothing that this policy extends says anything here"
    place: Location = node.key or node.place
    return Problem(
        f"{path} is empty: {why}", place, "give it a value, or delete the line; null removes what is inherited", path
    )
