"""Runs made by hand for the tests of renderers: one with everything in it, one in which every text is hostile."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from auditor.errors import Location
from auditor.exchange import Action, Exchange, Field, Headers, Outcome, Request, Response, Step
from auditor.finding import (
    CheckInfo,
    DoorAnswer,
    Finding,
    HeaderAnswer,
    LimitAnswer,
    Note,
    OriginAnswer,
    Run,
    Severity,
    Tables,
    TargetInfo,
    Verdict,
    WaiverUse,
    Witness,
)
from auditor.graph import Edge, Graph, NetworkArea, Node, Way

SITE = Path(__file__).parent / "golden" / "site"

HELP = """A sentence about it.

## What it checks

Whether it holds. See `add_header`.

## Why it matters

Because.

## Remediation

Repair it.

## References

- [CWE-942](https://cwe.mitre.org/data/definitions/942.html)
"""

CHECKS = (
    CheckInfo("cors-origin-not-allowed", "An origin outside the policy may read", Severity.HIGH, "0.1.0", HELP),
    CheckInfo("header-missing", "A promised response header is missing", Severity.MEDIUM, "0.1.0", HELP),
    CheckInfo("header-wrong-value", "A header has another value", Severity.MEDIUM, "0.1.0", HELP),
    CheckInfo("rate-limit-too-loose", "A rate limit is looser than the policy", Severity.MEDIUM, "0.1.0", HELP),
    CheckInfo("rule-not-evaluated", "A clause of the policy was not evaluated", Severity.MEDIUM, "0.1.0", HELP),
    CheckInfo("server-version-disclosed", "The Server header tells the version", Severity.LOW, "0.1.0", HELP),
)

POLICY = "auditor.yaml"
CONF = "nginx.conf"
ORIGIN = "https://appxshop.example"


_EDGES = (
    Edge("internet", "door", "ports", "", Location("compose.yaml", 9, 9)),
    Edge("door", "app", "direct", "app:8000"),
    Edge("internet", "nginx", "listen 80", "", Location(CONF, 9, 9)),
    Edge("nginx", "app", "location /api/", "app:8000", Location(CONF, 14, 13)),
)
GRAPH = Graph(
    nodes=(
        Node("internet", "outside", "internet"),
        Node("door", "service", "shop.example:8000", Location("compose.yaml", 9, 9)),
        Node("nginx", "layer", "nginx", Location(CONF, 8, 5), ("edge",)),
        Node("app", "backend", "app:8000", None, ("edge",)),
    ),
    edges=_EDGES,
    networks=(NetworkArea("edge", internal=True),),
    ways=(
        Way(_EDGES[:2], "internet \u2192 shop.example:8000 \u2192 app:8000", ("nginx",)),
        Way(_EDGES[2:], "internet \u2192 nginx \u2192 app:8000"),
    ),
)


def exchange(kind: Any, value: str, *, status: int = 200) -> Exchange:
    """Return an answer to the witness with this Access-Control-Allow-Origin."""
    request = Request("GET", "/api/", Headers.of([("Host", "shop.example"), ("Origin", ORIGIN)]))
    made = Location(CONF, 13, 13, 23)
    headers = Headers(
        (
            Field("Access-Control-Allow-Origin", value, made),
            Field("Set-Cookie", "session=0123456789; Path=/"),
            Field("Server", "nginx/1.31.3"),
        )
    )
    steps = (
        Step("server", Location(CONF, 8, 5), "the only one on port 80"),
        Step("location", Location(CONF, 11, 9), "longest prefix"),
    )
    action = Action("observed") if kind == "observed" else Action("proxy", "http://app:8000/api/")
    when = "observed" if kind == "observed" else "upstream-success"
    return Exchange(kind, request, Outcome(when, Response(status, headers), action, why=steps))


def full_run() -> Run:
    """Return a run with a finding of every verdict, evidence and disposition, and with every table filled."""
    predicted = exchange("predicted", ORIGIN)
    witness = Witness(predicted.request)
    findings = (
        Finding(
            "cors-origin-not-allowed",
            "api.cors",
            Verdict.FAIL,
            Severity.HIGH,
            f"a page at {ORIGIN} can read GET /api/ with the user's cookies",
            subject="a",
            route="api",
            rule_location=Location(POLICY, 9, 5),
            notes=(
                Note(Location(CONF, 5, 9, 37), "accepts an origin that the policy does not name"),
                Note(Location(CONF, 13, 13, 23), "and this line sends it back"),
            ),
            expected="no Access-Control-Allow-Origin for an origin outside the policy",
            observed=f"Access-Control-Allow-Origin: {ORIGIN}",
            witness=witness,
            exchanges=(predicted, exchange("observed", ORIGIN)),
            evidence="both",
            disposition="open",
            remediation='"." stands for any character; write "~^https://app\\.shop\\.example$"',
            in_browser="Chromium let the page read the answer",
        ),
        Finding(
            "cors-origin-not-allowed",
            "api.cors",
            Verdict.FAIL,
            Severity.HIGH,
            "a page at https://app.shop.example.evil.example can read GET /api/ with the user's cookies",
            subject="b",
            route="api",
            rule_location=Location(POLICY, 9, 5),
            notes=(Note(Location(CONF, 5, 9, 37), "accepts an origin that the policy does not name"),),
            witness=witness,
            exchanges=(predicted, exchange("observed", "https://app.shop.example", status=403)),
            evidence="contradicted",
            disposition="open",
        ),
        Finding(
            "rate-limit-too-loose",
            "api.rate_limit",
            Verdict.FAIL,
            Severity.MEDIUM,
            "121 requests at once passed, the policy allows 21",
            subject="c",
            route="api",
            rule_location=Location(POLICY, 11, 5),
            expected="at most 10 requests a second, burst 20",
            observed="121 of 140 requests at once passed, then 503",
            witness=witness,
            evidence="observed",
            disposition="open",
        ),
        Finding(
            "header-missing",
            "api.headers.X-Content-Type-Options",
            Verdict.FAIL,
            Severity.MEDIUM,
            "/api/ is answered without X-Content-Type-Options",
            subject="d",
            route="api",
            rule_location=Location(POLICY, 10, 15),
            notes=(Note(Location(CONF, 11, 9, 17), "answers without it"),),
            witness=witness,
            exchanges=(predicted,),
            disposition="waived",
            waiver="W-14: Until the v3 cut-over. (web@shop.example, until 2026-12-31)",
        ),
        Finding(
            "server-version-disclosed",
            "api.headers.Server",
            Verdict.FAIL,
            Severity.LOW,
            "Server: nginx/1.31.3",
            subject="e",
            route="api",
            rule_location=Location(POLICY, 10, 48),
            notes=(Note(Location(CONF, 11)),),
            witness=witness,
            exchanges=(predicted,),
            disposition="baselined",
            waiver="in the baseline since 2026-10-01",
        ),
        Finding(
            "header-wrong-value",
            "api.headers.X-Content-Type-Options",
            Verdict.ERROR,
            Severity.MEDIUM,
            "the check raised ValueError: no value",
            route="api",
            rule_location=Location(POLICY, 10, 15),
            disposition="open",
        ),
        Finding(
            "rule-not-evaluated",
            "tls.min_version",
            Verdict.UNKNOWN,
            Severity.MEDIUM,
            "tls.min_version: no probe reached this rule: nothing was evaluated",
            disposition="open",
        ),
        Finding(
            "header-wrong-value",
            "api.headers.Server",
            Verdict.PASS,
            Severity.INFO,
            "12 evaluated",
            route="api",
            rule_location=Location(POLICY, 10, 48),
            evidence="both",
        ),
    )
    return Run(
        "audit",
        findings,
        CHECKS,
        policy_name="shop",
        policy_file=POLICY,
        policy_sha256="1" * 64,
        environment="prod",
        extends=(("builtin:owasp-secure-headers", "2" * 64),),
        targets=(
            TargetInfo("live", "http", entrypoints=(("web", "http://shop.example"),)),
            TargetInfo("nginx", "nginx", ((CONF, "3" * 64),)),
        ),
        routes=("api",),
        cells=60,
        requests_evaluated=120,
        requests_sent=40,
        started="2026-11-28T07:00:00+00:00",
        finished="2026-11-28T07:00:09+00:00",
        git=("0123456789abcdef0123456789abcdef01234567", True),
        today="2026-11-28",
        vantage="runner",
        graph=GRAPH,
        tables=Tables(
            origins=(
                OriginAnswer(
                    "api", "read", "https://app.shop.example", "https same host", "allowed", "allowed", "allowed"
                ),
                OriginAnswer("api", "read", ORIGIN, "https lookalike", "refused", "allowed", "allowed"),
                OriginAnswer("api", "read", "null", "null", "refused", "refused", ""),
                OriginAnswer(
                    "api", "preflight", "https://app.shop.example", "https same host", "allowed", "partly", ""
                ),
                OriginAnswer("api", "preflight", "null", "null", "refused", "unknown", ""),
            ),
            headers=(
                HeaderAnswer("api", "Server", "no match of [0-9]", ("nginx/1.31.3",), Verdict.FAIL, Verdict.FAIL),
                HeaderAnswer("api", "X-Content-Type-Options", "nosniff", (), Verdict.FAIL, None),
            ),
            limits=(
                LimitAnswer(
                    "api",
                    "10 requests a second, burst 20, status 429",
                    (Note(Location(CONF, 12, 13), "zone api: 50 requests a second, burst 100, status 503"),),
                    "121 of 140 requests at once passed, then 503",
                ),
            ),
            doors=(
                DoorAnswer(
                    "shop.example:8000", "closed", (Note(Location("compose.yaml", 9, 9), "published"),), "refused"
                ),
            ),
        ),
        waivers=(
            WaiverUse(
                "W-14", ("header-missing",), ("api",), "Until the v3 cut-over.", "web@shop.example", "2026-12-31", "", 1
            ),
            WaiverUse("W-9", ("csp-wildcard",), (), "Old.", "web@shop.example", "2026-11-01", "SEC-1", 0),
        ),
    )


HOSTILE = (
    "\x1b[31mred\x1b]8;;http://evil.example\x07 \u202e\u200b"
    "<script>document.title='pwned'</script><img src=http://evil.example/x onerror=document.title='pwned'>"
    "</title></style></pre></details><!-- --><svg/onload=document.title='pwned'>"
    "| a | [click](javascript:alert(1)) ![i](http://evil.example/i.png) http://evil.example www.evil.example "
    "<http://evil.example> a@evil.example @octocat octo/repo#1 #1 `x` ``` **bold** $x$ {0} {1} {{0}} [1](2) [x](3) "
    "\n::error file=x::pwned\n::set-output name=a::b ##[error]pwned ##[add-path]/evil %0A::error::pwned "
    "$(touch pwned) `touch pwned` ; touch pwned ' \" \\ && touch pwned ]]> &lt; &#0; \ufffe \r\n# heading\n\n"
)
"""What a server, a configuration or a page could say to make a report do something."""


def hostile_run() -> Run:
    """Return the full run with the hostile text put into every text that a server or a configuration decides."""
    return _poisoned(full_run())


KEPT = frozenset(
    {
        "check",
        "id",
        "verdict",
        "severity",
        "evidence",
        "disposition",
        "since",
        "command",
        "started",
        "finished",
        "today",
    }
    | {"expires", "route", "routes", "kind", "question", "policy_sha256", "checks", "title", "help"}
    | {"type", "when", "scheme", "version", "layer", "extends", "git"}
)
"""Fields that only the policy's grammar, this program or the clock can fill."""


def _poisoned(value: Any, name: str = "") -> Any:
    if name in KEPT or isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return f"{value}{HOSTILE}" if value else value
    if isinstance(value, tuple):
        return tuple(_poisoned(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        skipped = {OriginAnswer: {"expected", "predicted", "observed"}, Edge: {"source", "target"}}.get(
            type(value), set()
        )
        changed = {
            item.name: _poisoned(getattr(value, item.name), item.name)
            for item in fields(value)
            if item.init and item.name not in skipped
        }
        return replace(value, **changed)
    return value


def big_run(number: int) -> Run:
    """Return a run of a policy with so many routes, each with a finding of three checks at a line of its own."""
    base = full_run()
    origin, header, limit = base.findings[0], base.findings[3], base.findings[2]
    names = tuple(f"service-{n:03}" for n in range(number))
    findings: list[Finding] = []
    for n, name in enumerate(names):
        at = tuple(replace(note, location=replace(note.location, line=2 + n % 15)) for note in origin.notes)
        for pattern in (origin, header, limit):
            made = replace(
                pattern, route=name, subject=f"{name}{pattern.check}", rule=f"{name}.cors", disposition="open"
            )
            places = tuple(
                replace(note, location=Location(f"conf.d/{name}.conf", note.location.line, 5, 9))
                for note in pattern.notes
            )
            findings.append(replace(made, notes=places or at[:0], message=f"{pattern.message} ({name})"))
    origins = [f"https://app{n}.shop.example" for n in range(12)]
    asked = tuple(
        OriginAnswer(
            name, question, o, "https foreign", "refused", "allowed" if o.endswith("1.shop.example") else "refused"
        )
        for question in ("read", "preflight")
        for name in names
        for o in origins
    )
    headers = tuple(
        HeaderAnswer(name, f"X-Header-{h}", "nosniff", ("nosniff",), Verdict.PASS) for name in names for h in range(10)
    )
    passes = tuple(
        Finding(
            "header-missing", f"{name}.headers.X-Header-{h}", Verdict.PASS, Severity.INFO, "9 evaluated", route=name
        )
        for name in names
        for h in range(10)
    )
    return replace(
        base,
        findings=(*findings, *passes),
        routes=names,
        tables=Tables(asked, headers, base.tables.limits, base.tables.doors),
    )
