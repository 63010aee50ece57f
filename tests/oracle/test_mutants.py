"""Does `auditor check` find what is wrong, and nothing else? A real nginx is asked about every broken configuration.

Ground truth comes from what nginx answers to a wide grid of requests, judged here by a few lines that share nothing
with the checks. The default run tries every operator alone and some pairs; the long run tries all pairs:

    python tests/oracle/test_mutants.py --pairs 2000
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mutants import CONFIGURATION, MUTANTS, POLICY, Mutant
from nginx_binary import need_nginx, nginx_version
from nginx_live import Observed, RefusedError, Sandbox, Sent

from auditor import audit
from auditor.finding import Finding, Verdict
from auditor.options import Options

ALLOWED = (
    "https://app.example.com",
    "https://a.preview.example.com",
    "https://pr-12.preview.example.com",
    "https://a.b.preview.example.com",
    "https://0.preview.example.com",
    "https://a-very-long-label-indeed.preview.example.com",
)
REFUSED = (
    "https://evil.example",
    "null",
    "http://app.example.com",
    "http://a.preview.example.com",
    "https://app.example.com.evil.example",
    "https://a.preview.example.com.evil.example",
    "https://evilapp.example.com",
    "https://preview.example.com",
    "https://evilpreview.example.com",
    "https://a.previewxexample.com",
    "https://a.preview.examplexcom",
    "https://axpreview.example.com",
    "https://evil.example/.preview.example.com",
    "https://a.preview.example.com:8443",
    "https://a.preview.example.org",
    "https://a.staging.example.com",
    "https://partner.example.net",
    "https://app.exmaple.com",
    "ftp://a.preview.example.com",
    "https://evilexample.com",
    "https://sub.evil.example",
)
"""Origins of the policy, and others; what no browser sends (a slash in a host) is asked about no more than by the tool."""
BROWSERS = tuple(origin for origin in REFUSED if "/." not in origin and not origin.startswith("ftp:"))
PATHS = (
    "/api/", "/api/x", "/api/v1/users", "/api/v1", "/api/data.json", "/api/app.js", "/api/ping", "/api/admin", "/api/admin/x",
    "/api/old/x", "/api/v2", "/api/v2/x",
)  # fmt: skip
BELOW = ("/internal/", "/internal/x", "/internal/a/b", "/internal/x.json", "/internal/x.css")
ELSEWHERE = ("/", "/health", *BELOW, "/other", "/app.js", "/x.json")
FILE = "html/internal/x.css"
"""A file that is there, so that a location which serves files does."""
METHODS = ("GET", "POST", "PUT", "DELETE")

FAMILIES = {
    "exposed": ("cors-origin-not-allowed", "cors-any-origin", "cors-null-origin", "cors-insecure-origin",
                "cors-wildcard-with-credentials", "cors-headers-for-disallowed-origin"),
    "refused": ("cors-origin-refused", "cors-preflight-fails", "cors-lost-on-error", "cors-method-refused",
                "cors-header-refused", "cors-credentials-missing", "cors-duplicate-header", "cors-malformed-value"),
    "granted": ("cors-method-not-allowed", "cors-header-not-allowed", "cors-credentials-not-allowed",
                "cors-exposed-header-unlisted", "cors-max-age-out-of-range", "cors-private-network-allowed"),
    "vary": ("cors-vary-origin-missing",),
    "headers": ("header-missing", "header-wrong-value", "header-present", "header-duplicate", "header-lost-on-error",
                "header-lost-by-inheritance", "server-version-disclosed"),
    "limit": ("rate-limit-missing", "rate-limit-too-loose", "rate-limit-never-applies", "rate-limit-key-spoofable",
              "rate-limit-shared", "rate-limit-wrong-status"),
    "routing": ("route-unserved", "route-shadowed", "route-wrong-upstream"),
    "denied": ("denied-path-served",),
}  # fmt: skip
"""What the grid can tell, and the checks that speak of it."""


# -- ground truth ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Grid:
    """Asks one running nginx; each request comes from an address of its own, so that no limit stands in the way."""

    sandbox: Sandbox
    asked: int = 0
    answers: dict[object, Observed] = field(default_factory=dict)

    def ask(self, method: str, path: str, *headers: tuple[str, str], client: str = "") -> Observed:
        """Send one request; asked again from any address, the first answer is returned."""
        key = (method, path, headers)
        if client or key not in self.answers:
            self.asked += 1
            address = client or f"127.{1 + self.asked // 60000}.{self.asked // 240 % 250}.{1 + self.asked % 240}"
            lines = (("Host", "shop.example.com"), ("Connection", "close"), *headers)
            answer = self.sandbox.exchange(Sent(method, path, headers=lines, client=address))
            if client:
                return answer
            self.answers[key] = answer
        return self.answers[key]

    def preflight(self, path: str, origin: str, method: str) -> Observed:
        """Send the preflight of a request with the headers that the policy allows."""
        return self.ask(
            "OPTIONS", path, ("Origin", origin), ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        )  # fmt: skip


def values(answer: Observed, name: str) -> list[str]:
    """Return the values of a header."""
    return [value for key, value in answer.headers if key.lower() == name.lower()]


def words(answer: Observed, name: str) -> set[str]:
    """Return the comma-separated words of a header, in lower case."""
    return {word.strip().lower() for value in values(answer, name) for word in value.split(",") if word.strip()}


def readable(answer: Observed, origin: str) -> bool:
    """Whether a page with credentials may read an answer (Fetch, CORS check)."""
    origins, credentials = (
        values(answer, "Access-Control-Allow-Origin"),
        values(answer, "Access-Control-Allow-Credentials"),
    )
    return origins == [origin] and credentials == ["true"]


def exposed(grid: Grid) -> str:
    """Say which origin outside the policy gets anything."""
    for path, origin in itertools.product(PATHS, BROWSERS):
        for answer in (grid.ask("GET", path, ("Origin", origin)), grid.preflight(path, origin, "PUT")):
            if any(name.lower().startswith("access-control-") for name, _ in answer.headers):
                return f"{origin} at {path}: {answer.headers}"
    return ""


def refused(grid: Grid) -> str:
    """Say which origin of the policy cannot do what the policy lets it, in good or bad times."""
    for path, origin in itertools.product(PATHS, ALLOWED):
        for method in METHODS:
            actual = grid.ask(method, path, ("Origin", origin))
            if not readable(actual, origin):
                return f"{method} {path} for {origin}: {actual.status} {actual.headers}"
            answer = grid.preflight(path, origin, method)
            allowed = words(answer, "Access-Control-Allow-Methods") | {"get", "post"}
            if not readable(answer, origin) or answer.status not in {200, 204} or method.lower() not in allowed:
                return f"preflight of {method} {path} for {origin}: {answer.status} {answer.headers}"
            if not {"authorization", "content-type"} <= words(answer, "Access-Control-Allow-Headers"):
                return f"preflight of {method} {path} for {origin}: {answer.headers}"
        for status in ("500", "404"):
            failed = grid.ask("GET", path, ("Origin", origin), ("X-Up-Status", status))
            if not readable(failed, origin):
                return f"GET {path} for {origin} with {status}: {failed.headers}"
    return ""


def granted(grid: Grid) -> str:
    """Say which origin of the policy is granted more than the policy says, with credentials or without."""
    for path, origin in itertools.product(PATHS, ALLOWED):
        answer = grid.preflight(path, origin, "PUT")
        age = values(answer, "Access-Control-Max-Age")
        methods = words(answer, "Access-Control-Allow-Methods") - {"get", "head", "post", "put", "delete"}
        names = words(answer, "Access-Control-Allow-Headers") - {"authorization", "content-type"}
        shown = words(grid.ask("GET", path, ("Origin", origin)), "Access-Control-Expose-Headers") - {"x-total"}
        passed = answer.status in range(200, 300)  # a preflight that fails grants nothing, whatever it says
        if shown or (passed and (methods or names or (age and int(age[0]) > 3600))):
            return f"{path} for {origin}: {methods} {names} {shown} {age}"
    return ""


def vary(grid: Grid) -> str:
    """Say where a cache may give one origin's answer to another."""
    origins = ("", *ALLOWED, *BROWSERS)
    for path, more in itertools.product(PATHS, ((), (("X-Up-Status", "404"),))):
        answers = [grid.ask("GET", path, *((("Origin", origin),) if origin else ()), *more) for origin in origins]
        told = {_shared(answer) for answer in answers}
        without = next((answer for answer in answers if "origin" not in words(answer, "Vary")), None)
        if len(told) > 1 and without is not None:
            return f"{path}: {without.status} {without.headers}"
    return ""


