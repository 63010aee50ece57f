"""The tables of web-platform-tests, carried over as facts: what each file expects of a browser that follows the text.

Rows that contradict the present text are left out, each where its file is named.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auditor.browser.elements import nosniff
from auditor.browser.fetching import fetch
from auditor.browser.forms import submit_form
from auditor.browser.gate import BAD_PORTS
from auditor.browser.page import FetchRequest, FetchResult, Page
from auditor.browser.profile import CHROMIUM, SPEC, Profile
from auditor.browser.reason import Reason
from auditor.browser.url import Origin
from auditor.exchange import Headers, Request, Response

HERE = "http://web-platform.test:8000"
REMOTE = "http://www1.web-platform.test:8000"
REMOTE2 = "http://www2.web-platform.test:8000"
ORIGIN = Origin.parse(HERE) or Origin()
PAGE = Page(ORIGIN)
Pairs = list[tuple[str, str]]


def ask(request: FetchRequest, answer: Callable[[Request], Response], profile: Profile = SPEC) -> FetchResult:
    """Make a request from the test's page."""
    return fetch(PAGE, request, answer, profile=profile)


def always(*pairs: tuple[str, str], status: int = 200) -> Callable[[Request], Response]:
    """Answer everything alike."""
    return lambda _: Response(status, Headers.of(pairs))


def origin_of(result: FetchResult) -> str | None:
    """Return the Origin that the last request carried."""
    return result.sent[-1].origin


# -- cors/origin.htm (58 rows), cors/allow-headers.htm (the same table, shorter), fetch/api/cors/cors-origin.any.js ----

HOST = "web-platform.test:8000"
PASS = ["*", " *  ", "\t*", HERE, f" {HERE}", f" {HERE}   \t ", f"\t{HERE}"]
FAIL = [
    f"http://www2.{HOST}", f"//{HOST}", f"://{HOST}", f"ftp://{HOST}", f"http:://{HOST}", f"http:/{HOST}", f"http:{HOST}",
    HOST, f"{HERE}?", f"{HERE}/", f"{HERE} /", f"{HERE}#", f"{HERE}%23", f"{HERE}:80", f"{HERE}, *", f"{HERE}\0",
    HERE.upper(), f"HTTP://{HOST}", "-", "**", "\0*", "*\0", "'*'", '"*"', "* *", "* null", "*http://*", f"*{HERE}",
    f"* {HERE}", f"*, {HERE}", f"\0{HERE}", f"null {HERE}", "http://example.net", "null", "null *", "",
    f"{HERE}/cors/origin.htm", f"{HERE}/cors/", REMOTE, "test:8000", ".test:8000", "*.test:8000", "http://test:8000",
    "http://.test:8000", "http://*.test:8000",
]  # fmt: skip
TWICE = [("", "*"), ("*", ""), ("*", "*"), ("", HERE), ("*", HERE), (HERE, HERE)]


@pytest.mark.parametrize("profile", [SPEC, CHROMIUM], ids=lambda profile: profile.name)
def test_allow_origin_values(profile: Profile) -> None:
    """7 values let the page read, 45 do not, 6 pairs of headers do not."""
    assert (len(PASS), len(FAIL), len(TWICE)) == (7, 45, 6)
    for values, wanted in [*(((v,), True) for v in PASS), *(((v,), False) for v in FAIL), *((v, False) for v in TWICE)]:
        pairs = [("Access-Control-Allow-Origin", value) for value in values]
        assert ask(FetchRequest(f"{REMOTE}/x"), always(*pairs), profile).readable is wanted, values


