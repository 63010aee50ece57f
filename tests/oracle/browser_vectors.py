"""Exchanges with a real Chromium, played to the model: what was sent, what script got, and why."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditor.browser.cache import PreflightCache
from auditor.browser.cookies import CookieJar
from auditor.browser.elements import event_source, load_element
from auditor.browser.fetching import fetch
from auditor.browser.forms import navigate, send_beacon, submit_form
from auditor.browser.http_cache import HttpCache
from auditor.browser.isolation import cross_origin_isolated, severs_opener
from auditor.browser.page import FetchRequest, FetchResult, Page
from auditor.browser.profile import Profile
from auditor.browser.url import OPAQUE, Origin, parse_url
from auditor.browser.websocket import websocket
from auditor.exchange import Headers, Request, Response

VECTORS = Path(__file__).parents[2].parent / "shared" / "cases" / "browser"
Vector = dict[str, Any]
Facts = dict[str, Any]
Answer = Callable[[Request], Response | None]

UNSTABLE = {
    "actual_status/0208": "408 is asked again as often as there are idle connections",
    "preflight_status/0208": "408 is asked again as often as there are idle connections",
    "auth_prompt_allowed/0032": "nothing was sent: the password prompt of the case before was still open",
}
"""Recordings that do not repeat, each with the reason; they are not compared."""


def load(topic: str) -> list[Vector]:
    """Read one recorded file."""
    with gzip.open(VECTORS / f"{topic}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def topics() -> list[str]:
    """Name the recorded files."""
    return [path.name.removesuffix(".jsonl.gz") for path in sorted(VECTORS.glob("*.jsonl.gz"))]


# -- the server and the page of a recording ------------------------------------------------------------------------


def server(vector: Vector) -> Answer:
    """Answer as the recording's server did: by hop, successive answers where a list is given."""
    if vector["id"].startswith("nginx/"):
        upstream = vector["server"]["0"].get("actual", {}).get("headers", [])
        return lambda request: nginx(request, upstream)
    asked: dict[tuple[str, str], int] = {}
    tls_ports = {"443", "9443"}

    def answer(request: Request) -> Response | None:
        port = request.host.rsplit(":", 1)[1] if ":" in request.host else {"http": "80", "https": "443"}[request.scheme]
        if (request.scheme == "https") != (port in tls_ports):
            return None
        if not request.path.startswith("/v/"):
            page = [("Content-Type", "text/html"), ("Cache-Control", "no-store"), ("Content-Length", "34")]
            return Response(200, Headers.of(page))
        hop = request.path.split("/", 3)[-1]
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        kind = "preflight" if preflight else "actual"
        spec = (vector.get("server") or {}).get(hop, {}).get(kind) or {"status": 404, "headers": [], "body": ""}
        if isinstance(spec, list):
            place = asked.get((hop, kind), 0)
            asked[(hop, kind)] = place + 1
            spec = spec[min(place, len(spec) - 1)]
        return respond(spec)

    return answer


def respond(spec: dict[str, Any]) -> Response:
    """Build a recorded response; the server adds Content-Length where there is none."""
    pairs = [(name, value) for name, value in spec["headers"]]
    body = base64.b64decode(spec["body_b64"]) if spec.get("body_b64") else (spec.get("body") or "").encode()
    if spec["status"] not in {101, 204, 304} and not any(name.lower() == "content-length" for name, _ in pairs):
        pairs.append(("Content-Length", str(len(body))))
    return Response(spec["status"], Headers.of(pairs), body.decode("latin-1"))


def nginx(request: Request, upstream: list[list[str]]) -> Response:
    """Answer as the recording's nginx did: WebSocket gates by Origin, and well-known slips with add_header."""
    origin = request.headers.get("Origin") or ""
    app = "http://app.example"
    first = request.path.split("/")[1]
    if "Upgrade" in request.headers:
        let_in = {
            "exact": origin == app,  # map $http_origin { "http://app.example" 1; }
            "anch": re.search(r"^https?://app\.example$", origin) is not None,
            "sloppy": re.search(r"app.example", origin) is not None,
            "open": True,
            "nohdr": False,  # proxied without Upgrade
        }
        return Response(101 if let_in[first] else 403)
    status = int(request.target.split("s=")[1]) if "s=" in request.target else 200
    fields = [("Content-Type", "text/plain"), ("Content-Length", "2" if status < 400 else "1")]
    star = ("Access-Control-Allow-Origin", "*")
    if first == "addha" or (first == "addh" and status < 400) or request.target == "/inherit/":
        fields += [star]
    elif first == "empty" and origin == app:
        fields += [("Access-Control-Allow-Origin", origin)]
    elif first == "reflect":
        fields += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
    elif first == "dup":
        fields += [star, *((name, value) for name, value in upstream if name != "Content-Type")]
    elif first == "ifopt" and request.method == "OPTIONS":
        return Response(204, Headers.of([star, ("Access-Control-Allow-Methods", "PUT")]))
    return Response(status, Headers.of(fields))


