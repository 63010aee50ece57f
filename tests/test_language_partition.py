"""Cells: every string has one, every cell has a string, and members of one cell are told apart by no matcher."""

from __future__ import annotations

import itertools
import random
import time

from hypothesis import given
from hypothesis import strategies as st

from auditor.language import Budget, Language, partition
from auditor.language.partition import Partition, refined

PATHS = st.text("/ab.j", max_size=6)
MATCHERS = st.lists(
    st.one_of(
        st.text("/ab.", max_size=3).map(Language.exact),
        st.text("/ab.", max_size=3).map(lambda t: Language.exact(t, caseless=True)),
        st.text("/ab.", max_size=3).map(Language.prefix),
        st.text("/ab.", max_size=2).map(lambda t: Language.prefix(t, caseless=True)),
        st.sampled_from([r"\.j$", r"^/a/", "a+b", r"^/(?!b)", r"(?<=a)\.", r"/b\b", "^$", "A"]).map(Language.regex),
        st.sampled_from(["/**", "/a/*", "/**/*.j"]).map(Language.glob_path),
        st.sampled_from([r"(a)\1", r"^(?=a)"]).map(Language.regex),
    ),
    max_size=6,
)


def signature(matchers: list[Language], text: str | bytes) -> tuple[bool | None, ...]:
    """Return what each matcher says of a string."""
    return tuple(m.contains(text) for m in matchers)


@given(MATCHERS, st.lists(PATHS, max_size=30))
def test_each_string_lies_in_a_cell_and_each_cell_has_its_representative(
    matchers: list[Language], texts: list[str]
) -> None:
    """No string falls between the cells, and a representative has its cell's signature."""
    cells = partition(matchers)
    assert cells.complete
    signatures = {cell.signature for cell in cells.cells}
    assert len(signatures) == len(cells.cells)
    for cell in cells.cells:
        assert signature(matchers, cell.representative) == cell.signature
    for text in texts:
        assert signature(matchers, text) in signatures


WITHIN = st.sampled_from(
    [None, "^/", "^/a", r"\.j$", "^[/ab.jA]*$", "^(?!.*//)/", r"^(?:/a|b)|\.j", "^(?=/)", "^$", "[^ -~]"]
)


def universe(pattern: str | None) -> Language | None:
    """Return the set that a family is cut inside."""
    return None if pattern is None else Language.regex(pattern)


@given(MATCHERS, WITHIN, st.lists(PATHS, max_size=20))
def test_refining_matcher_by_matcher_gives_the_same_cells(
    matchers: list[Language], pattern: str | None, texts: list[str]
) -> None:
    """The way for families too large to walk finds what the walk finds, and representatives as short."""
    inside = universe(pattern)
    walked, split = partition(matchers, inside), refined(matchers, inside)
    assert {c.signature: len(c.text) for c in walked.cells} == {c.signature: len(c.text) for c in split.cells}
    for text in texts:
        if inside is None or inside.contains(text):
            assert signature(matchers, text) in {c.signature for c in split.cells}


SHORT = ["".join(letters) for length in range(4) for letters in itertools.product("/ab.jA", repeat=length)]


@given(MATCHERS, WITHIN)
def test_no_string_is_shorter_than_its_cell_s_representative(matchers: list[Language], pattern: str | None) -> None:
    """All short strings over a few letters are asked, one by one: each has its cell, and none is a smaller witness."""
    inside = universe(pattern)
    representatives = {cell.signature: cell.representative for cell in partition(matchers, inside).cells}
    for text in SHORT:
        if inside is None or inside.contains(text):
            assert len(representatives[signature(matchers, text)]) <= len(text)
    for said, representative in representatives.items():
        assert signature(matchers, representative) == said
        assert inside is None or inside.contains(representative) is not False


@given(MATCHERS, st.sampled_from(["^/", "^/a", r"\.j$"]), st.lists(PATHS, max_size=20))
def test_only_cells_inside_are_returned(matchers: list[Language], within: str, texts: list[str]) -> None:
    """With `within`, the cells are those of its members and no others."""
    inside = Language.regex(within)
    cells = partition(matchers, inside)
    assert all(inside.contains(cell.representative) for cell in cells.cells)
    signatures = {cell.signature for cell in cells.cells}
    for text in texts:
        if inside.contains(text):
            assert signature(matchers, text) in signatures


def test_the_cells_of_a_small_server() -> None:
    """Prefixes, exact paths and an expression give the five cells that one counts by hand."""
    matchers = [
        Language.prefix("/"),
        Language.prefix("/api/"),
        Language.exact("/health"),
        Language.regex(r"\.json$"),
    ]
    cells = partition(matchers, Language.prefix("/"))
    assert [(cell.text, sorted(cell.holding)) for cell in cells.cells] == [
        ("/", [0]),
        ("/api/", [0, 1]),
        ("/.json", [0, 3]),
        ("/health", [0, 2]),
        ("/api/.json", [0, 1, 3]),
    ]
    shadowed = cells.cell_of([0, 1, 3])
    assert shadowed is not None
    assert shadowed.signature == (True, True, False, True)
    assert cells.cell_of([2]) is None


