"""Asks a real nginx which configurations it accepts, and compares: recorded cases, mutated files, public files."""

from __future__ import annotations

import json
import os
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor.nginx.syntax import Tree, load_tree

sys.path.insert(0, str(Path(__file__).parent))
from nginx_binary import Answer, ask, need_nginx, nginx_binaries, nginx_version

HERE = Path(__file__).parent
CASES = HERE.parents[2] / "shared" / "cases" / "nginx"
BASES = HERE / "nginx_bases"

TOKEN = re.compile(r"\s+|#[^\n]*|[;{}]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s;{}]+")
POOL = [
    "on",
    "off",
    "0",
    "1",
    "7",
    "8k",
    "16m",
    "5s",
    "10ms",
    "1h",
    "all",
    "any",
    "$uri",
    "$host",
    "$nothing",
    "${uri}",
    "${broken",
    "$",
    '""',
    "''",
    "~",
    "~*",
    "=",
    "!=",
    "^~",
    "@name",
    "/",
    "/x",
    "/api/",
    "*.a.b",
    "a..b",
    "default",
    "include",
    "return",
    "set",
    "if",
    "location",
    "server",
    "http",
    "events",
    "upstream",
    "map",
    "200",
    "404",
    "999",
    "1000",
    "http://127.0.0.1",
    "https://$host/",
    "off;",
    "on;",
    "always",
    "last",
    "break",
    "permanent",
    "zone=api",
    "zone=none",
    "burst=5",
    "127.0.0.1",
    "127.0.0.1:80",
    "[::1]:81",
    "unix:/s",
    "10.0.0.0/33",
    "-1",
    "1.5",
    "(",
    ")",
    "[",
    "(a",
    "^/(",
    "\\",
    '"',
    "'",
    "\\;",
    "#x",
    "{",
    "}",
    ";",
    ";;",
    "$1",
    "$remote_addr",
    '"a',
    'b"',
    "'x;y'",
    "a{2}",
    "99999999999999999999",
    "max=10",
    "volatile",
    "hostnames",
    "50%",
    "0%",
    "ssl",
    "default_server",
    "~^(?<n>a)$",
    "~(",
    "proxy_pass",
    "add_header",
    "deny",
    "limit_req_zone",
    "error_page",
    "try_files",
    "internal",
    "ip_hash",
    "backup",
    "weight=0",
    "levels=9",
]


