"""Loading a policy: layers of files, environments, variables, and every mistake said at its place."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import PolicyError, Problem, UsageError
from auditor.finding import Severity
from auditor.policy.load import LoadedPolicy, load_policy, load_profiles

NOW = date(2026, 11, 24)
FULL = Path(__file__).parent / "cases" / "policy" / "full.yaml"
ROUTE = "version: 1\nroutes:\n  - id: api\n    match: [{paths: [/api/**]}]\n"
CHECKS = ("csp-unsafe-inline", "cors-vary-origin-missing", "https-redirect-missing")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files into an empty folder, which is then the working directory."""
    monkeypatch.chdir(tmp_path)
    return Write(tmp_path)


class Write:
    """A folder of policy files."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder."""
        self.folder = folder

    def __call__(self, text: str, name: str = "p.yaml") -> Path:
        """Write one file; return its path from the folder."""
        path = Path(name)
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")
        return path


def load(path: Path, **given: object) -> LoadedPolicy:
    """Load on a fixed day."""
    return load_policy(path, **{"now": NOW, **given})  # type: ignore[arg-type]


def problems(path: Path, **given: object) -> tuple[Problem, ...]:
    """Return what is wrong with a policy that has to be wrong."""
    with pytest.raises(PolicyError) as error:
        load(path, **given)
    return error.value.problems


def said(path: Path, **given: object) -> list[str]:
    """Return the problems as `line:column path: message (hint)`."""
    return [
        f"{p.location.line}:{p.location.column} {p.path}: {p.message} ({p.hint})"
        if p.location
        else f"{p.message} ({p.hint})"
        for p in problems(path, **given)
    ]


def test_values_are_what_the_clauses_mean() -> None:
    """Durations are seconds, rates requests per second, words of severity a scale."""
    policy = load(FULL).policy
    api = policy.routes[0]
    assert api.rate_limit is not None
    assert (api.rate_limit.rate, api.rate_limit.burst, api.rate_limit.severity) == (1.0, 20, Severity.HIGH)
    assert api.cors is not None
    assert api.cors.max_age is not None
    assert (api.cors.max_age.min, api.cors.max_age.max) == (60, 7200)
    assert [o.exact or o.pattern or o.regex for o in api.cors.allow_origins] == [
        "https://app.example.com", "https://*.preview.example.com", r"^https://[a-z]+\.example\.net$", "https://*.github.io", "https://b.example",
    ]  # fmt: skip
    assert api.headers["Strict-Transport-Security"].hsts is not None
    assert api.headers["Strict-Transport-Security"].hsts.min_max_age == 730 * 86400
    assert policy.settings.fail_on is Severity.LOW
    live = policy.target("live")
    assert live is not None
    assert (live.resolve, live.limits.timeout, live.allow_unsafe_methods) == (
        {"shop.example.com:443": "127.0.0.1:8443"},
        1.5,
        True,
    )
    assert policy.waivers[0].expires == date(2027, 2, 1)


def test_an_environment_is_laid_over_the_policy() -> None:
    """Variables, targets by id, and null that removes; layers follow the targets."""
    dev = load(FULL, environment="dev")
    assert [target.id for target in dev.policy.targets] == ["web"]
    assert dev.policy.layers == ("web",)
    assert dev.policy.tls is None
    assert dev.policy.waivers == ()
    assert dev.policy.routes[0].match[0].hosts == ("localhost", "*.localhost")
    prod = load(FULL, environment="prod").policy
    assert prod.checks["https-redirect-missing"].severity is Severity.CRITICAL
    assert prod.checks["cors-vary-origin-missing"].enabled is False


def test_an_environment_that_is_not_there_is_a_usage_error() -> None:
    """With the nearest name."""
    with pytest.raises(UsageError) as error:
        load(FULL, environment="prd")
    assert "did you mean 'prod'?" in error.value.hint


def test_profiles_lie_under_the_policy_and_are_named_with_their_hashes() -> None:
    """Left to right, transitive, each once."""
    loaded = load(FULL)
    assert [name for name, _ in loaded.extends] == ["builtin:owasp-secure-headers@1", "builtin:cors-strict@2"]
    assert all(len(digest) == 64 for _, digest in loaded.extends)
    headers = loaded.policy.routes[0].headers
    assert headers["Referrer-Policy"].one_of
    assert "X-Frame-Options" not in headers
    assert headers["Server"].absent is True
    assert headers["Server"].not_regex is None
    assert headers["Server"].rationale
    assert loaded.locate("routes[0].headers.Referrer-Policy").file == "builtin:owasp-secure-headers"
    assert loaded.locate("routes[0].headers.Server").file == str(FULL)


