"""Living with findings: waivers in the policy and in comments, until their last day and for what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.audit import check, exit_status
from auditor.errors import PolicyError
from auditor.finding import Finding, Run, Verdict
from auditor.options import Options

DAY = "2026-06-30"

NGINX = """events {}
http {
    server {
        listen 80;
        location /api/ { return 200 api; }%s
        location / {
            add_header X-Frame-Options DENY;
            return 200 ok;
        }
    }
}
"""

POLICY = """version: 1
name: test
targets:
  - {id: web, type: nginx, files: [nginx.conf]}
routes:
  - {id: api, match: [{paths: ["/api/**"], methods: [GET]}], headers: {X-Content-Type-Options: nosniff}}
  - {id: rest, match: [{paths: ["/**"], methods: [GET]}], headers: {X-Content-Type-Options: nosniff}}
"""

WAIVER = "waivers:\n  - {id: W-1, checks: [header-missing], reason: r, owner: o, expires: 2026-06-30%s}\n"
COMMENT = "# auditor: waive[header-missing] until=2026-06-30 owner=web -- not yet"


def audited(folder: Path, nginx: str, policy: str, day: str = DAY) -> Run:
    """Return the run of a policy over a configuration on a day."""
    (folder / "nginx.conf").write_text(nginx)
    (folder / "auditor.yaml").write_text(policy)
    return check(Options("check", folder / "auditor.yaml", now=day))


def missing(run: Run) -> dict[str, str | None]:
    """Return the disposition of the missing header on each route."""
    return {f.route: f.disposition for f in run.findings if f.check == "header-missing" and f.verdict is Verdict.FAIL}


def of(run: Run, check_id: str) -> list[Finding]:
    """Return the findings of one check."""
    return [f for f in run.findings if f.check == check_id]


@pytest.mark.parametrize(
    ("narrowed", "accepted"),
    [
        ("", {"api", "rest"}),
        (", routes: [api]", {"api"}),
        (", targets: [web]", {"api", "rest"}),
        (", routes: [rest], targets: [web]", {"rest"}),
    ],
)
def test_a_waiver_accepts_what_it_names(tmp_path: Path, narrowed: str, accepted: set[str]) -> None:
    """Without routes or targets a waiver accepts every finding of its checks, with them only theirs."""
    run = audited(tmp_path, NGINX % "", POLICY + WAIVER % narrowed)
    assert {route for route, disposition in missing(run).items() if disposition == "waived"} == accepted
    assert exit_status(run)[0] == (0 if len(accepted) == 2 else 1)


def test_a_waiver_of_one_fingerprint(tmp_path: Path) -> None:
    """A fingerprint pins one finding: another of the same check stays open."""
    first = audited(tmp_path, NGINX % "", POLICY)
    print_of_api = next(f.fingerprint for f in of(first, "header-missing") if f.route == "api")
    run = audited(tmp_path, NGINX % "", POLICY + WAIVER % f", fingerprints: [{print_of_api}]")
    assert missing(run) == {"api": "waived", "rest": "open"}


def test_a_waiver_ends_with_its_day(tmp_path: Path) -> None:
    """The last day is included; after it the finding is open again and says which waiver has expired."""
    policy = POLICY + WAIVER % ""
    assert set(missing(audited(tmp_path, NGINX % "", policy)).values()) == {"waived"}
    late = audited(tmp_path, NGINX % "", policy, "2026-07-01")
    assert set(missing(late).values()) == {"open"}
    assert all(f.waiver.startswith("expired W-1: r (o") for f in of(late, "header-missing"))
    assert exit_status(late)[0] == 1


def test_a_second_waiver_holds_where_the_first_has_expired(tmp_path: Path) -> None:
    """One waiver that holds is enough."""
    policy = POLICY + (WAIVER % "").replace("2026-06-30", "2026-01-01")
    policy += "  - {id: W-2, checks: [header-missing], reason: still, owner: o, expires: 2026-12-31}\n"
    assert {f.waiver[:3] for f in of(audited(tmp_path, NGINX % "", policy), "header-missing")} == {"W-2"}


@pytest.mark.parametrize(("setting", "status"), [("warn", 0), ("fail", 1), ("ignore", 0)])
def test_an_unused_waiver_is_reported(tmp_path: Path, setting: str, status: int) -> None:
    """A waiver that accepts nothing is said to, fails the gate, or is not mentioned, as the policy wants."""
    nginx = NGINX % "" + ""
    nginx = nginx.replace("listen 80;", "listen 80; add_header X-Content-Type-Options nosniff always;")
    nginx = nginx.replace("add_header X-Frame-Options DENY;", "")
    run = audited(tmp_path, nginx, POLICY + f"settings: {{unused_waivers: {setting}}}\n" + WAIVER % "")
    assert len(of(run, "waiver-unused")) == (setting != "ignore")
    assert exit_status(run)[0] == status


@pytest.mark.parametrize(
    "nginx",
    [
        NGINX % f"  {COMMENT}",
        (NGINX % "").replace("        location /api/", f"        {COMMENT}\n        location /api/"),
        (NGINX % "").replace("location /api/ {", f"location /api/ {{ {COMMENT}\n"),
        (NGINX % "").replace(
            "        location /api/", f"        {COMMENT}\n\n        # the API\n        location /api/"
        ),
    ],
    ids=["after", "above", "after the brace", "above a comment"],
)
def test_a_comment_waives_what_it_stands_at(tmp_path: Path, nginx: str) -> None:
    """On the line of a location or above it, a comment accepts that location's finding and no other."""
    run = audited(tmp_path, nginx, POLICY)
    assert missing(run) == {"api": "waived", "rest": "open"}
    assert [f.waiver for f in of(run, "header-missing") if f.waiver] == ["not yet (web, until 2026-06-30)"]
    assert missing(audited(tmp_path, nginx, POLICY, "2026-07-01")) == {"api": "open", "rest": "open"}


