"""Tests of an inner layer in the words of the outer request: what Python's own matching says of both paths agrees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