def test_a_clause_at_the_top_holds_for_every_route_and_for_everything_else(write: Write) -> None:
    """Else a page outside of all routes would keep no promise, and nobody would notice."""
    text = (
        ROUTE
        + "    headers: {X-B: b, x-a: {severity: low}}\nheaders: {X-A: a}\ncors: {allow_origins: [https://a.example]}\n"
    )
    policy = load(write(text)).policy
    assert [route.id for route in policy.routes] == ["api", "everything-else"]
    assert list(policy.routes[0].headers) == ["x-a", "X-B"]
    assert (policy.routes[0].headers["x-a"].exact, policy.routes[0].headers["x-a"].severity) == ("a", Severity.LOW)
    assert policy.routes[1].headers["X-A"].exact == "a"
    assert policy.routes[1].match[0].paths == ("/**",)


def test_everything_else_keeps_to_the_hosts_of_the_policy(write: Write) -> None:
    """Another site in the same configuration is another policy's business."""
    text = (
        "version: 1\nheaders: {X-A: a}\nroutes:\n  - {id: a, match: [{hosts: [b.example, a.example], paths: [/a]}]}\n"
    )
    assert load(write(text)).policy.routes[1].match[0].hosts == ("a.example", "b.example")


@pytest.mark.parametrize("match", ["{paths: [/**]}", "{hosts: [a.example]}", "{hosts: [a.example], paths: [/x, /**]}"])
def test_a_route_for_everything_leaves_nothing_else(write: Write, match: str) -> None:
    """The owner has already said what holds there."""
    text = f"version: 1\nheaders: {{X-A: a}}\nroutes:\n  - {{id: a, match: [{{hosts: [a.example], paths: [/a]}}]}}\n  - {{id: b, match: [{match}]}}\n"
    assert [route.id for route in load(write(text)).policy.routes] == ["a", "b"]


def test_a_route_removes_what_the_top_says(write: Write) -> None:
    """Null removes in a route too, one header or the whole clause."""
    text = ROUTE + "    headers: {X-A: null}\n    cors: null\nheaders: {X-A: a, X-B: b}\ncors: {}\n"
    route = load(write(text)).policy.routes[0]
    assert list(route.headers) == ["X-B"]
    assert route.cors is None


@pytest.mark.parametrize(
    ("over", "enabled", "origins"),
    [("{allow_origins: [https://a.example]}", True, 1), ("{enabled: false}", False, 0), ("{vary: [Origin]}", False, 0)],
)
def test_cors_that_is_off_ends_where_origins_are_allowed(write: Write, over: str, enabled: bool, origins: int) -> None:
    """`no-cross-origin` extended by a route that lists origins means those origins."""
    text = ROUTE + f"    cors: {over}\ncors: {{enabled: false}}\n"
    if "vary" in over:
        assert "cors is off" in said(write(text))[0]
        return
    cors = load(write(text)).policy.routes[0].cors
    assert cors is not None
    assert (cors.enabled, len(cors.allow_origins)) == (enabled, origins)


def test_files_extend_each_other_left_to_right(write: Write) -> None:
    """Mappings merge, lists replace, null removes, the last file wins; each value keeps its file."""
    write(
        "version: 1\nname: a\ntls: {min_version: '1.2', redirect: required}\nlayers: [x]\nerror_pages: {contains: [a]}\n",
        "base/a.yaml",
    )
    write("version: 1\nextends: [a.yaml]\ntls: {min_version: '1.3'}\nerror_pages: {contains: [b]}\n", "base/b.yaml")
    path = write("version: 1\nextends: [base/a.yaml, base/b.yaml]\nlayers: null\ntls: {redirect: null}\n", "top.yaml")
    loaded = load(path)
    assert loaded.policy.name == "top"
    assert loaded.policy.tls is not None
    assert (loaded.policy.tls.min_version, loaded.policy.tls.redirect) == ("1.3", None)
    assert loaded.policy.layers == ()
    assert loaded.policy.error_pages is not None
    assert loaded.policy.error_pages.contains == ("b",)
    assert str(loaded.locate("tls.min_version")) == "base/b.yaml:3:7"
    assert [name for name, _ in loaded.extends] == ["base/a.yaml", "base/b.yaml"]