def _shared(answer: Observed) -> tuple[str, ...]:
    """Return what decides on who may read: with a fixed origin, credentials that depend on the Origin still do."""
    shared = values(answer, "Access-Control-Allow-Origin")
    return ("*",) if shared == ["*"] else (*shared, *values(answer, "Access-Control-Allow-Credentials"))


def headers(grid: Grid) -> str:
    """Say which answer lacks nosniff, has it wrongly, or shows a version."""
    asked: list[tuple[str, tuple[tuple[str, str], ...], str]]
    asked = [(path, (), method) for path in (*PATHS, *ELSEWHERE) for method in ("GET", "OPTIONS", "POST")]
    asked += [(path, (("X-Up-Status", status),), "GET") for path in PATHS for status in ("404", "500")]
    for path, more, method in asked:
        answer = grid.ask(method, path, *more)
        sniffing = values(answer, "X-Content-Type-Options") != ["nosniff"]
        if answer.status is not None and (sniffing or any(re.search("[0-9]", v) for v in values(answer, "Server"))):
            return f"{method} {path}: {answer.status} {answer.headers}"
    return ""


def limit(grid: Grid) -> str:
    """Say where one client gets more than three answers at once, is refused in another way, or another client is too."""
    for number, path in enumerate(PATHS):
        flood = _flood(grid, path, f"127.200.{number}", skip=bool(number % 2))
        if [status == 429 for status in flood] != [False] * 3 + [True] * 5:
            return f"{path}: {flood}"
        if grid.ask("GET", path, client=f"127.201.{number}.1").status == 429:
            return f"{path}: another client is refused"
    return ""


