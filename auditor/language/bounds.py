"""What PCRE has beyond regular languages, put between an upper and a lower bound, exact where that is possible.

Atomic groups and possessive quantifiers become plain ones with a negative lookahead where their body cannot match
in two lengths; backreferences are at most the language of their group; subroutine calls that are not recursive are
written out. Under a negative lookaround the bounds change places.
"""

from __future__ import annotations

from auditor.language.alphabet import fold
from auditor.language.automaton import ALL, DEAD, TooLarge, compile_tree
from auditor.language.regex import ANYTHING, NotReadable
from auditor.language.syntax import (
    EMPTY,
    NOTHING,
    Alt,
    Atomic,
    BackReference,
    Call,
    Chars,
    Concat,
    Guard,
    Look,
    Node,
    Pattern,
    Repeat,
    alt,
    concat,
)

_PREFIX_STATES = 400
_NODES = 60_000
_BACKREFERENCE = "a backreference"
_RECURSION = "recursion"
_NEVER_ANCHOR = "an anchor in a group repeated {0}"
_POSSESSIVE_OPTION = "a possessive ?+ or {m,n}+"
_MISSES = frozenset((_BACKREFERENCE, _RECURSION, _NEVER_ANCHOR, _POSSESSIVE_OPTION))
r"""Where PCRE2 10.47 misses matches elsewhere in the pattern, found by comparing with it: it overestimates the least
length of `/(.((?:[^a]{1,2}\1*?\n)e){1,2})`, takes `(a|^b){0}/` for anchored, and does not find `a+(?:b)?+a` in "aa".
Such a pattern has no lower bound."""


