"""The field: what servers get wrong about origins, preflights, caches and headers, each flaw beside its safe twin.

A flaw is written once, as what the server does (`bad`) and what its twin does (`good`); `field_nginx` turns both into
nginx's own language. The origin that the policy trusts is `TRUSTED` throughout; whether that is the target's own host
or a partner's is the caller's choice of the target's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

TRUSTED = "https://app.partner.net"
EXACT = (TRUSTED,)
ANY = ("~.",)
POLICY: dict[str, Any] = {
    "allow_origins": [TRUSTED],
    "allow_methods": ["GET", "POST", "PUT"],
    "allow_headers": ["Content-Type", "X-Token"],
    "expose_headers": ["X-Total"],
    "allow_credentials": True,
    "max_age": {"max": "1h"},
    "vary": ["Origin"],
    "null_origin": "deny",
    "on_error": "keep",
}


@dataclass(frozen=True)
class Side:
    """What one side of a flaw's pair answers.

    The first fields are keys of an nginx `map` of the Origin: those that match are sent back. Each of the others says
    in which case something else holds. `extra` and `extra_preflight` are header lines sent besides.
    """

    get: tuple[str, ...] = EXACT
    post: tuple[str, ...] | None = None
    error: tuple[str, ...] | None = None
    json: tuple[str, ...] | None = None
    preflight: tuple[str, ...] | None = None
    http2: tuple[str, ...] | None = None
    second_host: tuple[str, ...] | None = None
    star: bool = False
    credentials: str = "granted"
    vary: str | None = "Origin"
    vary_without_origin: bool = True
    methods: str = '"GET, POST, PUT"'
    headers: str = '"Content-Type, X-Token"'
    max_age: str = "600"
    preflight_status: int = 204
    extra: tuple[str, ...] = ()
    extra_preflight: tuple[str, ...] = ()
    always: bool = True
    on_head: bool = True


@dataclass(frozen=True)
class Flaw:
    """One planted flaw: its name, the kind of it, what finds it, and both sides; `policy` changes the route's CORS."""

    name: str
    kind: str
    checks: frozenset[str]
    bad: Side
    good: Side = field(default_factory=Side)
    policy: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] | None = None


READS = frozenset({"cors-any-origin", "cors-origin-not-allowed", "cors-insecure-origin", "cors-null-origin"})


def reads(name: str, kind: str, *keys: str, safe: tuple[str, ...] = EXACT) -> Flaw:
    """Return a flaw of which origins may read: the keys of the flawed map, and those of the safe one."""
    return Flaw(name, kind, READS, Side(get=keys), Side(get=safe))


SAFE_REGEX = (r"~^https://app\.partner\.net$",)