HTTPS_EVIL = Origin.parse("https://evil.example") or OPAQUE
HTTPS_SUB = Origin.parse("https://api.app.example") or OPAQUE
CONTEXTS: dict[str, dict[str, Any]] = {
    "apps_in_evils": {"ancestors": (HTTPS_EVIL,)},
    "apps_in_subs": {"ancestors": (HTTPS_SUB,)},
    "cks_in_evils": {"ancestors": (HTTPS_EVIL,)},
    "coep_require_s": {"embedder_policy": "require-corp"},
    "coep_credless_s": {"embedder_policy": "credentialless"},
    "noref_evils": {"referrer_policy": "no-referrer"},
    "pub_s": {"space": "public"},
    "pub_i": {"space": "public"},
    "loc_s": {"space": "local"},
    "loc_i": {"space": "local"},
    "loop_i": {"space": "loopback"},
}
SPACES = {"443": "public", "80": "public", "9443": "local", "9081": "local", "9080": "loopback"}


def page_of(vector: Vector) -> Page:
    """Rebuild the page of a recording."""
    context = vector.get("context") or ""
    origin = Origin.parse(vector["page_origin"])
    assert origin is not None
    extra = dict(CONTEXTS.get(context, {}))
    if origin.opaque:
        secure = context.endswith(("csps", "forms"))
        extra["url_origin"] = Origin("https" if secure else "http", "app.example")
    if "space" in extra:
        extra["space_of"] = lambda url: SPACES[str(url.effective_port)]
        extra["local_network"] = {"lna_granted": True, "lna_denied": False}.get(vector["id"].split("/")[0])
    for name, value in vector["request"].get("page_headers", ()):
        if name == "Referrer-Policy":
            extra["referrer_policy"] = value
        elif name == "Content-Security-Policy" and value.startswith("sandbox"):
            extra["url_origin"], origin = origin, OPAQUE
    return Page(origin, **extra)


SESSION = {
    "hosts": [
        "https://ck.example",
        "https://ck.app.example",
        "http://ckh.example",
        "http://ckh.app.example",
        "https://app.example",
    ],
    "set_cookie_lines": [
        "ck_unset=1; Path=/",
        "ck_lax=1; SameSite=Lax; Path=/",
        "ck_strict=1; SameSite=Strict; Path=/",
        "ck_none=1; SameSite=None; Secure; Path=/",
        "ck_none_insecure=1; SameSite=None; Path=/",
        "ck_bogus=1; SameSite=Bogus; Path=/",
        "__Host-h=1; Secure; Path=/; SameSite=None",
        "ck_httponly=1; HttpOnly; SameSite=None; Secure; Path=/",
        "ck_part=1; SameSite=None; Secure; Partitioned; Path=/",
    ],
}
"""The cookies of every recording session, set by a top-level visit to each host."""
WITHOUT_COOKIES = {
    "auth_prompt_allowed",
    "auth_prompt_blocked",
    "set_cookie",
    "lna_default",
    "lna_granted",
    "lna_denied",
}


class Clock:
    """The time of a recording, moved by its sleeps."""

    def __init__(self) -> None:
        """Start at a round time."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def jar_of(vector: Vector, clock: Clock) -> CookieJar:
    """Fill the cookie jar as the recording's session did."""
    topic = vector["id"].split("/")[0]
    jar = CookieJar(block_third_party="blocked" in topic, clock=clock)
    if topic in WITHOUT_COOKIES:
        return jar
    cookies = vector.get("cookies") or SESSION
    for host in cookies["hosts"]:
        url = parse_url(host + "/")
        assert url is not None
        jar.visit(url, cookies["set_cookie_lines"])
    if (vector.get("cookie_age") or "").startswith("older"):
        clock.now += 130
    return jar


