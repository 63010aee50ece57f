"""What the CORS headers of one answer amount to, and what the checks say of it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import check
from auditor.browser.answers import (
    doubled,
    exposed_headers,
    granted_methods,
    grants_private_network,
    leads_elsewhere,
    malformed,
    remembered,
    shared_alike,
)
from auditor.browser.cookies import read_set_cookie
from auditor.browser.cors import cors_check
from auditor.browser.handshake import may_open
from auditor.browser.http_cache import kept_apart
from auditor.browser.reason import Reason
from auditor.browser.url import is_serialised_origin, parse_url
from auditor.exchange import Action, Exchange, Headers, Outcome, Request, Response
from auditor.options import Options

O = "https://app.example"  # noqa: E741 - as the rule books call it


def answer(*pairs: tuple[str, str], status: int | None = 200) -> Response:
    """Make a response."""
    return Response(status, Headers.of(pairs))


@pytest.mark.parametrize(
    "text",
    [O, "http://app.example:8080", "https://xn--bcher-kva.example", "http://[::1]:3000", "capacitor://localhost"],
)
def test_origins_as_pages_send_them(text: str) -> None:
    """A lower-case scheme and ASCII host without default port or path is what a page sends."""
    assert is_serialised_origin(text)
    assert malformed(answer(("Access-Control-Allow-Origin", text))) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://App.example",
        "HTTPS://app.example",
        "https://app.example/",
        "https://app.example:443",
        "http://app.example:080",
        "https://b\u00fccher.example",
        "https://*.app.example",
        "https://u@app.example",
        "http://127.1",
        "app.example",
        "wss://app.example",
        "https://a.example https://b.example",
        "https://a.example, https://b.example",
        "",
    ],
)
def test_origins_as_no_page_sends_them(text: str) -> None:
    """Any other spelling is never equal to a page's origin, so no page reads by it (Fetch, "CORS check")."""
    found = malformed(answer(("Access-Control-Allow-Origin", text)))
    if text != "https://*.app.example":  # a host may contain an asterisk: it is an origin, though nobody's
        assert not is_serialised_origin(text)
        assert found is not None
    parsed = parse_url(text.split(" ", maxsplit=1)[0].rstrip(","))
    page = parsed.origin.serialise() if parsed is not None else O
    assert cors_check(page, credentials=False, response=answer(("Access-Control-Allow-Origin", text))) is not None or (
        page == text
    )


@pytest.mark.parametrize(
    ("name", "value", "understood"),
    [
        ("Access-Control-Allow-Credentials", "true", True),
        ("Access-Control-Allow-Credentials", "false", True),
        ("Access-Control-Allow-Credentials", "True", False),
        ("Access-Control-Allow-Methods", "PUT, PATCH", True),
        ("Access-Control-Allow-Methods", "PUT;PATCH", False),
        ("Access-Control-Allow-Headers", "x-a,, x-b", True),
        ("Access-Control-Allow-Headers", "x a", False),
        ("Access-Control-Expose-Headers", '"X-One"', False),
        ("Access-Control-Max-Age", "600", True),
        ("Access-Control-Max-Age", "-1", True),
        ("Access-Control-Max-Age", "5s", False),
        ("Access-Control-Max-Age", "1.5", False),
        ("Access-Control-Max-Age", "+9", False),
    ],
)
def test_values_that_no_browser_understands(name: str, value: str, *, understood: bool) -> None:
    """Each header has one grammar; a negative age asks to forget at once, which every browser nearly does."""
    found = malformed(answer((name, value)))
    assert (found is None) is understood
    assert found is None or found.line.name == name


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], (5, 5)),
        (["0"], (0, 0)),
        (["600"], (600, 600)),
        (["86400"], (86400, 86400)),
        (["-1"], (0, 5)),
        (["+9"], (5, 9)),
        (["abc"], (5, 5)),
        (["600", "600"], (5, 5)),
        (["99999999999999999999"], (5, 99999999999999999999)),
    ],
)
def test_how_long_a_preflight_asks_to_be_remembered(lines: list[str], seconds: tuple[int, int]) -> None:
    """Least and most over the text and Chromium, before the cap of either (Fetch; Chromium's `+9`, negatives, overflow)."""
    assert remembered(answer(*(("Access-Control-Max-Age", line) for line in lines))) == seconds


