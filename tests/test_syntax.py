"""Claims about reading nginx configuration: tokens, places, includes, mounts, dumps, templates, fragments, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import Location
from auditor.nginx.syntax import Tree, load_tree
from auditor.nginx.tokens import Directive
from auditor.report.text import source_line

PUBLIC = Path(__file__).parents[1].parent / "shared" / "cases" / "public" / "nginx"


def load(folder: Path, text: str | bytes, **options: object) -> Tree:
    """Load a text as a main file."""
    path = folder / "nginx.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
    return load_tree([path], **options)  # type: ignore[arg-type]


def http(folder: Path, text: str, **options: object) -> Tree:
    """Load a text as the content of an http block."""
    return load(folder, "events { }\nhttp {\n" + text + "\n}\n", **options)


def messages(tree: Tree) -> list[str]:
    """Return the messages of a tree's problems."""
    return [problem.message for problem in tree.problems]


def inside(tree: Tree, *path: str) -> tuple[Directive, ...]:
    """Return the directives inside the blocks of these names."""
    found = tree.directives
    for name in path:
        found = next(d.block or () for d in found if d.name == name)
    return found


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("add_header X ${http_origin} always;", ("X", "${http_origin}", "always")),
        (r'return 200 "a\nb\tc\"d\\e\qf";', ("200", 'a\nb\tc"d\\e\\qf')),
        (r"return 200 'it\'s';", ("200", "it's")),
        (r"return 200 a\ b;", ("200", r"a\ b")),
        ("return 200 a#b;", ("200", "a#b")),
        ("return 200 a}b;", ("200", "a}b")),
        ("return 200 $a${b}c;", ("200", "$a${b}c")),
        ('return 200 "{;}#";', ("200", "{;}#")),
        ('return 200 "";', ("200", "")),
        ("return 200 a'b\"c;", ("200", "a'b\"c")),
        ("return 200 # comment ; {\n x;", ("200", "x")),
        ("return 200 é;", ("200", "é")),
        ("return\t200\r\n\tx\r\n;", ("200", "x")),
    ],
)
def test_words_are_read_as_nginx_reads_them(tmp_path: Path, written: str, read: tuple[str, ...]) -> None:
    """Quotes, escapes, braces of variables, comments and bytes are read by the rules of ngx_conf_read_token."""
    tree = http(tmp_path, "map $uri $a { }\nmap $uri $b { }\nserver { " + written + " }")
    directive = inside(tree, "http", "server")[0]
    assert directive.args == read
    assert not tree.problems


def test_a_condition_may_end_right_after_a_quote(tmp_path: Path) -> None:
    """The closing parenthesis after a quoted word is a word of its own."""
    tree = http(tmp_path, 'server { if ("$args" = "a b") { return 403; } if ($args ~ "x") { return 402; } }')
    assert [d.args for d in inside(tree, "http", "server")] == [
        ("($args", "=", "a b", ")"),
        ("($args", "~", "x", ")"),
    ] or [d.args for d in inside(tree, "http", "server")][1] == ("($args", "~", "x", ")")


def test_places_are_those_of_the_file(tmp_path: Path) -> None:
    """A directive's place is its name's; a problem's is the argument's; lines count inside quoted words."""
    tree = http(tmp_path, 'server {\n    return 200 "a\n\nb";\n  expires soon;\n}')
    server = inside(tree, "http", "server")
    assert (server[0].location.line, server[0].location.column, server[0].location.end_column) == (4, 5, 11)
    assert (server[1].location.line, server[1].location.column) == (7, 3)
    (problem,) = tree.problems
    assert problem.location is not None
    assert str(problem.location).endswith("nginx.conf:7:11")
    assert "soon" in problem.message
    assert problem.hint


