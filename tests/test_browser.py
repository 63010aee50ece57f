"""The browser: what it decides, what it refuses to decide, and how it says so."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.browser.cache import PreflightCache
from auditor.browser.consequence import consequence, explain
from auditor.browser.cookies import CookieJar
from auditor.browser.cors import cors_check, preflight_check
from auditor.browser.elements import event_source, load_element
from auditor.browser.fetching import fetch
from auditor.browser.forms import navigate, send_beacon, submit_form
from auditor.browser.http_cache import HttpCache, may_stand_for
from auditor.browser.judge import fetch_at_least, fetch_at_most, may_read
from auditor.browser.page import FetchRequest, FetchResult, Page
from auditor.browser.profile import CHROMIUM, SPEC, Profile
from auditor.browser.reason import Reason
from auditor.browser.url import OPAQUE, Origin, parse_url
from auditor.browser.websocket import websocket
from auditor.exchange import UNKNOWN_VALUE, Action, Exchange, Field, Headers, Outcome, Request, Response, Unknown

EVIL = Origin("https", "evil.example")
APP = Origin("https", "app.example")
API = "https://api.example/api/me"
ORIGIN = "Access-Control-Allow-Origin"
CREDENTIALS = "Access-Control-Allow-Credentials"
PROFILES = st.sampled_from([SPEC, CHROMIUM])


def response(
    *pairs: tuple[str, str], status: int | None = 200, further: bool = False, absent: tuple[str, ...] = ()
) -> Response:
    """Build a response."""
    return Response(status, Headers.of(pairs), further_headers=further, absent=frozenset(absent))


def constant(answer: Response | Outcome | None) -> Callable[[Request], Response | Outcome | None]:
    """Answer everything alike."""
    return lambda _: answer


def reflecting(request: Request) -> Response:
    """Share everything with everybody, credentials included."""
    pairs = [(ORIGIN, request.headers.get("Origin") or ""), (CREDENTIALS, "true")]
    pairs.append(("Access-Control-Allow-Methods", request.headers.get("Access-Control-Request-Method") or "GET"))
    pairs.append(("Access-Control-Allow-Headers", request.headers.get("Access-Control-Request-Headers") or ""))
    return response(*pairs)


# -- origins and URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "serialised"),
    [
        ("https://App.Example:443/x", "https://app.example"),
        ("http://app.example:09080", "http://app.example:9080"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
        ("http://straße.example", "http://xn--strae-oqa.example"),
        ("http://\uff41pp.example", "http://app.example"),
        ("http://127.1", "http://127.0.0.1"),
        ("http://0x7f000001", "http://127.0.0.1"),
        ("http://2130706433", "http://127.0.0.1"),
        ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
        ("http://app.example.", "http://app.example."),
        ("http://my_app.example", "http://my_app.example"),
        ("null", "null"),
        ("data:text/plain,x", "null"),
    ],
)
def test_origins_serialise_as_browsers_do(text: str, serialised: str) -> None:
    """Case, default ports, U-labels, odd IPv4 and IPv6 spellings all have one serialisation."""
    origin = Origin.parse(text)
    assert origin is not None
    assert origin.serialise() == str(origin) == serialised


@pytest.mark.parametrize(
    "text",
    ["app.example", "", "//app.example", "http://", "http://a:99999", "http://[::1", "http://a b", "http://1.2.3.256"],
)
def test_what_is_no_url_has_no_origin(text: str) -> None:
    """A URL that fails to parse has no origin."""
    assert Origin.parse(text) is None


@given(st.text(max_size=60))
def test_parsing_never_raises_and_settles(text: str) -> None:
    """Any text parses to something or nothing, and a parsed origin reads back as itself."""
    for spaces in (False, True):
        url = parse_url(text, spaces=spaces)
        if url is not None and url.special:
            again = Origin.parse(url.origin.serialise().replace("%20", " ")) if not spaces else url.origin
            assert again == url.origin
    parse_url(text, parse_url("https://app.example/a/b?c#d"))


def test_same_site_is_schemeful_and_ignores_ports() -> None:
    """Subdomains and ports are same-site, another scheme or a public suffix is not."""
    sub, port, plain = (
        Origin("https", "user.app.example"),
        Origin("https", "app.example", 9443),
        Origin("http", "app.example"),
    )
    assert APP.same_site(sub)
    assert APP.same_site(port)
    assert not APP.same_site(plain)
    assert not APP.same_site(EVIL)
    assert not Origin("https", "a.co.uk").same_site(Origin("https", "b.co.uk"))
    assert not Origin("https", "10.0.0.1").same_site(Origin("https", "20.0.0.1"))
    assert not OPAQUE.same_site(OPAQUE)
    assert not OPAQUE.same_origin(OPAQUE)


# -- the two primitives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "credentials", "reason"),
    [
        ([(ORIGIN, "*")], False, None),
        ([(ORIGIN, "*")], True, Reason.WILDCARD_WITH_CREDENTIALS),
        ([(ORIGIN, "https://evil.example"), (CREDENTIALS, "true")], True, None),
        ([(ORIGIN, "https://evil.example"), (CREDENTIALS, "True")], True, Reason.INVALID_ALLOW_CREDENTIALS),
        ([(ORIGIN, "https://evil.example")], True, Reason.INVALID_ALLOW_CREDENTIALS),
        ([(ORIGIN, "https://evil.example"), (ORIGIN, "https://evil.example")], False, Reason.MULTIPLE_ALLOW_ORIGIN),
        ([(ORIGIN, "https://evil.example/")], False, Reason.ALLOW_ORIGIN_MISMATCH),
        ([(ORIGIN, "evil.example")], False, Reason.INVALID_ALLOW_ORIGIN),
        ([], False, Reason.MISSING_ALLOW_ORIGIN),
    ],
)
def test_cors_check(pairs: list[tuple[str, str]], credentials: bool, reason: Reason | None) -> None:
    """The CORS check compares bytes and names its refusals as Chromium does."""
    assert cors_check("https://evil.example", credentials=credentials, response=response(*pairs)) is reason


def test_preflight_check_order_and_case() -> None:
    """Origin first, then status, syntax, method (by case), headers (without)."""
    allow = (ORIGIN, "*")
    methods = ("Access-Control-Allow-Methods", "PUT")
    names = ("Access-Control-Allow-Headers", "X-A")

    def check(*pairs: tuple[str, str], method: str = "PUT", status: int = 204) -> Reason | None:
        answer = response(*pairs, status=status)
        return preflight_check(
            method, ("x-a",), credentials=False, response=answer, request_origin="https://app.example"
        )

    assert check(allow, methods, names) is None
    assert check(methods, names, status=500) is Reason.PREFLIGHT_MISSING_ALLOW_ORIGIN
    assert check(allow, status=500) is Reason.PREFLIGHT_INVALID_STATUS
    assert check(allow, ("Location", "/x"), status=302) is Reason.PREFLIGHT_REDIRECT
    assert check(allow, names, method="patch") is Reason.METHOD_NOT_ALLOWED
    assert check(allow, methods) is Reason.HEADER_NOT_ALLOWED
    assert check(allow, methods, names, ("Access-Control-Allow-Methods", "a b")) is Reason.INVALID_ALLOW_METHODS


# -- what is not decided -----------------------------------------------------------------------------------------------


def test_an_unmodelled_backend_leaves_the_answer_open() -> None:
    """Headers that a backend may add make a pass and a missing header undecided, never a mismatch."""
    assert cors_check("https://evil.example", credentials=False, response=response(further=True)) is Reason.UNDECIDED
    assert (
        cors_check("https://evil.example", credentials=False, response=response((ORIGIN, "*"), further=True))
        is Reason.UNDECIDED
    )
    assert (
        cors_check("https://evil.example", credentials=False, response=response((ORIGIN, "x"), further=True))
        is Reason.INVALID_ALLOW_ORIGIN
    )
    hidden = response((ORIGIN, "*"), further=True, absent=("access-control-allow-origin",))
    assert cors_check("https://evil.example", credentials=False, response=hidden) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (UNKNOWN_VALUE, Reason.UNDECIDED),
        (f"https://{UNKNOWN_VALUE}", Reason.UNDECIDED),
        (f"https://{UNKNOWN_VALUE}.trusted.example", Reason.ALLOW_ORIGIN_MISMATCH),
        (f"{UNKNOWN_VALUE}, *", Reason.MULTIPLE_ALLOW_ORIGIN),
    ],
)
def test_a_half_known_value_is_matched_as_far_as_it_is_known(value: str, reason: Reason) -> None:
    """The known part of a value can already exclude the origin."""
    assert cors_check("https://evil.example", credentials=False, response=response((ORIGIN, value))) is reason


def test_an_undecided_fetch_says_what_made_it_so() -> None:
    """Neither a leak nor a protection is concluded, and the unknown of the answer is passed on."""
    unknown = Unknown("an unmodelled Lua block", None, "header:access-control-allow-origin")
    outcome = Outcome("always", response((ORIGIN, "*")), Action("proxy"), unknown=(unknown,))
    result = fetch(EVIL, FetchRequest(API), constant(outcome))
    assert (result.readable, result.may_be_readable, result.decided) == (False, True, False)
    assert result.reason is Reason.UNDECIDED
    assert result.undecided == (unknown,)
    assert "an unmodelled Lua block" in consequence(result)
    outcome = Outcome("always", response(("Access-Control-Allow-Methods", "PUT")), Action("proxy"), unknown=(unknown,))
    preflighted = fetch(EVIL, FetchRequest(API, method="PUT"), constant(outcome))
    assert (preflighted.executed, preflighted.may_be_executed) == (False, True)


def test_an_undecided_status_is_only_a_problem_where_it_matters() -> None:
    """A missing header refuses whatever the status; with good headers, a redirect would change everything."""
    assert fetch(EVIL, FetchRequest(API), constant(response(status=None))).reason is Reason.MISSING_ALLOW_ORIGIN
    assert fetch(EVIL, FetchRequest(API), constant(response((ORIGIN, "*"), status=None))).reason is Reason.UNDECIDED
    assert websocket(EVIL, "wss://api.example/ws", constant(response(status=None))).reason is Reason.UNDECIDED


values = st.sampled_from(
    ["*", "https://evil.example", "null", "https://app.example", "", "true", "*, *", UNKNOWN_VALUE]
)
names = st.sampled_from(
    [ORIGIN, CREDENTIALS, "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "X-Other"]
)


@given(
    st.lists(st.tuples(names, values), max_size=4),
    st.booleans(),
    st.lists(st.tuples(names, values), max_size=2),
    PROFILES,
)
def test_undecided_covers_every_completion(
    known: list[tuple[str, str]], include: bool, more: list[tuple[str, str]], profile: Profile
) -> None:
    """Whatever the open part turns out to be, a decided answer stays what it was."""
    known = [(name, value) for name, value in known if UNKNOWN_VALUE not in value]
    more = [(name, value) for name, value in more if UNKNOWN_VALUE not in value]
    credentials = "include" if include else "omit"
    request = FetchRequest(API, method="PUT", headers=(("x-a", "1"),), credentials=credentials)
    before = fetch(EVIL, request, constant(response(*known, further=True)), profile=profile)
    after = fetch(EVIL, request, constant(response(*known, *more)), profile=profile)
    assert before.reason is Reason.UNDECIDED or before.readable == after.readable


@given(st.lists(st.tuples(names, values), max_size=4), st.sampled_from(["*", "https://evil.example", "true", "q", ""]))
def test_an_unknown_value_covers_every_text(pairs: list[tuple[str, str]], text: str) -> None:
    """A decided answer stays what it was, whatever the unknown text turns out to be."""
    filled = [(name, value.replace(UNKNOWN_VALUE, text)) for name, value in pairs]
    for credentials in (False, True):
        before = cors_check("https://evil.example", credentials=credentials, response=response(*pairs))
        after = cors_check("https://evil.example", credentials=credentials, response=response(*filled))
        assert before is Reason.UNDECIDED or (before is None) == (after is None)


# -- fetch -------------------------------------------------------------------------------------------------------------


def test_a_reflecting_server_is_read_with_cookies() -> None:
    """The classic: any origin, credentials included, preflight passed."""
    result = fetch(EVIL, FetchRequest(API, method="DELETE", credentials="include"), reflecting)
    assert result.readable
    assert [sent.request.method for sent in result.sent] == ["OPTIONS", "DELETE"]
    assert [sent.credentials for sent in result.sent] == [False, True]
    assert result.sent[0].request.headers.get("Cookie") is None
    assert consequence(result) == "a page at https://evil.example can read DELETE /api/me with the user's cookies"


def test_a_simple_request_executes_whatever_the_answer_says() -> None:
    """No preflight, so the server acts before any header is looked at."""
    result = fetch(EVIL, FetchRequest(API, method="POST", credentials="include"), constant(response()))
    assert result.executed
    assert not result.readable
    assert consequence(result).startswith(
        "a page at https://evil.example can send POST /api/me with the user's cookies"
    )


def test_two_headers_break_every_page() -> None:
    """Two layers that both answer make the route useless, and the sentence says so."""
    answer = constant(response((ORIGIN, "https://app.example"), (ORIGIN, "https://app.example"), status=204))
    result = fetch(APP, FetchRequest(API, method="PUT"), answer)
    assert consequence(result) == (
        "no browser can use PUT /api/me from https://app.example: the preflight's answer has two Access-Control-Allow-Origin headers"
    )


def test_api_misuse_never_reaches_the_server() -> None:
    """What throws in script is a reason here, and nothing is sent."""

    def answer(_: Request) -> Response:
        pytest.fail("something was sent")

    for request, reason in [
        (FetchRequest("nonsense"), Reason.INVALID_URL),
        (FetchRequest("https://u:p@api.example/"), Reason.URL_WITH_CREDENTIALS),
        (FetchRequest(API, method="TRACE"), Reason.FORBIDDEN_METHOD),
        (FetchRequest(API, method="a b"), Reason.INVALID_METHOD),
        (FetchRequest(API, method="PUT", mode="no-cors"), Reason.FORBIDDEN_METHOD),
        (FetchRequest(API, headers=(("a b", "c"),)), Reason.INVALID_HEADER),
        (FetchRequest(API, headers=(("a", "\u20ac"),)), Reason.INVALID_HEADER),
        (FetchRequest(API, body="x"), Reason.BODY_NOT_ALLOWED),
        (FetchRequest(API, mode="same-origin"), Reason.DISALLOWED_BY_MODE),
        (FetchRequest("http://api.example/"), Reason.MIXED_CONTENT),
        (FetchRequest("https://api.example:22/"), Reason.UNSAFE_PORT),
    ]:
        result = fetch(EVIL, request, answer)
        assert (result.reason, result.sent, result.executed) == (reason, (), False)
        assert explain(result)


def test_a_redirect_home_is_tainted() -> None:
    """B -> A carries Origin null: only `null` or `*` lets the page read its own server then."""

    def answer(request: Request) -> Response:
        if request.host == "api.example":
            return response((ORIGIN, "*"), ("Location", "https://app.example/x"), status=302)
        return response((ORIGIN, "null"))

    result = fetch(APP, FetchRequest(API), answer)
    assert result.readable
    assert [sent.origin for sent in result.sent] == ["https://app.example", "null"]


def test_redirects_end() -> None:
    """A loop ends after 20 redirects."""
    result = fetch(EVIL, FetchRequest(API), constant(response((ORIGIN, "*"), ("Location", API), status=302)))
    assert result.reason is Reason.TOO_MANY_REDIRECTS
    assert len(result.sent) == 21


def test_a_closed_connection_is_a_reason() -> None:
    """No response at all is an answer too."""
    assert fetch(EVIL, FetchRequest(API), constant(None)).reason is Reason.NO_RESPONSE
    assert fetch(EVIL, FetchRequest(API, method="PUT"), constant(None)).executed is False
    assert websocket(EVIL, "wss://api.example/", constant(None)).reason is Reason.NO_RESPONSE


def test_the_preflight_cache_is_asked_first() -> None:
    """A remembered permission saves the preflight until it expires; without a cache nothing is remembered."""
    now = itertools.count(0, 4)
    cache = PreflightCache(lambda: float(next(now)))
    request = FetchRequest(API, method="PUT")
    kinds = [fetch(EVIL, request, reflecting, cache=cache).needed_preflight for _ in range(3)]
    assert kinds == [True, False, True]
    assert fetch(EVIL, request, reflecting).needed_preflight


def test_header_injection_makes_headers() -> None:
    """A line break that reaches the wire begins a new header field."""
    injected = response(("Location", f"/x\r\n{ORIGIN}: *"), status=200)
    assert fetch(EVIL, FetchRequest(API), constant(injected)).readable
    folded = response((ORIGIN, "https://evil.example\r\n "))
    assert fetch(EVIL, FetchRequest(API), constant(folded)).readable


def test_a_protection_counts_only_if_every_browser_gives_it() -> None:
    """`*` for Authorization: the text refuses, Chromium allows, so it is an attack and not something to rely on."""
    pairs = [(ORIGIN, "*"), ("Access-Control-Allow-Headers", "*")]
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return response(*pairs)

    request = FetchRequest(API, headers=(("Authorization", "Bearer t"),))
    assert fetch_at_most(EVIL, request, answer).readable
    assert [one.method for one in asked] == ["OPTIONS", "GET"]
    assert fetch_at_least(EVIL, request, answer).reason is Reason.HEADER_NOT_ALLOWED


def test_one_exchange_can_be_judged_by_itself() -> None:
    """An exchange that took place is readable or not, undecided where its outcome is unknown."""
    request = Request("GET", "/x", Headers.of([("Host", "api.example")]), "https")

    def judged(answer: Response | None, *unknown: Unknown, page: Origin = EVIL) -> Reason | None:
        outcome = Outcome("always", answer, Action("return"), unknown=unknown)
        return may_read(page, Exchange("predicted", request, outcome), credentials=False)

    assert judged(response((ORIGIN, "*"))) is None
    assert judged(response()) is Reason.MISSING_ALLOW_ORIGIN
    assert judged(response(), page=Origin("https", "api.example")) is None
    assert judged(None) is Reason.NO_RESPONSE
    assert judged(response(("X", "\0"))) is Reason.INVALID_RESPONSE
    assert judged(response((ORIGIN, "*")), Unknown("Lua")) is Reason.UNDECIDED


PUT = FetchRequest(API, method="PUT", headers=(("X-A", "1"),), credentials="include")
GOOD = ((ORIGIN, "https://evil.example"), (CREDENTIALS, "true"))


@pytest.mark.parametrize(
    ("request_", "answer", "words"),
    [
        (FetchRequest(API), response((ORIGIN, "*")), "can read GET /api/me"),
        (FetchRequest(API), response((ORIGIN, "https://a.example, https://b.example")), "several origins in"),
        (
            FetchRequest(API),
            response((ORIGIN, "https://a.example")),
            "another value in Access-Control-Allow-Origin ('https://a.example')",
        ),
        (FetchRequest(API), response(*((ORIGIN, "*"),) * 3), "three Access-Control-Allow-Origin headers"),
        (FetchRequest(API, credentials="include"), response((ORIGIN, "*")), "never covers credentials"),
        (
            FetchRequest(API, credentials="include"),
            response(GOOD[0]),
            "no Access-Control-Allow-Credentials header",
        ),
        (
            FetchRequest(API, credentials="include"),
            response(GOOD[0], (CREDENTIALS, "1")),
            "that is '1', not exactly true",
        ),
        (PUT, response(*GOOD, status=401), "status 401, not 200 to 299"),
        (PUT, response(*GOOD, ("Location", "/login"), status=302), "a redirect (302), which no browser follows"),
        (PUT, response(*GOOD, ("Access-Control-Allow-Methods", "POST")), "the preflight allows POST, not PUT"),
        (
            PUT,
            response(*GOOD, ("Access-Control-Allow-Methods", "PUT")),
            "the preflight allows no header, and x-a was asked for",
        ),
        (
            PUT,
            response(*GOOD, ("Access-Control-Allow-Methods", "PUT POST")),
            "a malformed Access-Control-Allow-Methods ('PUT POST')",
        ),
        (
            PUT,
            response(*GOOD, ("Access-Control-Allow-Headers", "(x)")),
            "a malformed Access-Control-Allow-Headers ('(x)')",
        ),
        (FetchRequest(API), None, "closed without an answer"),
        (FetchRequest("nonsense"), None, "InvalidUrl"),
        (FetchRequest(API), response((ORIGIN, UNKNOWN_VALUE)), "is not decided"),
    ],
)
def test_every_end_has_a_sentence(request_: FetchRequest, answer: Response | None, words: str) -> None:
    """The sentence names the header and the value that decided."""
    assert words in consequence(fetch(EVIL, request_, constant(answer)))


def test_other_sentences() -> None:
    """Opaque origins, sockets and undecided handshakes have sentences of their own."""
    assert "from a sandboxed frame" in consequence(fetch(OPAQUE, FetchRequest(API), reflecting))
    assert "is not decided" in consequence(websocket(EVIL, "wss://api.example/ws", constant(response(status=None))))
    refused = consequence(websocket(EVIL, "wss://api.example/ws", constant(response(status=403))))
    assert (
        refused
        == "no browser opens the WebSocket /ws for a page at https://evil.example: the handshake is answered with status 403"
    )
    assert explain(fetch(EVIL, FetchRequest(API), reflecting)) == "nothing stands in the way"


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("x", "https://app.example/a/x"),
        ("../../x/./y/..", "https://app.example/x/"),
        ("?q=\u00e9'", "https://app.example/a/b?q=%C3%A9%27"),
        ("#f g", "https://app.example/a/b?c#f%20g"),
        ("//b.example", "https://b.example/"),
        ("\\\\b.example\\x", "https://b.example/x"),
        ("https:/x", "https://app.example/x"),
        ("http:x", "http://x/"),
        (" h\tttps://B.example:443/%zz ", "https://b.example/%zz"),
        ("https://[::ffff:1.2.3.4]:1", "https://[::ffff:102:304]:1/"),
        ("https://a%41b.example", "https://aab.example/"),
        ("mailto:x@y", "mailto:x@y"),
    ],
)
def test_relative_urls(text: str, href: str) -> None:
    """References resolve as in the URL Standard."""
    url = parse_url(text, parse_url("https://app.example/a/b?c#d"))
    assert url is not None
    assert url.href == href


@pytest.mark.parametrize(
    "host", ["a%", "%ff", "\ufffd", "1.2.3.4.5", "0x100000000", "08", "[1]x", "[::1%25]", "a%00b", "xn--\ud800"]
)
def test_broken_hosts(host: str) -> None:
    """None of these is a host."""
    assert parse_url(f"https://{host}/") is None


# -- the rest of the platform --------------------------------------------------------------------------------------------


def test_websockets_ask_no_cors() -> None:
    """A handshake carries Origin and cookies; CORS headers in the answer mean nothing."""
    jar = CookieJar()
    url = parse_url("https://api.example/")
    assert url is not None
    jar.visit(url, ["s=1; SameSite=None; Secure", "lax=1"])
    result = websocket(
        EVIL, "wss://api.example/ws", constant(response((ORIGIN, "https://app.example"), status=101)), jar=jar
    )
    assert result.readable
    sent = result.sent[0].request
    assert (sent.headers.get("Origin"), sent.headers.get("Cookie"), sent.scheme) == (
        "https://evil.example",
        "s=1",
        "https",
    )
    assert consequence(result) == (
        "a page at https://evil.example can open the WebSocket /ws with the user's cookies and read and write on it"
    )
    assert websocket(EVIL, "wss://api.example/ws", constant(response(status=403))).reason is Reason.HANDSHAKE_REFUSED
    assert websocket(EVIL, "ws://api.example/ws", constant(response(status=101))).reason is Reason.MIXED_CONTENT
    assert websocket(EVIL, "ftp://api.example/", constant(None)).threw
    assert (
        websocket(EVIL, "wss://api.example/", constant(None), protocols=["a", "a"]).reason is Reason.INVALID_SUBPROTOCOL
    )
    chosen = constant(response(("Sec-WebSocket-Protocol", "b"), status=101))
    assert websocket(EVIL, "wss://api.example/", chosen, protocols=["a"]).reason is Reason.SUBPROTOCOL_MISMATCH


def test_elements_need_cors_only_with_crossorigin() -> None:
    """Without the attribute a script runs unseen, with it the answer must be shared."""
    plain = constant(response(("Content-Type", "text/javascript")))
    without = load_element(EVIL, "script", "https://api.example/x.js", plain)
    assert (without.loaded, without.readable) == (True, False)
    asked = load_element(EVIL, "script", "https://api.example/x.js", plain, crossorigin="anonymous")
    assert (asked.loaded, asked.reason) == (False, Reason.MISSING_ALLOW_ORIGIN)
    assert not load_element(EVIL, "font", "https://api.example/x", plain).loaded
    undecided = load_element(EVIL, "image", "https://api.example/x", constant(response(further=True)))
    assert undecided.reason is Reason.UNDECIDED


def test_event_streams_need_the_right_type() -> None:
    """EventSource: CORS, status 200, text/event-stream."""
    good = response((ORIGIN, "*"), ("Content-Type", "text/event-stream"))
    assert event_source(EVIL, API, constant(good)).readable
    assert event_source(EVIL, API, constant(good), with_credentials=True).reason is Reason.WILDCARD_WITH_CREDENTIALS
    assert event_source(EVIL, API, constant(response((ORIGIN, "*")))).reason is Reason.WRONG_CONTENT_TYPE
    half = response((ORIGIN, "*"), further=True, absent=("access-control-allow-origin", "location"))
    assert event_source(EVIL, API, constant(half)).reason is Reason.UNDECIDED


def test_forms_and_beacons_are_never_stopped_by_cors() -> None:
    """A form reaches the server without a preflight; a JSON beacon asks first."""
    form = submit_form(EVIL, API, constant(response()), encoding="text/plain", body='{"a":1,"x":"="}')
    assert (form.executed, form.readable, form.needed_preflight) == (True, False, False)
    assert form.sent[0].origin == "https://evil.example"
    assert navigate(EVIL, API, constant(response())).sent[0].origin is None
    json = send_beacon(EVIL, API, constant(response()), body_type="application/json")
    assert (json.executed, json.reason) == (False, Reason.PREFLIGHT_MISSING_ALLOW_ORIGIN)
    assert send_beacon(EVIL, API, reflecting, body="x").reason is not None


@pytest.mark.parametrize(
    ("page", "sent"),
    [
        (Page(APP), "unset=1; lax=1; strict=1; none=1"),
        (Page(Origin("https", "user.app.example")), "unset=1; lax=1; strict=1; none=1"),
        (Page(EVIL), "none=1"),
        (Page(Origin("http", "app.example")), "none=1"),
        (Page(APP, ancestors=(EVIL,)), "none=1"),
        (Page(OPAQUE, url_origin=APP), "none=1"),
    ],
)
def test_same_site_cookies(page: Page, sent: str) -> None:
    """Strict and Lax cookies go only where page, frames and target are schemefully same-site."""
    jar = CookieJar()
    url = parse_url("https://app.example/")
    assert url is not None
    lines = [
        "unset=1",
        "lax=1; SameSite=Lax",
        "strict=1; SameSite=Strict",
        "none=1; SameSite=None; Secure",
        "bad=1; SameSite=None",
    ]
    jar.visit(url, lines)
    result = fetch(page, FetchRequest("https://app.example/", credentials="include"), reflecting, jar=jar)
    assert result.sent[-1].request.headers.get("Cookie") == sent
    blocked = CookieJar(block_third_party=True)
    blocked.visit(url, lines)
    result = fetch(page, FetchRequest("https://app.example/", credentials="include"), reflecting, jar=blocked)
    assert result.sent[-1].request.headers.get("Cookie") == (None if sent == "none=1" else sent)


def test_a_cached_answer_without_vary_is_served_to_another_origin() -> None:
    """The HTTP cache hands one origin's answer to a request of another unless Vary names Origin."""
    request = Request("GET", "/x", Headers.of([("Host", "api.example"), ("Origin", "https://a.example")]), "https")
    other = request.with_(Origin="https://b.example")
    assert may_stand_for(request, response((ORIGIN, "https://a.example")), other)
    assert not may_stand_for(request, response(("Vary", "Accept, origin")), other)
    assert not may_stand_for(request, response(("Vary", "*")), request)
    cache = HttpCache()
    cache.keep(request, response((ORIGIN, "https://a.example"), ("Cache-Control", "max-age=60")))
    assert cache.find(other) is not None
    cache = HttpCache()
    cache.keep(request, response(("Cache-Control", "max-age=60, no-store")))
    assert cache.find(request) is None


