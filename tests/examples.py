"""The *Fails* and *Passes* examples of a check's page, made into files and a policy that `auditor check` can read."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class Yaml12(yaml.SafeLoader):
    """YAML 1.2: `on` and `off` are words."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - how PyYAML is configured
        key: [(tag, regex) for tag, regex in found if tag != "tag:yaml.org,2002:bool" or key in "tTfF"]
        for key, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


HEADINGS = ("What it checks", "Why it matters", "Fails", "Passes", "Remediation", "References")
FENCE = re.compile(r"^```([a-z-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """One example: fenced blocks by language."""

    blocks: tuple[tuple[str, str], ...]

    def write(self, folder: Path) -> Path:
        """Write the example's files and return its policy."""
        said: dict[str, Any] = {}
        targets: list[dict[str, Any]] = []
        for language, text in self.blocks:
            if language == "yaml":
                said = yaml.load(text, Yaml12)
            else:
                targets.append(_target(language, text, folder))
        for name, text in said.get("files", {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        for target in targets:
            if target["type"] == "nginx" and "mounts" in said:
                target["mounts"] = said["mounts"]
        policy: dict[str, Any] = {"version": 1, "name": "example", "targets": targets, **said.get("policy", {})}
        clauses = {key: value for key, value in said.items() if key not in {"policy", "files", "mounts", "route"}}
        route = {"id": "all", "match": [{"paths": ["/**"], "methods": ["GET"]}], **clauses, **said.get("route", {})}
        if clauses or "route" in said:
            policy["routes"] = [route]
        path = folder / "policy.yaml"
        path.write_text(json.dumps(policy))
        return path


def _target(language: str, text: str, folder: Path) -> dict[str, Any]:
    if language == "nginx":
        (folder / "nginx.conf").write_text(_nginx(text))
        return {"id": "nginx", "type": "nginx", "files": ["nginx.conf"]}
    if language == "traefik":
        (folder / "traefik.yml").write_text("entryPoints: {web: {address: ':80'}, websecure: {address: ':443'}}\n")
        (folder / "dynamic.yml").write_text(text)
        return {"id": "edge", "type": "traefik", "static": "traefik.yml", "dynamic": ["dynamic.yml"]}
    if language == "traefik-static":
        (folder / "traefik.yml").write_text(text)
        return {"id": "edge", "type": "traefik", "static": "traefik.yml"}
    if language == "compose":
        (folder / "compose.yaml").write_text(text)
        return {"id": "stack", "type": "compose", "files": ["compose.yaml"]}
    if language == "python":
        (folder / "main.py").write_text(text)
        return {"id": "backend", "type": "asgi", "files": ["main.py"]}
    assert language == "env", language
    (folder / ".env").write_text(text)
    return {"id": "client", "type": "env", "files": [".env"]}


def _nginx(text: str) -> str:
    """Complete a snippet: a location's directives, servers, or an http block, to a whole file."""
    if not re.search(r"\b(server|http)\s*\{", text):
        text = f"server {{\n    listen 80;\n    location / {{\n{textwrap.indent(text, '        ')}    }}\n}}\n"
    if not re.search(r"\bhttp\s*\{", text):
        text = f"http {{\n{textwrap.indent(text, '    ')}}}\n"
    return f"events {{}}\n{text}"


def sections(page: str) -> dict[str, str]:
    """Return the text under each heading of a page."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def example(page: str, heading: str) -> Example:
    """Return the example under a heading."""
    return Example(tuple((language, text) for language, text in FENCE.findall(sections(page)[heading])))
