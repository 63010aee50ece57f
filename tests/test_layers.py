"""Who may import whom: the rooms form one line, imports point left only, and heavy libraries stay in their room."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "auditor"

LINE = (
    {"dataclass"},
    {"errors", "sealed"},
    {"exchange", "graph"},
    {"finding"},
    {"policy"},
    {"language", "tree"},
    {"nginx", "traefik", "backend", "compose"},
    {"memory"},
    {"stack"},
    {"doors"},
    {"browser"},
    {"plan"},
    {"asking", "options", "seen"},
    {"targets", "live", "checks"},
    {"overview", "verdicts", "agreement", "watching", "replaying", "accepted"},
    {"audit", "tracing", "difference"},
    {"report", "history", "fleet", "demo", "drafting"},
    {"showing", "recording"},
    {"watch"},
    {"cli"},
    {"__main__"},
)
"""Rooms from left to right; rooms of one set never import each other."""

ONLY_IN = {
    "httpx": {"live", "watch"},
    "websockets": {"live", "demo"},
    "hypothesis": {"live"},
    "crossplane": {"nginx"},
    "tabulate": {"report"},
    "weasyprint": {"report"},
    "sqlalchemy": {"history"},
    "alembic": {"history"},
    "dask": {"fleet"},
    "distributed": {"fleet"},
    "apscheduler": {"watch"},
    "jinja2": {"report", "watch"},
    "prometheus_client": {"watch"},
    "uvicorn": {"watch"},
    "click": {"cli"},
    "playwright": {"live"},
    "pcre2": {"nginx", "traefik"},
}
"""Libraries that appear in these rooms only."""


def rooms() -> dict[str, list[Path]]:
    """Return every room with its files."""
    found: dict[str, list[Path]] = {}
    for file in sorted(ROOT.rglob("*.py")):
        relative = file.relative_to(ROOT)
        if relative.parts[:2] == ("demo", "stack") or str(relative) == "__init__.py":
            continue
        found.setdefault(relative.parts[0].removesuffix(".py"), []).append(file)
    return found


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "auditor"}
    return names


POSITION = {room: index for index, group in enumerate(LINE) for room in group}


def test_every_room_has_a_place() -> None:
    """Each room of the package stands in the line."""
    assert set(rooms()) <= set(POSITION)


@pytest.mark.parametrize("room", sorted(rooms()))
def test_imports_point_left(room: str) -> None:
    """A room imports only rooms to its left, never its siblings."""
    for file in rooms()[room]:
        for name in imports(file):
            parts = name.split(".")
            if parts[0] != "auditor" or len(parts) < 2:
                continue
            other = parts[1]
            if other in {room, "__version__"}:
                continue
            assert POSITION[other] < POSITION[room], f"{file.relative_to(ROOT)} imports auditor.{other}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_libraries_stay_in_their_room(library: str) -> None:
    """A heavy or replaceable library is imported in its own room only."""
    for room, files in rooms().items():
        for file in files:
            used = {name.split(".")[0] for name in imports(file)}
            assert library not in used or room in ONLY_IN[library], f"{file.relative_to(ROOT)} imports {library}"