class _Resolver:
    """Rewrites a tree into one of Chars, Concat, Alt, Repeat, Guard and Look that is its upper or lower bound."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.reasons: list[str] = []
        self.calls: list[int] = []
        self.behind = 0
        self.count = 0

    def bounded(self, most: Node, reason: str, *, upper: bool) -> Node:
        self.reasons.append(reason)
        return most if upper else NOTHING

    def resolve(self, node: Node, *, upper: bool) -> Node:  # noqa: C901 - one branch a node
        self.count += 1
        if self.count > _NODES:
            raise TooLarge
        if isinstance(node, Chars):
            return node
        if isinstance(node, Guard):
            if self.behind and node.kind == "end-or-newline":
                return self.bounded(EMPTY, "$ inside a lookbehind", upper=upper)
            return node
        if isinstance(node, Concat):
            return concat([self.resolve(item, upper=upper) for item in node.items])
        if isinstance(node, Alt):
            return alt([self.resolve(item, upper=upper) for item in node.items])
        if isinstance(node, Repeat):
            return self.repeat(node, upper=upper)
        if isinstance(node, Look):
            return self.look(node, upper=upper)
        if isinstance(node, Atomic):
            return self.atomic(node.item, upper=upper)
        if isinstance(node, BackReference):
            return self.back_reference(node, upper=upper)
        if isinstance(node, Call):
            return self.call(node, upper=upper)
        return self.bounded(self.resolve(node.most, upper=True), node.reason, upper=upper)

    def look(self, node: Look, *, upper: bool) -> Node:
        if not node.ahead:
            if longest(node.item) is None:
                raise NotReadable("a lookbehind whose length is not limited")
            self.behind += 1
            body = self.resolve(node.item, upper=upper != node.negative)
            self.behind -= 1
            return Look(body, node.ahead, node.negative)
        if self.behind:
            return self.bounded(EMPTY, "a lookahead inside a lookbehind", upper=upper)
        return Look(self.resolve(node.item, upper=upper != node.negative), node.ahead, node.negative)

    def call(self, node: Call, *, upper: bool) -> Node:
        if node.group in self.calls or node.group == 0 or len(self.calls) > 20:
            return self.bounded(ANYTHING, _RECURSION, upper=upper)
        self.calls.append(node.group)
        bodies = self.pattern.groups[node.group]
        result = self.resolve(bodies[0], upper=upper)
        self.calls.pop()
        return result if len(bodies) == 1 else self.bounded(ANYTHING, "a call of one of several groups", upper=upper)

    def back_reference(self, node: BackReference, *, upper: bool) -> Node:
        most = alt([_reduced(body, caseless=node.caseless) for body in self.pattern.groups[node.group]])
        return self.bounded(most, _BACKREFERENCE, upper=upper)

    def repeat(self, node: Repeat, *, upper: bool) -> Node:
        if node.high == 0 and not isinstance(node.item, Chars):
            known = len(self.reasons)
            self.resolve(node.item, upper=upper)  # what PCRE2 refuses it refuses here too
            self.reasons[known:] = [_NEVER_ANCHOR] if _anchors(node.item) else []
            return EMPTY
        if node.mode == "possessive":
            if node.high is not None and node.high != node.low:
                self.reasons.append(_POSSESSIVE_OPTION)
            return self.atomic(Repeat(node.item, node.low, node.high), upper=upper)
        return Repeat(self.resolve(node.item, upper=upper), node.low, node.high, node.mode)

    def atomic(self, node: Node, *, upper: bool) -> Node:
        known = len(self.reasons)
        body = self.resolve(node, upper=upper)
        if len(self.reasons) > known:
            return body if upper else NOTHING
        result = first_match(body)
        if result is None or (self.behind and _looks(result)):
            return self.bounded(body, "an atomic group or possessive quantifier", upper=upper)
        return result


def _anchors(node: Node) -> bool:
    """Whether a start anchor occurs in a tree."""
    if isinstance(node, Concat | Alt):
        return any(_anchors(item) for item in node.items)
    if isinstance(node, Repeat | Look | Atomic):
        return _anchors(node.item)
    return isinstance(node, Guard) and node.kind in ("start", "line-start")


def _looks(node: Node) -> bool:
    """Whether a lookaround occurs in a tree."""
    if isinstance(node, Concat | Alt):
        return any(_looks(item) for item in node.items)
    return isinstance(node, Look) or (isinstance(node, Repeat) and _looks(node.item))


def _reduced(node: Node, *, caseless: bool) -> Node:
    """Return a tree that matches at least each text a group can take: without conditions on what is around it."""
    if isinstance(node, Chars):
        return Chars(fold(node.mask)) if caseless else node
    if isinstance(node, Guard | Look):
        return EMPTY
    if isinstance(node, Concat):
        return concat([_reduced(item, caseless=caseless) for item in node.items])
    if isinstance(node, Alt):
        return alt([_reduced(item, caseless=caseless) for item in node.items])
    if isinstance(node, Repeat):
        return Repeat(_reduced(node.item, caseless=caseless), node.low, node.high)
    if isinstance(node, Atomic):
        return _reduced(node.item, caseless=caseless)
    return ANYTHING


def first_match(node: Node) -> Node | None:
    """Return a tree without atomic groups for `(?>node)`, or None where none is known.

    A body that matches in one length only is its own first match. `(?>A|B)` is `A` or, where A does not match, B;
    a greedy repeat of a one-length body goes on until the body does not match; a lazy one stops at once.
    """
    if isinstance(node, Guard | Look) or one_length(node):
        return node
    if isinstance(node, Alt):
        return _first_of(node)
    if isinstance(node, Concat):
        head, rest = node.items[0], concat(list(node.items[1:]))
        if not (isinstance(head, Guard | Look) or one_length(head)):
            return None
        tail = first_match(rest)
        return None if tail is None else concat([head, tail])
    if not isinstance(node, Repeat) or not one_length(node.item):
        return None
    item, low, high = node.item, node.low, node.high
    if node.mode == "lazy":
        return Repeat(item, low, low)
    stop = Look(item, ahead=True, negative=True)
    if high is None:
        return Concat((Repeat(item, low, None), stop))
    if high == low:
        return Repeat(item, low, low)
    return Alt((Concat((Repeat(item, low, high - 1), stop)), Repeat(item, high, high)))


def _first_of(node: Alt) -> Node | None:
    branches: list[Node] = []
    refused: list[Node] = []
    for item in node.items:
        branch = first_match(item)
        if branch is None:
            return None
        branches.append(concat([*refused, branch]))
        refused.append(Look(item, ahead=True, negative=True))
    return Alt(tuple(branches))


def one_length(node: Node) -> bool:  # noqa: C901 - one walk, then one search
    """Whether no string of a tree is a proper prefix of another, and the tree has no guard or lookaround."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, Guard | Look):
            return False
        if isinstance(item, Concat | Alt):
            stack.extend(item.items)
        elif isinstance(item, Repeat):
            stack.append(item.item)
    if isinstance(node, Chars) or (isinstance(node, Concat) and not node.items):
        return True
    try:
        machine = compile_tree(Concat((Guard("start"), node, Guard("end"))))
        reached, queue = {machine.start}, [machine.start]
        after: dict[int, list[int]] = {}
        for state in queue:
            after[state] = [target for _, target in machine.row(state)]
            new = [t for t in after[state] if t not in reached]
            reached.update(new)
            queue.extend(new)
            if len(queue) > _PREFIX_STATES:
                return False
    except TooLarge:
        return False
    beyond = [t for s in reached if machine.final(s) for t in after[s]]
    seen = set(beyond)
    for state in beyond:
        if state == ALL or (state != DEAD and machine.final(state)):
            return False
        new = [t for t in after[state] if t not in seen]
        seen.update(new)
        beyond.extend(new)
    return True