def test_files_that_a_policy_names_are_relative_to_the_file_that_names_them(write: Write) -> None:
    """As with every other tool that extends."""
    write("version: 1\ntargets: [{id: n, type: nginx, files: [nginx.conf]}]\n", "base/a.yaml")
    loaded = load(write("version: 1\nextends: [base/a.yaml]\ntls: {redirect: required}\n"))
    assert loaded.folder("targets[0].files[0]") == Path("base")


def test_a_circle_is_refused_with_its_chain(write: Write) -> None:
    """A extends b extends a."""
    write("version: 1\nextends: [./p.yaml]\n", "b.yaml")
    (problem,) = [p for p in problems(write(ROUTE + "extends: [b.yaml]\n")) if "extend each other" in p.message]
    assert problem.message.endswith("p.yaml -> b.yaml -> p.yaml")
    assert str(problem.location) == "b.yaml:2:11"


@pytest.mark.parametrize(
    ("extends", "says"),
    [
        ("[builtin:owasp]", "no built-in profile 'owasp'"),
        ("[builtin:cors-stric]", "did you mean 'cors-strict'?"),
        ("[builtin:cors-strict@7]", "is version 2 here, not 7"),
        ("[missing.yaml]", "extends a policy that is not there: missing.yaml"),
        ("[https://example.com/p.yaml]", "not a path relative to this file"),
        ("[/etc/passwd]", "not a path relative to this file"),
        ("[builtin:../pyproject]", "no built-in profile"),
        ("[3]", "3 is no policy"),
        ("builtin:api", "write [builtin:api]"),
        ("[.]", "is not a file"),
        ("[old.yaml]", "the version is not 1"),
        ("[none.yaml]", "the policy has no 'version'"),
    ],
)
def test_what_cannot_be_extended_is_said(write: Write, extends: str, says: str) -> None:
    """At the item that names it, or in the file that it names."""
    write("version: 2\n", "old.yaml")
    write("name: x\n", "none.yaml")
    assert any(says in line for line in said(write(ROUTE + f"extends: {extends}\n")))


def test_variables_fill_strings_and_keep_their_types(write: Write) -> None:
    """A string that is one reference takes the variable's type; `$${` is `${`; variables may refer to variables."""
    text = (
        "version: 1\nvariables: {n: 7, host: a.example, origin: 'https://${host}', lit: '$${x}'}\n"
        "routes:\n  - id: api\n    match: [{paths: [/api/**]}]\n    cors: {allow_origins: ['${origin}']}\n"
        "    headers: {X-N: '${n}.', X-L: '${lit} $${y}'}\n    rate_limit: {rate: '${n}/s', burst: '${n}'}\n"
    )
    route = load(write(text)).policy.routes[0]
    assert route.cors is not None
    assert route.cors.allow_origins[0].exact == "https://a.example"
    assert (route.headers["X-N"].exact, route.headers["X-L"].exact) == ("7.", "${x} ${y}")
    assert route.rate_limit is not None
    assert (route.rate_limit.rate, route.rate_limit.burst) == (7, 7)


def test_variables_of_the_command_line_win(write: Write) -> None:
    """Over the environment's, which win over the policy's."""
    text = ROUTE + "    headers: {X: '${v}'}\nvariables: {v: a}\nenvironments: {e: {variables: {v: b}}}\n"
    path = write(text)
    assert load(path).policy.routes[0].headers["X"].exact == "a"
    assert load(path, environment="e").policy.routes[0].headers["X"].exact == "b"
    assert load(path, environment="e", variables={"v": "c"}).policy.routes[0].headers["X"].exact == "c"
    assert said(path, variables={"vv": "c"}) == ["--var vv: no variable 'vv' (did you mean 'v'?)"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "headers: {X: '${hots}'}\nvariables: {host: a}",
            "1:14 headers.X: undefined variable 'hots' (did you mean 'host'?)",
        ),
        (
            "headers: {X: '${only}'}\nenvironments: {e: {variables: {only: a}}}",
            "(choose an environment that defines it: --env e)",
        ),
        ("headers: {X: 'a ${b'}", "has a ${ without }"),
        ("headers: {X: '${a b}'}", "is no variable"),
        ("headers: {X: '${a}'}\nvariables: {a: '${b}', b: '${a}'}", "refer to each other"),
        ("headers: {'${a}': x, b: y}\nvariables: {a: b}", "the key 'b' is given twice"),
        ("variables: {a: [1]}", "a list"),
    ],
)
def test_references_that_lead_nowhere_are_said(write: Write, text: str, says: str) -> None:
    """Nothing is replaced by nothing."""
    lines = said(write(f"{text}\nversion: 1\nroutes: [{{id: r, match: [{{}}]}}]\n"))
    assert any(says in line for line in lines), lines