def test_grants_of_an_answer() -> None:
    """Lists are read as Fetch reads them: a malformed element voids the list, empty ones count for nothing."""
    assert granted_methods(answer(("Access-Control-Allow-Methods", "PUT,, patch "))) == ("PUT", "patch")
    assert granted_methods(answer(("Access-Control-Allow-Methods", "PUT, a b"))) == ()
    assert exposed_headers(
        answer(("Access-Control-Expose-Headers", "X-A"), ("access-control-expose-headers", "*"))
    ) == (
        "X-A",
        "*",
    )
    assert grants_private_network(answer(("Access-Control-Allow-Private-Network", "true")))
    assert not grants_private_network(answer(("Access-Control-Allow-Private-Network", "TRUE")))
    assert doubled(answer(("Access-Control-Allow-Origin", O))) is None
    assert doubled(answer(("Access-Control-Allow-Origin", O), ("access-control-allow-origin", "*"))) == (
        "Access-Control-Allow-Origin"
    )
    true = ("Access-Control-Allow-Credentials", "true")
    assert doubled(answer(("Access-Control-Allow-Origin", O), true, true)) == "Access-Control-Allow-Credentials"
    assert shared_alike([answer(true), answer(true)])
    assert not shared_alike([answer(true), answer()])
    assert leads_elsewhere(answer(("Location", "/x"), status=302))
    assert not leads_elsewhere(answer(("Location", ""), status=301))
    assert not leads_elsewhere(answer(("Location", "/x"), status=304))


@pytest.mark.parametrize(
    ("lines", "apart"),
    [([], False), (["Origin"], True), (["Accept-Encoding, origin"], True), (["*"], True), (["Accept-Encoding"], False)],
)
def test_caches_keep_answers_apart_by_vary(lines: list[str], *, apart: bool) -> None:
    """Only a header named in Vary, or `*`, keeps a cache from serving one page the answer made for another (RFC 9111 §4.1)."""
    assert kept_apart(answer(*(("Vary", line) for line in lines)), "Origin") is apart


def handshake(status: int | None, *pairs: tuple[str, str]) -> Exchange:
    """Make the exchange of a handshake."""
    request = Request(headers=Headers.of([("Host", "ws.example"), ("Origin", O), ("Upgrade", "websocket")]))
    return Exchange("observed", request, Outcome("observed", answer(*pairs, status=status), Action("observed")))


def test_what_opens_a_web_socket() -> None:
    """101 opens it, whatever CORS headers say and whatever subprotocol the page has to ask for; nothing else does."""
    assert may_open(handshake(101)) is None
    assert may_open(handshake(101, ("Access-Control-Allow-Origin", "https://other.example"))) is None
    assert may_open(handshake(101, ("Sec-WebSocket-Protocol", "chat"))) is None
    assert may_open(handshake(101, ("Upgrade", "h2c"))) is Reason.HANDSHAKE_REFUSED
    assert may_open(handshake(200, ("Access-Control-Allow-Origin", O))) is Reason.HANDSHAKE_REFUSED
    assert may_open(handshake(302, ("Location", "/"))) is Reason.HANDSHAKE_REFUSED
    assert may_open(handshake(None)) is Reason.UNDECIDED


@pytest.mark.parametrize(
    ("line", "refused", "deletes"),
    [
        ("a=1; Secure; HttpOnly; SameSite=None", False, False),
        ("a=1; SameSite=None", True, False),
        ("a=; Max-Age=0", False, True),
        ("a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", False, True),
        ("a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", False, False),
        ("__Host-a=1; Secure; Path=/", False, False),
        ("__Host-a=1; Secure", True, False),
        ("__Host-a=1; Secure; Path=/; Domain=shop.example", True, False),
        ("__Http-a=1; Secure", True, False),
        ("__Secure-a; Secure", True, False),
        ("a=1; Domain=example", True, False),
    ],
)
def test_cookies_that_no_browser_stores(line: str, *, refused: bool, deletes: bool) -> None:
    """A line is refused, or takes the cookie away, as RFC 6265bis §5.7 says (held against Chromium in tests/oracle)."""
    url = parse_url("https://shop.example/")
    assert url is not None
    read = read_set_cookie(line, url)
    assert (bool(read.refused), read.deletes) == (refused, deletes)


