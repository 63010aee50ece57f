"""The effective policy as text: the same policy again, each line with its source."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.policy.document import Node, parse
from auditor.policy.load import load_policy
from auditor.policy.show import show

ROOT = Path(__file__).parents[1]
NOW = date(2026, 11, 24)
POLICIES = [*sorted((ROOT / "policies").glob("*.yaml")), ROOT / "tests" / "cases" / "policy" / "full.yaml"]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_what_is_shown_is_the_same_policy(path: Path, tmp_path: Path) -> None:
    """Every rule, every value; only what was applied (extends, environments) is gone."""
    loaded = load_policy(path, now=NOW)
    (tmp_path / "shown.yaml").write_text(show(loaded), encoding="utf-8")
    again = load_policy(tmp_path / "shown.yaml", now=NOW)
    assert again.policy.model_dump(exclude={"extends"}) == loaded.policy.model_dump(exclude={"extends"})


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_value_is_followed_by_the_line_that_says_it(path: Path) -> None:
    """File and line lead to the key."""
    sources = {str(path): path.read_text(encoding="utf-8").splitlines()}
    shown = 0
    for line in show(load_policy(path, now=NOW)).splitlines():
        found = re.search(r"  # (.+):([0-9]+)$", line)
        if found and found[1] in sources and not line.lstrip().startswith("- "):
            key = line.strip().partition(":")[0].strip('"')
            written = sources[found[1]][int(found[2]) - 1]
            shown += key in written
            assert key in written or key in {"id", "match", "paths", "hosts"} or "$" in written or "*" in written, line
    assert shown > 0


@given(
    st.text(st.characters(exclude_characters="\0"), max_size=12),
    st.text(alphabet="\x1b[0m${}:#'\"\\\u2028\x7f\x85 a", max_size=8),
)
@settings(max_examples=150)
def test_any_text_survives_and_none_of_it_reaches_a_terminal_raw(tmp_path: Path, name: str, value: str) -> None:
    """No escape sequence, no line break, no comment can be smuggled through a value; a zero byte is refused anyway."""
    written = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
        for c in name + value
        if not 0xD800 <= ord(c) < 0xE000
    )
    if not written:
        return
    file = tmp_path / "p.yaml"
    escaped = written.replace("\\u0024\\u007b", "\\u0024\\u0024\\u007b")
    file.write_text(f'version: 1\nname: "{escaped[:1200]}"\ntls: {{redirect: required}}\n', encoding="utf-8")
    loaded = load_policy(file, now=NOW)
    text = show(loaded)
    assert all(c.isprintable() or c == "\n" for c in text)
    root, problems = parse(text, "shown")
    assert not problems
    assert isinstance(root, Node)
    assert str(root.entries["name"].value).replace("$${", "${") == loaded.policy.name