def test_local_network_access_is_a_permission() -> None:
    """A public page needs the user's word to reach the local network, an insecure one never gets there."""
    url = "https://192.168.1.7/"
    answer = constant(response((ORIGIN, "*")))
    assert fetch(Page(APP, space="public"), FetchRequest(url), answer).reason is Reason.LOCAL_NETWORK_PERMISSION_DENIED
    assert fetch(Page(APP, space="public", local_network=True), FetchRequest(url), answer).readable
    plain = Page(Origin("http", "app.example"), space="public")
    assert fetch(plain, FetchRequest(url), answer).reason is Reason.INSECURE_LOCAL_NETWORK
    assert fetch(Page(APP), FetchRequest(url), answer).readable


# -- properties ------------------------------------------------------------------------------------------------------------

pieces = st.sampled_from(
    ["*", "https://evil.example", "null", "GET", "PUT", "x-a", "true", ",", " ", "/", "\0", "\r\n", "é", ""]
)
junk = st.lists(pieces, max_size=5).map("".join)
any_name = st.sampled_from(
    [ORIGIN, CREDENTIALS, "Location", "Access-Control-Allow-Methods", "Vary", "set-cookie", "X", ""]
)
any_response = st.builds(
    Response,
    st.sampled_from([None, 101, 200, 204, 301, 302, 307, 401, 404, 407, 421, 500]),
    st.lists(st.tuples(any_name, junk), max_size=6).map(Headers.of),
    st.none(),
    st.booleans(),
)
any_request = st.builds(
    FetchRequest,
    st.sampled_from([API, "https://evil.example/", "http://api.example/", "https://[bad", "/relative"]),
    method=st.sampled_from(["GET", "POST", "PUT", "patch", "TRACE", "a b"]),
    headers=st.lists(
        st.tuples(st.sampled_from(["X-A", "Content-Type", "Accept", "Cookie", "é"]), junk), max_size=2
    ).map(tuple),
    credentials=st.sampled_from(["omit", "same-origin", "include"]),
    mode=st.sampled_from(["cors", "no-cors", "same-origin", "navigate"]),
    redirect=st.sampled_from(["follow", "error", "manual"]),
    body=st.none() | st.just("b"),
)


