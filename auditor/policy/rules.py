"""The rules of a policy: one for every clause that promises something, so that none is silently ignored."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.errors import Location
from auditor.policy.document import Node, find, join
from auditor.policy.loaded import LoadedPolicy, Rule
from auditor.policy.model import Clause, Route

_ABOUT = frozenset({"severity", "rationale", "references"})
_ROUTE_CLAUSES = ("served_by", "cors", "rate_limit", "keepalive", "caching", "websocket")
_NAMED = ("headers", "cookies")
_TIMEOUTS = ("connect", "send", "read")
_EXPOSURE = ("backends", "unreachable", "published_ports", "direct_routes", "unknown_hosts", "denied_paths")


def rules(loaded: LoadedPolicy) -> tuple[Rule, ...]:
    """Return every rule of the policy, routes first, in the order of the file."""
    if "rules" not in loaded.read:
        loaded.read["rules"] = (*_routes(loaded), *_top(loaded))
    return loaded.read["rules"]


def target_rules(loaded: LoadedPolicy) -> tuple[Rule, ...]:
    """Return one rule per target, for what is said about a target itself: that it can be read, that it answers."""
    if "targets" not in loaded.read:
        loaded.read["targets"] = tuple(
            _rule(loaded, (f"targets.{target.id}", "targets"), f"targets[{index}]", target, name=target.id)
            for index, target in enumerate(loaded.policy.targets)
        )
    return loaded.read["targets"]


def _rule(
    loaded: LoadedPolicy,
    identity: tuple[str, str],
    path: str,
    value: object,
    *,
    route: Route | None = None,
    name: str = "",
    within: Clause | None = None,
    parts: tuple[tuple[str, Location], ...] = (),
) -> Rule:
    """Build one rule; `within` is the clause around it, whose severity it takes where it has none of its own."""
    severity = getattr(value, "severity", None)
    if severity is None and within is not None:
        severity = within.severity
    node = find(loaded.tree, path)
    return Rule(
        id=identity[0],
        kind=identity[1],
        path=path,
        location=loaded.locate(path),
        route=route.id if route else None,
        value=value,
        severity=severity,
        name=name,
        parts=parts or tuple((key, child.key or child.place) for key, child in _entries(node)),
        leaves=tuple(_leaves(node, "")),
    )


def _entries(node: Node) -> Iterator[tuple[str, Node]]:
    yield from ((key, child) for key, child in node.entries.items() if key not in _ABOUT)


def _leaves(node: Node, path: str) -> Iterator[tuple[str, Location]]:
    for key, child in _entries(node):
        here = join(path, key)
        if child.entries:
            yield from _leaves(child, here)
        else:
            yield here, child.key or child.place


def _routes(loaded: LoadedPolicy) -> Iterator[Rule]:
    for index, route in enumerate(loaded.policy.routes):
        base = f"routes[{index}]"
        yield _rule(loaded, (f"{route.id}.match", "match"), f"{base}.match", route, route=route)
        for position, probe in enumerate(route.probes):
            if probe.expect_status is not None:
                path = f"probes[{position}]"
                yield _rule(
                    loaded, (f"{route.id}.{path}", "probes"), f"{base}.{path}", probe, route=route, name=probe.path
                )
        for key in _ROUTE_CLAUSES:
            value = getattr(route, key)
            if value is not None:
                yield _rule(loaded, (f"{route.id}.{key}", key), f"{base}.{key}", value, route=route)
        for key in _NAMED:
            for name, value in getattr(route, key).items():
                path = join(f"{base}.{key}", name)
                yield _rule(loaded, (join(f"{route.id}.{key}", name), key), path, value, route=route, name=name)
        for key in _TIMEOUTS:
            value = getattr(route.timeouts, key) if route.timeouts else None
            if value is not None:
                path = f"timeouts.{key}"
                identity = (f"{route.id}.{path}", "timeouts")
                yield _rule(loaded, identity, f"{base}.{path}", value, route=route, name=key, within=route.timeouts)


def _top(loaded: LoadedPolicy) -> Iterator[Rule]:
    policy = loaded.policy
    if policy.error_pages is not None:
        yield _rule(loaded, ("error_pages", "error_pages"), "error_pages", policy.error_pages)
    exposure = policy.exposure
    if exposure is not None:
        for key in _EXPOSURE:
            value, path = getattr(exposure, key), f"exposure.{key}"
            if value and value not in {"allow", "serve"}:
                yield _rule(loaded, (path, path), path, value, within=exposure)
        for name, network in exposure.networks.items():
            path = join("exposure.networks", name)
            yield _rule(loaded, (path, "exposure.networks"), path, network, name=name, within=exposure)
    if policy.tls is not None:
        stated = {key: child.key or child.place for key, child in _entries(find(loaded.tree, "tls"))}
        for key, also in (("redirect", "redirect_status"), ("min_version", "")):
            if getattr(policy.tls, key) is not None:
                parts = tuple((part, stated[part]) for part in (key, also) if part in stated)
                yield _rule(loaded, (f"tls.{key}", f"tls.{key}"), f"tls.{key}", policy.tls, parts=parts)
