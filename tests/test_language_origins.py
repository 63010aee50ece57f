"""Origins of a policy as sets, what a configuration accepts beyond them or refuses of them, and the explanations."""

from __future__ import annotations

from typing import Any

import pytest
from publicsuffixlist import PublicSuffixList

from auditor.language import (
    Budget,
    Language,
    Line,
    accepted_outside,
    any_header,
    browser_sendable,
    explain,
    looseness,
    map_lines,
    origin_cells,
    policy_origin,
    policy_origins,
    refused_inside,
    registrable,
    shapes,
)
from auditor.policy.origins import suffix_list

POLICY = policy_origins(
    ["https://app.example.com", {"pattern": "https://*.preview.example.com"}, {"pattern": "http://localhost:*"}]
)


# -- policy items ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "must", "may", "never"),
    [
        (
            "https://app.example.com",
            ["https://app.example.com"],
            ["https://APP.example.com"],
            ["https://app.example.com:443"],
        ),
        (
            {"pattern": "https://*.example.com"},
            ["https://a.example.com", "https://a.b.example.com", "https://xn--a.example.com"],
            ["https://a_b.example.com", "https://-a.example.com", "https://" + "a" * 64 + ".example.com"],
            ["https://example.com", "https://a.example.com:8443", "http://a.example.com", "https://a.example.com.evil"],
        ),
        (
            {"pattern": "http://localhost:*"},
            ["http://localhost:1", "http://localhost:3000", "http://localhost:65535"],
            ["http://localhost", "http://localhost:80", "http://localhost:0", "http://localhost:65536"],
            ["https://localhost:3000", "http://localhost.evil:1", "http://localhost:3000x"],
        ),
        (
            {"pattern": "https://api-*.example.com:8443"},
            ["https://api-a.example.com:8443"],
            [],
            ["https://api-a.example.com", "https://evil.example.com:8443"],
        ),
        (
            {"regex": r"https://[a-z]+\.example\.com"},
            ["https://a.example.com"],
            [],
            ["https://a.example.com.evil", "xhttps://a.example.com"],
        ),
        ("null", ["null"], ["NULL"], ["nul"]),
        ("*", ["https://evil.example", "null"], [], []),
    ],
)
def test_what_an_entry_must_and_may_let_in(item: Any, must: list[str], may: list[str], never: list[str]) -> None:
    """The lower bound of an entry has what must be accepted, the upper bound what may be."""
    entry = policy_origin(item)
    assert [o for o in must if entry.least.contains(o) is not True] == []
    assert [o for o in must + may if entry.most.contains(o) is not True] == []
    assert [o for o in may if entry.least.contains(o) is not False] == []
    assert [o for o in never if entry.most.contains(o) is not False] == []
    assert (entry.least - entry.most).is_empty() is True


def test_an_entry_of_another_kind_is_refused() -> None:
    """Anything but a string, a pattern or a regex is no entry."""
    with pytest.raises(ValueError, match="an origin is a string"):
        policy_origin({"glob": "x"})


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("com", "com"),
        ("", ""),
    ],
)
def test_registrable_domains(host: str, domain: str) -> None:
    """The registrable domain is the public suffix and one label; names without one stand for themselves."""
    assert registrable(host) == domain


def test_only_the_rules_that_can_match_are_read() -> None:
    """With the rules that are suffixes of it alone, a name has the same registrable domain as with the whole list."""
    whole = PublicSuffixList()
    rules = [line.strip() for line in suffix_list().splitlines() if line.strip() and not line.startswith("//")]
    for rule in rules[::40]:
        base = rule.removeprefix("!").replace("*", "w")
        for host in (base, f"a.{base}", f"b.a.{base}", f"b.a.{base}".encode("idna").decode("ascii")):
            assert registrable(host) == (whole.privatesuffix(host) or host), host


# -- shapes ------------------------------------------------------------------------------------------------------


