"""Do requests that no matcher tells apart get the same answer from a real nginx? Two members of one cell are asked.

Configurations are drawn at random; of each, values of one part of a request (path, host, method, Origin, another
header) are drawn near what the configuration names, and sorted into cells by the matchers that the plan is made from:
paths and hosts by all of them, the other parts by those that the place can see which is asked. Two values of one cell
must be answered alike, up to echoes of the value itself. The long run:

    python tests/oracle/test_cell_soundness.py --configurations 400
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nginx_binary import need_nginx, nginx_version
from nginx_live import Observed, RefusedError, Sandbox, Sent

from auditor.language import Language
from auditor.nginx import load, matchers
from auditor.nginx.selection import Selection
from auditor.plan.cells import Matcher
from auditor.plan.joint import told_apart

SEGMENTS = (
    "api",
    "v1",
    "v2",
    "users",
    "x.json",
    "app.js",
    "static",
    "img",
    "a",
    "b",
    "API",
    "admin",
    ".git",
    "x-y",
    "7",
)
WORDS = ("app", "www", "preview", "shop", "a", "b1", "evil")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW", "TRACE", "REPORT")
PATH_REGEXES = (
    r"\.json$",
    r"\.(js|css)$",
    r"^/api/v[0-9]+/",
    r"^/static/.*\.js$",
    r"(?i)admin",
    r"/x",
    r"^/[a-z]+$",
    r"^/a(/|$)",
)
ORIGIN_REGEXES = (
    r"^https://([a-z0-9-]+\.)*example\.com$",
    r"^https?://app.example\.com",
    r"preview\.example\.com$",
    r"^https://[^/]+\.shop\.test(:\d+)?$",
    r"^(?!.*evil).*\.example\.org$",
    r"^http:",
    r"localhost(:\d+)?$",
)


COMPOSED = {
    "$host$uri": [
        "shop.test/api/",
        "www.shop.test/a",
        '"~^www.*/x"',
        '"~^[a-z.]+/(api|static)/"',
        '"~test/.*\\.json$"',
    ],
    '"$http_origin:$request_method"': [
        "https://app.example.com:GET",
        '"~^https://.*example\\.com(:8443)?:(POST|PUT)$"',
        '"~:GET$"',
        '"~^https?://[^:]*:P"',
        '":POST"',
    ],
    '"$http_x_mode$uri"': ["on/a", "debug/api/", '"~^d.*/x"', '"~^(on|ON)?/api"', '"~m[0-9]+/[a-z]+$"'],
    '"$http_x_mode-$arg_q"': ["on-1", '"~^d.*-[12]$"', '"~^-on$"', '"~0-"', '"-"'],
    "$request_uri": ["/a", "/?q=1", '"~^/api/"', '"~q=on$"', '"~\\.json"', '"~^/[a-z]+\\?"'],
    "$args": ["q=1", '"~^q=[0-9]$"', '"~on"', '""'],
    "$request_method$scheme": ["GEThttp", '"~^P.*http$"', '"~https"'],
}
"""Texts of several parts, and keys that a map of them may have."""


@dataclass(slots=True)
class Writer:
    """Draws one configuration."""

    dice: random.Random
    maps: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the http block."""
        parts = ["http {", "access_log off; map_hash_bucket_size 128; server_names_hash_bucket_size 128;"]
        parts += [self._map(number) for number in range(self.dice.randint(1, 4))]
        names = [
            ["shop.test", "www.shop.test"],
            ["*.shop.test"],
            ["~^(?<sub>[a-z]+)\\.example\\.com$"],
            ["api.*"],
            ["_"],
        ]
        self.dice.shuffle(names)
        for number in range(self.dice.randint(1, 3)):
            parts.append(f"server {{ listen 127.0.0.1:@P1@; server_name {' '.join(names[number])}; root @ROOT@/none;")
            parts.append(f"add_header X-Server s{number} always;")
            if self.dice.random() < 0.4:
                parts.append(f"add_header X-Outer ${self.dice.choice(self.maps)} always;")
            if self.dice.random() < 0.3:
                parts.append(self._if("return 403"))
            if self.dice.random() < 0.2:
                parts.append("rewrite ^/moved/(.*)$ https://shop.test/$1 permanent;")
            parts += self._locations(f"s{number}")
            parts.append(
                f"location @apart {{ add_header X-Map ${self.dice.choice(self.maps)} always; return 410 apart; }}"
            )
            parts.append("}")
        return "\n".join([*parts, "}"])

    def _map(self, number: int) -> str:
        if self.dice.random() < 0.4:
            composed = self.dice.choice(list(COMPOSED))
            chosen = self.dice.sample(COMPOSED[composed], self.dice.randint(1, 3))
            values_ = "".join(f" {key} {self.dice.choice(['v1', 'v2', chr(34) * 2])};" for key in chosen)
            self.maps.append(f"m{number}")
            return f"map {composed} $m{number} {{{values_} }}"
        source = self.dice.choice(["$http_origin"] * 4 + ["$uri", "$request_method", "$http_x_mode", "$host"])
        keys = {
            "$http_origin": [
                "https://app.example.com",
                "null",
                "https://www.shop.test",
                *(f'"~{r}"' for r in ORIGIN_REGEXES),
                '"~*^https://APP"',
            ],
            "$uri": ["/api/", "/a", *(f'"~{r}"' for r in PATH_REGEXES)],
            "$request_method": ["POST", "options", '"~^P"', "GET"],
            "$http_x_mode": ["on", "debug", '"~^d"', '""'],
            "$host": ["shop.test", '"~^www"', "api.x"],
        }[source]
        chosen = self.dice.sample(keys, self.dice.randint(1, min(4, len(keys))))
        lines = "".join(f" {key} {self.dice.choice(['v1', 'v2', source, chr(34) * 2])};" for key in chosen)
        default = "" if self.dice.random() < 0.4 else f" default {self.dice.choice(['none', source, chr(34) * 2])};"
        name = f"m{number}"
        if self.maps and self.dice.random() < 0.3:
            source = "$" + self.dice.choice(self.maps)
            lines = f' v1 w1; "~^v" w2; "" w3; {self.dice.choice(["none", "https://app.example.com"])} w4;'
        self.maps.append(name)
        return f"map {source} ${name} {{{default}{lines} }}"

    def _if(self, what: str) -> str:
        test = self.dice.choice([
            f'$http_origin ~ "{self.dice.choice(ORIGIN_REGEXES)}"',
            f'$http_origin !~* "{self.dice.choice(ORIGIN_REGEXES)}"',
            '$http_origin = "https://app.example.com"',
            f'$uri ~ "{self.dice.choice(PATH_REGEXES)}"',
            "$request_method = POST",
            "$request_method !~ ^(GET|HEAD)$",
            "$http_x_mode",
            '$host = "www.shop.test"',
            f"${self.dice.choice(self.maps)} = v1",
            f"${self.dice.choice(self.maps)}",
        ])  # fmt: skip
        return f"if ({test}) {{ {what}; }}"

    def _locations(self, name: str) -> Iterator[str]:
        heads = [f"= /{'/'.join(self.dice.sample(SEGMENTS, self.dice.randint(1, 2)))}" for _ in range(3)]
        heads += [
            f"/{'/'.join(self.dice.sample(SEGMENTS, self.dice.randint(1, 2)))}{self.dice.choice(['', '/'])}"
            for _ in range(4)
        ]
        heads += [
            f"^~ /{self.dice.choice(SEGMENTS)}/",
            "/",
            *(f'{self.dice.choice(["~", "~*"])} "{r}"' for r in self.dice.sample(PATH_REGEXES, 2)),
        ]
        seen: set[str] = set()
        for index, head in enumerate(self.dice.sample(heads, self.dice.randint(3, len(heads)))):
            key = head.removeprefix("^~ ")
            if key in seen:
                continue
            seen.add(key)
            yield f"location {head} {{"
            if own := self.dice.random() < 0.8:
                yield f"add_header X-Block {name}l{index}{self.dice.choice(['', ' always'])};"
            if self.dice.random() < 0.15:
                yield f"rewrite /(x|a|v1|[.]js|api) /{self.dice.choice(SEGMENTS)}/to-9 last;"
            for _ in range(self.dice.randint(0, 2) if own else 0):
                yield f"add_header X-Map ${self.dice.choice(self.maps)} always;"
            if self.dice.random() < 0.4:
                yield self._if(
                    self.dice.choice(["return 204", "add_header X-If yes always", "return 405 no", "set $s yes"])
                )
            yield self._content(regex=head.startswith(("~", "=")))
            yield "}"

    def _content(self, *, regex: bool) -> str:
        uri = "" if regex else self.dice.choice(["", "/up/"])
        return self.dice.choice([
            f"proxy_pass http://@UP@{uri};",
            "proxy_pass http://@UP2@; proxy_set_header Host $host;",
            f"return {self.dice.choice(['200', '403', '301 /elsewhere'])};" if self.dice.random() < 0.5 else 'return 200 "ok";',
            "",
            "limit_except GET { deny all; }",
            "error_page 404 = /fallback/; ",
            "error_page 404 = @apart;",
            f"error_page 403 404 /{self.dice.choice(SEGMENTS)}/in-9;",
            f"try_files /nothing /{self.dice.choice(SEGMENTS)}/to-9;",
            "try_files /nothing @apart;",
        ])  # fmt: skip


