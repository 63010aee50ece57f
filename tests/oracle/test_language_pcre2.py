"""Does `auditor.language` agree with PCRE2, the engine that nginx uses? Asked pattern by pattern, string by string.

The default run takes seconds. The long run, with a million strings and more:

    python tests/oracle/test_language_pcre2.py --patterns 60000 --seed 1    random patterns, about 65 strings each
    python tests/oracle/test_language_pcre2.py --corpus 5000                strings of each kind for each expression
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import random
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from auditor.language import (
    Included,
    Outside,
    accepted_outside,
    decide_included,
    map_lines,
    policy_origins,
    refused_inside,
)
from auditor.language.alphabet import lowest_byte, members
from auditor.language.automaton import ALL, Automaton, TooLarge, complete
from auditor.language.sets import Language

if not os.environ.get("CI"):
    pytest.importorskip("pcre2")

_CASELESS = 0x8
_ALT_BSUX, _NEVER_BACKSLASH_C = 0x2, 0x100000  # the package sets them, nginx does not (\x41 would not mean "A")


class Reference:
    """One pattern as nginx compiles it: bytes, no option but caseless."""

    def __init__(self, pattern: bytes, *, caseless: bool = False) -> None:
        """Compile; raises ValueError where PCRE2 refuses."""
        from pcre2 import _cy

        self._cy = _cy
        self._context = _cy.create_match_context()
        try:
            self._code = _cy.compile(
                pattern, _CASELESS if caseless else 0, disabled_options=_ALT_BSUX | _NEVER_BACKSLASH_C
            )
        except (_cy.PatternError, _cy.LibraryError) as e:
            raise ValueError(str(e)) from e

    def finds(self, subject: bytes) -> bool | None:
        """Whether the pattern is found in the subject; None where PCRE2 gives up (match limit)."""
        try:
            data, _, _ = self._cy.match(self._code, subject, len(subject), 0, self._context, 0)
        except self._cy.LibraryError:
            return None
        return bool(data)


# -- strings worth asking ----------------------------------------------------------------------------------------


def walks(machine: Automaton, rng: random.Random, count: int) -> list[bytes]:
    """Return random walks through an automaton, most of them along bytes that keep it alive."""
    result = []
    for _ in range(count):
        state, text = machine.start, bytearray()
        for _ in range(rng.randint(0, 24)):
            row = machine.row(state) if state != ALL else ()
            if not row:
                break
            mask, state = rng.choice(complete(row) if rng.random() < 0.1 else row)
            text.append(lowest_byte(mask) if rng.random() < 0.5 else rng.choice(members(mask)))
        if rng.random() < 0.15:
            text += b"\n"
        result.append(bytes(text))
    return result


def mutations(text: bytes, rng: random.Random, count: int) -> list[bytes]:
    """Return strings one or two edits away."""
    result = []
    for _ in range(count):
        data = bytearray(text)
        for _ in range(rng.randint(1, 2)):
            at = rng.randint(0, len(data))
            kind = rng.randrange(5)
            new = rng.choice(b"abz019.-_/:@ \n\r\tAZ\x00\xe9\xff")
            if kind == 0:
                data[at:at] = bytes((new,))
            elif kind == 1:
                del data[at : at + 1]
            elif kind == 2:
                data[at : at + 1] = bytes((new,))
            elif kind == 3:
                data = bytearray(data.swapcase())
            else:
                data += rng.choice((b"\n", b".evil.com", b"x", b"\n\n"))
        result.append(bytes(data))
    return result


def noise(rng: random.Random, alphabet: bytes, count: int) -> list[bytes]:
    """Return random strings."""
    return [bytes(rng.choice(alphabet) for _ in range(rng.randint(0, 9))) for _ in range(count)]


@dataclass
class Tally:
    """What a comparison saw."""

    patterns: int = 0
    exact: int = 0
    refused: int = 0
    strings: int = 0
    positive: int = 0
    limits: int = 0


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

_HOST_BYTES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!\"$&'()+,-.;=_`{}~*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def benchmark() -> Any:
    """Load the benchmark's corpus and policies."""
    path = Path(__file__).parents[1] / "benchmarks" / "language.py"
    spec = importlib.util.spec_from_file_location("language_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def may(item: Any, origin: str) -> bool:
    """Whether a policy's entry has an origin, generously; written anew, not with the code under test."""
    low = origin.lower()
    if isinstance(item, str):
        return low == item
    scheme, _, rest = item["pattern"].partition("://")
    if not low.startswith(scheme + "://"):
        return False
    host, colon, port = rest.partition(":")
    actual = low[len(scheme) + 3 :]
    if port == "*":
        actual, _, number = actual.partition(":")
        if number and not (number.isascii() and number.isdigit()):
            return False
    if not host.startswith("*"):
        return actual == host and not (colon and port != "*")
    return actual.endswith(host[1:]) and set(actual) <= _HOST_BYTES


def must(item: Any, origin: str) -> bool:
    """Whether a policy's entry has an origin that a browser sends."""
    if isinstance(item, str):
        return origin == item
    scheme, _, rest = origin.partition("://")
    host, colon, port = rest.partition(":")
    pattern_scheme, _, pattern = item["pattern"].partition("://")
    pattern_host, _, pattern_port = pattern.partition(":")
    if scheme != pattern_scheme or (pattern_port == "*") != bool(colon):
        return False
    if colon and not (re.fullmatch("[1-9][0-9]{0,4}", port) and int(port) <= 65535 and port != "80"):
        return False
    if not pattern_host.startswith("*"):
        return host == pattern_host
    labels = host.removesuffix(pattern_host[1:]).split(".")
    return host.endswith(pattern_host[1:]) and all(_LABEL.fullmatch(label) for label in labels)


def origins(policy: list[Any], rng: random.Random, count: int) -> list[bytes]:
    """Return origins of a policy, their neighbours, and those an attacker tries."""
    seeds = [*members_of(policy, rng, count // 4)]
    hosts = [
        (i if isinstance(i, str) else i["pattern"]).partition("://")[2].removeprefix("*.").partition(":")[0]
        for i in policy
    ]
    tricks = (
        "{h}.evil.example",
        "evil{h}",
        "evil.{h}",
        "{x}",
        "{h}@evil.example",
        "{h}%00.evil",
        "{h}.",
        "evil.example/{h}",
        "{h}:443",
    )
    for host in hosts:
        for trick in tricks:
            name = trick.format(h=host, x=host.replace(".", "x"))
            seeds += [f"{scheme}://{name}".encode() for scheme in ("https", "http")] + [name.encode()]
    result = [*seeds, b"null", b"https://", b"https://evil.example"]
    while len(result) < count:
        result += mutations(rng.choice(seeds), rng, 3)
    return result


def members_of(policy: list[Any], rng: random.Random, count: int) -> list[bytes]:
    """Return random members of a policy, entry by entry."""
    result = []
    for _ in range(count):
        item = rng.choice(policy)
        text = item if isinstance(item, str) else item["pattern"]
        while "*." in text:
            labels = [
                "".join(rng.choice("abcz09") for _ in range(rng.choice((1, 2, 5, 20, 63))))
                for _ in range(rng.choice((1, 1, 1, 2, 3)))
            ]
            if rng.random() < 0.3:
                labels[0] = "a-" + labels[0][:61]
            text = text.replace("*.", ".".join(labels) + ".", 1)
        text = text.replace(":*", f":{rng.choice((1, 81, 3000, 8080, 65535, rng.randint(81, 65535)))}")
        result.append(text.encode())
    return result


def attack(expression: Any, policies: Any, rng: random.Random, count: int, tally: Tally) -> list[str]:
    """Return what is wrong with the verdicts on one origin expression: witnesses that are none, proofs that fail."""
    reference = Reference(expression.pattern.encode(), caseless=expression.caseless)
    items = policies[expression.intended]
    policy, lines = policy_origins(items), map_lines([(expression.key, True)])
    outside, inside = accepted_outside(lines, policy), refused_inside(lines, policy)
    wrong = [
        f"{expression.key}: {escape.witness!r} is no witness"
        for escape in outside.escapes
        if not reference.finds(escape.witness.encode("latin-1")) or any(may(i, escape.witness) for i in items)
    ]
    wrong += [
        f"{expression.key}: {escape.witness!r} is not refused, or not the policy's"
        for escape in inside.escapes
        if reference.finds(escape.witness.encode("latin-1")) or not any(must(i, escape.witness) for i in items)
    ]
    leaf = Language.regex(expression.pattern, caseless=expression.caseless).leaves()[0]
    subjects = origins(items, rng, count)
    if isinstance(leaf.upper, Automaton) and outside.proven:
        subjects += [s for w in walks(leaf.upper, rng, count) for s in (w, *mutations(w, rng, 1))]
    refused = {escape.item.text for escape in inside.escapes if escape.item} | {
        o.item.text for o in inside.open if o.item
    }
    for subject in subjects:
        found = reference.finds(subject)
        tally.strings += 1
        tally.positive += bool(found)
        text = subject.decode("latin-1")
        sendable = bool(text) and not set(text) & set("\0\r\n") and text.strip(" ") == text
        if outside.proven and found and sendable and not any(may(i, text) for i in items):
            wrong.append(f"{expression.key}: proven, but {text!r} is accepted")
        for item in items:
            name = item if isinstance(item, str) else item["pattern"]
            if found is False and name not in refused and must(item, text):
                wrong.append(f"{expression.key}: {text!r} of the policy is refused, nothing said so")
    return wrong


def compiles(expression: Any) -> bool:
    """Whether PCRE2 takes an expression of the corpus."""
    try:
        Reference(expression.pattern.encode(), caseless=expression.caseless)
    except ValueError:
        return False
    return True


def attack_path(expression: Any, rng: random.Random, count: int, tally: Tally) -> list[str]:
    """Return what is wrong with the verdicts on one path expression."""
    reference = Reference(expression.pattern.encode(), caseless=expression.caseless)
    glob = path_glob(expression.intended)
    language, wanted = (
        Language.regex(expression.pattern, caseless=expression.caseless),
        Language.glob_path(expression.intended),
    )
    there = decide_included(language & Language.prefix("/"), wanted)
    back = decide_included(wanted, language)
    wrong = []
    if isinstance(there, Outside) and (not reference.finds(there.witness) or glob(there.text)):
        wrong.append(f"{expression.key}: {there.text!r} is no witness")
    if isinstance(back, Outside) and (reference.finds(back.witness) or not glob(back.text)):
        wrong.append(f"{expression.key}: {back.text!r} is no witness of the converse")
    machines = [m for leaf in (*language.leaves(), *wanted.leaves()) if isinstance(m := leaf.upper, Automaton)]
    for subject in [s for machine in machines for w in walks(machine, rng, count) for s in (w, *mutations(w, rng, 1))]:
        found, text = reference.finds(subject), subject.decode("latin-1")
        tally.strings += 1
        tally.positive += bool(found)
        if glob(text) != wanted.contains(text):
            wrong.append(f"{expression.intended}: {text!r} is {glob(text)}")
        if isinstance(there, Included) and found and text.startswith("/") and not glob(text):
            wrong.append(f"{expression.key}: included, but {text!r}")
        if isinstance(back, Included) and found is False and glob(text):
            wrong.append(f"{expression.key}: includes, but not {text!r}")
    return wrong


def path_glob(pattern: str) -> Any:
    """Return a function that decides a path glob segment by segment, without any automaton."""
    wanted = pattern.split("/")

    def fits(segments: list[str], patterns: list[str]) -> bool:
        if not patterns:
            return not segments
        if patterns[0] == "**":
            return (
                bool(segments)
                if len(patterns) == 1
                else any(fits(segments[i:], patterns[1:]) for i in range(len(segments) + 1))
            )
        if not segments:
            return False
        name = patterns[0]
        one = (
            segments[0] != ""
            if name == "*"
            else bool(re.fullmatch(".*".join(map(re.escape, name.split("*"))), segments[0], re.DOTALL))
        )
        return one and fits(segments[1:], patterns[1:])

    return lambda path: fits(path.split("/"), wanted)


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


def test_the_corpus_agrees() -> None:
    """Each expression of the benchmark on strings of every kind."""
    rng, tally, wrong = random.Random(7), Tally(), []
    for expression in benchmark().expressions():
        wrong += compare(expression.pattern.encode(), expression.caseless, rng, 20, tally)
    assert wrong == []
    assert tally.patterns >= 150


def test_verdicts_on_the_corpus_hold() -> None:
    """Witnesses are witnesses to PCRE2 and to a policy matcher written anew; what is proven withstands attack."""
    module, rng, tally, wrong = benchmark(), random.Random(8), Tally(), []
    for expression in module.expressions():
        if not compiles(expression):
            continue
        if expression.about == "origin":
            wrong += attack(expression, module.POLICIES, rng, 100, tally)
        else:
            wrong += attack_path(expression, rng, 30, tally)
    assert wrong == []
    assert tally.positive > tally.strings // 20


def main() -> None:
    """Run the long comparison and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patterns", type=int, default=0, help="how many random patterns")
    parser.add_argument(
        "--corpus", type=int, default=0, help="how many strings of each kind for each expression of the corpus"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.perf_counter()
    tally, wrong = fuzz(arguments.patterns, arguments.seed)
    if arguments.corpus:
        module, rng = benchmark(), random.Random(arguments.seed)
        for expression in module.expressions():
            wrong += compare(expression.pattern.encode(), expression.caseless, rng, arguments.corpus // 3, tally)
            if compiles(expression) and expression.about == "origin":
                wrong += attack(expression, module.POLICIES, rng, arguments.corpus, tally)
            elif compiles(expression):
                wrong += attack_path(expression, rng, arguments.corpus // 3, tally)
    for line in wrong[:60]:
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"{tally} {len(wrong)} disagreements, {time.perf_counter() - start:.1f} s\n")


if __name__ == "__main__":
    main()