def test_shapes_are_what_they_say() -> None:
    """Each class of senders has its example, and values that no browser serialises are no browser's."""
    examples = {
        "foreign-https": "https://evil.example",
        "foreign-http": "http://evil.example",
        "foreign-port": "https://evil.example:8443",
        "null": "null",
        "own-site": "http://evil.example.com:8080",
        "odd-host": "https://evil_.x`y.example.com",
        "other-scheme": "chrome-extension://" + "abcdefghijklmnop" * 2,
        "not-a-browser": "Xhttps://example.com",
    }
    classes = shapes(("example.com",))
    for shape in classes:
        first = next(s for s in classes if s.language.contains(examples[shape.name]))
        assert first.name == shape.name
        assert shape.said
        assert shape.browser == (shape.name != "not-a-browser")
        assert (
            browser_sendable().contains(examples[shape.name]) is (shape.name != "not-a-browser")
            or shape.name == "other-scheme"
        )
    for bad in (
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:0",
        "https://EXAMPLE.com",
        "https://a/b",
    ):
        assert browser_sendable().contains(bad) is False
    assert any_header().contains("a\nb") is False
    assert any_header().contains(" a") is False
    assert any_header().contains("a b") is True


# -- maps and sets against a policy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "witness", "origin_class"),
    [
        (r"~^https://app.example.com$", "https://appxexample.com", "foreign-https"),
        (r"~^https://app\.example\.com", "https://app.example.com.evil.example", "foreign-https"),
        (r"~app\.example\.com$", "https://evil.app.example.com", "own-site"),
        (r"~example\.com$", "https://evilexample.com", "foreign-https"),
        (r"~^http://app\.example\.com$", "http://app.example.com", "own-site"),
        (r"~^https://app\.example\.com:8443$", "https://app.example.com:8443", "own-site"),
        (r"~.", "https://evil.example", "foreign-https"),
        (r"~^http:", "http://evil.example", "foreign-http"),
        (r"~:8443$", "https://evil.example:8443", "foreign-port"),
        (r"~^null$", "null", "null"),
        ("null", "null", "null"),
        ("https://evil.com", "https://evil.com", "foreign-https"),
        (r"~^capacitor:", "capacitor://localhost", "other-scheme"),
        (r"~^https://app\.example\.com/", "https://app.example.com/", "not-a-browser"),
    ],
)
def test_what_is_accepted_outside_the_policy(key: str, witness: str, origin_class: str) -> None:
    """The guilty line is named with the most convincing origin that gets through."""
    answer = accepted_outside(map_lines([(key, True)]), POLICY)
    assert not answer.proven
    assert [(e.line, e.witness, e.origin_class) for e in answer.escapes] == [(0, witness, origin_class)]
    assert answer.escapes[0].browser == (origin_class != "not-a-browser")


@pytest.mark.parametrize(
    "key",
    [
        r"~^https://app\.example\.com$",
        r"~*^https://app\.example\.com$",
        r"~^https://[a-z0-9.-]+\.preview\.example\.com$",
        r"~^http://localhost(:\d+)?$",
        "https://APP.example.com",
        r"~a^",
    ],
)
def test_what_is_proven(key: str) -> None:
    """Expressions that say what the policy says have no escape at all."""
    assert accepted_outside(map_lines([(key, True)]), POLICY).proven


def test_what_no_browser_sends_is_told_apart() -> None:
    """An escape that only a program can send is not held against browsers."""
    answer = accepted_outside(map_lines([(r"~^https://[^/]+\.preview\.example\.com$", True)]), POLICY)
    assert not answer.proven
    assert answer.proven_for_browsers


def test_an_odd_host_name_is_still_a_browsers() -> None:
    """An underscore in a host name is unusual, and browsers send it."""
    policy = policy_origins(["https://example.com", {"regex": r"https://[a-z.]*\.example\.com"}])
    lines = map_lines([("https://example.com", True), (r"~^https://[a-z._]*\.example\.com$", True)])
    (escape,) = accepted_outside(lines, policy).escapes
    assert escape.origin_class == "odd-host"
    assert "_" in escape.witness


def test_lines_decide_in_order() -> None:
    """The first line that matches decides, and exact keys come before expressions."""
    deny_first = map_lines([(r"~evil", False), (r"~^https://(evil|app)\.example\.com$", True)])
    assert accepted_outside(deny_first, POLICY).proven
    allow_first = map_lines([(r"~^https://(evil|app)\.example\.com$", True), (r"~evil", False)])
    assert [e.witness for e in accepted_outside(allow_first, POLICY).escapes] == ["https://evil.example.com"]
    exact_first = map_lines([(r"~^https://(evil|app)\.example\.com$", True), ("https://evil.example.com", False)])
    assert accepted_outside(exact_first, POLICY).proven


def test_a_default_that_accepts_accepts_everything_else() -> None:
    """A default that accepts is the guilty line."""
    lines = map_lines([("https://app.example.com", True), (r"~^https://evil\.", False)], default=True)
    (escape,) = accepted_outside(lines, POLICY).escapes
    assert lines[escape.line].label == "default"


