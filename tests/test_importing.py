"""`auditor policy import`: what other programs' files say becomes a policy that loads, meets the schema, and means the same."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor import cli
from auditor.audit import check
from auditor.finding import Verdict
from auditor.options import Options
from auditor.policy.load import load_text

ROOT = Path(__file__).parents[1]
FILES = {
    "gateway-api": (
        "route.yaml",
        """
apiVersion: v1
kind: ConfigMap
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  hostnames: [shop.example]
  rules:
    - matches: [{path: {type: PathPrefix, value: /api}, method: GET}, {path: {type: Exact, value: /x}}]
      backendRefs: [{name: api, port: 8080}]
      filters:
        - type: CORS
          cors:
            allowOrigins: ["https://app.shop.example", "https://*.preview.shop.example"]
            allowMethods: [GET, PUT]
            allowHeaders: ["*"]
            exposeHeaders: [X-Request-Id]
            allowCredentials: true
            maxAge: 3600
    - matches: [{path: {type: PathPrefix, value: /}}]
""",
    ),
    "traefik": (
        "dynamic.yaml",
        """
http:
  routers:
    api: {rule: "Host(`shop.example`) && PathPrefix(`/api`)", middlewares: [secure@file], service: s}
  middlewares:
    secure:
      headers:
        accessControlAllowOriginList: ["https://app.shop.example"]
        accessControlAllowOriginListRegex: ["^https://.*\\\\.shop\\\\.example"]
        accessControlAllowMethods: [GET]
        accessControlMaxAge: 100
        addVaryHeader: true
        stsSeconds: 31536000
        stsIncludeSubdomains: true
        contentTypeNosniff: true
        frameDeny: true
        customResponseHeaders: {Server: "", X-Team: edge}
    other: {stripPrefix: {prefixes: [/x]}}
""",
    ),
    "starlette": (
        "main.py",
        """from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=['https://app.shop.example'], allow_credentials=True,
                   allow_methods=['GET', 'PUT'], allow_headers=['X-A'], max_age=60)
@app.get('/x')
def x(): return 1
""",
    ),
    "drheader": (
        "rules.yml",
        """
Headers:
  Content-Security-Policy: {Required: True, Must-Avoid: [unsafe-inline], Severity: high}
  X-Frame-Options: {Required: True, Value-One-Of: [SAMEORIGIN, DENY]}
  Referrer-Policy: {Required: Optional, Value: no-referrer}
  Server: {Required: False, Severity: low}
  X-Other: {Required: True, Must-Contain-One: [a, b]}
""",
    ),
}


@pytest.fixture
def imported(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """The policy imported from a file of one kind, as text and as plain data."""
    name, text = FILES[request.param]
    (tmp_path / name).write_text(text)
    assert cli.run(["policy", "import", "--from", request.param, str(tmp_path / name)]) == 0
    policy = capsys.readouterr().out
    (tmp_path / "auditor.yaml").write_text(policy)
    return policy, yaml.safe_load(policy), tmp_path


@pytest.mark.parametrize("imported", FILES, indirect=True)
def test_an_imported_policy_loads_and_meets_the_schema(imported: Any) -> None:
    """Our loader and check-jsonschema both take it."""
    text, _, folder = imported
    assert load_text(text, "auditor.yaml", now=date(2026, 1, 1)).policy.routes
    schema = str(ROOT / "policies" / "policy.schema.json")
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", schema, str(folder / "auditor.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("imported", ["gateway-api"], indirect=True)
def test_gateway_api_filters(imported: Any) -> None:
    """Hosts, paths, methods, backend and CORS words; a wildcard origin is a pattern, `*` in a list promises nothing."""
    (route,) = imported[1]["routes"]
    assert route["id"] == "shop-1"
    assert route["match"] == [
        {"hosts": ["shop.example"], "paths": ["/api", "/api/**"], "methods": ["GET"]},
        {"hosts": ["shop.example"], "paths": ["/x"]},
    ]
    assert route["served_by"] == "api:8080"
    assert route["cors"] == {
        "allow_origins": ["https://app.shop.example", {"pattern": "https://*.preview.shop.example"}],
        "allow_methods": ["GET", "PUT"],
        "expose_headers": ["X-Request-Id"],
        "allow_credentials": True,
        "max_age": {"max": "3600s"},
    }


@pytest.mark.parametrize("imported", ["traefik"], indirect=True)
def test_traefik_headers(imported: Any) -> None:
    """CORS lists and security options; a loose expression is tightened and said to be; an empty header is absent."""
    (route,) = imported[1]["routes"]
    assert route["match"] == [{"hosts": ["shop.example"], "paths": ["/api*", "/api*/**"]}]
    assert route["cors"]["allow_origins"] == [
        "https://app.shop.example",
        {"regex": r"^https://[a-z0-9.-]*\.shop\.example$"},
    ]
    assert "lets in more" in imported[0]
    assert route["cors"]["vary"] == ["Origin"]
    assert route["headers"] == {
        "Strict-Transport-Security": {"hsts": {"min_max_age": "31536000s", "include_subdomains": True}},
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Server": {"absent": True},
        "X-Team": "edge",
    }


@pytest.mark.parametrize("imported", ["starlette"], indirect=True)
def test_a_starlette_application_keeps_its_own_policy(imported: Any) -> None:
    """Held against the same source, who may read and how is as the policy says; with another origin in the source it is not."""
    text, _, folder = imported
    policy = folder / "auditor.yaml"
    policy.write_text(text + "targets: [{id: app, type: asgi, files: [main.py]}]\n")

    def failing() -> set[str]:
        run = check(Options("check", policy, now="2026-01-01"))
        return {f.check for f in run.findings if f.verdict is Verdict.FAIL}

    about = {"cors-origin-not-allowed", "cors-origin-refused", "cors-preflight-fails", "cors-method-not-allowed"}
    about |= {"cors-credentials-not-allowed", "cors-credentials-missing", "cors-refusal-wrong-status"}
    assert not failing() & about
    source = (folder / "main.py").read_text()
    (folder / "main.py").write_text(source.replace("['https://app.shop", "['https://evil.example', 'https://app.shop"))
    assert "cors-origin-not-allowed" in failing()


@pytest.mark.parametrize("imported", ["drheader"], indirect=True)
def test_drheader_rules(imported: Any) -> None:
    """Required, forbidden and optional headers with their matchers; what has no equal is said."""
    assert imported[1]["headers"] == {
        "Content-Security-Policy": {"not_contain": ["unsafe-inline"], "severity": "high"},
        "X-Frame-Options": {"one_of": ["SAMEORIGIN", "DENY"]},
        "Referrer-Policy": {"exact": "no-referrer", "optional": True},
        "Server": {"absent": True},
        "X-Other": {"present": True},
    }
    assert "not taken over: must-contain-one" in imported[0]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("text", [None, "", "a: [", "[]", "kind: HTTPRoute\n"])
def test_a_file_of_another_kind_is_refused_in_words(
    kind: str, text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty, broken or other files: exit 2 or 3 with what was expected, no traceback."""
    file = tmp_path / FILES[kind][0]
    if text is not None:
        file.write_text(text)
    assert cli.run(["policy", "import", "--from", kind, str(file)]) in {2, 3}
    assert "bug" not in capsys.readouterr().err
