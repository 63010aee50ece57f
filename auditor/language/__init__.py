r"""Sets of byte strings as automata: PCRE, globs, prefixes; decided, not sampled.

A `Language` is an immutable set of byte strings, built from what configurations and policies write:

    Language.exact("https://a.example", caseless=True)   a map key: one string in any case
    Language.words(texts), Language.prefix("/api/"), Language.suffix(".js"), Language.glob_path("/api/**")
    Language.regex(r"^https://a\.example$", caseless=False)   found anywhere, as nginx runs PCRE2; whole=True: all of it
    a | b, a & b, a - b, ~a, Language.union(many), Language.everything(), Language.nothing()

Text is Latin-1 `str` (one character a byte) or `bytes`. What is not regular lies between a lower and an upper bound:
`is_exact` is false, `reasons` says why, `contains` and `is_empty` answer None where the bounds do not settle it.

    language.shortest(budget), language.witness(prefer, budget)     shortest member; of the first preferred set that has any
    decide_included(a, b)            -> Included | Outside(witness) | NotDecided(reason)
    partition(matchers, within)      -> Partition: the non-empty cells (holding, unsure, representative), complete or not
    origin_cells(matchers, hosts)    -> the cells of all Origin values, representatives that browsers send
    policy_origin(item), policy_origins(items)       a policy's origins: `most` may be accepted, `least` must be
    map_lines(entries, default)      -> the ordered lines of an nginx map
    accepted_outside(lines_or_language, policy)      -> Acceptance: escapes with witness and class, open questions
    refused_inside(lines_or_language, policy)        -> the converse

Every decision has a `Budget` (states, and seconds as a backstop); what exceeds it is not decided, never a hang.
"""

from __future__ import annotations

from auditor.language.acceptance import (
    Acceptance,
    Escape,
    Line,
    Open,
    OriginCells,
    accepted_outside,
    map_lines,
    origin_cells,
    refused_inside,
)
from auditor.language.decide import Included, NotDecided, Outside, decide_included
from auditor.language.explain import Cause, Explanation, explain, looseness
from auditor.language.origins import (
    OriginItem,
    OriginPolicy,
    policy_origin,
    policy_origins,
    registrable,
)
from auditor.language.partition import Cell, Partition, partition
from auditor.language.search import Budget, OutOfBudget
from auditor.language.sets import Language
from auditor.language.shapes import Shape, any_header, browser_sendable, shapes

__all__ = [
    "Acceptance",
    "Budget",
    "Cause",
    "Cell",
    "Escape",
    "Explanation",
    "Included",
    "Language",
    "Line",
    "NotDecided",
    "Open",
    "OriginCells",
    "OriginItem",
    "OriginPolicy",
    "OutOfBudget",
    "Outside",
    "Partition",
    "Shape",
    "accepted_outside",
    "any_header",
    "browser_sendable",
    "decide_included",
    "explain",
    "looseness",
    "map_lines",
    "origin_cells",
    "partition",
    "policy_origin",
    "policy_origins",
    "refused_inside",
    "registrable",
    "shapes",
]