def values(subject: str, dice: random.Random, count: int) -> list[str]:
    """Draw values of one part of a request."""
    result = []
    for _ in range(count):
        if subject == "path":
            text = (
                "/" + "/".join(dice.choices(SEGMENTS, k=dice.randint(0, 3))) + dice.choice(["", "", "/", "z", ".json"])
            )
            result.append(re.sub("/+", "/", text).replace("/.git/", "/.gitx/"))
        elif subject == "origin":
            host = ".".join(
                [
                    *dice.choices(WORDS, k=dice.randint(1, 2)),
                    dice.choice(["example.com", "example.org", "shop.test", "examplexcom", "localhost"]),
                ]
            )
            result.append(
                f"{dice.choice(['https', 'https', 'http', 'HTTPS'])}://{host}{dice.choice(['', '', '', ':8443', '.evil.test', '/'])}"
            )
        elif subject == "host":
            result.append(
                ".".join(
                    [
                        *dice.choices((*WORDS, "api"), k=dice.randint(0, 2)),
                        dice.choice(["shop.test", "example.com", "x"]),
                    ]
                )
            )
        elif subject == "method":
            result.append(dice.choice(METHODS))
        elif subject == "arg:q":
            result.append(dice.choice(["1", "2", "3", "on", "x1", "x2", "12"]))
        else:
            result.append(dice.choice(["on", "ON", "debug", "dm", "0", "00", f"m{dice.randrange(10, 99)}"]))
    return list(dict.fromkeys(result))


