"""Origins: as browsers send them, patterns nobody can register into, regular expressions that mean what they say."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from auditor.policy import origins

BROWSER = Path(__file__).parents[1].parent / "shared" / "cases" / "browser"


@pytest.mark.parametrize(
    "text",
    ["*", "https://a.example", "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:3000", "https://xn--e1afmkfd.example",
     "https://a_b.example", "chrome-extension://abcdefghijklmnop", "capacitor://localhost", "https://example.com:8443"],
)  # fmt: skip
def test_an_origin_as_a_browser_sends_it_is_taken(text: str) -> None:
    """Scheme, host, and the port where it is not the scheme's own."""
    assert origins.exact(text) == text


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("https://a.example/", "https://a.example"),
        ("https://A.example", "https://a.example"),
        ("HTTPS://a.example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:", "http://a.example"),
        ("https://a.example:08443", "https://a.example:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://a.example/x?y", "https://a.example"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("wss://a.example", "https://a.example"),
        ("a.example", "https://a.example"),
        ("https://*.a.example", '{pattern: "https://*.a.example"}'),
        ("null", "null_origin: allow"),
    ],
)
def test_what_no_browser_sends_is_refused_with_what_to_write(text: str, write: str) -> None:
    """An item that can never match is a promise to nobody."""
    with pytest.raises(origins.OriginError) as error:
        origins.exact(text)
    assert write in error.value.hint


@pytest.mark.parametrize(
    "text", ["", "https://", "https://a.example:99999", "https://a.example:0", "https://a..b", "https://1.2.3.999",
             "https://user@a.example", "https://a example", "https://-", "https://[::g]", "https://a.example:x", "//a.example"]
)  # fmt: skip
def test_what_is_no_origin_is_refused(text: str) -> None:
    """Each with a hint."""
    with pytest.raises(origins.OriginError) as error:
        origins.exact(text)
    assert error.value.hint


@given(st.text(max_size=40) | st.from_regex(r"[a-zA-Z]{2,5}://[A-Za-z0-9.:\[\]_-]{0,20}/?", fullmatch=True))
@settings(max_examples=300)
def test_the_origin_advised_is_itself_taken(text: str) -> None:
    """`write X` leads to a policy that loads; any text is answered."""
    try:
        origins.exact(text)
    except origins.OriginError as error:
        advised = error.hint.removeprefix("write ")
        if advised.startswith(("http://", "https://")) and "://" in text and not text.lower().startswith("ws"):
            assert origins.exact(advised) == advised


@pytest.mark.skipif(not BROWSER.is_dir(), reason="the recorded browser exchanges are not beside this repository")
def test_every_origin_that_a_browser_was_seen_to_send_is_taken() -> None:
    """Chromium's own serialisation is the judge."""
    seen = set()
    for file in sorted(BROWSER.glob("*.jsonl.gz")):
        for line in gzip.decompress(file.read_bytes()).decode("utf-8").splitlines():
            observed = json.loads(line).get("observed", {})
            seen |= {request.get("origin") for request in observed.get("requests", ())} - {None, "null"}
    assert len(seen) > 10
    assert [origin for origin in sorted(seen) if origins.exact(origin) != origin] == []


@pytest.mark.parametrize(
    "text",
    ["https://*.preview.example.com", "http://localhost:*", "https://*.example.co.uk", "http://*.localhost", "https://*.example.com:8443",
     "https://a.*.example.com", "https://*.internal"],
)  # fmt: skip
def test_patterns_over_names_of_ones_own_are_taken(text: str) -> None:
    """`*` is whole labels, or any port."""
    assert origins.pattern(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https://*.vercel.app", "publicsuffix.org"),
        ("https://*.github.io", "publicsuffix.org"),
        ("https://*.co.uk", "publicsuffix.org"),
        ("https://*.com", "publicsuffix.org"),
        ("https://*.ck", "publicsuffix.org"),
        ("https://*.amazonaws.com", "publicsuffix.org"),
        ("https://*.xn--p1ai", "publicsuffix.org"),
        ("https://*", "every host"),
        ("https://a.*", "every host"),
        ("https://pr-*.example.com", "not an origin pattern"),
        ("*.example.com", "not an origin pattern"),
        ("https://*.Example.com", "not an origin pattern"),
        ("*://*.example.com", "not an origin pattern"),
        ("https://*.example.com/", "not an origin pattern"),
        ("wss://*.example.com", "not an origin pattern"),
        ("https://a.example.com", "has no *"),
        ("https://*.example.com:443", "never sent"),
    ],
)
def test_patterns_that_are_loose_or_never_match_are_refused(text: str, says: str) -> None:
    """A proof against a pattern that anybody can register into is worth nothing."""
    with pytest.raises(origins.OriginError, match=re.escape(says)) as error:
        origins.pattern(text)
    assert error.value.hint


