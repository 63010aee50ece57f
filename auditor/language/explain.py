"""Why an expression lets a string through that it should not, in a sentence, and an expression that does not.

A cause is named only if mending it keeps the string out: each repair of the expression is tried, alone and then in
pairs, and the sentence is that of the repair that worked, of several the one that loses nothing that was meant. A corrected expression is shown only if it is verified to
be the intended set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

from auditor.dataclass import dataclass
from auditor.language.alphabet import to_bytes
from auditor.language.decide import Included, decide_included
from auditor.language.origins import OriginItem, OriginPolicy, split_origin
from auditor.language.search import Budget
from auditor.language.sets import Language
from auditor.language.shapes import any_header
from auditor.language.tokens import Token, following_text, literal_text, preceding_text, tokens

CauseKind = Literal[
    "unescaped-dot",
    "no-start-anchor",
    "no-end-anchor",
    "anchor-of-one-alternative",
    "wildcard",
    "optional-scheme",
    "optional-part",
    "caseless",
    "alternative",
    "matches",
]
_ACCIDENTS: tuple[CauseKind, ...] = ("no-start-anchor", "no-end-anchor", "anchor-of-one-alternative", "unescaped-dot")
LABELS = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*"
_MAX_SINGLE, _MAX_PAIRED = 60, 12


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why a string gets through: the sentence, and the 1-based column in the expression (0: all of it)."""

    kind: CauseKind
    sentence: str
    column: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a string gets through, and an expression verified to be the intended set (None where none was found)."""

    causes: tuple[Cause, ...]
    corrected: str | None

    @property
    def sentence(self) -> str:
        """All causes in one sentence."""
        return "; ".join(cause.sentence for cause in self.causes)


@dataclass(frozen=True, slots=True)
class _Repair:
    cause: Cause
    edits: tuple[tuple[int, int, str], ...]
    caseless: bool | None = None


def explain(
    pattern: str,
    witness: str | bytes,
    intended: OriginPolicy | Language,
    *,
    caseless: bool = False,
    budget: Budget | None = None,
) -> Explanation:
    """Say why `pattern` (searched for, as nginx does) matches `witness`, and how to write what was intended."""
    causes = _causes(pattern, to_bytes(witness), intended, caseless=caseless)
    return Explanation(causes, corrected(pattern, intended, caseless=caseless, budget=budget))


def _causes(pattern: str, witness: bytes, intended: OriginPolicy | Language, *, caseless: bool) -> tuple[Cause, ...]:
    """Return the repair that keeps the string out; of several, one that loses nothing that was meant."""
    repairs = _repairs(pattern, caseless=caseless)
    outs = [r for r in repairs[:_MAX_SINGLE] if _keeps_out(pattern, witness, (r,), caseless=caseless)]
    least = (intended.least if isinstance(intended, OriginPolicy) else intended) & any_header()
    strict = _apply(pattern, [r for r in repairs if r.cause.kind in _ACCIDENTS], caseless=caseless)
    for text, folded in ((pattern, caseless), strict):
        meant = least & Language.regex(text, caseless=folded)
        for repair in outs:
            mended, after = _apply(pattern, (repair,), caseless=caseless)
            if isinstance(decide_included(meant, Language.regex(mended, caseless=after)), Included):
                return (repair.cause,)
    outs += [r for r in _takers(pattern)[:_MAX_SINGLE] if _keeps_out(pattern, witness, (r,), caseless=caseless)]
    if outs:
        return (outs[0].cause,)
    for pair in combinations(repairs[:_MAX_PAIRED], 2):
        if _keeps_out(pattern, witness, pair, caseless=caseless):
            return tuple(repair.cause for repair in pair)
    return (Cause("matches", f"`{pattern}` matches it as it is written"),)


def _keeps_out(pattern: str, witness: bytes, chosen: Sequence[_Repair], *, caseless: bool) -> bool:
    mended, folded = _apply(pattern, chosen, caseless=caseless)
    return Language.regex(mended, caseless=folded).contains(witness) is False


def _apply(pattern: str, chosen: Sequence[_Repair], *, caseless: bool) -> tuple[str, bool]:
    """Return the expression with the repairs made; of two that touch the same place only the first is."""
    edits: list[tuple[int, int, str]] = []
    for repair in chosen:
        if repair.caseless is not None:
            caseless = repair.caseless
        if not any(a < end and start < b for start, end, _ in repair.edits for a, b, _ in edits):
            edits.extend(repair.edits)
    for start, end, text in sorted(edits, key=lambda e: (e[0], e[1]), reverse=True):
        pattern = pattern[:start] + text + pattern[end:]
    return pattern, caseless


# -- repairs ---------------------------------------------------------------------------------------------------------


def _repairs(pattern: str, *, caseless: bool) -> list[_Repair]:
    """Return every repair, the most telling first."""
    cut = tokens(pattern)
    found = [*_anchors(pattern, cut), *_dots(cut), *_wildcards(cut), *_optional(pattern, cut)]
    if caseless:
        cause = Cause("caseless", "`~*` ignores case, so the spelling in capitals matches too")
        found.append(_Repair(cause, (), caseless=False))
    return found


def _anchors(pattern: str, cut: tuple[Token, ...]) -> list[_Repair]:
    """Anchor the whole expression where some alternative is not anchored."""
    bars = [i for i, token in enumerate(cut) if token.kind == "or" and token.depth == 0]
    branches = [cut[a:b] for a, b in zip([0, *[i + 1 for i in bars]], [*bars, len(cut)], strict=True)]
    started = [bool(branch) and _anchored(branch, "start") for branch in branches]
    ended = [bool(branch) and _anchored(tuple(reversed(branch)), "end") for branch in branches]
    result = []
    whole = (0, 0, "^(?:"), (len(pattern), len(pattern), ")$")
    single = len(branches) == 1
    if not single and (any(started) or any(ended)) and not (all(started) and all(ended)):
        cause = Cause(
            "anchor-of-one-alternative",
            "`^` and `$` bind tighter than `|`: they hold for one alternative only, the others match anywhere",
        )
        inner = [_edge(branch, "start") for branch in branches] + [_edge(branch, "end") for branch in branches]
        result.append(_Repair(cause, (*whole, *((t.at, t.end, "") for t in inner if t is not None))))
        return result
    if not any(ended):
        cause = Cause("no-end-anchor", "no `$`: anything may follow", len(pattern) + 1)
        result.append(_Repair(cause, ((len(pattern), len(pattern), "$"),) if single else (*whole[1:], (0, 0, "(?:"))))
    if not any(started):
        cause = Cause("no-start-anchor", "no `^`: anything may come before", 1)
        result.append(_Repair(cause, ((0, 0, "^"),) if single else ((0, 0, "^(?:"), (len(pattern), len(pattern), ")"))))
    return result


def _anchored(branch: tuple[Token, ...], kind: Literal["start", "end"]) -> bool:
    """Whether a branch has its anchor first, parentheses before it left out."""
    for token in branch:
        if token.kind == kind:
            return True
        if token.kind not in ("open", "close"):
            return False
    return False


def _edge(branch: tuple[Token, ...], kind: Literal["start", "end"]) -> Token | None:
    """Return the anchor at the edge of a branch."""
    token = branch[0 if kind == "start" else -1] if branch else None
    return token if token is not None and token.kind == kind else None


def _dots(cut: tuple[Token, ...]) -> list[_Repair]:
    result = []
    for i, token in enumerate(cut):
        if token.kind != "dot" or (i + 1 < len(cut) and cut[i + 1].kind == "quantifier"):
            continue
        after, before = following_text(cut, i), preceding_text(cut, i)
        where = f"before `{after}`" if after else f"after `{before}`" if before else f"in column {token.at + 1}"
        cause = Cause("unescaped-dot", f"the dot {where} matches any character", token.at + 1)
        result.append(_Repair(cause, ((token.at, token.end, r"\."),)))
    return result


def _wildcards(cut: tuple[Token, ...]) -> list[_Repair]:
    r"""Replace `.*`, `[^.]+`, `\\w+` and the like by DNS labels, with the dot that separates them from what follows."""
    result = []
    for i, token in enumerate(cut[:-1]):
        wide = token.kind in ("dot", "class") or (token.kind == "escape" and token.text in _WIDE_ESCAPES)
        if not wide or cut[i + 1].kind != "quantifier":
            continue
        quantifier = cut[i + 1]
        source = token.text + quantifier.text
        after = following_text(cut, i + 1)
        if quantifier.text.startswith("*"):
            empty = Cause("wildcard", f"`{source}` may be nothing at all", token.at + 1)
            result.append(_Repair(empty, ((quantifier.at, quantifier.end, "+"),)))
        cause = Cause("wildcard", f"`{source}` {_said(token)}", token.at + 1)
        result.append(_Repair(cause, ((token.at, quantifier.end, LABELS),)))
        if after and after[0].isalnum():
            glued = Cause("wildcard", f"`{source}` runs into `{after}` with no dot between", token.at + 1)
            result.append(_Repair(glued, ((token.at, quantifier.end, rf"(?:{LABELS}\.)?"),)))
    return result


_WIDE_ESCAPES = ("\\w", "\\S", "\\D", "\\W", "\\N", "\\C", "\\H", "\\V")


def _said(token: Token) -> str:
    if token.kind == "dot":
        return "matches anything, dots and slashes too"
    if token.text.startswith("[^"):
        return f"matches every character but {token.text[2:-1]!r}"
    return "matches more than the letters, digits and hyphens of a host name"


def _optional(pattern: str, cut: tuple[Token, ...]) -> list[_Repair]:
    r"""Make optional what is optional no more: `https?`, `(:\\d+)?`, `(.*\\.)?`."""
    result = []
    opened: list[int] = []
    for i, token in enumerate(cut):
        if token.kind == "open":
            opened.append(i)
        elif token.kind == "close" and opened:
            begin = cut[opened.pop()]
            after = cut[i + 1] if i + 1 < len(cut) else None
            if after is not None and after.kind == "quantifier" and after.text[0] in "?*":
                source = pattern[begin.at : after.end]
                cause = Cause("optional-part", f"`{source}` lets that part in", begin.at + 1)
                result.append(_Repair(cause, ((begin.at, after.end, ""),)))
        elif token.kind == "quantifier" and token.text == "?" and i and literal_text(cut[i - 1]) == "s":
            cause = Cause("optional-scheme", "`https?` accepts plain http", cut[i - 1].at + 1)
            result.append(_Repair(cause, ((token.at, token.end, ""),)))
    return result


def _takers(pattern: str) -> list[_Repair]:
    """Return the wildcards and alternatives, each made to match nothing: what a string needs is what lets it in."""
    cut = tokens(pattern)
    result = []
    for i, token in enumerate(cut[:-1]):
        if token.kind in ("dot", "class", "escape") and cut[i + 1].kind == "quantifier" and not literal_text(token):
            source = token.text + cut[i + 1].text
            cause = Cause("wildcard", f"`{source}` takes whatever stands there", token.at + 1)
            result.append(_Repair(cause, ((token.at, cut[i + 1].end, "(?!)"),)))
    for start, end in _alternatives(pattern, cut):
        cause = Cause("alternative", f"`{pattern[start:end]}` is one of its alternatives", start + 1)
        result.append(_Repair(cause, ((start, end, "(?!)"),)))
    return result


def _alternatives(pattern: str, cut: tuple[Token, ...]) -> list[tuple[int, int]]:
    """Return the spans of all alternatives of groups that have more than one, the innermost first."""
    result: list[tuple[int, int]] = []
    begins: list[list[int]] = [[0]]
    for token in cut:
        if token.kind == "open" and not token.text.endswith(")"):
            begins.append([token.end])
        elif token.kind == "or":
            begins[-1].append(token.end)
        elif token.kind == "close" and len(begins) > 1:
            result.extend(_spans(begins.pop(), token.at))
    result.extend(_spans(begins[0], len(pattern)))
    return result


def _spans(begins: list[int], end: int) -> list[tuple[int, int]]:
    ends = [begin - 1 for begin in begins[1:]] + [end]
    return [(a, b) for a, b in zip(begins, ends, strict=True) if b > a] if len(begins) > 1 else []


# -- corrections -----------------------------------------------------------------------------------------------------


def corrected(
    pattern: str, intended: OriginPolicy | Language, *, caseless: bool = False, budget: Budget | None = None
) -> str | None:
    """Return an expression verified to be the intended set (on header values), as near to `pattern` as can be.

    For a policy of several entries the nearest is the pattern mended, if it then is exactly the entries it was
    about; else one expression for all entries. None where nothing could be verified.
    """
    if isinstance(intended, Language):
        return _mended(pattern, lambda p: _same(p, intended, intended, caseless=caseless, budget=budget), caseless)
    about = _about(pattern, intended, caseless=caseless)
    parts = [part for part in (about, intended.items) if part]

    def fits(candidate: str, items: Sequence[OriginItem]) -> bool:
        least = Language.union(item.least for item in items)
        return _same(candidate, least, intended.most, caseless=caseless, budget=budget)

    for part in parts:
        found = _mended(pattern, lambda p, part=part: fits(p, part), caseless)  # type: ignore[misc]
        if found is not None:
            return found
    for part in parts:
        written = expression(part)
        if written is not None and fits(written, part):
            return written
    return None


def _about(pattern: str, policy: OriginPolicy, *, caseless: bool) -> tuple[OriginItem, ...]:
    """Return the entries of which the expression, anchored and its dots escaped, accepts a member; failing that, as it is."""
    strict = [r for r in _repairs(pattern, caseless=False) if r.cause.kind in _ACCIDENTS]
    for text in (_apply(pattern, strict, caseless=caseless)[0], pattern):
        language = Language.regex(text, caseless=caseless)
        about = tuple(item for item in policy.items if (item.least & language).is_empty() is False)
        if about:
            return about
    return ()


def _same(candidate: str, least: Language, most: Language, *, caseless: bool, budget: Budget | None) -> bool:
    language = Language.regex(candidate, caseless=caseless)
    inside = decide_included(language & any_header(), most, budget)
    return isinstance(inside, Included) and isinstance(
        decide_included(least & any_header(), language, budget), Included
    )


def _mended(pattern: str, fits: Callable[[str], bool], caseless: bool) -> str | None:
    """Return the pattern with the fewest kinds of repair that fits, None where none does."""
    repairs = [r for r in _repairs(pattern, caseless=False) if r.cause.kind != "optional-part"]
    if fits(pattern):
        return pattern
    strict = [r for r in repairs if r.cause.kind in _ACCIDENTS]
    wild = [r for r in repairs if r.cause.kind == "wildcard" and r.edits[0][2] != "+"]
    scheme = [r for r in repairs if r.cause.kind == "optional-scheme"]
    tried = {pattern}
    dots = [r for r in strict if r.cause.kind == "unescaped-dot"]
    ends = [r for r in strict if r.cause.kind == "no-end-anchor"]
    starts = [r for r in strict if r.cause.kind == "no-start-anchor"]
    for chosen in (
        dots,
        ends,
        starts,
        dots + ends,
        dots + starts,
        strict,
        strict + scheme,
        strict + wild,
        strict + scheme + wild,
        strict + wild[1:],
        strict + scheme + wild[1:],
    ):
        candidate, _ = _apply(pattern, chosen, caseless=caseless)
        if candidate not in tried:
            tried.add(candidate)
            if fits(candidate):
                return candidate
    return None


def expression(items: Sequence[OriginItem]) -> str | None:
    """Return one anchored expression for entries of a policy, None where one of them is not expressible."""
    written = [_entry(item) for item in items]
    if not written or any(w is None for w in written):
        return None
    texts = [w for w in written if w is not None]
    return f"^{texts[0]}$" if len(texts) == 1 else f"^(?:{'|'.join(texts)})$"


def _entry(item: OriginItem) -> str | None:
    if item.kind == "any":
        return None
    if item.kind == "regex":
        return f"(?:{item.text})"
    scheme, host, port = split_origin(item.text)
    if item.kind == "exact" and not host:
        return _quoted(item.text)
    text = f"{_quoted(scheme)}://" + LABELS.join(_quoted(part) for part in host.split("*"))
    if port == "*":
        return text + r"(?::\d+)?"
    return text if port is None else f"{text}:{_quoted(port)}"


def _quoted(text: str) -> str:
    return "".join("\\" + c if c in r"\.^$|()[]{}*+?" else c for c in text)


# -- loose expressions in a policy -----------------------------------------------------------------------------------


def looseness(pattern: str) -> tuple[Cause, ...]:
    """Return what makes an expression of a policy loose by accident: a missing anchor, a dot that is not escaped."""
    return tuple(r.cause for r in _repairs(pattern, caseless=False) if r.cause.kind in _ACCIDENTS)
