"""Two configurations compared: the reference stack's with one line changed, and the same text laid out anew."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import crossplane
import pytest

from auditor import cli
from auditor.difference import Difference, compare
from auditor.errors import ConfigurationError

STACK = Path(__file__).parents[1] / "auditor" / "demo" / "stack" / "hardened"
MOUNTS = {"/etc/nginx": "."}


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """Return the reference configuration twice, to be changed."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        for file in (*STACK.glob("nginx*.conf"), STACK / "mime.types"):
            shutil.copy(file, tmp_path / name)
    return tmp_path / "old" / "nginx.prod.conf", tmp_path / "new" / "nginx.prod.conf"


def changed(file: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def gained(changes: Sequence[Difference], text: str) -> list[Difference]:
    """Return the changes that bring lines with a text."""
    return [change for change in changes if any(text in line for line in change.gained)]


def test_new_origins_that_are_accepted_are_named(versions: tuple[Path, Path]) -> None:
    """An expression instead of an exact origin: the requests that get in are named, and only those differ."""
    old, new = versions
    exact, loose = (
        '"https://app.qwen.example.com"  "https://app.qwen.example.com";',
        r"^https://([a-z]+.)?qwen.example.com$",
    )
    changed(new.parent / "nginx-cors.conf", exact, f'"~{loose}" $http_origin;')
    changes = compare(old, new, mounts=MOUNTS).changes
    accepted = gained(changes, "Access-Control-Allow-Origin: https://")
    origins = {change.request.headers.get("Origin") or "" for change in accepted}
    assert origins
    assert all(re.search(loose, origin) for origin in origins)
    assert all(re.search(loose, change.request.headers.get("Origin") or "") for change in changes)


def test_a_location_that_takes_paths_away_is_named(versions: tuple[Path, Path]) -> None:
    """A regex location: the paths that it takes from the others differ, no other does, and `^~` keeps its own."""
    old, new = versions
    changed(new, "        location / {", '        location ~ \\.json$ { return 200 "{}"; }\n        location / {')
    changes = compare(old, new, mounts=MOUNTS).changes
    assert changes
    assert all(change.request.path.endswith(".json") for change in changes)
    assert "location ^~ /api/ " in new.read_text()
    assert not any(change.request.path.startswith("/api/") for change in changes)


def test_the_same_laid_out_anew_is_no_difference(
    versions: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Other indentation, quotes and line breaks, as another program writes them, and no comments: nothing is printed."""
    old, new = versions
    for file in new.parent.glob("nginx*.conf"):
        parsed = crossplane.parse(str(file), single=True, check_ctx=False, check_args=False, strict=False)
        assert parsed["status"] == "ok"
        file.write_text(crossplane.build(parsed["config"][0]["parsed"], indent=1) + "\n")
        assert file.read_text() != (old.parent / file.name).read_text()
    arguments = ["--mount", "/etc/nginx=."]
    assert cli.run(["diff", *arguments, str(old), str(new)]) == 0
    assert capsys.readouterr().out == ""


def test_a_difference_ends_with_1_and_a_request_to_try(
    versions: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints the request as one for `curl`, with what it gets and no longer gets."""
    old, new = versions
    changed(new.parent / "nginx-security.conf", "nosniff", "none")
    assert cli.run(["diff", "--mount", "/etc/nginx=.", str(old), str(new)]) == 1
    printed = capsys.readouterr().out
    assert "curl -i" in printed
    assert "- always: X-Content-Type-Options: nosniff" in printed
    assert "+ always: X-Content-Type-Options: none" in printed


def test_a_configuration_that_nginx_refuses_is_an_error(versions: tuple[Path, Path]) -> None:
    """There is nothing to compare with a file that would not start."""
    old, new = versions
    changed(new, "location / {", "location / { no_such_directive on;")
    with pytest.raises(ConfigurationError, match="no_such_directive"):
        compare(old, new, mounts=MOUNTS)
    with pytest.raises(ConfigurationError, match="there is no file"):
        compare(old, new.parent / "missing.conf", mounts=MOUNTS)


def test_everything_is_compared(tmp_path: Path) -> None:
    """Methods, hosts, headers, limits and upstreams: each kind of change is seen where it is made."""
    plain = "http {{ limit_req_zone $binary_remote_addr zone=z:1m rate={rate}; server {{ listen 80; server_name a.test; {inner} }} server {{ listen 80; server_name b.test; return 404; }} }} events {{}}"
    base = {"rate": "1r/s", "inner": "location / { limit_req zone=z; proxy_pass http://127.0.0.1:81; }"}
    others = {
        "a faster limit": base | {"rate": "9r/s"},
        "another upstream": base | {"inner": base["inner"].replace(":81", ":82")},
        "one method": base | {"inner": "if ($request_method = DELETE) { return 403; } " + base["inner"]},
        "one header": base | {"inner": 'if ($http_x_debug = "on") { return 403; } ' + base["inner"]},
    }
    old = tmp_path / "old.conf"
    old.write_text(plain.format(**base))
    seen = {}
    for name, parts in others.items():
        new = tmp_path / "new.conf"
        new.write_text(plain.format(**parts))
        changes = compare(old, new).changes
        assert {change.request.host for change in changes} == {"a.test"}, name
        seen[name] = changes
    assert {change.request.method for change in seen["one method"]} == {"DELETE"}
    assert {change.request.headers.get("X-Debug") for change in seen["one header"]} == {"on"}
    assert gained(seen["a faster limit"], "limited to 9 a second")
    assert gained(seen["another upstream"], "asks 127.0.0.1:82")


def test_templates_are_filled(tmp_path: Path) -> None:
    """Two templates that are filled alike are compared; unfilled they would be refused."""
    for name, code in (("old", 200), ("new", 404)):
        text = f"events {{}} http {{ server {{ listen ${{PORT}}; return {code}; }} }}"
        (tmp_path / f"{name}.conf.template").write_text(text)
    pair = (tmp_path / "old.conf.template", tmp_path / "new.conf.template")
    with pytest.raises(ConfigurationError, match="not substituted"):
        compare(*pair)
    (change,) = compare(*pair, variables={"PORT": "8080"}).changes
    assert change.lost != change.gained


BACK = "events {{}} http {{ server {{ listen 80; location ~ ^/([^/]+)/\\1$ {{ return {code}; }} location / {{ return {rest}; }} {more} }} }}"
"""A location that nobody can say of which paths it is chosen for."""


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"code": 403}, 3), ({"more": "root x;"}, 3), ({"rest": 410}, 1), ({}, 0)],
    ids=["in the location", "elsewhere, and nothing", "elsewhere", "the same twice"],
)
def test_what_is_not_decided_is_no_sameness(
    changed: dict[str, object],
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A back reference whose location may answer otherwise is told with its place: 3, not 0; a difference is 1 even so."""
    files = [tmp_path / "old.conf", tmp_path / "new.conf"]
    for file, parts in zip(files, ({}, changed), strict=True):
        file.write_text(BACK.format(**{"code": 200, "rest": 404, "more": ""} | parts))
    assert cli.run(["diff", *map(str, files)]) == status
    printed = capsys.readouterr()
    assert ("not decided:" in printed.out) is (status > 0)
    assert (".conf:1:" in printed.out) is (status > 0)
    assert f"exit {status}:" in printed.err


def test_texts_of_several_parts_are_compared(tmp_path: Path) -> None:
    """A line more of a map over two arguments, and a share of the clients: the one is found, the other told as open."""
    text = "events {{}} http {{ {http} server {{ listen 80; location / {{ return 200 $v; }} }} }}"
    pair = (tmp_path / "old.conf", tmp_path / "new.conf")
    pair[0].write_text(text.format(http='map "$arg_a:$arg_b" $v { default 0; }'))
    pair[1].write_text(text.format(http='map "$arg_a:$arg_b" $v { default 0; 1:2 1; }'))
    (change,) = compare(*pair).changes
    assert sorted(change.request.target.partition("?")[2].split("&")) == ["a=1", "b=2"]
    assert compare(*pair).undecided == ()


def test_servers_are_compared_by_what_they_see(tmp_path: Path) -> None:
    """What one server cannot decide is not said of a change that another has; requests are told apart per server."""
    other = "server { listen 81; location ~ ^/([^/]+)/\\1$ { return 200; } }"
    text = "events {{}} http {{ {other} server {{ listen 80; if ($arg_x) {{ return {code}; }} return 200; }} }}"
    pair = (tmp_path / "old.conf", tmp_path / "new.conf")
    pair[0].write_text(text.format(other="server { listen 81; return 200; }", code=403))
    pair[1].write_text(text.format(other="server { listen 81; return 200; }", code=404))
    (change,) = compare(*pair).changes
    assert (change.request.listen, compare(*pair).undecided) == ("*:80", ())
    pair[1].write_text(text.format(other=other, code=403))
    assert [item.location and item.location.file for item in compare(*pair).undecided] == [str(pair[1])]