def test_a_comment_above_a_server_is_about_all_of_it(tmp_path: Path) -> None:
    """A block is meant with everything in it."""
    run = audited(tmp_path, (NGINX % "").replace("    server {", f"    {COMMENT}\n    server {{"), POLICY)
    assert missing(run) == {"api": "waived", "rest": "waived"}


def test_a_comment_that_accepts_nothing_is_reported_at_its_place(tmp_path: Path) -> None:
    """An unused comment is a finding on its own line."""
    run = audited(tmp_path, (NGINX % "").replace("listen 80;", f"listen 80; {COMMENT}"), POLICY)
    (unused,) = of(run, "waiver-unused")
    assert (unused.notes[0].location.line, missing(run)) == (4, {"api": "open", "rest": "open"})


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("waive[header-missing] owner=web -- r", "it has no until"),
        ("waive[header-missing] until=2026-06-30 -- r", "it has no owner"),
        ("waive[header-missing] until=2026-06-30 owner=web", "it has no -- reason"),
        ("waive[header-missing] until=2026-06-30 owner=web --", "it has no -- reason"),
        ("waive[header-mising] until=2026-06-30 owner=web -- r", "did you mean header-missing?"),
        ("waive[header-missing] until=2026-06-31 owner=web -- r", "2026-06-31 is no date"),
        ("waive[header-missing] until=2027-07-01 owner=web -- r", "waiver_max_days: 365 (2027-06-30 at the latest)"),
        ("waive[] until=2026-06-30 owner=web -- r", "it names no check"),
        ("waiver[header-missing] until=2026-06-30 owner=web -- r", "'waiver' is not `waive[…]`"),
        ("ignore header-missing", "'ignore header-missing' is not `waive[…]`"),
    ],
)
def test_a_comment_that_is_no_waiver_stops_the_run(tmp_path: Path, comment: str, said: str) -> None:
    """A waiver that is not understood is an error with its place, never taken and never passed over."""
    with pytest.raises(PolicyError) as raised:
        audited(tmp_path, NGINX % f"  # auditor: {comment}", POLICY)
    assert said in raised.value.message
    assert raised.value.location is not None
    assert (raised.value.location.line, raised.value.exit_status) == (5, 2)