def fetch_request(url: str, init: dict[str, Any]) -> FetchRequest:
    """Read a recorded `fetch()` init."""
    names = {
        "method": "method",
        "credentials": "credentials",
        "mode": "mode",
        "redirect": "redirect",
        "referrerPolicy": "referrer_policy",
        "body": "body",
        "targetAddressSpace": "target_space",
    }
    fields: dict[str, Any] = {names[key]: value for key, value in init.items() if key in names and value is not None}
    fields["headers"] = tuple((name, value) for name, value in init.get("headers", ()))
    return FetchRequest(url, **fields)


# -- prediction, in the words of the recordings --------------------------------------------------------------------


def play(vector: Vector, profile: Profile) -> Facts:
    """Predict what a recording shows."""
    if "opened_by" in vector["request"]:
        return play_isolation(vector)
    clock = Clock()
    jar = jar_of(vector, clock)
    page, answer, asked = page_of(vector), server(vector), vector["request"]
    kind, url = vector["kind"], asked["url"]
    common: dict[str, Any] = {"profile": profile, "jar": jar}
    if kind in {"fetch", "xhr", "worker"}:
        return play_fetch(vector, page, answer, common)
    if kind == "seq":
        return play_steps(vector, page, answer, clock, common)
    if kind in ELEMENTS:
        loaded = load_element(page, ELEMENTS[kind], url, answer, crossorigin=asked.get("crossorigin"), **common)
        facts = sent_only(loaded.fetch) | {"outcome": "resolved" if loaded.loaded else "rejected"}
        if loaded.loaded and kind in {"img", "css"}:
            facts["readable"] = loaded.readable
        return facts | reason_of(loaded.fetch)
    if kind == "eventsource":
        result = event_source(page, url, answer, with_credentials=asked["withCredentials"], **common)
    elif kind == "ws":
        result = websocket(page, url, answer, protocols=asked.get("protocols") or (), **common)
    elif kind == "beacon":
        return sent_only(send_beacon(page, url, answer, body="b", body_type=asked["blobType"], **common))
    elif kind in {"form", "toplevel-form"}:
        result = submit_form(
            page, url, answer, method=asked["method"], encoding=asked["enctype"], top_level=kind != "form", **common
        )
        return sent_only(result)
    else:
        return sent_only(navigate(page, url, answer, **common))
    outcome = "threw" if result.threw else "resolved" if result.readable else "rejected"
    return sent_only(result) | {"outcome": outcome} | reason_of(result)


ELEMENTS: dict[str, Any] = {"img": "image", "script": "script", "css": "style", "font": "font"}


def play_fetch(vector: Vector, page: Page, answer: Answer, common: dict[str, Any]) -> Facts:
    """Predict a `fetch()`, an XMLHttpRequest, or a `fetch()` inside a worker."""
    asked = vector["request"]
    request = fetch_request(asked["url"], asked.get("init") or {})
    if vector["kind"] == "xhr":
        mode = "include" if request.credentials == "include" else "same-origin"
        request = replace(request, xhr=True, upload_listener=bool(asked.get("upload")), credentials=mode)
    if vector["kind"] == "worker" and asked["workerUrl"] == "data":
        page = Page(OPAQUE, url_origin=page.origin)
    return facts_of(fetch(page, request, answer, http_cache=HttpCache(), **common), vector["kind"])


def play_steps(vector: Vector, page: Page, answer: Answer, clock: Clock, common: dict[str, Any]) -> Facts:
    """Predict several requests of one browser session."""
    cache, http_cache = PreflightCache(clock), HttpCache(clock)
    steps: list[str] = []
    requests: list[dict[str, Any]] = []
    for step in vector["request"]["steps"]:
        if "sleep" in step:
            clock.now += step["sleep"] / 1000
            continue
        if step.get("kind") == "img":
            loaded = load_element(page, "image", step["url"], answer, http_cache=http_cache, **common)
            steps.append("resolved" if loaded.loaded else "rejected")
            requests += seen_by_server(loaded.fetch)
            continue
        request = fetch_request(step["url"], step.get("init") or {})
        result = fetch(page, request, answer, cache=cache, http_cache=http_cache, **common)
        steps.append("resolved" if result.readable or result.type == "opaque" else "rejected")
        requests += seen_by_server(result)
    return {"outcome": "seq", "steps": steps, "requests": requests}


