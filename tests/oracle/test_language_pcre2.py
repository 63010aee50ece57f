"""Does `auditor.language` agree with PCRE2, the engine that nginx uses? Asked pattern by pattern, string by string.

The default run takes seconds. The long run, with a million strings and more:

    python tests/oracle/test_language_pcre2.py --patterns 60000 --seed 1
    python tests/oracle/test_language_pcre2.py --corpus 1000000
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass

import pytest

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
            try:
                subjects += walks(machine, rng, count)
            except TooLarge:
                pass
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


def main() -> None:
    """Run the long comparison and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.perf_counter()
    tally, wrong = fuzz(arguments.patterns, arguments.seed)
    for line in wrong[:60]:
        print(line)
    print(tally, f"{len(wrong)} disagreements, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