SUBJECTS = ("path", "origin", "host", "method", "header:x-mode", "arg:q")


def request(parts: dict[str, str]) -> Sent:
    """Return the request with these parts."""
    lines = [("Host", parts["host"]), ("Connection", "close")]
    lines += [(name, parts[key]) for name, key in (("Origin", "origin"), ("X-Mode", "header:x-mode")) if parts[key]]
    query = f"?q={parts['arg:q']}" if parts["arg:q"] else ""
    return Sent(parts["method"], parts["path"] + query, headers=tuple(lines))


def neutral(answer: Observed, subject: str, value: str) -> object:
    """Return an answer without echoes of a value."""

    def without(name: str, text: str) -> str:
        if subject == "host" and name == "Location":
            text = text.replace(f"//{value}:", "//\0:")
        if subject == "arg:q" and name == "Location":
            text = text.partition("?")[0]
        return "\0" if text == value else text

    head = tuple(
        (name, without(name, text))
        for name, text in answer.headers
        if name.lower() not in {"date", "content-length", "etag"}
    )
    others = {"origin", "x-mode"} - {subject.removeprefix("header:")}
    length = [] if subject in {"path", "method"} else [v for n, v in answer.headers if n.lower() == "content-length"]
    asked = tuple(
        (a.at, "" if subject == "method" else a.method, _target(a.target, subject, value),
         tuple((n, v if n.lower() in others else without(n, v)) for n, v in a.headers))
        for a in answer.asked
    )  # fmt: skip
    return (answer.status, head, tuple(length), asked)