def play_isolation(vector: Vector) -> Facts:
    """Predict what COOP and COEP do to a popup."""
    asked = vector["request"]
    page = Origin(asked["scheme"], "app.example")
    response = Response(200, Headers.of((name, value) for name, value in asked["page_headers"]))
    return {"isolated": cross_origin_isolated(page, response), "severed": severs_opener(page, response)}


def facts_of(result: FetchResult, kind: str = "fetch") -> Facts:
    """Say what the model predicts for a fetch."""
    opaque = result.type in {"opaque", "opaqueredirect"}
    resolved = result.readable or opaque
    outcome = "resolved" if resolved else "threw" if result.threw and kind == "xhr" else "rejected"
    facts = sent_only(result) | {"outcome": outcome}
    if not resolved:
        return facts | reason_of(result)
    facts["status"] = 0 if opaque or result.response is None else result.response.status
    facts["headers"] = [] if opaque else [list(pair) for pair in result.readable_headers]
    if kind != "xhr":
        facts["url"] = result.url
        facts["type"] = result.type
        facts["redirected"] = result.redirected and not opaque
    return facts


def sent_only(result: FetchResult) -> Facts:
    """Say which requests the model predicts."""
    return {"requests": seen_by_server(result)}


def seen_by_server(result: FetchResult) -> list[dict[str, Any]]:
    """Keep what reached the recording server: not a TLS hello to a plain port, nor another server's paths."""
    return [sent_facts(sent) for sent in result.sent if sent.response is not None and "/v/" in sent.request.target]


def reason_of(result: FetchResult) -> Facts:
    """Give the model's reason, Chromium's `corsErrorStatus` where it is one."""
    return {"reason": result.reason.value} if result.reason is not None else {}


def sent_facts(sent: Any) -> dict[str, Any]:
    """Reduce one sent request to what is compared."""
    headers = sent.request.headers
    return {
        "preflight": sent.preflight,
        "method": sent.request.method,
        "url_origin": str(Origin.parse(sent.url)),
        "origin": headers.get("Origin"),
        "acrm": headers.get("Access-Control-Request-Method"),
        "acrh": headers.get("Access-Control-Request-Headers"),
        "cookie": headers.get("Cookie"),
    }


# -- the recording, reduced to what is compared --------------------------------------------------------------------


def observed(vector: Vector) -> Facts:
    """Reduce what Chromium did to what is compared."""
    seen, kind = vector["observed"], vector.get("kind")
    if "crossOriginIsolated" in seen:
        return {"isolated": seen["crossOriginIsolated"], "severed": not seen["popup_has_opener"]}
    facts: Facts = {"requests": [recorded(request) for request in seen["requests"]]}
    if kind in {"beacon", "form"} or (kind or "").startswith("toplevel"):
        return facts
    facts["outcome"] = "rejected" if seen["outcome"] == "timeout" else seen["outcome"]
    if kind == "seq":
        return facts | {"steps": [step["outcome"] for step in seen["steps"]]}
    if facts["outcome"] == "resolved" and kind in {"fetch", "xhr", "worker"}:
        facts |= {"status": seen["status"], "headers": seen["readable_headers"]}
        if kind != "xhr":
            facts |= {"type": seen["type"], "redirected": seen["redirected"], "url": seen["url"]}
    extra = seen.get("extra") or {}
    if facts["outcome"] == "resolved" and kind == "img":
        facts["readable"] = extra["canvas_readable"]
    if facts["outcome"] == "resolved" and kind == "css":
        facts["readable"] = "css_rules" in extra
    errors = [entry["cors_error"] for entry in seen.get("cdp", ()) if entry.get("cors_error")]
    return facts | ({"reason": errors[-1]} if errors else {})


def recorded(request: dict[str, Any]) -> dict[str, Any]:
    """Reduce one recorded request to what is compared."""
    return {key: request.get(key) for key in ("preflight", "method", "url_origin", "origin", "acrm", "acrh", "cookie")}


def differences(vector: Vector, profile: Profile) -> list[str]:
    """Say where prediction and recording differ; a reason counts only where Chromium gave one."""
    predicted, seen = play(vector, profile), observed(vector)
    if vector["id"].startswith("nginx/"):
        del predicted["requests"], seen["requests"]  # written down behind nginx, where not all of them arrive
    return [
        f"{key}: predicted {predicted.get(key)!r}, Chromium {seen.get(key)!r}"
        for key in sorted(predicted.keys() | seen.keys())
        if predicted.get(key) != seen.get(key) and not (key == "reason" and key not in seen)
    ]
