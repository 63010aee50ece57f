"""Whole nginx configurations written at random: every feature the evaluator claims, in every combination nginx accepts.

`Writer` makes one `http` block from a `Dice`; `configurations()` is the Hypothesis strategy around it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from nginx_declarations import maps, upstreams, zones
from nginx_idioms import LOCATION_IDIOMS, SERVER_IDIOMS, UPGRADE, beside
from nginx_levels import FEATURES, Level
from nginx_live import Sent
from nginx_requests import requests_for
from nginx_tree import Node, block, directive
from nginx_words import (
    CODES,
    EARLY,
    LATE,
    ODD_CODES,
    PATH_REGEXES,
    PATHS,
    PREFIXES,
    SERVER_NAMES,
    UNKNOWABLE,
    VALUE_REGEXES,
    VALUES,
    Dice,
)

_USED = re.compile(r"\$\{?([a-z]\w*)")
_CAPTURE = re.compile(r"\(\?<(\w+)>")
_BRACED = re.compile(r"\$\{(\w+)\}(?!\w)")
SET_VARIABLES = ("v0", "v1", "v2")
CAPTURES = ("nm", "cap", "sub")


@dataclass(slots=True)
class Writer:
    """Writes one configuration; keeps what is declared so far: variables, zones, upstreams, named locations."""

    dice: Dice
    version: tuple[int, ...] = (1, 31, 3)
    own: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    connection_zones: list[str] = field(default_factory=list)
    upstreams: list[str] = field(default_factory=list)
    named: tuple[str, ...] = ()
    chosen_upstream: bool = False

    # ---- values

    def variable(self, *, late: bool = False) -> str:
        """Choose a variable, without the dollar sign."""
        pools = [(50, EARLY), (4, SET_VARIABLES), (2, CAPTURES)]
        if self.own:
            pools.append((40, tuple(self.own)))
        if late:
            pools.append((20, LATE))
        if self.dice.chance(1):
            return self.dice.pick(UNKNOWABLE)
        return self.dice.pick(self.dice.weighted(pools))

    def value(
        self, *, late: bool = False, captures: bool = True, words: tuple[str, ...] = ("x", "v-", "on", "1", "a b")
    ) -> str:
        """Write a value of literal text, variables and captures."""
        text = ""
        for _ in range(1 + self.dice.weighted([(65, 0), (25, 1), (10, 2)])):
            text += "|" if text and self.dice.chance(60) else ""
            kind = self.dice.weighted([(45, "word"), (40, "variable"), (15 if captures else 0, "capture")])
            if kind == "word":
                text += self.dice.pick(words)
            elif kind == "capture":
                text += f"${1 + self.dice.below(2)}"
            else:
                text += f"${{{self.variable(late=late)}}}"
        return _BRACED.sub(r"$\1", text) if self.dice.chance(80) else text

    def path_regex(self) -> str:
        """Choose a regex for paths."""
        return self.dice.pick([r for r in PATH_REGEXES if r])

    # ---- http level

    def http(self) -> Node:
        """Write the whole http block."""
        nodes = [*maps(self), *upstreams(self), *zones(self), *self.level("http", 3)]
        servers = [self.server(number) for number in range(1 + self.dice.weighted([(40, 0), (35, 1), (20, 2), (5, 3)]))]
        tree = block("http", of=[*nodes, *_one_default_each(servers)])
        if any("$connection_upgrade" in node.args for node in tree.walk()):
            tree = block("http", of=[*UPGRADE, *(tree.block or ())])
        return self._declared(tree)

    def _declared(self, tree: Node) -> Node:
        """Add a server nobody reaches that declares the variables used but set nowhere."""
        used, known = set(), set(self.own)
        for node in tree.walk():
            if node.name in {"set", "auth_request_set"}:
                known.add(node.args[0].removeprefix("$"))
            for arg in node.args:
                known.update(_CAPTURE.findall(arg))
                used.update(_USED.findall(arg))
            if node.name == "map":
                for entry in node.block or ():
                    known.update(_CAPTURE.findall(entry.name))
        missing = sorted(used.intersection((*SET_VARIABLES, *CAPTURES)) - known)
        needs = [directive("set", f"${name}", "") for name in missing]
        if "invalid_referer" in used and not any(node.name == "valid_referers" for node in tree.walk()):
            needs.append(directive("valid_referers", "none", "x.test"))
        if not needs:
            return tree
        extra = block(
            "server", of=[directive("listen", "127.0.0.1:@P3@"), directive("server_name", "declares"), *needs]
        )
        return Node("http", (), (*(tree.block or ()), extra))

    # ---- levels

    def level(self, level: Level, most: int) -> list[Node]:
        """Write some of the declarative directives that this level may have."""
        nodes: list[Node] = []
        usable = [(feature.weight, feature) for feature in FEATURES if level in feature.levels and feature.usable(self)]
        taken = set()
        for _ in range(self.dice.below(most + 1)):
            feature = self.dice.weighted(usable)
            if feature.name not in taken:
                taken.add(feature.name)
                nodes += feature.make(self, level)
        return nodes

    def server(self, number: int) -> Node:
        """Write one server."""
        self.named = tuple(self.dice.some(["@n", "@fb", "@x"], 2)) if self.dice.chance(60) else ()
        nodes = self._listen(number)
        if self.dice.chance(80):
            nodes.append(
                directive(
                    "server_name", *dict.fromkeys(self.dice.pick(SERVER_NAMES) for _ in range(1 + self.dice.below(3)))
                )
            )
        nodes += self.level("server", 5)
        if self.dice.chance(60):
            nodes.append(directive("root", self.dice.pick(["html", "html", "@ROOT@/html", "alt", "html/$arg_root"])))
        if self.dice.chance(25):
            nodes += self.program("server", 2)
        if self.dice.chance(6):
            nodes.append(self.try_files())
        nodes += self.locations(depth=0, parent="", most=6)
        nodes += [self.location_body(("", name), depth=3) for name in self.named]
        if self.dice.chance(22):
            idiom = self.dice.pick(SERVER_IDIOMS)
            taken = {node.args for node in nodes if node.name == "location"}
            if not any(node.name == "location" and node.args in taken for node in idiom):
                nodes = beside(nodes, idiom)
        return block("server", of=nodes)

    def _listen(self, number: int) -> list[Node]:
        port = "@P1@" if number == 0 or self.dice.chance(75) else "@P2@"
        address = self.dice.weighted([(70, "127.0.0.1:"), (10, "*:"), (8, ""), (7, "127.0.0.2:"), (5, "0.0.0.0:")])
        nodes = [directive("listen", address + port)]
        if self.dice.chance(12):
            other = "@P2@" if port == "@P1@" else "@P1@"
            nodes.append(directive("listen", "127.0.0.1:" + other))
        if self.dice.chance(20):
            nodes[0] = directive("listen", address + port, "default_server")
        return nodes

    def locations(self, depth: int, parent: str, most: int, *, regex_only: bool = False) -> list[Node]:
        """Write sibling locations that nginx accepts beside each other."""
        taken: set[str] = set()
        nodes = []
        if not depth and self.dice.chance(72):
            taken.add("p/")
            nodes.append(self.location_body(("", "/"), depth))
        for _ in range(self.dice.below(most) + 1):
            kind = self.dice.weighted([(50, ""), (14, "="), (10, "^~"), (20, "~"), (6, "~*")])
            if regex_only and kind not in {"~", "~*"}:
                kind = "~"
            if kind in {"~", "~*"}:
                name = self.path_regex()
            else:
                pool = [prefix for prefix in PREFIXES if prefix.startswith(parent)]
                if parent and parent != "/":
                    pool += [parent + "x", parent + "/b/", parent + "b"]
                name = self.dice.pick(pool)
            key = ("=" if kind == "=" else "p" if kind in {"", "^~"} else "r") + name
            if key in taken:
                continue
            taken.add(key)
            nodes.append(self.location_body((kind, name), depth))
        return nodes

    def location_body(self, heading: tuple[str, str], depth: int) -> Node:
        """Write one location with everything in it."""
        kind, name = heading
        is_named = name.startswith("@")
        plain = kind in {"", "=", "^~"} and not is_named
        nodes = self.level("location", 4)
        if self.dice.chance(6) and not is_named:
            nodes.append(directive("internal"))
        if self.dice.chance(6):
            nodes.append(self._limit_except())
        nodes += self._handler(plain=plain, is_named=is_named)
        if self.dice.chance(32):
            nodes += self.program("location", 4)
        if self.dice.chance(10):
            nodes.append(self.try_files())
        if depth < 2 and kind != "=" and not is_named and self.dice.chance(22):
            nodes += self.locations(depth + 1, name if plain else "", 3, regex_only=not plain)
        if self.dice.chance(13):
            nodes = beside(nodes, self.dice.pick(LOCATION_IDIOMS))
        order = nodes if self.dice.chance(70) or directive("proxy_redirect", "default") in nodes else nodes[::-1]
        return block("location", *([kind] if kind else []), name, of=order)

    def _handler(self, *, plain: bool, is_named: bool) -> list[Node]:
        kinds: list[tuple[int, str]] = [
            (60, "proxy"),
            (20, "return"),
            (9, "none"),
            (8, "root"),
            (2, "empty_gif"),
            (1, "fastcgi"),
        ]
        if not is_named:
            kinds.append((8, "alias"))
        kind = self.dice.weighted(kinds)
        if kind == "proxy":
            url = self.upstream_url(uri=plain)
            default = plain and "$" not in url and self.dice.chance(4)
            return [directive("proxy_pass", url), *([directive("proxy_redirect", "default")] if default else [])]
        if kind == "return":
            return [self.return_()]
        if kind == "root":
            return [directive("root", self.dice.pick(["html", "alt", "html/dir", "@ROOT@", "nowhere"]))]
        if kind == "alias":
            return [
                directive(
                    "alias", self.dice.pick(["html/", "alt", "alt/", "html/a.txt", "html/dir/", "html/$1", "secret/"])
                )
            ]
        if kind == "empty_gif":
            return [directive("empty_gif")]
        return [directive("fastcgi_pass", "@DOWN@")] if kind == "fastcgi" else []

    def upstream_url(self, *, uri: bool) -> str:
        """Write a proxy_pass argument, with a URI part only where nginx allows one."""
        hosts = [(60, "@UP@"), (6, "@DOWN@"), (6, "@UP2@")] + [(20, name) for name in self.upstreams]
        host = self.dice.weighted(hosts)
        tail = (
            self.dice.weighted([(50, ""), (20, "/"), (10, "/base"), (12, "/base/"), (4, "/x?fixed=1"), (2, "/sp%20x/")])
            if uri
            else ""
        )
        if self.dice.chance(10):
            tail = self.dice.pick(
                ["$request_uri", "/v$uri", "/cap/$1", "$uri$is_args$args", "/f?$args", "?x=$arg_q", "/m/$v0", ""]
            )
        if self.dice.chance(3):
            return self.dice.pick(
                [
                    "http://$arg_h",
                    "http://$host",
                    "http://$vup" if self.chosen_upstream else "http://$v0",
                    "$arg_s://@UP@",
                ]
            )
        return f"http://{host}{tail}"

    def return_(self) -> Node:
        """Write a return directive of any kind."""
        kind = self.dice.weighted(
            [(35, "text"), (25, "code"), (22, "redirect"), (6, "url"), (4, "odd"), (4, "textcode")]
        )
        late = self.dice.chance(10)
        if kind == "text":
            return directive("return", "200", self.value(late=late))
        if kind == "textcode":
            return directive("return", str(self.dice.pick((*CODES, *ODD_CODES))), self.value(late=late))
        if kind == "code":
            return directive("return", str(self.dice.pick(CODES)))
        if kind == "odd":
            return directive("return", str(self.dice.pick(ODD_CODES)))
        where = self.dice.pick(
            [
                "/ok",
                "https://$host$request_uri",
                "http://other.test/",
                "$scheme://$http_host/x",
                "/a/$1",
                "$v0",
                "/ok?$args",
                "//x",
                "rel",
                "https://$server_name$uri",
            ]
        )
        if kind == "url":
            return directive(
                "return", self.dice.pick(["http://other.test/x", "https://$host/", "$scheme://x.test$uri"])
            )
        return directive("return", str(self.dice.pick([301, 302, 303, 307, 308])), where)

    def try_files(self) -> Node:
        """Write a try_files directive."""
        tests = self.dice.pick(
            [
                ["$uri"],
                ["$uri", "$uri/"],
                ["$uri.html", "$uri"],
                ["/nope$uri"],
                ["$uri/"],
                ["/a.txt"],
                ["$document_uri", "/dir/"],
                ["/dir$uri"],
            ]
        )
        ends = ["=404", "/index.html", "/ok", "/nope", "=403", "/a/?q=$args", "$uri/", "=204", "=301", "=200", "/p$uri"]
        ends += list(self.named) * 3
        if self.dice.chance(2):
            ends = ["@missing"]
        return directive("try_files", *tests, self.dice.pick(ends))

    def _limit_except(self) -> Node:
        methods = self.dice.some(["GET", "POST", "PUT", "OPTIONS", "DELETE"], 2) or ["GET"]
        nodes = self.level("limit_except", 2)
        if not nodes or self.dice.chance(50):
            nodes.append(directive(self.dice.pick(["deny", "allow"]), "all"))
        if self.dice.chance(12):
            nodes.append(
                directive("proxy_pass", self.dice.pick(["http://@UP2@", "http://@DOWN@", "http://@UP@/v$uri"]))
            )
        return block("limit_except", *methods, of=nodes)

    # ---- rewrite module

    def program(self, level: Level, most: int) -> list[Node]:
        """Write statements of the rewrite module in an order that counts."""
        nodes = []
        for _ in range(1 + self.dice.below(most)):
            kind = self.dice.weighted([(30, "set"), (34, "if"), (24, "rewrite"), (6, "return"), (5, "break")])
            if kind == "if" and "if" not in level:
                nodes.append(self._if(level))
            elif kind in {"set", "if"}:
                nodes.append(self._set())
            elif kind == "rewrite":
                nodes.append(self._rewrite())
            elif kind == "return" and level != "server":
                nodes.append(self.return_())
            else:
                nodes.append(directive("break"))
        return nodes

    def _set(self) -> Node:
        name = self.dice.weighted(
            [(90, self.dice.pick(SET_VARIABLES)), (5, "args"), (2, "nm"), (3, self.dice.pick(self.own or ["v0"]))]
        )
        return directive("set", f"${name}", self.value())

    def _rewrite(self) -> Node:
        source = self.dice.weighted([(60, self.path_regex()), (20, "^"), (20, "^/(.*)$")])
        to = self.dice.weighted(
            [
                (30, self.dice.pick(PATHS[:-1])),
                (
                    50,
                    self.dice.pick(
                        ["/a/$1", "/ok", "/p/$1?k=$2", "/b/$1?", "$1", "/r/$v0", "/q?u=$1", "/$host$uri", "/x/$arg_q"]
                    ),
                ),
                (
                    20,
                    self.dice.pick(
                        [
                            "http://other.test/$1",
                            "https://$host$request_uri",
                            "$scheme://x.test/$1",
                            "https://$host/$1?",
                            "${scheme}://y",
                        ]
                    ),
                ),
            ]
        )
        flag = self.dice.weighted(
            [(30, ()), (30, ("last",)), (25, ("break",)), (8, ("redirect",)), (7, ("permanent",))]
        )
        return directive("rewrite", source, to, *flag)

    def _condition(self) -> tuple[str, ...]:
        if self.dice.chance(10):
            test = self.dice.pick(["-f", "-d", "-e", "!-f", "!-d", "!-e", "-x"])
            return (f"({test}", self.dice.pick(["$request_filename", "@ROOT@/html$uri", "@ROOT@/html/$1"]) + ")")
        late = self.dice.chance(8)
        name = "$" + self.variable(late=late)
        form = self.dice.weighted([(25, "bare"), (20, "="), (12, "!="), (22, "~"), (9, "~*"), (6, "!~"), (6, "!~*")])
        if form == "bare":
            return (f"({name})",)
        if form in {"=", "!="}:
            right = (
                self.dice.pick((*VALUES[1:], "POST", "a.test", "https://ok.test"))
                if self.dice.chance(85)
                else self.value(captures=False)
            )
            return (f"({name}", form, right + ")")
        return (f"({name}", form, self.dice.pick((*VALUE_REGEXES, self.path_regex())) + ")")

    def _if(self, level: Level) -> Node:
        inner: Level = "server-if" if level == "server" else "if"
        nodes = self.program(inner, 2) if self.dice.chance(55) else []
        if inner == "if":
            nodes += self.level("if", 2)
            if self.dice.chance(12):
                nodes.append(directive("proxy_pass", self.upstream_url(uri=False)))
        if self.dice.chance(35) or not nodes:
            nodes.append(self.return_())
        return block("if", *self._condition(), of=nodes)


def _one_default_each(servers: list[Node]) -> list[Node]:
    """Drop every default_server flag beyond the first of an address, and repeated addresses in one server."""
    flagged: set[str] = set()
    result = []
    for server in servers:
        seen: set[str] = set()
        nodes = []
        for node in server.block or ():
            if node.name != "listen":
                nodes.append(node)
                continue
            key = re.sub(r"^(\*:|0\.0\.0\.0:)", "", node.args[0])
            if key in seen:
                continue
            seen.add(key)
            if node.args[1:]:
                nodes.append(node if key not in flagged else directive("listen", node.args[0]))
                flagged.add(key)
            else:
                nodes.append(node)
        result.append(block("server", of=nodes))
    return result


def from_seed(seed: int, requests: int, version: tuple[int, ...] = (1, 31, 3)) -> tuple[Node, list[Sent]]:
    """Write the configuration and the requests of one seed; the same seed gives the same pair for ever."""
    generator = random.Random(seed)
    dice = Dice(lambda n: int(generator.random() * n))
    tree = Writer(dice, version).http()
    return tree, requests_for(dice, tree, requests)


@st.composite
def configurations(
    draw: Callable[[st.SearchStrategy[int]], int], requests: int = 10, version: tuple[int, ...] = (1, 31, 3)
) -> tuple[Node, list[Sent]]:
    """Hypothesis strategy: a configuration and requests to match it."""
    dice = Dice(lambda n: draw(st.integers(0, n - 1)))
    tree = Writer(dice, version).http()
    return tree, requests_for(dice, tree, requests)
