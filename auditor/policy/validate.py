"""What a policy must be beyond its shape: references that lead somewhere, waivers within bounds, something to decide.

Works on the tree and not on the models, so that these mistakes show together with all others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date, timedelta

from auditor.errors import Problem
from auditor.policy.document import Node, join
from auditor.policy.model import LAYER_TYPES
from auditor.policy.problems import did_you_mean


def problems(
    root: Node, *, now: date, checks: Collection[str] | None, declared: Node | None = None
) -> Iterator[Problem]:
    """Yield what is wrong between the clauses; `checks`: the ids that exist, None where they are not known.

    `declared`: the policy before its environment, whose targets a waiver may name although they are left out here.
    """
    for name in ("routes", "targets", "waivers"):
        yield from _unique(root, name)
    yield from _layers(root)
    yield from _named_targets(root, declared)
    targets = [*ids(root, "targets"), *(ids(declared, "targets") if declared is not None else ())]
    yield from _waivers(root, now, checks, targets)
    if checks is not None:
        for name, node in _entries(root, "checks"):
            yield from _known(name, checks, "check", node, join("checks", name))
    for index, route in enumerate(_items(root, "routes")):
        yield from _route(route, f"routes[{index}]")
    yield from _exposure(root)
    yield from _tls(root)


def _items(root: Node, name: str) -> tuple[Node, ...]:
    node = root.get(name)
    return node.items if node is not None else ()


def _entries(root: Node, name: str) -> list[tuple[str, Node]]:
    node = root.get(name)
    return list(node.entries.items()) if node is not None else []


def ids(root: Node, name: str) -> list[str]:
    """Return the ids of a list of clauses."""
    nodes = (item.get("id") for item in _items(root, name))
    return [node.value for node in nodes if node is not None and isinstance(node.value, str)]


def _unique(root: Node, name: str) -> Iterator[Problem]:
    seen: dict[str, Node] = {}
    for index, item in enumerate(_items(root, name)):
        node = item.get("id")
        if node is None or not isinstance(node.value, str):
            continue
        if node.value in seen:
            line = seen[node.value].place.line
            message = f"the id {node.value!r} is given twice (first on line {line})"
            yield Problem(message, node.place, "ids name one thing", f"{name}[{index}].id")
        seen.setdefault(node.value, node)


def _known(
    word: str, known: Collection[str], what: str, node: Node, path: str, *, key: bool = True
) -> Iterator[Problem]:
    if word not in known:
        place = (node.key or node.place) if key else node.place
        listed = f"known: {', '.join(sorted(known))}" if known and len(known) <= 12 else f"no {what} has this id"
        yield Problem(f"no {what} {word!r}", place, did_you_mean(word, known) or listed, path)


def _named_targets(root: Node, declared: Node | None) -> Iterator[Problem]:
    """Yield the targets that an environment names and the policy does not have."""
    known = ids(declared if declared is not None else root, "targets")
    for index, node in enumerate(_items(root, "targets")):
        if isinstance(node.value, str):
            yield from _known(node.value, known, "target", node, f"targets[{index}]", key=False)


def _layers(root: Node) -> Iterator[Problem]:
    types: dict[str, str] = {}
    for item in _items(root, "targets"):
        name, kind = item.get("id"), item.get("type")
        if name is not None and kind is not None:
            types[str(name.value)] = str(kind.value)
    seen: set[str] = set()
    for index, node in enumerate(_items(root, "layers")):
        path = f"layers[{index}]"
        if not isinstance(node.value, str):
            continue
        yield from _known(node.value, types, "target", node, path, key=False)
        named = types.get(node.value)
        if named is not None and named not in LAYER_TYPES:
            hint = f"layers are targets of type {', '.join(sorted(LAYER_TYPES))}"
            yield Problem(f"{node.value!r} is a target of type {named}: no request passes it", node.place, hint, path)
        if node.value in seen:
            yield Problem(f"the layer {node.value!r} is given twice", node.place, "a request passes it once", path)
        seen.add(node.value)


def _waivers(root: Node, now: date, checks: Collection[str] | None, targets: Collection[str]) -> Iterator[Problem]:
    settings = root.get("settings")
    limit = settings.get("waiver_max_days") if settings is not None else None
    days = limit.value if limit is not None and type(limit.value) is int and 0 < limit.value <= 36500 else 365
    references: list[tuple[str, Collection[str] | None]] = [
        ("checks", checks),
        ("routes", ids(root, "routes")),
        ("targets", targets),
    ]
    for index, waiver in enumerate(_items(root, "waivers")):
        path = f"waivers[{index}]"
        for name, known in references:
            for position, node in enumerate(_items(waiver, name)):
                if known is not None and isinstance(node.value, str):
                    yield from _known(node.value, known, name[:-1], node, f"{path}.{name}[{position}]", key=False)
        yield from _expiry(waiver, path, now, days)
        for name in ("reason", "owner"):
            said = waiver.get(name)
            if said is not None and isinstance(said.value, str) and said.value and not said.value.strip():
                yield Problem(f"the waiver's {name} is blank", said.place, "say it", f"{path}.{name}")


def _expiry(waiver: Node, path: str, now: date, days: int) -> Iterator[Problem]:
    node = waiver.get("expires")
    if node is None or not isinstance(node.value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", node.value):
        return
    try:
        expires = date.fromisoformat(node.value)
    except ValueError:
        return
    if (expires - now).days > days:
        latest = now + timedelta(days=days)
        yield Problem(
            f"the waiver lasts {(expires - now).days} days from {now}, longer than waiver_max_days: {days}",
            node.place,
            f"{latest} at the latest, or raise settings.waiver_max_days",
            f"{path}.expires",
        )


def _is(node: Node | None, value: object) -> bool:
    return node is not None and node.value is value


def _route(route: Node, path: str) -> Iterator[Problem]:
    cors = route.get("cors")
    if cors is not None:
        yield from _cors(cors, f"{path}.cors")
    seen: dict[str, str] = {}
    for name, node in _entries(route, "headers"):
        other = seen.setdefault(name.lower(), name)
        if other != name:
            place = node.key or node.place
            message = f"the header {name!r} is given twice, also as {other!r}"
            yield Problem(message, place, "header names have no case: keep one", join(f"{path}.headers", name))


def _cors(cors: Node, path: str) -> Iterator[Problem]:
    credentials = _is(cors.get("allow_credentials"), value=True)
    for name in ("allow_origins", "allow_methods", "allow_headers", "expose_headers"):
        for index, node in enumerate(_items(cors, name)):
            if node.value == "*" and credentials:
                yield Problem(
                    f"* together with allow_credentials: true in {name}: browsers refuse it, and a server that gets "
                    "around that by echoing the request lets everybody in",
                    node.place,
                    "list what may be used, or set allow_credentials: false",
                    f"{path}.{name}[{index}]",
                )
            if node.value == "*" and name == "allow_origins" and len(_items(cors, name)) > 1:
                hint = "keep * alone, or list the origins"
                yield Problem(
                    "* beside other origins: it already means any", node.place, hint, f"{path}.{name}[{index}]"
                )
    if _is(cors.get("enabled"), value=False):
        for name, node in cors.entries.items():
            if name not in {"enabled", "severity", "rationale", "references"}:
                place = node.key or node.place
                message = f"cors is off (enabled: false), yet {name} is given"
                yield Problem(message, place, "remove one of them", f"{path}.{name}")


def _exposure(root: Node) -> Iterator[Problem]:
    exposure = root.get("exposure")
    ports = exposure.get("published_ports") if exposure is not None else None
    if ports is None:
        return
    allowed = {node.word for node in _items(ports, "allow")}
    for index, node in enumerate(_items(ports, "loopback_only")):
        if node.word in allowed and node.word:
            path = f"exposure.published_ports.loopback_only[{index}]"
            yield Problem(f"{node.value!r} is also allowed on every address", node.place, "keep one of them", path)


def _tls(root: Node) -> Iterator[Problem]:
    tls = root.get("tls")
    status = tls.get("redirect_status") if tls is not None else None
    if tls is not None and status is not None and tls.get("redirect") is None:
        place = status.key or status.place
        yield Problem("redirect_status says how, but no redirect is required", place, "add redirect: required", "tls")


def empty(root: Node) -> Iterator[Problem]:
    """Yield that the policy promises nothing, where it has neither routes nor rules."""
    if not _says_something(root):
        yield Problem(
            "the policy promises nothing: it has no routes and no rules",
            root.place,
            "add routes: with headers or cors, or extend a profile: extends: [builtin:owasp-secure-headers]",
        )


def _says_something(root: Node) -> bool:
    if _items(root, "routes") or any(root.get(name) is not None for name in ("exposure", "tls", "error_pages")):
        return True
    routes = root.get("routes")
    return routes is not None and not isinstance(routes.value, tuple)