def test_an_inexact_deny_subtracts_only_what_it_surely_denies() -> None:
    """What a refusal may or may not match leaves the question open."""
    lines = map_lines([(r"~(.)\1", False), (r"~^https://app.example.com$", True)])
    answer = accepted_outside(lines, POLICY)
    assert not answer.proven
    assert answer.escapes == ()
    assert "backreference" in answer.open[0].reason


def test_a_line_whose_outcome_is_not_known_is_open() -> None:
    """A line that leads nobody knows where is open in both directions."""
    lines = (Line(Language.regex("^https://"), None, "captures"), Line(Language.everything(), accepted=False))
    assert [o.line for o in accepted_outside(lines, POLICY).open] == [0]
    assert {o.line for o in refused_inside(lines, POLICY).open} == {0}


def test_an_empty_origin_reaches_no_expression_of_a_map() -> None:
    """The expressions of a map are asked about non-empty values only."""
    lines = map_lines([("~.*", True), ("~^$", True), ("", True), (r"\~x", False)])
    assert [line.matcher.contains("") for line in lines] == [True, False, False, False, True]
    assert lines[1].matcher.contains("~x") is True


@pytest.mark.parametrize(
    ("entries", "refused"),
    [
        ([(r"~^https://app\.example\.com$", True)], ["https://a.preview.example.com", "http://localhost:1"]),
        (
            [(r"~^https://[a-z]+\.preview\.example\.com$", True)],
            ["https://app.example.com", "https://0.preview.example.com", "http://localhost:1"],
        ),
        ([(r"~^https?://(localhost:\d+|(app|.+\.preview)\.example\.com)$", True)], []),
        ([("~.", True)], []),
        ([("~preview", False), ("~.", True)], ["https://a.preview.example.com"]),
        ([("https://app.example.com", False), ("~.", True)], ["https://app.example.com"]),
        ([(r"~^https://([a-z0-9-]{1,63}\.)+example\.com$", True), (r"~^http://localhost:[1-9]\d{0,4}$", True)], []),
    ],
)
def test_what_of_the_policy_is_refused(entries: list[tuple[str, bool]], refused: list[str]) -> None:
    """Each entry of the policy that is refused has a witness which it must let in."""
    answer = refused_inside(map_lines(entries), POLICY)
    assert [e.witness for e in answer.escapes] == refused
    assert answer.open == ()
    assert all(e.item is not None and e.item.least.contains(e.witness) for e in answer.escapes)


def test_host_names_longer_than_dns_allows_are_not_missed() -> None:
    """A limit on the length counts only where DNS has names of that length."""
    policy = policy_origins([{"pattern": "https://*.example.com"}])
    patient = Budget(seconds=20)
    assert refused_inside(Language.regex(r"^https://.{1,253}\.example\.com$"), policy, budget=patient).proven
    assert not refused_inside(Language.regex(r"^https://.{1,100}\.example\.com$"), policy).proven


def test_a_thousand_exact_origins() -> None:
    """Exact origins are compared one by one, in both directions."""
    origins = [f"https://a{i}.example.com" for i in range(1000)]
    lines = map_lines([(origin, True) for origin in origins])
    assert accepted_outside(lines, policy_origins(origins)).proven
    assert refused_inside(lines, policy_origins(origins)).proven
    fewer = policy_origins(origins[:-1])
    assert [e.witness for e in accepted_outside(lines, fewer).escapes] == [origins[-1]]
    assert [e.witness for e in refused_inside(lines[1:], policy_origins(origins)).escapes] == [origins[0]]


def test_the_cells_of_all_origins_have_convincing_members() -> None:
    """Each cell is represented by the most convincing sender that it has."""
    matchers = [
        Language.exact("https://app.example.com", caseless=True),
        Language.regex(r"example.com$", nonempty=True),
    ]
    cells = origin_cells(matchers, ("app.example.com",))
    assert cells.partition.complete
    spelt = {
        (cell.text.lower() if cell.holding == {0} else cell.text, shape.name, *sorted(cell.holding))
        for cell, shape in cells.pairs()
    }
    assert spelt == {
        ("https://evil.example", "foreign-https"),
        ("https://evilexample.com", "foreign-https", 1),
        ("https://app.example.com", "own-site", 0, 1),
        ("https://app.example.com", "not-a-browser", 0),
    }