ORIGINS = (
    reads("reflection", "reflection", "~."),
    Flaw(
        "reflection without credentials",
        "reflection",
        READS,
        Side(get=ANY, credentials=""),
        Side(credentials=""),
        {"allow_credentials": False},
    ),
    reads("any https origin", "reflection", "~^https://"),
    reads("any origin that has a dot", "reflection", r"~^https?://.+\..+$"),
    Flaw(
        "star", "reflection", READS, Side(star=True, credentials=""), Side(credentials=""), {"allow_credentials": False}
    ),
    reads("prefix", "prefix", r"~^https://app\.partner\.net", safe=SAFE_REGEX),
    reads("prefix and a dot", "prefix", r"~^https://app\.partner\.net(\.|$)", safe=SAFE_REGEX),
    reads("prefix up to the top-level domain", "prefix", r"~^https://app\.partner\."),
    reads(
        "the first of two alternatives is not anchored",
        "prefix",
        r"~^https://app\.partner\.net|https://nobody\.invalid$",
        safe=(*SAFE_REGEX,),
    ),
    reads("suffix", "suffix", r"~app\.partner\.net$", safe=SAFE_REGEX),
    reads("suffix over https", "suffix", r"~^https://.*app\.partner\.net$"),
    reads("suffix of the domain", "suffix", r"~partner\.net$"),
    reads("contained", "substring", r"~app\.partner\.net"),
    reads("contained domain", "substring", r"~partner\.net"),
    reads("a wildcard inside the host", "substring", r"~^https://app.*\.net$"),
    reads("all dots unescaped", "unescaped dot", "~^https://app.partner.net$", safe=SAFE_REGEX),
    reads("the first dot unescaped", "unescaped dot", r"~^https://app.partner\.net$", safe=SAFE_REGEX),
    reads("the last dot unescaped", "unescaped dot", r"~^https://app\.partner.net$", safe=SAFE_REGEX),
    reads(
        "an optional group with an unescaped dot",
        "unescaped dot",
        r"~^https://(app.)?partner\.net$",
        safe=(r"~^https://(app\.)partner\.net$",),
    ),
    reads("any subdomain", "subdomain", r"~^https://([a-z0-9-]+\.)*app\.partner\.net$"),
    reads("one level of subdomains", "subdomain", r"~^https://([a-z0-9-]+\.)?app\.partner\.net$"),
    reads("siblings", "sibling", r"~^https://[a-z0-9-]+\.partner\.net$"),
    reads("siblings of any depth", "sibling", r"~^https://(.+\.)?partner\.net$"),
    reads(
        "anything that is no letter, digit, dot or hyphen",
        "special character",
        r"~^https://app\.partner\.net([^.\-a-zA-Z0-9:]+.*)?$",
        safe=SAFE_REGEX,
    ),
    reads(
        "anything that is no word character",
        "special character",
        r"~^https://app\.partner\.net([^\w.:-].*)?$",
        safe=SAFE_REGEX,
    ),
    reads("a word boundary for an anchor", "special character", r"~^https://app\.partner\.net\b", safe=SAFE_REGEX),
    reads("a negative look-ahead for an anchor", "special character", r"~^https://app\.partner\.net(?![a-z0-9.-])"),
    reads("any port", "port", r"~^https://app\.partner\.net(:[0-9]+)?$", safe=SAFE_REGEX),
    reads("a four-digit port", "port", r"~^https://app\.partner\.net(:[0-9]{4})?$"),
    reads("anything after a colon", "port", r"~^https://app\.partner\.net(:.*)?$"),
    reads("http too", "scheme", r"~^https?://app\.partner\.net$", safe=SAFE_REGEX),
    reads("any scheme", "scheme", r"~^[a-z]+://app\.partner\.net$", safe=SAFE_REGEX),
    reads("any plain http", "scheme", TRUSTED, "~^http://"),
    reads("null", "null", TRUSTED, "null"),
    reads("null in an expression", "null", r"~^(null|https://app\.partner\.net)$", safe=SAFE_REGEX),
    reads("localhost on the usual port", "localhost", TRUSTED, "http://localhost:3000"),
    reads("localhost on any port", "localhost", TRUSTED, r"~^http://localhost(:[0-9]+)?$"),
    reads("localhost as a prefix", "localhost", TRUSTED, "~^https?://localhost"),
    reads("everybody's pages on a hosting service", "third party", TRUSTED, r"~^https://[a-z0-9-]+\.github\.io$"),
)

ELSEWHERE = (
    Flaw("on errors only", "errors", READS, Side(error=ANY)),
    Flaw("on POST only", "methods", READS, Side(post=ANY)),
    Flaw("on preflights only", "preflight", READS, Side(preflight=ANY)),
    Flaw("under a suffix only", "path", READS, Side(json=ANY)),
    Flaw("over HTTP/2 only", "HTTP/2", READS, Side(http2=ANY)),
    Flaw("for a second Host only", "host", READS, Side(second_host=ANY)),
    Flaw(
        "on errors, prefix",
        "errors",
        READS,
        Side(get=SAFE_REGEX, error=(r"~^https://app\.partner\.net",)),
        Side(get=SAFE_REGEX),
    ),
    Flaw("null on POST only", "methods", READS, Side(post=(TRUSTED, "null"))),
)

