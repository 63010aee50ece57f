"""A disagreement that was found, kept as a file that a person can read: the configuration, and the request in its head."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from nginx_live import Sent
from nginx_tree import Node, quote

FOUND = Path(__file__).parent / "found"
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|#[^\n]*|[{};]|(?:\$\{\w+\}|[^\s{};"#]|(?<=\S)#)+', re.DOTALL)
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_CONTROL = {"t": "\t", "r": "\r", "n": "\n"}


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration, the requests sent to it in turn, and what it shows."""

    why: str
    http: Node
    requests: tuple[Sent, ...]
    versions: tuple[str, ...] = ("1.31", "1.22")


def parse(text: str) -> tuple[Node, ...]:
    """Read directives as `nginx_tree.write` writes them."""
    stack: list[list[Node]] = [[]]
    heads: list[list[str]] = []
    words: list[str] = []
    for token in _TOKEN.findall(text):
        if token.startswith("#"):
            continue
        if token == ";":
            stack[-1].append(Node(words[0], tuple(words[1:])))
            words = []
        elif token == "{":
            heads.append(words)
            stack.append([])
            words = []
        elif token == "}":
            inner, head = stack.pop(), heads.pop()
            stack[-1].append(Node(head[0], tuple(head[1:]), tuple(inner)))
        elif token.startswith('"'):
            words.append(_ESCAPE.sub(lambda m: _CONTROL.get(m[1], m[1]), token[1:-1]))
        else:
            words.append(token)
    return tuple(stack[0])


def render(nodes: tuple[Node, ...], depth: int = 0) -> str:
    """Write directives, one a line."""
    lines = []
    for node in nodes:
        head = "    " * depth + " ".join(map(quote, (node.name, *node.args)))
        lines.append(
            head + ";" if node.block is None else f"{head} {{\n{render(node.block, depth + 1)}{'    ' * depth}}}"
        )
    return "".join(line + "\n" for line in lines)


def dump(case: Case) -> str:
    """Write a case as a file."""
    head = [f"# {line}" for line in case.why.splitlines()]
    head.append("# versions: " + " ".join(case.versions))
    for request in case.requests:
        default = asdict(Sent())
        said = {key: value for key, value in asdict(request).items() if value != default[key]}
        head.append("# request: " + json.dumps(said))
    return "\n".join(head) + "\n" + render(case.http.block or ())


def load(path: Path) -> Case:
    """Read a case."""
    why: list[str] = []
    requests: list[Sent] = []
    versions: tuple[str, ...] = ("1.31", "1.22")
    text = path.read_text(encoding="latin-1")
    for line in text.splitlines():
        if line.startswith("# request: "):
            data = json.loads(line.removeprefix("# request: "))
            data["headers"] = tuple((name, value) for name, value in data.get("headers", ()))
            requests.append(Sent(**data))
        elif line.startswith("# versions: "):
            versions = tuple(line.removeprefix("# versions: ").split())
        elif line.startswith("# "):
            why.append(line.removeprefix("# "))
    return Case("\n".join(why), Node("http", (), parse(text)), tuple(requests), versions)


def all_found() -> list[Path]:
    """List the kept cases."""
    return sorted(FOUND.glob("*.conf"))
