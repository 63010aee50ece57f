"""Tests of an inner layer in the words of the outer request: what Python's own matching says of both paths agrees."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from auditor import audit
from auditor.options import Options
from auditor.plan.behind import Replacement, from_outside
from auditor.plan.cells import Matcher

PREFIXES = ["", "/", "/api", "/api/", "/v1/x", "/a.b/"]
WORDS = ["", "a", "health", "items/7", "api/x", "v1/x/y", "a.b/c"]
TESTS = [
    ("exact", "/health"),
    ("exact", "/"),
    ("prefix", "/v1/"),
    ("prefix", "/"),
    ("prefix", "/api/x"),
    ("suffix", ".js"),
    ("regex", r"^/health\z"),
    ("regex", r"^/items/(?:[^/]+)\z"),
    ("regex", r"\.js$"),
    ("regex", r"^/(a|health)$"),
]


@given(
    test=st.sampled_from(TESTS),
    pair=st.builds(Replacement, st.sampled_from(PREFIXES), st.sampled_from(PREFIXES)),
    rest=st.sampled_from([w + end for w in WORDS for end in ("", "/", ".js")]),
)
def test_an_inner_test_holds_where_the_outer_one_does(test: tuple[str, str], pair: Replacement, rest: str) -> None:
    """A replaced path passes an inner test exactly where the path outside passes what was made of it, or that says "other"."""
    kind, pattern = test
    outer, inner = pair.outer + rest, pair.inner + rest
    if not (outer.startswith("/") and inner.startswith("/")):
        return
    held = Matcher("path", kind, pattern).language()
    assert held is not None
    made = list(from_outside([Matcher("path", kind, pattern)], [pair]))
    if any(matcher.kind == "other" for matcher in made):
        return
    languages = [found for matcher in made if (found := matcher.language()) is not None]
    if held.contains(inner):
        assert any(language.contains(outer) for language in languages)
    unchanged = held.contains(outer)
    if not held.contains(inner) and not unchanged and pair.inner:
        assert not any(language.contains(outer) for language in languages)


def test_what_no_replaced_path_passes_makes_nothing() -> None:
    """A route that a location's prefix rules out is not there under that location."""
    made = list(from_outside([Matcher("path", "regex", r"^/docs\z")], [Replacement("/up", "/upload")]))
    assert [m.pattern for m in made] == [r"^/docs\z"]


def test_alternatives_at_the_top_are_not_guessed() -> None:
    """An expression whose alternatives are not in brackets is not rewritten: it is "other"."""
    made = list(from_outside([Matcher("path", "regex", "^/a|/b")], [Replacement("/api/", "/")]))
    assert [m.kind for m in made] == ["regex", "other"]


def test_a_router_has_a_way_for_each_entrypoint_that_replaces_a_prefix(tmp_path: Path) -> None:
    """An entrypoint whose middlewares strip a prefix shows the application other paths than one that has none."""
    (tmp_path / "traefik.yml").write_text(
        "entryPoints:\n  in:\n    address: ':80'\n    http: {middlewares: [strip@file]}\n"
        "  out: {address: ':81'}\nproviders: {file: {filename: dynamic.yml}}\n"
    )
    (tmp_path / "dynamic.yml").write_text(
        "http:\n  routers: {all: {rule: 'Host(`a.test`)', service: app}}\n"
        "  middlewares: {strip: {stripPrefix: {prefixes: [/api]}}}\n"
        "  services: {app: {loadBalancer: {servers: [{url: 'http://app:8000'}]}}}\n"
    )
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n@app.get('/x')\ndef x(): ...\n")
    (tmp_path / "auditor.yaml").write_text(
        "version: 1\nname: ways\ntargets:\n  - {id: edge, type: traefik, static: traefik.yml, dynamic: [dynamic.yml]}\n"
        "  - {id: app, type: asgi, files: [main.py]}\nlayers: [edge, app]\n"
        "routes: [{id: all, match: [{paths: ['/**']}], headers: {X-A: b}}]\n"
    )
    options = Options("check", tmp_path / "auditor.yaml")
    loaded = audit.load(options)
    facts, _ = audit.predict(loaded, options)
    assert {"/x", "/api/x"} <= {case.probe.path for case in facts.of("all", "plain") if case.probe.host == "a.test"}