GRANTS = (
    Flaw(
        "star with credentials",
        "credentials",
        frozenset({"cors-wildcard-with-credentials"}),
        Side(star=True, credentials='"true"'),
        Side(star=True, credentials="", vary=None),
        {"allow_origins": ["*"], "allow_credentials": False, "vary": [], "null_origin": "allow"},
    ),
    Flaw(
        "credentials against the policy",
        "credentials",
        frozenset({"cors-credentials-not-allowed"}),
        Side(),
        Side(credentials=""),
        {"allow_credentials": False},
    ),
    Flaw("credentials missing", "credentials", frozenset({"cors-credentials-missing"}), Side(credentials="")),
    Flaw(
        "credentials misspelt",
        "credentials",
        frozenset({"cors-credentials-missing", "cors-malformed-value"}),
        Side(credentials='"True"'),
    ),
    Flaw(
        "credentials header for everybody",
        "credentials",
        frozenset({"cors-headers-for-disallowed-origin"}),
        Side(credentials='"true"'),
    ),
    Flaw("no Vary", "caching", frozenset({"cors-vary-origin-missing"}), Side(vary=None)),
    Flaw(
        "Vary by something else",
        "caching",
        frozenset({"cors-vary-origin-missing"}),
        Side(vary="Accept-Encoding"),
        Side(vary="Accept-Encoding, Origin"),
    ),
    Flaw(
        "no Vary without an Origin", "caching", frozenset({"cors-vary-origin-missing"}), Side(vary_without_origin=False)
    ),
    Flaw(
        "every method asked for",
        "methods",
        frozenset({"cors-method-not-allowed"}),
        Side(methods="$http_access_control_request_method"),
        Side(methods="$asked_method"),
    ),
    Flaw(
        "a method too many", "methods", frozenset({"cors-method-not-allowed"}), Side(methods='"GET, POST, PUT, DELETE"')
    ),
    Flaw(
        "all methods",
        "methods",
        frozenset({"cors-method-not-allowed"}),
        Side(methods='"*"', credentials=""),
        Side(credentials=""),
        {"allow_credentials": False},
    ),
    Flaw("a method too few", "methods", frozenset({"cors-method-refused"}), Side(methods='"GET, POST"')),
    Flaw(
        "every header asked for",
        "headers",
        frozenset({"cors-header-not-allowed"}),
        Side(headers="$http_access_control_request_headers"),
        Side(headers="$asked_headers"),
    ),
    Flaw(
        "a header too many",
        "headers",
        frozenset({"cors-header-not-allowed"}),
        Side(headers='"Content-Type, X-Token, X-Admin"'),
    ),
    Flaw(
        "all headers",
        "headers",
        frozenset({"cors-header-not-allowed"}),
        Side(headers='"*"', credentials=""),
        Side(credentials=""),
        {"allow_credentials": False},
    ),
    Flaw("a header too few", "headers", frozenset({"cors-header-refused"}), Side(headers='"Content-Type"')),
    Flaw(
        "the header twice",
        "duplicates",
        frozenset({"cors-duplicate-header"}),
        Side(extra=("Access-Control-Allow-Origin $mine",)),
    ),
    Flaw(
        "the credentials header twice",
        "duplicates",
        frozenset({"cors-duplicate-header"}),
        Side(extra=('Access-Control-Allow-Credentials "true"',)),
    ),
    Flaw(
        "two origins in one header",
        "syntax",
        frozenset({"cors-malformed-value", "cors-origin-refused"}),
        Side(star=True, credentials="", extra=("X-Unused 1",), get=("two",)),
        Side(credentials=""),
        {"allow_credentials": False},
    ),
    Flaw(
        "the allowed origin is refused",
        "availability",
        frozenset({"cors-origin-refused"}),
        Side(get=("https://www.partner.net",)),
        Side(),
        {"allow_origins": [TRUSTED]},
    ),
    Flaw(
        "an undeclared header is exposed",
        "exposed headers",
        frozenset({"cors-exposed-header-unlisted"}),
        Side(extra=('Access-Control-Expose-Headers "X-Total, X-Secret"',)),
        Side(extra=("Access-Control-Expose-Headers $total",)),
    ),
    Flaw("a preflight is kept for a day", "max-age", frozenset({"cors-max-age-out-of-range"}), Side(max_age="86400")),
    Flaw("the preflight is no success", "preflight", frozenset({"cors-preflight-fails"}), Side(preflight_status=403)),
    Flaw("the preflight is redirected", "preflight", frozenset({"cors-preflight-fails"}), Side(preflight_status=301)),
    Flaw("the preflight names no origin", "preflight", frozenset({"cors-preflight-fails"}), Side(preflight=("~^$",))),
    Flaw("lost on errors", "errors", frozenset({"cors-lost-on-error"}), Side(always=False)),
    Flaw(
        "private networks",
        "private network",
        frozenset({"cors-private-network-allowed"}),
        Side(extra_preflight=('Access-Control-Allow-Private-Network "true"',)),
    ),
)