def _target(target: str, subject: str, value: str) -> str:
    path, _, query = target.partition("?")
    if subject == "arg:q":
        return path
    return f"{_start(path, value)}?{query}" if subject == "path" else target


def _start(target: str, path: str) -> str:
    """Return what of an upstream's target is not the end of the path."""
    common = 0
    while common < min(len(target), len(path)) and target[-1 - common] == path[-1 - common]:
        common += 1
    return target[: len(target) - common]


@dataclass(slots=True)
class Tally:
    """What a run saw."""

    configurations: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    narrower: int = 0
    """Times that a place was found to see less than its server."""
    wrong: list[str] = field(default_factory=list)


def sorter(seen: Sequence[Matcher], subject: str) -> Callable[[str], object] | None:
    """Return what names the cell of a value; None where some matcher of this part is no regular set."""
    whole = {"arg:q": "args"}.get(subject, subject)  # the one argument is the query
    sets = dict.fromkeys(
        (m.language(), "q=" if m.subject == "args" else "") for m in seen if m.subject in {subject, whole}
    )
    if any(m.kind == "other" and m.subject == "text" for m in seen):
        return None
    if any(item is None or not item.is_exact for item, _ in sets):
        return None
    known: list[tuple[Language, str]] = [(item, start) for item, start in sets if item is not None]
    return lambda value: tuple(item.contains(start + value) for item, start in known)


@dataclass(slots=True)
class Cells:
    """The cells of one configuration that have more than one of the values drawn, at any place."""

    seen: Sequence[Matcher]
    selection: Selection
    listen: str
    dice: random.Random
    tally: Tally
    drawn: dict[str, list[str]] = field(default_factory=dict)
    known: dict[object, list[list[str]]] = field(default_factory=dict)

    def of(self, subject: str, parts: dict[str, str]) -> list[list[str]]:
        """Return the values of each cell, as the place sees it that the other parts name."""
        names = None
        if subject not in {"path", "host"}:
            at = (self.listen, "http", parts["host"])
            read = self.selection.tables(*at, parts["path"])
            names = frozenset({"", self.selection.scope(*at), *read})
            self.tally.narrower += read < self.selection.tables(*at)
        if (subject, names) not in self.known:
            self.known[subject, names] = self._cut(subject, names)
        return self.known[subject, names]

    def _cut(self, subject: str, names: frozenset[str | None] | None) -> list[list[str]]:
        name = sorter([m for m in self.seen if names is None or (m.scope or m.table) in names], subject)
        if name is None:
            self.tally.undecided[subject] += 1
            return []
        if subject not in self.drawn:
            self.drawn[subject] = values(subject, self.dice, 60)
        groups: dict[object, list[str]] = {}
        for value in self.drawn[subject]:
            groups.setdefault(name(value), []).append(value)
        return [group for group in groups.values() if len(group) > 1]