# -- explanations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "sentence", "corrected"),
    [
        (
            r"^https://app.example.com$",
            "the dot before `example` matches any character",
            r"^https://app\.example\.com$",
        ),
        (r"^https://app\.example\.com", "no `$`: anything may follow", r"^https://app\.example\.com$"),
        (r"https://app\.example\.com$", "no `^`: anything may come before", r"^https://app\.example\.com$"),
        (r"^https?://app\.example\.com$", "`https?` accepts plain http", r"^https://app\.example\.com$"),
        (
            r"^https://.*preview\.example\.com$",
            "`.*` may be nothing at all",
            r"^https://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.preview\.example\.com$",
        ),
        (
            r"^https://.+\.preview.example.com$",
            "the dot before `example` matches any character",
            r"^https://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.preview\.example\.com$",
        ),
        (
            r"^https://app\.example\.com|https://[a-z]+\.preview\.example\.com$",
            "`^` and `$` bind tighter than `|`: they hold for one alternative only, the others match anywhere",
            r"^(?:https://app\.example\.com|https://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.preview\.example\.com)$",
        ),
        (r"^http://(localhost|evil)(:\d+)?$", "`evil` is one of its alternatives", r"^http://localhost(?::\d+)?$"),
    ],
)
def test_the_cause_is_named_and_the_correction_is_the_policy(pattern: str, sentence: str, corrected: str) -> None:
    """The accident is named in words, and the corrected expression accepts nothing outside the policy."""
    (escape,) = accepted_outside(Language.regex(pattern), POLICY).escapes
    said = explain(pattern, escape.witness, POLICY)
    assert said.sentence == sentence
    assert said.corrected == corrected
    assert accepted_outside(Language.regex(corrected), POLICY).proven


def test_an_expression_that_means_what_it_says() -> None:
    """Where nothing is an accident, the part that lets the witness in is named."""
    said = explain(r"^https://[^/]+$", "https://evil.example", POLICY)
    assert said.sentence == "`[^/]+` takes whatever stands there"
    assert said.corrected is not None
    assert accepted_outside(Language.regex(said.corrected), POLICY).proven
    assert [e.witness for e in refused_inside(Language.regex(said.corrected), POLICY).escapes] == ["http://localhost:1"]


def test_two_accidents_are_named_together() -> None:
    """Each accident that the witness needs is named."""
    said = explain(
        r"^https://(app.example\.com|app.example\.(com|org))$",
        "https://appxexample.com",
        policy_origins(["https://app.example.com", "https://app.example.org"]),
    )
    assert said.sentence == "; ".join(["the dot before `example` matches any character"] * 2)
    assert said.corrected == r"^https://(app\.example\.com|app\.example\.(com|org))$"


def test_spelling_in_capitals_is_named() -> None:
    """An expression without case lets in capitals, and no other expression is offered."""
    said = explain("^/api/", "/API/x", Language.prefix("/api/"), caseless=True)
    assert "ignores case" in said.sentence
    assert said.corrected is None


def test_no_correction_is_better_than_a_wrong_one() -> None:
    """Where no expression is the policy's set, none is offered."""
    policy = policy_origins(["*"])
    assert explain("^https://", "https://evil.example", policy).corrected is None


def test_an_intended_set_of_paths() -> None:
    """A set of paths explains an expression as well as a set of origins does."""
    said = explain(r".js$", "/api/ajs", Language.regex(r"\.js$"))
    assert said.sentence == "the dot before `js` matches any character"
    assert said.corrected == r"\.js$"


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        (r"^https://app\.example\.com$", []),
        (r"\Ahttps://[a-z]+\.example\.com\z", []),
        (r"(^https://app\.example\.com$)", []),
        (r"https://app\.example\.com$", ["no-start-anchor"]),
        (r"^https://app\.example\.com", ["no-end-anchor"]),
        (r"^https://app.example\.com$", ["unescaped-dot"]),
        (r"^https://.*\.example\.com$", []),
        (r"^a$|b", ["anchor-of-one-alternative"]),
        (r"https://.example.com", ["no-end-anchor", "no-start-anchor", "unescaped-dot", "unescaped-dot"]),
    ],
)
def test_loose_by_accident(pattern: str, kinds: list[str]) -> None:
    """Missing anchors and unescaped dots are seen without any policy."""
    assert [cause.kind for cause in looseness(pattern)] == kinds