def test_text_in_quotes_is_no_comment(tmp_path: Path) -> None:
    """A `#` inside a string or a word begins no comment."""
    nginx = (NGINX % "").replace("return 200 ok;", 'return 200 "x # auditor: nothing";')
    assert missing(audited(tmp_path, nginx, POLICY)) == {"api": "open", "rest": "open"}


def test_a_policy_may_forbid_comments(tmp_path: Path) -> None:
    """Where the policy forbids them, comments accept nothing and each is a finding that fails the gate."""
    policy = POLICY + "settings: {inline_waivers: forbid}\n" + WAIVER % ""
    run = audited(tmp_path, NGINX % f"  {COMMENT}", policy)
    (forbidden,) = of(run, "waiver-forbidden")
    assert forbidden.notes[0].location.line == 5
    assert exit_status(run)[0] == 1


COMPOSE = """services:
  web:
    image: nginx
    ports:
      - "80:80"
  %sdb:
    image: postgres
    ports:
      - "5432:5432"%s
"""
PORTS = """version: 1
name: ports
targets: [{id: stack, type: compose, files: [compose.yaml]}]
exposure: {published_ports: {allow: ["web:80"]}}
"""
PORT = "# auditor: waive[backend-port-published] until=2026-06-30 owner=dba -- remote support"


@pytest.mark.parametrize(
    ("above", "after", "disposition"),
    [("", "", "open"), (f"{PORT}\n  ", "", "waived"), ("", f"  {PORT}", "waived")],
    ids=["without", "above the service", "after the port"],
)
def test_comments_waive_in_compose_files(tmp_path: Path, above: str, after: str, disposition: str) -> None:
    """In YAML a comment is about the entry it stands at, with everything below it."""
    (tmp_path / "compose.yaml").write_text(COMPOSE % (above, after))
    (tmp_path / "auditor.yaml").write_text(PORTS)
    run = check(Options("check", tmp_path / "auditor.yaml", now=DAY))
    (found,) = (f for f in of(run, "backend-port-published") if f.verdict is Verdict.FAIL)
    assert (found.subject.split(":")[0], found.disposition, found.target) == ("db", disposition, "stack")


TRAEFIK = {
    "edge.yml": "entryPoints: {web: {address: ':80'}}\napi: {insecure: true}  %s\n",
    "edge.toml": "[entryPoints.web]\naddress = ':80'\n%s\n[api]\ninsecure = true\n",
}


@pytest.mark.parametrize("name", TRAEFIK)
def test_comments_waive_in_traefik_files(tmp_path: Path, name: str) -> None:
    """YAML and TOML alike."""
    (tmp_path / "auditor.yaml").write_text(
        f"version: 1\nname: t\ntargets: [{{id: edge, type: traefik, static: {name}}}]\n"
        "exposure: {direct_routes: forbid}\n"
    )
    said = []
    for comment in ("", "# auditor: waive[dashboard-exposed] until=2026-06-30 owner=ops -- behind the VPN"):
        (tmp_path / name).write_text(TRAEFIK[name] % comment)
        run = check(Options("check", tmp_path / "auditor.yaml", now=DAY))
        said.append({f.disposition for f in of(run, "dashboard-exposed") if f.verdict is Verdict.FAIL})
    assert said == [{"open"}, {"waived"}]


def test_a_finding_has_the_same_name_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints depend neither on the folder of a checkout, nor on where the command is run, nor on lines above."""
    nginx = (NGINX % "").replace(
        "listen 80;", "listen 80; include missing/x.conf; include /etc/nginx/y.conf; bogus on;"
    )
    prints = []
    for name, above in (("one", ""), ("two/deeper", "# a line more\n\n")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        prints.append({f.fingerprint for f in audited(folder, above + nginx, POLICY).findings})
        for here, policy in ((folder, "auditor.yaml"), (folder.parent, f"{folder.name}/auditor.yaml")):
            monkeypatch.chdir(here)
            prints.append({f.fingerprint for f in check(Options("check", Path(policy), now=DAY)).findings})
    assert len({frozenset(item) for item in prints}) == 1