def test_candidates_and_preferences_make_representatives_realistic() -> None:
    """A candidate stands for its cell, and elsewhere a member of the preferred set does."""
    matchers = [Language.regex(r"\.json$"), Language.prefix("/api/")]
    words = Language.regex(r"^(/[a-z]+)+(\.[a-z]+)?$")
    cells = partition(matchers, Language.prefix("/"), candidates=["/api/orders.json", "/x.json"], prefer=[words])
    assert {cell.text for cell in cells.cells} == {"/a", "/x.json", "/api/a", "/api/orders.json"}


def test_what_is_not_regular_is_named() -> None:
    """A backreference is undecided where its bounds differ, and decided elsewhere."""
    matchers = [Language.prefix("/a"), Language.regex(r"^/(.)\1$")]
    cells = partition(matchers)
    assert cells.undecided == (1,)
    assert cells.complete
    assert (True, None) in {cell.signature for cell in cells.cells}
    assert (True, False) in {cell.signature for cell in cells.cells}


def test_a_family_that_explodes_is_refined_or_says_what_is_open() -> None:
    """Past the budget no string is silently without a cell."""
    matchers = [Language.regex(f"{c}.{{9}}x$") for c in "abcdef"]
    start = time.process_time()
    cells = partition(matchers)
    assert time.process_time() - start < 15  # 600,000 steps: three seconds of an idle processor
    rng = random.Random(1)
    signatures = {cell.signature for cell in cells.cells}
    missing = 0
    for _ in range(200):
        text = bytes(rng.choice(b"abcdefx") for _ in range(14)) + b"x"
        missing += signature(matchers, text) not in signatures
    assert missing == 0 or not cells.complete


def test_a_tiny_budget_never_pretends_to_be_complete() -> None:
    """What a few steps find is right as far as it goes, and says that it may not be all."""
    matchers = [Language.regex(rf"^https://([a-z0-9-]+\.)?ex{i}\.com$") for i in range(6)]
    cells = partition(matchers, budget=Budget(steps=20))
    assert isinstance(cells, Partition)
    assert cells.complete or cells.undecided
    for cell in cells.cells:
        assert all(
            said is None or said == held
            for said, held in zip(signature(matchers, cell.representative), cell.signature, strict=True)
        )


def test_two_thousand_locations_take_no_time() -> None:
    """Literal matchers are walked once, however many there are."""
    matchers = [
        Language.prefix("/"),
        *(Language.prefix(f"/svc{i}/api/v1/") for i in range(1400)),
        *(Language.exact(f"/svc{i}/health") for i in range(600)),
        Language.regex(r"\.(js|css|png)$"),
        Language.regex(r"^/img/.*\.jpe?g$"),
    ]
    start = time.process_time()
    cells = partition(matchers, Language.prefix("/"))
    assert time.process_time() - start < 2
    assert cells.complete
    assert len(cells.cells) == 2 + 2 * 1400 + 600 + 1


EXTENSIONS = ("js", "css", "png", "jpg", "jpeg", "gif", "ico", "svg", "woff", "woff2", "ttf", "eot")


def unanchored() -> tuple[list[Language], Language]:
    """Return the locations of a public configuration, the globs that name them in a policy, and what a path is."""
    pairs = (("union", "select"), ("select", "from"), ("insert", "into"), ("delete", "from"), ("drop", "table"))
    matchers = [
        Language.regex("|".join(f"{first}.*{then}" for first, then in pairs), caseless=True),
        Language.regex(r"/\."),
        Language.regex(r"\.(php|asp|aspx|jsp)$", caseless=True),
        Language.regex(rf"\.({'|'.join(EXTENSIONS)})$", caseless=True),
        Language.regex("^/api/v1/(questions|subjects|institutes)/.*$", caseless=True),
        *(Language.prefix(text) for text in ("/", "/api/", "/api/v1/auth/", "/nginx_status", "/health")),
        Language.union(Language.glob_path(f"/**/*.{extension}") for extension in EXTENSIONS),
        *(Language.glob_path(text) | Language.glob_path(f"{text}/**") for text in ("/nginx_status*", "/health*")),
    ]
    path = Language.regex("/[!-~]*", whole=True) - Language.regex(r"[?#%\\]|//|/\.\.?(?:/|$)")
    return matchers, path


def test_unanchored_alternatives_are_walked_within_few_steps() -> None:
    """Words that are looked for anywhere, one after the other, beside a dozen extensions: all cells in one walk."""
    matchers, path = unanchored()
    cells = partition(matchers, path, budget=Budget(steps=150_000, seconds=60))
    assert cells.complete
    signatures = {cell.signature: cell.text for cell in cells.cells}
    dice = random.Random(1)
    pieces = ["union", "select", "from", "insert", "into", "drop", "table", "/", "/.", ".", "php", ".js", ".JS", "a"]
    heads = ["", "api/", "api/v1/auth/", "api/v1/subjects/", "nginx_status", "health", "health/"]
    met = set()
    for _ in range(2000):
        text = "/" + dice.choice(heads) + "".join(dice.choices(pieces, k=dice.randint(0, 6)))
        if path.contains(text):
            said = signature(matchers, text)
            met.add(said)
            assert len(signatures[said]) <= len(text)
    assert len(met) > len(signatures) / 2
