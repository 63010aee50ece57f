"""Does `auditor.language` agree with PCRE2, the engine that nginx uses? Asked pattern by pattern, string by string.

The default run takes seconds. The long runs, with a million strings and more that match, and as many that do not:

    python tests/oracle/test_language_pcre2.py --patterns 60000 --seed 1    random patterns, about 65 strings each
    python tests/oracle/test_language_pcre2.py --corpus 8000                so many of either for each expression
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from language_strings import Walker, mutations, noise, origins, spelled, walks
from language_verdicts import Reference, benchmark, compiles, verdict

from auditor.language.automaton import Automaton, TooLarge
from auditor.language.regex import NotReadable, parse
from auditor.language.sets import Language

if not os.environ.get("CI"):
    pytest.importorskip("pcre2")


@dataclass
class Tally:
    """What a comparison saw."""

    patterns: int = 0
    exact: int = 0
    refused: int = 0
    strings: int = 0
    positive: int = 0
    limits: int = 0

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.patterns} patterns ({self.exact} exact, {self.refused} more refused by PCRE2), {self.strings} strings: "
            f"{self.positive} match, {self.strings - self.positive - self.limits} do not, {self.limits} past PCRE2's limit;"
        )


def compare(pattern: bytes, caseless: bool, rng: random.Random, count: int, tally: Tally) -> list[str]:
    """Return the disagreements of one pattern on about `count` strings of each kind."""
    language = Language.regex(pattern, caseless=caseless)
    try:
        reference = Reference(pattern, caseless=caseless)
    except ValueError as e:
        tally.refused += 1
        return [f"{pattern!r}: exact here, refused by PCRE2: {e}"] if language.is_exact else []
    tally.patterns += 1
    tally.exact += language.is_exact
    leaf = language.leaves()[0]
    subjects = noise(rng, b"aabbc01.-/_ \nAB\xe9", count)
    for machine in {id(m): m for m in (leaf.upper, leaf.lower)}.values():
        if isinstance(machine, Automaton):
            with contextlib.suppress(TooLarge):
                subjects += walks(machine, rng, count)
    for text in rng.sample(subjects, min(len(subjects), count // 3 + 1)):
        subjects += mutations(text, rng, 3)
    wrong = []
    for subject in dict.fromkeys(subjects):
        expected, said = reference.finds(subject), language.contains(subject)
        tally.strings += 1
        if expected is None:
            tally.limits += 1
            continue
        tally.positive += expected
        if said is not None and said != expected:
            wrong.append(f"{pattern!r}{' caseless' if caseless else ''} on {subject!r}: PCRE2 {expected}, here {said}")
        if said is None and language.is_exact and not isinstance(leaf.upper, Automaton):
            wrong.append(f"{pattern!r} on {subject!r}: exact but not decided")
    return wrong


# -- random patterns ---------------------------------------------------------------------------------------------

_ATOMS = [b"a", b"b", b"c", b".", b"\\d", b"\\w", b"\\s", b"\\W", b"[ab]", b"[^a]", b"[a-c0]", b"\\.", b"-", b"A", b"[[:alpha:]]",
          b"\\n", b"[^\\n]", b"\\x61", b"\\Qa.\\E", b"[\\w.]", b"\\h", b"\\N", b"\\/", b"\\xe9", b"0", b"[]a]", b"[^]b]"]  # fmt: skip
_ZERO = [b"^", b"$", b"\\b", b"\\B", b"\\A", b"\\z", b"\\Z", b"(?i)", b"(?m)", b"(?s)", b"(?-i)", b"\\K", b"\\G"]
_QUANTIFIERS = [
    b"*",
    b"+",
    b"?",
    b"{2}",
    b"{1,2}",
    b"{0,2}",
    b"{2,}",
    b"{0}",
    b"*?",
    b"+?",
    b"??",
    b"{1,2}?",
    b"*+",
    b"++",
    b"?+",
    b"{1,2}+",
]
_GROUPS = [b"(", b"(?:", b"(?>", b"(?=", b"(?!", b"(?<=", b"(?<!", b"(?|", b"(?i:", b"(?m:", b"(?s-i:"]


def random_pattern(rng: random.Random, depth: int = 3) -> bytes:
    """Return a pattern out of everything the parser knows, short enough to be asked often."""
    branches = []
    for _ in range(1 if rng.random() < 0.7 else 2):
        items = []
        for _ in range(rng.randint(0 if rng.random() < 0.1 else 1, 4)):
            choice = rng.random()
            if choice < 0.16:
                items.append(rng.choice(_ZERO))
                continue
            if choice < 0.45 and depth:
                group = rng.choice(_GROUPS) if rng.random() < 0.75 else b"("
                body = random_pattern(rng, depth - 1)
                items.append(group + body + b")")
            elif choice < 0.47:
                items.append(rng.choice([b"\\1", b"(?1)", b"\\g{-1}"]))
            else:
                items.append(rng.choice(_ATOMS))
            if rng.random() < 0.35:
                items.append(rng.choice(_QUANTIFIERS))
        branches.append(b"".join(items))
    return b"|".join(branches)


def fuzz(patterns: int, seed: int, strings: int = 24) -> tuple[Tally, list[str]]:
    """Compare random patterns; the same seed gives the same patterns."""
    rng = random.Random(seed)
    tally, wrong = Tally(), []
    for _ in range(patterns):
        wrong += compare(random_pattern(rng), rng.random() < 0.3, rng, strings, tally)
    return tally, wrong


# -- verdicts on the corpus of the benchmark -----------------------------------------------------------------------

# -- the expressions of the benchmark ------------------------------------------------------------------------------


LIMITED = (
    b"(*LIMIT_MATCH=200000)"  # PCRE2 backtracks, a second and more for a string where the expression is pathological
)
_AROUND = b"abcxyz0129.-/:"


def subjects(expression: Any, policies: Any, rng: random.Random) -> Iterator[bytes]:
    """Yield strings for ever: members of the expression and of what was meant, their neighbours, attacks, noise."""
    leaves = [*Language.regex(expression.pattern, caseless=expression.caseless).leaves()]
    items = policies.get(expression.intended)
    if items is None:
        leaves += Language.glob_path(expression.intended).leaves()
    machines = {id(m): m for leaf in leaves for m in (leaf.upper, leaf.lower) if isinstance(m, Automaton)}
    walkers = [Walker(machine) for machine in machines.values()]
    tree, shortest = None, Language.regex(expression.pattern, caseless=expression.caseless).shortest()
    with contextlib.suppress(NotReadable):
        tree = parse(expression.pattern.encode(), caseless=expression.caseless).tree
    while True:
        drawn = [text for walker in walkers for _ in range(60) if (text := walker.draw(rng)) is not None]
        drawn += [spelled(tree, rng) for _ in range(60) if tree is not None]
        with contextlib.suppress(TooLarge):
            for machine in machines.values():
                drawn += walks(machine, rng, 15)
        if items is not None:
            drawn += rng.sample(origins(items, rng, 200), 60)
        drawn += noise(rng, b"aabbc01.-/_ \nAB\xe9", 15)
        if shortest is not None:
            drawn += [a + shortest + b for a, b in zip(noise(rng, _AROUND, 8), noise(rng, _AROUND, 8), strict=True)]
        yield from drawn
        for text in drawn:
            yield from mutations(text, rng, 1)


def both_sides(expression: Any, policies: Any, rng: random.Random, goal: int, tally: Tally) -> list[str]:
    """Hold an expression and its verdicts against PCRE2 on `goal` distinct strings that match and as many that do not.

    Returns the disagreements. Where few strings match, or few do not, asking ends after 3,000 that brought nothing new, or
    ten times as many as are wanted; and after 500 that PCRE2 gave up.
    """
    language = Language.regex(expression.pattern, caseless=expression.caseless)
    if not compiles(expression):
        tally.refused += 1
        return [f"{expression.key}: exact here, refused by PCRE2"] if language.is_exact else []
    reference = Reference(LIMITED + expression.pattern.encode(), caseless=expression.caseless)
    tally.patterns += 1
    tally.exact += language.is_exact
    claims = verdict(expression, policies)
    wrong, seen, left, idle, limits = [*claims.wrong], set[bytes](), {True: goal, False: goal}, 0, tally.limits
    for subject in itertools.islice(subjects(expression, policies, rng), 10 * goal + 3000):
        idle += 1
        if not any(left.values()) or idle > 3000 or tally.limits > limits + 500:
            break
        if subject in seen:
            continue
        seen.add(subject)
        found = reference.finds(subject)
        if found is not None and not left[found]:
            continue
        idle = 0
        tally.strings += 1
        if found is None:
            tally.limits += 1
            continue
        left[found] -= 1
        tally.positive += found
        said = language.contains(subject)
        if said is not None and said != found:
            wrong.append(f"{expression.key} on {subject!r}: PCRE2 {found}, here {said}")
        wrong += claims.against(subject, found=found)
    return wrong


# -- tests -----------------------------------------------------------------------------------------------------------

FOUND = [
    (rb"(?<!\G|[]a][\w.])\d", b"a0A", "a lookbehind took a match that ended earlier for one that ends here"),
    (rb"[^a]+?\Z(?<!\W0{1,2})", b"b\n0bbaab\n", "the same"),
    (rb"((?<!\w)\b\N+)[a-c0]", b"a\xe9\nab\xe9AB\n", "the same"),
    (rb"\/+(?-i)(.((?s)(?s-i:\w\N{2}\s|[^a]{1,2}\1*?\n)\xe9{2}){1,2}?)", b"/a/\n\n\xe9\xe9", "PCRE2: least length"),
    (rb"((c+(?1){1,2}?\W++)\x61*+b\x61?+|\G[\w.]){0}(?>\/)", b"0-/AaAa", "PCRE2: anchor in a group repeated {0}"),
    (rb"(ac?|\Gb){0}/(?1)?", b"x/", "the same without recursion"),
    (rb"(?:\d\/+A?(?s-i:\xe9)?+)(?i)\/", b"4//", "PCRE2: automatic possession before a possessive option"),
    (rb"/+(?:b)?+/", b"//", "the same"),
    (rb"\w\zA[ab]|(?<!(?<=\.)*?\N)\B", b"ab", "refused by PCRE2"),
    (rb"(?<=\w*?){0}[\w.]", b"a", "refused by PCRE2, though repeated {0}"),
    (rb"[[:alpha:]](?!.*\K\N{0,2})", b"a", "refused by PCRE2"),
    (rb"(?=a)b*a", b"a", "10.42 misses it, 10.47 does not"),
]


@pytest.mark.parametrize(("pattern", "subject", "what"), FOUND)
def test_disagreements_found_before(pattern: bytes, subject: bytes, what: str) -> None:
    """What once differed differs no more."""
    language = Language.regex(pattern)
    try:
        expected = Reference(pattern).finds(subject)
    except ValueError:
        assert not language.is_exact, what
        return
    assert language.contains(subject) in (None, expected), what


def test_random_patterns_agree() -> None:
    """Random patterns on walks, mutations and noise."""
    tally, wrong = fuzz(1500, seed=random.SystemRandom().randrange(1 << 30) if os.environ.get("FUZZ") else 20261124)
    assert wrong == []
    assert tally.exact > 500
    assert tally.positive > tally.strings // 10


@pytest.mark.slow
def test_many_random_patterns_agree() -> None:
    """The same, for minutes."""
    _, wrong = fuzz(40_000, seed=1)
    assert wrong == []


def test_the_corpus_and_its_verdicts_agree() -> None:
    """Each expression of the benchmark on strings of both sides: the set, the witnesses and what is claimed proven."""
    module, rng, tally, wrong = benchmark(), random.Random(8), Tally(), []
    for expression in module.expressions():
        wrong += both_sides(expression, module.POLICIES, rng, 40, tally)
    assert wrong == []
    assert tally.patterns >= 150
    assert tally.positive > tally.strings // 3


@pytest.mark.slow
def test_a_million_strings_on_either_side_agree() -> None:
    """The same with a million strings that match and a million that do not."""
    module, rng, tally, wrong = benchmark(), random.Random(1), Tally(), []
    for expression in module.expressions():
        wrong += both_sides(expression, module.POLICIES, rng, 8000, tally)
    assert wrong == []
    assert tally.positive >= 1_000_000
    assert tally.strings - tally.positive - tally.limits >= 1_000_000


def main() -> None:
    """Run the long comparison and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", type=int, default=0, help="how many random patterns")
    parser.add_argument(
        "--corpus", type=int, default=0, help="how many matching, and how many other strings for each expression"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="a line for each expression of the corpus")
    arguments = parser.parse_args()
    start = time.perf_counter()
    tally, wrong = fuzz(arguments.patterns, arguments.seed)
    if arguments.corpus:
        module, rng = benchmark(), random.Random(arguments.seed)
        for expression in module.expressions():
            begun, before = time.perf_counter(), (tally.positive, tally.strings)
            found = both_sides(expression, module.POLICIES, rng, arguments.corpus, tally)
            wrong += found
            if arguments.verbose:
                sys.stdout.writelines(f"{line}\n" for line in found)
                sys.stdout.write(
                    f"{tally.positive - before[0]:7} of {tally.strings - before[1]:7} match, "
                    f"{time.perf_counter() - begun:5.1f} s  {expression.key}\n"
                )
                sys.stdout.flush()
    for line in wrong[:60]:
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"{tally} {len(wrong)} disagreements, {time.perf_counter() - start:.1f} s\n")


if __name__ == "__main__":
    main()