@given(any_request, st.lists(any_response | st.none(), min_size=1, max_size=4), PROFILES)
def test_every_fetch_has_a_consistent_end(
    request: FetchRequest, answers: list[Response | None], profile: Profile
) -> None:
    """No input crashes, readable is exactly the absence of a reason, and every end has a sentence."""
    served = itertools.cycle(answers)
    for page in (EVIL, OPAQUE, Page(APP, ancestors=(EVIL,), embedder_policy="require-corp")):
        result: FetchResult = fetch(
            page, request, lambda _: next(served), profile=profile, jar=CookieJar(), http_cache=HttpCache()
        )
        assert result.readable == (result.reason is None)
        assert result.executed == any(not sent.preflight for sent in result.sent)
        assert result.decided == (not result.undecided)
        assert all(sent.request.headers.get("Cookie") is None for sent in result.sent if sent.preflight)
        assert consequence(result)


@given(st.lists(st.tuples(any_name, junk), max_size=6).map(Headers.of))
def test_credentials_never_make_more_readable(headers: Headers) -> None:
    """What script may read with credentials it may read without: include is the stricter mode."""
    for origin in ("https://evil.example", "null"):
        if cors_check(origin, credentials=True, response=Response(200, headers)) is None:
            assert cors_check(origin, credentials=False, response=Response(200, headers)) is None


def test_the_directive_that_left_it_open_is_named() -> None:
    """An undecided header's directive is where the sentence points."""
    from auditor.errors import Location

    place = Location("nginx.conf", 7, 5)
    half = Response(200, Headers((Field(ORIGIN, UNKNOWN_VALUE, place),)))
    result = fetch(EVIL, FetchRequest(API), constant(half))
    assert result.undecided[0].location == place