PROMISED = {"X-Content-Type-Options": "nosniff"}
NOSNIFF = ('X-Content-Type-Options "nosniff"',)
HEADERS = (
    Flaw(
        "no nosniff", "security headers", frozenset({"header-missing"}), Side(), Side(extra=NOSNIFF), headers=PROMISED
    ),
    Flaw(
        "a wrong value",
        "security headers",
        frozenset({"header-wrong-value"}),
        Side(extra=('X-Content-Type-Options "sniff"',)),
        Side(extra=NOSNIFF),
        headers=PROMISED,
    ),
    Flaw(
        "lost on errors only",
        "security headers",
        frozenset({"header-lost-on-error"}),
        Side(extra=NOSNIFF, always=False),
        Side(extra=NOSNIFF),
        {"on_error": "any"},
        headers=PROMISED,
    ),
    Flaw(
        "not on HEAD",
        "security headers",
        frozenset({"header-missing"}),
        Side(extra=NOSNIFF, on_head=False),
        Side(extra=NOSNIFF),
        headers=PROMISED,
    ),
)

FLAWS: tuple[Flaw, ...] = (*ORIGINS, *ELSEWHERE, *GRANTS, *HEADERS)


def sides() -> list[tuple[str, Flaw, Side, bool]]:
    """Return every URL's name, its flaw, what it does, and whether it is the flawed side."""
    found = []
    for number, flaw in enumerate(FLAWS, 1):
        found.append((f"f{number:02d}", flaw, flaw.bad, True))
        found.append((f"s{number:02d}", flaw, flaw.good, False))
    return found


def policy(
    host: str, entrypoints: dict[str, str], resolve: dict[str, str], *, only: Sequence[str] = (), **target: Any
) -> dict[str, Any]:
    """Return the policy of the whole field, or of `only` these URLs: one route a URL."""
    routes = []
    for name, flaw, _, _ in sides():
        if only and name not in only:
            continue
        match = [{"paths": [f"/{name}", f"/{name}.json", f"/{name}/**"]}]
        route: dict[str, Any] = {
            "id": name,
            "match": match,
            "probes": [{"path": f"/{name}"}],
            "cors": {**POLICY, **flaw.policy},
        }
        if flaw.headers is not None:
            route["headers"] = flaw.headers
        routes.append(route)
    live = {"id": "live", "type": "http", "entrypoints": entrypoints, "resolve": resolve, "allow_unsafe_methods": True}
    live["limits"] = {"requests_per_second": 5000, "concurrency": 4, "timeout": "5s", "max_requests": 100_000, **target}
    return {"version": 1, "name": f"field at {host}", "targets": [live], "routes": routes}


def changed(side: Side, **fields: Any) -> Side:
    """Return a side with something else about it."""
    return replace(side, **fields)
