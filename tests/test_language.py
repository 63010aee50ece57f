"""Sets of byte strings: what each matcher means, the algebra, and decisions compared with trying every short string."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.language import (
    Budget,
    Included,
    Language,
    NotDecided,
    OutOfBudget,
    Outside,
    decide_included,
)
from auditor.language.alphabet import BIT, FULL, RANKED, bytes_mask, fold, lowest_byte, members, to_bytes
from auditor.language.products import products

SHORT = [bytes(t) for n in range(5) for t in itertools.product(b"ab.", repeat=n)]


# -- the alphabet ------------------------------------------------------------------------------------------------


def test_each_byte_has_one_bit() -> None:
    """The alphabet is all 256 bytes, one bit each."""
    assert sorted(RANKED) == list(range(256))
    assert sum(BIT) == FULL
    assert all(lowest_byte(BIT[b]) == b for b in range(256))


@given(st.binary())
def test_sets_of_bytes_keep_their_members(data: bytes) -> None:
    """A mask has exactly the bytes that it was made of."""
    assert set(members(bytes_mask(data))) == set(data)


@given(st.binary())
def test_folding_is_ascii_only(data: bytes) -> None:
    """Letters of ASCII get their other case, no other byte does."""
    assert set(members(fold(bytes_mask(data)))) == set(data.lower()) | set(data.upper())


def test_text_is_latin_1_and_beyond_that_utf_8() -> None:
    """Text is one byte a character where Latin-1 has it, UTF-8 elsewhere."""
    assert to_bytes("é") == b"\xe9"
    assert to_bytes("€") == "€".encode()


# -- what matchers mean ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "inside", "outside"),
    [
        (Language.exact("/a"), ["/a"], ["/A", "/a\n", "", "/ab"]),
        (Language.exact("https://A.example", caseless=True), ["https://a.EXAMPLE"], ["https://b.example"]),
        (Language.prefix("/api/"), ["/api/", "/api/x"], ["/api", "/API/", "x/api/"]),
        (Language.prefix("/Api/", caseless=True), ["/api/", "/API/x"], ["/api"]),
        (Language.suffix(".js"), [".js", "/a.js"], [".js\n", "js", ".jsx"]),
        (Language.suffix(".js", caseless=True), ["/a.JS"], ["/a.jsx"]),
        (Language.everything(), ["", "x", "\n"], []),
        (Language.nothing(), [], ["", "x"]),
        (Language.regex("^$"), ["", "\n"], ["\n\n", "a"]),
        (Language.regex("^$", nonempty=True), ["\n"], [""]),
        (Language.regex("", nonempty=True), ["a", "\n"], [""]),
        (Language.regex("a$"), ["a", "ba\n"], ["a\n\n", "ab"]),
        (Language.regex(r"a\z"), ["a"], ["a\n"]),
        (Language.regex("^a"), ["ab"], ["ba", "\na"]),
        (Language.regex("(?m)^a$"), ["b\na\nb"], ["ba"]),
        (Language.regex("a.b"), ["a\rb", "axb"], ["a\nb"]),
        (Language.regex("É", caseless=True), ["É"], ["é"]),
        (Language.regex(r"\bfoo\b"), ["a foo.", "foo"], ["xfoo", "foo_"]),
        (Language.regex("(?<!x)foo(?=bar|$)"), ["foo", "foobar", "foo\n"], ["xfoo", "fooz"]),
        (Language.regex("^(?!.*evil)https://"), ["https://x"], ["https://evil"]),
        (Language.regex("^a++b"), ["aab"], ["b"]),
        (Language.regex("^(?>a|ab)c"), ["ac"], ["abc"]),
        (Language.regex("ab", whole=True), ["ab"], ["xab", "abx", "ab\n"]),
        (Language.regex("a|b", whole=True), ["a", "b"], ["ax", "xb"]),
    ],
)
def test_what_a_matcher_contains(language: Language, inside: list[str], outside: list[str]) -> None:
    """Each kind of matcher contains the strings that nginx would match with it, and no others."""
    assert language.is_exact
    assert [s for s in inside if language.contains(s) is not True] == []
    assert [s for s in outside if language.contains(s) is not False] == []


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("/api/**", ["/api/", "/api/a", "/api/a/b", "/api//"], ["/api", "/apix", "/x/api/"]),
        ("/**", ["/", "/a", "/a/b"], ["", "a"]),
        ("/users/*", ["/users/1"], ["/users/", "/users/1/", "/users/1/2"]),
        ("/users/*/posts", ["/users/1/posts"], ["/users//posts", "/users/1/2/posts"]),
        ("/**/*.js", ["/a.js", "/a/b.js", "/.js"], ["/a.jsx", "a.js", "/a/b.js/c"]),
        ("/**/.*", ["/.git", "/a/.env"], ["/.git/config", "/a.b"]),
        ("/a/**/b", ["/a/b", "/a/x/b", "/a/x/y/b"], ["/ab", "/a/xb"]),
        ("/health", ["/health"], ["/health/", "/healthz"]),
        ("/v*/x", ["/v1/x", "/v/x"], ["/w/x", "/v1/2/x"]),
        ("/a+b(c).[d]", ["/a+b(c).[d]"], ["/aab(c)x[d]"]),
    ],
)
def test_path_globs(glob: str, inside: list[str], outside: list[str]) -> None:
    """`*` stays within a segment and `**` does not."""
    language = Language.glob_path(glob)
    assert [s for s in inside if not language.contains(s)] == []
    assert [s for s in outside if language.contains(s)] == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "backreference"),
        (r"(a(?1)?b)", "recursion"),
        (r"a\R", r"\R"),
        (r"(*UTF)a", "verbs"),
        (r"\p{L}", r"\p"),
        (r"(?(1)a|b)(c)", "conditional"),
        (r"(?=a)b*a", "lookahead at the start"),
        (r"a{,3}", "10.43"),
        (r"(?:a+b*)++c", "possessive"),
        (r"(", "parenthesis"),
        (r")", "parenthesis"),
        (r"[a", "class"),
        (r"a**", "quantifier"),
        (r"*a", "quantifier"),
        (r"[\w-.]", "range"),
        (r"(?<=a+)b", "lookbehind"),
        (r"\x{100}", "beyond one byte"),
        (r"\y", r"\y"),
        ("(" * 500 + ")" * 500, "nested"),
        (r"(a{1,300}){1,300}", "too large"),
    ],
)
def test_what_is_not_decided_says_why(pattern: str, reason: str) -> None:
    """A construct without an exact automaton names itself."""
    language = Language.regex(pattern)
    assert not language.is_exact
    assert reason in " ".join(language.reasons)


def test_bounds_still_decide_what_they_can() -> None:
    """Between its bounds a set answers None, outside them it answers."""
    language = Language.regex(r"^(a+)-\1$")
    assert language.contains("a-b") is False
    assert language.contains("a-a") is None
    assert isinstance(decide_included(language, Language.regex("^a+-a+$")), Included)
    assert isinstance(decide_included(language, Language.regex("^a-a$")), NotDecided)
    assert language.is_empty() is None
    assert (language & Language.exact("b")).is_empty() is True


# -- algebra -----------------------------------------------------------------------------------------------------

MATCHERS = st.one_of(
    st.text("ab.", max_size=3).map(Language.exact),
    st.text("ab.", max_size=3).map(Language.prefix),
    st.text("ab.", max_size=3).map(Language.suffix),
    st.lists(st.text("ab.", max_size=3), max_size=3).map(Language.words),
    st.sampled_from(
        ["a+", "^a*b", "b$", "(ab)*$", r"^(a|b)*\.", r"\.[ab]$", "^(?!ab)", "(?<!a)b", r"\bb", "a(?=b)"]
    ).map(Language.regex),
)
LANGUAGES = st.recursive(
    MATCHERS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] | p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] & p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        inner.map(lambda x: ~x),
    ),
    max_leaves=5,
)


@given(MATCHERS, MATCHERS)
def test_algebra_is_boolean(a: Language, b: Language) -> None:
    """Union, intersection, difference and complement are those of membership."""
    for text in SHORT:
        in_a, in_b = a.contains(text), b.contains(text)
        assert (a | b).contains(text) == (in_a or in_b)
        assert (a & b).contains(text) == (in_a and in_b)
        assert (a - b).contains(text) == (in_a and not in_b)
        assert (~a).contains(text) == (not in_a)


@given(LANGUAGES)
def test_shortest_is_a_member_and_none_is_shorter(language: Language) -> None:
    """The shortest member is one, and trying every short string finds none shorter."""
    found = language.shortest()
    among = [text for text in SHORT if language.contains(text)]
    if found is None:
        assert among == []
        assert language.is_empty() is True
        return
    assert language.contains(found) is True
    assert language.is_empty() is False
    assert not among or len(found) <= min(map(len, among))


@given(LANGUAGES, LANGUAGES)
def test_inclusion_agrees_with_every_short_string(a: Language, b: Language) -> None:
    """An inclusion has no short counterexample, and a witness is one."""
    decision = decide_included(a, b)
    if isinstance(decision, Included):
        assert [text for text in SHORT if a.contains(text) and not b.contains(text)] == []
    else:
        assert isinstance(decision, Outside)
        assert a.contains(decision.witness) is True
        assert b.contains(decision.witness) is False


def test_a_witness_comes_from_the_first_preferred_set_that_has_one() -> None:
    """A preferred set without a member is passed over."""
    difference = Language.regex(r"example\.com$") - Language.exact("https://example.com")
    https, digits = Language.regex(r"^https://[a-z.]+$"), Language.regex(r"^\d+$")
    assert difference.witness([digits, https]) == b"https://aexample.com"
    assert difference.witness([digits]) == b"example.com"
    decision = decide_included(difference, Language.nothing(), prefer=[digits, https])
    assert decision == Outside(b"https://aexample.com")
    assert decision.text == "https://aexample.com"


def test_finite_sets_become_one() -> None:
    """A thousand exact strings are one matcher."""
    many = Language.union(Language.exact(f"https://a{i}.example") for i in range(1000))
    assert many.leaf is not None
    assert len(many.leaves()) == 1
    assert many.contains("https://a999.example") is True


def test_equal_matchers_are_equal() -> None:
    """Sets compare by what was written."""
    assert Language.regex("a") == Language.regex("a")
    assert Language.regex("a") != Language.regex("a", caseless=True)
    assert hash(Language.exact("x") | Language.regex("a")) == hash(Language.exact("x") | Language.regex("a"))


@pytest.mark.parametrize("words", [1, 5, 200])
def test_words_inside_an_expression_are_found_again(words: int) -> None:
    """The difference of an expression and some of its members is not empty."""
    known = Language.words(f"x{i}y" for i in range(words))
    everything = Language.regex(r"x\d+y", whole=True)
    decision = decide_included(everything, known)
    assert isinstance(decision, Outside)
    assert not known.contains(decision.witness)
    assert isinstance(decide_included(known, everything), Included)


def test_caseless_words_are_all_their_spellings() -> None:
    """A set without case has each spelling of its words."""
    words = Language.words(["ab", "abc", "b"], caseless=True)
    assert decide_included(words, Language.regex("^(abc?|b)$", caseless=True)) == Included()
    found = (words - Language.regex("^[a-z]+$")).shortest()
    assert found == b"B"


# -- bounds on effort --------------------------------------------------------------------------------------------

BLOW_UPS = [
    r"(a{1,300}){1,300}",
    r"(?:a?){5000}b$",
    "^" + "".join(f"(?=.*{c})" for c in "abcdefghijklmnopqrst") + ".*$",
    r"((?:\w+\.){1,50}){1,50}example",
    r"(?:(?!evil).){0,500}\.example\.com$",
    r"^(?:.{0,60}a){30}$",
    r"a.{18}\.example\.com$",
]


@pytest.mark.parametrize("pattern", BLOW_UPS)
def test_no_expression_takes_long(pattern: str) -> None:
    """Expressions that explode are decided or given up within the budget."""
    start = time.process_time()
    language = Language.regex(pattern)
    decide_included(language, Language.regex(r"\.example\.com$"))
    decide_included(Language.regex(r"^https://[a-z.]*\.example\.com$"), language)
    assert time.process_time() - start < 4  # two decisions of at most 0.8 s each, on a slow machine


def test_past_its_budget_a_decision_is_not_decided() -> None:
    """Too few steps or seconds give NotDecided, never an answer."""
    a = Language.regex(r"^https://[a-z0-9-]+\.example\.com$")
    b = Language.regex(r"^https://[a-z0-9-]{1,60}\.example\.com$")
    assert isinstance(decide_included(a, b, Budget(steps=50)), NotDecided)
    assert (a - b).is_empty(Budget(steps=50)) is None
    with pytest.raises(OutOfBudget):
        (a - b).shortest(Budget(steps=50))
    slow = decide_included(a, b, Budget(seconds=0))
    assert isinstance(slow, NotDecided)
    assert "0 s" in slow.reason


def test_too_many_combinations_are_not_decided() -> None:
    """A disjunctive form too large to look at is given up."""
    either = [Language.regex(f"a{i}") | Language.regex(f"b{i}") for i in range(20)]
    assert Language.intersection(either).is_empty() is None


def test_the_package_is_imported_quickly_and_alone() -> None:
    """Importing the sets loads none of the heavy libraries."""
    code = "import sys, auditor.language; print(' '.join(m for m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pcre2", "pydantic", "hypothesis", "publicsuffixlist", "yaml", "crossplane", "asyncio", "httpx"}
    assert heavy & set(loaded) == set()


@pytest.mark.parametrize("between", [(":",), ("",), (":", ":"), ("a",), (":b", "")], ids="-".join)
@pytest.mark.parametrize(
    "pattern", [r"^a:b$", r"a+:?b", r"^[ab]*:a", r":b$", r"^(ab|a:)b?a", r"b:", r"^a*:a*$", r"aa", r"^.:.:.$", r"^$"]
)
def test_products_are_the_strings_that_parts_make_up(pattern: str, between: tuple[str, ...]) -> None:
    """Parts fit one of the combinations exactly where Python's expressions find the pattern in all of them in a row."""
    domain = Language.regex(r"[ab:]*", whole=True)
    parts: list[bytes | Language] = [domain]
    for literal in between:
        parts += [literal.encode(), domain]
    rows = products(Language.regex(pattern), parts)
    assert rows is not None
    words = ["".join(letters) for size in range(3) for letters in itertools.product("ab:", repeat=size)]
    fitting = [
        [
            {w for w in words if choice is None or (isinstance(choice, Language) and choice.contains(w))}
            for choice in row
        ]
        for row in rows
    ]
    for chosen in itertools.product(words, repeat=len(between) + 1):
        text = chosen[0] + "".join(literal + word for literal, word in zip(between, chosen[1:], strict=True))
        fits = any(all(word in fit for word, fit in zip(chosen, row, strict=True)) for row in fitting)
        assert fits is (re.search(pattern, text) is not None), (pattern, chosen)
