"""The plan: which requests are tried, and that a group of paths is represented by one of them only where that is sound."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from auditor import audit
from auditor.demo import write
from auditor.exchange import Exchange
from auditor.finding import Verdict
from auditor.language import Budget
from auditor.options import Options
from auditor.plan.facts import Facts, Probe, cases_by_route
from auditor.plan.probes import Planner
from auditor.targets import Assembler

POLICY = """
version: 1
name: plan
targets: [{id: nginx, type: nginx, files: [nginx.conf]}]
routes:
  - id: all
    match: [{paths: ["/**"]}]
    cors: {allow_origins: ["https://app.example"], allow_methods: [GET, POST]}
"""


def cors_paths(folder: Path, inside: str) -> set[str]:
    """Return the paths at which origins are tried, for the inside of a server block."""
    (folder / "auditor.yaml").write_text(POLICY, "utf-8")
    (folder / "nginx.conf").write_text(f"events {{}} http {{ server {{ listen 80; {inside} }} }}", "utf-8")
    loaded = audit.load(Options("check", folder / "auditor.yaml"))
    facts, _ = audit.predict(loaded, Options("check", folder / "auditor.yaml"))
    return {case.probe.path for case in facts.of("all", "cors")}


def test_one_path_stands_for_those_that_the_same_block_answers(tmp_path: Path) -> None:
    """Ten exact locations are ten groups; the paths that one prefix location answers are one."""
    exact = "".join(f"location = /x{i} {{ return 200; }} " for i in range(10))
    assert len(cors_paths(tmp_path, exact + "location / { return 204; }")) == 11
    assert len(cors_paths(tmp_path, "location /api/ { return 200; } location / { return 204; }")) == 2


@pytest.mark.parametrize(
    "inside",
    [
        "location / { if ($uri ~ ^/a) { set $x 1; } return 204; }",
        "location / { rewrite ^/a(.*) /b break; return 204; }",
    ],
)
def test_a_test_of_the_path_inside_a_block_splits_it(inside: str, tmp_path: Path) -> None:
    """What the block itself looks at in the path makes groups of its own, though plain requests are answered alike."""
    paths = cors_paths(tmp_path, inside)
    assert {path.startswith("/a") for path in paths} == {True, False}


ECHO = "add_header Access-Control-Allow-Origin $cors always; return 200;"


@pytest.mark.parametrize(
    ("inside", "tried"),
    [
        (f"location = /here {{ return 204; }} location / {{ {ECHO} }}", False),
        (f"location = /here {{ {ECHO} }} location / {{ return 204; }}", True),
        (f"location = /here {{ error_page 404 /there; return 404; }} location = /there {{ {ECHO} }}", True),
        (f"location = /here {{ try_files /none @there; }} location @there {{ {ECHO} }}", True),
        (f"location = /here {{ try_files /a/ =404; }} location = /a/index.html {{ {ECHO} }}", True),
        (f"location = /here {{ try_files $uri $uri/ =404; }} location = /here/index.html {{ {ECHO} }}", True),
        (f"location = /here {{ try_files $http_x/ =404; }} location / {{ {ECHO} }}", True),
        (f"location = /here {{ rewrite ^ /there last; }} location = /there {{ {ECHO} }}", True),
        (f"location = /here {{ rewrite ^/a /there last; return 204; }} location = /there {{ {ECHO} }}", False),
        (f"location = /here {{ index x; }} location /here/ {{ index y; }} location / {{ {ECHO} }}", False),
        (f"location ^~ /here {{ return 204; }} location / {{ {ECHO} }} if ($cors) {{ set $y 1; }}", True),
        ("add_header Access-Control-Allow-Origin $cors always; location = /here { return 204; }", True),
        ("location = /here { if ($request_method = POST) { return 200 $cors; } return 204; }", True),
        ("location = /here { limit_except GET { auth_basic $cors; } return 204; } location / { return 204; }", True),
    ],
)
def test_origins_that_only_another_location_tells_apart_are_not_tried(inside: str, tried: bool, tmp_path: Path) -> None:
    """A table counts where what answers may read it: in the location, around it, inside it, or where a request goes on to."""
    (tmp_path / "auditor.yaml").write_text(POLICY, "utf-8")
    table = 'map $http_origin $cors { "https://only.partner.example" $http_origin; }'
    (tmp_path / "nginx.conf").write_text(f"events {{}} http {{ {table} server {{ listen 80; {inside} }} }}", "utf-8")
    loaded = audit.load(Options("check", tmp_path / "auditor.yaml"))
    assembly = audit.read(loaded, Options("check", tmp_path / "auditor.yaml"))
    planner = Planner(loaded.policy, assembly.entries, assembly.matchers, (), assembly.selection)
    asked = {probe.origin.value for probe in planner.probes() if probe.purpose == "cors" and probe.path == "/here"}
    assert len(asked) > 2
    assert ("https://only.partner.example" in asked) is tried


def test_a_location_chosen_by_a_rewritten_path_ends_the_grouping(tmp_path: Path) -> None:
    """Where a rewritten path chooses the location, every path is tried: a plain GET does not show what POST does."""
    inside = "if ($request_method = POST) { rewrite ^/(.*)$ /post/$1 last; } location /a/ { return 200; } "
    paths = cors_paths(tmp_path, inside + "location /post/a/ { return 403; } location / { return 200; }")
    assert any(path.startswith("/a/") for path in paths)
    assert any(path.startswith("/post/a/") for path in paths)


def test_a_denied_path_is_asked_by_other_methods_once_a_block(tmp_path: Path) -> None:
    """Each cell of the denied paths is asked by GET; by POST one of those that the same block answers, of every block."""
    options = Options("check", write("as-documented", tmp_path))
    facts, _ = audit.predict(audit.load(options), options)
    asked: dict[str, set[object]] = {"GET": set(), "POST": set()}
    blocks: dict[str, set[object]] = {"GET": set(), "POST": set()}
    for case in facts.of("", "denied"):
        probe = case.probe
        if probe.method in asked and probe.host == "qwen.example.com":
            where = (probe.why, probe.entry)
            asked[probe.method].add((*where, probe.path))
            blocks[probe.method].add((*where, case.exchange.outcome.selected))
    assert asked["POST"] < asked["GET"]
    assert blocks["POST"] >= blocks["GET"]


def judged(loaded: audit.LoadedPolicy, facts: Facts) -> set[tuple[str, str, str]]:
    """Return what fails: check, rule and severity."""
    found = audit.judge(loaded, [facts])
    return {(f.check, f.rule, f.severity.word) for f in found if f.verdict is Verdict.FAIL}


@pytest.mark.parametrize("state", ["as-documented", "hardened"])
def test_the_reference_stack_fails_the_same_rules_with_and_without_groups(state: str, tmp_path: Path) -> None:
    """Trying everything at every path finds no rule broken that is not found at one path of each group."""
    options = Options("check", write(state, tmp_path))  # type: ignore[arg-type]
    loaded = audit.load(options)
    grouped, assembly = audit.predict(loaded, options)
    fresh = Assembler(loaded, frozenset(), None).assemble()
    everything: list[tuple[Probe, Sequence[Exchange]]] = [
        (probe, fresh.stack.predict(probe.request, probe.entry))
        for probe in Planner(loaded.policy, fresh.entries, fresh.matchers).probes()
    ]
    asked = sum(len(cases) for cases in grouped.cases.values())
    whole = replace(grouped, cases=cases_by_route([(p, tuple(e)) for p, e in everything]))
    assert asked < sum(len(cases) for cases in whole.cases.values())
    assert assembly.stack.layers
    assert judged(loaded, grouped) == judged(loaded, whole)


def test_a_bucket_that_one_claim_chooses_is_found_though_all_claims_together_do_not(tmp_path: Path) -> None:
    """Each header in which a client claims an address is tried alone: one of them may undo what another does."""
    (tmp_path / "auditor.yaml").write_text(
        "version: 1\nname: plan\ntargets: [{id: nginx, type: nginx, files: [nginx.conf]}]\n"
        "routes:\n  - id: all\n    match: [{paths: ['/**']}]\n"
        "    rate_limit: {rate: 5/s, burst: 5, status: 429, key: client_ip}\n",
        "utf-8",
    )
    (tmp_path / "nginx.conf").write_text(
        "events {} http { map $http_cf_connecting_ip $client { '' $proxy_add_x_forwarded_for; default $remote_addr; }"
        " limit_req_zone $client zone=z:1m rate=5r/s; limit_req_status 429;"
        " server { listen 80; location / { limit_req zone=z burst=5 nodelay; proxy_pass http://127.0.0.1:8000; } } }",
        "utf-8",
    )
    run = audit.check(Options("check", tmp_path / "auditor.yaml"))
    found = [f.message for f in run.findings if f.check == "rate-limit-key-spoofable" and f.verdict is Verdict.FAIL]
    assert any("X-Forwarded-For" in message for message in found), found


@pytest.mark.parametrize(
    ("block", "cuts"),
    [
        ("location /old/ { rewrite /old/ /new redirect; }", False),
        ("location /old/ { rewrite ^/old /new redirect; }", False),
        ("location /old/ { rewrite ^old /new redirect; }", True),
        ("location /old/ { rewrite /old/x /new redirect; }", True),
        ("location /old/ { rewrite /old. /new redirect; }", True),
        ("location /old/ { set $a b; rewrite /old/ /new redirect; }", True),
        ("location /old/ { if ($args) { rewrite /old/ /new redirect; } }", True),
        ("location ~ /old/ { rewrite /old/ /new redirect; }", True),
        ("location / { try_files $uri @old; } location @old { rewrite old /new redirect; }", True),
    ],
)
def test_a_rewrite_that_its_location_always_takes_cuts_no_paths(tmp_path: Path, block: str, cuts: bool) -> None:
    """A word that is in the prefix is in every path that the location is chosen for; any other expression cuts."""
    from auditor.nginx import load
    from auditor.nginx.matchers import matchers

    file = tmp_path / "nginx.conf"
    file.write_text(f"events {{}} http {{ server {{ listen 80; {block} }} }}")
    seen = [
        m
        for m in matchers(load([file], prefix=tmp_path))
        if m.subject == "path" and m.kind == "regex" and not m.selects
    ]
    assert bool(seen) is cuts


@pytest.mark.parametrize(
    ("lines", "undecided"),
    [
        (r"server { listen 80; location ~ ^/([^/]+)/\1$ { return 200; } }", ["path"]),
        (r"server { listen 80; server_name ~^([a-z]+)[.]\1[.]test$; location / { return 200; } }", ["host"]),
        (
            r"""
            map $http_origin $o { default ""; "~^https://([a-z]+)[.]\1[.]test$" $http_origin; }
            server { listen 80; location / { add_header Access-Control-Allow-Origin $o; return 200; } }
            """,
            ["origin"],
        ),
        (r"server { listen 80; server_name ~^([a-z]+)[.]test$; location ~ ^/(a|b)/$ { return 200; } }", []),
    ],
)
def test_a_pattern_that_nobody_can_decide_is_said(tmp_path: Path, lines: str, undecided: list[str]) -> None:
    """What a back reference matches is no regular set: the paths, hosts or origins of it were not all tried."""
    (tmp_path / "nginx.conf").write_text(f"events {{}} http {{ {lines} }}")
    (tmp_path / "policy.yaml").write_text(POLICY)
    run = audit.check(Options("check", tmp_path / "policy.yaml"))
    found = [f for f in run.findings if f.check == "pattern-undecided"]
    assert {f.verdict for f in found} == {Verdict.UNKNOWN if undecided else Verdict.PASS}
    said = [f.message.partition("which ")[2].partition("s ")[0] for f in found if f.verdict is Verdict.UNKNOWN]
    assert said == undecided
    assert all(f.notes and f.notes[0].location.file.endswith("nginx.conf") for f in found if undecided)


def test_globs_too_many_to_work_through_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cells may be missing because of the policy's own globs, no pass stands for paths that were not tried."""
    (tmp_path / "nginx.conf").write_text("events {} http { server { listen 80; location / { return 200; } } }")
    language, verdicts = importlib.import_module("auditor.language.partition"), {}
    for steps in (600_000, 50):
        globs = '", "'.join(f"/**/*{word}{steps}*" for word in ("one", "two", "three", "four", "five"))
        (tmp_path / "policy.yaml").write_text(POLICY.replace("/**", globs))
        monkeypatch.setattr(language, "_LARGE", Budget(steps, 30))
        run = audit.check(Options("check", tmp_path / "policy.yaml"))
        verdicts[steps] = {(f.verdict, f.message) for f in run.findings if f.check == "pattern-undecided"}
    assert {verdict for verdict, _ in verdicts[600_000]} == {Verdict.PASS}
    assert {verdict for verdict, _ in verdicts[50]} == {Verdict.UNKNOWN}
    assert all("not every one was tried" in message for _, message in verdicts[50])