def test_variables_cannot_be_made_to_explode(write: Write) -> None:
    """Neither by doubling nor by a long chain."""
    doubling = "".join(f"  v{n}: '${{v{n + 1}}}${{v{n + 1}}}'\n" for n in range(60)) + "  v60: xxxxxxxxxx\n"
    chain = "".join(f"  w{n}: '${{w{n + 1}}}'\n" for n in range(5000)) + "  w5000: x\n"
    started = time.perf_counter()
    lines = said(write(f"{ROUTE}variables:\n{doubling}{chain}"))
    assert any("expands to more than" in line for line in lines)
    assert any("over more than" in line for line in lines)
    assert time.perf_counter() - started < 5


def test_an_environment_that_nobody_chose_is_judged_too(write: Write) -> None:
    """A typo in prod is found on the developer's machine."""
    text = ROUTE + "environments:\n  prod: {tls: {min_vresion: '1.2'}, chekcs: {}, layers: [x]}\n  bad: 3\n"
    lines = said(write(text))
    assert [line.partition(" ")[2] for line in lines] == [
        "environments.prod.tls.min_vresion: unknown key 'min_vresion' (did you mean 'min_version'?)",
        "environments.prod.chekcs: unknown key 'chekcs' (did you mean 'checks'?)",
        "environments.prod.layers[0]: no target 'x' (no target has this id)",
        "environments.bad: the environment 'bad' is not a mapping (such as {variables: {…}})",
    ]


BAD = """\
version: 1
variables: {app: "https://app.example.com/"}
targets:
  - {id: web, type: ngin, files: [a]}
  - {id: web, type: nginx, files: a, version: 1.25}
layers: [wbe, live]
routes:
  - id: api
    match: [{hosts: [A.example], paths: [api], methods: [get]}]
    cors:
      allowOrigins: [x]
      allow_origins: ["${app}", "*", {pattern: "https://*.vercel.app"}, 5, {exact: a, regex: b}]
      allow_credentials: true
      max_age: 24h
      vary: Origin
      severity: hgih
    headers: {Server: {not_regx: x}, X-XSS-Protection: 0, X y: z, A: {}, B: {absent: true, exact: b}}
    rate_limit: {rate: 10, burst: "20"}
    timeouts: {read: {min: 3m, max: 2m}, send: {}}
    websocket: {missing_orign: deny}
  - {id: api, match: []}
tls: {min_version: 1.2, redirect: yes}
error_pages:
"""