@pytest.mark.parametrize(
    "shape", ["http://www1.web-platform.test:8000", "http://web-platform.test:8001", "https://web-platform.test:8443"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_cors_origin(shape: str, method: str) -> None:
    """Whatever makes the target another origin, its answer needs the page's (cors-origin.any.js, cors-basic.any.js)."""
    for value, wanted in ((HERE, True), (shape, False)):
        result = ask(FetchRequest(f"{shape}/x", method=method), always(("Access-Control-Allow-Origin", value)))
        assert result.readable is wanted
        assert result.executed
    assert ask(FetchRequest(f"{shape}/x", mode="no-cors"), always()).type == "opaque"
    assert ask(FetchRequest(f"{HERE}/x", method=method), always()).type == "basic"


# -- cors/credentials-flag.htm, fetch/api/cors/cors-cookies.any.js ----------------------------------------------------


@pytest.mark.parametrize("value", ["TRUE", "True", '"true"', "false", "1", "0"])
def test_allow_credentials_values(value: str) -> None:
    """None of these is `true`."""
    pairs = [("Access-Control-Allow-Origin", HERE), ("Access-Control-Allow-Credentials", value)]
    assert (
        ask(FetchRequest(f"{REMOTE}/x", credentials="include"), always(*pairs)).reason
        is Reason.INVALID_ALLOW_CREDENTIALS
    )


@pytest.mark.parametrize(
    ("credentials", "target", "sent"),
    [
        ("include", HERE, True), ("include", REMOTE, True), ("same-origin", HERE, True),
        ("same-origin", REMOTE, False), ("omit", HERE, False), ("omit", REMOTE, False),
    ],
)  # fmt: skip
def test_which_requests_carry_credentials(credentials: str, target: str, sent: bool) -> None:
    """Omit never, include always, same-origin only at home."""
    pairs = [("Access-Control-Allow-Origin", HERE), ("Access-Control-Allow-Credentials", "true")]
    request = FetchRequest(f"{target}/x", credentials=credentials)  # type: ignore[arg-type]
    assert ask(request, always(*pairs)).credentials_sent is sent


# -- cors/cors-safelisted-request-header.any.js (without its stale last-event-id rows), not-cors-safelisted.json -------

LONG = "0123456789" * 12 + "012345678"
SAFE = {
    "content-type": ["text/plain;", "text/plain;garbage", "multipart/form-data"],
    "range": ["bytes=100-200", "bytes=200-"],
}
UNSAFE = {
    "content-type": [
        "text /plain", "text\t/\tplain", "text/plain;garbage\x01\x02", "text/plain,", ",text/plain", "text/plain,text/plain",
        "text/plain,x/x", "text/plain\x0b", "text/plain\x0c", "application/www-form-urlencoded",
        "application/x-www-form-urlencoded;\x7f", 'multipart/form-data;"', "text/html", f"text/plain; long={LONG[:112]}",
    ],
    "range": [
        "100-200", "MB=100-200", "bytes =100-200", "bytes\t=100-200", "bytes=  100-200", "bytes=\t\t100-200", "bytes= \t100-200",
        "bytes=100 -200", "bytes=100\t-200", "bytes=100- 200", "bytes=100-\t200", "bytes=100-200hello", "bytes=abc-def",
        "bytes=100-200,300-400", "bytes=-200", "bytes=200-100", f"bytes=1{'0' * 60}-2{'0' * 60}", "bytes 100-200",
        "bytes = 100-200", ",bytes=100-200", "bytes=,100-200", "bytes 0-",
    ],
    "accept": ['"', LONG],
    "accept-language": ["\x01", "@"],
    "content-language": ["\x01", "@"],
    "authorization": ["basics"],
    "last-event-id": ['"', LONG],
    "test": ["hi"],
}  # fmt: skip


@pytest.mark.parametrize("profile", [SPEC, CHROMIUM], ids=lambda profile: profile.name)
def test_safelisted_request_headers(profile: Profile) -> None:
    """Each listed value needs, or does not need, a preflight."""
    for table, wanted in ((SAFE, False), (UNSAFE, True)):
        for name, values in table.items():
            for value in values:
                request = FetchRequest(f"{REMOTE}/x", method="POST", headers=((name, value),), body="data")
                assert ask(request, always(("Access-Control-Allow-Origin", "*")), profile).needed_preflight is wanted, (
                    name,
                    value,
                )


SIMPLE = [
    (("Accept", "test"),), (("accept-language", "test"),), (("CONTENT-language", "test"),),
    (("Content-Type", "application/x-www-form-urlencoded"),), (("content-type", "multipart/form-data"),),
    (("content-type", "text/plain"),),
    (("accept", "test"), ("accept-language", "test"), ("content-language", "test"), ("content-type", "text/plain; parameter=whatever")),
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "Get", "post"])
def test_simple_requests(method: str) -> None:
    """None of these asks first (cors/simple-requests.htm, fetch/api/cors/cors-no-preflight.any.js)."""
    for headers in ((), *SIMPLE):
        result = ask(
            FetchRequest(f"{REMOTE}/x", method=method, headers=headers), always(("Access-Control-Allow-Origin", "*"))
        )
        assert result.readable
        assert not result.needed_preflight


def test_client_hints_need_no_preflight_in_chromium() -> None:
    """Cors/simple-requests-ch.tentative.htm: not in the text, but done."""
    for header in (
        ("save-data", "on"),
        ("device-memory", "1.0"),
        ("dpr", "3.0"),
        ("width", "1200"),
        ("viewport-width", "1300"),
    ):
        request = FetchRequest(f"{REMOTE}/x", headers=(header,))
        answer = always(("Access-Control-Allow-Origin", "*"))
        assert not ask(request, answer, CHROMIUM).needed_preflight
        assert ask(request, answer, SPEC).needed_preflight


# -- fetch/api/cors/cors-preflight-star.any.js (34 rows) ---------------------------------------------------------------

STAR = [
    (True, False, "get", "x-test", "GET", "X-Test"), (True, False, "*", "x-test", "SUPER", "X-Test"),
    (True, False, "*", "*", "OK", "X-Test"), (False, True, "*", "*", "OK", "X-Test"), (False, True, "*", "", "PUT", ""),
    (False, True, "get", "*", "GET", "X-Test"), (False, True, "*", "*", "GET", "X-Test"), (True, True, "*", "*", "*", "*"),
    *((True, True, allowed, "*", used, "") for upper in ("GET", "HEAD", "POST")
      for allowed in (upper, upper.lower()) for used in (upper, upper.lower())),
    *((allowed.isupper(), True, allowed, "*", used, "") for upper in ("DELETE", "PUT")
      for allowed in (upper, upper.lower()) for used in (upper, upper.lower())),
    (True, True, "PATCH", "*", "PATCH", ""), (False, True, "PATCH", "*", "patch", ""),
    (False, True, "patch", "*", "PATCH", ""), (True, True, "patch", "*", "patch", ""),
    (False, False, "*", "*", "POST", "Authorization"), (True, False, "*", "*, Authorization", "POST", "Authorization"),
]  # fmt: skip


@pytest.mark.parametrize("profile", [SPEC, CHROMIUM], ids=lambda profile: profile.name)
def test_preflight_star(profile: Profile) -> None:
    """34 rows; Chromium differs in one: a `*` covers Authorization."""
    assert len(STAR) == 34
    wrong = []
    for row in STAR:
        wanted, include, methods, headers, method, header = row
        pairs = [("Access-Control-Allow-Methods", methods), ("Access-Control-Allow-Headers", headers)]
        pairs.append(("Access-Control-Allow-Origin", HERE if include else "*"))
        if include:
            pairs.append(("Access-Control-Allow-Credentials", "true"))
        request = FetchRequest(
            f"{REMOTE}/x",
            method=method,
            headers=((header, "1"),) if header else (),
            credentials="include" if include else "same-origin",
        )
        if ask(request, always(*pairs), profile).readable is not wanted:
            wrong.append(row)
    assert wrong == ([] if profile is SPEC else [(False, False, "*", "*", "POST", "Authorization")])


# -- preflight status, syntax, lists -----------------------------------------------------------------------------------

STATUSES = {
    *range(200, 207), 299, *range(300, 309), *range(400, 418), *range(500, 506), 680, 790, 699,
}  # fmt: skip


@pytest.mark.parametrize("status", sorted(STATUSES - {407}))
def test_preflight_status(status: int) -> None:
    """Only 200 to 299 pass (cors-preflight-status, cors/preflight-failure.htm, cors/status-async.htm)."""

    def answer(request: Request) -> Response:
        asked = request.method == "OPTIONS"
        pairs = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", "x-test")]
        if asked and 300 <= status <= 399:
            pairs.append(("Location", f"{REMOTE}/y"))
        return Response(status if asked else 200, Headers.of(pairs))

    result = ask(FetchRequest(f"{REMOTE}/x", headers=(("x-test", "test"),)), answer)
    assert result.readable is (200 <= status <= 299)
    assert result.executed is result.readable


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 205, 206, 209, 299, 400, 401, 404, 500])
def test_any_status_can_be_shared(status: int) -> None:
    """Script reads error statuses too (cors/status-async.htm)."""
    result = ask(FetchRequest(f"{REMOTE}/x"), always(("Access-Control-Allow-Origin", "*"), status=status))
    assert result.readable
    assert result.response is not None
    assert result.response.status == status


