"""The rules of a policy: no clause without one, each at its place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from auditor.finding import Severity
from auditor.policy.document import Node, find, join
from auditor.policy.load import LoadedPolicy, load_policy, rules, target_rules
from auditor.policy.model import Environment, Policy

NOW = date(2026, 11, 24)
FULL = Path(__file__).parent / "cases" / "policy" / "full.yaml"
NO_PROMISE = {
    "version",
    "name",
    "extends",
    "variables",
    "environments",
    "settings",
    "targets",
    "layers",
    "checks",
    "waivers",
}
"""What a policy says about itself, about what is read, and about findings; all else promises something."""
ABOUT = {"severity", "rationale", "references"}


@pytest.fixture(scope="module")
def full() -> LoadedPolicy:
    """The policy that states every clause."""
    return load_policy(FULL, now=NOW)


def models(kind: Any) -> Iterator[type[BaseModel]]:
    """Yield the models inside a type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from models(inner)


def every_model(kind: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Return the models reachable from one."""
    if kind not in seen:
        seen.add(kind)
        for field in kind.model_fields.values():
            for inner in models(field.annotation):
                every_model(inner, seen)
    return seen


def stated(value: object, found: dict[type[BaseModel], set[str]]) -> None:
    """Note which fields of which models a policy states."""
    if isinstance(value, BaseModel):
        found.setdefault(type(value), set()).update(value.model_fields_set)
        for name in value.model_fields_set:
            stated(getattr(value, name), found)
    elif isinstance(value, dict):
        for item in value.values():
            stated(item, found)
    elif isinstance(value, tuple):
        for item in value:
            stated(item, found)


def test_the_full_policy_states_every_key_there_is(full: LoadedPolicy) -> None:
    """Else what follows would not be about a key that was added since."""
    found: dict[type[BaseModel], set[str]] = {}
    stated(full.policy, found)
    stated(load_policy(FULL, now=NOW, environment="prod").policy, found)
    missing = {
        f"{model.__name__}.{name}"
        for model in every_model(Policy, set()) - {Environment}
        for name in model.model_fields
        if not any(name in names for kind, names in found.items() if issubclass(kind, model))
    }
    inherited = {
        f"Policy.{name}" for name in ("headers", "cors", "cookies", "rate_limit", "timeouts", "keepalive", "caching")
    }
    about = {f"{model.__name__}.{name}" for model in every_model(Policy, set()) for name in ABOUT}
    assert missing - inherited - about == {"Policy.environments"}


def leaves(node: Node, path: str = "") -> Iterator[str]:
    """Yield the path of every value that is neither mapping nor sequence of mappings."""
    if node.entries:
        for key, child in node.entries.items():
            yield from leaves(child, join(path, key))
    elif node.items and all(item.entries for item in node.items):
        for index, item in enumerate(node.items):
            yield from leaves(item, join(path, index))
    else:
        yield path


def promises(path: str) -> bool:
    """Say whether a value promises something."""
    parts = path.replace("[", ".").split(".")
    if parts[0] in NO_PROMISE or parts[-1] in ABOUT or path.rstrip("]0123456789[").endswith("references"):
        return False
    return not (parts[0] == "routes" and parts[2] == "id")


def test_nothing_that_a_policy_promises_is_without_a_rule(full: LoadedPolicy) -> None:
    """A clause that no rule carries would be ignored in silence."""
    paths = [rule.path for rule in rules(full)]
    plain_probe = "routes[0].probes[1].path"
    orphans = [
        path
        for path in leaves(full.tree)
        if promises(path)
        and path != plain_probe
        and not any(path == p or path.startswith((f"{p}.", f"{p}[")) for p in paths)
    ]
    redirect = {"tls.redirect_status"}
    assert set(orphans) == redirect
    (rule,) = [rule for rule in rules(full) if rule.id == "tls.redirect"]
    assert [part for part, _ in rule.parts] == ["redirect", "redirect_status"]


def test_every_key_of_a_clause_is_a_part_of_its_rule(full: LoadedPolicy) -> None:
    """So that a key which no check decides can be reported."""
    for rule in rules(full):
        if not rule.id.startswith("tls."):
            entries = find(full.tree, rule.path).entries
            assert [part for part, _ in rule.parts] == [key for key in entries if key not in ABOUT]
    (cors,) = [rule for rule in rules(full) if rule.id == "api.cors"]
    assert "preflight.on_disallowed.cors_headers" in dict(cors.leaves)
    assert cors.at("vary") == full.locate("routes[0].cors.vary")
    assert cors.at("nothing") == cors.location


def test_ids_are_unique_and_say_what_they_are(full: LoadedPolicy) -> None:
    """Findings of one rule are told from another's by it."""
    ids = [rule.id for rule in (*rules(full), *target_rules(full))]
    assert len(ids) == len(set(ids))
    assert {
        "api.match", "api.cors", "api.headers.X-One", "api.cookies.session", "api.rate_limit", "api.timeouts.read", "api.keepalive",
        "api.caching", "api.served_by", "api.probes[0]", "socket.websocket", "everything-else.headers.X-One", "error_pages",
        "exposure.backends", "exposure.unreachable", "exposure.published_ports", "exposure.direct_routes", "exposure.denied_paths",
        'exposure.networks["backend.net"]', "tls.redirect", "tls.min_version", "targets.web",
    } <= set(ids)  # fmt: skip
    assert "api.probes[1]" not in ids


def test_a_rule_takes_the_severity_of_its_clause_or_the_one_around_it(full: LoadedPolicy) -> None:
    """None leaves it to the check."""
    severities = {rule.id: rule.severity for rule in rules(full)}
    assert severities["api.cors"] is Severity.CRITICAL
    assert severities["api.timeouts.read"] is Severity.LOW
    assert severities["exposure.denied_paths"] is Severity.HIGH
    assert severities["exposure.published_ports"] is Severity.INFO
    assert severities["tls.min_version"] is Severity.MEDIUM
    assert severities["api.keepalive"] is None


def test_a_rule_is_where_its_key_is_written(full: LoadedPolicy) -> None:
    """Line and column of the key, in the file that states it."""
    lines = FULL.read_text(encoding="utf-8").splitlines()
    for rule in rules(full):
        if rule.location.file == str(FULL) and rule.kind in {
            "cors",
            "rate_limit",
            "websocket",
            "keepalive",
            "error_pages",
        }:
            assert lines[rule.location.line - 1][rule.location.column - 1 :].startswith(f"{rule.kind}:")