EXPECTED = """\
4 | {id: web, type: ngin | targets[0]: 'ngin' is not one of asgi, compose, env, http, nginx, traefik (did you mean 'nginx'?)
5 | web | targets[1].id: the id 'web' is given twice (first on line 4) (ids name one thing)
5 | a, version | targets[1].files: 'a' is not a list (write [a])
5 | 1.25 | targets[1].version: 1.25 is not text (put it in quotes: "1.25")
6 | wbe | layers[0]: no target 'wbe' (did you mean 'web'?)
6 | live | layers[1]: no target 'live' (known: web)
9 | A.example | routes[0].match[0].hosts[0]: 'A.example' is not in lower case (write 'a.example')
9 | api | routes[0].match[0].paths[0]: 'api' is not a path (it starts with a slash, such as /api/**)
9 | get | routes[0].match[0].methods[0]: 'get' is not in upper case (methods are case-sensitive, write 'GET')
11 | allowOrigins | routes[0].cors.allowOrigins: unknown key 'allowOrigins' (did you mean 'allow_origins'?)
12 | "${app}" | routes[0].cors.allow_origins[0]: 'https://app.example.com/' is never sent by a browser
12 | "*" | routes[0].cors.allow_origins[1]: * together with allow_credentials: true in allow_origins
12 | "*" | routes[0].cors.allow_origins[1]: * beside other origins
12 | {pattern | routes[0].cors.allow_origins[2]: 'https://*.vercel.app' lets in everybody
12 | 5, | routes[0].cors.allow_origins[3]: not an origin
12 | {exact | routes[0].cors.allow_origins[4]: an origin is a string, {pattern: …} or {regex: …} (give exactly one of them)
14 | 24h | routes[0].cors.max_age: '24h' is one duration, not bounds (write {max: 24h} or {min: 24h})
15 | Origin | routes[0].cors.vary: 'Origin' is not a list (write [Origin])
16 | hgih | routes[0].cors.severity: 'hgih' is not one of info, low, medium, high, critical (did you mean 'high'?)
17 | not_regx | routes[0].headers.Server.not_regx: unknown key 'not_regx' (did you mean 'not_regex'?)
17 | 0, | routes[0].headers.X-XSS-Protection: 0 is not text (put it in quotes)
17 | X y | routes[0].headers["X y"]: 'X y' is not a header name
17 | {}, | routes[0].headers.A: says nothing about the value
17 | {absent | routes[0].headers.B: the header cannot be absent and have exact (keep one of them)
18 | 10 | routes[0].rate_limit.rate: 10 is not text (such as 10/s or 60/m)
18 | "20" | routes[0].rate_limit.burst: '20' is not a whole number (write it without quotes)
19 | {min | routes[0].timeouts.read: min is greater than max (swap them)
19 | {}} | routes[0].timeouts.send: states no bound (give min, max or both)
20 | missing_orign | routes[0].websocket.missing_orign: unknown key 'missing_orign' (did you mean 'missing_origin'?)
21 | api | routes[1].id: the id 'api' is given twice (first on line 8) (ids name one thing)
21 | [] | routes[1].match: empty (give at least one item)
22 | 1.2 | tls.min_version: 1.2 is not text (put it in quotes: "1.2")
22 | yes | tls.redirect: 'yes' is not required (required is the only value here)
23 | error_pages | error_pages: error_pages is empty
"""


def test_every_mistake_is_said_at_once_each_at_its_place(write: Write) -> None:
    """Message, place, path and hint of thirty-four mistakes in one file."""
    expected = []
    for row in EXPECTED.splitlines():
        line, needle, text = row.split(" | ", 2)
        expected.append((int(line), BAD.splitlines()[int(line) - 1].index(needle) + 1, text))
    found = []
    for line in said(write(BAD)):
        place, _, text = line.partition(" ")
        found.append((*(int(number) for number in place.split(":")), text))
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    for (*_, text), (*_, start) in zip(sorted(found), sorted(expected), strict=True):
        assert text.startswith(start)


def test_a_waiver_needs_reason_owner_and_a_day(write: Write) -> None:
    """An exception without an end is a change of policy."""
    text = (
        ROUTE
        + "waivers: [{id: W, checks: [csp-unsafe-inline]}, {id: V, checks: [x], reason: ' ', owner: o, expires: soon}]\n"
    )
    lines = said(write(text))
    assert [line.partition(": ")[2] for line in lines] == [
        "waivers[0] has no 'reason' (add reason: …)",
        "waivers[0] has no 'owner' (add owner: …)",
        "waivers[0] has no 'expires' (add expires: …)",
        "the waiver's reason is blank (say it)",
        "'soon' is not a date (year-month-day, such as 2027-02-01)",
    ]


@pytest.mark.parametrize(
    ("days", "limit", "fine"), [(365, 365, True), (366, 365, False), (10, 9, False), (-400, 365, True)]
)
def test_a_waiver_lasts_no_longer_than_the_policy_allows(write: Write, days: int, limit: int, fine: bool) -> None:
    """Counted from the day of the audit; one that has expired is no error, its findings count again."""
    day = NOW + timedelta(days=days)
    text = (
        ROUTE
        + f"settings: {{waiver_max_days: {limit}}}\nwaivers: [{{id: W, checks: [c], reason: r, owner: o, expires: {day}}}]\n"
    )
    if fine:
        (waiver,) = load(write(text)).policy.waivers
        assert waiver.active(day)
        assert not waiver.active(day + timedelta(days=1))
    else:
        assert "longer than waiver_max_days" in said(write(text))[0]