def test_malformed_lists_fail_the_preflight() -> None:
    """One element that is no token spoils the list (cors-preflight-response-validation.any.js)."""
    request = FetchRequest(f"{REMOTE}/x", headers=(("x-force-preflight", ""),))
    allow = ("Access-Control-Allow-Origin", "*")
    headers = ("Access-Control-Allow-Headers", "x-force-preflight,header name with space")
    assert ask(request, always(allow, headers)).reason is Reason.INVALID_ALLOW_HEADERS
    good = ("Access-Control-Allow-Headers", "x-force-preflight")
    methods = ("Access-Control-Allow-Methods", "Bad method name")
    assert ask(request, always(allow, good, methods)).reason is Reason.INVALID_ALLOW_METHODS


@pytest.mark.parametrize(
    ("allowed", "used", "wanted"),
    [
        ("x-print", ("x-print",), True),
        ("x-print,", ("x-print", "content-type", "accept", "accept-language", "content-language"), True),
        ("x-print", ("x-print", "y-print"), False),
        (",y-lol,x-PriNT, ,,,Y-PRINT", ("x-print", "y-print"), True),
    ],
)
def test_request_headers(allowed: str, used: tuple[str, ...], wanted: bool) -> None:
    """Names match without case, empty elements do not matter (cors/request-headers.htm)."""
    values = {"content-type": "text/plain", "accept": "test", "accept-language": "nn", "content-language": "nn"}
    headers = tuple((name, values.get(name, "unicorn")) for name in used)
    pairs = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", allowed)]
    assert ask(FetchRequest(f"{REMOTE}/x", headers=headers), always(*pairs)).readable is wanted