def _flood(grid: Grid, path: str, clients: str, *, skip: bool) -> list[int | None]:
    """Return what one client gets within a second: seven times at once, and once a little later."""
    for attempt in range(1, 250):
        start, client = time.monotonic(), f"{clients}.{attempt}"
        rows = [(("X-Forwarded-For", f"10.0.0.{i}"), *((("X-Skip", "1"),) if skip else ())) for i in range(7)]
        flood = [grid.ask("GET", path, *row, client=client).status for row in rows]
        time.sleep(0.05)
        flood.append(grid.ask("GET", path, client=client).status)
        if time.monotonic() < start + 0.9:
            return flood
    raise AssertionError("this machine is too busy to count requests in a second")


def routing(grid: Grid) -> str:
    """Say which request of the route ends elsewhere than at its upstream."""
    at = grid.sandbox.names["@UP@"]
    more: tuple[tuple[tuple[str, str], ...], ...] = ((), (("X-Skip", "1"),))
    for path, method, extra in itertools.product(PATHS, METHODS, more):
        answer = grid.ask(method, path, *extra)
        if [asked.at for asked in answer.asked] != [at]:
            return f"{method} {path} {extra}: {answer.status}, asked {answer.asked}"
    return ""


def denied(grid: Grid) -> str:
    """Say which denied path is served."""
    return next((f"{m} {path}" for path in BELOW for m in ("GET", "POST") if grid.ask(m, path).status == 200), "")


TRUTHS = {
    "exposed": exposed, "refused": refused, "granted": granted, "vary": vary, "headers": headers,
    "routing": routing, "denied": denied, "limit": limit,
}  # fmt: skip


# -- what the tool says --------------------------------------------------------------------------------------------


def judged(text: str, sandbox: Sandbox, version: str, folder: Path) -> tuple[Finding, ...]:
    """Check one configuration."""
    (folder / "nginx.conf").write_text("events {}\n" + sandbox.filled(text))
    (folder / "auditor.yaml").write_text(sandbox.filled(POLICY).replace("@VERSION@", version))
    return audit.check(Options("check", folder / "auditor.yaml")).findings


def verdicts(findings: tuple[Finding, ...]) -> dict[str, bool | None]:
    """Return for each family whether something is wrong; None where it is not decided."""
    result: dict[str, bool | None] = {}
    for family, checks in FAMILIES.items():
        said = {finding.verdict for finding in findings if finding.check in checks}
        undecided = bool(said & {Verdict.UNKNOWN, Verdict.ERROR})
        result[family] = True if Verdict.FAIL in said else None if undecided else False
    return result


@dataclass(slots=True)
class Study:
    """Counts of families: right, wrong and not decided."""

    right: int = 0
    undecided: int = 0
    broken: int = 0
    wrong: list[str] = field(default_factory=list)
    open: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def add(self, sandbox: Sandbox, names: tuple[str, ...], text: str, version: str, folder: Path) -> None:
        """Ask nginx and the tool about one configuration."""
        findings = judged(text, sandbox, version, folder)
        said = verdicts(findings)
        grid = Grid(sandbox)
        for family, truth in TRUTHS.items():
            if family in {"exposed", "limit"}:
                if not _started(sandbox, text, limited=family == "limit"):
                    self.refused += 1
                    return
                grid = Grid(sandbox)
            seen = truth(grid)
            self.broken += bool(seen)
            if said[family] is None:
                self.undecided += 1
                mine = [f for f in findings if f.check in FAMILIES[family] and f.verdict is Verdict.UNKNOWN]
                self.open.update(f"{family}: {f.message}" for f in mine)
            elif said[family] == bool(seen):
                self.right += 1
            else:
                fired = sorted({f.check for f in findings if f.verdict is Verdict.FAIL and f.check in FAMILIES[family]})
                what = f"missed: {seen}" if seen else f"false alarm of {', '.join(fired)}"
                self.wrong.append(f"{' + '.join(names)}: {family}: {what}")