def examine(sandbox: Sandbox, dice: random.Random, pairs: int, version: str, tally: Tally) -> None:
    """Draw one configuration and compare pairs of requests to it."""
    text = sandbox.filled(Writer(dice).text())
    file = sandbox.root / "cells.conf"
    file.write_text("events {}\n" + text)
    configuration = load([file], prefix=sandbox.root, mounts={}, version=version)
    temporary = "".join(f"{n}_temp_path tmp/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    head = "daemon off; master_process off; pid nginx.pid; error_log logs/error.log crit; events { worker_connections 128; }\n"
    try:
        sandbox.start_text(
            head + text.replace("http {", "http { " + temporary, 1), ("127.0.0.1", int(sandbox.names["@P1@"]))
        )
    except RefusedError as error:
        raise AssertionError(f"nginx refuses what was drawn: {error}\n{text}") from error
    assert not configuration.problems
    seen = told_apart(
        [
            Matcher(m.subject, m.kind, m.pattern, m.caseless, m.location, m.scope, table=m.table, parts=m.parts)
            for m in matchers(configuration)
        ]
    )
    tally.configurations += 1
    cells = Cells(seen, Selection(configuration), f"127.0.0.1:{sandbox.names['@P1@']}", dice, tally)
    named = re.findall(r"location (?:= |\^~ )?(/[^ ]*) {", text)
    asked = 0
    while asked < pairs:
        subject = dice.choice(SUBJECTS)
        parts = {s: values(s, dice, 1)[0] for s in SUBJECTS}
        if dice.random() < 0.5:
            parts["path"] = dice.choice(named) + dice.choice(["", "", "z"])
        parts["header:x-mode"] = parts["header:x-mode"] if dice.random() < 0.5 else ""
        parts["arg:q"] = parts["arg:q"] if dice.random() < 0.5 else ""
        parts["method"] = parts["method"] if dice.random() < 0.4 else "GET"
        groups = cells.of(subject, parts)
        if not groups:
            continue
        asked += 1
        one, two = dice.sample(dice.choice(groups), 2)
        first, second = (sandbox.exchange(request(parts | {subject: value})) for value in (one, two))
        tally.pairs[subject] += 1
        if neutral(first, subject, one) != neutral(second, subject, two):
            tally.wrong.append(
                f"{subject} {one!r} and {two!r} of one cell, with {parts}:\n"
                f"{neutral(first, subject, one)}\n{neutral(second, subject, two)}\n{text}"
            )


def run(configurations: int, pairs: int, seed: int) -> Tally:
    """Examine configurations drawn from a seed."""
    binary, dice, tally = need_nginx(), random.Random(seed), Tally()
    with Sandbox(str(binary), quiet=1.0) as sandbox:
        for _ in range(configurations):
            sandbox._next_ports()
            examine(sandbox, dice, pairs, nginx_version(Path(binary)), tally)
            if len(tally.wrong) > 5:
                break
    return tally


@pytest.mark.nginx
@pytest.mark.parametrize(("configurations", "pairs"), [(25, 80), pytest.param(220, 100, marks=pytest.mark.slow)])
def test_members_of_one_cell_are_answered_alike(configurations: int, pairs: int) -> None:
    """Whatever the matchers do not tell apart, nginx does not tell apart."""
    tally = run(configurations, pairs, seed=20261128)
    assert tally.wrong == []
    assert sum(tally.pairs.values()) == configurations * pairs
    assert min(tally.pairs[subject] for subject in SUBJECTS) > 20
    assert tally.narrower > configurations


def main() -> None:
    """Run for long and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=220)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tally = run(arguments.configurations, arguments.pairs, arguments.seed)
    for text in tally.wrong[:3]:
        sys.stdout.write(text + "\n\n")
    sys.stdout.write(
        f"{tally.configurations} configurations, {sum(tally.pairs.values())} pairs {dict(tally.pairs)}, "
        f"{len(tally.wrong)} answered differently; {tally.narrower} places see less than their server; parts not decided: {dict(tally.undecided)}\n"
    )


if __name__ == "__main__":
    main()