SERVER = "events {{}} http {{ server {{ listen 80; server_name _; location / {{ {} return 200 ok; }} }} }}"


def findings(folder: Path, directives: str, **clauses: Any) -> dict[str, list[tuple[str, str]]]:
    """Check a server with these directives against these clauses; return verdict and message by check."""
    (folder / "nginx.conf").write_text(SERVER.format(directives))
    route = {"id": "all", "match": [{"paths": ["/**"], "methods": ["GET"]}], **clauses}
    policy = {
        "version": 1,
        "name": "one",
        "targets": [{"id": "nginx", "type": "nginx", "files": ["nginx.conf"]}],
        "routes": [route],
    }
    (folder / "policy.yaml").write_text(json.dumps(policy))
    run = check(Options("check", folder / "policy.yaml", now=date(2026, 1, 1).isoformat()))
    said: dict[str, list[tuple[str, str]]] = {}
    for found in run.findings:
        said.setdefault(found.check, []).append((found.verdict.value, found.message))
    return said


def header(name: str, value: str) -> str:
    """Write an `add_header` directive."""
    return f'add_header {name} "{value}" always;'


def test_credentials_said_twice_stop_only_requests_with_cookies(tmp_path: Path) -> None:
    """Two Access-Control-Allow-Credentials leave the answer readable without cookies, and the finding says so."""
    twice = header("Access-Control-Allow-Credentials", "true") * 2
    said = findings(
        tmp_path,
        header("Access-Control-Allow-Origin", O) + twice,
        cors={"allow_origins": [O], "allow_credentials": True},
    )
    verdict, message = said["cors-duplicate-header"][0]
    assert verdict == "fail"
    assert message.startswith(f"no browser lets a page at {O} read GET /")
    assert "with the user's cookies" in message


def test_a_maximum_age_is_what_the_server_says(tmp_path: Path) -> None:
    """A day is longer than four hours, although Chromium forgets after two."""
    grants = header("Access-Control-Allow-Origin", O) + header("Access-Control-Allow-Methods", "GET, PUT")
    cors = {"allow_origins": [O], "allow_methods": ["GET", "PUT"], "max_age": {"max": "4h"}}
    said = findings(tmp_path, grants + header("Access-Control-Max-Age", "86400"), cors=cors)
    verdict, message = said["cors-max-age-out-of-range"][0]
    assert verdict == "fail"
    assert f"a page at {O} can send" in message
    assert "86400 seconds" in message
    assert "Chromium: 7200" in message


def test_a_star_shares_with_nobody_who_brings_cookies(tmp_path: Path) -> None:
    """`*` beside credentials is a broken page, not a leak: the finding says that no page reads."""
    both = header("Access-Control-Allow-Origin", "*") + header("Access-Control-Allow-Credentials", "true")
    said = findings(tmp_path, both, cors={"allow_origins": [O], "allow_credentials": False})
    verdict, message = said["cors-wildcard-with-credentials"][0]
    assert verdict == "fail"
    assert message.startswith("no browser lets any page read")
    assert said["cors-credentials-not-allowed"][0][0] == "pass"


def test_a_cached_answer_that_no_allowed_page_can_read(tmp_path: Path) -> None:
    """Without `Vary: Origin` the finding names the page that a cache locks out, and by whose answer."""
    said = findings(
        tmp_path,
        f'if ($http_origin = "{O}") {{ add_header Access-Control-Allow-Origin $http_origin always; return 200 ok; }}',
        cors={"allow_origins": [O], "vary": ["Origin"]},
    )
    messages = [message for verdict, message in said["cors-vary-origin-missing"] if verdict == "fail"]
    assert any(message.startswith(f"no browser lets a page at {O} read what GET /") for message in messages)
    assert any("no Access-Control-Allow-Origin header" in message for message in messages)
