"""Durations, rates, addresses and globs: what they mean, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.policy import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("1500ms", 1.5),
        ("24h", 86400),
        ("365d", 31536000),
        ("1h30m", 5400),
        ("2w", 1209600),
        ("0s", 0),
        ("1.5m", 90),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    """A number and a unit, or several after each other."""
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5S", "1y", "5s ", "\u0661s", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The unit is never guessed."""
    with pytest.raises(ValueError, match="not a duration"):
        values.duration(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("10/s", 10), ("60/m", 1), ("5r/s", 5), ("30r/m", 0.5), ("3600/h", 1), ("0.5/s", 0.5)]
)
def test_a_rate_is_requests_per_second(text: str, rate: float) -> None:
    """Nginx's `5r/s` is taken too."""
    assert values.rate(text) == rate


@pytest.mark.parametrize("text", ["10", "10/", "0/s", "-1/s", "10/sec", "10 / s", "r/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Zero is no rate: it would allow nothing."""
    with pytest.raises(ValueError, match="not a rate"):
        values.rate(text)


@pytest.mark.parametrize(
    ("text", "parts"), [("api:8000", ("api", 8000)), ("[::1]:443", ("::1", 443)), ("10.0.0.1:1", ("10.0.0.1", 1))]
)
def test_an_address_is_host_and_port(text: str, parts: tuple[str, int]) -> None:
    """IPv6 is written in brackets and read without."""
    assert values.host_port(text) == parts


@pytest.mark.parametrize(
    "text", ["api", "api:", ":80", "api:0", "api:65536", "::1:80", "http://api:80", "a b:80", "u@h:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """A door has a number."""
    with pytest.raises(ValueError, match="not host:port"):
        values.host_port(text)


def matches(glob: list[str], path: list[str]) -> bool:
    """Say whether a path's segments meet a glob's: the definition, by recursion."""
    if not glob:
        return not path
    if glob[0] == "**":
        if len(glob) == 1:
            return bool(path)
        return any(matches(glob[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and segment(glob[0], path[0]) and matches(glob[1:], path[1:])


def segment(glob: str, text: str) -> bool:
    """Say whether one segment meets one segment of a glob; `*` alone wants at least one character."""
    if glob == "*":
        return bool(text)
    return run(glob, text)


def run(glob: str, text: str) -> bool:
    """Match with `*` as any run."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(run(glob[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and glob[0] == text[0] and run(glob[1:], text[1:])


GLOBS = st.lists(st.sampled_from(["**", "*", "a", "b", "*.j", ".*", "a*", "+", ""]), min_size=1, max_size=4)
PATHS = st.lists(st.sampled_from(["a", "b", "x.j", ".e", "aa", "", "+", "a\nb"]), min_size=1, max_size=5)


@given(GLOBS, PATHS)
def test_a_glob_is_the_regular_expression_that_says_the_same(glob: list[str], path: list[str]) -> None:
    """Decided by recursion on segments here, by a regular expression there."""
    written, asked = "/" + "/".join(glob), "/" + "/".join(path)
    assert bool(re.fullmatch(values.glob_regex(written), asked)) == matches(glob, path)


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("/api/**", ["/api/", "/api/x", "/api/x/y"], ["/api", "/apix", "/x/api/"]),
        ("/**", ["/", "/x", "/x/y"], [""]),
        ("/**/*.js", ["/a.js", "/x/y/a.js"], ["/a.jsx", "/a.js/"]),
        ("/*/b", ["/a/b"], ["//b", "/b", "/a/a/b"]),
        ("/a.b", ["/a.b"], ["/axb"]),
    ],
)
def test_globs_hold_what_people_expect(glob: str, inside: list[str], outside: list[str]) -> None:
    """`/api/**` is everything below `/api/`, not `/api` itself, which another location may serve."""
    expression = re.compile(values.glob_regex(glob))
    assert all(expression.fullmatch(path) for path in inside)
    assert not any(expression.fullmatch(path) for path in outside)


@pytest.mark.parametrize("glob", ["api/**", "", "/a**", "/**b/c", "/a?b", "/a#b"])
def test_what_is_no_glob_is_refused(glob: str) -> None:
    """A glob that means something else than it looks like would promise nothing."""
    with pytest.raises(ValueError, match=r"path|segments"):
        values.path_glob(glob)


def test_a_host_pattern_is_one_or_more_labels() -> None:
    """As Gateway API has it."""
    expression = re.compile(values.host_regex("*.example.com"))
    assert expression.fullmatch("a.example.com")
    assert expression.fullmatch("a.b.example.com")
    assert not expression.fullmatch("example.com")
    assert not expression.fullmatch("a.exampleXcom")


@pytest.mark.parametrize("text", ["Example.com", "a:80", "http://a", "a/b", "", "*", "a.*", "-", "a b"])
def test_what_is_no_host_is_refused(text: str) -> None:
    """Scheme, port and path belong elsewhere."""
    with pytest.raises(ValueError, match=r"host name|lower case"):
        values.host(text)


@pytest.mark.parametrize("text", ["get", "G T", "", "Get"])
def test_methods_are_tokens_in_upper_case(text: str) -> None:
    """RFC 9110 §9.1: methods are case-sensitive, and those in use are upper case."""
    with pytest.raises(ValueError, match=r"method|upper case"):
        values.method(text)


def test_a_regular_expression_is_one_that_python_takes() -> None:
    """Also one that would only warn."""
    assert values.regular_expression("[[a]") == "[[a]"
    with pytest.raises(ValueError, match="not a regular expression"):
        values.regular_expression("(")
