"""Who may read is what a browser says: preflights, redirects and a site's own pages are not forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor import audit
from auditor.finding import Finding, Verdict
from auditor.options import Options

POLICY = """
version: 1
name: reading
targets: [{id: nginx, type: nginx, files: [nginx.conf]}]
routes:
  - id: all
    match: [{hosts: [site.example], paths: ["/**"]}]
    cors: {allow_origins: ["https://app.example"], allow_methods: [GET, POST]}
  - id: elsewhere
    match: [{hosts: [other.example]}]
    cors: {allow_origins: ["http://site.example"]}
"""


def failed(folder: Path, inside: str) -> list[Finding]:
    """Return what fails for the inside of a server block."""
    (folder / "auditor.yaml").write_text(POLICY, "utf-8")
    server = f"server {{ listen 80; server_name site.example; {inside} }}"
    (folder / "nginx.conf").write_text(f"events {{}} http {{ {server} }}", "utf-8")
    run = audit.check(Options("check", folder / "auditor.yaml"))
    return [f for f in run.findings if f.verdict is Verdict.FAIL and f.route == "all"]


ECHO = "add_header Access-Control-Allow-Origin $http_origin always; add_header Vary Origin always;"


@pytest.mark.parametrize(
    ("inside", "methods"),
    [
        (f"location / {{ {ECHO} return 200 ok; }}", {"GET"}),
        (f"location / {{ {ECHO} return 301 http://site.example/x; }}", set()),
        (f"location / {{ {ECHO} return 301; }}", {"GET"}),
        (f"location / {{ {ECHO} limit_except GET {{ deny all; }} proxy_pass http://127.0.0.1:9; }}", {"GET"}),
    ],
)
def test_what_only_redirects_is_not_read(inside: str, methods: set[str], tmp_path: Path) -> None:
    """An answer that redirects gives its reader nothing, whatever headers it has; an empty Location is none to Chromium."""
    found = [f for f in failed(tmp_path, inside) if f.check == "cors-any-origin"]
    assert {f.witness.request.method for f in found if f.witness} == methods


def test_a_method_that_needs_a_preflight_is_not_sent_without_one(tmp_path: Path) -> None:
    """DELETE is answered with CORS headers and its preflight is refused: no page ever sends it."""
    preflight = "if ($request_method = OPTIONS) { return 403; }"
    inside = f"location / {{ {preflight} if ($request_method = DELETE) {{ {ECHO} return 200; }} return 200; }}"
    assert not [f for f in failed(tmp_path, inside) if f.check in {"cors-any-origin", "cors-origin-not-allowed"}]
    granted = (
        "if ($request_method = OPTIONS) { add_header Access-Control-Allow-Methods DELETE; " + ECHO + " return 204; }"
    )
    inside = inside.replace(preflight, granted)
    assert [f for f in failed(tmp_path, inside) if f.check in {"cors-any-origin", "cors-origin-not-allowed"}]


def test_a_sites_own_pages_need_no_cors(tmp_path: Path) -> None:
    """An origin outside the policy that is the site itself reads anyway: nothing is said of it, only of its neighbours."""
    own = 'set $cors ""; if ($http_origin ~ "^http://site\\.example$") { set $cors $http_origin; }'
    line = "add_header Access-Control-Allow-Origin $cors always; add_header Vary Origin always;"
    checks = {"cors-origin-not-allowed", "cors-insecure-origin", "cors-any-origin"}
    assert not [f for f in failed(tmp_path, f"location / {{ {own} {line} return 200; }}") if f.check in checks]
    loose = own.replace("\\.example$", ".example$")
    found = [f for f in failed(tmp_path, f"location / {{ {loose} {line} return 200; }}") if f.check in checks]
    origins = {f.witness.request.headers.get("Origin") for f in found if f.witness}
    assert origins
    assert "http://site.example" not in origins


def test_secure_and_insecure_origins_are_asked_apart(tmp_path: Path) -> None:
    """A pattern that takes both schemes lets in both, and each is reported; https pages never reach http (Mixed Content)."""
    loose = 'set $cors ""; if ($http_origin ~ "^https?://[a-z]+\\.partner\\.example$") { set $cors $http_origin; }'
    line = "add_header Access-Control-Allow-Origin $cors always; add_header Vary Origin always;"
    inside = f"listen 443 ssl; location / {{ {loose} {line} return 200; }}"
    found = {}
    for finding in failed(tmp_path, inside):
        if finding.check in {"cors-origin-not-allowed", "cors-insecure-origin"} and finding.witness is not None:
            request = finding.witness.request
            found.setdefault(finding.check, set()).add((request.headers.get("Origin") or "").partition(":")[0])
            assert (request.scheme, request.headers.get("Origin")[:5]) != ("http", "https")
    assert found == {"cors-origin-not-allowed": {"https"}, "cors-insecure-origin": {"http"}}


SENT = "cors-headers-for-disallowed-origin"


def test_what_is_read_by_one_method_is_no_second_finding_of_another(tmp_path: Path) -> None:
    """GET is read, and PUT of the same block is answered with the same headers: one mistake; another block is another."""
    refused = "if ($request_method = OPTIONS) { add_header X-Refused 1; return 403; }"
    read = f"location / {{ {refused} {ECHO} return 200; }}"
    found = failed(tmp_path, read)
    assert "cors-any-origin" in {f.check for f in found}
    assert [f for f in found if f.check == SENT] == []
    apart = f"location / {{ {refused} {ECHO} if ($request_method = PUT) {{ {ECHO} return 200; }} return 200; }}"
    assert {f.witness.request.method for f in failed(tmp_path, apart) if f.check == SENT and f.witness} == {"PUT"}


def test_a_preflight_that_sends_more_to_refused_origins_is_the_same_mistake(tmp_path: Path) -> None:
    """What a preflight carries besides the header that grants does not make two findings of one location."""
    line = "add_header Access-Control-Allow-Origin https://app.example always;"
    more = "add_header Access-Control-Allow-Methods GET always; add_header Access-Control-Max-Age 60 always;"
    both = f"location / {{ if ($request_method = OPTIONS) {{ {line} {more} return 204; }} {line} return 200; }}"
    (finding,) = [f for f in failed(tmp_path, both) if f.check == SENT]
    assert finding.subject.endswith("|access-control-allow-origin")
    preflight = f"location / {{ if ($request_method = OPTIONS) {{ {line} {more} return 204; }} return 200; }}"
    (finding,) = [f for f in failed(tmp_path, preflight) if f.check == SENT]
    assert finding.witness is not None
    assert finding.witness.request.method == "OPTIONS"
    assert "Access-Control-Max-Age" in finding.message
    useless = f"location / {{ if ($request_method = OPTIONS) {{ {more} return 204; }} return 200; }}"
    (finding,) = [f for f in failed(tmp_path, useless) if f.check == SENT]
    assert finding.subject.endswith("|access-control-allow-methods,access-control-max-age")


def test_a_witness_goes_to_the_running_targets_own_host(tmp_path: Path) -> None:
    """Where several hosts are answered alike, the witness names the one that the entrypoints have, not the shortest."""
    own = POLICY.replace("hosts: [site.example], ", "").partition("  - id: elsewhere")[0]
    own = own.replace("{id: nginx,", "{id: live, type: http, entrypoints: {web: 'http://site.example'}}, {id: nginx,")
    own = own.replace("    cors:", '    headers: {X-Content-Type-Options: "nosniff"}\n    cors:')
    (tmp_path / "auditor.yaml").write_text(own, "utf-8")
    servers = "server { listen 80; server_name site.example a.example; return 200 ok; }"
    (tmp_path / "nginx.conf").write_text(f"events {{}} http {{ {servers} }}", "utf-8")
    run = audit.check(Options("check", tmp_path / "auditor.yaml"))
    (found,) = [f for f in run.findings if f.check == "header-missing"]
    assert found.witness is not None
    assert found.witness.request.host == "site.example"