# -- redirects -----------------------------------------------------------------------------------------------------------

WHERE = {"local": HERE, "remote": REMOTE, "remote2": REMOTE2}


def redirect_rows() -> list[tuple[str, str, str, str, str | None]]:
    """Build the 43 rows of cors/redirect-origin.htm: hop, its ACAO, next hop, its ACAO, Origin seen or None for failure."""
    rows: list[tuple[str, str, str, str, str | None]] = []
    for first, second, seen, good in (
        ("local", "remote", HERE, {"*", HERE}),
        ("remote", "local", "null", {"*", "null"}),
        ("remote", "remote", HERE, {"*", HERE}),
        ("remote", "remote2", "null", {"*", "null"}),
    ):
        rows += [
            (first, one, second, two, seen if two in good else None)
            for one in ("*", HERE)
            for two in ("*", HERE, "null", "none")
        ]
        rows += [(first, one, second, "*", seen if first == "local" else None) for one in ("null", "none")]
    rows += [
        ("remote", "*", "remote", REMOTE, None),
        ("remote", "*", "remote2", REMOTE, None),
        ("remote", REMOTE, "remote", "*", None),
    ]
    return rows


def hops(one: str, second: str, two: str, status: int = 302) -> Callable[[Request], Response]:
    """Redirect from one host to the next."""

    def answer(request: Request) -> Response:
        begun = request.path == "/0"
        shared = one if begun else two
        pairs = [("Access-Control-Allow-Origin", shared)] if shared != "none" else []
        if begun:
            pairs.append(("Location", f"{WHERE[second]}/1"))
        return Response(status if begun else 200, Headers.of(pairs))

    return answer