def mutants(text: str, random_: random.Random) -> Iterator[str]:  # noqa: C901 - one branch for each kind of mutation
    """Yield mutations of a configuration for ever: tokens lost, doubled, swapped, replaced, inserted; lines moved."""
    pieces = TOKEN.findall(text)
    solid = [i for i, piece in enumerate(pieces) if not piece.isspace() and not piece.startswith("#")]
    lines = text.splitlines(keepends=True)
    while True:
        new = list(pieces)
        kind = random_.randrange(12)
        at = random_.choice(solid)
        if kind == 0:
            new[at] = ""
        elif kind == 1:
            new[at] += " " + new[at]
        elif kind == 2:
            other = random_.choice(solid)
            new[at], new[other] = new[other], new[at]
        elif kind == 3:
            new[at] = random_.choice(POOL)
        elif kind == 4:
            new[at] += " " + random_.choice(POOL)
        elif kind == 5:
            piece = new[at]
            where = random_.randrange(len(piece) + 1)
            new[at] = (
                piece[:where] + random_.choice("\"'{};\\$#()~*:/ \n\r\té\x00a9") + piece[where + random_.randrange(2) :]
            )
        elif kind == 6:
            copy = list(lines)
            line = copy.pop(random_.randrange(len(copy)))
            copy.insert(random_.randrange(len(copy) + 1), line)
            yield "".join(copy)
            continue
        elif kind == 7:
            copy = list(lines)
            copy.insert(random_.randrange(len(copy) + 1), random_.choice(lines))
            yield "".join(copy)
            continue
        elif kind == 8:
            new[at] = " # comment\n " + new[at] + random_.choice("\n\t\r ")
        elif kind == 9 and new[at][0] not in "{};\"'" and "\\" not in new[at]:
            new[at] = random_.choice("\"'").join(("", new[at], "")) if random_.randrange(2) else f'"{new[at]}"'
        else:
            new[at] = re.sub(r"\d+", lambda m: str(random_.choice((0, 1, int(m[0]) + 1, int(m[0]) * 10))), new[at])
            if kind == 11:
                new[at] = new[at].swapcase()
        yield "".join(new)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What nginx and we say of one configuration; `comparable`: nginx spoke of the file, of things we know."""

    text: str
    nginx: Answer
    tree: Tree

    @property
    def comparable(self) -> bool:
        """Whether the two answers are about the same question: nginx spoke, of the file, and of what we say we know."""
        if not self.nginx.accepted and (self.nginx.environment or not self.nginx.message):
            return False
        return not self.nginx.message.startswith("unknown directive") or bool(self.tree.problems)

    @property
    def agree(self) -> bool:
        """Whether we refuse exactly what nginx refuses."""
        return self.nginx.accepted == (not self.tree.problems)


def judge(text: str, folder: Path, binary: Path) -> Verdict:
    """Ask both about one configuration."""
    data = text.encode("latin-1", "replace")
    (folder / "nginx.conf").write_bytes(data)
    answer = ask(binary, folder)
    return Verdict(text, answer, load_tree([folder / "nginx.conf"], version=nginx_version(binary), context="main"))


def prepare(folder: Path) -> Path:
    """Write the files that the base configurations include."""
    folder.chmod(0o755)
    (folder / "conf.d").mkdir(exist_ok=True)
    (folder / "html").mkdir(exist_ok=True)
    (folder / "mime.conf").write_text("types { text/plain txt; }\n")
    (folder / "htpasswd").write_text("")
    return folder


def bases(folder: Path, binary: Path) -> Iterator[str]:
    """Yield the configurations that mutants come from, without a block for which a build has no module (Debian's stream)."""
    for path in sorted(BASES.glob("*.conf")):
        text = path.read_text(encoding="latin-1")
        missing = re.match(r'unknown directive "(stream)"', judge(text, folder, binary).nginx.message)
        yield re.sub(rf"^{missing[1]} \{{.*?^\}}\n", "", text, flags=re.DOTALL | re.MULTILINE) if missing else text


def disagreements(count: int, seed: int, binary: Path) -> tuple[int, list[Verdict]]:
    """Judge mutants of the base configurations; return how many could be compared, and those we judge otherwise."""
    random_ = random.Random(seed)
    compared = 0
    wrong = []
    with tempfile.TemporaryDirectory(prefix="accepts-") as name:
        folder = prepare(Path(name))
        sources = [mutants(text, random_) for text in bases(folder, binary)]
        for number in range(count):
            verdict = judge(next(sources[number % len(sources)]), folder, binary)
            if verdict.comparable:
                compared += 1
                if not verdict.agree:
                    wrong.append(verdict)
    return compared, wrong


def describe(verdicts: list[Verdict]) -> str:
    """Return the disagreements in a form that says what to look at."""
    return "\n".join(
        f"nginx: {v.nginx.message or 'accepts'}\n  we: {[f'{p.location}: {p.message}' for p in v.tree.problems[:3]] or 'accept'}"
        for v in verdicts
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that nginx may read as another user, with the files that the base configurations include."""
    with tempfile.TemporaryDirectory(prefix="accepts-") as name:
        yield prepare(Path(name))


@pytest.fixture(params=[0, 1], ids=["newest", "system"])
def binary(request: pytest.FixtureRequest) -> Path:
    """Return each nginx of this machine."""
    need_nginx()
    found = nginx_binaries()
    if request.param >= len(found):
        reason = "no second nginx: apt-get install nginx-light"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found[request.param]


def test_bases_are_accepted(folder: Path, binary: Path) -> None:
    """Every configuration that the mutants come from is accepted by nginx and by us."""
    for text in bases(folder, binary):
        verdict = judge(text, folder, binary)
        assert verdict.nginx.accepted, verdict.nginx.message
        assert not verdict.tree.problems, verdict.tree.problems


def test_mutants_slice(binary: Path) -> None:
    """A fixed slice of mutated configurations is accepted and refused as nginx does."""
    compared, wrong = disagreements(150, 1, binary)
    assert compared > 100
    assert not wrong, describe(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_mutants(seed: int, binary: Path) -> None:
    """Thousands of mutated configurations are accepted and refused as nginx does."""
    compared, wrong = disagreements(1000, 100 + seed, binary)
    assert compared > 700
    assert not wrong, describe(wrong)


@pytest.mark.skipif(not CASES.is_dir(), reason="the recorded cases are not here")
@pytest.mark.parametrize("recorded", ["1.31.3", "1.22.1"])
def test_recorded_cases(tmp_path: Path, recorded: str) -> None:
    """The recorded configurations are accepted and refused as the recorded nginx did, but for names it did not resolve."""
    wrong = []
    seen = 0
    for path in sorted(CASES.glob("*.json")):
        case = json.loads(path.read_text()).get(f"nginx-{recorded}")
        if case is None or "nginx_conf" not in case:
            continue
        for name, text in case.get("files", {}).items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "nginx.conf").write_text(case["nginx_conf"])
        tree = load_tree([tmp_path / "nginx.conf"], version=recorded)
        seen += 1
        unresolved = any("host not found" in message for message in case.get("config_messages", ()))
        if not unresolved and bool(tree.problems) != case.get("config_refused", False):
            wrong.append((path.stem, case.get("config_messages", ()), [problem.message for problem in tree.problems]))
    assert seen > 50
    assert not wrong


def test_snippets(folder: Path, binary: Path) -> None:
    """Small contents of an http block, each once a disagreement or close to one, are judged as nginx judges them."""
    wrong = []
    compared = 0
    for line in (BASES / "snippets.txt").read_text().splitlines():
        verdict = judge(f"events {{ }} http {{ {line}\n}}", folder, binary)
        compared += verdict.comparable
        if verdict.comparable and not verdict.agree:
            wrong.append((line, verdict.nginx.message, [problem.message for problem in verdict.tree.problems]))
    assert compared > 150
    assert not wrong
