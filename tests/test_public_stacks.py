"""Other people's Compose files, Traefik files and applications, each audited as the only target of a policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor import audit
from auditor.finding import Verdict
from auditor.options import Options

PUBLIC = Path(__file__).parents[1].parent / "shared" / "cases" / "public"
COMPOSE = [*sorted(PUBLIC.glob("compose/*/*.y*ml")), *sorted(PUBLIC.glob("traefik/*/docker-compose.yml"))]
TRAEFIK = [p for p in sorted(PUBLIC.glob("traefik/*/*.*ml")) if p not in COMPOSE]
FILES = [
    *(("compose", path) for path in COMPOSE),
    *(("traefik", path) for path in TRAEFIK),
    *(("asgi", path) for path in sorted(PUBLIC.glob("fastapi/*/*.py"))),
]


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize(
    ("kind", "path"), FILES, ids=lambda value: value if isinstance(value, str) else value.parent.name
)
def test_every_public_file_leads_to_verdicts(kind: str, path: Path, tmp_path: Path) -> None:
    """No file raises, no check fails to run, and whatever is not decided says why."""
    files = {"dynamic": [str(path)]} if kind == "traefik" else {"files": [str(path)]}
    policy = {
        "version": 1,
        "name": "public",
        "targets": [{"id": "it", "type": kind, **files}],
        "exposure": {"backends": ["api:8000"], "direct_routes": "forbid", "published_ports": {"allow": []}},
        "routes": [
            {
                "id": "all",
                "match": [{"paths": ["/**"], "methods": ["GET"]}],
                "cors": {"allow_origins": ["https://app.example"]},
            }
        ],
    }
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps(policy), "utf-8")
    run = audit.check(Options("check", file))
    assert run.findings
    assert not [f.message for f in run.findings if f.verdict is Verdict.ERROR]
    assert all(f.message for f in run.findings if f.verdict is Verdict.UNKNOWN)
