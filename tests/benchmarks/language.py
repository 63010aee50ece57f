"""How fast the language engine decides, on expressions as people write them: `python tests/benchmarks/language.py`.

Targets: a decision in under 5 ms (median), 100 ms (95th percentile), 1.5 s (worst); 500 map lines both ways under 5 s;
1,000 exact origins under 10 ms; every state blow-up ends as not decided within 1 s.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from auditor.language import (
    Acceptance,
    Included,
    Language,
    NotDecided,
    accepted_outside,
    decide_included,
    map_lines,
    policy_origins,
    refused_inside,
    registrable,
)

POLICIES: Mapping[str, list[Any]] = {
    "app": ["https://app.example.com"],
    "site": ["https://example.com", {"pattern": "https://*.example.com"}],
    "preview": ["https://app.example.com", {"pattern": "https://*.preview.example.com"}],
    "local": [
        "https://app.example.com",
        {"pattern": "http://localhost:*"},
        "http://127.0.0.1:3000",
        "http://127.0.0.1:5173",
        "http://127.0.0.1:8080",
    ],
    "many": [
        *(f"https://{host}.example.{tld}" for host in ("app", "www") for tld in ("com", "org")),
        "https://partner.example.net",
        *(
            item
            for tld in ("com", "net", "org")
            for item in (f"https://example.{tld}", {"pattern": f"https://*.example.{tld}"})
        ),
    ],
}


class Expression(NamedTuple):
    """One line of the corpus."""

    about: str
    manner: str
    intended: str
    caseless: bool
    pattern: str

    @property
    def key(self) -> str:
        """The expression as a map key."""
        return ("~*" if self.caseless else "~") + self.pattern


def expressions() -> list[Expression]:
    """Read the corpus."""
    result = []
    for line in (Path(__file__).parent / "expressions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            about, manner, intended, operator, pattern = line.split(" ", 4)
            result.append(Expression(about, manner, intended, operator == "~*", pattern))
    return result


def decide(expression: Expression) -> tuple[list[str], list[str], float, float]:
    """Decide one expression both ways; return the verdicts in words and the two times in seconds."""
    if expression.about == "path":
        inner = Language.regex(expression.pattern, caseless=expression.caseless)
        paths = Language.prefix("/")
        outer = Language.glob_path(expression.intended)
        there, one = timed(lambda: decide_included(inner & paths, outer))
        back, two = timed(lambda: decide_included(outer, inner))
        return [verdict(there)], [verdict(back)], one, two
    policy = policy_origins(POLICIES[expression.intended])
    lines = map_lines([(expression.key, True)])
    outside, one = timed(lambda: accepted_outside(lines, policy))
    inside, two = timed(lambda: refused_inside(lines, policy))
    return said(outside), said(inside), one, two


def verdict(decision: Any) -> str:
    """Return a decision in words."""
    if isinstance(decision, Included):
        return "proven"
    return f"not decided: {decision.reason}" if isinstance(decision, NotDecided) else decision.text


def said(acceptance: Acceptance) -> list[str]:
    """Return an acceptance in words."""
    result = [escape.witness for escape in acceptance.escapes]
    result += [f"not decided: {open_.reason}" for open_ in acceptance.open]
    return result or ["proven"]


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Run and return the result and the seconds of CPU it took."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def figures(name: str, times: list[float]) -> str:
    """Return the median, 95th percentile and worst in milliseconds."""
    ordered = sorted(times)
    p95 = ordered[int(len(ordered) * 0.95)]
    return f"{name:34} n={len(times):4}  median {statistics.median(times) * 1e3:7.2f}  p95 {p95 * 1e3:7.2f}  worst {ordered[-1] * 1e3:8.2f} ms"


def five_hundred() -> tuple[float, float, bool]:
    """Decide a map of 250 exact keys and 250 expressions against as many entries, both ways."""
    items: list[Any] = []
    entries: list[tuple[str, bool | None]] = []
    for i in range(250):
        items += [f"https://x{i}.example.com", {"pattern": f"https://*.t{i}.example.com"}]
        entries += [
            (f"https://x{i}.example.com", True),
            (rf"~^https://([a-z0-9-]+\.)*[a-z0-9-]+\.t{i}\.example\.com$", True),
        ]
    start = time.perf_counter()
    lines, policy = map_lines(entries), policy_origins(items)
    built = time.perf_counter() - start
    outside, one = timed(lambda: accepted_outside(lines, policy))
    inside, two = timed(lambda: refused_inside(lines, policy))
    return built + one, two, outside.proven and inside.proven


BLOW_UPS = (
    r"(a{1,300}){1,300}",
    r"(?:a?){5000}b$",
    r"^(?=.*a)(?=.*b)(?=.*c)(?=.*d)(?=.*e)(?=.*f)(?=.*g)(?=.*h)(?=.*i)(?=.*j)(?=.*k)(?=.*l)(?=.*m)(?=.*n).*$",
    r"x.{40}\.example\.com$",
    r"(x.{12}|y.{13}|z.{14})\.example\.com$",
    r"^(((((a*)*b*)*c*)*d*)*e*)*$",
    r"((?:\w+\.){1,50}){1,50}example",
    r"(?:(?!evil).){0,500}\.example\.com$",
    r"^(?:.{0,60}a){30}$",
)


def main() -> None:
    """Print the figures; with -v each expression's."""
    registrable("example.com")  # reads the public suffix list once, as a run does
    there: list[float] = []
    back: list[float] = []
    open_ = 0
    for expression in expressions():
        outside, inside, one, two = decide(expression)
        there.append(one)
        back.append(two)
        open_ += any(v.startswith("not decided") for v in (*outside, *inside))
        if "-v" in sys.argv:
            say(f"{one * 1e3:8.1f} {two * 1e3:8.1f} ms  {expression.key}  {outside} {inside}")
    say(figures("outside the policy", there))
    say(figures("inside the policy, refused", back))
    say(f"{open_} of {len(there)} expressions not decided in some direction")
    one, two, proven = five_hundred()
    say(f"500 lines of a map: {one:.2f} s and {two:.2f} s, {'proven' if proven else 'NOT PROVEN'} both ways")
    origins = [f"https://a{i}.example.com" for i in range(1000)]
    lines, policy = map_lines([(origin, True) for origin in origins]), policy_origins(origins)
    _, one = timed(lambda: accepted_outside(lines, policy))
    _, two = timed(lambda: refused_inside(lines, policy))
    say(f"1,000 exact origins: {one * 1e3:.1f} ms and {two * 1e3:.1f} ms")
    policy = policy_origins(POLICIES["site"])
    for pattern in BLOW_UPS:
        outside, one = timed(lambda p=pattern: said(accepted_outside(Language.regex(p), policy)))
        inside, two = timed(lambda p=pattern: said(refused_inside(Language.regex(p), policy)))
        say(f"{one:5.2f} s {two:5.2f} s  {pattern[:50]}  {outside} {inside}")


def say(line: str) -> None:
    """Print one line."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
