"""The Traefik layer: what files, flags and labels mean, with places; what is not decided says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.errors import ConfigurationError, Location
from auditor.exchange import Action, Headers, Outcome, Request, Response
from auditor.traefik import Container, Traefik, load, regex, rules

PUBLIC = Path(__file__).parents[1].parent / "shared" / "cases" / "public" / "traefik"
STATIC = """\
entryPoints:
  web:
    address: ":80"
    http:
      redirections:
        entryPoint:
          to: websecure
  websecure:
    address: ":443"
    http:
      middlewares: [secure@file]
"""
DYNAMIC = """\
http:
  routers:
    app:
      rule: "Host(`example.com`)"
      entryPoints: [websecure]
      service: frontend
      tls: {}
    api:
      rule: "Host(`example.com`) && PathPrefix(`/api`)"
      entryPoints: [websecure]
      service: api
      middlewares: [cors, limit]
      tls: {}
  services:
    frontend: {loadBalancer: {servers: [{url: "http://frontend:80"}]}}
    api: {loadBalancer: {servers: [{url: "http://qwen-api:8000"}]}}
  middlewares:
    secure:
      headers:
        stsSeconds: 31536000
        customResponseHeaders: {Server: "", X-Edge: traefik}
    limit: {rateLimit: {average: 100, period: 1m, burst: 50}}
    cors:
      headers:
        accessControlAllowOriginList:
          - https://app.example.com
        accessControlAllowMethods: [GET, PUT]
        accessControlMaxAge: 600
        addVaryHeader: true
"""


def _files(folder: Path, static: str = STATIC, dynamic: str = DYNAMIC, suffix: str = "yml") -> Traefik:
    one, two = folder / f"traefik.{suffix}", folder / f"dynamic.{suffix}"
    one.write_text(static, "utf-8")
    two.write_text(dynamic, "utf-8")
    return load(one, [two])


def _request(
    target: str = "/", *headers: tuple[str, str], method: str = "GET", scheme: str = "https", **more: str
) -> Request:
    lines = Headers.of([("Host", "example.com"), *headers])
    return Request(method, target, lines, scheme, **more)  # type: ignore[arg-type]


def _only(outcomes: tuple[Outcome, ...], when: str = "always") -> Outcome:
    return next(outcome for outcome in outcomes if outcome.when == when)


def test_a_plain_request_is_redirected_at_the_line_that_says_so(tmp_path: Path) -> None:
    """The redirection of an entrypoint is an outcome of its own, with its place."""
    outcome = _only(_files(tmp_path).answer(_request("/x?a=1", scheme="http")))
    assert outcome.response is not None
    assert (outcome.response.status, outcome.response.headers.get("Location")) == (301, "https://example.com/x?a=1")
    line = outcome.response.headers.lines("Location")[0]
    assert (line.made_by and Path(line.made_by.file).name, line.made_by and line.made_by.line) == ("traefik.yml", 7)


def test_every_header_names_the_line_that_made_it(tmp_path: Path) -> None:
    """Headers of a list item, an option, a custom header: each has the place of what was written."""
    outcomes = _files(tmp_path).answer(_request("/api/x", ("Origin", "https://app.example.com")))
    response = _only(outcomes, "upstream-success").response
    assert response is not None
    lines = {line.name: (line.value, line.made_by.line if line.made_by else 0) for line in response.headers}
    text = DYNAMIC.splitlines()
    assert lines["Access-Control-Allow-Origin"] == (
        "https://app.example.com",
        text.index("          - https://app.example.com") + 1,
    )
    assert lines["X-Edge"][0] == "traefik"
    assert text[lines["X-Edge"][1] - 1].strip().startswith("customResponseHeaders")
    assert lines["Strict-Transport-Security"] == ("max-age=31536000", text.index("        stsSeconds: 31536000") + 1)
    assert not response.may_have_more("Server")
    assert not response.may_have_more("Access-Control-Allow-Origin")
    assert response.may_have_more("X-Powered-By")


def test_the_longer_rule_wins_and_asks_its_own_upstream(tmp_path: Path) -> None:
    """`/api` goes around the frontend: which door leads where is read from the upstream asked."""
    asked: list[str] = []

    def ask(request: Request) -> tuple[Outcome, ...]:
        asked.append(request.listen)
        return (Outcome("upstream-success", Response(200), Action("application")),)

    traefik = _files(tmp_path)
    traefik.answer(_request("/api/x"), ask)
    traefik.answer(_request("/other"), ask)
    assert asked == ["qwen-api:8000", "frontend:80"]


def test_a_preflight_is_answered_before_anybody_is_asked(tmp_path: Path) -> None:
    """The headers middleware answers OPTIONS by itself, also to an origin it does not allow."""
    pair = ("Access-Control-Request-Method", "PUT")
    for origin, allowed in (("https://app.example.com", "https://app.example.com"), ("https://evil.example", None)):
        outcome = _only(_files(tmp_path).answer(_request("/api/x", ("Origin", origin), pair, method="OPTIONS")))
        assert outcome.response is not None
        assert outcome.response.status == 200
        assert outcome.response.headers.get("Access-Control-Allow-Origin") == allowed
        assert outcome.upstream_request is None


def test_limits_are_on_every_outcome_that_passes_them(tmp_path: Path) -> None:
    """A rate limit is listed with its rate in requests a second, and may refuse with 429."""
    outcomes = _files(tmp_path).answer(_request("/api/x"))
    limit = _only(outcomes, "upstream-success").limits[0]
    assert (round(limit.rate, 3), limit.burst, limit.status, limit.key, limit.layer) == (
        1.667,
        50,
        429,
        "client_ip",
        "traefik",
    )
    refused = _only(outcomes, "limited")
    assert refused.response is not None
    assert refused.response.status == 429


def test_an_upstream_that_is_down_becomes_a_bad_gateway_with_the_middlewares_headers(tmp_path: Path) -> None:
    """Traefik's own 502 passes the headers middleware, so it keeps CORS."""
    outcome = _only(_files(tmp_path).answer(_request("/api/x", ("Origin", "https://app.example.com"))), "upstream-down")
    assert outcome.response is not None
    assert outcome.response.status == 502
    assert outcome.response.headers.get("Access-Control-Allow-Origin") == "https://app.example.com"