def _started(sandbox: Sandbox, text: str, *, limited: bool) -> bool:
    """Start nginx with a configuration, its limits out of the way where they are not what is asked about."""
    head = "daemon off; master_process off; pid nginx.pid; error_log logs/error.log crit; events { worker_connections 256; }\n"
    places = "".join(f"{n}_temp_path tmp/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    real = text.replace("http {", "http { access_log off; " + places, 1)
    if not limited:
        real = re.sub(r"rate=\d+r/[sm]", "rate=100000r/s", re.sub(r"burst=\d+", "burst=100000", real))
    sandbox._next_ports()
    try:
        sandbox.start_text(head + sandbox.filled(real), ("127.0.0.1", int(sandbox.names["@P1@"])))
    except RefusedError:
        return False
    return True


def study(mutants: list[tuple[Mutant, ...]]) -> Study:
    """Try configurations, each changed by some operators."""
    binary = need_nginx()
    result = Study()
    with Sandbox(str(binary), quiet=1.0) as sandbox, tempfile.TemporaryDirectory() as folder:
        (sandbox.root / FILE).parent.mkdir()
        (sandbox.root / FILE).write_text("p {}")
        for group in mutants:
            text: str | None = CONFIGURATION
            for mutant in group:
                text = mutant.applied(text) if text is not None else None
            if text is not None:
                result.add(sandbox, tuple(m.name for m in group), text, nginx_version(binary), Path(folder))
    return result


@pytest.mark.nginx
def test_the_configuration_keeps_its_policy() -> None:
    """Neither nginx nor the tool finds anything wrong with the configuration that all others are made of."""
    found = study([()])
    assert found.wrong == []
    assert found.broken == 0
    assert found.undecided == 0


@pytest.mark.nginx
def test_every_operator_alone_is_judged_as_nginx_answers() -> None:
    """What each operator breaks is found, and what it does not break is not complained about."""
    found = study([(mutant,) for mutant in MUTANTS])
    assert found.wrong == []
    assert found.refused == 0
    assert found.broken > 60
    assert found.undecided <= 0.05 * (found.right + found.undecided), found.open


def pairs() -> list[tuple[Mutant, ...]]:
    """Return all pairs in an order drawn once."""
    found = list(itertools.combinations(MUTANTS, 2))
    random.Random(4).shuffle(found)
    return found


FOUND = [("one fixed origin", "no Vary on answers")]
"""Pairs that were once judged otherwise than nginx answered."""


@pytest.mark.nginx
def test_pairs_once_judged_otherwise_stay_settled() -> None:
    """An answer for one fixed origin still depends on who asks, where its credentials do."""
    named = {mutant.name: mutant for mutant in MUTANTS}
    found = study([tuple(named[name] for name in names) for names in FOUND])
    assert found.wrong == []
    assert found.right


@pytest.mark.nginx
@pytest.mark.parametrize("count", [20, pytest.param(5000, marks=pytest.mark.slow)])
def test_pairs_of_operators_are_judged_as_nginx_answers(count: int) -> None:
    """Two changes at once hide nothing and invent nothing."""
    found = study(pairs()[:count])
    assert found.wrong == []
    assert found.undecided <= 0.05 * (found.right + found.undecided), found.open


def main() -> None:
    """Run the study and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    groups: list[tuple[Mutant, ...]] = [(m,) for m in MUTANTS if arguments.only in m.name] if not arguments.skip else []
    groups += pairs()[arguments.skip : arguments.skip + arguments.pairs]
    found = study(groups)
    for line in found.wrong:
        sys.stdout.write(line + "\n")
    for text, count in found.open.most_common(20):
        sys.stdout.write(f"not decided {count} times: {text}\n")
    total = found.right + found.undecided + len(found.wrong)
    sys.stdout.write(
        f"{len(groups)} configurations, {found.refused} refused by nginx, {total} questions: {found.right} right, "
        f"{len(found.wrong)} wrong, {found.undecided} not decided; {found.broken} broken by nginx's answers\n"
    )


if __name__ == "__main__":
    main()