def test_a_public_suffix_can_be_acknowledged() -> None:
    """Its owner says that everybody is meant; every host is never meant."""
    assert origins.pattern("https://*.vercel.app", "public-suffix")
    with pytest.raises(origins.OriginError):
        origins.pattern("https://*", "public-suffix")


def test_public_suffixes_are_those_of_the_list() -> None:
    """Every rule of the list, its parent and a name below it: against the package's own reader."""
    theirs = PublicSuffixList(accept_unknown=False)
    text = origins.suffix_list()
    rules = [line for line in text.splitlines() if line and not line.startswith("//")]
    assert len(rules) > 5000
    names = {rule.lstrip("!").encode("idna").decode() for rule in rules}
    below = {parent for name in names for parent in parents(name)}
    for rule in rules[::97]:
        name = rule.lstrip("!").removeprefix("*.").encode("idna").decode()
        for asked in (name, f"x.{name}", f"a.x.{name}", name.partition(".")[2]):
            expected = theirs.publicsuffix(asked) == asked or asked in below
            assert not asked or origins.anyone_below(asked) == expected, asked


def parents(name: str) -> list[str]:
    """Return the names above a name."""
    labels = name.removeprefix("*.").split(".") if not name.startswith("*.") else name.split(".")
    return [".".join(labels[n:]) for n in range(1, len(labels))]


@pytest.mark.parametrize(
    "text",
    [r"^https://[a-z]+\.example\.com$", r"^https://(?:a|b)\.example\.com(?::[0-9]+)?$", r"^https?://a[.]example[.]com$",
     r"^https://a\.example\.com\$?$"],
)  # fmt: skip
def test_regular_expressions_that_are_tight_are_taken(text: str) -> None:
    """Anchored at both ends, every dot escaped or in a class."""
    assert origins.regex(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (r"https://a\.example\.com", "not anchored"),
        (r"^https://a\.example\.com", "not anchored"),
        (r"https://a\.example\.com$", "not anchored"),
        (r"^https://a\.example\.com\$", "not anchored"),
        (r"^https://a\.example\.com[$]", "not anchored"),
        (r"^https://a\.b$|^https://c\.d$", "outside a group"),
        (r"^https://a.example\.com$", "any character"),
        (r"^https://.*\.example\.com$", "any character"),
        ("^https://a(?x:#(\n)|b$", "free spacing"),
        (r"^https://(a$", "not a regular expression"),
        ("^" + "a" * 5000 + "$", "longer than"),
        ("", "not anchored"),
    ],
)
def test_regular_expressions_that_are_loose_by_accident_are_refused(text: str, says: str) -> None:
    """The three accidents that most public configurations make, and what hides them."""
    with pytest.raises(origins.OriginError, match=says) as error:
        origins.regex(text)
    assert error.value.hint


PIECES = st.lists(
    st.sampled_from(["^", "$", "|", "(", ")", "(?:", "a", r"\.", ".", "[", "]", "[.|]", r"\$", r"\^", r"\\", "*", "?", "(?i:", "(?=", "(?#", "x"]),
    max_size=9,
).map("".join)  # fmt: skip


@given(PIECES.map(lambda text: f"^{text}$") | PIECES, st.text(alphabet="a.x$^|\\", max_size=8))
@settings(max_examples=600)
def test_an_expression_that_is_taken_never_matches_only_a_part(expression: str, text: str) -> None:
    """Searching, as nginx does, and matching whole, as the policy means, are then the same."""
    try:
        origins.regex(expression)
    except origins.OriginError:
        return
    assert bool(re.search(expression, text)) == bool(re.fullmatch(expression, text))
