"""The built-in profiles: each loads, is versioned, and promises what its name says."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from pathlib import Path

import pytest

from auditor.audit import check
from auditor.options import Options
from auditor.policy.load import Profile, load_policy, profiles, rules, source
from auditor.policy.profiles import profile

NOW = date(2026, 11, 24)
NAMES = ["api", "cors-strict", "no-cross-origin", "owasp-secure-headers", "static-site"]


def test_the_profiles_of_the_contract_are_there() -> None:
    """Policies without a profile version, such as the reference stack's, are no profiles."""
    assert [item.name for item in profiles()] == NAMES
    assert profile("qwen-image") is None
    assert profile("../policies/api") is None


@pytest.mark.parametrize("item", profiles(), ids=lambda item: item.name)
def test_a_profile_loads_without_warnings_and_says_who_it_is(item: Profile) -> None:
    """Name as its file, version in its head, hash of its bytes."""
    loaded = load_policy(item.path, now=NOW)
    assert loaded.policy.name == item.name
    assert loaded.warnings == ()
    assert rules(loaded)
    assert item.sha256 == hashlib.sha256(item.path.read_bytes()).hexdigest()
    assert item.path.read_text(encoding="utf-8").splitlines()[1] == f"# profile version: {item.version}"
    assert source(f"builtin:{item.name}") == item.path


@pytest.mark.parametrize("item", profiles(), ids=lambda item: item.name)
def test_a_profile_covers_every_request_and_names_no_host(item: Profile) -> None:
    """It is about any site."""
    routes = load_policy(item.path, now=NOW).policy.routes
    assert any(match.paths == ("/**",) and match.methods is None for route in routes for match in route.match)
    assert all(match.hosts is None for route in routes for match in route.match)


def test_the_promises_of_a_profile_hold_for_the_routes_of_a_policy_that_extends_it(tmp_path: Path) -> None:
    """Lists replace, so a profile states its promises at the top."""
    file = tmp_path / "p.yaml"
    for name in NAMES:
        file.write_text(
            f"version: 1\nextends: [builtin:{name}]\nroutes: [{{id: r, match: [{{paths: [/r]}}]}}]\n", encoding="utf-8"
        )
        loaded = load_policy(file, now=NOW)
        assert [route.id for route in loaded.policy.routes] == ["r", "everything-else"]
        own = {re.sub(r"^[^.]+\.", "", rule.id) for rule in rules(loaded) if rule.route == "r"}
        rest = {re.sub(r"^[^.]+\.", "", rule.id) for rule in rules(loaded) if rule.route == "everything-else"}
        assert own == rest
        assert len(own) > 1


def test_owasp_headers_are_the_ones_the_project_advises() -> None:
    """Its headers_add.json (2024-07, and what 2026-07 added); the two that depend on route or session are left out."""
    found = profile("owasp-secure-headers")
    assert found is not None
    headers = load_policy(found.path, now=NOW).policy.routes[0].headers
    added = {
        "Cache-Control", "Clear-Site-Data", "Content-Security-Policy", "Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy",
        "Cross-Origin-Resource-Policy", "Permissions-Policy", "Referrer-Policy", "Strict-Transport-Security",
        "X-Content-Type-Options", "X-Frame-Options", "X-Permitted-Cross-Domain-Policies", "X-DNS-Prefetch-Control",
    }  # fmt: skip
    assert added - headers.keys() == {"Cache-Control", "Clear-Site-Data"}
    assert {name for name, rule in headers.items() if rule.required} == added - {
        "Cache-Control", "Clear-Site-Data", "Cross-Origin-Embedder-Policy", "X-DNS-Prefetch-Control", "X-Permitted-Cross-Domain-Policies",
    }  # fmt: skip
    assert {name for name, rule in headers.items() if rule.absent} >= {
        "X-Powered-By",
        "X-AspNet-Version",
        "X-Generator",
    }
    assert all(rule.severity is not None for rule in headers.values())


def test_strict_cors_lets_nobody_in_until_a_route_does(tmp_path: Path) -> None:
    """And keeps its other promises where one does."""
    file = tmp_path / "p.yaml"
    file.write_text(
        "version: 1\nextends: [builtin:cors-strict]\nroutes:\n"
        "  - {id: a, match: [{paths: [/a]}], cors: {allow_origins: [https://x.example]}}\n  - {id: b, match: [{paths: [/**]}]}\n",
        encoding="utf-8",
    )
    first, second = (route.cors for route in load_policy(file, now=NOW).policy.routes)
    assert first is not None
    assert second is not None
    assert (len(first.allow_origins), second.allow_origins) == (1, ())
    assert first.max_age is not None
    assert (first.max_age.max, first.null_origin, first.allow_credentials) == (86400, "deny", False)


def test_files_refuse_a_preflight_as_they_like(tmp_path: Path) -> None:
    """Nginx answers an OPTIONS for a file with 405, and one for a folder with a redirect: refusals like others."""
    (tmp_path / "nginx.conf").write_text("events {} http { server { listen 80; location /a/ { root /srv; } } }\n")
    run = check(Options("check", nginx=tmp_path / "nginx.conf", profiles=["cors-strict"]))
    assert [f.message for f in run.findings if f.verdict.value != "pass"] == []