@pytest.mark.parametrize("profile", [SPEC, CHROMIUM], ids=lambda profile: profile.name)
def test_redirect_origin(profile: Profile) -> None:
    """43 rows: which Origin the second host sees, or that the fetch fails."""
    rows = redirect_rows()
    assert len(rows) == 43
    for first, one, second, two, seen in rows:
        result = ask(FetchRequest(f"{WHERE[first]}/0"), hops(one, second, two), profile)
        assert result.readable is (seen is not None), (first, one, second, two)
        assert seen is None or origin_of(result) == seen


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [("remote", "remote", HERE), ("remote", "remote2", "null"), ("local", "remote", HERE), ("remote", "local", "null")],
)
def test_cors_redirect(status: int, first: str, second: str, seen: str) -> None:
    """20 rows of fetch/api/cors/cors-redirect.any.js: no preflight, and this Origin at the end."""
    result = ask(FetchRequest(f"{WHERE[first]}/0"), hops("*", second, "*", status))
    assert result.readable
    assert not result.needed_preflight
    assert origin_of(result) == seen


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("first", "second"), [("local", "remote"), ("remote", "local"), ("remote", "remote2")])
@pytest.mark.parametrize("allowed", [True, False])
def test_preflight_after_redirect(status: int, first: str, second: str, allowed: bool) -> None:
    """30 rows of fetch/api/cors/cors-redirect-preflight.any.js: the second host is asked again, and may refuse."""

    def answer(request: Request) -> Response:
        begun = request.path == "/0"
        pairs = [("Access-Control-Allow-Origin", "*")]
        if begun or allowed:
            pairs.append(("Access-Control-Allow-Headers", "x-w3c"))
        if request.method == "OPTIONS":
            return Response(200, Headers.of(pairs))
        return (
            Response(status, Headers.of([*pairs, ("Location", f"{WHERE[second]}/1")]))
            if begun
            else Response(200, Headers.of(pairs))
        )

    result = ask(FetchRequest(f"{WHERE[first]}/0", headers=(("x-w3c", "test"),)), answer)
    assert result.readable is allowed
    assert result.sent[-1 if not allowed else -2].preflight
    assert result.sent[-1].hop == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("first", "second"), [("local", "remote"), ("remote", "local"), ("remote", "remote"), ("remote", "remote2")]
)
@pytest.mark.parametrize(
    ("userinfo", "wanted"), [("user:password", False), ("user:", False), (":password", False), ("", True)]
)
def test_redirect_with_userinfo(status: int, first: str, second: str, userinfo: str, wanted: bool) -> None:
    """65 rows of cors-redirect-credentials.any.js and those of cors/redirect-userinfo.htm, but for its `//:@` row.

    That row expects `//:@` to fail; an empty user name and password are no user information (URL Standard).
    """

    def answer(request: Request) -> Response:
        target = f"{WHERE[second]}/1".replace("://", f"://{userinfo}@")
        pairs = [("Access-Control-Allow-Origin", "*")]
        return (
            Response(status, Headers.of([*pairs, ("Location", target)]))
            if request.path == "/0"
            else Response(200, Headers.of(pairs))
        )

    result = ask(FetchRequest(f"{WHERE[first]}/0"), answer)
    assert result.readable is wanted
    assert wanted or result.reason is Reason.REDIRECT_WITH_CREDENTIALS


# -- what script can read ------------------------------------------------------------------------------------------------

FILTERED = {
    "Cache-Control": True, "Content-Language": True, "Content-Type": True, "Expires": True, "Last-Modified": True, "Pragma": True,
    "Age": False, "Server": False, "Warning": False, "Set-Cookie": False, "Set-Cookie2": False, "X-Powered-By": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "shown"), FILTERED.items())
def test_cors_filtering(name: str, shown: bool) -> None:
    """Six names are readable, others once exposed, cookies never; the Content-Length row is stale (cors-filtering.js)."""
    plain = ask(FetchRequest(f"{REMOTE}/x"), always(("Access-Control-Allow-Origin", "*"), (name, "x")))
    assert (name.lower() in dict(plain.readable_headers)) is shown
    pairs = [("Access-Control-Allow-Origin", "*"), (name, "x"), ("Access-Control-Expose-Headers", name)]
    exposed = ask(FetchRequest(f"{REMOTE}/x"), always(*pairs))
    assert (name.lower() in dict(exposed.readable_headers)) is not name.startswith("Set-")


def test_expose_star() -> None:
    """`*` exposes everything but cookies, and only itself with credentials (fetch/api/cors/cors-expose-star.js)."""
    extra = [
        ("Access-Control-Expose-Headers", "*"),
        ("Test", "X"),
        ("Set-Cookie", "X"),
        ("*", "whoa"),
        ("Content-Type", "text/plain"),
    ]
    open_ = dict(
        ask(FetchRequest(f"{REMOTE}/x"), always(("Access-Control-Allow-Origin", "*"), *extra)).readable_headers
    )
    assert (open_["test"], open_["*"]) == ("X", "whoa")
    assert "set-cookie" not in open_
    shared = [("Access-Control-Allow-Origin", HERE), ("Access-Control-Allow-Credentials", "true")]
    closed = dict(ask(FetchRequest(f"{REMOTE}/x", credentials="include"), always(*shared, *extra)).readable_headers)
    assert set(closed) == {"content-type", "*"}
    both = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "set-cookie"), *extra]
    assert "set-cookie" not in dict(ask(FetchRequest(f"{REMOTE}/x"), always(*both)).readable_headers)