def longest(node: Node) -> int | None:
    """Return the length of the longest string of a tree in bytes, None where there is no limit (or none known)."""
    if isinstance(node, Chars):
        return 1
    if isinstance(node, Guard | Look):
        return 0
    if isinstance(node, Atomic):
        return longest(node.item)
    if isinstance(node, Repeat):
        each = None if isinstance(node.item, Look) else longest(node.item)  # PCRE2 does not look into it
        return None if each is None or node.high is None else each * node.high
    if isinstance(node, Concat | Alt):
        lengths = [longest(item) for item in node.items]
        known = [length for length in lengths if length is not None]
        if len(known) < len(lengths):
            return None
        return sum(known) if isinstance(node, Concat) else max(known, default=0)
    return None


def starts_with_lookahead(node: Node) -> bool:
    """Whether a match may begin with a positive lookahead and may begin anywhere.

    PCRE2 before 10.43 misses matches of such patterns (`(?=a)b*a` does not match "a" with 10.42, seen in nginx).
    """
    if isinstance(node, Look):
        return node.ahead and not node.negative
    if isinstance(node, Concat):
        for item in node.items:
            if starts_with_lookahead(item):
                return True
            if not isinstance(item, Look | Guard) or (isinstance(item, Guard) and item.kind == "start"):
                return False
        return False
    if isinstance(node, Alt):
        return any(starts_with_lookahead(item) for item in node.items)
    if isinstance(node, Repeat | Atomic):
        return starts_with_lookahead(node.item)
    return False


def resolved(pattern: Pattern) -> tuple[Node, Node, tuple[str, ...]]:
    """Return the upper and the lower bound of a pattern, the same tree where exact, and what is not exact."""
    resolver = _Resolver(pattern)
    upper = resolver.resolve(pattern.tree, upper=True)
    reasons = tuple(dict.fromkeys(resolver.reasons))
    if starts_with_lookahead(pattern.tree):
        return upper, NOTHING, (*reasons, "a lookahead at the start (PCRE2 before 10.43 misses matches)")
    if not reasons:
        return upper, upper, ()
    if _MISSES.intersection(reasons):
        return upper, NOTHING, reasons
    return upper, _Resolver(pattern).resolve(pattern.tree, upper=False), reasons