def test_waivers_and_check_settings_name_what_is_there(write: Write) -> None:
    """A waiver for a check that does not exist would be kept for ever; without the list any id will do."""
    text = (
        ROUTE + "checks: {csp-unsafe-inlin: {enabled: false}}\n"
        "waivers: [{id: W, checks: [nope], routes: [apx], targets: [t], reason: r, owner: o, expires: 2027-01-01}]\n"
    )
    lines = said(write(text), checks=CHECKS)
    assert [line.partition(": ")[2] for line in lines] == [
        "no check 'csp-unsafe-inlin' (did you mean 'csp-unsafe-inline'?)",
        "no check 'nope' (known: cors-vary-origin-missing, csp-unsafe-inline, https-redirect-missing)",
        "no route 'apx' (did you mean 'api'?)",
        "no target 't' (no target has this id)",
    ]
    assert len(said(write(text))) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the policy is empty"),
        ("# nothing\n", "the policy is empty"),
        ("- a\n", "not a mapping"),
        ("version: 1\n", "promises nothing"),
        ("version: 1\nroutes: []\n", "promises nothing"),
        ("version: 1\ntargets: [{id: n, type: nginx, files: [a]}]\nsettings: {}\n", "promises nothing"),
        ("routes: [{id: a, match: [{}]}]\n", "the policy has no 'version'"),
        ("version: 2\ntls: {redirect: required}\n", "2 is not 1"),
        ("version: '1'\ntls: {redirect: required}\n", "'1' is text"),
        ("version: 1\nroutes: 3\n", "3 is not a list"),
        ("version: 1\nextends: 3\n", "extends is not a list"),
        ("version: 1\nenvironments: [a]\ntls: {redirect: required}\n", "environments is not a mapping"),
        ("version: 1\ntls: {redirect_status: [301]}\n", "no redirect is required"),
    ],
)
def test_a_policy_that_decides_nothing_is_an_error(write: Write, text: str, says: str) -> None:
    """Never a silent pass."""
    lines = said(write(text))
    assert any(says in line for line in lines), lines