def test_several_problems_in_one_run(tmp_path: Path) -> None:
    """One mistake does not hide the next."""
    tree = http(
        tmp_path, "server { gzip maybe; listn 80; return; proxy_pass x://y; ; location /a { allow 1.2.3.4.5; } }"
    )
    assert len(tree.problems) == 6
    assert any('did you mean "listen"' in problem.hint for problem in tree.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("events { } http { server { return 200 x }", "is not ended before"),
        ("events { } http { server { return 200 x; }", "never closed"),
        ("events { } }", 'unexpected "}"'),
        ("events { } ;", 'unexpected ";"'),
        ("events { } { }", 'unexpected "{"'),
        ('events { } http { server { return 200 "x; } }', "never closed"),
        ('events { } http { server { return 200 "x"y; } }', "after a closing quote"),
        ("events { } error_log x", "ends in the middle"),
        ("http { }", 'no "events" block'),
        ("", "no directives"),
        ("\xef\xbb\xbfevents { }", "not a directive"),
        ("events { } http { server { set $a " + "x" * 4096 + "; } }", "too long a word"),
        ("events { }\n#" + "x" * 5000 + "\n", "too long a comment"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    """What nginx cannot read is said, with a place."""
    tree = load(tmp_path, text, context="main")
    assert any(message in one for one in messages(tree)), messages(tree)
    assert all(problem.location is not None for problem in tree.problems)


REFUSED = {
    "server { location /a { } location /a { } }": "another location",
    "server { location /a { location /b { } } }": "outside",
    "server { location = /a { location /a/b { } } }": "inside an exact location",
    "server { location ~ ( { } }": "not a regular expression",
    "server { location ~ ^/a{2} { } }": "is not",
    "server { return 200 $nothing; }": 'variable "$nothing"',
    "server { set $host x; }": "nginx's own",
    "server { location / { limit_req zone=none; } }": "not declared",
    "server { access_log logs/a main; }": "log format",
    "server { if ($args) { add_header A b; } }": "not allowed in if in a server",
    "server { listen 80; listen 80; }": "twice",
    "server { listen 80 default_server; } server { listen 80 default_server; }": "two default servers",
    "server { listen 443 ssl; }": "no certificate",
    "server { location ~ a { proxy_pass http://127.0.0.1/x; } }": "cannot have a URI",
    "upstream a { } server { }": "no server",
    "upstream a { server b; } upstream a { server c; }": "another upstream",
    "server { proxy_buffer_size 64k; }": "larger than all",
    "server { proxy_read_timeout 5; proxy_read_timeout 6; }": "given twice",
    "map $uri $a { x 1; X 2; }": "two entries",
    "map $uri $a { x 1 2; }": "a key and a value",
    "map $uri a { }": "not a variable",
    "limit_req_zone $uri zone=a:1k rate=1r/s;": "smaller than 32k",
    "server { location / { try_files /x; } }": "argument",
    "server { ssl on; }": "not a directive",
    "server { gzip_comp_level 10; }": "out of range",
    "server { root a; alias b; }": "not allowed",
    "server { location / { root a; alias b; } }": "already",
    "server { server_name " + "a" * 50 + "; } server { }": "too long for the table",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    """What nginx refuses when it has read a file is refused here too."""
    tree = http(tmp_path, text)
    assert any(message in one for one in messages(tree)), messages(tree)


def test_versions(tmp_path: Path) -> None:
    """Directives come and go with versions."""
    text = "server { add_header_inherit merge; http2 on; }"
    assert not http(tmp_path, text).problems
    assert len(http(tmp_path, text, version="1.24.0").problems) == 2
    assert not http(tmp_path, "server { ssl off; }", version="1.22.1").problems
    assert http(tmp_path, "server { ssl off; }", version="1.25.1").problems


def test_directives_of_modules_are_known_by_name(tmp_path: Path) -> None:
    """Third-party directives are read, their blocks and the variables they define too; misspelt ones are not."""
    tree = http(
        tmp_path,
        """
        lua_shared_dict a 1m;
        geoip2 a.mmdb { $geo_country default=XX country iso_code; }
        brotli on;
        server {
            more_set_headers "A: b";
            set_by_lua_block $c { return "}" }
            content_by_lua_block {
                -- a brace: }
                ngx.say('}', "}", [[ } ]], {1, {2}})
            }
            return 200 "$c$geo_country";
        }
        """,
    )
    assert not tree.problems, messages(tree)
    lua = next(d for d in inside(tree, "http", "server") if d.name == "content_by_lua_block")
    assert lua.raw is not None
    assert "ngx.say" in lua.raw
    assert lua.block == ()
    assert http(tmp_path, "brottli on;").problems


def test_includes_come_in_place(tmp_path: Path) -> None:
    """Globs are read in sorted order, in every kind of block; each directive keeps its own file."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text("gzip on;\n")
    (tmp_path / "conf.d" / "a.conf").write_text("server { include in_if; }\n")
    (tmp_path / "in_if").write_text("if ($args) { include answer; }\n")
    (tmp_path / "answer").write_text("return 403;\n")
    (tmp_path / "keys").write_text("a 1;\nb 2;\n")
    tree = http(
        tmp_path, "include conf.d/*.conf;\ninclude none/*.conf;\nmap $uri $m { include keys; }\ninclude mime.types;"
    )
    assert not tree.problems
    names = [d.name for d in inside(tree, "http")]
    assert names == ["server", "gzip", "map", "include"]
    assert inside(tree, "http", "server", "if")[0].location.file == str(tmp_path / "answer")
    assert [entry.name for entry in inside(tree, "http", "map")] == ["a", "b"]
    assert len(tree.files) == 6
    assert not tree.missing


def test_includes_that_cannot_be_read(tmp_path: Path) -> None:
    """A circle and a missing file are problems; a file that only the container has is missing, not wrong."""
    (tmp_path / "circle.conf").write_text("include circle.conf;\n")
    tree = http(tmp_path, "include circle.conf;\ninclude absent.conf;\ninclude /etc/nginx/only_there.conf;")
    assert ["includes itself" in one for one in messages(tree)].count(True) == 1
    assert ["does not exist" in one for one in messages(tree)].count(True) == 1
    assert [unknown.reason for unknown in tree.missing] == ["/etc/nginx/only_there.conf is not among the files given"]
    assert tree.missing[0].location == inside(tree, "http")[-1].location


def test_mounts(tmp_path: Path) -> None:
    """Absolute paths of the container are found through the longest mount."""
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "a.conf").write_text("server { }\n")
    (tmp_path / "special.conf").write_text("gzip on;\n")
    mounts = {
        "/etc/nginx/conf.d": str(tmp_path / "sites"),
        "/etc/nginx/conf.d/special.conf": str(tmp_path / "special.conf"),
    }
    tree = http(tmp_path, "include /etc/nginx/conf.d/*.conf;\ninclude /etc/nginx/conf.d/special.conf;", mounts=mounts)
    assert [d.name for d in inside(tree, "http")] == ["server", "gzip"]
    assert not tree.missing
    assert not tree.problems


def test_further_files(tmp_path: Path) -> None:
    """Further files given stand for includes of their name; to a fragment they are appended."""
    main = tmp_path / "nginx.conf"
    main.write_text("events { }\nhttp { include /etc/nginx/conf.d/*.conf; include /etc/nginx/proxy.conf; }\n")
    (tmp_path / "conf.d").mkdir()
    site, proxy, unused = tmp_path / "conf.d" / "site.conf", tmp_path / "proxy.conf", tmp_path / "unused.conf"
    site.write_text("server { listen 81; }\n")
    proxy.write_text("gzip on;\n")
    unused.write_text("gzip on;\n")
    tree = load_tree([main, site, proxy, unused])
    assert [d.name for d in inside(tree, "http")] == ["server", "gzip"]
    assert [unknown.reason for unknown in tree.missing] == [f"{unused} was given, but nothing includes it"]
    both = load_tree([site, proxy])
    assert both.context == "http"
    assert [d.name for d in both.directives] == ["server", "gzip"]


def test_a_dump_is_read_as_its_files(tmp_path: Path) -> None:
    """`nginx -T` output is a main file whose includes are in the same text; places are those of the dump."""
    dump = (
        "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n"
        "# configuration file /etc/nginx/nginx.conf:\n"
        "events { }\nhttp { include conf.d/*.conf; include /etc/nginx/mime.types; }\n\n"
        "# configuration file /etc/nginx/conf.d/a.conf:\nserver { return 200 $nothing; }\n\n"
        "# configuration file /etc/nginx/mime.types:\ntypes { text/html html; }\n"
    )
    tree = load(tmp_path, dump)
    assert [d.name for d in inside(tree, "http")] == ["server", "types"]
    (problem,) = tree.problems
    assert problem.location is not None
    assert (problem.location.line, problem.location.column) == (7, 21)


def test_templates(tmp_path: Path) -> None:
    """`${NAME}` is substituted where a value is given; where none is, the problem says how to give one."""
    text = "server { listen ${PORT}; server_name ${DOMAIN} $DOMAIN; return 200 ${HOST}; }"
    tree = http(tmp_path, text, variables={"PORT": "8080", "DOMAIN": "example.com"})
    assert not tree.problems
    listen, names, _ = inside(tree, "http", "server")
    assert listen.args == ("8080",)
    assert names.args == ("example.com", "example.com")
    assert names.location.column == 26
    tree = http(tmp_path, text)
    assert sorted({problem.hint for problem in tree.problems}) == [
        "set it in the target's variables; without a policy, pass --var DOMAIN=…",
        "set it in the target's variables; without a policy, pass --var PORT=…",
    ]
    tree = http(tmp_path, text, variables={"PORT": "0", "DOMAIN": "a"})
    (problem,) = tree.problems
    assert problem.location is not None
    assert (problem.location.line, problem.location.column) == (3, 17)


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("worker_processes 1;\nevents { }\nhttp { }", "main"),
        ("server { listen 80; location / { return 200; } }", "http"),
        ("map $uri $a { }\nlimit_req_zone $uri zone=a:1m rate=1r/s;", "http"),
        ("listen 80;\nlocation / { limit_req zone=elsewhere; }", "server"),
        ("location / { proxy_pass http://elsewhere; }", "server"),
        (
            "proxy_pass http://elsewhere;\nproxy_set_header A $defined_elsewhere;\nlimit_except GET { deny all; }",
            "location",
        ),
        ("if ($request_method = OPTIONS) { add_header A b; return 204; }", "location"),
        ("upstream a { server b:1; }\nserver { listen 1; proxy_pass a; proxy_timeout 1m; }", "stream"),
    ],
)
def test_fragments(tmp_path: Path, text: str, context: str) -> None:
    """A file that is a part of a configuration is read as the part it is, and what is elsewhere is not missed."""
    tree = load(tmp_path, text)
    assert tree.context == context
    assert not tree.problems, messages(tree)


def test_deep_and_huge_input_is_refused_not_crashed(tmp_path: Path) -> None:
    """Depth, exploding includes and files that are no files end in problems."""
    assert any("deep" in one for one in messages(load(tmp_path, "a {" * 100_000)))
    assert load(tmp_path, "http {" * 150).problems
    for number in range(30):
        (tmp_path / f"f{number}").write_text(f"include f{number + 1};\ninclude f{number + 1};\n")
    (tmp_path / "f30").write_text("gzip on;\n")
    assert any("too many files" in one for one in messages(http(tmp_path, "include f0;")))
    assert len(load(tmp_path, '""' * 50_000 + "; x" * 50_000).problems) <= 3000
    assert load_tree([tmp_path]).problems
    assert load_tree([tmp_path / "absent"]).problems
    assert http(tmp_path, 'include "a\0b";').problems


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """No input raises, and every problem has a place and a hint."""
    tree = load(tmp_path_factory.getbasetemp(), data)
    assert all(problem.location is not None and problem.hint for problem in tree.problems)


_PIECES = st.sampled_from(
    [
        "events",
        "http",
        "server",
        "location",
        "map",
        "$uri",
        "$x",
        "${Y}",
        "{",
        "}",
        ";",
        '"',
        "'",
        "\\",
        "#",
        "\n",
        '"a',
        'b"',
        "if",
        "(",
        ")",
        "~",
        "=",
        "return",
        "200",
        "listen",
        "80",
        "include",
        "x",
        "add_header",
    ]
)


@given(st.lists(_PIECES, max_size=40).map(" ".join))
def test_any_words_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No sequence of nginx's own words raises."""
    tree = load(tmp_path_factory.getbasetemp(), text)
    assert all(problem.location is not None and problem.hint for problem in tree.problems)


MENDED = {
    "419": "the sandbox drops the directives that nginx does not have, with what depends on them",
    "469": "the sandbox leaves out conf.d, whose files contradict each other",
}


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public configurations are not here")
def test_public_configurations() -> None:
    """Every public configuration loads, or is refused where nginx refuses it too (but for what the sandbox mends)."""
    mended = ("is not declared", "named with a port", "does not exist", "is not a port", "two entries",
              "does not work with variables", "another upstream", "declared twice")  # fmt: skip
    wrong = []
    for entry in json.loads((PUBLIC / "index.json").read_text()):
        folder = PUBLIC / entry["id"]
        meta = json.loads((folder / "meta.json").read_text())
        further = [folder / f["local"] for f in meta["files"] if f["local"] != "nginx.conf"]
        tree = load_tree([folder / "nginx.conf", *further])
        refused = [p.message for p in tree.problems if "--var" not in p.hint]
        if not entry["runs"] and not refused:
            wrong.append((entry["id"], entry["not_run_reason"]))
        if entry["runs"] and entry["id"] not in MENDED and any(not any(m in one for m in mended) for one in refused):
            wrong.append((entry["id"], refused))
    assert not wrong


def test_a_byte_order_mark_is_named(tmp_path: Path) -> None:
    """A mark that nobody sees in an editor is a part of the first word to nginx."""
    (tmp_path / "nginx.conf").write_bytes(b"\xef\xbb\xbfevents {}\nhttp { server { listen 80; } }\n")
    problem = load_tree([tmp_path / "nginx.conf"]).problems[0]
    assert problem.hint is not None
    assert "byte order mark" in problem.hint


def test_a_quoted_line_is_readable_in_any_language(tmp_path: Path) -> None:
    """A semicolon of another alphabet is shown as it stands in the file, not as three other letters."""
    (tmp_path / "nginx.conf").write_text("events {}\nhttp { server { keepalive_timeout 60；\n} }\n", encoding="utf-8")  # noqa: RUF001 - that letter
    assert source_line(Location(str(tmp_path / "nginx.conf"), 2)) == "http { server { keepalive_timeout 60；"  # noqa: RUF001 - as above
    (tmp_path / "nginx.conf").write_bytes(b"# caf\xe9\n")
    assert source_line(Location(str(tmp_path / "nginx.conf"), 1)) == "# café"