def test_response_headers() -> None:
    """Repeated fields are joined, two expose headers add up (cors/response-headers.htm)."""
    pairs = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "X-Custom-Header, X-Custom-Header-Empty, X-Custom-Header-Comma"),
        ("Access-Control-Expose-Headers", "X-Second-Expose"),
        ("X-Custom-Header", "test"),
        ("X-Custom-Header-Empty", ""),
        ("X-Custom-Header-Comma", "1"),
        ("X-Custom-Header-Comma", "2"),
        ("X-Second-Expose", "flyingpig"),
        ("X-Nonexposed", "unicorn"),
    ]
    shown = dict(ask(FetchRequest(f"{REMOTE}/x"), always(*pairs)).readable_headers)
    assert shown == {
        "x-custom-header": "test",
        "x-custom-header-empty": "",
        "x-custom-header-comma": "1, 2",
        "x-second-expose": "flyingpig",
    }


# -- Origin and referrer policy, ports, resource policy, nosniff -----------------------------------------------------------

SHOWS = {
    "no-referrer": ("null", "null"),
    "same-origin": (HERE, "null"),
    "origin-when-cross-origin": (HERE, HERE),
    "no-referrer-when-downgrade": (HERE, HERE),
    "unsafe-url": (HERE, HERE),
}


@pytest.mark.parametrize(("policy", "seen"), SHOWS.items())
def test_origin_and_referrer_policy(policy: str, seen: tuple[str, str]) -> None:
    """fetch/origin/assorted.window.js: form navigations and no-cors POSTs obey the policy, CORS requests do not.

    Its row for a same-origin POST of mode cors under no-referrer (null) is older than the text, which looks at the
    policy only where the mode is not cors.
    """
    for target, wanted in zip((HERE, REMOTE), seen, strict=True):
        page = Page(ORIGIN, referrer_policy=policy)  # type: ignore[arg-type]
        form = submit_form(page, f"{target}/x", always(), profile=SPEC)
        assert origin_of(form) == wanted
        for mode, expected in (("no-cors", wanted), ("cors", HERE)):
            request = FetchRequest(f"{target}/x", method="POST", mode=mode)  # type: ignore[arg-type]
            result = fetch(page, request, always(("Access-Control-Allow-Origin", "*")), profile=SPEC)
            assert origin_of(result) == expected


def test_origin_after_redirect_home() -> None:
    """A POST that goes out and comes home carries null (fetch/origin/assorted.window.js)."""

    def answer(request: Request) -> Response:
        there = request.host.startswith("www1")
        return Response(308, Headers.of([("Location", f"{HERE}/1")])) if there else Response(200)

    result = ask(FetchRequest(f"{REMOTE}/0", method="POST", mode="no-cors"), answer)
    assert [sent.origin for sent in result.sent] == [HERE, "null"]


def test_bad_ports() -> None:
    """83 ports are never connected to (fetch/api/request/request-bad-port.any.js)."""
    assert len(BAD_PORTS) == 83
    for port in BAD_PORTS:
        result = ask(FetchRequest(f"http://web-platform.test:{port}/", mode="no-cors"), always())
        assert (result.reason, result.executed) == (Reason.UNSAFE_PORT, False)
    assert ask(FetchRequest("http://web-platform.test:30303/", mode="no-cors"), always()).type == "opaque"


@pytest.mark.parametrize(
    "value",
    [
        "same",
        "same, same-origin",
        "SAME-ORIGIN",
        "Same-Origin",
        "same-origin, <>",
        "same-origin, same-origin",
        "https://www.example.com",
    ],
)
def test_resource_policy_syntax(value: str) -> None:
    """A value that is none of the three counts as none (fetch/cross-origin-resource-policy/syntax.any.js)."""
    result = ask(FetchRequest(f"{REMOTE}/x", mode="no-cors"), always(("Cross-Origin-Resource-Policy", value)))
    assert result.type == "opaque"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["NOSNIFF"], True), (["nosniff"], True), (["nosniff,,@#$#%%&^&^*()()11!"], True), (["@#$#%%&^&^*()()11!,nosniff"], False),
        (["nosniff", "no"], True), (["no", "nosniff"], False), (["", "nosniff"], False), ([",nosniff"], False),
        (["nosniff\x0c"], True), (["nosniff\x0b"], False), (["nosniff\x0b,nosniff"], False), (["'NosniFF'"], False),
        (['"nosniFF"'], False), ([], False),
    ],
)  # fmt: skip
def test_nosniff(values: list[str], wanted: bool) -> None:
    """14 rows of fetch/nosniff/resources/x-content-type-options.json."""
    assert nosniff(Response(200, Headers.of([("x-content-type-OPTIONS", value) for value in values]))) is wanted