def test_files_that_cannot_be_read_are_said(write: Write, tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8, too large."""
    assert "no policy file gone.yaml" in problems(Path("gone.yaml"))[0].message
    assert "is not a file" in problems(tmp_path)[0].message
    Path("latin.yaml").write_bytes(b"version: 1\nname: caf\xe9\n")
    (problem,) = problems(Path("latin.yaml"))
    assert (problem.message, problem.location.line if problem.location else 0) == ("not UTF-8", 2)
    Path("big.yaml").write_bytes(b"#" * (3 * 1024 * 1024))
    assert "larger than" in problems(Path("big.yaml"))[0].message
    assert load(write("\ufeff" + ROUTE)).policy.routes[0].id == "api"


def test_null_that_removes_nothing_is_said(write: Write) -> None:
    """An error where nothing could be there, a warning where an extended policy may have changed."""
    assert "error_pages is empty" in said(write(ROUTE + "error_pages:\n"))[0]
    loaded = load(write(ROUTE + "extends: [builtin:cors-strict]\nheaders: {X-Gone: null}\n"))
    assert [(warning.path, str(warning.location)) for warning in loaded.warnings] == [("headers.X-Gone", "p.yaml:6:11")]


def test_a_profile_needs_no_policy_file() -> None:
    """`auditor check --nginx FILE --profile NAME`."""
    loaded = load_profiles(["cors-strict"], nginx=Path("conf/nginx.conf"), version="1.27.1", now=NOW)
    (target,) = loaded.policy.targets
    assert (target.files, target.prefix, target.version) == (("conf/nginx.conf",), "conf", "1.27.1")
    filled = load_profiles(["cors-strict"], nginx=Path("a.template"), variables={"UP": "${x}:80"}, now=NOW)
    assert filled.policy.targets[0].variables == {"UP": "${x}:80"}
    assert loaded.policy.routes[0].cors is not None
    assert loaded.locate("routes[0].cors").file == "builtin:cors-strict"
    with pytest.raises(PolicyError, match="no built-in profile"):
        load_profiles(["cors"], nginx=Path("nginx.conf"), now=NOW)


WORDS = st.sampled_from(
    [
        "version",
        "name",
        "extends",
        "variables",
        "environments",
        "settings",
        "targets",
        "layers",
        "routes",
        "cors",
        "headers",
        "match",
        "paths",
        "hosts",
        "id",
        "type",
        "nginx",
        "allow_origins",
        "regex",
        "pattern",
        "max_age",
        "waivers",
        "checks",
        "expires",
        "tls",
        "exposure",
        "networks",
        "null",
        "true",
        "1",
        "-3",
        "1.5",
        "${a}",
        "*",
        "/",
        "/**",
        "https://a.example",
        "24h",
        "10/s",
    ]
)
ANY = st.recursive(
    WORDS | st.text(max_size=5).map(lambda text: "'" + text.replace("'", "''") + "'"),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(WORDS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"'{key}': {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=15,
)


@given(st.lists(st.tuples(WORDS, ANY), max_size=6))
@settings(max_examples=250)
def test_no_policy_does_harm(write: Write, clauses: list[tuple[str, str]]) -> None:
    """Any tree of the right words is a policy or a PolicyError whose every problem has a message."""
    path = write("version: 1\n" + "".join(f"'{key}': {value}\n" for key, value in clauses))
    assert is_answered(path, checks=CHECKS, variables={"a": "x"})


def is_answered(path: Path, **given: object) -> bool:
    """Say whether a file is a policy, or is refused with a sentence for each problem."""
    try:
        load(path, **given)
    except PolicyError as error:
        return all(problem.message for problem in error.problems)
    return True


@given(
    st.integers(0, 3000),
    st.sampled_from(["", "x", ":", "[", "}", "'", "- ", "null", "${", "\n", "\t", "*"]),
    st.integers(0, 12),
)
@settings(max_examples=200)
def test_no_edit_of_a_good_policy_does_harm(write: Write, at: int, put: str, drop: int) -> None:
    """Whatever a slip of the hand makes of a file, it is read or refused."""
    text = FULL.read_text(encoding="utf-8")
    assert is_answered(write(text[:at] + put + text[at + drop :]))


def test_two_hundred_routes_load_quickly(write: Write) -> None:
    """The gate has 400 ms for everything."""
    routes = "".join(
        f"  - id: r{n}\n    match: [{{paths: [/r{n}/**]}}]\n    cors: {{allow_origins: [https://a{n}.example], allow_methods: [GET]}}\n"
        for n in range(200)
    )
    path = write(f"version: 1\nextends: [builtin:owasp-secure-headers]\nroutes:\n{routes}")
    load(path)
    started = time.perf_counter()
    load(path)
    assert time.perf_counter() - started < 2


def test_an_environment_names_targets_that_are_there(write: Write) -> None:
    """By id, with the nearest one; also in an environment that was not chosen and lacks a variable."""
    text = (
        ROUTE
        + "    served_by: '${up}'\ntargets: [{id: nginx, type: nginx, files: [a]}]\nenvironments: {dev: {targets: [ngnix]}}\n"
    )
    path = write(text)
    found = ["7:32 environments.dev.targets[0]: no target 'ngnix' (did you mean 'nginx'?)"]
    assert said(path, variables={"up": "a:1"}) == found
    assert said(path)[1:] == found


def test_every_form_that_the_models_ask_for_is_said_in_words(write: Write) -> None:
    """A regular expression explains nothing to the person who wrote the policy."""
    text = (
        "version: 1\ntargets: [{id: n, type: nginx, files: [a], version: x}]\nroutes:\n  - id: a b\n    match: [{}]\n    probes: [{path: x}]\n"
        "    rate_limit: {rate: 1/s, key: ip}\nwaivers: [{id: W, checks: [c], reason: r, owner: o, expires: 2027-01-01, fingerprints: [xyz]}]\n"
    )
    messages = [problem.message for problem in problems(write(text))]
    assert messages == [
        "'x' is not a version",
        "'a b' is no id",
        "'x' is not a path",
        "'ip' is no key of a limit",
        "'xyz' is not a fingerprint",
    ]