def test_a_client_cannot_forge_what_the_upstream_is_told(tmp_path: Path) -> None:
    """X-Forwarded-* of a client that is not trusted are replaced by what is true."""
    forged = [
        ("X-Forwarded-For", "1.1.1.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "evil"),
        ("X-Real-Ip", "1.1.1.1"),
    ]
    outcome = _only(_files(tmp_path).answer(_request("/api/x", *forged, client="9.9.9.9")), "upstream-success")
    sent = outcome.upstream_request
    assert sent is not None
    told = {
        name: sent.headers.all(name)
        for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip")
    }
    assert told == {
        "X-Forwarded-For": ("9.9.9.9",), "X-Forwarded-Proto": ("https",), "X-Forwarded-Host": ("example.com",), "X-Real-Ip": ("9.9.9.9",),
    }  # fmt: skip


TOML = """\
[http.routers.api]
rule = "Host(`example.com`)"
service = "api"
middlewares = ["cors"]
[http.middlewares.cors.headers]
accessControlAllowOriginList = ["https://app.example.com"]
addVaryHeader = true
[[http.services.api.loadBalancer.servers]]
url = "http://qwen-api:8000"
"""
YAML = """\
http:
  routers:
    api: {rule: "Host(`example.com`)", service: api, middlewares: [cors]}
  middlewares:
    cors: {headers: {accessControlAllowOriginList: ["https://app.example.com"], addVaryHeader: true}}
  services:
    api: {loadBalancer: {servers: [{url: "http://qwen-api:8000"}]}}
"""
LABELS = {
    "traefik.enable": "true",
    "traefik.http.routers.api.rule": "Host(`example.com`)",
    "traefik.http.routers.api.middlewares": "cors",
    "traefik.http.middlewares.cors.headers.accesscontrolalloworiginlist": "https://app.example.com",
    "traefik.http.middlewares.cors.headers.addvaryheader": "true",
    "traefik.http.services.api.loadbalancer.server.port": "8000",
}


def _shown(traefik: Traefik) -> list[tuple[object, ...]]:
    outcomes = traefik.answer(_request("/x", ("Origin", "https://app.example.com"), scheme="http"))
    return [
        (
            o.when,
            o.response and o.response.status,
            o.response and o.response.headers.pairs(),
            o.upstream_request and o.upstream_request.listen,
        )
        for o in outcomes
    ]


def test_yaml_toml_and_labels_say_the_same(tmp_path: Path) -> None:
    """One configuration in three spellings gives the same answers."""
    for suffix, text in (("yml", YAML), ("toml", TOML)):
        (tmp_path / f"d.{suffix}").write_text(text, "utf-8")
    labels = {
        name: (value, Location("docker-compose.yml", 10 + index, 7))
        for index, (name, value) in enumerate(LABELS.items())
    }
    yaml, toml = load(None, [tmp_path / "d.yml"]), load(None, [tmp_path / "d.toml"])
    docker = load(None, containers=[Container("qwen-api", labels)])
    assert _shown(yaml) == _shown(toml) == _shown(docker)
    assert not (yaml.problems)
    assert not (toml.problems)
    assert not (docker.problems)
    place = next(iter(docker.routers.values())).location
    assert (place.file, place.line) == ("docker-compose.yml", 11)
    assert next(iter(toml.routers.values())).location.line == 2


def test_a_container_without_routers_has_the_default_one() -> None:
    """The Docker provider names a router after the container, and takes its lowest port."""
    place = Location("docker-compose.yml", 3, 3)
    traefik = load(None, containers=[Container("shop", {"traefik.enable": ("true", place)}, (9000, 80))])
    router = traefik.routers["shop@docker"]
    assert (router.rule_text, router.service, traefik.upstreams(router.service)[0].address) == (
        "Host(`shop`)",
        "shop@docker",
        "shop:80",
    )
    hidden = load(None, containers=[Container("shop", {"traefik.enable": ("false", place)}, (80,))])
    assert not hidden.routers


def test_flags_stand_for_the_static_file() -> None:
    """`--entrypoints.…` of a Compose file's command mean what the file would."""
    place = Location("docker-compose.yml", 7, 9)
    flags = ["--entrypoints.web.address=:80", "--entryPoints.websecure.address=:443", "--api.insecure=true",
             "--entrypoints.web.http.redirections.entrypoint.to=websecure"]  # fmt: skip
    traefik = load(None, flags=[(flag, place) for flag in flags])
    assert [(point.name, point.port) for point in traefik.entrypoints] == [
        ("web", 80),
        ("websecure", 443),
        ("traefik", 8080),
    ]
    redirection = traefik.entrypoints[0].redirection
    assert redirection is not None
    assert (redirection.port, redirection.permanent) == ("443", True)
    assert {(page.kind, page.entrypoint, page.protected) for page in traefik.exposures} == {
        ("api", "traefik", False), ("dashboard", "traefik", False)
    }  # fmt: skip


def test_a_dashboard_behind_a_password_is_known_as_such(tmp_path: Path) -> None:
    """A router to api@internal is an exposure; a middleware that asks for a password protects it."""
    text = """\
http:
  routers:
    open: {rule: "Host(`a`)", service: api@internal}
    closed: {rule: "Host(`b`)", service: dashboard@internal, middlewares: [auth]}
  middlewares:
    auth: {basicAuth: {users: ["u:$apr1$x$y"]}}
"""
    found = {(page.router, page.protected) for page in _files(tmp_path, "log: {level: INFO}\n", text).exposures}
    assert found == {("open@file", False), ("closed@file", True)}


@pytest.mark.parametrize(
    ("middleware", "word"),
    [
        ("forwardAuth: {address: 'http://auth:9091/verify'}", "auth:9091"),
        ("plugin: {jwt: {secret: x}}", "not modelled"),
        ("grpcWeb: {allowOrigins: ['*']}", "not modelled"),
    ],
)
def test_what_is_not_modelled_is_unknown_with_its_place(middleware: str, word: str, tmp_path: Path) -> None:
    """Another service's decision, a plugin: the outcome says so and where."""
    text = (
        "http:\n  routers:\n    r: {rule: 'PathPrefix(`/`)', service: s, middlewares: [m]}\n"
        f"  services: {{s: {{loadBalancer: {{servers: [{{url: 'http://s:1'}}]}}}}}}\n  middlewares:\n    m:\n      {middleware}\n"
    )
    outcome = _files(tmp_path, "{}", text).answer(_request(scheme="http"))[0]
    doubt = next(item for item in outcome.unknown if word in item.reason)
    assert doubt.location is not None
    assert doubt.location.line == 7
    assert doubt.concerns == "answer"


def test_an_option_that_traefik_does_not_know_is_a_problem_and_doubts_every_answer(tmp_path: Path) -> None:
    """Traefik refuses the whole file: nothing that it says can be relied on."""
    text = YAML.replace("accessControlAllowOriginList:", "accessControlAllowOrigins:")
    traefik = _files(tmp_path, "{}", text)
    assert any("accessControlAllowOrigins" in problem.message for problem in traefik.problems)
    assert all(outcome.unknown for outcome in traefik.answer(_request(scheme="http")))


def test_equal_priorities_are_not_decided(tmp_path: Path) -> None:
    """Traefik sorts routers of one priority by chance."""
    text = """\
http:
  routers:
    one: {rule: "PathPrefix(`/a`)", service: s}
    two: {rule: "Path(`/a`)", service: t, priority: 16}
  services:
    s: {loadBalancer: {servers: [{url: "http://s:1"}]}}
    t: {loadBalancer: {servers: [{url: "http://t:1"}]}}
"""
    outcomes = _files(tmp_path, "{}", text).answer(_request("/a", scheme="http"))
    assert "same priority" in outcomes[0].unknown[0].reason


@pytest.mark.parametrize(
    "rule",
    ["", "Host()", "Host(`a`", "Host(`a`) &&", "Nope(`a`)", "Host(`a`) Host(`b`)", "Path(`x`)", "Method(GET)", "Host(`a`)\n&& Path(`/`)",
     "ClientIP(`x`)", "Host(`a`, `b`)", "Header(`a`)", "Host(``)", "!", "(" * 500],
)  # fmt: skip
def test_a_rule_that_traefik_refuses_is_refused(rule: str) -> None:
    """Each of these leaves the router out."""
    with pytest.raises(rules.RuleError):
        rules.parse(rule)


def test_expressions_are_go_s_not_python_s() -> None:
    """`$` is the very end, look-around does not exist, and a costly expression is not decided rather than waited for."""
    assert regex.search("^a$", "a\n") is False
    assert regex.search("(?=a)a", "a") is None
    assert regex.search(r"^\pL+$", "abc") is True
    assert regex.replace_all("a(b)?", "abxa", "<$1>") == "<b>x<>"
    assert regex.replace_all("a", "a", "$1x") == ""
    assert regex.search("^(a+)+$", "a" * 60 + "!") is None


@pytest.mark.parametrize(
    "text", ["a: [", "a: &a [*a]", "- 1\n- 2", "\x00", "{{ range }}", "http: 3", "http: {routers: [1, 2]}", "? [a]: b"]
)
def test_no_file_brings_it_down(text: str, tmp_path: Path) -> None:
    """Broken or odd files are errors that a person can read, or problems."""
    try:
        traefik = _files(tmp_path, "{}", text)
    except ConfigurationError as error:
        assert error.location is not None  # noqa: PT017 - accepting the text is right too
    else:
        traefik.answer(_request(scheme="http"))


def test_anchors_that_expand_without_end_are_refused(tmp_path: Path) -> None:
    """A file of a few lines cannot fill the memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    traefik = _files(tmp_path, "{}", "\n".join(lines))
    assert any("expands too far" in problem.message for problem in traefik.problems)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize(
    "path", sorted(PUBLIC.glob("*/*.y*ml")) + sorted(PUBLIC.glob("*/*.toml")), ids=lambda path: path.parent.name
)
def test_public_files_load_and_answer(path: Path) -> None:
    """Files as people write them give a verdict or say what is not decided, and never a traceback."""
    traefik = load(None, [path])
    assert traefik.routers or traefik.middlewares or traefik.problems
    for scheme in ("http", "https"):
        for outcome in traefik.answer(_request(scheme=scheme)):
            assert outcome.response is not None or outcome.when == "upstream-down"
    for problem in traefik.problems:
        assert problem.location is not None
        assert problem.hint
